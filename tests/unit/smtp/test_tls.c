/* TLS in both directions: STARTTLS from clients and to next hops. */
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
static char chain_path[] = "/tmp/sealpost-tls-XXXXXX";
static uint8_t key_der[512];
static size_t key_len;

static int make_certificate(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"mx.test.example", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
    X509_add_ext(x, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x, key, EVP_sha256());
    int fd = mkstemp(chain_path);
    FILE *f = fdopen(fd, "w");
    PEM_write_X509(f, x);
    (void)fclose(f);
    unsigned char *at = key_der;
    PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(key);
    key_len = (size_t)i2d_PKCS8_PRIV_KEY_INFO(p8, &at);
    PKCS8_PRIV_KEY_INFO_free(p8);
    X509_free(x);
    EVP_PKEY_free(key);
    return key_len > 0 && key_len <= sizeof key_der ? 0 : -1;
}

static int remove_certificate(void **state)
{
    (void)state;
    return unlink(chain_path);
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

static int begin(void **state)
{
    (void)state;
    char text[64];
    memset(&rig, 0, sizeof rig);
    memset(&sink, 0, sizeof sink);
    sink_start(&sink);
    (void)!snprintf(text, sizeof text, "127.0.0.1:%u", sink.port);
    rig_set(&rig, "delivery.next_hop", text);
    rig_set(&rig, "delivery.retry", "200ms");
    rig.tls = server_context();
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_stop(&rig);
    sink_stop(&sink);
    SSL_CTX_free(sink.tls);
    rig_remove(&rig);
    return 0;
}

static void put(SSL *ssl, const char *text)
{
    assert_int_equal(SSL_write(ssl, text, (int)strlen(text)), (int)strlen(text));
}

static int reply(SSL *ssl)
{
    char line[4096];
    size_t n = 0;
    for (;;) {
        assert_true(n < sizeof line - 1);
        if (SSL_read(ssl, line + n, 1) != 1) {
            return 0;
        }
        if (line[n++] == '\n') {
            if (line[3] == ' ') {
                return (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
            }
            n = 0;
        }
    }
}

static SSL *start_tls(int fd, SSL_CTX *context)
{
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "EHLO x"), 250);
    assert_int_equal(client_command(fd, "STARTTLS"), 220);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_connect(ssl), 1);
    return ssl;
}

static void test_in(void **state)
{
    (void)state;
    rig_start(&rig);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    int fd = rig_connect(rig.port);
    SSL *ssl = start_tls(fd, context);
    put(ssl, "MAIL FROM:<a@a.test>\r\n"); /* EHLO counts anew after the handshake */
    assert_int_equal(reply(ssl), 503);
    put(ssl, "EHLO x\r\n");
    assert_int_equal(reply(ssl), 250);
    put(ssl, "STARTTLS\r\n");
    assert_int_equal(reply(ssl), 503);
    put(ssl, "MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n");
    assert_int_equal(reply(ssl), 250);
    assert_int_equal(reply(ssl), 250);
    assert_int_equal(reply(ssl), 354);
    put(ssl, BODY ".\r\nQUIT\r\n");
    assert_int_equal(reply(ssl), 250);
    assert_int_equal(reply(ssl), 221);
    assert_int_equal(reply(ssl), 0);
    SSL_free(ssl);
    (void)close(fd);
    SSL_CTX_free(context);
    assert_true(sink_wait(&sink, 1, 5000));
    assert_non_null(strstr(sink.messages[0], "with ESMTPS id "));
    assert_non_null(strstr(sink.messages[0], "(TLSv1.3) tls TLS_"));
}

/* A handshake before the greeting; also when it comes in one packet with a PROXY header, or in pieces. */
static void test_implicit(void **state)
{
    static const char header[] = "PROXY TCP4 192.0.2.7 192.0.2.1 1234 465\r\n";
    (void)state;
    rig_listener_set(&rig, "relay", "tls=implicit\nnetworks=127.0.0.0/8,192.0.2.0/24\n");
    rig_start(&rig);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    for (int proxied = 0; proxied < 3; proxied++) {
        rig_set(&rig, "smtp.proxy_networks", proxied > 0 ? "127.0.0.0/8" : "");
        int fd = rig_connect(rig.port);
        size_t first = proxied == 2 ? 10 : 0; /* of the header, as a packet of its own */
        if (proxied == 2) {
            assert_int_equal(send(fd, header, first, 0), first);
            (void)usleep(20000);
        }
        if (proxied > 0) { /* the handshake's first flight goes with it */
            size_t rest = sizeof header - 1 - first;
            assert_int_equal(send(fd, header + first, rest, MSG_MORE), rest);
        }
        SSL *ssl = SSL_new(context);
        SSL_set_fd(ssl, fd);
        assert_int_equal(SSL_connect(ssl), 1);
        assert_int_equal(reply(ssl), 220);
        put(ssl, "EHLO x\r\n");
        assert_int_equal(reply(ssl), 250);
        put(ssl, "MAIL FROM:<a@a.test>\r\n");
        assert_int_equal(reply(ssl), 250);
        put(ssl, "RCPT TO:<b@b.test>\r\n");
        assert_int_equal(reply(ssl), 250);
        SSL_free(ssl);
        (void)close(fd);
    }
    SSL_CTX_free(context);
}

static void test_old_tls_is_refused(void **state)
{
    (void)state;
    rig_start(&rig);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "EHLO x"), 250);
    assert_int_equal(client_command(fd, "STARTTLS"), 220);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    assert_int_not_equal(SSL_connect(ssl), 1);
    SSL_free(ssl);
    (void)close(fd);
    SSL_CTX_free(context);
}

static void test_nothing_is_injected(void **state)
{
    (void)state;
    rig_start(&rig);
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "EHLO x"), 250);
    client_send(fd, "STARTTLS\r\nMAIL FROM:<evil@a.test>\r\n");
    assert_int_equal(client_reply(fd, NULL, 0), 554);
    assert_true(client_closed(fd));
    (void)close(fd);
}

static void test_required_from_clients(void **state)
{
    (void)state;
    rig_set(&rig, "smtp.tls", "required");
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 530);
}

static void test_out_opportunistic(void **state)
{
    (void)state;
    sink.tls = server_context();
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 1, 5000));
    assert_non_null(strstr(sink.envelopes[0], "(TLS)"));
}

static void test_out_none(void **state)
{
    (void)state;
    sink.tls = server_context();
    rig_set(&rig, "delivery.tls", "none");
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 1, 5000));
    assert_null(strstr(sink.envelopes[0], "(TLS)"));
}

static void test_out_verified(void **state)
{
    (void)state;
    sink.tls = server_context();
    rig_set(&rig, "delivery.tls", "verified");
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_false(sink_wait(&sink, 1, 600)); /* nobody vouches for that certificate */
    rig_stop(&rig);
    /* The system's trust is in a file that the environment can name. */
    (void)setenv("SSL_CERT_FILE", chain_path, 1);
    rig.keep_dir = true;
    rig.tls = server_context();
    rig_start(&rig);
    assert_true(sink_wait(&sink, 1, 5000));
    assert_non_null(strstr(sink.envelopes[0], "(TLS)"));
    (void)unsetenv("SSL_CERT_FILE");
}

static void test_out_required(void **state)
{
    (void)state;
    rig_set(&rig, "delivery.tls", "required");
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_false(sink_wait(&sink, 1, 600)); /* it offers none: rather late than in plain text */
}

/* SHA-256 of the certificate, or of its key, as 64 digits. */
static void fingerprint_of(bool key, char out[65])
{
    FILE *f = fopen(chain_path, "r");
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    unsigned char *der = NULL;
    uint8_t digest[32];
    int len = key ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der) : i2d_X509(x, &der);
    (void)fclose(f);
    assert_true(len > 0);
    SHA256(der, (size_t)len, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)!snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
    OPENSSL_free(der);
    X509_free(x);
}

static void test_out_fingerprint(void **state)
{
    char text[131];
    (void)state;
    sink.tls = server_context();
    rig_set(&rig, "delivery.tls", "fingerprint");
    memset(text, '0', 64);
    text[64] = '\0';
    rig_set(&rig, "delivery.fingerprint", text);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_false(sink_wait(&sink, 1, 600)); /* it is another */
    text[64] = ',';
    fingerprint_of(false, text + 65);
    rig_set(&rig, "delivery.fingerprint", text);
    assert_true(sink_wait(&sink, 1, 5000));
    fingerprint_of(true, text);
    rig_set(&rig, "delivery.fingerprint", text);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 2, 5000));
    assert_non_null(strstr(sink.envelopes[1], "(TLS)"));
}

static void test_out_lowest_version(void **state)
{
    (void)state;
    sink.tls = server_context();
    SSL_CTX_set_max_proto_version(sink.tls, TLS1_2_VERSION);
    rig_set(&rig, "delivery.tls", "encrypt");
    rig_set(&rig, "delivery.tls_lowest", "1.3");
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_false(sink_wait(&sink, 1, 600));
    rig_set(&rig, "delivery.tls_lowest", "1.2");
    assert_true(sink_wait(&sink, 1, 5000));
    assert_non_null(strstr(sink.envelopes[0], "(TLS)"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        CASE(test_in),
        CASE(test_implicit),
        CASE(test_old_tls_is_refused),
        CASE(test_nothing_is_injected),
        CASE(test_required_from_clients),
        CASE(test_out_opportunistic),
        CASE(test_out_none),
        CASE(test_out_verified),
        CASE(test_out_required),
        CASE(test_out_fingerprint),
        CASE(test_out_lowest_version),
    };
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
