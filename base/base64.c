/* Base64 (base/base64.h), without tables: what is decoded may be a password. */
#include "base/base64.h"

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* How many of the four are digits; 0: no group. */
static size_t group_digits(const uint8_t *group, bool last)
{
    size_t digits = 0;
    while (digits < 4 && value_of(group[digits]) >= 0) {
        digits++;
    }
    for (size_t i = digits; i < 4; i++) {
        if (group[i] != '=') {
            return 0;
        }
    }
    return digits == 4 || (last && digits >= 2) ? digits : 0;
}

static bool group_read(const uint8_t *group, bool last, struct buf *out)
{
    size_t digits = group_digits(group, last);
    unsigned bits = 0;
    if (digits == 0) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        bits = bits << 6 | (i < digits ? (unsigned)value_of(group[i]) : 0u);
    }
    uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
    size_t count = digits - 1;
    for (size_t i = count; i < 3; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    memcpy(out->data + out->len, bytes, count);
    out->len += count;
    return true;
}

enum status base64_decode(struct slice in, struct buf *out)
{
    size_t before = out->len;
    if (in.len % 4 != 0) {
        return STATUS_MALFORMED;
    }
    enum status status = buf_reserve(out, in.len / 4 * 3);
    for (size_t i = 0; i < in.len && status == STATUS_OK; i += 4) {
        if (!group_read(in.data + i, i + 4 == in.len, out)) {
            status = STATUS_MALFORMED;
        }
    }
    if (status != STATUS_OK) {
        out->len = before;
    }
    return status;
}
