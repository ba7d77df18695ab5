/* The built-in CA for users: what it makes, checked with the openssl program. */
#include "command.h"
#include "crypto_test.h"

#include "base/hex.h"
#include "crypto/ca.h"
#include "crypto/providers.h"

#include <openssl/x509v3.h>

#define TEXT(s) slice_of_text(s)
#define AT      "-attime 1795525200" /* an hour after NOW_MS */

static void put_x509(const char *file, X509 *x)
{
    struct buf der = BUF_INIT(10000), pem = BUF_INIT(20000);

    OK(certificate_to_der(x, &der));
    OK(certificate_to_pem(buf_slice(&der), &pem));
    file_put(file, buf_slice(&pem));
    buf_release(&der);
    buf_release(&pem);
}

static void put_key(const char *file, EVP_PKEY *key)
{
    struct secret pkcs8;

    OK(key_to_der(key, &pkcs8));
    file_put("key.der", secret_slice(&pkcs8));
    command("openssl pkey -inform DER -in key.der -out %s", file);
    secret_release(&pkcs8);
}

static struct ca_crl_entry entry_of(X509 *x, uint64_t reason)
{
    struct ca_crl_entry e = {.revoked_ms = NOW_MS, .reason = reason};
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);

    e.serial_len = (size_t)ASN1_STRING_length(serial);
    memcpy(e.serial, ASN1_STRING_get0_data(serial), e.serial_len);
    return e;
}

static void put_crl(const char *file, const struct ca_signer *s, uint64_t number,
                    const struct ca_crl_entry *entries, size_t count)
{
    struct buf der = BUF_INIT(CA_CRL_MAX);
    struct failure f;

    OK(ca_crl_make(s, number, NOW_MS, NOW_MS + 7 * DAY_MS, entries, count, &der, &f));
    file_put("crl.der", buf_slice(&der));
    command("openssl crl -inform DER -in crl.der -out %s", file);
    buf_release(&der);
}

static void a_chain_verifies_with_its_lists_until_it_is_revoked(void **state)
{
    struct ca_signer root, below;
    struct failure f;
    EVP_PKEY *key;
    X509 *x;
    struct ca_crl_entry entry;

    (void)state;
    folder_enter();
    OK(ca_make(TEXT("CN=Root\\, Ltd, O=Example, C=DE"), KEY_P384, 3650, NULL, "", NOW_MS, &root, &f));
    OK(ca_make(TEXT("Mail CA"), KEY_P256, 3650, &root, "http://pki.example/a,b.crl", NOW_MS, &below, &f));
    OK(key_generate(KEY_RSA3072, &key));
    OK(ca_issue(&below, key, TEXT("alice@ours.example"), TEXT("Alice Ärmel"),
                CERT_USE_SIGN | CERT_USE_ENCRYPT, 365, "http://pki.example/mail.crl", NOW_MS, &x, &f));
    put_x509("root", root.certificate);
    put_x509("below", below.certificate);
    put_x509("alice", x);
    put_key("alice.key", key);
    put_crl("root.crl", &root, 1, NULL, 0);
    put_crl("below.crl", &below, 1, NULL, 0);
    command("openssl verify " AT
            " -x509_strict -crl_check_all -purpose smimesign -CAfile root -untrusted below "
            "-CRLfile root.crl -CRLfile below.crl alice");
    command("openssl verify " AT " -purpose smimeencrypt -CAfile root -untrusted below alice");
    command("openssl x509 -in below -noout -ext crlDistributionPoints | grep -q "
            "'URI:http://pki.example/a,b.crl'");
    command("openssl x509 -in alice -noout -text | grep -A1 'Key Usage: critical' | "
            "grep -q 'Digital Signature, Key Encipherment'");
    command("openssl x509 -in alice -noout -text | grep -q 'email:alice@ours.example'");
    command("openssl x509 -in alice -noout -subject -nameopt utf8 | grep -q 'Alice'");
    command("echo hello | openssl cms -encrypt -aes-256-gcm -out c alice && "
            "openssl cms -decrypt -in c -recip alice -inkey alice.key | grep -q hello");
    entry = entry_of(x, 1);
    put_crl("below.crl", &below, 2, &entry, 1);
    assert_false(command_works("openssl verify " AT
                               " -crl_check -CAfile root -untrusted below -CRLfile below.crl "
                               "alice"));
    command("openssl crl -in below.crl -noout -text | grep -q 'Key Compromise'");
    command("openssl crl -in below.crl -noout -crlnumber | grep -q 2");
    command("openssl crl -in below.crl -noout -CAfile below -verify");
    X509_free(x);
    EVP_PKEY_free(key);
    ca_signer_release(&below);
    ca_signer_release(&root);
    folder_leave();
}

static void what_is_issued_is_described_as_it_was_meant(void **state)
{
    struct ca_signer root;
    struct failure f;
    struct arena a;
    static const struct {
        const char *address;
        uint64_t uses;
        enum key_kind kind;
    } cases[] = {
        {"alice@ours.example", CERT_USE_SIGN, KEY_P256},
        {"alice@ours.example", CERT_USE_ENCRYPT, KEY_P256},
        {"alice@ours.example", CERT_USE_ENCRYPT, KEY_RSA3072},
        {"j\xc3\xbcrgen@ours.example", CERT_USE_SIGN | CERT_USE_ENCRYPT, KEY_P256},
        {"a-local-part-that-is-so-long-that-no-common-name-takes-it@a-domain.of-its-own.ours.example",
         CERT_USE_SIGN | CERT_USE_ENCRYPT, KEY_P256},
        {"o'brien,dns:evil@ours.example", CERT_USE_SIGN | CERT_USE_ENCRYPT, KEY_P256},
    };

    (void)state;
    OK(ca_make(TEXT("CN=Root"), KEY_P256, 3650, NULL, "", NOW_MS, &root, &f));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct certificate_record record;
        struct buf der = BUF_INIT(10000);
        EVP_PKEY *key;
        X509 *x;

        arena_init(&a, 1 << 20);
        OK(key_generate(cases[i].kind, &key));
        OK(ca_issue(&root, key, TEXT(cases[i].address), TEXT(""), cases[i].uses, 10, "", NOW_MS, &x, &f));
        OK(certificate_to_der(x, &der));
        OK(certificate_describe(buf_slice(&der), TEXT("ca"), NOW_MS, &a, &record, &f));
        assert_int_equal(record.uses, cases[i].uses);
        assert_true((record.capabilities & CERT_CAP_AES256_GCM) != 0);
        assert_int_equal(record.address_count, 1);
        assert_same(record.addresses[0], TEXT(cases[i].address));
        assert_true(record.serial.len >= 16); /* 64 bits and more */
        assert_int_equal(record.not_after_ms, NOW_MS + 10 * DAY_MS);
        X509_free(x);
        EVP_PKEY_free(key);
        buf_release(&der);
        arena_release(&a);
    }
    ca_signer_release(&root);
}

static void a_certificate_ends_with_its_ca(void **state)
{
    struct ca_signer root;
    struct failure f;
    EVP_PKEY *key;
    X509 *x;

    (void)state;
    OK(ca_make(TEXT("Root"), KEY_P256, 30, NULL, "", NOW_MS, &root, &f));
    OK(key_generate(KEY_P256, &key));
    OK(ca_issue(&root, key, TEXT("a@b.example"), TEXT(""), CERT_USE_SIGN, 365, "", NOW_MS, &x, &f));
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(x), X509_get0_notAfter(root.certificate)), 0);
    X509_free(x);
    assert_int_equal(ca_issue(&root, key, TEXT("a@b.example"), TEXT(""), CERT_USE_SIGN, 365, "",
                              NOW_MS + 31 * DAY_MS, &x, &f),
                     STATUS_EXPIRED);
    assert_null(x);
    EVP_PKEY_free(key);
    ca_signer_release(&root);
}

static void bad_subjects_are_named(void **state)
{
    static const char *const bad[] = {
        "",         "=x",
        "CN=",      "CN=a,XX=b",
        "CN=a\\",   "C=DEU",
        "CN=a\x01", "O=a,=",
        "CN=a,O",   "a name of more than sixty-four characters is no common name, that is it"};
    struct ca_signer s;
    struct failure f;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        f.text[0] = '\0';
        assert_int_equal(ca_make(TEXT(bad[i]), KEY_P256, 1, NULL, "", NOW_MS, &s, &f), STATUS_INVALID);
        HOLDS(f.text, "subject");
    }
}

static void an_intermediate_makes_no_ca(void **state)
{
    struct ca_signer root, below, third;
    struct failure f;

    (void)state;
    OK(ca_make(TEXT("Root"), KEY_P256, 30, NULL, "", NOW_MS, &root, &f));
    OK(ca_make(TEXT("Below"), KEY_P256, 30, &root, "", NOW_MS, &below, &f));
    assert_int_equal(ca_make(TEXT("Third"), KEY_P256, 30, &below, "", NOW_MS, &third, &f), STATUS_INVALID);
    ca_signer_release(&below);
    ca_signer_release(&root);
}

static void a_request_is_read_by_others(void **state)
{
    struct buf der = BUF_INIT(10000), pem = BUF_INIT(20000);
    struct failure f;
    EVP_PKEY *key;

    (void)state;
    folder_enter();
    OK(key_generate(KEY_P256, &key));
    OK(ca_request_make(key, TEXT("alice@ours.example"), TEXT("Alice"), &der, &f));
    OK(ca_request_to_pem(buf_slice(&der), &pem));
    file_put("r", buf_slice(&pem));
    command("openssl req -in r -verify -noout && openssl req -in r -noout -text | grep -q "
            "'email:alice@ours.example'");
    command("openssl req -in r -noout -subject | grep -q 'CN = Alice'");
    buf_release(&der);
    buf_release(&pem);
    EVP_PKEY_free(key);
    folder_leave();
}

static void an_exported_key_opens_with_its_password_alone(void **state)
{
    struct ca_signer root;
    struct buf der = BUF_INIT(10000), chain = BUF_INIT(10000), p12 = BUF_INIT(64 << 10);
    struct slice issuer;
    struct failure f;
    struct key_file read;
    struct arena a;
    EVP_PKEY *key;
    X509 *x;

    (void)state;
    folder_enter();
    arena_init(&a, 1 << 20);
    OK(ca_make(TEXT("Root"), KEY_P256, 30, NULL, "", NOW_MS, &root, &f));
    OK(key_generate(KEY_RSA3072, &key));
    OK(ca_issue(&root, key, TEXT("a@b.example"), TEXT(""), CERT_USE_SIGN, 365, "", NOW_MS, &x, &f));
    OK(certificate_to_der(x, &der));
    OK(certificate_to_der(root.certificate, &chain));
    issuer = buf_slice(&chain);
    assert_int_equal(key_file_write(key, buf_slice(&der), &issuer, 1, TEXT("short"), &p12, &f),
                     STATUS_INVALID);
    OK(key_file_write(key, buf_slice(&der), &issuer, 1, TEXT("correct horse"), &p12, &f));
    file_put("p12", buf_slice(&p12));
    put_x509("cert", x);
    command("openssl pkcs12 -in p12 -passin 'pass:correct horse' -nodes -out all && grep -c CERTIFICATE all");
    command("openssl pkcs12 -in p12 -passin 'pass:correct horse' -noout -info 2>&1 | grep -q 'AES-256-CBC, "
            "Iteration 600000, PRF hmacWithSHA256'");
    assert_false(command_works("openssl pkcs12 -in p12 -passin pass:wrong -nodes -out all"));
    OK(key_file_read(buf_slice(&p12), TEXT("correct horse"), &a, &read, &f));
    assert_int_equal(EVP_PKEY_eq(key, read.keys[0]), 1);
    assert_int_equal(read.certificates.count, 2);
    key_file_release(&read);
    EVP_PKEY_free(key);
    X509_free(x);
    ca_signer_release(&root);
    buf_release(&der);
    buf_release(&chain);
    buf_release(&p12);
    arena_release(&a);
    folder_leave();
}

static void the_url_of_a_list_names_its_ca(void **state)
{
    char out[CA_CRL_URL_MAX];

    (void)state;
    ca_crl_url(TEXT("http://x/{ca}.crl"), TEXT("mail"), out);
    assert_string_equal(out, "http://x/mail.crl");
    ca_crl_url(TEXT("http://x/%s.crl"), TEXT("mail"), out);
    assert_string_equal(out, "http://x/%s.crl");
    ca_crl_url(TEXT(""), TEXT("mail"), out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_verifies_with_its_lists_until_it_is_revoked),
        cmocka_unit_test(what_is_issued_is_described_as_it_was_meant),
        cmocka_unit_test(a_certificate_ends_with_its_ca),
        cmocka_unit_test(bad_subjects_are_named),
        cmocka_unit_test(an_intermediate_makes_no_ca),
        cmocka_unit_test(a_request_is_read_by_others),
        cmocka_unit_test(an_exported_key_opens_with_its_password_alone),
        cmocka_unit_test(the_url_of_a_list_names_its_ca),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
