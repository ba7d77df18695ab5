/*
 * TLS contexts for connections between nodes: TLS 1.3 only, the cluster CA as the only trust, no tickets and
 * no cache (a removed node must not resume). The server asks for a certificate but lets a client without one
 * pass the handshake: a joining node has none. What it may speak then is decided by ALPN (raft/tls_stream.c).
 */
#include "raft/tls_stream.h"

#include <openssl/err.h>

static enum status tls_failure(struct failure *f, const char *doing)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    enum status status =
        failure_set(f, STATUS_CRYPTO, "%s: %s", doing, reason != NULL ? reason : "OpenSSL gave no reason");

    ERR_clear_error();
    return status;
}

/* The client names one protocol; it must be one of ours. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *context)
{
    static const char *const ours[] = {ALPN_RAFT, ALPN_RPC, ALPN_JOIN};

    (void)ssl;
    (void)context;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        size_t len = strlen(ours[i]);

        if (in_len == len + 1 && in[0] == len && memcmp(in + 1, ours[i], len) == 0) {
            *out = in + 1;
            *out_len = (unsigned char)len;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *context_new(bool server)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

    if (ctx == NULL)
        return NULL;
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    (void)SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                    SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (server)
        SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    return ctx;
}

enum status tls_context_peer(bool server, X509 *certificate, EVP_PKEY *key, X509 *ca, SSL_CTX **out,
                             struct failure *f)
{
    SSL_CTX *ctx = context_new(server);
    enum status status;

    if (ctx == NULL || SSL_CTX_use_certificate(ctx, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1 ||
        SSL_CTX_add1_chain_cert(ctx, ca) != 1 || X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca) != 1 ||
        (server && SSL_CTX_add_client_CA(ctx, ca) != 1)) {
        status = tls_failure(f, "cannot set up TLS between the nodes");
        SSL_CTX_free(ctx);
        return status;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    *out = ctx;
    return STATUS_OK;
}

enum status tls_context_join(SSL_CTX **out, struct failure *f)
{
    SSL_CTX *ctx = context_new(false);

    if (ctx == NULL)
        return tls_failure(f, "cannot set up TLS");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL); /* the caller pins the CA by its fingerprint */
    *out = ctx;
    return STATUS_OK;
}
