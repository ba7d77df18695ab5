/* See smtp/mx.h. */
#include "smtp/mx.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <idn2.h>

const char *mx_enhanced(enum mx_fate fate)
{
    static const char *const codes[] = {
        [MX_HOSTS] = "2.0.0",   [MX_NULL] = "5.1.10", [MX_NO_DOMAIN] = "5.1.2",
        [MX_NO_HOST] = "5.4.4", [MX_LOOP] = "5.4.6",  [MX_LATER] = "4.4.3",
    };
    return codes[fate];
}

static bool end(struct mx_plan *p, enum mx_fate fate, const char *why)
{
    p->fate = fate;
    p->count = 0;
    (void)!snprintf(p->why, sizeof p->why, "%s: %s", p->domain, why);
    return false;
}

/* Well mixed bits from a counter (splitmix64). */
static uint64_t random_next(uint64_t *random)
{
    uint64_t z = *random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* --- texts --- */

bool mx_literal(struct slice text, uint16_t port, union mx_sockaddr *out)
{
    char address[INET6_ADDRSTRLEN + 1];
    if (text.len < 2 || text.data[0] != '[' || text.data[text.len - 1] != ']') {
        return false;
    }
    text = slice_of(text.data + 1, text.len - 2);
    bool v6 = slice_starts_with_nocase(text, SLICE_LITERAL("IPv6:"));
    text = v6 ? slice_of(text.data + 5, text.len - 5) : text;
    if (text.len == 0 || text.len >= sizeof address || memchr(text.data, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(address, text.data, text.len);
    address[text.len] = '\0';
    memset(out, 0, sizeof *out);
    if (v6) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return inet_pton(AF_INET6, address, &out->v6.sin6_addr) == 1;
    }
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(port);
    return inet_pton(AF_INET, address, &out->v4.sin_addr) == 1;
}

bool mx_name_read(struct slice rdata, size_t at, char out[DNS_NAME_MAX + 1])
{
    char text[DNS_NAME_MAX + 1];
    size_t used = 0;
    for (;;) {
        size_t len = at < rdata.len ? rdata.data[at++] : SIZE_MAX;
        if (len == 0) {
            break;
        }
        if (len > 63 || len > rdata.len - at || used + len + 1 > sizeof text ||
            memchr(rdata.data + at, '.', len) != NULL) {
            return false;
        }
        memcpy(text + used, rdata.data + at, len);
        used += len;
        at += len;
        text[used++] = '.';
    }
    out[0] = '\0';
    return used == 0 || dns_name_normalise(slice_of(text, used), out);
}

/* 1.2.3.4 as a name: what some write into MX records. */
static bool looks_like_address(const char *name)
{
    struct in_addr v4;
    return inet_pton(AF_INET, name, &v4) == 1;
}

static bool to_a_labels(struct slice domain, char out[DNS_NAME_MAX + 1])
{
    char *ascii = NULL;
    char text[4 * DNS_NAME_MAX + 1];
    if (domain.len >= sizeof text || !slice_is_text(domain)) {
        return false;
    }
    memcpy(text, domain.data, domain.len);
    text[domain.len] = '\0';
    bool good = idn2_lookup_u8((const uint8_t *)text, (uint8_t **)&ascii,
                               IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK &&
                dns_name_normalise(slice_of_text(ascii), out);
    idn2_free(ascii);
    return good;
}

bool mx_begin(struct mx_plan *p, struct slice domain, uint16_t port)
{
    memset(p, 0, sizeof *p);
    (void)!snprintf(p->domain, sizeof p->domain, "%.*s", (int)(domain.len < 200 ? domain.len : 200),
                    (const char *)domain.data);
    if (domain.len > 0 && domain.data[0] == '[') {
        struct mx_host *host = &p->hosts[0];
        p->is_address = true;
        if (!mx_literal(domain, port, &host->addresses[0])) {
            return end(p, MX_NO_DOMAIN, "that is not an address that mail can be sent to");
        }
        (void)!inet_ntop(host->addresses[0].any.sa_family,
                         host->addresses[0].any.sa_family == AF_INET
                             ? (const void *)&host->addresses[0].v4.sin_addr
                             : (const void *)&host->addresses[0].v6.sin6_addr,
                         host->name, sizeof host->name);
        host->count = 1;
        p->count = 1;
        return false;
    }
    for (size_t i = 0; i < domain.len; i++) {
        if (domain.data[i] >= 0x80) {
            return to_a_labels(domain, p->domain) ? true
                                                  : end(p, MX_NO_DOMAIN, "that is no name of a domain");
        }
    }
    return dns_name_normalise(domain, p->domain) ? true : end(p, MX_NO_DOMAIN, "that is no name of a domain");
}

/* --- MX records --- */

/* Random among equals: each host gets a random rank, and (preference, rank) is the order. */
struct ranked {
    uint16_t preference;
    uint64_t rank;
    char name[DNS_NAME_MAX + 1];
};

static bool comes_before(const struct ranked *a, const struct ranked *b)
{
    return a->preference != b->preference ? a->preference < b->preference : a->rank < b->rank;
}

/* Keeps the first MX_HOSTS_MAX in order; a name counts once, with its best preference. */
static void keep(struct ranked *list, size_t *count, const struct ranked *candidate)
{
    size_t at = 0;
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(list[i].name, candidate->name) == 0) {
            if (list[i].preference <= candidate->preference) {
                return;
            }
            memmove(&list[i], &list[i + 1], (*count - i - 1) * sizeof *list);
            (*count)--;
            break;
        }
    }
    while (at < *count && comes_before(&list[at], candidate)) {
        at++;
    }
    if (at == MX_HOSTS_MAX) {
        return;
    }
    size_t behind = *count - at - (*count == MX_HOSTS_MAX);
    memmove(&list[at + 1], &list[at], behind * sizeof *list);
    list[at] = *candidate;
    *count += *count < MX_HOSTS_MAX;
}

static bool read_records(struct mx_plan *p, const struct resolved *answer, uint64_t random)
{
    struct ranked list[MX_HOSTS_MAX], candidate;
    size_t count = 0;
    for (size_t i = 0; i < answer->count; i++) {
        struct slice r = answer->records[i];
        candidate.rank = random_next(&random);
        if (r.len < 3 || !mx_name_read(r, 2, candidate.name)) {
            continue; /* RFC 5321 section 5.1 wants a name: anything else is nobody */
        }
        candidate.preference = (uint16_t)(r.data[0] << 8 | r.data[1]);
        if (candidate.name[0] == '\0' && answer->count == 1) {
            return end(p, MX_NULL, "the domain takes no mail (null MX)");
        }
        if (candidate.name[0] != '\0' && !looks_like_address(candidate.name)) {
            keep(list, &count, &candidate);
        }
    }
    for (size_t i = 0; i < count; i++) {
        p->hosts[i].preference = list[i].preference;
        memcpy(p->hosts[i].name, list[i].name, sizeof list[i].name);
    }
    p->count = count;
    return count > 0 ? true : end(p, MX_NO_HOST, "none of its MX records names a host");
}

bool mx_read(struct mx_plan *p, const struct resolved *answer, uint64_t random)
{
    char why[200];
    p->secure = answer->secure;
    switch (answer->state) {
    case RESOLVED_FOUND:
        return read_records(p, answer, random);
    case RESOLVED_NO_DATA: /* RFC 5321 section 5.1: the implicit MX, only for want of any */
        p->implicit = true;
        p->count = 1;
        memcpy(p->hosts[0].name, p->domain, sizeof p->domain);
        return true;
    case RESOLVED_NO_NAME:
        return end(p, MX_NO_DOMAIN, "there is no such domain (NXDOMAIN)");
    case RESOLVED_BOGUS:
    case RESOLVED_SERVFAIL:
    case RESOLVED_TIMEOUT:
        break;
    }
    (void)!snprintf(why, sizeof why, "its MX records cannot be looked up now (%s)",
                    resolved_state_name(answer->state));
    return end(p, MX_LATER, why);
}

/* --- addresses --- */

/* Nobody can be there (RFC 6890): "this network", multicast, the unspecified address, IPv4 inside IPv6. */
static bool usable_v4(const uint8_t bytes[4])
{
    return bytes[0] != 0 && bytes[0] < 224;
}

static bool usable_v6(const struct in6_addr *a)
{
    return !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_MULTICAST(a) && !IN6_IS_ADDR_V4MAPPED(a) &&
           !IN6_IS_ADDR_LINKLOCAL(a);
}

void mx_address(struct mx_plan *p, size_t host, enum dns_type type, const struct resolved *answer)
{
    struct mx_host *h = &p->hosts[host];
    h->temporary = h->temporary || resolved_state_is_temporary(answer->state);
    h->insecure = h->insecure || !answer->secure;
    for (size_t i = 0; answer->state == RESOLVED_FOUND && i < answer->count; i++) {
        struct slice r = answer->records[i];
        if (type == DNS_TYPE_A && r.len == 4 && usable_v4(r.data) && h->v4_count < MX_ADDRESSES_MAX) {
            memcpy(&h->v4[h->v4_count++], r.data, 4);
        } else if (type == DNS_TYPE_AAAA && r.len == 16 && h->v6_count < MX_ADDRESSES_MAX) {
            memcpy(&h->v6[h->v6_count], r.data, 16);
            h->v6_count += usable_v6(&h->v6[h->v6_count]);
        }
    }
}

/* IPv6 first, then by turns (RFC 8305 section 4): one family that does not work costs one attempt each. Each
 * family begins at a random place. */
static void interleave(struct mx_host *h, uint16_t port, uint64_t *random)
{
    size_t four = h->v4_count > 0 ? random_next(random) % h->v4_count : 0;
    size_t six = h->v6_count > 0 ? random_next(random) % h->v6_count : 0;
    size_t took4 = 0, took6 = 0;
    h->secure = !h->insecure;
    while (h->count < MX_ADDRESSES_MAX && (took4 < h->v4_count || took6 < h->v6_count)) {
        union mx_sockaddr *to = &h->addresses[h->count++];
        memset(to, 0, sizeof *to);
        if (took6 < h->v6_count && (took6 <= took4 || took4 == h->v4_count)) {
            to->v6.sin6_family = AF_INET6;
            to->v6.sin6_port = htons(port);
            to->v6.sin6_addr = h->v6[(six + took6++) % h->v6_count];
        } else {
            to->v4.sin_family = AF_INET;
            to->v4.sin_port = htons(port);
            to->v4.sin_addr = h->v4[(four + took4++) % h->v4_count];
        }
    }
}

static bool same_address(const union mx_sockaddr *a, const union mx_sockaddr *b)
{
    if (a->any.sa_family != b->any.sa_family) {
        return false;
    }
    return a->any.sa_family == AF_INET
               ? a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr
               : a->v6.sin6_port == b->v6.sin6_port &&
                     memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

static bool is_own(const struct mx_host *h, const struct mx_own *own)
{
    if (own->name != NULL && slice_equal_nocase(slice_of_text(h->name), slice_of_text(own->name))) {
        return true;
    }
    for (size_t i = 0; i < h->count; i++) {
        for (size_t k = 0; k < own->count; k++) {
            if (same_address(&h->addresses[i], &own->addresses[k])) {
                return true;
            }
        }
    }
    return false;
}

void mx_finish(struct mx_plan *p, const struct mx_own *own, uint16_t port, uint64_t random)
{
    bool temporary = false, loop = false;
    size_t left = 0;
    uint16_t own_preference = 0;
    for (size_t i = 0; i < p->count; i++) { /* in the order of preference: the first of ours is the best */
        struct mx_host *h = &p->hosts[i];
        if (!p->is_address) {
            interleave(h, port, &random);
        }
        if (!loop && is_own(h, own)) {
            loop = true;
            own_preference = h->preference;
        }
    }
    for (size_t i = 0; i < p->count; i++) {
        const struct mx_host *h = &p->hosts[i];
        /* RFC 5321 section 5.1: who is as good as we are, or worse, would give it back to us. */
        if (loop && h->preference >= own_preference) {
            continue;
        }
        temporary = temporary || h->temporary;
        if (h->count > 0) {
            p->hosts[left++] = *h;
        }
    }
    p->count = left;
    if (left > 0) {
        p->fate = MX_HOSTS;
    } else if (temporary) {
        (void)end(p, MX_LATER, "the addresses of its hosts cannot be looked up now");
    } else if (loop) {
        (void)end(p, MX_LOOP, "its mail is for this host, which has no other way for it (mail loop)");
    } else {
        (void)end(p, MX_NO_HOST,
                  p->implicit ? "the domain has neither MX records nor an address"
                              : "none of the hosts of its MX records has an address");
    }
}
