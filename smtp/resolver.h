/*
 * Names for mail transport: questions to DNS on the smtp role's loop, validated with DNSSEC by libunbound
 * (settings dns.resolvers and dns.trust_anchors). Equal questions are asked once; answers are kept as long as
 * they may be, within bounds. CNAMEs are followed; what the answer says of DNSSEC holds for the whole chain.
 *
 * All on the loop's thread. libunbound's own thread waits for the network.
 */
#ifndef SEALPOST_SMTP_RESOLVER_H
#define SEALPOST_SMTP_RESOLVER_H

#include "smtp/settings.h"

#include <uv.h>

#define DNS_NAME_MAX 253 /* bytes of a name as text, without the last dot */

enum dns_type { DNS_TYPE_A = 1, DNS_TYPE_MX = 15, DNS_TYPE_TXT = 16, DNS_TYPE_AAAA = 28, DNS_TYPE_TLSA = 52 };

enum resolved_state {
    RESOLVED_FOUND,
    RESOLVED_NO_DATA, /* the name exists and has no record of this type */
    RESOLVED_NO_NAME, /* NXDOMAIN, or text that cannot be a name in DNS */
    /* for now: */
    RESOLVED_BOGUS,    /* DNSSEC validation failed: forged, or badly signed */
    RESOLVED_SERVFAIL, /* and every other code of an error */
    RESOLVED_TIMEOUT,
};
const char *resolved_state_name(enum resolved_state state); /* "NXDOMAIN", ... */
static inline bool resolved_state_is_temporary(enum resolved_state state)
{
    return state >= RESOLVED_BOGUS;
}

/* Valid within the callback only. */
struct resolved {
    enum resolved_state state;
    bool secure;      /* DNSSEC proves it: what was found, or that there is nothing; false: not signed */
    const char *name; /* where CNAMEs led to; the name asked for when there are none */
    const struct slice *records; /* RDATA of each, names in it not compressed */
    size_t count;
    uint64_t ttl_ms;  /* how long it is kept from now on */
    const char *note; /* why it is bogus or failed; "" when there is nothing to say */
};

struct resolver;

/* Of the caller, and to stay where it is until it is answered or cancelled. Zeroed before its first use. */
struct resolver_request {
    void (*answered)(void *context, const struct resolved *answer);
    void *context;
    struct dns_lookup *lookup; /* the resolver's; NULL: nothing is asked */
    struct resolver_request *next, *previous;
};

#define RESOLVER_TIMEOUT_MS 20000
/* `timeout_ms`: how long a question may take. */
enum status resolver_new(uv_loop_t *loop, uint64_t timeout_ms, struct resolver **out) MUST_CHECK;
/* As the settings say now, within a look. Cheap when nothing changed; else what was kept is forgotten and
 * what is under way is asked anew. What cannot be used is logged, and every question fails until it can. */
void resolver_configure(struct resolver *r, struct settings_source *s);
/* `answered` is called once, later: never from within this call. BUSY: too much is asked already. INVALID:
 * before the first resolver_configure(), or after resolver_close(). */
enum status resolver_ask(struct resolver *r, struct resolver_request *q, const char *name,
                         enum dns_type type) MUST_CHECK;
/* It is not called any more; fine when nothing is asked. */
void resolver_cancel(struct resolver *r, struct resolver_request *q);

struct resolver_counts {
    uint64_t asked, from_cache,
        joined; /* to libunbound; answered from what is kept; equal to one under way */
    size_t kept, kept_bytes, under_way;
};
void resolver_counts_get(const struct resolver *r, struct resolver_counts *out);

/* Cancels everything; frees it when its handles are closed, then calls `closed`. */
void resolver_close(struct resolver *r, void (*closed)(void *context), void *context);

/* A name as DNS has it: lower case, without the last dot. False: it cannot be a name of a host or a service
 * (letters, digits, hyphens, underscores; labels of 1 to 63 bytes; DNS_NAME_MAX in all). Pure. */
bool dns_name_normalise(struct slice name, char out[DNS_NAME_MAX + 1]);

#endif
