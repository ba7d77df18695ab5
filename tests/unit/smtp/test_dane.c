/* DANE from MX records to the message: a real NSD with signed zones, the whole service, and a real TLS server
 * with one certificate, which each host's TLSA records fit or do not (RFC 7672). */
#include "name_server.h"
#include "rig.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY "From: a@a.test\r\nTo: b@b.test\r\nSubject: one\r\n\r\nbody\r\n"

static struct rig rig;
static struct sink sink;
static struct name_server names;
static char chain_path[] = "/tmp/sealpost-dane-XXXXXX";
static uint8_t key_der[512];
static size_t key_len;
static char of_ca[65], of_key[65]; /* SHA-256 */

static void digest_of(unsigned char *der, int len, char out[65])
{
    uint8_t digest[32];
    assert_true(len > 0);
    SHA256(der, (size_t)len, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)!snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
    OPENSSL_free(der);
}

static X509 *certificate_of(EVP_PKEY *key, const char *name, int nid, const char *extension, bool expired)
{
    X509 *x = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_set_version(x, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(x), -7200);
    X509_gmtime_adj(X509_getm_notAfter(x), expired ? -3600 : 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                               -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    X509_EXTENSION *more = X509V3_EXT_conf_nid(NULL, NULL, nid, extension);
    X509_add_ext(x, more, -1);
    X509_EXTENSION_free(more);
    return x;
}

/* Of a CA, for one host, perhaps with its time over: DANE-EE looks at neither, DANE-TA at both. */
static void make_certificate(bool expired)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *ca_key = EVP_EC_gen("P-256");
    X509 *ca = certificate_of(ca_key, "CA", NID_basic_constraints, "critical,CA:TRUE", false);
    X509 *x = certificate_of(key, "host", NID_subject_alt_name, "DNS:mx-ta.dane.example", expired);
    unsigned char *der = NULL, *at = key_der;
    X509_sign(ca, ca_key, EVP_sha256());
    X509_set_issuer_name(x, X509_get_subject_name(ca));
    X509_sign(x, ca_key, EVP_sha256());
    FILE *f = fopen(chain_path, "w");
    PEM_write_X509(f, x);
    PEM_write_X509(f, ca);
    (void)fclose(f);
    PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(key);
    key_len = (size_t)i2d_PKCS8_PRIV_KEY_INFO(p8, &at);
    PKCS8_PRIV_KEY_INFO_free(p8);
    int len = i2d_X509(ca, &der);
    digest_of(der, len, of_ca);
    der = NULL;
    len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    digest_of(der, len, of_key);
    X509_free(x);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
}

static SSL_CTX *server_context(void)
{
    SSL_CTX *context = NULL;
    struct failure f = {0};
    if (smtp_server_tls(chain_path, slice_of(key_der, key_len), &context, &f) != STATUS_OK) {
        fail_msg("%s", f.text);
    }
    return context;
}

/* A domain NAME with an MX host mx-NAME and this TLSA record. */
static void add_domain(struct buf *zone, const char *name, const char *tlsa, const char *digest)
{
    assert_int_equal(buf_printf(zone, "%s IN MX 10 mx-%s\nmx-%s IN A 127.0.0.1\n", name, name, name),
                     STATUS_OK);
    if (tlsa != NULL) {
        assert_int_equal(buf_printf(zone, "_%u._tcp.mx-%s IN TLSA %s %s\n", sink.port, name, tlsa, digest),
                         STATUS_OK);
    }
}

static void begin(bool expired, bool offers_tls)
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    struct buf safe = BUF_INIT(65536), open = BUF_INIT(4096);
    char port[16];
    memset(&rig, 0, sizeof rig);
    memset(&sink, 0, sizeof sink);
    make_certificate(expired);
    sink_start(&sink);
    sink.tls = offers_tls ? server_context() : NULL;
    add_domain(&safe, "ee", "3 1 1", of_key);
    add_domain(&safe, "wrong", "3 1 1", zeros);
    add_domain(&safe, "ta", "2 0 1", of_ca);
    add_domain(&safe, "named", "2 0 1", of_ca); /* the certificate is not for this host */
    add_domain(&safe, "pkix", "1 1 1", zeros);
    add_domain(&safe, "none", NULL, NULL);
    add_domain(&open, "wrong", "3 1 1", zeros);
    const struct name_zone zones[] = {
        {.name = "dane.example", .is_signed = true, .records = buf_text(&safe)},
        {.name = "open.example", .records = buf_text(&open)},
    };
    name_server_start(&names, zones, 2);
    (void)!snprintf(port, sizeof port, "%u", sink.port);
    rig_set(&rig, "delivery.next_hop", "");
    rig_set(&rig, "delivery.mx_port", port);
    rig_set(&rig, "delivery.retry", "1h");
    rig_set(&rig, "dns.resolvers", names.resolvers);
    rig_set(&rig, "dns.trust_anchors", names.anchors);
    rig_start(&rig);
    buf_release(&safe);
    buf_release(&open);
}

static void end(void)
{
    rig_stop(&rig);
    sink_stop(&sink);
    SSL_CTX_free(sink.tls);
    rig_remove(&rig);
    name_server_stop(&names);
}

static void send_to(const char *recipient)
{
    assert_int_equal(client_deliver(rig.port, "a@a.test", recipient, BODY, NULL, 0), 250);
}

/* Mail to `refused` is sent before mail to `taken`, and must not be among what came when that did. */
static void only_some_come(const char *const *refused, const char *const *taken)
{
    size_t count = 0;
    for (; *refused != NULL; refused++) {
        send_to(*refused);
    }
    for (; taken[count] != NULL; count++) {
        send_to(taken[count]);
    }
    assert_true(sink_wait(&sink, count, 20000));
    assert_false(sink_wait(&sink, count + 1, 600));
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t k = 0; k < count; k++) {
            found = found || strstr(sink.envelopes[k], taken[i]) != NULL;
        }
        if (!found) {
            fail_msg("%s is missing", taken[i]);
        }
    }
}

static void records_decide_who_gets_mail(void **state)
{
    (void)state;
    begin(false, true);
    only_some_come((const char *const[]){"b@wrong.dane.example", "b@named.dane.example", NULL},
                   (const char *const[]){"b@ee.dane.example", "b@ta.dane.example", "b@pkix.dane.example",
                                         "b@none.dane.example", "b@wrong.open.example", NULL});
    for (size_t i = 0; i < 5; i++) {
        assert_non_null(strstr(sink.envelopes[i], "(TLS)"));
    }
    end();
}

static void dates_count_for_an_anchor_alone(void **state)
{
    (void)state;
    begin(true, true);
    only_some_come((const char *const[]){"b@ta.dane.example", NULL},
                   (const char *const[]){"b@ee.dane.example", NULL});
    end();
}

static void without_tls_only_those_without_records_get_mail(void **state)
{
    (void)state;
    begin(false, false);
    only_some_come((const char *const[]){"b@ee.dane.example", "b@pkix.dane.example", NULL},
                   (const char *const[]){"b@none.dane.example", "b@wrong.open.example", NULL});
    end();
}

static void dane_only_sends_to_nobody_else(void **state)
{
    (void)state;
    begin(false, true);
    rig_set(&rig, "delivery.tls", "dane-only");
    only_some_come(
        (const char *const[]){"b@none.dane.example", "b@pkix.dane.example", "b@wrong.open.example", NULL},
        (const char *const[]){"b@ee.dane.example", NULL});
    end();
}

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(chain_path);
    return fd >= 0 ? close(fd) : -1;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(chain_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_decide_who_gets_mail),
        cmocka_unit_test(dates_count_for_an_anchor_alone),
        cmocka_unit_test(without_tls_only_those_without_records_get_mail),
        cmocka_unit_test(dane_only_sends_to_nobody_else),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
