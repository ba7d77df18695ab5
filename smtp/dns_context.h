/*
 * A libunbound context as the settings dns.resolvers and dns.trust_anchors ask for it: it validates DNSSEC
 * itself, so that the resolvers need not be trusted. Answers come on a thread of its own and are taken by
 * ub_process() when ub_fd() can be read.
 */
#ifndef SEALPOST_SMTP_DNS_CONTEXT_H
#define SEALPOST_SMTP_DNS_CONTEXT_H

#include "store/setting.h"

#include <unbound.h>

/* `out` is the caller's, to be ended with ub_ctx_delete(). INVALID names the settings that cannot be used. */
enum status dns_context_new(const struct setting_value *resolvers, const struct setting_value *anchors,
                            struct ub_ctx **out, struct failure *f) MUST_CHECK;

#endif
