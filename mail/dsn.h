/* Delivery status notifications (RFC 3464) as multipart/report (RFC 6522), from the null sender; for
 * addresses and headers beyond ASCII as RFC 6533 has them. Pure: text in, text out. */
#ifndef SEALPOST_MAIL_DSN_H
#define SEALPOST_MAIL_DSN_H

#include "base/buf.h"

/* What became of the recipients. RELAYED: the next hop took the message and will tell nothing of it. */
enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_RELAYED, DSN_DELIVERED };

struct dsn_recipient {
    struct slice address;
    struct slice orcpt;       /* "type;address", the address decoded; "": none was given */
    struct slice status;      /* enhanced code, "5.1.1" */
    struct slice diagnostic;  /* the remote reply, or our text; any bytes: escaped here */
    struct slice remote_mta;  /* "" if none was reached */
    uint64_t last_attempt_ms; /* 0: there was none */
    uint64_t retry_until_ms;  /* DSN_DELAYED */
};

struct dsn_input {
    enum dsn_action action;
    struct slice reporting_mta, to, message_id,
        boundary;       /* boundary and message id: made from random bytes by the caller */
    struct slice envid; /* decoded; "": none was given */
    bool utf8;          /* the message came with SMTPUTF8 */
    uint64_t now_ms, arrival_ms;
    const struct dsn_recipient *recipients;
    size_t recipient_count;
    struct slice header; /* of the message as it was to leave: up to the empty line; may be cut */
    struct slice whole;  /* all of the message, in place of its header; "": only the header */
};
/* Whole message, CRLF, lines short enough for SMTP. All of it is 7 bit but for a `whole` with bytes above
 * 127, and the field To when that address has some. */
enum status dsn_compose(const struct dsn_input *in, struct buf *out) MUST_CHECK;

/* A notice (text/plain, whole message) of how a message was protected, or that it is `held`. `in` without
 * header and boundary; the recipients' `diagnostic` says what there is to say. `id` is ours. Nothing of the
 * message is quoted. */
enum status dsn_notice_compose(const struct dsn_input *in, bool held, struct slice id,
                               struct buf *out) MUST_CHECK;

/* Of a header (fields with CRLF), those fields that tell a sender which of their messages it was and nothing
 * of what it said: the notification travels unprotected. Appended to `out`. */
enum status dsn_safe_header(struct slice header, struct buf *out) MUST_CHECK;

#endif
