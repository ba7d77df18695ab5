/*
 * Mail addresses and domains in the form in which the store keeps and compares them: lower case, without
 * comments or quotes that need not be. The local part is lower-cased as well: no system in use tells
 * addresses apart by case, and a certificate for Alice@ must be found for alice@. Pure, any thread.
 */
#include "store/records.h"

#include <arpa/inet.h>

#define HOST_MAX 253 /* bytes: RFC 1035 without the root */

static bool is_domain_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* Labels of 1 to 63 bytes; 255 in all; "[literal]" as it is. The dot of the root is dropped: "example.org."
 * is the same domain, and must not get round what is set for it. */
static bool write_domain(struct slice domain, char *out)
{
    size_t label = 0;

    if (domain.len > 1 && domain.data[domain.len - 1] == '.')
        domain.len--;
    if (domain.len == 0 || domain.len > DOMAIN_MAX)
        return false;
    if (domain.data[0] == '[') {
        for (size_t i = 0; i < domain.len; i++) {
            uint8_t c = domain.data[i];

            if (c <= ' ' || c >= 0x7f || (c == '[') != (i == 0) || (c == ']') != (i == domain.len - 1))
                return false;
            out[i] = (char)lower(c);
        }
        out[domain.len] = '\0';
        return domain.len > 2;
    }
    for (size_t i = 0; i < domain.len; i++) {
        uint8_t c = lower(domain.data[i]);

        if (!is_domain_byte(c))
            return false;
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
        } else if (++label > 63) {
            return false;
        }
        out[i] = (char)c;
    }
    out[domain.len] = '\0';
    return label > 0;
}

/* What a text may look like in an error: printable ASCII, and not too long. */
static struct slice shown(struct slice s, char out[64])
{
    size_t len = s.len < 63 ? s.len : 63;

    for (size_t i = 0; i < len; i++)
        out[i] = s.data[i] > ' ' && s.data[i] < 0x7f ? (char)s.data[i] : '?';
    return slice_of(out, len);
}

enum status domain_normalise(struct slice domain, char out[DOMAIN_MAX + 1], struct failure *f)
{
    char text[64];
    bool wildcard = slice_starts_with(domain, SLICE_LITERAL("*."));
    struct slice rest = wildcard ? slice_of(domain.data + 2, domain.len - 2) : domain;

    if (domain.len <= DOMAIN_MAX && (!wildcard || (rest.len > 0 && rest.data[0] != '[')) &&
        write_domain(rest, out + (wildcard ? 2 : 0))) {
        if (wildcard) {
            out[0] = '*';
            out[1] = '.';
        }
        return STATUS_OK;
    }
    return failure_set(f, STATUS_INVALID,
                       "\"%.*s\" is no domain; it looks like example.org, or *.example.org for all below it",
                       SLICE_ARGS(shown(domain, text)));
}

enum status address_normalise(struct slice address, char out[ADDRESS_MAX + 1], struct failure *f)
{
    char text[64];
    size_t at = address.len;
    bool good = address.len <= ADDRESS_MAX;

    while (at > 0 && address.data[at - 1] != '@')
        at--;
    good = good && at > 1 && at - 1 <= 64 + 2;
    for (size_t i = 0; good && i + 1 < at; i++) {
        uint8_t c = address.data[i];

        good = c > ' ' && c != 0x7f && (c != '@' || address.data[0] == '"');
        out[i] = (char)lower(c);
    }
    if (good && at > 0)
        out[at - 1] = '@';
    if (good && write_domain(slice_of(address.data + at, address.len - at), out + at))
        return STATUS_OK;
    return failure_set(f, STATUS_INVALID, "\"%.*s\" is no mail address; it looks like name@example.org",
                       SLICE_ARGS(shown(address, text)));
}

struct slice address_domain(struct slice address)
{
    size_t at = address.len;

    while (at > 0 && address.data[at - 1] != '@')
        at--;
    return at == 0 ? (struct slice){0} : slice_of(address.data + at, address.len - at);
}

static bool is_host_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

/* Cuts "[v6]..." or "host..." into the host without brackets and what follows. */
static bool cut_host(struct slice text, struct slice *host, struct slice *rest)
{
    uint8_t bytes[16];
    char copy[INET6_ADDRSTRLEN];
    size_t end;

    if (text.len > 0 && text.data[0] == '[') {
        end = slice_find_byte(text, ']');
        if (end == text.len || end - 1 >= sizeof(copy))
            return false;
        *host = slice_of(text.data + 1, end - 1);
        *rest = slice_of(text.data + end + 1, text.len - end - 1);
        memcpy(copy, host->data, host->len);
        copy[host->len] = '\0';
        return inet_pton(AF_INET6, copy, bytes) == 1;
    }
    end = slice_find_byte(text, ':');
    *host = slice_of(text.data, end);
    *rest = slice_of(text.data + end, text.len - end);
    for (size_t i = 0; i < host->len; i++)
        if (!is_host_byte(host->data[i]))
            return false;
    return host->len > 0 && host->len <= HOST_MAX;
}

bool endpoint_parse(struct slice text, struct slice *host, uint16_t *port)
{
    struct slice rest;
    uint64_t number = 0;

    if (!cut_host(text, host, &rest))
        return false;
    if (rest.len > 0 &&
        (rest.data[0] != ':' || !slice_parse_u64(slice_of(rest.data + 1, rest.len - 1), &number) ||
         number == 0 || number > 65535))
        return false;
    *port = (uint16_t)number;
    return true;
}
