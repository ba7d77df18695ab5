/* Delivery status notifications: golden files, and hostile texts that must not break out of their line. */
#include "mail_test.h"

#include "mail/dsn.h"
#include "mail/mime_text.h"

static struct dsn_recipient failed[] = {
    {.address = SLICE_LITERAL("bob@partner.example"),
     .status = SLICE_LITERAL("5.1.1"),
     .diagnostic = SLICE_LITERAL("550 5.1.1 <bob@partner.example>: no such user"),
     .remote_mta = SLICE_LITERAL("mx.partner.example")},
    {.address = SLICE_LITERAL("carol@partner.example"),
     .status = SLICE_LITERAL("nonsense"),
     .diagnostic =
         SLICE_LITERAL("evil\r\nFinal-Recipient: rfc822; forged@x\r\n\r\n--sealpost-dsn--\x00\xff")},
};

static struct dsn_input sample(void)
{
    return (struct dsn_input){
        .reporting_mta = SLICE_LITERAL("mx1.example.org"),
        .to = SLICE_LITERAL("alice@example.org"),
        .message_id = SLICE_LITERAL("0001"),
        .boundary = SLICE_LITERAL("sealpost-dsn"),
        .now_ms = 1795514704000,
        .arrival_ms = 1795428304000,
        .recipients = failed,
        .recipient_count = 2,
        .header = SLICE_LITERAL("From: alice@example.org\r\nSubject: hello\r\n"),
    };
}

static void failure_is_golden(void **state)
{
    (void)state;
    struct dsn_input in = sample();
    struct buf out = BUF_INIT(65536);
    OK(dsn_compose(&in, &out));
    assert_golden(buf_slice(&out), "dsn_failed.eml");
    assert_true(mime_is_plain_7bit(buf_slice(&out)));
    /* The reply's forged field stays within its own line. */
    assert_int_equal(slice_occurrences(buf_slice(&out), "\r\nFinal-Recipient:"), 2);
    buf_release(&out);
}

static void delay_with_8bit_header_is_golden(void **state)
{
    (void)state;
    struct dsn_input in = sample();
    struct buf out = BUF_INIT(65536);
    in.action = DSN_DELAYED;
    in.recipient_count = 1;
    in.header = SLICE_LITERAL("Subject: gr\xc3\xbc\xc3\x9f\x65\r\nX: cut in the mid");
    OK(dsn_compose(&in, &out));
    assert_golden(buf_slice(&out), "dsn_delayed.eml");
    assert_true(mime_is_plain_7bit(buf_slice(&out)));
    buf_release(&out);
}

/* Everything that a client may have asked for, and RFC 6533 for what is not ASCII. */
static void a_relayed_message_beyond_ascii_is_golden(void **state)
{
    (void)state;
    struct dsn_recipient people[] = {
        {.address = SLICE_LITERAL("j\xc3\xb6rg@partner.example"),
         .orcpt = SLICE_LITERAL("utf-8;j\xc3\xb6rg@example.org"),
         .status = SLICE_LITERAL("2.1.5"),
         .diagnostic = SLICE_LITERAL("250 2.1.5 gr\xc3\xbc\xc3\x9f\x65"),
         .remote_mta = SLICE_LITERAL("mx.partner.example:25"),
         .last_attempt_ms = 1795514704000},
        {.address = SLICE_LITERAL("carol@partner.example"),
         .orcpt = SLICE_LITERAL("rfc822;forged\r\nAction: failed"),
         .status = SLICE_LITERAL("5.1.1"),
         .diagnostic = SLICE_LITERAL("250 ok")},
    };
    struct dsn_input in = sample();
    struct buf out = BUF_INIT(65536);
    in.action = DSN_RELAYED;
    in.utf8 = true;
    in.envid = SLICE_LITERAL("id+1");
    in.recipients = people;
    in.header = SLICE_LITERAL("Subject: gr\xc3\xbc\xc3\x9f\x65\r\n");
    OK(dsn_compose(&in, &out));
    assert_golden(buf_slice(&out), "dsn_relayed_utf8.eml");
    assert_true(mime_is_plain_7bit(buf_slice(&out)));
    assert_int_equal(slice_occurrences(buf_slice(&out), "\r\nAction: failed"), 0);
    buf_release(&out);
}

static void the_whole_message_is_golden(void **state)
{
    (void)state;
    struct dsn_input in = sample();
    struct buf out = BUF_INIT(65536);
    failed[0].orcpt = SLICE_LITERAL("rfc822;Bob+list@example.org");
    in.recipient_count = 1;
    in.whole = SLICE_LITERAL("From: alice@example.org\r\nSubject: hello\r\n\r\n--sealpost-dsn?\r\nbody\r\n");
    OK(dsn_compose(&in, &out));
    failed[0].orcpt = (struct slice){0};
    assert_golden(buf_slice(&out), "dsn_failed_whole.eml");
    buf_release(&out);
}

static void a_notice_quotes_nothing(void **state)
{
    (void)state;
    struct dsn_input in = sample();
    struct buf out = BUF_INIT(65536);
    OK(dsn_notice_compose(&in, false, SLICE_LITERAL("0002"), &out));
    assert_golden(buf_slice(&out), "notice.eml");
    assert_true(mime_is_plain_7bit(buf_slice(&out)));
    buf_reset(&out);
    OK(dsn_notice_compose(&in, true, SLICE_LITERAL("0002"), &out));
    assert_true(slice_holds(buf_slice(&out), "Subject: Your message is held\r\n"));
    assert_int_equal(slice_occurrences(buf_slice(&out), "hello"), 0);
    buf_release(&out);
}

static void too_small_a_buffer_is_told(void **state)
{
    (void)state;
    struct dsn_input in = sample();
    struct buf whole = BUF_INIT(65536);
    OK(dsn_compose(&in, &whole));
    for (size_t max = 0; max < whole.len; max += 13) {
        struct buf out = BUF_INIT(max);
        assert_int_not_equal(dsn_compose(&in, &out), STATUS_OK);
        buf_release(&out);
    }
    buf_release(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure_is_golden),
        cmocka_unit_test(delay_with_8bit_header_is_golden),
        cmocka_unit_test(a_relayed_message_beyond_ascii_is_golden),
        cmocka_unit_test(the_whole_message_is_golden),
        cmocka_unit_test(a_notice_quotes_nothing),
        cmocka_unit_test(too_small_a_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
