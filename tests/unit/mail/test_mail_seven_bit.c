/* Re-encoding for paths that carry less: golden files, and signed parts that must not change. */
#include "mail_test.h"

#include "mail/flow.h"
#include "mail/mime_text.h"
#include "mail/seven_bit.h"

static struct arena arena;

static enum status convert(const char *text, enum sendable_target target, enum sendable_signed what,
                           struct buf *out)
{
    struct failure f = {.status = STATUS_OK};
    *out = BUF_INIT((size_t)1 << 22);
    arena_init(&arena, (size_t)16 << 20);
    enum status status = entity_make_sendable(slice_of_text(text), target, what, &arena, out, &f);
    arena_release(&arena);
    return status;
}

static const char mixed[] =
    "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "pr\xc3\xa4"
    "amble\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9f"
    "e\r\nFrom me\r\n--b\r\n"
    "Content-Type: text/plain\r\n\r\nuntouched  \r\n--b\r\nContent-Type: application/pdf\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\n\xff\xfe\xfd\xfc\r\n--b\r\n"
    "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "Subject: inner\r\nContent-Type: text/html\r\n\r\n<b>\xe4</b> and much more text around it\r\n--b--\r\n";

static void parts_become_7bit(void **state)
{
    (void)state;
    struct buf out;
    OK(convert(mixed, SENDABLE_7BIT, SIGNED_PART_REFUSES, &out));
    assert_true(mime_is_plain_7bit(buf_slice(&out)));
    assert_golden(buf_slice(&out), "seven_bit_mixed.eml");
    buf_release(&out);
}

static void what_fits_stays(void **state)
{
    (void)state;
    struct buf out;
    OK(convert(mixed, SENDABLE_8BIT, SIGNED_PART_REFUSES, &out));
    assert_slice(buf_slice(&out), mixed);
    buf_release(&out);
}

static const char with_signed[] =
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nsigned "
    "\xc3\xbc\r\n--s\r\n\r\nx\r\n--s--\r\n"
    "--b\r\nContent-Type: text/plain\r\n\r\n\xc3\xbc and something else that is plain\r\n--b--\r\n";

static void signed_parts_do_not_change(void **state)
{
    (void)state;
    struct buf out;
    assert_int_equal(convert(with_signed, SENDABLE_7BIT, SIGNED_PART_REFUSES, &out), STATUS_UNSUPPORTED);
    buf_release(&out);
    OK(convert(with_signed, SENDABLE_7BIT, SIGNED_PART_STAYS, &out));
    assert_true(slice_holds(buf_slice(&out), "--s\r\n\r\nsigned \xc3\xbc\r\n--s\r\n\r\nx\r\n--s--"));
    assert_true(slice_holds(buf_slice(&out), "=C3=BC and something"));
    buf_release(&out);
}

static void binary_and_long_lines_become_sendable(void **state)
{
    (void)state;
    struct buf out, text = BUF_INIT(65536);
    OK(convert("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: "
               "binary\n\n--b\n\nlf\ntext\n--b\n"
               "Content-Type: image/png\nContent-Transfer-Encoding: binary\n\n\x89PNG\r\n\x1a\n\n--b--\n",
               SENDABLE_8BIT, SIGNED_PART_STAYS, &out));
    assert_golden(buf_slice(&out), "sendable_binary.eml");
    buf_release(&out);
    OK(buf_append_text(&text, "Content-Type: text/plain\r\n\r\n"));
    for (size_t i = 0; i < 300; i++) {
        OK(buf_append_text(&text, "word "));
    }
    OK(convert(buf_text(&text), SENDABLE_8BIT, SIGNED_PART_STAYS, &out));
    assert_true(mime_is_plain_7bit(buf_slice(&out)));
    assert_true(slice_holds(buf_slice(&out), "Content-Transfer-Encoding: quoted-printable\r\n"));
    buf_release(&out);
    buf_release(&text);
}

static void nesting_is_limited(void **state)
{
    (void)state;
    struct buf out, text = BUF_INIT((size_t)1 << 20);
    for (size_t i = 0; i < 1000; i++) {
        OK(buf_printf(&text, "Content-Type: multipart/mixed; boundary=b%zu\r\n\r\n--b%zu\r\n", i, i));
    }
    OK(buf_append_text(&text, "\r\n\xff"));
    assert_int_equal(convert(buf_text(&text), SENDABLE_7BIT, SIGNED_PART_STAYS, &out), STATUS_TOO_LARGE);
    buf_release(&out);
    buf_reset(&text);
    for (size_t i = 0; i < 5000; i++) {
        OK(buf_append_text(&text, "Content-Type: message/rfc822\r\n\r\n"));
    }
    OK(buf_append_text(&text, "\r\n\xff"));
    assert_int_equal(convert(buf_text(&text), SENDABLE_7BIT, SIGNED_PART_STAYS, &out), STATUS_TOO_LARGE);
    buf_release(&out);
    buf_release(&text);
}

static void whole_messages_get_mime_fields(void **state)
{
    (void)state;
    struct mail_output out;
    arena_init(&arena, (size_t)16 << 20);
    mail_to_7bit(3,
                 SLICE_LITERAL("Subject: x\r\n\r\nGr\xc3\xbc\xc3\x9f"
                               "e an alle, die das lesen\r\n"),
                 &arena, &out);
    OK(out.result.status);
    assert_slice(
        buf_slice(&out.contents[0]),
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe an alle, die das lesen\r\n");
    mail_output_release(&out);
    mail_to_7bit(3, SLICE_LITERAL("Subject: x\r\n\r\nplain\r\n"), &arena, &out);
    OK(out.result.status);
    assert_true(out.result.variants[0].unchanged);
    mail_output_release(&out);
    mail_to_7bit(3, slice_of_text(with_signed), &arena, &out);
    assert_int_equal(out.result.status, STATUS_UNSUPPORTED);
    assert_int_equal(out.result.variant_count, 0);
    mail_output_release(&out);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_become_7bit),          cmocka_unit_test(what_fits_stays),
        cmocka_unit_test(signed_parts_do_not_change), cmocka_unit_test(binary_and_long_lines_become_sendable),
        cmocka_unit_test(nesting_is_limited),         cmocka_unit_test(whole_messages_get_mime_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
