/*
 * MTA-STS policies of recipients' domains (RFC 8461), as the cluster keeps them: what fetch got from
 * https://mta-sts.DOMAIN, until max_age is over. Every node delivers by them.
 *
 * Any thread with a view of its own; slices point into the map and end with the view.
 */
#ifndef SEALPOST_STORE_RECORDS_STS_H
#define SEALPOST_STORE_RECORDS_STS_H

#include "store/records.h"

#define STS_POLICIES_MAX 20000                /* domains */
#define STS_ID_MAX       32                   /* bytes, RFC 8461 section 3.1 */
#define STS_MX_MAX       ((size_t)4 << 10)    /* bytes of all patterns */
#define STS_MAX_AGE_MAX  ((uint64_t)31557600) /* seconds, RFC 8461 section 3.2 */
#define STS_NOTE_MAX     255

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE, STS_MODE_END }; /* the numbers are in commands and rows */
const char *sts_mode_name(enum sts_mode mode);

/* "host" or "*.host", in lower case: is it what a policy may name? */
bool sts_pattern_is_valid(struct slice pattern);
/* Patterns with one space between them; "" are none. */
bool sts_patterns_are_valid(struct slice patterns);

struct sts_record {
    struct slice domain;
    struct slice id; /* of the TXT record under which it was fetched; "": it was fetched without one */
    enum sts_mode mode;
    uint64_t max_age_s;
    struct slice mx;     /* patterns in lower case, one space between them */
    uint64_t fetched_ms; /* 0: there is no policy yet */
    uint64_t asked_ms;   /* somebody wants it fetched now, since then; 0: nobody */
    uint64_t failed_ms;  /* when fetching failed last, if it did since fetched_ms; 0 */
    struct slice note;   /* why it failed */
};

/* Does the policy count? (RFC 8461 section 3.2, max_age) */
bool sts_in_force(const struct sts_record *record, uint64_t now_ms);
/* When it is fetched next: after half of its life and at least each day, an hour after a failure; 0: at once.
 */
uint64_t sts_due_ms(const struct sts_record *record);

enum status store_sts_get(struct store_view *v, struct slice domain,
                          struct sts_record *out) MUST_CHECK; /* NOT_FOUND */
typedef bool (*sts_visit_cb)(void *context, const struct sts_record *record);
enum status store_sts_all(struct store_view *v, sts_visit_cb cb, void *context) MUST_CHECK;

/* For the table: store/apply_sts.c. */
enum status sts_record_encode(const struct sts_record *record, struct buf *out) MUST_CHECK;
enum status sts_record_decode(struct slice domain, struct slice value, struct sts_record *out) MUST_CHECK;

#endif
