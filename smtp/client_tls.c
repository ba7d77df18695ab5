/* TLS of a client's session (smtp/client_tls.h). */
#include "smtp/client_session.h"

#include "base/log.h"
#include "crypto/x509.h"

#include <openssl/x509v3.h>

static bool is_address(const char *host)
{
    struct in6_addr number;
    return uv_inet_pton(AF_INET, host, &number) == 0 || uv_inet_pton(AF_INET6, host, &number) == 0;
}

/* --- before the connection --- */

static void decide(struct client_session *c)
{
    struct client_tls *t = &c->tls;
    struct tls_question q = {
        .mode = t->settings.mode,
        .require_tls = t->settings.require_tls,
        .is_address = is_address(c->host),
        .named_by_admin = true,
        .host = slice_of_text(c->host),
        .tlsa = TLSA_NOT_ASKED,
        .records = t->records,
        .record_count = t->record_count,
    };
    tls_decide(&q, &t->demand);
    client_tls_decided(c);
}

void client_tls_prepare(struct client_session *c)
{
    struct client_tls *t = &c->tls;
    client_tls_release(c);
    t->data.max = TLSA_RECORDS_MAX * TLSA_DATA_MAX;
    tls_settings_read(c->destination->tls, &t->settings);
    decide(c);
}

void client_tls_release(struct client_session *c)
{
    buf_release(&c->tls.data);
    c->tls.record_count = 0;
}

/* --- the handshake --- */

static bool set_names(const struct client_session *c, SSL *ssl)
{
    const struct client_tls *t = &c->tls;
    /* RFC 6125 section 6.4: "*" is a whole label, and the subject's common name counts for nothing. */
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (t->demand.dane) {
        /* RFC 7672 section 3.2.2 and 3.1.1: the base domain for DANE-TA, no name at all for DANE-EE. */
        bool good = SSL_dane_enable(ssl, t->base) > 0 && SSL_add1_host(ssl, c->host) == 1;
        (void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
        return good;
    }
    if (is_address(c->host)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), c->host) == 1;
    }
    return SSL_set_tlsext_host_name(ssl, c->host) == 1 && SSL_set1_host(ssl, c->host) == 1;
}

/* At least one: records of which OpenSSL can make nothing are left out (RFC 7672 section 2.2). */
static bool add_records(const struct client_tls *t, SSL *ssl)
{
    size_t added = 0;
    for (size_t i = 0; i < t->record_count; i++) {
        const struct tlsa_record *r = &t->records[i];
        if (tlsa_record_usable(r)) {
            added +=
                SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching, r->data.data, r->data.len) > 0;
        }
    }
    return added > 0;
}

static SSL *ssl_new(struct client_session *c, struct failure *f)
{
    struct client_tls *t = &c->tls;
    struct delivery_options *o = &client_delivery(c)->options;
    SSL_CTX *context = NULL;
    if (tls_client_context(o->tls, o->settings->store, t->settings.anchors, &context, f) != STATUS_OK) {
        return NULL;
    }
    SSL *ssl = SSL_new(context);
    bool good = ssl != NULL && SSL_set_min_proto_version(ssl, t->settings.lowest) == 1 && set_names(c, ssl);
    if (good && t->demand.dane && !add_records(t, ssl)) {
        SSL_free(ssl);
        (void)failure_set(f, STATUS_INVALID, "none of its TLSA records can be used");
        return NULL;
    }
    if (!good) {
        SSL_free(ssl);
        (void)failure_set(f, STATUS_CRYPTO, "TLS cannot be started");
        return NULL;
    }
    if (t->demand.named || t->demand.dane) {
        SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    }
    return ssl;
}

bool client_tls_start(struct client_session *c)
{
    struct failure f = {0};
    SSL *ssl = ssl_new(c, &f);
    if (ssl == NULL || stream_start_tls_with(c->stream, ssl) != STATUS_OK) {
        client_broken(c, f.text[0] != '\0' ? f.text : "TLS cannot be started");
        return false;
    }
    return true;
}

static bool is_pinned(const struct client_tls *t, X509 *x)
{
    struct buf der = BUF_INIT((size_t)1 << 20);
    uint8_t fingerprint[32];
    unsigned char *key = NULL;
    bool found = false;
    if (certificate_to_der(x, &der) == STATUS_OK) {
        sha256(buf_slice(&der), fingerprint);
        found = tls_settings_have(&t->settings, fingerprint);
    }
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &key);
    if (!found && len > 0) {
        sha256(slice_of(key, (size_t)len), fingerprint);
        found = tls_settings_have(&t->settings, fingerprint);
    }
    OPENSSL_free(key);
    buf_release(&der);
    return found;
}

const char *client_tls_secured(struct client_session *c)
{
    X509 *x = SSL_get0_peer_certificate(stream_ssl(c->stream));
    if (c->tls.demand.pinned && (x == NULL || !is_pinned(&c->tls, x))) {
        return "neither its certificate nor its key is one of delivery.fingerprint";
    }
    return NULL;
}

bool client_tls_failed(struct client_session *c, const char *why)
{
    if (c->tls.demand.must || c->no_tls) {
        return false;
    }
    log_event(LOG_WARN, "TLS failed, going on without (delivery.tls allows it)",
              LOG_TEXT("next_hop", c->next_hop), LOG_TEXT("error", why));
    c->no_tls = true;
    return true;
}
