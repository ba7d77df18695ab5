/*
 * MTA-STS (RFC 8461): the TXT record that says that a domain has a policy, the policy's file, and which hosts
 * a policy names. Pure; any bytes are safe.
 */
#ifndef SEALPOST_SMTP_STS_POLICY_H
#define SEALPOST_SMTP_STS_POLICY_H

#include "store/records_sts.h"

#define STS_FILE_MAX ((size_t)64 << 10) /* bytes of a policy file, RFC 8461 section 3.3 */

struct sts_policy {
    enum sts_mode mode;
    uint64_t max_age_s;
    struct slice mx; /* patterns in lower case, one space between them */
};

/* The policy in a file: a version that is known, mode, max_age and (unless the mode is none) at least one mx.
 * Fields that are not known are passed over, of fields that repeat the first counts. A max_age above the
 * maximum counts as that. `mx` of the policy points into `patterns`, which is emptied first. MALFORMED: the
 * text says what is wrong. */
enum status sts_policy_parse(struct slice file, struct buf *patterns, struct sts_policy *out,
                             struct failure *f) MUST_CHECK;
/* Does a policy name this host (lower case, no final dot)? "*" stands for the leftmost label and nothing
 * else. */
bool sts_mx_matches(const struct sts_policy *policy, struct slice host);

/* The id of one TXT record at _mta-sts.DOMAIN, as it is in the answer (RFC 1035 section 3.3.14), with a final
 * NUL. OTHER: it does not begin with v=STSv1; and does not count; MALFORMED: it does, and is not well formed.
 */
enum sts_text { STS_TEXT_OTHER, STS_TEXT_MALFORMED, STS_TEXT_GOOD };
enum sts_text sts_text_read(struct slice rdata, char id[STS_ID_MAX + 1]);

#endif
