/* The cluster's CA and what it issues, checked with the openssl program. */
#include "command.h"
#include "crypto_test.h"

#include <openssl/x509v3.h>

#define TEXT(s) slice_of_text(s)

struct cluster {
    X509 *ca;
    EVP_PKEY *ca_key, *key;
};

static struct cluster make(const char *name)
{
    struct cluster c;
    struct failure f;

    OK(cluster_ca_make(TEXT(name), NOW_MS, &c.ca, &c.ca_key, &f));
    OK(key_generate_p256(&c.key));
    return c;
}

static void release(struct cluster *c)
{
    X509_free(c->ca);
    EVP_PKEY_free(c->ca_key);
    EVP_PKEY_free(c->key);
}

static void put(const char *file, X509 *x)
{
    struct buf der = BUF_INIT(10000), pem = BUF_INIT(10000);

    OK(certificate_to_der(x, &der));
    OK(certificate_to_pem(buf_slice(&der), &pem));
    file_put(file, buf_slice(&pem));
    buf_release(&der);
    buf_release(&pem);
}

static void what_it_issues_holds(void **state)
{
    struct cluster c = make("test");
    X509 *peer, *service;
    uint8_t of_key[32], of_certificate[32];
    struct failure f;

    (void)state;
    folder_enter();
    OK(cluster_ca_issue(c.ca, c.ca_key, c.key, 3, TEXT("node3"), TEXT("mx.example.org, 127.0.0.1,::1"), true,
                        NOW_MS, &peer, &f));
    OK(cluster_ca_issue(c.ca, c.ca_key, c.key, 3, TEXT("node3"), TEXT("localhost"), false, NOW_MS, &service,
                        &f));
    put("ca", c.ca);
    put("peer", peer);
    put("service", service);
    command("openssl verify -x509_strict -attime 1795521600 -CAfile ca -purpose sslserver peer && "
            "openssl verify -x509_strict -attime 1795521600 -CAfile ca -purpose sslclient peer && "
            "openssl verify -x509_strict -attime 1795521600 -CAfile ca -purpose sslserver service && "
            "openssl verify -attime 1795521600 -CAfile ca -verify_hostname mx.example.org peer && "
            "openssl verify -attime 1795521600 -CAfile ca -verify_ip ::1 peer && "
            "openssl verify -attime 2110000000 -CAfile ca peer"); /* in 9 years and 11 months */
    assert_false(command_works("openssl verify -attime 1795521600 -CAfile ca -purpose sslclient service"));
    assert_false(command_works("openssl verify -attime 1795521600 -CAfile ca -verify_hostname node3 peer"));
    command("openssl x509 -in peer -noout -ext subjectAltName | grep -q URI:sealpost:node:3,");
    assert_false(command_works("openssl x509 -in service -noout -ext subjectAltName | grep -q sealpost"));
    OK(spki_hash_of_key(c.key, of_key));
    OK(spki_hash_of_certificate(peer, of_certificate));
    assert_memory_equal(of_key, of_certificate, 32);
    X509_free(peer);
    X509_free(service);
    release(&c);
    folder_leave();
}

static void bad_names_are_refused(void **state)
{
    static const char *const bad[] = {
        "mx.example.org,URI:sealpost:node:1", "a b", "host:25", "a,DNS:b", "mx\nexample", "[::1]", "*"};
    struct cluster c = make("test");
    X509 *x;
    struct failure f;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            cluster_ca_issue(c.ca, c.ca_key, c.key, 1, TEXT("n"), TEXT(bad[i]), true, NOW_MS, &x, &f),
            STATUS_INVALID);
        HOLDS(f.text, "neither a host name nor an IP address");
    }
    release(&c);
}

static void long_names_and_late_nodes_are_fine(void **state)
{
    struct cluster c =
        make("a cluster whose name is \xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3"
             "\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 quite long");
    X509 *x;
    struct failure f;

    (void)state;
    OK(cluster_ca_issue(c.ca, c.ca_key, c.key, 9, TEXT("late"), TEXT("h"), true, NOW_MS + 15 * YEAR_MS, &x,
                        &f));
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(x), X509_get0_notAfter(c.ca)), 0);
    X509_free(x);
    release(&c);
}

static void keys_go_to_bytes_and_back(void **state)
{
    static const char *const kinds[] = {"rsa", "rsa-pss", "ec", "ed25519"};
    EVP_PKEY *back;
    struct secret der;

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct made m = pki_make(&(struct recipe){.name = "k", .kind = kinds[i]}, NULL);

        OK(key_to_der(m.key, &der));
        OK(key_from_der(secret_slice(&der), &back));
        assert_int_equal(EVP_PKEY_eq(m.key, back), 1);
        assert_true(key_fits_certificate(back, m.der));
        EVP_PKEY_free(back);
        for (size_t len = 0; len < der.len; len += 7) {
            assert_int_equal(key_from_der(slice_of(der.data, len), &back), STATUS_MALFORMED);
            assert_null(back);
        }
        secret_release(&der);
        pki_release(&m);
    }
    assert_int_equal(key_from_der(TEXT("no key"), &back), STATUS_MALFORMED);
    assert_int_equal(key_from_der(TEXT(""), &back), STATUS_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_issues_holds),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(long_names_and_late_nodes_are_fine),
        cmocka_unit_test(keys_go_to_bytes_and_back),
    };

    int failed = cmocka_run_group_tests_name("cluster_ca", tests, NULL, NULL);

    pki_forget_keys();
    return failed;
}
