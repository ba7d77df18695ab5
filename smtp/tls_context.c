/* The TLS context of the SMTP server (smtp/service.h). */
#include "smtp/service.h"

#include <openssl/err.h>

static const char *last_error(void)
{
    unsigned long error = ERR_get_error();
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;
    ERR_clear_error();
    return reason != NULL ? reason : "unknown error";
}

static SSL_CTX *context_new(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* An idle session keeps no buffers. */
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

enum status smtp_server_tls(const char *chain_path, struct slice key_pkcs8, SSL_CTX **out, struct failure *f)
{
    SSL_CTX *context = context_new(TLS_server_method());
    const unsigned char *at = key_pkcs8.data;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)key_pkcs8.len);
    enum status status = STATUS_OK;
    if (context == NULL || key == NULL) {
        status = failure_set(f, STATUS_CRYPTO, "cannot prepare TLS: %s", last_error());
    } else if (SSL_CTX_use_certificate_chain_file(context, chain_path) != 1) {
        status =
            failure_set(f, STATUS_INVALID, "the certificate %s cannot be used: %s", chain_path, last_error());
    } else if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1) {
        status = failure_set(f, STATUS_INVALID, "the key does not fit the certificate %s: %s", chain_path,
                             last_error());
    }
    EVP_PKEY_free(key);
    if (status != STATUS_OK) {
        SSL_CTX_free(context);
        return status;
    }
    static const unsigned char session_id[] = "sealpost smtp";
    (void)SSL_CTX_set_session_id_context(context, session_id, sizeof session_id - 1);
    *out = context;
    return STATUS_OK;
}
