/*
 * Domain certificates, both ways: one that is bound to a domain signs, is encrypted to, and opens for each
 * address of that domain and of no other; a pinned one that is denied, revoked or expired does none of it.
 */
#include "mail_world.h"

#include "crypto/crl.h"

static struct world w;

static const char letter[] = "From: %s\r\nTo: somebody\r\nSubject: s\r\n\r\nThe plan is simple.\r\n";

static int set_up(void **state)
{
    static const struct identity people[] = {
        {.name = "alice", .address = "alice@ours.example", .days = 300, .with_key = true},
        {.name = "gate", .address = "gate@ours.example", .days = 300, .with_key = true},
        {.name = "stranger", /* a CA that nobody trusts here */
         .address = "ca@partner.example",
         .days = 300,
         .self = true,
         .ca = true,
         .usage = "keyCertSign,cRLSign"},
        {.name = "far", .address = "gate@partner.example", .days = 300, .issuer = "stranger"},
        {.name = "old", .address = "gate@old.example", .days = 1, .issuer = "stranger"},
    };
    (void)state;
    world_make_with(&w, people, sizeof people / sizeof people[0]);
    world_set(&w, SETTING_DOMAIN, "also.example", "domain.locality", "internal");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

/* The record of NAME.pem, as the world's time sees it; in w.arena until the next call. */
static struct certificate_record record_of(const char *name)
{
    struct certificate_record record, *found = &record;
    struct certificate_file *file = calloc(1, sizeof *file);
    struct buf pem = BUF_INIT(65536);
    struct failure f;
    char path[64];
    assert_non_null(file);
    assert_true(snprintf(path, sizeof path, "%s.pem", name) > 0);
    world_look(&w);
    world_file_read(&w, path, &pem);
    OK(certificate_file_read(buf_slice(&pem), &w.arena, file, &f));
    OK(certificate_describe(file->der[0], SLICE_LITERAL("import"), w.now_ms, &w.arena, found, &f));
    buf_release(&pem);
    free(file);
    return record;
}

static void bind_to(const char *name, const char *scope, uint64_t flags)
{
    struct certificate_record record = record_of(name);
    struct command c = world_command(&w, COMMAND_CERT_BIND);
    c.values[0].bytes = slice_of(record.thumbprint, THUMBPRINT_SIZE);
    c.values[1].bytes = slice_of_text(scope);
    c.values[2].number = flags;
    world_apply(&w, &c);
}

static void list_as(const char *name, enum ctl_verdict verdict)
{
    struct certificate_record record = record_of(name);
    struct command c = world_command(&w, verdict == CTL_NONE ? COMMAND_CTL_REMOVE : COMMAND_CTL_SET);
    c.values[0].bytes = slice_of(record.thumbprint, THUMBPRINT_SIZE);
    c.values[1].number = verdict;
    world_apply(&w, &c);
}

/* What an OCSP responder of its issuer would have answered; OCSP_GOOD takes it back. */
static void revoke(const char *name, const char *issuer, bool revoked)
{
    struct certificate_record of_issuer = record_of(issuer);
    const uint8_t *at = of_issuer.der.data;
    X509 *x = d2i_X509(NULL, &at, (long)of_issuer.der.len);
    uint8_t id[ISSUER_ID_SIZE], serial[SERIAL_MAX];
    assert_non_null(x);
    OK(issuer_id_of(x, id));
    X509_free(x);
    struct certificate_record record = record_of(name);
    at = record.der.data;
    x = d2i_X509(NULL, &at, (long)record.der.len);
    const ASN1_INTEGER *number = X509_get0_serialNumber(x);
    size_t len = (size_t)ASN1_STRING_length(number);
    memcpy(serial, ASN1_STRING_get0_data(number), len);
    X509_free(x);
    struct command c = world_command(&w, revoked ? COMMAND_OCSP_PUT : COMMAND_OCSP_REMOVE);
    c.values[0].bytes = slice_of(id, sizeof id);
    c.values[1].bytes = slice_of(serial, len);
    if (revoked) {
        c.values[2].number = OCSP_REVOKED;
        c.values[3].number = w.now_ms - 1000;
        c.values[5].number = w.now_ms - 1000;
        c.values[6].number = w.now_ms + DAY_MS;
    }
    world_apply(&w, &c);
}

static void send_from(const char *sender, const char *recipient)
{
    char message[400];
    assert_true(snprintf(message, sizeof message, letter, sender) < (int)sizeof message);
    world_process_text(&w, sender, (const char *const[]){recipient, NULL}, message);
}

/* A message that NAME's key signed, From an address, to one of ours; the first line of what arrives. */
static void signed_from(const char *name, const char *from)
{
    struct buf message = BUF_INIT(65536);
    world_shell(&w,
                "printf 'Content-Type: text/plain\\r\\n\\r\\nHello.\\r\\n' | "
                "openssl cms -sign -md sha256 -signer %s.pem -inkey %s.key -out signed",
                name, name);
    world_shell(&w,
                "{ printf 'From: %s\\nTo: alice@ours.example\\nSubject: s\\n'; cat signed; } | "
                "sed 's/\\r$//; s/$/\\r/' > message",
                from);
    world_file_read(&w, "message", &message);
    world_process(&w, from, (const char *const[]){"alice@ours.example", NULL}, buf_slice(&message));
    buf_release(&message);
    assert_int_equal(w.out.result.status, STATUS_OK);
}

static void assert_arrived_with(const char *field)
{
    struct slice content = buf_slice(&w.out.contents[0]);
    if (!slice_holds(content, field)) {
        print_error("there is no %s in %.*s\n", field, (int)(content.len < 400 ? content.len : 400),
                    (const char *)content.data);
        fail();
    }
}

static void assert_verdict(const char *begins)
{
    char field[200];
    assert_true(snprintf(field, sizeof field, "X-Sealpost-Signature: %s", begins) < (int)sizeof field);
    assert_arrived_with(field);
}

/* --- outgoing --- */

static void the_domain_signs_for_who_has_no_key(void **state)
{
    struct buf text = BUF_INIT(65536);
    (void)state;
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "always");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.on_missing_key", "domain-key");
    world_set(&w, SETTING_DOMAIN, "else.example", "encrypt.mode", "none");
    send_from("keyless@ours.example", "x@else.example"); /* nothing is bound yet */
    assert_int_equal(w.out.result.status, STATUS_OK);
    assert_slice(w.out.result.variants[0].protection, "none");
    assert_true(slice_holds(w.out.result.trace, "(sign.on_missing_key is domain-key): not signed"));
    bind_to("gate", "ours.example", 0);
    bind_to("far", "ours.example", BINDING_PINNED); /* its key is not here: it can sign nothing */
    send_from("keyless@ours.example", "x@else.example");
    assert_slice(w.out.result.variants[0].protection, "smime-signed");
    assert_true(slice_holds(w.out.result.trace, "signed with the domain's (sign.on_missing_key)"));
    world_file_write(&w, "out", buf_slice(&w.out.contents[0]));
    world_shell(&w, "openssl cms -verify -in out -CAfile ca.pem -signer by.pem -out verified && "
                    "cmp -s gate.pem by.pem");
    world_file_read(&w, "verified", &text);
    assert_true(slice_holds(buf_slice(&text), "The plan is simple."));
    send_from("alice@ours.example", "x@else.example"); /* one of her own goes first */
    world_file_write(&w, "out", buf_slice(&w.out.contents[0]));
    world_shell(&w, "openssl cms -verify -in out -CAfile ca.pem -signer by.pem -out verified && "
                    "cmp -s alice.pem by.pem");
    list_as("gate", CTL_DENY);
    send_from("keyless@ours.example", "x@else.example");
    assert_slice(w.out.result.variants[0].protection, "none");
    list_as("gate", CTL_NONE);
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.on_missing_key", "unsigned");
    send_from("keyless@ours.example", "x@else.example");
    assert_slice(w.out.result.variants[0].protection, "none");
    buf_release(&text);
}

static void what_must_be_signed_is_refused_without_either(void **state)
{
    (void)state;
    world_set(&w, SETTING_DOMAIN, "also.example", "sign.on_missing_key", "domain-key");
    world_set(&w, SETTING_DOMAIN, "also.example", "trigger.subject.sign", "s");
    send_from("keyless@also.example", "x@else.example");
    assert_int_equal(w.out.result.refusal_count, 1);
    assert_true(slice_holds(w.out.result.refusals[0].reason, "no certificate with its key is stored; of the "
                                                             "domain also.example: no certificate"));
}

static void the_partners_is_encrypted_to_for_each_address(void **state)
{
    static const char *const addresses[] = {"x@partner.example", "y@partner.example"};
    (void)state;
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    world_set(&w, SETTING_DOMAIN, "sub.partner.example", "encrypt.mode", "mandatory");
    bind_to("far", "partner.example", BINDING_PINNED);
    for (size_t i = 0; i < 2; i++) {
        send_from("alice@ours.example", addresses[i]);
        assert_slice(w.out.result.variants[0].protection, "smime-signed-encrypted");
        world_file_write(&w, "out", buf_slice(&w.out.contents[0]));
        world_shell(&w, "openssl cms -decrypt -in out -inkey far.key -recip far.pem -out opened");
    }
    send_from("alice@ours.example", "x@sub.partner.example");
    assert_int_equal(w.out.result.refusal_count, 1);
}

/* --- incoming --- */

static void ours_opens_for_each_address_of_its_domain(void **state)
{
    static const struct {
        const char *to, *field;
    } table[] = {
        {"carl@ours.example", "X-Sealpost-Encryption: decrypted"},
        {"eve@ours.example", "X-Sealpost-Encryption: decrypted"},
        {"carl@also.example", "X-Sealpost-Encryption: failed"},
    };
    struct buf message = BUF_INIT(65536);
    (void)state;
    world_shell(&w, "printf 'Content-Type: text/plain\\r\\n\\r\\nFor whom it may concern.\\r\\n' | "
                    "openssl cms -encrypt -aes256 -out cipher gate.pem");
    world_shell(&w, "{ printf 'From: x@partner.example\\nTo: you\\nSubject: s\\n'; cat cipher; } | "
                    "sed 's/\\r$//; s/$/\\r/' > message");
    world_file_read(&w, "message", &message);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        world_process(&w, "x@partner.example", (const char *const[]){table[i].to, NULL}, buf_slice(&message));
        assert_int_equal(w.out.result.status, STATUS_OK);
        assert_arrived_with(table[i].field);
    }
    buf_release(&message);
}

static void a_partners_signature_counts_for_its_domain_alone(void **state)
{
    (void)state;
    signed_from("far", "anybody@partner.example");
    assert_verdict("valid; signer=anybody@partner.example; protocol=smime; by=domain");
    assert_int_equal(w.told, 0); /* a domain's certificate is no address's: nothing is learned of it */
    signed_from("far", "x@sub.partner.example");
    assert_verdict("untrusted");
    signed_from("far", "x@partner.example.else.example");
    assert_verdict("untrusted");
    bind_to("far", "else.example", 0); /* bound, and not pinned: there is no path */
    signed_from("far", "x@else.example");
    assert_verdict("untrusted");
}

/* A pin stands for the path to an anchor, and for nothing else. */
static void a_pin_does_not_outlive_its_certificate(void **state)
{
    (void)state;
    list_as("far", CTL_DENY);
    signed_from("far", "x@partner.example");
    assert_verdict("untrusted");
    send_from("alice@ours.example", "x@partner.example");
    assert_int_equal(w.out.result.refusal_count, 1);
    assert_true(slice_holds(w.out.result.refusals[0].reason, "denied by the certificate trust list"));
    list_as("far", CTL_NONE);

    revoke("far", "stranger", true);
    signed_from("far", "x@partner.example");
    assert_verdict("revoked");
    world_set(&w, SETTING_DOMAIN, "ours.example", "verify.on_invalid", "quarantine");
    signed_from("far", "x@partner.example");
    assert_true(w.out.result.variants[0].quarantine);
    assert_slice(w.out.result.variants[0].quarantine_reason, "the signature is revoked (verify.on_invalid)");
    world_set(&w, SETTING_DOMAIN, "ours.example", "verify.on_invalid", NULL);
    send_from("alice@ours.example", "x@partner.example");
    assert_int_equal(w.out.result.refusal_count, 1);
    assert_true(slice_holds(w.out.result.refusals[0].reason, "was revoked"));
    revoke("far", "stranger", false);
    signed_from("far", "x@partner.example");
    assert_verdict("valid");

    world_set(&w, SETTING_DOMAIN, "old.example", "encrypt.mode", "mandatory");
    bind_to("old", "old.example", BINDING_PINNED);
    signed_from("old", "x@old.example");
    assert_verdict("expired");
    send_from("alice@ours.example", "x@old.example");
    assert_int_equal(w.out.result.refusal_count, 1);
    assert_true(slice_holds(w.out.result.refusals[0].reason, "expired"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_domain_signs_for_who_has_no_key),
        cmocka_unit_test(what_must_be_signed_is_refused_without_either),
        cmocka_unit_test(the_partners_is_encrypted_to_for_each_address),
        cmocka_unit_test(ours_opens_for_each_address_of_its_domain),
        cmocka_unit_test(a_partners_signature_counts_for_its_domain_alone),
        cmocka_unit_test(a_pin_does_not_outlive_its_certificate),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
