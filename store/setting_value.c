/*
 * Values of settings: from what an administrator types to a canonical text, and from the canonical text to
 * what the code reads. A refusal says what would be right. Pure, any thread.
 */
#include "store/setting.h"

#include "base/hex.h"
#include "store/records.h"
#include "store/setting_lookup.h"

#include <arpa/inet.h>

#define LIST_ITEMS_MAX 256

/* --- numbers with units --- */

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit byte_units[] = {
    {"", 1}, {"K", 1024}, {"M", (uint64_t)1 << 20}, {"G", (uint64_t)1 << 30}, {NULL, 0}};
static const struct unit time_units[] = {{"ms", 1},          {"s", 1000},         {"m", 60 * 1000},
                                         {"h", 3600 * 1000}, {"d", 86400 * 1000}, {NULL, 0}};

static bool parse_with_unit(struct slice text, const struct unit *units, uint64_t *out)
{
    size_t digits = 0;
    uint64_t number;

    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    if (!slice_parse_u64(slice_of(text.data, digits), &number))
        return false;
    for (; units->name != NULL; units++)
        if (slice_equal_nocase(slice_of(text.data + digits, text.len - digits), slice_of_text(units->name)))
            return !__builtin_mul_overflow(number, units->factor, out);
    return false;
}

/* --- lists --- */

/* The next item of a list separated by commas and white space; false at its end. */
static bool next_item(struct slice *rest, struct slice *item)
{
    size_t start = 0, end;

    while (start < rest->len &&
           (rest->data[start] == ',' || rest->data[start] == ' ' || rest->data[start] == '\t'))
        start++;
    for (end = start;
         end < rest->len && rest->data[end] != ',' && rest->data[end] != ' ' && rest->data[end] != '\t';)
        end++;
    if (end == start)
        return false;
    *item = slice_of(rest->data + start, end - start);
    *rest = slice_of(rest->data + end, rest->len - end);
    return true;
}

/* The next item of a list of texts: up to a comma, or an /expression/ up to its end. */
static bool next_text(struct slice *rest, struct slice *item)
{
    size_t end = 0;

    while (rest->len > 0 && (rest->data[0] == ',' || rest->data[0] == ' ' || rest->data[0] == '\t'))
        *rest = slice_of(rest->data + 1, rest->len - 1);
    if (rest->len == 0)
        return false;
    if (rest->data[0] == '/')
        for (end = 1; end < rest->len && rest->data[end] != '/'; end++)
            end += rest->data[end] == '\\' && end + 1 < rest->len;
    while (end < rest->len && rest->data[end] != ',')
        end++;
    *item = slice_trim(slice_of(rest->data, end));
    *rest = slice_of(rest->data + end, rest->len - end);
    return true;
}

struct network {
    uint8_t bytes[16];
    unsigned bits;
    bool v6;
};

static bool parse_ip(struct slice text, uint8_t bytes[16], bool *v6)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char copy[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *v6 = memchr(copy, ':', text.len) != NULL;
    if (inet_pton(*v6 ? AF_INET6 : AF_INET, copy, bytes) != 1)
        return false;
    if (*v6 && memcmp(bytes, mapped, sizeof(mapped)) == 0) {
        memmove(bytes, bytes + 12, 4);
        *v6 = false;
    }
    return true;
}

static bool parse_network(struct slice text, struct network *out)
{
    size_t slash = slice_find_byte(text, '/');
    uint64_t bits;

    if (!parse_ip(slice_of(text.data, slash), out->bytes, &out->v6))
        return false;
    out->bits = out->v6 ? 128 : 32;
    if (slash == text.len)
        return true;
    if (!slice_parse_u64(slice_of(text.data + slash + 1, text.len - slash - 1), &bits) || bits > out->bits)
        return false;
    out->bits = (unsigned)bits;
    return true;
}

static bool network_holds(const struct network *n, const uint8_t ip[16])
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    uint8_t mask = (uint8_t)(0xff << (8 - rest));

    if (memcmp(n->bytes, ip, whole) != 0)
        return false;
    return rest == 0 || ((n->bytes[whole] ^ ip[whole]) & mask) == 0;
}

static bool check_item(enum setting_type type, const struct setting *s, struct slice item)
{
    struct network network;
    struct slice host;
    uint16_t port;
    uint64_t ms;
    uint8_t thumbprint[THUMBPRINT_SIZE];

    switch (type) {
    case SETTING_THUMBPRINTS:
        return item.len == 2 * THUMBPRINT_SIZE && hex_parse(item, thumbprint, sizeof(thumbprint));
    case SETTING_NETWORKS:
        return parse_network(item, &network) && (s->max == 0 || slice_find_byte(item, '/') == item.len);
    case SETTING_HOSTS:
        return endpoint_parse(item, &host, &port);
    default:
        return parse_with_unit(item, time_units, &ms) && ms >= s->min && ms <= s->max;
    }
}

static enum status canonical_list(const struct setting *s, struct slice value, const char *right,
                                  struct buf *out, struct failure *f)
{
    struct slice item;
    size_t count = 0;
    enum status status = STATUS_OK;

    while (status == STATUS_OK && next_item(&value, &item)) {
        if (++count > LIST_ITEMS_MAX)
            return failure_set(f, STATUS_INVALID, "%s: a list holds at most %d items", s->name,
                               LIST_ITEMS_MAX);
        if (!check_item(s->type, s, item))
            return failure_set(f, STATUS_INVALID, "%s: \"%.*s\" does not fit; %s", s->name,
                               (int)(item.len < 100 ? item.len : 100), (const char *)item.data, right);
        if (count > 1)
            status = buf_append_byte(out, ',');
        if (status == STATUS_OK)
            status = buf_append_slice(out, item);
    }
    if (status == STATUS_OK && count == 0 && s->type == SETTING_DURATIONS)
        return failure_set(f, STATUS_INVALID, "%s needs at least one; %s", s->name, right);
    return status;
}

/* --- a value of each type --- */

/* The choice that `value` is, in any case of letters; empty if none. */
static struct slice find_choice(const struct setting *s, struct slice value)
{
    struct slice rest = slice_of_text(s->choices);

    while (rest.len > 0) {
        size_t bar = slice_find_byte(rest, '|');
        struct slice choice = slice_of(rest.data, bar);

        if (slice_equal_nocase(choice, value))
            return choice;
        rest = bar < rest.len ? slice_of(rest.data + bar + 1, rest.len - bar - 1) : (struct slice){0};
    }
    return rest;
}

static enum status canonical_choice(const struct setting *s, struct slice value, struct buf *out,
                                    struct failure *f)
{
    struct slice choice = find_choice(s, value);

    if (choice.len > 0)
        return buf_append_slice(out, choice);
    return failure_set(f, STATUS_INVALID, "%s: \"%.*s\" does not fit; it is one of: %s", s->name,
                       (int)(value.len < 100 ? value.len : 100), (const char *)value.data, s->choices);
}

/* Is `item` in the list that `out` holds? */
static bool list_has(const struct buf *out, struct slice item)
{
    struct slice rest = buf_slice(out), one;

    while (next_item(&rest, &one))
        if (slice_equal(one, item))
            return true;
    return false;
}

static enum status canonical_addresses(const struct setting *s, struct slice value, struct buf *out,
                                       struct failure *f)
{
    struct slice item;
    struct failure why = {0};
    char address[ADDRESS_MAX + 1];
    enum status status = STATUS_OK;

    for (size_t count = 0; status == STATUS_OK && next_item(&value, &item);) {
        if (address_normalise(item, address, &why) != STATUS_OK)
            return failure_set(f, STATUS_INVALID, "%s: \"%.*s\" is no mail address like admin@example.org",
                               s->name, (int)(item.len < 100 ? item.len : 100), (const char *)item.data);
        if (list_has(out, slice_of_text(address)))
            continue;
        if (++count > s->max)
            return failure_set(f, STATUS_INVALID, "%s: a list of at most %llu addresses", s->name,
                               (unsigned long long)s->max);
        if (count > 1)
            status = buf_append_byte(out, ',');
        if (status == STATUS_OK)
            status = buf_append_text(out, address);
    }
    return status;
}

static enum status canonical_choices(const struct setting *s, struct slice value, struct buf *out,
                                     struct failure *f)
{
    struct slice item;
    enum status status = STATUS_OK;

    while (status == STATUS_OK && next_item(&value, &item)) {
        struct slice choice = find_choice(s, item);

        if (choice.len == 0)
            return failure_set(f, STATUS_INVALID, "%s: \"%.*s\" does not fit; a list of these: %s", s->name,
                               (int)(item.len < 100 ? item.len : 100), (const char *)item.data, s->choices);
        if (list_has(out, choice))
            return failure_set(f, STATUS_INVALID, "%s: %.*s is in the list twice", s->name,
                               SLICE_ARGS(choice));
        if (out->len > 0)
            status = buf_append_byte(out, ',');
        if (status == STATUS_OK)
            status = buf_append_slice(out, choice);
    }
    return status;
}

/* Whether an expression is one that can be compiled is judged where it is proposed (mail/pattern.h). */
static enum status canonical_texts(const struct setting *s, struct slice value, struct buf *out,
                                   struct failure *f)
{
    struct slice item;
    size_t count = 0;
    enum status status = STATUS_OK;

    while (status == STATUS_OK && next_text(&value, &item)) {
        if (++count > LIST_ITEMS_MAX)
            return failure_set(f, STATUS_INVALID, "%s: a list holds at most %d items", s->name,
                               LIST_ITEMS_MAX);
        if (item.len < s->min || item.len > s->max)
            return failure_set(f, STATUS_INVALID, "%s: an item has %llu to %llu characters", s->name,
                               (unsigned long long)s->min, (unsigned long long)s->max);
        if (item.data[0] == '/' && (item.len < 3 || item.data[item.len - 1] != '/'))
            return failure_set(f, STATUS_INVALID, "%s: an expression looks like /urgent|secret/", s->name);
        if (count > 1)
            status = buf_append_byte(out, ',');
        if (status == STATUS_OK)
            status = buf_append_slice(out, item);
    }
    return status;
}

static enum status canonical_number(const struct setting *s, struct slice value, struct buf *out,
                                    struct failure *f)
{
    static const char *const examples[] = {[SETTING_INTEGER] = "a number",
                                           [SETTING_BYTES] = "bytes, like 64K or 50M",
                                           [SETTING_DURATION] = "a time, like 500ms, 30s, 10m, 4h or 5d"};
    const char *unit = s->type == SETTING_DURATION ? " ms" : "";
    uint64_t number;
    bool good;

    if (s->type == SETTING_INTEGER)
        good = slice_parse_u64(value, &number);
    else
        good = parse_with_unit(value, s->type == SETTING_BYTES ? byte_units : time_units, &number);
    if (!good || number < s->min || number > s->max)
        return failure_set(f, STATUS_INVALID, "%s: \"%.*s\" does not fit; it is %s from %llu%s to %llu%s",
                           s->name, (int)(value.len < 100 ? value.len : 100), (const char *)value.data,
                           examples[s->type], (unsigned long long)s->min, unit, (unsigned long long)s->max,
                           unit);
    if (s->type == SETTING_DURATION)
        return buf_append_slice(out, value);
    return buf_printf(out, "%llu", (unsigned long long)number);
}

static bool printable(struct slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < ' ' || value.data[i] == 0x7f)
            return false;
    return true;
}

static enum status canonical_lookups(const struct setting *s, struct slice value, struct buf *out,
                                     struct failure *f)
{
    struct slice item;
    enum status status = STATUS_OK;

    for (size_t count = 0; status == STATUS_OK && lookup_next(&value, &item); count++) {
        if (count == SETTING_LOOKUPS_MAX)
            return failure_set(f, STATUS_INVALID, "%s: at most %d directories", s->name, SETTING_LOOKUPS_MAX);
        status = lookup_check(item, f);
        if (status != STATUS_OK)
            return failure_wrap(f, status, "%s", s->name);
        if (count > 0)
            status = buf_append_byte(out, ' ');
        if (status == STATUS_OK)
            status = buf_append_slice(out, item);
    }
    return status;
}

enum status setting_canonical(const struct setting *s, struct slice value, struct buf *out, struct failure *f)
{
    value = slice_trim(value);
    if (value.len > SETTING_VALUE_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "%s: a value has at most %d bytes", s->name,
                           SETTING_VALUE_MAX);
    if (!printable(value))
        return failure_set(f, STATUS_INVALID, "%s: a value holds no control characters", s->name);
    switch (s->type) {
    case SETTING_BOOL:
        if (slice_equal_nocase(value, SLICE_LITERAL("true")) ||
            slice_equal_nocase(value, SLICE_LITERAL("on")))
            value = SLICE_LITERAL("yes");
        if (slice_equal_nocase(value, SLICE_LITERAL("false")) ||
            slice_equal_nocase(value, SLICE_LITERAL("off")))
            value = SLICE_LITERAL("no");
        return canonical_choice(s, value, out, f);
    case SETTING_CHOICE:
        return canonical_choice(s, value, out, f);
    case SETTING_INTEGER:
    case SETTING_BYTES:
    case SETTING_DURATION:
        return canonical_number(s, value, out, f);
    case SETTING_DURATIONS:
        return canonical_list(s, value, "times within its range, like 1m,5m,30m", out, f);
    case SETTING_NETWORKS:
        return canonical_list(s, value,
                              s->max == 0 ? "networks look like 10.0.0.0/8 or 2001:db8::/32"
                                          : "addresses look like 192.0.2.1 or 2001:db8::1",
                              out, f);
    case SETTING_HOSTS:
        return canonical_list(s, value, "a next hop looks like mail.example.org:25 or [2001:db8::1]:25", out,
                              f);
    case SETTING_THUMBPRINTS:
        return canonical_list(s, value, "a thumbprint is the SHA-256 of a certificate, 64 hexadecimal digits",
                              out, f);
    case SETTING_TEXT:
        if (value.len < s->min || value.len > s->max)
            return failure_set(f, STATUS_INVALID, "%s has %llu to %llu characters", s->name,
                               (unsigned long long)s->min, (unsigned long long)s->max);
        return buf_append_slice(out, value);
    case SETTING_CHOICES:
        return canonical_choices(s, value, out, f);
    case SETTING_TEXTS:
        return canonical_texts(s, value, out, f);
    case SETTING_LOOKUPS:
        return canonical_lookups(s, value, out, f);
    case SETTING_ADDRESSES:
        return canonical_addresses(s, value, out, f);
    }
    return failure_set(f, STATUS_INTERNAL, "%s has an unknown type", s->name);
}

bool setting_bool(const struct setting_value *value)
{
    return slice_equal(value->text, SLICE_LITERAL("yes"));
}

uint64_t setting_number(const struct setting_value *value)
{
    uint64_t number = 0;

    if (value->setting->type == SETTING_INTEGER)
        (void)slice_parse_u64(value->text, &number);
    else
        (void)parse_with_unit(value->text, value->setting->type == SETTING_DURATION ? time_units : byte_units,
                              &number);
    return number;
}

size_t setting_choice(const struct setting_value *value)
{
    struct slice rest = slice_of_text(value->setting->choices);

    for (size_t position = 0;; position++) {
        size_t bar = slice_find_byte(rest, '|');

        if (bar == rest.len || slice_equal(slice_of(rest.data, bar), value->text))
            return position;
        rest = slice_of(rest.data + bar + 1, rest.len - bar - 1);
    }
}

uint64_t setting_duration_at(const struct setting_value *value, size_t i)
{
    struct slice rest = value->text, item;
    uint64_t ms = 0;

    for (size_t at = 0; at <= i && next_item(&rest, &item); at++)
        (void)parse_with_unit(item, time_units, &ms);
    return ms;
}

bool setting_text_at(const struct setting_value *value, size_t i, struct slice *text)
{
    struct slice rest = value->text;
    bool plain = value->setting->type == SETTING_CHOICES || value->setting->type == SETTING_ADDRESSES;

    for (size_t at = 0; plain ? next_item(&rest, text) : next_text(&rest, text); at++)
        if (at == i)
            return true;
    return false;
}

bool setting_item_at(const struct setting_value *value, size_t i, struct slice *item)
{
    struct slice rest = value->text;

    for (size_t at = 0; next_item(&rest, item); at++)
        if (at == i)
            return true;
    return false;
}

bool setting_networks_hold(const struct setting_value *value, struct slice ip)
{
    struct slice rest = value->text, item;
    struct network network;
    uint8_t bytes[16];
    bool v6;

    if (!parse_ip(ip, bytes, &v6))
        return false;
    while (next_item(&rest, &item))
        if (parse_network(item, &network) && network.v6 == v6 && network_holds(&network, bytes))
            return true;
    return false;
}

bool setting_thumbprint_at(const struct setting_value *value, size_t i, uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct slice rest = value->text, item;

    for (size_t at = 0; next_item(&rest, &item); at++)
        if (at == i)
            return hex_parse(item, thumbprint, THUMBPRINT_SIZE);
    return false;
}

bool setting_host_at(const struct setting_value *value, size_t i, struct slice *host, uint16_t *port)
{
    struct slice rest = value->text, item;

    for (size_t at = 0; next_item(&rest, &item); at++)
        if (at == i)
            return endpoint_parse(item, host, port);
    return false;
}
