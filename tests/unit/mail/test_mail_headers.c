/*
 * Header protection (RFC 9788), against the openssl tool as the other side: what leaves carries the header
 * within what is signed and encrypted, and what comes in is believed only as far as it is protected.
 */
#include "mail_world.h"

#include "mail/legacy_display.h"

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
    world_make_with(&w, people, sizeof people / sizeof people[0]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
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
    world_file_write(&w, "msg", world_accepted(&w));
    if (encrypted) {
        world_shell(&w, "openssl cms -decrypt -in msg -inkey bob.key -recip bob.pem -out opened");
    } else {
        world_shell(&w, "cp msg opened");
    }
    world_shell(&w,
                verify ? "openssl cms -verify -in opened -CAfile ca.pem -out payload" : "cp opened payload");
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
    assert_true(slice_holds(header_of(world_accepted(&w)), "Subject: Merger with\r\n Globex\r\n"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "with-encryption");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "opportunistic");
    buf_release(&text);
}

/* Whoever hides subjects shares no copy with who does not; who is not signed for, none with who is. */
static void what_differs_is_not_shared(void **state)
{
    (void)state;
    static const char hidden[] = "mallory@partner.example";
    static const char two[] =
        "From: alice@ours.example\r\nTo: bob@partner.example, mallory@partner.example\r\n"
        "Subject: Merger\r\n\r\nIt is on.\r\n";
    world_set(&w, SETTING_USER, PARTNER, "protect.headers", "sign");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "opportunistic");
    world_set(&w, SETTING_USER, hidden, "protect.headers", "hide-subject");
    world_process_text(&w, OURS, (const char *const[]){PARTNER, hidden, NULL}, two);
    assert_int_equal(w.out.result.status, STATUS_OK);
    assert_int_equal(w.out.result.variant_count, 2);
    assert_true(slice_holds(buf_slice(&w.out.contents[world_variant_of(&w, 0)]), "Subject: Merger"));
    assert_false(slice_holds(buf_slice(&w.out.contents[world_variant_of(&w, 1)]), "Merger"));
    world_set(&w, SETTING_USER, hidden, "protect.headers", NULL);
    world_set(&w, SETTING_USER, PARTNER, "protect.headers", NULL);

    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "always");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "none");
    world_set(&w, SETTING_DOMAIN, "partner.example", "protect.headers", "none");
    world_set(&w, SETTING_USER, hidden, "smime.enabled", "no");
    world_process_text(&w, OURS, (const char *const[]){PARTNER, hidden, NULL}, two);
    assert_int_equal(w.out.result.status, STATUS_OK);
    assert_int_equal(w.out.result.variant_count, 2);
    assert_slice(w.out.result.variants[world_variant_of(&w, 0)].protection, "smime-signed");
    assert_slice(w.out.result.variants[world_variant_of(&w, 1)].protection, "none");
    world_set(&w, SETTING_USER, hidden, "smime.enabled", NULL);
    world_set(&w, SETTING_DOMAIN, "partner.example", "protect.headers", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "opportunistic");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "with-encryption");
}

/* partial.recipients of From counts as well as the envelope's sender's. */
static void both_senders_must_say_split(void **state)
{
    (void)state;
    const char *const recipients[] = {PARTNER, "keyless@partner.example", NULL};
    static const char from_us[] = "From: alice@ours.example\r\nTo: bob@partner.example\r\n\r\nIt is on.\r\n";
    static const char from_else[] = "From: x@lax.example\r\nTo: bob@partner.example\r\n\r\nIt is on.\r\n";
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    world_set(&w, SETTING_DOMAIN, "ours.example", "partial.recipients", "split");
    world_process_text(&w, OURS, recipients, from_us);
    assert_int_equal(w.out.result.status, STATUS_OK);
    assert_int_equal(w.out.result.refusal_count, 1);
    world_process_text(&w, OURS, recipients, from_else);
    assert_int_equal(w.out.result.status, STATUS_NO_KEY);
    world_set(&w, SETTING_DOMAIN, "ours.example", "partial.recipients", NULL);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
}

static void encrypted_mail_carries_its_header(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(65536);
    world_process_text(&w, OURS, to_partner, note);
    payload_read(true, true, &text);
    assert_golden(buf_slice(&text), "payload_cipher.eml");
    assert_true(slice_holds(header_of(world_accepted(&w)), "Subject: Merger with\r\n Globex\r\nDate: Tue"));
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
    struct slice header = header_of(world_accepted(&w));
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
        OK(buf_printf(&message, "From: alice@ours.example\r\n%sTo: bob@partner.example\r\n\r\nx\r\n",
                      odd[i]));
        world_process(&w, OURS, to_partner, buf_slice(&message));
        assert_int_equal(slice_occurrences(header_of(world_accepted(&w)), "ubject"), 1);
        assert_true(slice_holds(header_of(world_accepted(&w)), "\r\nSubject: [...]\r\n"));
        payload_read(true, true, &text);
        assert_false(slice_holds(buf_slice(&text), "two secret"));
        assert_int_equal(slice_occurrences(buf_slice(&text), "HP-Outer: Subject: [...]\r\n"), 1);
        buf_release(&message);
        buf_release(&text);
    }
}

/* Where the display goes in HTML: behind the one tag that is <body>, and without a trace when it is taken
 * out. */
static void the_body_of_html_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after; /* of where it stands */
        bool none;
    } table[] = {
        {"<html><body>", "<p>x</p></body></html>\r\n", false},
        {"<html><BODY\r\nclass=x>", "\r\n<p>x</p>", false},
        {"<!-- <body> --><html><body title=\"a>b\" id='>'>", "x", false},
        {"<bodyguard>no</bodyguard><body>", "x", false},
        {"<body/>", "x", false},
        {"<p>no body</p>", "", true},
        {"<!-- <body> x", "", true},
        {"<body title=\"a>b", "", true},
        {"<body", "", true},
        {"<", "", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf whole = BUF_INIT(4096), shown = BUF_INIT(65536), back = BUF_INIT(65536),
                   want = BUF_INIT(4096);
        struct entity e;
        struct failure f;
        struct arena a;
        arena_init(&a, 1 << 20);
        OK(buf_printf(&whole, "Content-Type: text/html\r\n\r\n%s%s", table[i].before, table[i].after));
        OK(buf_printf(
            &want,
            "%s<div class=\"header-protection-legacy-display\">\r\n<pre>Subject: s&#60;b&#62;</pre>\r\n"
            "</div>\r\n%s",
            table[i].before, table[i].after));
        OK(entity_read(buf_slice(&whole), &a, &e, &f));
        OK(legacy_display_add(&e, SLICE_LITERAL("s<b>"), &a, &shown, &f));
        if (table[i].none) {
            assert_true(slice_equal(buf_slice(&shown), buf_slice(&whole)));
        } else {
            OK(entity_read(buf_slice(&shown), &a, &e, &f));
            if (!slice_equal(e.body, buf_slice(&want))) {
                fail_msg("row %zu: %.*s", i, SLICE_ARGS(e.body));
            }
            OK(legacy_display_remove(&e, &a, &back, &f));
            assert_true(slice_equal(buf_slice(&back), buf_slice(&whole)));
        }
        buf_release(&whole);
        buf_release(&shown);
        buf_release(&back);
        buf_release(&want);
        arena_release(&a);
    }
}

/* Scanners and programs send a file as the whole message: its type is clear, and its name is no secret less.
 */
static void a_file_as_the_message_hides_its_subject(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(65536);
    world_set(&w, SETTING_DOMAIN, "partner.example", "protect.headers", "hide-subject");
    world_process_text(&w, OURS, to_partner,
                       "From: alice@ours.example\r\nTo: bob@partner.example\r\nSubject: Globex offer\r\n"
                       "MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=globex.pdf\r\n"
                       "Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n");
    assert_true(slice_holds(header_of(world_accepted(&w)), "\r\nSubject: [...]\r\n"));
    assert_false(slice_holds(header_of(world_accepted(&w)), "lobex"));
    payload_read(true, true, &text);
    assert_true(slice_holds(buf_slice(&text), "Subject: Globex offer\r\n"));
    assert_true(slice_holds(buf_slice(&text), "application/octet-stream; hp=\"cipher\""));
    buf_release(&text);
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
    world_process_text(
        &w, OURS, to_partner,
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

/* --- reading --- */

#define TYPE_HP "Content-Type: text/plain; charset=us-ascii; hp=\"cipher\"\r\n"

/* `payload` signed by `signer` (NULL: not), encrypted to alice if `encrypt`, under this outer header. What is
 * delivered to alice. */
static struct slice delivered(const char *payload, const char *signer, bool encrypt, const char *outer)
{
    struct buf made = BUF_INIT(1 << 20), message = BUF_INIT(1 << 20);
    world_file_write(&w, "made", slice_of_text(payload));
    if (signer != NULL) {
        world_shell(
            &w,
            "openssl cms -sign -binary -in made -signer %s.pem -inkey %s.key -out signed && mv signed made",
            signer, signer);
    }
    if (encrypt) {
        world_shell(&w,
                    "openssl cms -encrypt -binary -in made -aes256 -out sealed alice.pem && mv sealed made");
    }
    world_message_read(&w, "made", &made);
    OK(buf_append_text(&message, outer));
    OK(buf_append_slice(&message, buf_slice(&made)));
    world_process(&w, PARTNER, (const char *const[]){OURS, NULL}, buf_slice(&message));
    buf_release(&made);
    buf_release(&message);
    return world_accepted(&w);
}

static const char outer_from_bob[] =
    "Received: by outside\r\nFrom: bob@partner.example\r\nTo: alice@ours.example\r\n"
    "Reply-To: mallory@evil.example\r\nSubject: [...]\r\nMessage-ID: <outer@x>\r\n";

static void a_hidden_subject_comes_back(void **state)
{
    (void)state;
    struct slice content = delivered(
        "From: Bob <bob@partner.example>\r\nTo: alice@ours.example\r\n"
        "Subject: Dinner plans\r\nMessage-ID: <inner@x>\r\nX-Spam-Status: No\r\n"
        "HP-Outer: Subject: [...]\r\n"
        "Content-Type: text/plain; charset=us-ascii; hp-legacy-display=\"1\";\r\n hp=\"cipher\"\r\n\r\n"
        "Subject: Dinner plans\r\n\r\nLet us meet at eight.\r\n",
        NULL, true, outer_from_bob);
    assert_golden(content, "incoming_header_encrypted.eml");
}

static void signed_fields_stand_for_outer_ones(void **state)
{
    (void)state;
    static const char payload[] =
        "From: Bob <bob@partner.example>\r\nTo: alice@ours.example\r\nSubject: real\r\n"
        "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
        "Content-Type: text/plain; hp=\"clear\"\r\n\r\nwords\r\n";
    struct slice content = delivered(payload, "bob", false, outer_from_bob);
    struct slice header = header_of(content);
    assert_true(slice_starts_with(
        content, SLICE_LITERAL("X-Sealpost-Signature: valid; signer=bob@partner.example; ")));
    assert_true(slice_holds(header, "X-Sealpost-Headers: signed\r\n"));
    assert_true(slice_holds(header, "Subject: real\r\n"));
    assert_true(slice_holds(header, "From: Bob <bob@partner.example>\r\n"));
    assert_true(slice_holds(header, "Message-ID: <outer@x>\r\n")); /* there is none inside */
    assert_false(slice_holds(header, "[...]"));
    assert_false(slice_holds(header, "mallory")); /* an unprotected Reply-To is dropped */
    assert_true(slice_holds(content, payload));   /* the signed part keeps every byte */
    /* What is signed and cannot be believed counts for nothing. */
    content = delivered(payload, "mallory", false, outer_from_bob);
    header = header_of(content);
    assert_true(slice_starts_with(content, SLICE_LITERAL("X-Sealpost-Signature: mismatch; ")));
    assert_true(slice_holds(header, "X-Sealpost-Headers: unprotected\r\n"));
    assert_true(slice_holds(header, "Subject: [...]\r\n"));
}

/* Programs would show one subject or the other: the signature makes neither valid. */
static void a_header_that_reads_two_ways_is_not_valid(void **state)
{
    (void)state;
    struct slice content =
        delivered("From: Bob <bob@partner.example>\r\nSubject: pay 100\r\nSubject: pay 900\r\n"
                  "Content-Type: text/plain; hp=\"clear\"\r\n\r\nwords\r\n",
                  "bob", false, outer_from_bob);
    assert_true(slice_starts_with(content, SLICE_LITERAL("X-Sealpost-Signature: mismatch; ")));
    assert_true(slice_holds(w.out.result.trace, "can be read in more than one way"));
}

/* RFC 9788 section 4.4: which From is shown, and what is said of it. */
static void only_a_signed_from_is_shown(void **state)
{
    (void)state;
    static const struct {
        const char *inner, *outer, *signer;
        bool encrypt;
        const char *shown, *mark, *headers;
    } table[] = {
        {"bob@partner.example", "bob@partner.example", "bob", true, "bob@partner.example", "valid",
         "signed-and-encrypted\r\n"},
        {"bob@partner.example", "list@else.example", "bob", true, "bob@partner.example", "valid",
         "signed-and-encrypted\r\n"},
        {"bob@partner.example", "list@else.example", "bob", false, "bob@partner.example", "valid",
         "signed\r\n"},
        {"ceo@ours.example", "mallory@partner.example", "mallory", true, "mallory@partner.example",
         "mismatch", "encrypted; from=mismatch\r\n"},
        {"ceo@ours.example", "mallory@partner.example", "mallory", false, "mallory@partner.example",
         "mismatch", "unprotected; from=mismatch\r\n"},
        {"mallory@partner.example", "ceo@ours.example", "mallory", true, "mallory@partner.example", "valid",
         "signed-and-encrypted\r\n"},
        {"ceo@ours.example", "bob@partner.example", NULL, true, "bob@partner.example", "none",
         "encrypted; from=mismatch\r\n"},
        {"a@x.example, bob@partner.example", "bob@partner.example", "bob", true, "bob@partner.example",
         "mismatch", "encrypted; from=mismatch\r\n"},
        {"bob@partner.example\r\nFrom: ceo@ours.example", "bob@partner.example", "bob", true,
         "bob@partner.example", "mismatch", "unprotected; from=mismatch\r\n"},
        {"ceo@ours.example <bob@partner.example>", "bob@partner.example", "bob", true, "bob@partner.example",
         "mismatch", "encrypted; from=mismatch\r\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char payload[600], outer[400], from[200], mark[200], headers[100];
        assert_true(
            snprintf(payload, sizeof payload,
                     "From: %s\r\nSubject: s\r\nHP-Outer: From: %s\r\nHP-Outer: Subject: s\r\n" TYPE_HP
                     "\r\nx\r\n",
                     table[i].inner, table[i].inner) > 0);
        assert_true(snprintf(outer, sizeof outer, "From: %s\r\nTo: alice@ours.example\r\n", table[i].outer) >
                    0);
        assert_true(snprintf(from, sizeof from, "\r\nFrom: %s\r\n", table[i].shown) > 0);
        assert_true(snprintf(mark, sizeof mark, "X-Sealpost-Signature: %s", table[i].mark) > 0);
        assert_true(snprintf(headers, sizeof headers, "X-Sealpost-Headers: %s", table[i].headers) > 0);
        struct slice content = delivered(payload, table[i].signer, table[i].encrypt, outer);
        struct slice header = header_of(content);
        if (!slice_starts_with(content, slice_of_text(mark)) || !slice_holds(header, from) ||
            !slice_holds(header, headers) || slice_occurrences(header, "\r\nFrom:") != 1) {
            print_error("row %zu: %.*s\n", i, SLICE_ARGS(header));
            fail();
        }
        /* Nothing is learned of a signer whom the outer From does not name. */
        bool learns = strcmp(table[i].mark, "valid") == 0 && strcmp(table[i].inner, table[i].outer) == 0;
        assert_int_equal(w.told > 0, learns);
    }
}

/* RFC 9788 section 4.3.1: a field is secret that is not recorded as it stands inside, wherever it is folded.
 * Who says hp="clear" has kept nothing secret. */
static void secret_fields_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *payload, *told;
    } table[] = {
        {"From: bob@partner.example\r\nSubject: a long\r\n one\r\nKeywords: k\r\nHP-Outer: From: "
         "bob@partner.example\r\n"
         "HP-Outer: Subject: a\r\n long one\r\nContent-Type: text/plain; hp=cipher\r\n",
         "encrypted\r\nX-Sealpost-Confidential: Keywords\r\n"},
        {"From: bob@partner.example\r\nSubject: s\r\nHP-Outer: from:bob@partner.example\r\nhp-outer: "
         "SUBJECT:  s \r\n"
         "Content-Type: text/plain; hp=cipher\r\n",
         "encrypted\r\n"},
        {"From: bob@partner.example\r\nSubject: s\r\nHP-Outer: From: Bob <bob@partner.example>\r\nHP-Outer: "
         "Subject\r\n"
         "HP-Outer:\r\nHP-Outer: Subject: sx\r\nContent-Type: text/plain; hp=cipher\r\n",
         "encrypted\r\nX-Sealpost-Confidential: From,Subject\r\n"},
        {"Subject: s\r\nX-Secret: x\r\nContent-Type: text/plain; protected-headers=v1\r\n",
         "encrypted\r\nX-Sealpost-Confidential: Subject\r\n"},
        {"Subject: [...]\r\nContent-Type: text/plain; protected-headers=v1\r\n", "encrypted\r\n"},
        {"From: bob@partner.example\r\nSubject: s\r\nContent-Type: text/plain; hp=clear\r\n",
         "unprotected\r\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char payload[600], told[100];
        assert_true(snprintf(payload, sizeof payload, "%s\r\nwords\r\n", table[i].payload) > 0);
        assert_true(snprintf(told, sizeof told, "\r\nX-Sealpost-Headers: %s", table[i].told) > 0);
        struct slice content = delivered(payload, NULL, true, outer_from_bob);
        if (!slice_holds(header_of(content), told) || slice_holds(header_of(content), "hp-outer") ||
            slice_holds(header_of(content), "HP-Outer")) {
            print_error("row %zu: %.*s\n", i, SLICE_ARGS(content));
            fail();
        }
    }
}

/* What a field within may hold: nothing of it ends the header or becomes a field of ours. */
static void nothing_within_forges_a_header(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "Subject: a\rX-Sealpost-Signature: valid; signer=ceo@ours.example\r\n",
        "Subject: a\n\tb\nX-Sealpost-Signature: valid\r\n",
        "Subject: =?utf-8?Q?a=0D=0AX-Sealpost-Signature:_valid?=\r\n",
        "Subject: a\r\n \r\n\t\r\n b\r\n",
        "Subject: raw \xff\xfe bytes\r\n",
        "To: a@b.example\rBcc: c@d.example\r\n",
        "X-Sealpost-Signature: valid\r\nx-sealpost-encryption: none\r\n",
        "Authentication-Results: ours.example; dkim=pass\r\nReceived: by forged\r\nDKIM-Signature: v=1\r\n",
        "Content-Type : text/html\r\n",
        "Bcc: hidden@ours.example\r\n",
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        char payload[800];
        assert_true(snprintf(payload, sizeof payload,
                             "From: bob@partner.example\r\n%s" TYPE_HP "\r\nbody\r\n", fields[i]) > 0);
        struct slice content =
            delivered(payload, NULL, true, "From: bob@partner.example\r\nSubject: [...]\r\n");
        struct slice header = header_of(content);
        bool forged = slice_occurrences(header, "X-Sealpost-Signature:") != 1 &&
                      slice_holds(header, "\r\nX-Sealpost-Signature: valid");
        if (forged || slice_holds(header, "\r\nX-Sealpost-Signature") || slice_holds(header, "dkim") ||
            slice_holds(header, "by forged") || slice_holds(header, "Bcc:") || slice_holds(header, "\xff") ||
            slice_occurrences(header, "Content-Type") > 1 || slice_holds(header, "\r\n \r\n") ||
            !slice_holds(content, "body")) {
            print_error("row %zu: %.*s\n", i, SLICE_ARGS(content));
            fail();
        }
        for (size_t n = 0; n < header.len; n++) {
            assert_true(header.data[n] != 0 && (header.data[n] != '\r' || header.data[n + 1] == '\n') &&
                        (header.data[n] != '\n' || (n > 0 && header.data[n - 1] == '\r')));
        }
    }
}

/* Older forms: the whole message wrapped (RFC 8551), and protected-headers=v1 with its display part. */
static void older_forms_are_read(void **state)
{
    (void)state;
    static const char *const outer =
        "From: bob@partner.example\r\nTo: alice@ours.example\r\nSubject: ...\r\nMessage-ID: <7@x>\r\n";
    struct slice content = delivered(
        "Content-Type: message/rfc822; forwarded=no\r\n\r\nFrom: bob@partner.example\r\nSubject: wrapped\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>hello</p>\r\n",
        NULL, true, outer);
    assert_golden(content, "incoming_header_wrapped.eml");
    content = delivered(
        "Content-Type: multipart/mixed; boundary=b; protected-headers=\"v1\"\r\n"
        "From: bob@partner.example\r\nSubject: the old way\r\n\r\n--b\r\n"
        "Content-Type: text/rfc822-headers; protected-headers=\"v1\"\r\nContent-Disposition: inline\r\n\r\n"
        "Subject: the old way\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n",
        NULL, true, outer);
    assert_golden(content, "incoming_header_v1.eml");
    /* A message that somebody passes on as his own mail is not this message. */
    content = delivered("Content-Type: message/rfc822\r\n\r\nFrom: ceo@ours.example\r\nSubject: passed on\r\n"
                        "Message-ID: <other@x>\r\n\r\nhello\r\n",
                        "bob", true, outer);
    assert_true(slice_holds(header_of(content), "Subject: ...\r\n"));
    assert_false(slice_holds(header_of(content), "passed on"));
    assert_false(slice_holds(header_of(content), "X-Sealpost-Headers"));
    /* Marks on a part that is not the payload's root say nothing. */
    content = delivered("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nSubject: part\r\n" TYPE_HP
                        "\r\nhello\r\n--b--\r\n",
                        "bob", true, outer);
    assert_true(slice_holds(header_of(content), "Subject: ...\r\n"));
    assert_false(slice_holds(header_of(content), "X-Sealpost-Headers"));
}

static void the_display_goes_where_no_signature_stays(void **state)
{
    (void)state;
    struct slice content;
    struct buf sent = BUF_INIT(1 << 20);
    world_set(&w, SETTING_DOMAIN, "ours.example", "protect.headers", "hide-subject");
    world_set(&w, SETTING_DOMAIN, "ours.example", "domain.locality", "external");
    world_process_text(&w, OURS, (const char *const[]){"alice@ours.example", NULL}, letter);
    OK(buf_append_slice(&sent, world_accepted(&w)));
    world_set(&w, SETTING_DOMAIN, "ours.example", "domain.locality", "internal");
    world_process(&w, OURS, (const char *const[]){OURS, NULL}, buf_slice(&sent));
    content = world_accepted(&w);
    assert_true(slice_holds(content, "covers=message\r\n"));
    assert_true(slice_holds(content, "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_&_K=C3=BCsse?=\r\n"));
    assert_true(slice_holds(content, "header-protection-legacy-display")); /* signed: it has to stay */
    world_set(&w, SETTING_DOMAIN, "ours.example", "smime.remove_signature", "valid");
    world_process(&w, OURS, (const char *const[]){OURS, NULL}, buf_slice(&sent));
    content = world_accepted(&w);
    const uint8_t *behind_time = memmem(content.data, content.len, "; covers=", 9);
    assert_non_null(behind_time);
    assert_golden(slice_of(behind_time, content.len - (size_t)(behind_time - content.data)),
                  "incoming_header_bare.eml");
    world_set(&w, SETTING_DOMAIN, "ours.example", "smime.remove_signature", "never");
    world_set(&w, SETTING_DOMAIN, "ours.example", "protect.headers", "sign");
    buf_release(&sent);
}

static void tags_and_banner(void **state)
{
    (void)state;
    static const char payload[] = "Content-Type: text/plain\r\n\r\nwords\r\n";
    static const char *const forged[] = {
        "Subject: [signed by ceo@ours.example] Re: [Decrypted] hello\r\n",
        "Subject: =?utf-8?Q?=5Bsigned_by_ceo=40ours.example=5D?= hello\r\n",
        "Subject: [sig[decrypted]ned by ceo@ours.example] hello\r\n",
        "Subject: \xef\xbc\xbbS i g n e d by ceo\xef\xbc\xbd hello\r\n",
        "Subject: [signed by ceo@ours.example hello\r\n",
    };
    world_set(&w, SETTING_DOMAIN, "ours.example", "incoming.subject_tags", "yes");
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        char outer[300];
        assert_true(snprintf(outer, sizeof outer, "From: mallory@partner.example\r\n%s", forged[i]) > 0);
        struct slice content = delivered(payload, "bob", true, outer); /* bob's signature, mallory's From */
        assert_true(slice_holds(header_of(content), "Subject: [decrypted] [invalid signature]"));
        assert_false(slice_holds(header_of(content), "igned by"));
        assert_false(slice_holds(header_of(content), "ceo"));
    }
    struct slice content = delivered(payload, "bob", true, "From: bob@partner.example\r\n");
    assert_true(slice_holds(header_of(content), "Subject: [decrypted] [signed by bob@partner.example]\r\n"));
    content = delivered(payload, NULL, true,
                        "From: bob@partner.example\r\nSubject: Gr\xc3\xbc\xc3\x9f"
                        "e\r\n");
    assert_true(slice_holds(header_of(content), "Subject: =?utf-8?B?W2RlY3J5cHRlZF0gR3LDvMOfZQ==?=\r\n"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "incoming.subject_tags", "no");
    content =
        delivered(payload, NULL, true, "From: bob@partner.example\r\nSubject: [decrypted] as it is\r\n");
    assert_true(slice_holds(header_of(content), "Subject: [decrypted] as it is\r\n"));

    world_set(&w, SETTING_DOMAIN, "ours.example", "incoming.banner", "yes");
    content = delivered(payload, NULL, true, "From: bob@partner.example\r\n");
    assert_golden(content, "incoming_banner.eml");
    content = delivered(payload, "bob", true, "From: bob@partner.example\r\n"); /* breaks no signature */
    assert_false(slice_holds(content, "decrypted by the mail gateway"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "incoming.banner", "no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signed_mail_carries_its_header),
        cmocka_unit_test(encrypted_mail_carries_its_header),
        cmocka_unit_test(a_hidden_subject_is_nowhere_outside),
        cmocka_unit_test(odd_subjects_are_hidden_too),
        cmocka_unit_test(what_cannot_carry_it_stays_as_it_is),
        cmocka_unit_test(a_hidden_subject_comes_back),
        cmocka_unit_test(signed_fields_stand_for_outer_ones),
        cmocka_unit_test(a_header_that_reads_two_ways_is_not_valid),
        cmocka_unit_test(only_a_signed_from_is_shown),
        cmocka_unit_test(secret_fields_are_told),
        cmocka_unit_test(nothing_within_forges_a_header),
        cmocka_unit_test(older_forms_are_read),
        cmocka_unit_test(the_display_goes_where_no_signature_stays),
        cmocka_unit_test(tags_and_banner),
        cmocka_unit_test(the_body_of_html_is_found),
        cmocka_unit_test(a_file_as_the_message_hides_its_subject),
        cmocka_unit_test(what_differs_is_not_shared),
        cmocka_unit_test(both_senders_must_say_split),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
