/* The decision: modes of both sides, what makes a certificate unusable, reasons that a sender understands,
 * and the trace. */
#include "mail_world.h"

#include <jansson.h>

static struct world w;

static int set_up(void **state)
{
    (void)state;
    world_make(&w);
    world_identity(&w, &(struct identity){
                           .name = "alice", .address = "alice@ours.example", .days = 300, .with_key = true});
    world_identity(&w, &(struct identity){
                           .name = "bob", .address = "bob@partner.example", .days = 300, .key_type = "ec"});
    world_identity(
        &w, &(struct identity){.name = "old", .address = "old@partner.example", .days = 1, .key_type = "ec"});
    world_identity(
        &w,
        &(struct identity){
            .name = "una", .address = "una@partner.example", .days = 300, .key_type = "ec", .self = true});
    world_identity(&w, &(struct identity){.name = "sig",
                                          .address = "sig@partner.example",
                                          .days = 300,
                                          .key_type = "ec",
                                          .usage = "digitalSignature"});
    world_identity(&w, &(struct identity){.name = "gina",
                                          .address = "gina@partner.example",
                                          .days = 300,
                                          .key_type = "ec",
                                          .knows_gcm = true});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

static struct policy_decision decide(const char *from, const char *envelope, const char *recipient)
{
    struct policy_decision d;
    struct failure f = {.status = STATUS_OK};
    struct policy_facts facts = {
        .from = slice_of_text(from), .envelope_sender = slice_of_text(envelope), .now_ms = w.now_ms};
    struct slice recipients[1] = {slice_of_text(recipient)};
    world_look(&w);
    struct slice *kept = arena_alloc(&w.arena, sizeof *kept);
    assert_non_null(kept);
    *kept = recipients[0];
    OK(policy_decide(w.view, w.trust, &facts, kept, 1, &w.arena, &d, &f));
    return d;
}

static void modes_of_both_sides(void **state)
{
    (void)state;
    enum { PLAIN = PROTECT_NONE, ENC = PROTECT_ENCRYPT | PROTECT_SIGN, REFUSED = 99 };
    static const struct {
        const char *sender, *recipient; /* encrypt.mode */
        unsigned with_certificate, without;
    } table[] = {
        {"none", "none", PLAIN, PLAIN},
        {"none", "opportunistic", ENC, PLAIN},
        {"opportunistic", "none", ENC, PLAIN},
        {"none", "mandatory", ENC, REFUSED},
        {"mandatory", "none", ENC, REFUSED}, /* a recipient's "none" weakens nothing */
        {"mandatory", "opportunistic", ENC, REFUSED},
        {"request", "none", PLAIN, PLAIN},
        {"opportunistic", "request", ENC, PLAIN},
        {"request", "request", PLAIN, PLAIN},
        {"request", "mandatory", ENC, REFUSED},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", table[i].sender);
        world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", table[i].recipient);
        struct policy_decision d = decide("alice@ours.example", "alice@ours.example", "bob@partner.example");
        assert_int_equal(d.recipients[0].status, STATUS_OK);
        assert_int_equal(d.recipients[0].protection, table[i].with_certificate);
        d = decide("alice@ours.example", "alice@ours.example", "nobody@partner.example");
        assert_int_equal(d.refused, table[i].without == REFUSED);
        assert_int_equal(d.recipients[0].protection, PLAIN);
        assert_int_equal(d.recipients[0].status, table[i].without == REFUSED ? STATUS_NO_KEY : STATUS_OK);
    }
}

static void another_from_does_not_weaken(void **state)
{
    (void)state;
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "mandatory");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "none");
    struct policy_decision d = decide("x@lax.example", "alice@ours.example", "nobody@partner.example");
    assert_int_equal(d.recipients[0].status, STATUS_NO_KEY);
    d = decide("", "alice@ours.example", "nobody@partner.example");
    assert_int_equal(d.recipients[0].status, STATUS_NO_KEY);
    d = decide("x@lax.example", "x@lax.example", "nobody@partner.example");
    assert_int_equal(d.recipients[0].status, STATUS_OK);
}

static void reasons_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *recipient, *reason;
    } table[] = {
        {"nobody@partner.example",
         "nobody@partner.example: encryption is mandatory (domain partner.example) and there is no "
         "usable certificate: none is stored"},
        {"old@partner.example", " expired 20"},
        {"una@partner.example", "the certificate "},
        {"sig@partner.example", "is not made for encryption"},
    };
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "none");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct policy_decision d = decide("alice@ours.example", "alice@ours.example", table[i].recipient);
        assert_int_equal(d.recipients[0].status, STATUS_NO_KEY);
        if (!slice_holds(d.recipients[0].reason, table[i].reason)) {
            print_error("%s: %.*s\n", table[i].recipient, SLICE_ARGS(d.recipients[0].reason));
            fail();
        }
        assert_true(slice_holds(d.recipients[0].reason, table[i].recipient));
    }
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "mandatory");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "none");
    struct policy_decision d = decide("alice@ours.example", "alice@ours.example", "nobody@partner.example");
    assert_true(slice_holds(d.recipients[0].reason, "mandatory (sender's domain ours.example)"));
    world_set(&w, SETTING_DOMAIN, "partner.example", "smime.enabled", "no");
    d = decide("alice@ours.example", "alice@ours.example", "bob@partner.example");
    assert_true(slice_holds(d.recipients[0].reason, "S/MIME is switched off (domain partner.example)"));
    world_set(&w, SETTING_DOMAIN, "partner.example", "smime.enabled", "yes");
}

/* A certificate that is damaged in the store is no reason to send plain text. */
static void a_damaged_certificate_is_an_error(void **state)
{
    (void)state;
    struct certificate_record record = {
        .der = SLICE_LITERAL("no certificate"),
        .addresses = {SLICE_LITERAL("hurt@partner.example")},
        .address_count = 1,
        .subject = SLICE_LITERAL("CN=hurt"),
        .issuer = SLICE_LITERAL("CN=hurt"),
        .serial = SLICE_LITERAL("01"),
        .not_before_ms = w.now_ms - DAY_MS,
        .not_after_ms = w.now_ms + DAY_MS,
        .uses = CERT_USE_ENCRYPT,
        .added_ms = w.now_ms,
        .source = SLICE_LITERAL("import"),
    };
    sha256(record.der, record.thumbprint);
    world_add_record(&w, &record);
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "opportunistic");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
    struct policy_decision d = decide("alice@ours.example", "alice@ours.example", "hurt@partner.example");
    assert_int_equal(d.recipients[0].status, STATUS_CORRUPT);
    assert_true(d.refused);
}

static void signing_follows_the_sender(void **state)
{
    (void)state;
    static const struct {
        const char *mode, *from, *envelope;
        unsigned plain, encrypted; /* SIGN or not, for a recipient without and with a certificate */
    } table[] = {
        {"none", "alice@ours.example", "alice@ours.example", 0, 0},
        {"request", "alice@ours.example", "alice@ours.example", 0, 0},
        {"with-encryption", "alice@ours.example", "alice@ours.example", 0, PROTECT_SIGN},
        {"always", "alice@ours.example", "alice@ours.example", PROTECT_SIGN, PROTECT_SIGN},
        {"always", "alice@ours.example", "", 0, 0},                       /* null sender */
        {"always", "keyless@ours.example", "keyless@ours.example", 0, 0}, /* sign.on_missing_key=unsigned */
        {"always", "", "alice@ours.example", 0, 0},                       /* nobody is clearly the author */
    };
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "opportunistic");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", table[i].mode);
        struct policy_decision d = decide(table[i].from, table[i].envelope, "nobody@partner.example");
        assert_int_equal(d.recipients[0].protection & PROTECT_SIGN, table[i].plain);
        d = decide(table[i].from, table[i].envelope, "bob@partner.example");
        assert_int_equal(d.recipients[0].protection & PROTECT_SIGN, table[i].encrypted);
        assert_true((d.recipients[0].protection & PROTECT_ENCRYPT) != 0);
    }
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.on_missing_key", "refuse");
    struct policy_decision d = decide("keyless@ours.example", "keyless@ours.example", "bob@partner.example");
    assert_int_equal(d.recipients[0].status, STATUS_NO_KEY);
    assert_true(slice_holds(d.recipients[0].reason, "must be signed for keyless@ours.example"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.on_missing_key", "unsigned");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "with-encryption");
}

static void capabilities_and_directions(void **state)
{
    (void)state;
    struct policy_decision d = decide("alice@ours.example", "alice@ours.example", "gina@partner.example");
    assert_true((d.recipients[0].capabilities & CERT_CAP_AES256_GCM) != 0);
    d = decide("alice@ours.example", "alice@ours.example", "bob@partner.example");
    assert_false((d.recipients[0].capabilities & CERT_CAP_AES256_GCM) != 0);
    assert_int_equal(d.recipients[0].direction, POLICY_OUTGOING);
    d = decide("bob@partner.example", "bob@partner.example", "alice@ours.example");
    assert_int_equal(d.recipients[0].direction, POLICY_INCOMING);
    assert_int_equal(d.recipients[0].protection, PROTECT_NONE);
}

static void the_trace_is_json_whatever_comes(void **state)
{
    (void)state;
    struct policy_decision d = decide("we\"ird\\\xff\xc0\xaf\xed\xa0\x80\x7f@ours.example", "\xe2\x82@x",
                                      "\"\xf0\x9f\x98\x80\"@partner.example");
    json_t *trace = json_loadb((const char *)d.trace.data, d.trace.len, 0, NULL);
    assert_non_null(trace);
    json_decref(trace);
}

static void the_trace_is_json(void **state)
{
    (void)state;
    world_set(&w, SETTING_USER, "alice@ours.example", "encrypt.mode", "mandatory");
    struct policy_decision d = decide("alice@ours.example", "alice@ours.example", "old@partner.example");
    json_error_t error;
    json_t *trace = json_loadb((const char *)d.trace.data, d.trace.len, 0, &error);
    if (trace == NULL) {
        print_error("%s: %.*s\n", error.text, SLICE_ARGS(d.trace));
        fail();
    }
    json_t *recipient = json_array_get(json_object_get(trace, "recipients"), 0);
    assert_string_equal(json_string_value(json_object_get(recipient, "address")), "old@partner.example");
    assert_string_equal(json_string_value(json_object_get(recipient, "status")), "NO_KEY");
    json_t *certificate = json_array_get(json_object_get(recipient, "certificates"), 0);
    assert_true(json_is_false(json_object_get(certificate, "usable")));
    json_t *mode = json_array_get(json_object_get(trace, "sender_settings"), 0);
    assert_string_equal(json_string_value(json_object_get(mode, "value")), "mandatory");
    assert_string_equal(json_string_value(json_object_get(mode, "level")), "user");
    assert_string_equal(json_string_value(json_object_get(mode, "scope")), "alice@ours.example");
    json_decref(trace);
}

/* What was found good is remembered for a minute, and no longer than the store is as it was. */
static void good_ones_are_remembered_in_time(void **state)
{
    (void)state;
    struct failure f = {.status = STATUS_OK};
    struct certificate_record *old = NULL;
    world_look(&w);
    struct buf pem = BUF_INIT(65536);
    struct certificate_file *file = calloc(1, sizeof *file);
    struct certificate_record record;
    world_file_read(&w, "old.pem", &pem);
    OK(certificate_file_read(buf_slice(&pem), &w.arena, file, &f));
    OK(certificate_describe(file->der[0], SLICE_LITERAL("x"), w.now_ms, &w.arena, &record, &f));
    old = &record;
    uint64_t good = old->not_after_ms - 3600000;
    for (int i = 0; i < 2; i++) {
        OK(known_trust_check(w.known, w.trust, old->thumbprint, old->der, TRUST_FOR_ENCRYPTION, good, &f));
        assert_int_not_equal(known_trust_check(w.known, w.trust, old->thumbprint, old->der,
                                               TRUST_FOR_ENCRYPTION, w.now_ms, &f),
                             STATUS_OK);
    }
    free(file);
    buf_release(&pem);
}

static void many_recipients_keep_the_trace_bounded(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    struct policy_decision d;
    struct failure f = {.status = STATUS_OK};
    struct policy_facts facts = {.from = SLICE_LITERAL("alice@ours.example"),
                                 .envelope_sender = SLICE_LITERAL("alice@ours.example"),
                                 .now_ms = w.now_ms};
    world_look(&w);
    struct slice *recipients = arena_alloc_array(&w.arena, MANY, sizeof recipients[0]);
    assert_non_null(recipients);
    for (size_t i = 0; i < MANY; i++) {
        recipients[i] = slice_of_text(arena_printf(&w.arena, "user%zu@partner.example", i));
    }
    OK(policy_decide(w.view, w.trust, &facts, recipients, MANY, &w.arena, &d, &f));
    json_t *trace = json_loadb((const char *)d.trace.data, d.trace.len, 0, NULL);
    assert_non_null(trace);
    size_t told = json_array_size(json_object_get(trace, "recipients"));
    assert_int_equal(told + (size_t)json_integer_value(json_object_get(trace, "recipients_omitted")), MANY);
    assert_true(d.trace.len < JOB_TRACE_MAX);
    json_decref(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_of_both_sides),
        cmocka_unit_test(another_from_does_not_weaken),
        cmocka_unit_test(reasons_are_told),
        cmocka_unit_test(a_damaged_certificate_is_an_error),
        cmocka_unit_test(signing_follows_the_sender),
        cmocka_unit_test(capabilities_and_directions),
        cmocka_unit_test(the_trace_is_json),
        cmocka_unit_test(the_trace_is_json_whatever_comes),
        cmocka_unit_test(good_ones_are_remembered_in_time),
        cmocka_unit_test(many_recipients_keep_the_trace_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
