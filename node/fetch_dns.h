/*
 * Looking up what partner domains publish about their domain certificates (docs/domain-to-domain.md). The
 * leading node's fetch role does it; what it saw becomes a row of the store (store/records_dns.h), which
 * nothing but people read.
 */
#ifndef SEALPOST_NODE_FETCH_DNS_H
#define SEALPOST_NODE_FETCH_DNS_H

#include "node/fetch_dns_text.h"
#include "node/fetch_internal.h"

/* --- node/fetch_dns_resolve.c: one look-up, with libunbound --- */
struct dns_question {
    const char *name;                      /* of the TXT records */
    const struct setting_value *resolvers; /* dns.resolvers */
    const struct setting_value *anchors;   /* dns.trust_anchors */
    unsigned timeout_ms;
};
struct dns_result {
    enum dns_answer answer;
    struct dns_fingerprints found; /* SIGNED, UNSIGNED */
    struct failure note;           /* its text tells people what happened; "" when there is nothing to say */
};
/* Blocks, at most about timeout_ms. Any thread. */
void dns_look_up(const struct dns_question *question, struct dns_result *result);
/* Each TXT record of the name, as it is in the answer. OK: `visit` saw them all, perhaps none; UNAVAILABLE:
 * no answer, or a bogus one. */
enum status dns_texts(const struct dns_question *question, void (*visit)(void *context, struct slice rdata),
                      void *context, struct failure *f) MUST_CHECK;
/* The name's addresses as text, with commas between them, IPv6 in brackets. NOT_FOUND: there is none. */
enum status dns_addresses(const struct dns_question *question, char *out, size_t size,
                          struct failure *f) MUST_CHECK;

/* --- node/fetch_dns.c: the schedule, on the loop --- */
struct fetch_dns;
enum status fetch_dns_new(struct fetch *r, struct fetch_dns **out) MUST_CHECK;
void fetch_dns_free(struct fetch_dns *d); /* waits for look-ups that are under way; NULL is fine */
void fetch_dns_tick(struct fetch *r);
/* When a row is to be looked up again; 0: at once. Pure. */
uint64_t fetch_dns_due_ms(const struct domain_dns_record *record, uint64_t refresh_ms);

#endif
