/*
 * What partner domains publish about themselves in DNS: the fingerprints of their domain certificates
 * (docs/domain-to-domain.md), as the leading node's fetch role saw them last. This is what was seen, never
 * what is trusted: only bindings are (store/records.h), which an administrator makes. Both together say
 * whether somebody has to look.
 *
 * Any thread with a view of its own; slices point into the map and end with the view.
 */
#ifndef SEALPOST_STORE_RECORDS_DNS_H
#define SEALPOST_STORE_RECORDS_DNS_H

#include "store/records.h"

#define DOMAIN_DNS_MAX              1000 /* domains that are looked up */
#define DOMAIN_DNS_FINGERPRINTS_MAX 16   /* of one domain */
#define DOMAIN_DNS_NOTE_MAX         255

enum dns_answer { /* the numbers are in commands and rows */
                  DNS_NOT_ASKED,
                  DNS_SIGNED,   /* fingerprints, with DNSSEC from a trust anchor down */
                  DNS_UNSIGNED, /* fingerprints that anybody on the way could have written */
                  DNS_ABSENT,   /* there is no record */
                  DNS_BOGUS,    /* DNSSEC says that the answer is forged or broken: nothing of it was taken */
                  DNS_FAILED,   /* there was no answer */
                  DNS_ANSWER_END
};

struct domain_dns_record {
    struct slice domain;
    uint64_t added_ms;              /* watched since */
    uint64_t asked_ms;              /* somebody wants it looked up now, since then; 0: nobody */
    uint64_t checked_ms;            /* looked up last */
    enum dns_answer answer;         /* of the last look-up */
    uint64_t changed_ms, signed_ms; /* when the fingerprints changed last, when they were signed last; 0 */
    struct slice fingerprints; /* of the last answer that was one: THUMBPRINT_SIZE bytes each, ascending */
    struct slice note;         /* about the last look-up, for people */
};

enum status store_domain_dns_get(struct store_view *v, struct slice domain,
                                 struct domain_dns_record *out) MUST_CHECK; /* NOT_FOUND */
typedef bool (*domain_dns_visit_cb)(void *context, const struct domain_dns_record *record);
enum status store_domain_dns_all(struct store_view *v, domain_dns_visit_cb cb, void *context) MUST_CHECK;

/* --- what it means --- */

enum domain_dns_state {
    DOMAIN_DNS_WAITING,     /* not looked up yet */
    DOMAIN_DNS_FAILED,      /* no answer; what is confirmed stays in use */
    DOMAIN_DNS_ABSENT,      /* neither published nor confirmed */
    DOMAIN_DNS_CONFIRMED,   /* what is published is what was confirmed */
    DOMAIN_DNS_UNCONFIRMED, /* published, and nothing was confirmed */
    DOMAIN_DNS_CHANGED,     /* something is published that was not confirmed, beside what was or instead */
    DOMAIN_DNS_REMOVED,     /* something that was confirmed is published no longer */
    DOMAIN_DNS_STRIPPED,    /* it was signed before and is not any more */
    DOMAIN_DNS_BOGUS        /* DNSSEC fails */
};

#define DOMAIN_DNS_CONFIRMED_MAX 64

struct domain_dns_review {
    enum domain_dns_state state;
    /* Pinned bindings of the domain whose certificates are active. */
    uint8_t confirmed[DOMAIN_DNS_CONFIRMED_MAX][THUMBPRINT_SIZE];
    size_t confirmed_count;
};
/* Fills `review->state` from the record and the confirmed ones. Pure. */
void domain_dns_judge(const struct domain_dns_record *record, struct domain_dns_review *review);
enum status store_domain_dns_review(struct store_view *v, const struct domain_dns_record *record,
                                    struct domain_dns_review *out) MUST_CHECK;
const char *domain_dns_state_name(enum domain_dns_state state); /* "changed" */
bool domain_dns_needs_review(enum domain_dns_state state);
bool domain_dns_has(struct slice fingerprints, const uint8_t thumbprint[THUMBPRINT_SIZE]);

/* For the table: store/apply_dns.c. */
enum status domain_dns_encode(const struct domain_dns_record *record, struct buf *out) MUST_CHECK;
enum status domain_dns_decode(struct slice domain, struct slice value,
                              struct domain_dns_record *out) MUST_CHECK;

#endif
