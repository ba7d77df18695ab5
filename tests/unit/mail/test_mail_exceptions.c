/* Mail that is not simply protected and sent: put aside, told of, or the answer to what came encrypted. */
#include "mail/reply_token.h"
#include "mail_world.h"

#define OURS    "alice@ours.example"
#define PARTNER "bob@partner.example"

static struct world w;

static const char plain[] =
    "Received: by test; Tue, 24 Nov 2026 10:00:00 +0000\r\nFrom: Alice <alice@ours.example>\r\n"
    "To: bob@partner.example, gina@partner.example, gus@partner.example\r\nSubject: plans\r\n"
    "X-Sealpost-Signature: valid; signer=ceo@ours.example\r\nMessage-ID: <1@ours.example>\r\n"
    "\r\nThe plan is simple.\r\n";

static int set_up(void **state)
{
    static const struct identity people[] = {
        {.name = "alice", .address = OURS, .days = 300, .with_key = true},
        {.name = "dave", .address = "dave@ours.example", .days = 300, .with_key = true},
        {.name = "bob", .address = PARTNER, .days = 300},
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

/* encrypt.on_failure=quarantine: nothing is made for anybody, and what came is kept. */
static void what_cannot_be_encrypted_is_put_aside_whole(void **state)
{
    (void)state;
    static const char *const two[] = {PARTNER, "nobody@partner.example", NULL};
    const struct job_result *r = &w.out.result;
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.on_failure", "quarantine");
    world_set(&w, SETTING_DOMAIN, "ours.example", "partial.recipients", "split");
    for (int lmtp = 0; lmtp < 2; lmtp++) { /* as a whole, also where it could be split */
        w.job_flags = lmtp == 1 ? JOB_REPLY_FOR_EACH : 0;
        world_process_text(&w, OURS, two, plain);
        assert_int_equal(r->status, STATUS_OK);
        assert_true(r->put_aside);
        assert_int_equal(r->variant_count + r->refusal_count, 0);
        assert_true(slice_holds(r->text, "nobody@partner.example: encryption is mandatory"));
        assert_true(slice_holds(r->trace, "put aside as it came: encrypt.on_failure"));
    }
    w.job_flags = 0;
    /* Another is refused for now: that is decided anew as well. For good: it is told now, to all. */
    world_set(&w, SETTING_USER, OURS, "trigger.group.sign", "nowhere");
    world_process_text(&w, OURS, two, plain);
    assert_false(r->put_aside); /* nobody was asked: the group is not there, for any of them */
    assert_int_equal(r->status, STATUS_UNAVAILABLE);
    world_set(&w, SETTING_USER, OURS, "trigger.group.sign", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "partial.recipients", "refuse-all");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.on_missing_key", "refuse");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "always");
    static const char *const other[] = {"una@partner.example", "x@plain.example", NULL};
    world_process_text(&w, "keyless@ours.example", other,
                       "From: keyless@ours.example\r\nTo: x@plain.example\r\n\r\nx\r\n");
    assert_false(r->put_aside);
    assert_int_equal(r->status, STATUS_NO_KEY);
    assert_int_equal(r->refusal_count, 2);
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.on_missing_key", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", NULL);
    /* Released: refused while there is no certificate, whatever could be put aside. */
    w.job_flags = JOB_RELEASED;
    world_process_text(&w, OURS, two, plain);
    assert_false(r->put_aside);
    assert_int_equal(r->status, STATUS_NO_KEY);
    world_process_text(&w, OURS, (const char *const[]){PARTNER, NULL}, plain);
    world_assert_accepted(&w);
    assert_slice(r->variants[0].protection, "smime-signed-encrypted");
    w.job_flags = 0;
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.on_failure", NULL);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
}

/* encrypt.notify_sender: whom a notice is for. */
static void our_senders_may_be_told(void **state)
{
    static const struct {
        const char *notify; /* of ours.example; NULL: the default */
        const char *sender, *recipient, *field;
        uint64_t flags;
        bool notice;
    } table[] = {
        {NULL, OURS, PARTNER, "", 0, false},
        {"always", OURS, PARTNER, "", 0, true},
        {"always", OURS, "someone@plain.example", "", 0, true}, /* why not is told as well */
        {"failure", OURS, PARTNER, "", 0, false},
        {NULL, OURS, "nobody@partner.example", "", 0, true}, /* put aside */
        {"always", OURS, "nobody@partner.example", "", 0, true},
        {"never", OURS, "nobody@partner.example", "", 0, false},
        {"always", "", PARTNER, "", 0, false},
        {"always", "", PARTNER, "", JOB_NULL_SENDER_MADE_HERE, false},
        {"always", "stranger@partner.example", PARTNER, "", 0, false}, /* not ours, whoever From names */
        {"always", OURS, "dave@ours.example", "", 0, false},           /* it does not leave */
        {"always", OURS, PARTNER, "Auto-Submitted: auto-replied\r\n", 0, false},
        {"always", OURS, PARTNER, "Auto-Submitted: no\r\n", 0, true},
        {"always", OURS, PARTNER, "Precedence: bulk\r\n", 0, false},
        {"always", OURS, PARTNER, "List-Id: <l.ours.example>\r\n", 0, false},
        {"always", OURS, PARTNER, "Content-Type: multipart/report; boundary=b\r\n", 0, false},
    };
    (void)state;
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.on_failure", "quarantine");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char message[300];
        assert_true(snprintf(message, sizeof message,
                             "From: alice@ours.example\r\nTo: x@y.example\r\n%sSubject: s\r\n\r\nx\r\n",
                             table[i].field) > 0);
        world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.notify_sender", table[i].notify);
        w.job_flags = table[i].flags;
        world_process_text(&w, table[i].sender, (const char *const[]){table[i].recipient, NULL}, message);
        assert_int_equal(w.out.result.status, STATUS_OK);
        if (w.out.result.notice != table[i].notice) {
            fail_msg("row %zu: %.*s", i, SLICE_ARGS(w.out.result.trace));
        }
        assert_int_equal(slice_holds(w.out.result.trace, "encrypt.notify_sender\""), table[i].notice);
    }
    w.job_flags = 0;
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.on_failure", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.notify_sender", NULL);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
}

/* What alice gets of bob's mail: its token, or "". */
static void token_of_delivered(const char *header, char token[100])
{
    struct buf message = BUF_INIT(1 << 20), whole = BUF_INIT(1 << 20);
    world_file_write(&w, "inner", SLICE_LITERAL("Content-Type: text/plain\r\n\r\nsecret words\r\n"));
    world_shell(&w, "openssl cms -encrypt -binary -in inner -aes256 -out msg alice.pem");
    world_message_read(&w, "msg", &message);
    OK(buf_append_text(&whole, header));
    OK(buf_append_slice(&whole, buf_slice(&message)));
    world_process(&w, PARTNER, (const char *const[]){OURS, NULL}, buf_slice(&whole));
    world_assert_accepted(&w);
    assert_slice(w.out.result.variants[0].protection, "decrypted");
    struct slice content = buf_slice(&w.out.contents[0]);
    assert_true(slice_holds(content, "secret words"));
    size_t at = reply_token_find(content);
    token[0] = '\0';
    if (at < content.len) {
        assert_true(snprintf(token, 100, "%.*s", (int)REPLY_TOKEN_LEN, (const char *)content.data + at) > 0);
        struct slice rest = slice_of(content.data + at + REPLY_TOKEN_LEN, content.len - at - REPLY_TOKEN_LEN);
        assert_int_equal(reply_token_find(rest), rest.len);
    }
    buf_release(&message);
    buf_release(&whole);
}

#define FROM_BOB "From: bob@partner.example\r\nTo: alice@ours.example\r\nMessage-ID: <m@x>\r\n"

static void what_is_decrypted_is_marked_for_replies(void **state)
{
    (void)state;
    char token[100];
    token_of_delivered(FROM_BOB, token);
    assert_string_equal(token, ""); /* not by default */
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.replies", "yes");
    token_of_delivered(FROM_BOB, token);
    assert_int_equal(strlen(token), REPLY_TOKEN_LEN);
    assert_true(slice_holds(buf_slice(&w.out.contents[0]), "\r\nReferences: <"));
    token_of_delivered(FROM_BOB "References: <a@x>\r\n <b@x>\r\nIn-Reply-To: <b@x>\r\n", token);
    assert_true(slice_holds(buf_slice(&w.out.contents[0]), "\r\nReferences: <a@x>\r\n <b@x>\r\n <"));
    assert_int_equal(slice_occurrences(buf_slice(&w.out.contents[0]), "\r\nReferences:"), 1);
    token_of_delivered(FROM_BOB "In-Reply-To: <b@x>\r\n", token);
    assert_true(slice_holds(buf_slice(&w.out.contents[0]), "\r\nReferences: <b@x>\r\n <"));
    /* One that comes from outside is none of ours: it goes. */
    char forged[300], again[100];
    assert_true(snprintf(forged, sizeof forged, FROM_BOB "References: <a@x> %s\r\n", token) > 0);
    token_of_delivered(forged, again);
    assert_string_not_equal(again, token);
    /* What did not come encrypted has none. */
    world_process_text(&w, PARTNER, (const char *const[]){OURS, NULL}, FROM_BOB "\r\nx\r\n");
    assert_false(slice_holds(buf_slice(&w.out.contents[0]), "reply.sealpost.invalid"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.replies", NULL);
}

static void replies_to_encrypted_mail_are_encrypted(void **state)
{
    (void)state;
    char token[100], changed[100], foreign[REPLY_TOKEN_LEN + 1];
    const uint8_t nonce[REPLY_TOKEN_NONCE] = {7};
    struct keyring other = {0};
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.replies", "yes");
    token_of_delivered(FROM_BOB, token);
    memcpy(changed, token, sizeof changed);
    changed[30] = changed[30] == 'a' ? 'b' : 'a';
    assert_int_not_equal(reply_token_make(&other, nonce, SLICE_LITERAL("x"), foreign), STATUS_OK);
    OK(reply_token_make(&w.keyring, nonce, SLICE_LITERAL("else.example"), foreign));
    const struct {
        const char *from, *sender, *recipient, *field, *token;
        enum status status;
        const char *protection;
    } table[] = {
        {OURS, OURS, PARTNER, "References: <m@x> %s <n@x>", token, STATUS_OK, "smime-signed-encrypted"},
        {OURS, OURS, "someone@plain.example", "References: <m@x>\r\n %s\r\n <n@x>", token, STATUS_NO_KEY,
         NULL},
        {OURS, OURS, "someone@plain.example", "In-Reply-To: %s", token, STATUS_NO_KEY, NULL},
        {OURS, OURS, "someone@plain.example", "X-Else: %s", token, STATUS_OK, "none"},
        {OURS, OURS, "someone@plain.example", "References: <m@x> %s", changed, STATUS_OK, "none"},
        {OURS, OURS, "someone@plain.example", "References: <m@x> %s", foreign, STATUS_OK, "none"},
        {"x@else.example", OURS, "someone@plain.example", "References: %s", token, STATUS_NO_KEY, NULL},
        {"dave@ours.example", "dave@ours.example", "someone@plain.example", "References: %s", token,
         STATUS_NO_KEY, NULL}, /* of the same domain, to whom it was forwarded */
        {"x@else.example", "x@else.example", "someone@plain.example", "References: %s", token, STATUS_OK,
         "none"},
    };
    world_set(&w, SETTING_GLOBAL, "", "trigger.subject.plain", "[plain]");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char field[300], message[700];
        size_t at = slice_find_byte(slice_of_text(table[i].field), '%');
        assert_true(snprintf(field, sizeof field, "%.*s%s%s", (int)at, table[i].field, table[i].token,
                             table[i].field + at + 2) > 0);
        assert_true(snprintf(message, sizeof message,
                             "From: %s\r\nTo: %s\r\n%s\r\nSubject: [plain] s\r\n\r\nx\r\n", table[i].from,
                             table[i].recipient, field) > 0);
        world_process_text(&w, table[i].sender, (const char *const[]){table[i].recipient, NULL}, message);
        if (w.out.result.status != table[i].status) {
            fail_msg("row %zu: %s %.*s", i, status_name(w.out.result.status), SLICE_ARGS(w.out.result.trace));
        }
        if (table[i].status != STATUS_OK) {
            assert_true(slice_holds(w.out.result.refusals[0].reason, "it answers mail that came encrypted"));
            continue;
        }
        assert_slice(w.out.result.variants[0].protection, table[i].protection);
        struct slice content = world_content(&w, 0, slice_of_text(message));
        bool elsewhere = slice_starts_with(slice_of_text(field), SLICE_LITERAL("X-Else"));
        assert_int_equal(slice_holds(content, "reply.sealpost.invalid"), elsewhere);
        assert_false(slice_holds(content, "\r\n \r\n"));
        assert_int_equal(slice_holds(content, "<m@x>"), slice_holds(slice_of_text(field), "<m@x>"));
    }
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.replies", NULL); /* withdrawn since */
    char message[300];
    assert_true(snprintf(message, sizeof message, "From: alice@ours.example\r\nReferences: %s\r\n\r\nx\r\n",
                         token) > 0);
    world_process_text(&w, OURS, (const char *const[]){"someone@plain.example", NULL}, message);
    world_assert_accepted(&w);
    assert_slice(w.out.result.variants[0].protection, "none");
    assert_slice(buf_slice(&w.out.contents[0]), "From: alice@ours.example\r\n\r\nx\r\n");
    world_set(&w, SETTING_GLOBAL, "", "trigger.subject.plain", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_encrypted_is_put_aside_whole),
        cmocka_unit_test(our_senders_may_be_told),
        cmocka_unit_test(what_is_decrypted_is_marked_for_replies),
        cmocka_unit_test(replies_to_encrypted_mail_are_encrypted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
