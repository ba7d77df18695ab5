/* Delivery status notifications (RFC 3464) as multipart/report (RFC 6522), from the null sender. Pure: text
 * in, text out. */
#ifndef SEALPOST_MAIL_DSN_H
#define SEALPOST_MAIL_DSN_H

#include "base/buf.h"

struct dsn_recipient {
    struct slice address;
    struct slice status;     /* enhanced code, "5.1.1" */
    struct slice diagnostic; /* the remote reply, or our text; any bytes: escaped here */
    struct slice remote_mta; /* "" if none was reached */
};

struct dsn_input {
    struct slice reporting_mta, to, message_id,
        boundary; /* boundary and message id: made from random bytes by the caller */
    uint64_t now_ms, arrival_ms;
    const struct dsn_recipient *recipients;
    size_t recipient_count;
    bool delayed;        /* "still trying" instead of "failed" */
    struct slice header; /* of the message as it was to leave: up to the empty line; may be cut; goes into
                            text/rfc822-headers */
};
enum status dsn_compose(const struct dsn_input *in,
                        struct buf *out) MUST_CHECK; /* whole message, CRLF, 7 bit */

/* A notice (text/plain, whole message) of how a message was protected, or that it is `held`. `in` without
 * header and boundary; the recipients' `diagnostic` says what there is to say. `id` is ours. Nothing of the
 * message is quoted. */
enum status dsn_notice_compose(const struct dsn_input *in, bool held, struct slice id,
                               struct buf *out) MUST_CHECK;

/* Of a header (fields with CRLF), those fields that tell a sender which of their messages it was and nothing
 * of what it said: the notification travels unprotected. Appended to `out`. */
enum status dsn_safe_header(struct slice header, struct buf *out) MUST_CHECK;

#endif
