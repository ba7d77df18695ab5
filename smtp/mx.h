/*
 * From what DNS says of a domain to the hosts that mail for it may be given to, in the order in which they
 * are tried (RFC 5321 section 5.1, RFC 7505). Pure: the caller asks, and gives answers, time-free and with
 * random bits.
 *
 *   mx_begin()   the domain's name, or an address literal
 *   mx_read()    the answer for MX -> hosts to look up, or the end
 *   mx_address() each answer for A and AAAA of each of these hosts
 *   mx_finish()  order, loop check, and what becomes of the mail when nothing is left
 *
 * A few of many: at most MX_HOSTS_MAX hosts are looked up and MX_ADDRESSES_MAX addresses of each are tried.
 */
#ifndef SEALPOST_SMTP_MX_H
#define SEALPOST_SMTP_MX_H

#include "smtp/resolver.h"

#include <netdb.h>
#include <netinet/in.h>

#define MX_HOSTS_MAX     16
#define MX_ADDRESSES_MAX 6

enum mx_fate {
    MX_HOSTS,     /* try them */
    MX_NULL,      /* it takes no mail: 5.1.10 (RFC 7505) */
    MX_NO_DOMAIN, /* 5.1.2 */
    MX_NO_HOST,   /* there is nobody to talk to: 5.4.4 */
    MX_LOOP,      /* it would come back to us: 5.4.6 */
    MX_LATER,     /* DNS fails for now: 4.4.3 */
};
const char *mx_enhanced(enum mx_fate fate); /* "5.1.10" */

union mx_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct mx_host {
    char name[DNS_NAME_MAX + 1]; /* lower case; of a literal: the address as text */
    uint16_t preference;
    bool secure; /* DNSSEC vouches for its addresses (RFC 7672 section 2.2) */
    size_t count;
    union mx_sockaddr addresses[MX_ADDRESSES_MAX]; /* IPv6 and IPv4 by turns; with the port */
    /* while it is made up: */
    size_t v4_count, v6_count;
    struct in_addr v4[MX_ADDRESSES_MAX];
    struct in6_addr v6[MX_ADDRESSES_MAX];
    bool temporary, insecure;
};

struct mx_plan {
    char domain[DNS_NAME_MAX + 1];
    enum mx_fate fate;
    bool is_address; /* an address literal: nothing is to be looked up */
    bool implicit;   /* no MX: the domain itself is the host */
    bool secure;     /* DNSSEC vouches for the MX records, or for there being none */
    size_t count;
    struct mx_host hosts[MX_HOSTS_MAX];
    char why[480]; /* printable; "" for MX_HOSTS */
};

/* Who we are. */
struct mx_own {
    const char *name;                   /* of this node, in banners */
    const union mx_sockaddr *addresses; /* where it listens, with ports */
    size_t count;
};

/* `domain` of a recipient: a name (UTF-8 becomes A-labels, RFC 5891), or "[...]" (RFC 5321 section 4.1.3).
 * True: ask for its MX records, then mx_read(). False: the end is there: an address, or MX_NO_DOMAIN. */
bool mx_begin(struct mx_plan *p, struct slice domain, uint16_t port);
/* `random` chooses among too many hosts of equal preference, and spreads the rest. True: ask for A and AAAA
 * of each host. */
bool mx_read(struct mx_plan *p, const struct resolved *answer, uint64_t random);
void mx_address(struct mx_plan *p, size_t host, enum dns_type type, const struct resolved *answer);
void mx_finish(struct mx_plan *p, const struct mx_own *own, uint16_t port, uint64_t random);

/* "[1.2.3.4]", "[IPv6:2001:db8::1]"; with the port. */
bool mx_literal(struct slice text, uint16_t port, union mx_sockaddr *out);
/* A name out of RDATA at `at`, as text without the last dot ("" for the root); false: malformed, or one that
 * no host has. */
bool mx_name_read(struct slice rdata, size_t at, char out[DNS_NAME_MAX + 1]);

#endif
