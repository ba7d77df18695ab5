/* See node/fetch_dns_text.h. */
#include "node/fetch_dns_text.h"

#include "base/hex.h"

#define TEXT_MAX 1024

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s = slice_of(s.data + 1, s.len - 1);
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

/* The next tag of `rest`, which becomes what follows; false: the end. */
static bool next_tag(struct slice *rest, struct slice *name, struct slice *value)
{
    if (rest->len == 0) {
        return false;
    }
    size_t end = slice_find_byte(*rest, ';');
    struct slice tag = slice_of(rest->data, end);
    *rest = end == rest->len ? slice_of(NULL, 0) : slice_of(rest->data + end + 1, rest->len - end - 1);
    size_t equals = slice_find_byte(tag, '=');
    *name = trim(slice_of(tag.data, equals));
    *value =
        equals == tag.len ? slice_of(NULL, 0) : trim(slice_of(tag.data + equals + 1, tag.len - equals - 1));
    return true;
}

/* The strings of a record are one text (RFC 7208 section 3.3 reads them so too). */
static bool join(struct slice rdata, uint8_t text[TEXT_MAX], struct slice *out)
{
    size_t len = 0;
    while (rdata.len > 0) {
        size_t one = rdata.data[0];
        if (one > rdata.len - 1 || one > TEXT_MAX - len) {
            return false;
        }
        memcpy(text + len, rdata.data + 1, one);
        len += one;
        rdata = slice_of(rdata.data + 1 + one, rdata.len - 1 - one);
    }
    *out = slice_of(text, len);
    return true;
}

static void insert(struct dns_fingerprints *out, const uint8_t thumbprint[THUMBPRINT_SIZE])
{
    size_t at = 0;
    int order = 1;
    while (at < out->count && (order = memcmp(out->list[at], thumbprint, THUMBPRINT_SIZE)) < 0) {
        at++;
    }
    if (at < out->count && order == 0) {
        return;
    }
    if (out->count == DOMAIN_DNS_FINGERPRINTS_MAX) {
        out->too_many = true;
        return;
    }
    memmove(out->list[at + 1], out->list[at], (out->count - at) * THUMBPRINT_SIZE);
    memcpy(out->list[at], thumbprint, THUMBPRINT_SIZE);
    out->count++;
}

bool dns_text_read(struct slice rdata, struct dns_fingerprints *out)
{
    uint8_t text[TEXT_MAX], thumbprint[THUMBPRINT_SIZE];
    struct slice rest, name, value;
    bool has = false;
    if (!join(rdata, text, &rest) || !next_tag(&rest, &name, &value) ||
        !slice_equal(name, SLICE_LITERAL("v")) || !slice_equal(value, SLICE_LITERAL("sp1"))) {
        return false;
    }
    while (next_tag(&rest, &name, &value)) {
        if (slice_equal(name, SLICE_LITERAL("sha256"))) {
            if (has || !hex_parse(value, thumbprint, THUMBPRINT_SIZE)) {
                return false;
            }
            has = true;
        }
    }
    if (has) {
        insert(out, thumbprint);
    }
    return has;
}
