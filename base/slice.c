/* Comparing and cutting borrowed bytes. Pure, any thread. */
#include "base/slice.h"

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
    return a.len == b.len && slice_starts_with_nocase(a, b);
}

int slice_compare(struct slice a, struct slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);

    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

bool slice_starts_with_nocase(struct slice s, struct slice prefix)
{
    if (s.len < prefix.len)
        return false;
    for (size_t i = 0; i < prefix.len; i++)
        if (lower(s.data[i]) != lower(prefix.data[i]))
            return false;
    return true;
}

size_t slice_find_byte(struct slice s, uint8_t byte)
{
    const uint8_t *at = s.len == 0 ? NULL : memchr(s.data, byte, s.len);

    return at == NULL ? s.len : (size_t)(at - s.data);
}

static uint8_t upper(uint8_t c)
{
    return c >= 'a' && c <= 'z' ? (uint8_t)(c - ('a' - 'A')) : c;
}

size_t slice_find_nocase(struct slice s, struct slice part)
{
    size_t at = 0;

    if (part.len == 0)
        return 0;
    if (part.len > s.len)
        return s.len;
    /* Its first byte in either case, by memchr; each of both is looked for again only when it was passed. */
    const size_t last = s.len - part.len + 1;
    const uint8_t first[2] = {lower(part.data[0]), upper(part.data[0])};
    size_t next[2];

    for (unsigned i = 0; i < 2; i++)
        next[i] = slice_find_byte(slice_of(s.data, last), first[i]);
    while ((at = next[0] < next[1] ? next[0] : next[1]) < last) {
        if (slice_starts_with_nocase(slice_of(s.data + at, s.len - at), part))
            return at;
        for (unsigned i = 0; i < 2; i++)
            if (next[i] == at)
                next[i] = at + 1 + slice_find_byte(slice_of(s.data + at + 1, last - at - 1), first[i]);
    }
    return s.len;
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Bytes of the UTF-8 sequence at the start of `s` (RFC 3629, section 4), or 0 if there is none. */
static size_t utf8_length(struct slice s)
{
    uint8_t first = s.data[0];
    uint8_t low = 0x80, high = 0xbf; /* of the second byte */
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || len > s.len)
        return 0;
    if (first == 0xe0)
        low = 0xa0; /* shorter forms exist below */
    else if (first == 0xed)
        high = 0x9f; /* surrogates */
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f; /* beyond U+10FFFF */
    if (len > 1 && (s.data[1] < low || s.data[1] > high))
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s.data[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

bool slice_is_text(struct slice s)
{
    while (s.len > 0) {
        size_t len = utf8_length(s);

        if (len == 0 || s.data[0] < ' ' || s.data[0] == 0x7f)
            return false;
        if (len == 2 && s.data[0] == 0xc2 && s.data[1] < 0xa0)
            return false; /* C1 */
        s = slice_of(s.data + len, s.len - len);
    }
    return true;
}

bool slice_parse_u64(struct slice s, uint64_t *out)
{
    uint64_t value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.data[i] - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}
