/* The Received field (RFC 5321 section 4.4) that this node puts in front of what it takes in. Pure. */
#ifndef SEALPOST_SMTP_TRACE_FIELD_H
#define SEALPOST_SMTP_TRACE_FIELD_H

#include "base/buf.h"

#define TRACE_MARK_MAX 32 /* with NUL */

struct trace_facts {
    const char *helo, *client_ip, *hostname, *id;
    const char *mark;        /* "Sealpost/..." with what is the cluster's own; without white space, so that no
                                folding        parts it */
    const char *client_name; /* NULL: not known */
    bool esmtp, lmtp;
    bool utf8;                            /* with SMTPUTF8 */
    const char *tls_version, *tls_cipher; /* NULL: plain */
    struct slice
        only_recipient; /* empty when there are several: nobody learns of the others (RFC 5321 section 7.2) */
    uint64_t now_ms;
};
/* One folded field with CRLF at its end. */
enum status trace_field_append(const struct trace_facts *facts, struct buf *out) MUST_CHECK;

#endif
