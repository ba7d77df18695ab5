/*
 * What goes out after DATA, piece by piece (RFC 5321 sections 2.3.8 and 4.5.2): each dot at the start of a
 * line is doubled, and only CRLF ends a line, whatever a piece holds. Pure.
 *
 * A worker gives out CRLF alone. Should it ever not (a decrypted part can hold anything), this is the last
 * place where one message can be kept from being two for the next hop: a bare CR or a bare LF leaves as CRLF,
 * a NUL not at all.
 */
#ifndef SEALPOST_SMTP_DOT_STUFFING_H
#define SEALPOST_SMTP_DOT_STUFFING_H

#include "base/buf.h"

struct dot_stuffing {
    bool line_start; /* the next byte begins a line */
    bool after_cr;   /* a CR has come whose LF may be in the next piece */
};

void dot_stuffing_init(struct dot_stuffing *d);
/* At most twice as long as `in`, and two bytes. */
enum status dot_stuff(struct dot_stuffing *d, struct slice in, struct buf *out) MUST_CHECK;
/* "." CRLF, after a CRLF if the message did not end with one. */
enum status dot_stuff_end(struct dot_stuffing *d, struct buf *out) MUST_CHECK;

#endif
