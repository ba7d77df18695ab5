/*
 * A private key with its certificate as PKCS#12 (RFC 7292): AES-256-CBC under a key of PBKDF2 with
 * HMAC-SHA-256 for both bags, and a SHA-256 MAC. Every program of the last ten years reads it. Any thread;
 * takes about a second by intent.
 */
#include "crypto/ca.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>

#define ITERATIONS                                                                                           \
    600000 /* for each of the two bags, and for the MAC: guessing takes the cheapest of them                 \
            */
#define PASSWORD_MIN 8
#define PASSWORD_MAX 1023

static STACK_OF(X509) * stack_of(const struct slice *chain, size_t count)
{
    STACK_OF(X509) *stack = sk_X509_new_null();

    for (size_t i = 0; i < count && stack != NULL; i++) {
        X509 *x = certificate_from_der(chain[i]);

        if (x != NULL && sk_X509_push(stack, x) <= 0)
            X509_free(x);
    }
    return stack;
}

enum status key_file_write(EVP_PKEY *key, struct slice certificate, const struct slice *chain,
                           size_t chain_count, struct slice password, struct buf *out, struct failure *f)
{
    X509 *own;
    STACK_OF(X509) * others;
    PKCS12 *p12 = NULL;
    struct secret text;
    unsigned char *der = NULL;
    int len = 0;
    enum status status;

    if (password.len < PASSWORD_MIN || password.len > PASSWORD_MAX ||
        slice_find_byte(password, 0) < password.len)
        return failure_set(f, STATUS_INVALID, "the password of the file has %d to %d bytes", PASSWORD_MIN,
                           PASSWORD_MAX);
    status = secret_copy(&text, password); /* the page behind it is zero: the text is terminated */
    if (status != STATUS_OK)
        return failure_set(f, status, "cannot keep the password");
    own = certificate_from_der(certificate);
    others = stack_of(chain, chain_count);
    if (own != NULL && others != NULL)
        p12 = PKCS12_create((const char *)text.data, NULL, key, own, others, NID_aes_256_cbc, NID_aes_256_cbc,
                            ITERATIONS, -1, 0);
    if (p12 != NULL &&
        PKCS12_set_mac(p12, (const char *)text.data, -1, NULL, 0, ITERATIONS, EVP_sha256()) == 1)
        len = i2d_PKCS12(p12, &der);
    if (len <= 0)
        status = failure_set(f, STATUS_CRYPTO, "cannot write the PKCS#12 file");
    else
        status = buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    PKCS12_free(p12);
    sk_X509_pop_free(others, X509_free);
    X509_free(own);
    secret_release(&text);
    ERR_clear_error();
    return status;
}
