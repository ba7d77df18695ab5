/* The TLS side of the listener: 1.2 or newer, HTTP/1.1 only, no session state that outlives a connection. */
#include "api/server_internal.h"

#include "crypto/x509.h"

#include <openssl/err.h>

enum status tls_context_make(const char *certificate, struct slice key, SSL_CTX **out, struct failure *f)
{
    static const h2o_iovec_t protocols[] = {{H2O_STRLIT("http/1.1")}, {NULL, 0}};
    EVP_PKEY *private_key = NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
        failure_set(f, STATUS_CRYPTO, "TLS cannot be set up");
        goto err;
    }
    /* A decrypted request may hold a password: OpenSSL's buffers are wiped, and not kept between records. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_num_tickets(ctx, 0) != 1 || SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1) {
        failure_set(f, STATUS_IO, "the service certificate %s cannot be read", certificate);
        goto err;
    }
    if (key_from_der(key, &private_key) != STATUS_OK || SSL_CTX_use_PrivateKey(ctx, private_key) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        failure_set(f, STATUS_INVALID, "the key of the service certificate %s does not fit", certificate);
        goto err;
    }
    EVP_PKEY_free(private_key);
    h2o_ssl_register_alpn_protocols(ctx, protocols);
    *out = ctx;
    return STATUS_OK;

err:
    EVP_PKEY_free(private_key);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return f != NULL ? f->status : STATUS_CRYPTO;
}
