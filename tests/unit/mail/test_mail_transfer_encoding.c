/* quoted-printable and base64: known answers, and everything comes back as it went in. */
#include "mail_test.h"

#include "mail/mime_text.h"
#include "mail/transfer_encoding.h"

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
        cmocka_unit_test(names_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
