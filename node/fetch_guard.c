/* See fetch_guard.h. The networks are those of the IANA registries of special-purpose addresses (RFC 6890).
 * Pure. */
#include "node/fetch_guard.h"

#include "store/records.h"
#include "store/setting.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct network {
    uint8_t bytes[16];
    unsigned bits;
};

static const struct network closed_v4[] = {
    {{0}, 8},             /* this network */
    {{10}, 8},            /* private */
    {{100, 64}, 10},      /* shared by carriers */
    {{127}, 8},           /* loopback */
    {{169, 254}, 16},     /* link-local; the metadata services of clouds */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2}, 24},    /* documentation */
    {{192, 88, 99}, 24},  /* 6to4 relays */
    {{192, 168}, 16},     /* private */
    {{198, 18}, 15},      /* benchmarks */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{224}, 4},           /* multicast */
    {{240}, 4},           /* reserved, broadcast */
};

/* Nothing is open outside 2000::/3, the space of global addresses; these lie within it. */
static const struct network closed_v6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* protocol assignments, with Teredo */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff}, 20},             /* documentation */
};

static const uint8_t global_v6[] = {0x20}, six_to_four[] = {0x20, 0x02};
static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b}, mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool network_holds(const uint8_t *network, unsigned bits, const uint8_t *ip)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(network, ip, whole) != 0) {
        return false;
    }
    return rest == 0 || ((network[whole] ^ ip[whole]) & (uint8_t)(0xff << (8 - rest))) == 0;
}

static bool closed_in(const struct network *list, size_t count, const uint8_t *ip)
{
    for (size_t i = 0; i < count; i++) {
        if (network_holds(list[i].bytes, list[i].bits, ip)) {
            return true;
        }
    }
    return false;
}

static bool v4_is_closed(const uint8_t ip[4])
{
    return closed_in(closed_v4, sizeof closed_v4 / sizeof closed_v4[0], ip);
}

static bool v6_is_closed(const uint8_t ip[16])
{
    if (memcmp(ip, mapped, sizeof mapped) == 0 || memcmp(ip, nat64, sizeof nat64) == 0) {
        return v4_is_closed(ip + 12);
    }
    if (network_holds(six_to_four, 16, ip)) {
        return v4_is_closed(ip + 2);
    }
    return !network_holds(global_v6, 3, ip) ||
           closed_in(closed_v6, sizeof closed_v6 / sizeof closed_v6[0], ip);
}

enum status fetch_guard_address(const struct sockaddr *address, struct slice allowed, struct failure *f)
{
    struct setting_value value = {.setting = setting_at(SETTING_FETCH_ALLOW_NETWORKS), .text = allowed};
    char text[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    bool closed;
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        closed = v4_is_closed((const uint8_t *)&v4.sin_addr);
        (void)inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        closed = v6_is_closed(v6.sin6_addr.s6_addr);
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    } else {
        return failure_set(f, STATUS_DENIED, "only IPv4 and IPv6 are allowed");
    }
    if (!closed || setting_networks_hold(&value, slice_of_text(text))) {
        return STATUS_OK;
    }
    return failure_set(f, STATUS_DENIED,
                       "the address %s is private or reserved and fetch.allow_networks does not name it",
                       text);
}

static bool is_host_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == ':';
}

enum status fetch_guard_url(struct slice url, char host[FETCH_HOST_MAX + 1], struct failure *f)
{
    struct slice rest, name;
    uint16_t port;
    host[0] = '\0';
    if (url.len > FETCH_URL_MAX) {
        return failure_set(f, STATUS_INVALID, "the URL is longer than %d bytes", FETCH_URL_MAX);
    }
    for (size_t i = 0; i < url.len; i++) {
        if (url.data[i] <= ' ' || url.data[i] >= 0x7f || url.data[i] == '\\') {
            return failure_set(f, STATUS_INVALID, "the URL has characters that do not belong there");
        }
    }
    if (slice_starts_with_nocase(url, SLICE_LITERAL("http://"))) {
        rest = slice_of(url.data + 7, url.len - 7);
    } else if (slice_starts_with_nocase(url, SLICE_LITERAL("https://"))) {
        rest = slice_of(url.data + 8, url.len - 8);
    } else {
        return failure_set(f, STATUS_INVALID, "the URL is neither http nor https");
    }
    size_t end = 0;
    while (end < rest.len && rest.data[end] != '/' && rest.data[end] != '?' && rest.data[end] != '#') {
        end++;
    }
    rest.len = end;
    if (slice_find_byte(rest, '@') < rest.len) {
        return failure_set(f, STATUS_INVALID, "the URL names a user");
    }
    if (!endpoint_parse(rest, &name, &port) || name.len == 0 || name.len > FETCH_HOST_MAX) {
        return failure_set(f, STATUS_INVALID, "the URL has no host that can be read");
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!is_host_byte(name.data[i])) {
            return failure_set(f, STATUS_INVALID, "the URL has no host that can be read");
        }
        host[i] = (char)(name.data[i] >= 'A' && name.data[i] <= 'Z' ? name.data[i] + 32 : name.data[i]);
    }
    host[name.len] = '\0';
    return STATUS_OK;
}
