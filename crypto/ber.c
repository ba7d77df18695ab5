/*
 * See ber.h. The end of an element of indefinite length is found in a loop with a bounded depth, not by
 * recursion. Pure; any thread.
 */
#include "crypto/ber.h"

#define NESTING_MAX 32

/* Identifier and length octets at `at`: moves behind them. An indefinite length gives *indefinite. */
static bool read_head(struct slice *at, uint8_t *tag, size_t *len, bool *indefinite)
{
    size_t i = 1, value = 0, count;
    const uint8_t *p = at->data;

    if (at->len < 2)
        return false;
    *tag = p[0];
    if ((p[0] & 0x1f) == 0x1f) { /* a tag number in further octets */
        while (i < at->len && (p[i] & 0x80) != 0)
            i++;
        i++;
    }
    if (i >= at->len)
        return false;
    *indefinite = p[i] == 0x80;
    if (p[i] <= 0x80) {
        value = p[i] & 0x7f;
        i++;
    } else {
        count = p[i++] & 0x7f;
        if (count > at->len - i)
            return false;
        for (; count > 0; count--, i++) {
            if (value > (SIZE_MAX >> 8))
                return false;
            value = value << 8 | p[i];
        }
    }
    if (*indefinite && (p[0] & 0x20) == 0)
        return false;
    *at = slice_of(p + i, at->len - i);
    *len = value;
    return value <= at->len;
}

bool ber_next(struct slice *in, struct ber_element *e)
{
    struct slice at = *in;
    size_t len, depth = 1;
    const uint8_t *start;
    bool indefinite;
    uint8_t tag;

    if (!read_head(&at, &e->tag, &len, &indefinite))
        return false;
    start = at.data;
    if (!indefinite) {
        e->content = slice_of(start, len);
        e->whole = slice_of(in->data, (size_t)(start - in->data) + len);
        *in = slice_of(start + len, at.len - len);
        return true;
    }
    while (depth > 0) {
        if (at.len >= 2 && at.data[0] == 0 && at.data[1] == 0) {
            at = slice_of(at.data + 2, at.len - 2);
            depth--;
            continue;
        }
        if (!read_head(&at, &tag, &len, &indefinite))
            return false;
        if (indefinite) {
            if (++depth > NESTING_MAX)
                return false;
        } else {
            at = slice_of(at.data + len, at.len - len);
        }
    }
    e->content = slice_of(start, (size_t)(at.data - start) - 2);
    e->whole = slice_of(in->data, (size_t)(at.data - in->data));
    *in = at;
    return true;
}

bool ber_next_is(struct slice *in, uint8_t tag, struct ber_element *e)
{
    return ber_next(in, e) && e->tag == tag;
}

bool ber_optional(struct slice *in, uint8_t tag, struct ber_element *e)
{
    return in->len > 0 && in->data[0] == tag && ber_next(in, e);
}

enum status ber_octets(const struct ber_element *e, struct buf *out)
{
    struct slice in = e->content;
    struct ber_element piece;
    enum status status = STATUS_OK;

    if (e->tag == BER_OCTETS)
        return buf_append_slice(out, e->content);
    if (e->tag != BER_OCTETS_IN_PIECES)
        return STATUS_MALFORMED;
    while (in.len > 0 && status == STATUS_OK)
        status =
            ber_next_is(&in, BER_OCTETS, &piece) ? buf_append_slice(out, piece.content) : STATUS_MALFORMED;
    return status;
}
