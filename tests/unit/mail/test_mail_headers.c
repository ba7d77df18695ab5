/*
 * Header protection (RFC 9788), against the openssl tool as the other side: what leaves carries the header
 * within what is signed and encrypted, and what comes in is believed only as far as it is protected.
 */
#include "mail_world.h"

static struct world w;

#define OURS    "alice@ours.example"
#define PARTNER "bob@partner.example"

static const char *const to_partner[] = {PARTNER, NULL};

static const char note[] =
    "Received: by test; Tue, 24 Nov 2026 10:00:00 +0000\r\nFrom: Alice <alice@ours.example>\r\n"
    "To: bob@partner.example\r\nBcc: spy@partner.example\r\nSubject: Merger with\r\n Globex\r\n"
    "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@ours.example>\r\nThread-Topic: Merger\r\n"
    "Keywords: merger\r\nX-Other: stays\r\n\r\nIt is on.\r\n";

static const char letter[] =
    "From: alice@ours.example\r\nTo: bob@partner.example\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_&_K=C3=BCsse?="
    "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n"
    "Content-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\n"
    "Content-Type: text/plain; charset=us-ascii\r\n\r\nplain words\r\n--inner\r\n"
    "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "<html><BODY lang=3Den><p>h=C3=BCbsch</p></body></html>\r\n--inner--\r\n--outer\r\n"
    "Content-Type: text/plain; name=notes.txt\r\nContent-Disposition: attachment\r\n\r\nan attachment\r\n"
    "--outer--\r\n";

static int set_up(void **state)
{
    static const struct identity people[] = {
        {.name = "alice", .address = OURS, .days = 300, .with_key = true},
        {.name = "bob", .address = PARTNER, .days = 300},
        {.name = "mallory", .address = "mallory@partner.example", .days = 300},
    };
    (void)state;
    world_make(&w);
    for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
        world_identity(&w, &people[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

static struct slice accepted(void)
{
    if (w.out.result.status != STATUS_OK) {
        print_error("%s: %.*s", status_name(w.out.result.status), SLICE_ARGS(w.out.result.text));
        fail();
    }
    return buf_slice(&w.out.contents[0]);
}

static struct slice header_of(struct slice message)
{
    const uint8_t *end = memmem(message.data, message.len, "\r\n\r\n", 4);
    assert_non_null(end);
    return slice_of(message.data, (size_t)(end - message.data) + 2);
}

/* --- sending --- */

/* The Cryptographic Payload of the last message as bob's program finds it. */
static void payload_read(bool encrypted, bool verify, struct buf *out)
{
    world_file_write(&w, "msg", accepted());
    if (encrypted) {
        world_shell(&w, "openssl cms -decrypt -in msg -inkey bob.key -recip bob.pem -out opened");
    } else {
        world_shell(&w, "cp msg opened");
    }
    world_shell(&w, verify ? "openssl cms -verify -in opened -CAfile ca.pem -out payload" : "cp opened payload");
    world_file_read(&w, "payload", out);
}

static void signed_mail_carries_its_header(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(65536);
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "always");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "none");
    world_process_text(&w, OURS, (const char *const[]){"nobody@else.example", NULL}, note);
    payload_read(false, true, &text);
    assert_golden(buf_slice(&text), "payload_clear.eml");
    assert_true(slice_holds(header_of(accepted()), "Subject: Merger with\r\n Globex\r\n"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "with-encryption");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "opportunistic");
    buf_release(&text);
}

static void encrypted_mail_carries_its_header(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(65536);
    world_process_text(&w, OURS, to_partner, note);
    payload_read(true, true, &text);
    assert_golden(buf_slice(&text), "payload_cipher.eml");
    assert_true(slice_holds(header_of(accepted()), "Subject: Merger with\r\n Globex\r\nDate: Tue"));
    assert_false(slice_holds(buf_slice(&text), "Bcc"));
    buf_release(&text);
}

static void a_hidden_subject_is_nowhere_outside(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(65536);
    world_set(&w, SETTING_DOMAIN, "partner.example", "protect.headers", "hide-subject");
    world_process_text(&w, OURS, to_partner, note);
    payload_read(true, true, &text);
    assert_golden(buf_slice(&text), "payload_hidden_legacy.eml");
    struct slice header = header_of(accepted());
    assert_true(slice_holds(header, "\r\nSubject: [...]\r\n"));
    assert_true(slice_holds(header, "X-Other: stays\r\n"));
    assert_false(slice_holds(header, "erger"));
    assert_false(slice_holds(header, "Globex"));

    buf_reset(&text);
    world_process_text(&w, OURS, to_partner, letter);
    payload_read(true, true, &text);
    assert_golden(buf_slice(&text), "payload_hidden_alternative.eml");

    buf_reset(&text);
    world_set(&w, SETTING_DOMAIN, "partner.example", "protect.legacy_display", "no");
    world_process_text(&w, OURS, to_partner, note);
    payload_read(true, true, &text);
    assert_true(slice_holds(buf_slice(&text), "\r\n\r\nIt is on.\r\n"));
    world_set(&w, SETTING_DOMAIN, "partner.example", "protect.legacy_display", "yes");
    buf_release(&text);
}

/* Whatever the Subject looks like, and however many there are: none outside, one inside. */
static void odd_subjects_are_hidden_too(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "Subject: one secret\r\nsubject: two secret\r\n",
        "Subject : secret with a blank\r\n",
        "Subject: raw Gr\xc3\xbc\xc3\x9f secret\r\n",
        "Subject: latin Gr\xfc\xdf secret\r\n",
        "Subject:\r\n secret\r\n",
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct buf message = BUF_INIT(65536), text = BUF_INIT(65536);
        OK(buf_printf(&message, "From: alice@ours.example\r\n%sTo: bob@partner.example\r\n\r\nx\r\n", odd[i]));
        world_process(&w, OURS, to_partner, buf_slice(&message));
        assert_int_equal(slice_occurrences(header_of(accepted()), "ubject"), 1);
        assert_true(slice_holds(header_of(accepted()), "\r\nSubject: [...]\r\n"));
        payload_read(true, true, &text);
        assert_false(slice_holds(buf_slice(&text), "two secret"));
        assert_int_equal(slice_occurrences(buf_slice(&text), "HP-Outer: Subject: [...]\r\n"), 1);
        buf_release(&message);
        buf_release(&text);
    }
}

static void what_cannot_carry_it_stays_as_it_is(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(65536);
    /* Two Content-Type fields: programs read them differently. */
    world_process_text(&w, OURS, to_partner,
                       "From: alice@ours.example\r\nSubject: s\r\nContent-Type: text/plain\r\n"
                       "Content-Type: text/html\r\n\r\nx\r\n");
    payload_read(true, true, &text);
    assert_false(slice_holds(buf_slice(&text), "hp="));
    /* A sender who writes the marks himself: ours count. */
    buf_reset(&text);
    world_process_text(&w, OURS, to_partner,
                       "From: alice@ours.example\r\nSubject: s\r\nHP-Outer: Subject: forged\r\n"
                       "Content-Type: text/plain; hp=clear; charset=us-ascii; hp-legacy-display=1\r\n\r\nx\r\n");
    payload_read(true, true, &text);
    assert_true(slice_holds(buf_slice(&text), "Content-Type: text/plain; hp=\"cipher\"; "
                                              "hp-legacy-display=\"1\";\r\n charset=us-ascii\r\n"));
    assert_false(slice_holds(buf_slice(&text), "forged"));
    world_set(&w, SETTING_DOMAIN, "partner.example", "protect.headers", "none");
    buf_reset(&text);
    world_process_text(&w, OURS, to_partner, note);
    payload_read(true, true, &text);
    assert_slice(buf_slice(&text), "Content-Type: text/plain; charset=us-ascii\r\n\r\nIt is on.\r\n");
    world_set(&w, SETTING_DOMAIN, "partner.example", "protect.headers", "sign");
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signed_mail_carries_its_header),
        cmocka_unit_test(encrypted_mail_carries_its_header),
        cmocka_unit_test(a_hidden_subject_is_nowhere_outside),
        cmocka_unit_test(odd_subjects_are_hidden_too),
        cmocka_unit_test(what_cannot_carry_it_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
