/*
 * Lines of the SMTP dialogue out of received bytes. Only CRLF ends a line: a bare CR, a bare LF or a NUL
 * anywhere is LINE_BAD, after which the session must end, for two hosts that disagree about where a line ends
 * can be made to see different messages (SMTP smuggling). Pure and without state: bytes that are no whole
 * line yet are given again, with more.
 */
#ifndef SEALPOST_SMTP_LINE_READER_H
#define SEALPOST_SMTP_LINE_READER_H

#include "base/slice.h"

enum line_result {
    LINE_OK,       /* *line is one line without its CRLF, *used says how many bytes it took */
    LINE_MORE,     /* the end has not come yet */
    LINE_TOO_LONG, /* more than `max` bytes with CRLF; *used bytes can be dropped: up to and with its CRLF, or
                      all if that has not come */
    LINE_BAD
};

/* `max` counts the CRLF (RFC 5321 section 4.5.3.1.4). */
enum line_result line_read(struct slice in, size_t max, struct slice *line, size_t *used);

#endif
