/* Mails that tell people what expires: their header, and that nothing in them can be mistaken. */
#include "mail_test.h"

#include "mail/mime_text.h"
#include "mail/notice.h"

static void a_letter_is_plain_and_marked_as_made_by_a_program(void **state)
{
    static const uint8_t thumbprint[32] = {0x1a, 0x2b, 0x3c};
    const struct notice_line lines[] = {{NOTICE_PART_LISTS, SLICE_LITERAL("CN=far"), {0}, 1000},
                                        {NOTICE_PART_CERTIFICATES,
                                         SLICE_LITERAL("CN=x\r\n\r\nBcc: <a@b>\t\x1b[2J\xc3\xa4"),
                                         {thumbprint, sizeof thumbprint},
                                         (uint64_t)1900000000 * 1000}};
    struct notice_letter letter = {.from = SLICE_LITERAL("gw@ours.example"),
                                   .to = SLICE_LITERAL("admin@ours.example"),
                                   .id = SLICE_LITERAL("01abc"),
                                   .gateway = SLICE_LITERAL("node1.ours.example"),
                                   .now_ms = (uint64_t)1795521600 * 1000,
                                   .lines = lines,
                                   .count = 2,
                                   .waiting = 3};
    struct buf out = BUF_INIT(65536);
    (void)state;
    assert_int_equal(notice_compose(&letter, &out), STATUS_OK);
    assert_true(mime_is_plain_7bit(buf_slice(&out)));
    assert_int_equal(buf_append_byte(&out, '\0'), STATUS_OK);
    const char *text = (const char *)out.data;
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    assert_ptr_equal(strstr(text, "From: Sealpost <gw@ours.example>\r\nTo: <admin@ours.example>\r\n"
                                  "Subject: Sealpost: 2 reminders about certificates\r\n"),
                     text);
    assert_non_null(strstr(text, "\r\nMessage-ID: <01abc.reminder@ours.example>\r\n"));
    assert_non_null(strstr(text, "\r\nAuto-Submitted: auto-generated\r\n"));
    assert_non_null(strstr(body, "  2030-03-17T17:46:40Z  CN=x Bcc: <a@b> ?[2J??  [1a2b3c0000000000]\r\n"));
    assert_non_null(strstr(body, "  1970-01-01T00:00:01Z  too old: CN=far\r\n"));
    assert_non_null(strstr(body, "3 more did not fit"));
    assert_null(strstr(text, "\r\nBcc:"));
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_letter_is_plain_and_marked_as_made_by_a_program)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
