/*
 * What a certificate on demand needs, or a request for one: the sender's domain is ours, ca.auto_request is
 * in force for the address, ca.handler names who does it, and neither its domain nor the cluster has had as
 * many within the hour as ca.auto_request_limit says. A worker, which reads what strangers send, proposes
 * such certificates; so this is decided where the command is applied, and a worker asks it beforehand only to
 * make no key in vain.
 */
#ifndef SEALPOST_STORE_CA_ALLOWANCE_H
#define SEALPOST_STORE_CA_ALLOWANCE_H

#include "base/buf.h"
#include "store/store.h"

#define CA_ALLOWANCE_CLUSTER  "*" /* in place of a domain: all of them together */
#define CA_ALLOWANCE_DOMAINS  10  /* the cluster's limit is so many times the global one */
#define CA_ALLOWANCE_ROW_MAX  32
#define CA_ALLOWANCE_HOUR_MS  ((uint64_t)3600 * 1000)
#define CA_ALLOWANCE_CLOCK_MS ((uint64_t)5 * 60 * 1000) /* that a worker's clock may differ from core's */

struct ca_allowance {
    uint64_t hour; /* since 1970; one that was counted in stays, whatever the clock says later */
    uint64_t count;
};

enum ca_handler { CA_HANDLER_BUILTIN, CA_HANDLER_CSR }; /* as the choices of ca.handler */
enum status store_ca_handler(struct store_view *v, struct slice address, enum ca_handler *out) MUST_CHECK;

/* OK; NOT_FOUND: it is not to have one (not internal, ca.auto_request is `no`, or another handler is in force
 * than the one that asks); POLICY: the limit is reached. `address` is in its normal form; `time_ms` is since
 * 1970. Reads only. */
enum status store_ca_allowance_check(struct store_view *v, struct slice address, enum ca_handler asking,
                                     uint64_t time_ms, struct failure *f) MUST_CHECK;
/* The count of a domain, or of CA_ALLOWANCE_CLUSTER, in the hour of `time_ms`: zero when there is none. */
enum status store_ca_allowance_get(struct store_view *v, struct slice domain, uint64_t time_ms,
                                   struct ca_allowance *out) MUST_CHECK;
enum status ca_allowance_row_write(const struct ca_allowance *allowance, struct buf *out) MUST_CHECK;

#endif
