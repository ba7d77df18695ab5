/* Dot-stuffing of what goes out (RFC 5321 section 4.5.2), piece by piece: each dot at the start of a line is
 * doubled. Pure. */
#ifndef SEALPOST_SMTP_DOT_STUFFING_H
#define SEALPOST_SMTP_DOT_STUFFING_H

#include "base/buf.h"

struct dot_stuffing {
    uint8_t last[2]; /* the two bytes before the next piece: CRLF at the start of a message */
};

void dot_stuffing_init(struct dot_stuffing *d);
/* At most twice as long as `in`. */
enum status dot_stuff(struct dot_stuffing *d, struct slice in, struct buf *out) MUST_CHECK;
/* "." CRLF, after a CRLF if the message did not end with one. */
enum status dot_stuff_end(struct dot_stuffing *d, struct buf *out) MUST_CHECK;

#endif
