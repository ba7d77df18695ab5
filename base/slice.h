/*
 * A slice is a borrowed run of bytes: it owns nothing and is valid as long as what it points into.
 * It is passed by value. It may hold NUL bytes; it has no terminator.
 */
#ifndef SEALPOST_BASE_SLICE_H
#define SEALPOST_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;          /* bytes */
};

#define SLICE_LITERAL(s) ((struct slice){(const uint8_t *)(s), sizeof(s) - 1})
/* For printf's "%.*s": SLICE_ARGS(s). Only for text that was checked or escaped before. */
#define SLICE_ARGS(s) (int)(s).len, (const char *)(s).data

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){(const uint8_t *)data, len};
}

static inline struct slice slice_of_text(const char *text)
{
    return (struct slice){(const uint8_t *)text, text != NULL ? strlen(text) : 0};
}

bool slice_equal(struct slice a, struct slice b);
/* ASCII letters compare without regard to case; other bytes exactly. */
bool slice_equal_nocase(struct slice a, struct slice b);
/* As memcmp, the shorter first when one is a prefix of the other. */
int slice_compare(struct slice a, struct slice b);
bool slice_starts_with(struct slice s, struct slice prefix);
bool slice_starts_with_nocase(struct slice s, struct slice prefix);
/* Index of the first `byte`, or s.len. */
size_t slice_find_byte(struct slice s, uint8_t byte);
/* Where `part` begins first, by ASCII letters without regard to case; s.len if nowhere. "" is at 0. */
size_t slice_find_nocase(struct slice s, struct slice part);
/* Without leading and trailing spaces and tabs. */
struct slice slice_trim(struct slice s);
/* Well-formed UTF-8 (RFC 3629) without control characters (C0, DEL, C1). Empty is text. */
bool slice_is_text(struct slice s);
/* Decimal digits only, no sign, no overflow: false (and *out untouched) otherwise. */
bool slice_parse_u64(struct slice s, uint64_t *out);

#endif
