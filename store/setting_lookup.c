/* See setting_lookup.h. Pure; any thread. */
#include "store/setting_lookup.h"

#include "store/records.h"

#define EXAMPLE "like ldap://directory.example.org/o=Example?userCertificate;binary?sub?(mail=%%s)"

bool lookup_next(struct slice *rest, struct slice *item)
{
    *rest = slice_trim(*rest);
    if (rest->len == 0)
        return false;
    size_t end = slice_find_byte(*rest, ' ');

    *item = slice_of(rest->data, end);
    *rest = slice_of(rest->data + end, rest->len - end);
    return true;
}

/* How many %s there are; -1 when a % is neither that nor the start of two hexadecimal digits. */
static int placeholders(struct slice text)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    int count = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '%')
            continue;
        if (i + 1 < text.len && text.data[i + 1] == 's')
            count++;
        else if (i + 2 >= text.len || memchr(hex, text.data[i + 1], sizeof(hex) - 1) == NULL ||
                 memchr(hex, text.data[i + 2], sizeof(hex) - 1) == NULL)
            return -1;
    }
    return count;
}

static struct slice next_part(struct slice *rest, uint8_t end)
{
    size_t at = slice_find_byte(*rest, end);
    struct slice part = slice_of(rest->data, at);

    *rest = at < rest->len ? slice_of(rest->data + at + 1, rest->len - at - 1)
                           : slice_of(rest->data + rest->len, 0);
    return part;
}

enum status lookup_check(struct slice url, struct failure *f)
{
    struct slice rest = url, host;
    uint16_t port;
    const char *wrong = NULL;

    if (slice_starts_with_nocase(url, SLICE_LITERAL("ldap://")))
        rest = slice_of(url.data + 7, url.len - 7);
    else if (slice_starts_with_nocase(url, SLICE_LITERAL("ldaps://")))
        rest = slice_of(url.data + 8, url.len - 8);
    else
        wrong = "it begins with ldap:// or ldaps://";
    struct slice authority = next_part(&rest, '/');
    struct slice base = next_part(&rest, '?'), attributes = next_part(&rest, '?'),
                 scope = next_part(&rest, '?');

    if (wrong != NULL)
        ;
    else if (slice_find_byte(authority, '@') < authority.len)
        wrong = "a user or password has no place in it";
    else if (authority.len == 0 || !endpoint_parse(authority, &host, &port))
        wrong = "the server is HOST or HOST:PORT";
    else if (attributes.len == 0 || placeholders(attributes) != 0 || placeholders(base) != 0)
        wrong = "it names the attribute with the certificate, without %s";
    else if (!slice_equal(scope, SLICE_LITERAL("sub")) && !slice_equal(scope, SLICE_LITERAL("one")) &&
             !slice_equal(scope, SLICE_LITERAL("base")))
        wrong = "the scope is sub, one or base";
    else if (rest.len < 3 || rest.data[0] != '(' || placeholders(rest) != 1 ||
             slice_find_byte(rest, '?') < rest.len)
        wrong = "the filter is in brackets and has %s once, where the address will stand";
    return wrong == NULL ? STATUS_OK
                         : failure_set(f, STATUS_INVALID, "\"%.*s\" does not fit: %s; " EXAMPLE,
                                       (int)(url.len < 100 ? url.len : 100), (const char *)url.data, wrong);
}
