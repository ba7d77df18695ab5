/* Mails that tell people what expires (docs/certificates.md): plain text, 7 bit, marked as made by a program
 * (RFC 3834). Pure: what it says in, text out. */
#ifndef SEALPOST_MAIL_NOTICE_H
#define SEALPOST_MAIL_NOTICE_H

#include "base/buf.h"

enum notice_part { NOTICE_PART_CERTIFICATES, NOTICE_PART_RENEWALS, NOTICE_PART_LISTS, NOTICE_PART_COUNT };

struct notice_line {
    enum notice_part part;
    struct slice text; /* what it is: anybody's bytes, escaped here */
    struct slice id;   /* thumbprint, binary; of a list empty */
    uint64_t until_ms;
};

struct notice_letter {
    struct slice from, to; /* addresses */
    struct slice id;       /* left of the @ of the Message-ID: the same whoever sends it */
    struct slice gateway;  /* name of the node, for people */
    uint64_t now_ms;
    const struct notice_line *lines;
    size_t count, waiting;
};
enum status notice_compose(const struct notice_letter *letter,
                           struct buf *out) MUST_CHECK; /* whole message, CRLF, 7 bit */

#endif
