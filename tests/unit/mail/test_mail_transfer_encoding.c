/* quoted-printable and base64: known answers, and everything comes back as it went in. */
#include "mail_test.h"

#include "mail/mime_text.h"
#include "mail/transfer_encoding.h"

#include <stdlib.h>

struct pair {
    const char *plain, *encoded;
};

static const struct pair quoted[] = {
    {"", ""},
    {"hello\r\n", "hello\r\n"},
    {"a=b", "a=3Db"},
    {"end \r\nnext\t\r\n", "end=20\r\nnext=09\r\n"},
    {"gr\xc3\xbc\xc3\x9f", "gr=C3=BC=C3=9F"},
    {"From here\r\n.\r\nFrom", "=46rom here\r\n=2E\r\nFrom"},
    {"bare\nlf\rcr", "bare=0Alf=0Dcr"},
    {"0123456789012345678901234567890123456789012345678901234567890123456789012345",
     "0123456789012345678901234567890123456789012345678901234567890123456789012345"},
    {"01234567890123456789012345678901234567890123456789012345678901234567890123456",
     "012345678901234567890123456789012345678901234567890123456789012345678901234=\r\n56"},
};

static void quoted_printable_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof quoted / sizeof quoted[0]; i++) {
        struct buf out = BUF_INIT(4096), back = BUF_INIT(4096);
        OK(quoted_printable_encode(slice_of_text(quoted[i].plain), &out));
        assert_slice(buf_slice(&out), quoted[i].encoded);
        OK(quoted_printable_decode(buf_slice(&out), &back));
        assert_slice(buf_slice(&back), quoted[i].plain);
        buf_release(&out);
        buf_release(&back);
    }
}

static void everything_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[3000];
    uint32_t random = 12345;
    for (size_t i = 0; i < sizeof bytes; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(random >> 24);
        if (i % 7 == 0) {
            bytes[i] = (uint8_t) " \r\n\tF.="[random >> 29];
        }
    }
    for (size_t len = 0; len < sizeof bytes; len += 1 + len / 9) {
        struct buf out = BUF_INIT(65536), back = BUF_INIT(65536);
        OK(quoted_printable_encode(slice_of(bytes, len), &out));
        assert_true(mime_is_plain_7bit(buf_slice(&out)));
        struct slice at = buf_slice(&out), line;
        while (mime_line(&at, &line)) {
            assert_true(line.len <= 76);
            assert_true(line.len == 0 || (line.data[line.len - 1] != ' ' && line.data[line.len - 1] != '\t'));
        }
        OK(quoted_printable_decode(buf_slice(&out), &back));
        assert_true(slice_equal(buf_slice(&back), slice_of(bytes, len)));
        buf_reset(&out);
        buf_reset(&back);
        OK(base64_lines_encode(slice_of(bytes, len), &out));
        OK(base64_lines_decode(buf_slice(&out), &back));
        assert_true(slice_equal(buf_slice(&back), slice_of(bytes, len)));
        buf_release(&out);
        buf_release(&back);
    }
}

static void base64_is_known_and_lenient(void **state)
{
    (void)state;
    static const struct pair table[] = {
        {"hello", "aGVsbG8="},
        {"hello", "aGVs\r\nbG8="},
        {"hello", " a!G\tV-s bG8"},
        {"hello", "aGVsbG8=\r\n\r\ntrailer"},
        {"h", "aA=="},
        {"", ""},
        {"", "a"},
        {"", "===="},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf out = BUF_INIT(4096);
        OK(base64_lines_decode(slice_of_text(table[i].encoded), &out));
        assert_slice(buf_slice(&out), table[i].plain);
        buf_release(&out);
    }
}

/* --- the fast ways beside slow ones --- */

static uint32_t random_state = 4711;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % n;
}

static bool slow_bare_line_end(struct slice t)
{
    for (size_t i = 0; i < t.len; i++) {
        if ((t.data[i] == '\r' && (i + 1 == t.len || t.data[i + 1] != '\n')) ||
            (t.data[i] == '\n' && (i == 0 || t.data[i - 1] != '\r'))) {
            return true;
        }
    }
    return false;
}

static bool slow_is_plain(struct slice t, uint8_t highest)
{
    size_t line = 0;
    for (size_t i = 0; i < t.len; i++) {
        line = t.data[i] == '\n' ? 0 : line + (t.data[i] != '\r');
        if (t.data[i] == 0 || t.data[i] > highest || line > MIME_LINE_MAX) {
            return false;
        }
    }
    return !slow_bare_line_end(t);
}

/* Texts of lines near all the limits, with up to two bytes changed anywhere. */
static void scans_see_what_there_is(void **state)
{
    static uint8_t text[6000];
    static const uint8_t odd[] = {0, '\r', '\n', 0x7f, 0x80, 0xff, ' '};
    size_t plain = 0;
    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        size_t len = random_below(4) == 0 ? random_below(20) : random_below(sizeof text - 1100), at = 0;
        while (at < len) {
            size_t line = random_below(8) == 0 ? 990 + random_below(12) : random_below(90);
            memset(text + at, 'x', line);
            memcpy(text + at + line, "\r\n", 2);
            at += line + 2;
        }
        len = random_below(2) == 0 ? at : len;
        for (unsigned n = random_below(3); n > 0 && len > 0; n--) {
            text[random_below((uint32_t)len)] = odd[random_below(sizeof odd)];
        }
        uint8_t *exact = malloc(len + 1); /* what is read beyond the end is seen by the sanitizer */
        assert_non_null(exact);
        memcpy(exact + 1, text, len);
        struct slice t = slice_of(exact + 1, len);
        plain += mime_is_plain_7bit(t);
        assert_int_equal(mime_has_bare_line_end(t), slow_bare_line_end(t));
        assert_int_equal(mime_is_plain_7bit(t), slow_is_plain(t, 127));
        assert_int_equal(mime_is_plain_8bit(t), slow_is_plain(t, 255));
        free(exact);
    }
    assert_true(plain > 1000 && plain < 19000);
}

static void slow_base64_decode(struct slice in, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0, have = 0;
    for (size_t i = 0; i < in.len && in.data[i] != '='; i++) {
        const char *digit = in.data[i] == 0 ? NULL : strchr(digits, in.data[i]);
        if (digit == NULL) {
            continue;
        }
        bits = bits << 6 | (uint32_t)(digit - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            OK(buf_append_byte(out, (uint8_t)(bits >> have)));
        }
    }
}

static void base64_of_anything_is_as_the_slow_way(void **state)
{
    static uint8_t bytes[400];
    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        size_t len = random_below(sizeof bytes);
        struct buf text = BUF_INIT(4096), out = BUF_INIT(4096), slow = BUF_INIT(4096);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)random_below(256);
        }
        uint8_t *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact + 1, bytes, len);
        OK(base64_lines_encode(slice_of(exact + 1, len), &text));
        slow_base64_decode(buf_slice(&text), &slow);
        assert_true(slice_equal(buf_slice(&slow), slice_of(bytes, len)));
        free(exact);
        for (unsigned n = random_below(4); n > 0 && text.len > 0; n--) {
            text.data[random_below((uint32_t)text.len)] = (uint8_t)random_below(256);
        }
        buf_reset(&slow);
        OK(base64_lines_decode(buf_slice(&text), &out));
        slow_base64_decode(buf_slice(&text), &slow);
        assert_true(slice_equal(buf_slice(&out), buf_slice(&slow)));
        buf_release(&text);
        buf_release(&out);
        buf_release(&slow);
    }
}

static void names_are_read(void **state)
{
    (void)state;
    assert_int_equal(transfer_encoding_of(SLICE_LITERAL(" Base64 ")), TRANSFER_BASE64);
    assert_int_equal(transfer_encoding_of(SLICE_LITERAL("(x) quoted-printable (y)")),
                     TRANSFER_QUOTED_PRINTABLE);
    assert_int_equal(transfer_encoding_of(SLICE_LITERAL("8BIT")), TRANSFER_8BIT);
    assert_int_equal(transfer_encoding_of(SLICE_LITERAL("x-uuencode")), TRANSFER_UNKNOWN);
    assert_int_equal(transfer_encoding_of(SLICE_LITERAL("")), TRANSFER_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoted_printable_is_known),
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(base64_is_known_and_lenient),
        cmocka_unit_test(scans_see_what_there_is),
        cmocka_unit_test(base64_of_anything_is_as_the_slow_way),
        cmocka_unit_test(names_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
