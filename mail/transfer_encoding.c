/*
 * Quoted-printable and base64 (RFC 2045 section 6.7 and 6.8), for parts that must become 7 bit, and for CMS
 * in base64.
 *
 * The encoders' output is what gets signed, so it has to survive every relay: no trailing blanks, no line
 * above 76 characters, no "From " at the start of a line (mbox), no lone "." line. The decoders are lenient,
 * since their input is anybody's; what they give is only as long as the input. The output's memory is
 * reserved once, so that a large body is not moved again and again. Pure; any thread.
 */
#include "mail/transfer_encoding.h"

#include "mail/mime_text.h"

#include <endian.h>
#include <pthread.h>

enum transfer_encoding transfer_encoding_of(struct slice value)
{
    static const struct {
        const char *name;
        enum transfer_encoding encoding;
    } known[] = {
        {"7bit", TRANSFER_7BIT},     {"8bit", TRANSFER_8BIT},
        {"binary", TRANSFER_BINARY}, {"quoted-printable", TRANSFER_QUOTED_PRINTABLE},
        {"base64", TRANSFER_BASE64},
    };
    struct slice at = value;
    struct slice token = mime_token(&at);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (slice_equal_nocase(token, slice_of_text(known[i].name))) {
            return known[i].encoding;
        }
    }
    return TRANSFER_UNKNOWN;
}

static const char hex_digits[] = "0123456789ABCDEF";

static bool is_crlf(struct slice in, size_t i)
{
    return i + 1 < in.len && in.data[i] == '\r' && in.data[i + 1] == '\n';
}

/* Must this byte, at `i`, be written as =XX? `column` is where the output line stands. */
static bool must_escape(struct slice in, size_t i, size_t column)
{
    uint8_t c = in.data[i];
    if (c == ' ' || c == '\t') {
        return i + 1 == in.len || is_crlf(in, i + 1);
    }
    if (c < 0x21 || c > 0x7e || c == '=') {
        return true;
    }
    if (column != 0) {
        return false;
    }
    if (c == 'F') {
        return slice_starts_with(slice_of(in.data + i, in.len - i), SLICE_LITERAL("From "));
    }
    return c == '.';
}

enum status quoted_printable_encode(struct slice in, struct buf *out)
{
    uint8_t piece[6];
    size_t column = 0;
    enum status status = buf_reserve(out, in.len + in.len / 16 + 16);
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < in.len; i++) {
        if (is_crlf(in, i)) {
            if ((status = buf_append_text(out, "\r\n")) != STATUS_OK) {
                return status;
            }
            i++;
            column = 0;
            continue;
        }
        size_t len = 0;
        bool escape = must_escape(in, i, column);
        size_t width = escape ? 3 : 1;
        bool last_of_line = i + 1 == in.len || is_crlf(in, i + 1);
        if (column + width > (last_of_line ? 76u : 75u)) { /* room for the soft break's "=" */
            piece[len++] = '=';
            piece[len++] = '\r';
            piece[len++] = '\n';
            column = 0;
            escape = must_escape(in, i, column);
            width = escape ? 3 : 1;
        }
        if (escape) {
            piece[len++] = '=';
            piece[len++] = (uint8_t)hex_digits[in.data[i] >> 4];
            piece[len++] = (uint8_t)hex_digits[in.data[i] & 15];
        } else {
            piece[len++] = in.data[i];
        }
        column += width;
        if ((status = buf_append(out, piece, len)) != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum status quoted_printable_decode(struct slice in, struct buf *out)
{
    enum status status = buf_reserve(out, in.len);
    for (size_t i = 0; i < in.len && status == STATUS_OK; i++) {
        uint8_t c = in.data[i];
        if (c != '=') {
            status = buf_append_byte(out, c);
            continue;
        }
        size_t next = i + 1; /* a soft break: "=" blanks CRLF or LF */
        while (next < in.len && (in.data[next] == ' ' || in.data[next] == '\t')) {
            next++;
        }
        if (next < in.len && (in.data[next] == '\n' || is_crlf(in, next))) {
            i = in.data[next] == '\n' ? next : next + 1;
        } else if (i + 2 < in.len && hex_value(in.data[i + 1]) >= 0 && hex_value(in.data[i + 2]) >= 0) {
            status =
                buf_append_byte(out, (uint8_t)(hex_value(in.data[i + 1]) << 4 | hex_value(in.data[i + 2])));
            i += 2;
        } else {
            status = buf_append_byte(out, c);
        }
    }
    return status;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Made once, for speed: two characters from twelve bits at once, and what each character means at each of the
 * four places of a quantum (NO_DIGIT: it is none). */
#define NO_DIGIT ((uint32_t)1 << 31)
static struct {
    uint8_t pairs[4096][2];
    uint32_t values[4][256];
} base64_tables;
static pthread_once_t base64_made = PTHREAD_ONCE_INIT;

static void base64_make(void)
{
    for (unsigned i = 0; i < 4096; i++) {
        base64_tables.pairs[i][0] = (uint8_t)base64_digits[i >> 6];
        base64_tables.pairs[i][1] = (uint8_t)base64_digits[i & 63];
    }
    for (unsigned place = 0; place < 4; place++) {
        for (unsigned c = 0; c < 256; c++) {
            base64_tables.values[place][c] = NO_DIGIT;
        }
        for (unsigned value = 0; value < 64; value++) {
            base64_tables.values[place][(uint8_t)base64_digits[value]] = value << (18 - 6 * place);
        }
    }
}

/* Twelve bits, of which `shift` bits of `from` lie to the right, as two characters. */
static void put_pair(uint64_t from, unsigned shift, uint8_t *to)
{
    memcpy(to, base64_tables.pairs[from >> shift & 0xfff], 2);
}

/* All bytes up to `end` without a line end; `readable`: how far may be read. */
static uint8_t *line_encode(const uint8_t *in, const uint8_t *end, const uint8_t *readable, uint8_t *to)
{
    for (; end - in >= 6 && readable - in >= 8; in += 6, to += 8) {
        uint64_t eight;
        memcpy(&eight, in, sizeof eight);
        eight = be64toh(eight);
        put_pair(eight, 52, to);
        put_pair(eight, 40, to + 2);
        put_pair(eight, 28, to + 4);
        put_pair(eight, 16, to + 6);
    }
    for (; end - in >= 3; in += 3, to += 4) {
        uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        put_pair(bits, 12, to);
        put_pair(bits, 0, to + 2);
    }
    if (in < end) {
        bool two = end - in == 2;
        uint32_t bits = (uint32_t)in[0] << 16 | (two ? (uint32_t)in[1] << 8 : 0u);
        put_pair(bits, 12, to);
        put_pair(bits, 0, to + 2);
        to[2] = two ? to[2] : '=';
        to[3] = '=';
        to += 4;
    }
    return to;
}

enum status base64_lines_encode(struct slice in, struct buf *out)
{
    enum { IN_A_LINE = 57 }; /* bytes that fill 76 characters */
    size_t lines = in.len / IN_A_LINE + 1;
    enum status status = buf_reserve(out, (in.len + 2) / 3 * 4 + lines * 2);
    if (status != STATUS_OK) {
        return status;
    }
    (void)pthread_once(&base64_made, base64_make);
    uint8_t *to = out->data + out->len;
    for (size_t start = 0; start < in.len; start += IN_A_LINE) {
        size_t end = in.len - start < IN_A_LINE ? in.len : start + IN_A_LINE;
        to = line_encode(in.data + start, in.data + end, in.data + in.len, to);
        *to++ = '\r';
        *to++ = '\n';
    }
    out->len = (size_t)(to - out->data);
    return STATUS_OK;
}

/* Four characters of the alphabet (RFC 4648 section 4) in a row, as nearly all are: three bytes. Writes four;
 * the last is of no meaning. */
static bool quantum_decode(const uint8_t *in, uint8_t *to)
{
    uint32_t bits = base64_tables.values[0][in[0]] | base64_tables.values[1][in[1]] |
                    base64_tables.values[2][in[2]] | base64_tables.values[3][in[3]];
    if ((bits & NO_DIGIT) != 0) {
        return false;
    }
    bits = htobe32(bits << 8);
    memcpy(to, &bits, sizeof bits);
    return true;
}

enum status base64_lines_decode(struct slice in, struct buf *out)
{
    enum status status = buf_reserve(out, in.len / 4 * 3 + 4);
    if (status != STATUS_OK) {
        return status;
    }
    (void)pthread_once(&base64_made, base64_make);
    uint8_t *to = out->data + out->len;
    unsigned bits = 0, have = 0;
    size_t i = 0;
    while (i < in.len && in.data[i] != '=') {
        if (have == 0 && in.len - i >= 4 && quantum_decode(in.data + i, to)) {
            to += 3;
            i += 4;
            continue;
        }
        uint32_t value = base64_tables.values[3][in.data[i++]];
        if (value == NO_DIGIT) {
            continue;
        }
        bits = (bits << 6 | value) & 0xffffff;
        if (++have == 4) {
            *to++ = (uint8_t)(bits >> 16);
            *to++ = (uint8_t)(bits >> 8);
            *to++ = (uint8_t)bits;
            bits = have = 0;
        }
    }
    if (have >= 2) {
        *to++ = (uint8_t)(have == 2 ? bits >> 4 : bits >> 10);
    }
    if (have == 3) {
        *to++ = (uint8_t)(bits >> 2);
    }
    out->len = (size_t)(to - out->data);
    return STATUS_OK;
}

enum status transfer_decode(enum transfer_encoding encoding, struct slice in, struct buf *out)
{
    switch (encoding) {
    case TRANSFER_7BIT:
    case TRANSFER_8BIT:
    case TRANSFER_BINARY:
        return buf_append_slice(out, in);
    case TRANSFER_QUOTED_PRINTABLE:
        return quoted_printable_decode(in, out);
    case TRANSFER_BASE64:
        return base64_lines_decode(in, out);
    case TRANSFER_UNKNOWN:
        break;
    }
    return STATUS_UNSUPPORTED;
}
