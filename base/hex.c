/* Text forms of bytes. Pure, any thread. */
#include "base/hex.h"

void hex_format(struct slice bytes, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.len; i++) {
        text[2 * i] = digits[bytes.data[i] >> 4];
        text[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    text[2 * bytes.len] = '\0';
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_parse(struct slice text, uint8_t *out, size_t len)
{
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        int high, low;

        if (i > 0 && at < text.len && text.data[at] == ':')
            at++;
        if (text.len - at < 2)
            return false;
        high = hex_digit(text.data[at]);
        low = hex_digit(text.data[at + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return at == text.len;
}

static enum status encode(struct slice bytes, const char *alphabet, bool padded, struct buf *out)
{
    size_t rest = bytes.len % 3;
    enum status status = buf_reserve(out, bytes.len / 3 * 4 + (rest == 0 ? 0 : padded ? 4 : rest + 1));

    for (size_t i = 0; i < bytes.len && status == STATUS_OK; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        char digits[4];

        if (left > 1)
            group |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= bytes.data[i + 2];
        for (unsigned d = 0; d < 4; d++)
            digits[d] = alphabet[group >> (18 - 6 * d) & 63];
        if (left >= 3) {
            status = buf_append(out, digits, 4);
        } else {
            status = buf_append(out, digits, left + 1);
            if (status == STATUS_OK && padded)
                status = buf_append(out, "==", 3 - left);
        }
    }
    return status;
}

enum status base64_encode(struct slice bytes, struct buf *out)
{
    return encode(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true, out);
}

enum status base64url_encode(struct slice bytes, struct buf *out)
{
    return encode(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false, out);
}

static int base64url_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

enum status base64url_decode(struct slice text, struct buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t before = out->len;
    enum status status = buf_reserve(out, text.len / 4 * 3 + text.len % 4 * 6 / 8);

    if (text.len % 4 == 1)
        return STATUS_MALFORMED;
    for (size_t i = 0; i < text.len && status == STATUS_OK; i++) {
        int digit = base64url_digit(text.data[i]);

        if (digit < 0) {
            status = STATUS_MALFORMED;
            break;
        }
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            status = buf_append_byte(out, (uint8_t)(bits >> count));
        }
    }
    if (status == STATUS_OK && (bits & ((1U << count) - 1)) != 0)
        status = STATUS_MALFORMED; /* bits that no encoder leaves */
    if (status != STATUS_OK)
        out->len = before;
    return status;
}
