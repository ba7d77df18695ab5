/*
 * What TLS came to, counted by domain, policy and day, and the reports that are made of it (RFC 8460). Pure:
 * the time is an argument; smtp/tls_report_store.c keeps it, smtp/tls_report_send.c sends it.
 *
 * Bounded: TLS_REPORT_ENTRIES_MAX policies of domains a day, TLS_REPORT_FAILURES_MAX kinds of failure each;
 * what does not fit is counted as `left_out`. As MessagePack, for the file of a day:
 *
 *   [ 1, day (ms) u64, left out u64, [ entry, ... ] ]
 *   entry    [ domain str, basis u64, policy str, mx str, successes u64, [ failure, ... ] ]
 *   failure  [ result str, host str, our address str, its address str, reason str, count u64 ]
 */
#ifndef SEALPOST_SMTP_TLS_REPORT_H
#define SEALPOST_SMTP_TLS_REPORT_H

#include "smtp/tls_policy.h"

#define TLS_REPORT_DAY_MS       ((uint64_t)24 * 3600 * 1000)
#define TLS_REPORT_ENTRIES_MAX  5000
#define TLS_REPORT_FAILURES_MAX 40
#define TLS_REPORT_FILE_MAX     ((size_t)32 << 20)
#define TLS_REPORT_JSON_MAX     ((size_t)4 << 20)

/* One attempt. Texts are copied. */
struct tls_outcome {
    struct slice domain; /* of the policy: the recipient's, or the smart host */
    enum tls_basis basis;
    struct slice policy; /* its lines, LF between them */
    struct slice mx;     /* of an MTA-STS policy: patterns, a space between them */
    const char *result;  /* RFC 8460 section 4.3; NULL: it went well */
    struct slice host, our_address, its_address, reason;
};

struct tls_reports; /* of one day */

struct tls_reports *tls_reports_new(uint64_t day_ms); /* NULL: no memory */
void tls_reports_free(struct tls_reports *r);
uint64_t tls_reports_day(const struct tls_reports *r);
void tls_reports_count(struct tls_reports *r, const struct tls_outcome *o);
uint64_t tls_reports_left_out(const struct tls_reports *r);
enum status tls_reports_encode(const struct tls_reports *r, struct buf *out) MUST_CHECK;
enum status tls_reports_decode(struct slice in, struct tls_reports **out) MUST_CHECK; /* any bytes are safe */

/* The i-th domain, in no order; empty at the end. */
struct slice tls_reports_domain(const struct tls_reports *r, size_t i);

struct tls_report_head {
    struct slice organization, contact; /* RFC 8460 section 4.4 */
    const char *id;                     /* report-id */
};
/* The report of all policies of a domain as JSON. */
enum status tls_report_json(const struct tls_reports *r, struct slice domain,
                            const struct tls_report_head *head, struct buf *out) MUST_CHECK;

/* The next address (mailto:) or URL (https:) of a TXT record at _smtp._tls.DOMAIN (RFC 8460 section 3);
 * false: no more, or it is no record of ours. `at`: where it goes on; 0 first. */
bool tls_report_rua(struct slice rdata, size_t *at, char out[1025]);

#endif
