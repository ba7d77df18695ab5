/*
 * Files with a private key and its certificate: PKCS#12 (also those with RC2-40 and 3DES of old programs, by
 * OpenSSL's legacy provider), or PEM. One thread at a time: loading a provider changes the process.
 */
#include "crypto/x509.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>

#define PASSWORD_MAX 1023

/* Without it, old PKCS#12 files and old mail cannot be read. Harmless when it is missing. */
static void load_legacy(void)
{
    static bool tried;

    if (tried)
        return;
    tried = true;
    (void)OSSL_PROVIDER_load(NULL, "default");
    (void)OSSL_PROVIDER_load(NULL, "legacy");
    ERR_clear_error();
}

static enum status keep_chain(X509 *own, STACK_OF(X509) * others, struct arena *a,
                              struct certificate_file *chain, struct failure *f)
{
    int count = sk_X509_num(others);
    enum status status = STATUS_OK;

    chain->count = 0;
    for (int i = -1; i < count && status == STATUS_OK; i++) {
        struct buf der = BUF_INIT((size_t)128 << 10);

        if (chain->count == CERTIFICATES_PER_FILE_MAX)
            status = STATUS_TOO_LARGE;
        else
            status = certificate_to_der(i < 0 ? own : sk_X509_value(others, i), &der);
        if (status == STATUS_OK && !arena_copy(a, buf_slice(&der), &chain->der[chain->count]))
            status = STATUS_NO_MEMORY;
        if (status == STATUS_OK)
            chain->count++;
        buf_release(&der);
    }
    return status == STATUS_OK
               ? status
               : failure_set(f, status, "cannot keep the certificates of the key: %s", status_text(status));
}

static enum status read_pkcs12(PKCS12 *p12, const char *password, struct arena *a, EVP_PKEY **key,
                               struct certificate_file *chain, struct failure *f)
{
    X509 *own = NULL;
    STACK_OF(X509) *others = NULL;
    enum status status;

    if (PKCS12_verify_mac(p12, password, -1) != 1 &&
        !(password[0] == '\0' && PKCS12_verify_mac(p12, NULL, 0) == 1))
        return failure_set(f, STATUS_WRONG_PASSWORD,
                           password[0] == '\0' ? "the PKCS#12 file needs a password"
                                               : "the password does not open the PKCS#12 file");
    if (PKCS12_parse(p12, password, key, &own, &others) != 1 || *key == NULL || own == NULL) {
        status = failure_set(
            f, STATUS_INVALID,
            "the PKCS#12 file must hold a private key and its certificate, in a cipher that is supported");
        goto out;
    }
    status = keep_chain(own, others, a, chain, f);
out:
    if (status != STATUS_OK) {
        EVP_PKEY_free(*key);
        *key = NULL;
    }
    X509_free(own);
    sk_X509_pop_free(others, X509_free);
    return status;
}

struct asked {
    const char *password;
    bool asked;
};

static int password_cb(char *out, int size, int writing, void *context)
{
    struct asked *asked = context;
    size_t len = strlen(asked->password);

    (void)writing;
    asked->asked = true;
    if (size < 0 || len == 0 || len > (size_t)size)
        return -1;
    memcpy(out, asked->password, len);
    return (int)len;
}

/* Puts the key's own certificate first. */
static bool own_first(EVP_PKEY *key, struct certificate_file *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        if (key_fits_certificate(key, chain->der[i])) {
            struct slice first = chain->der[0];

            chain->der[0] = chain->der[i];
            chain->der[i] = first;
            return true;
        }
    return false;
}

static enum status read_pem(struct slice content, const char *password, struct arena *a, EVP_PKEY **key,
                            struct certificate_file *chain, struct failure *f)
{
    struct asked asked = {.password = password};
    BIO *bio = BIO_new_mem_buf(content.data, (int)content.len);
    enum status status;

    *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, password_cb, &asked);
    BIO_free(bio);
    if (*key == NULL && asked.asked)
        return failure_set(f, STATUS_WRONG_PASSWORD,
                           password[0] == '\0' ? "the private key needs a password"
                                               : "the password does not open the private key");
    if (*key == NULL)
        return failure_set(f, STATUS_MALFORMED,
                           "there is no private key in the file; it may be PKCS#12, or PEM with the key and "
                           "its certificate");
    status = certificate_file_read(content, a, chain, f);
    if (status != STATUS_OK)
        status = failure_set(
            f, STATUS_INVALID,
            "the file holds a private key but no certificate; put the certificate behind the key");
    else if (!own_first(*key, chain))
        status =
            failure_set(f, STATUS_INVALID, "the private key belongs to none of the certificates in the file");
    if (status != STATUS_OK) {
        EVP_PKEY_free(*key);
        *key = NULL;
    }
    return status;
}

enum status key_file_read(struct slice content, struct slice password, struct arena *a, EVP_PKEY **key,
                          struct certificate_file *chain, struct failure *f)
{
    const unsigned char *at = content.data;
    struct secret text;
    PKCS12 *p12;
    enum status status;

    *key = NULL;
    chain->count = 0;
    if (content.len == 0 || content.len > INT_MAX)
        return failure_set(f, STATUS_MALFORMED, "the file is empty, or too large to hold a key");
    if (password.len > PASSWORD_MAX || slice_find_byte(password, 0) < password.len)
        return failure_set(f, STATUS_INVALID, "a password has at most %d bytes and no NUL", PASSWORD_MAX);
    status = secret_copy(&text, password); /* the page behind it is zero: the text is terminated */
    if (status != STATUS_OK)
        return failure_set(f, status, "cannot keep the password");
    load_legacy();
    p12 = d2i_PKCS12(NULL, &at, (long)content.len);
    if (p12 != NULL)
        status = read_pkcs12(p12, (const char *)text.data, a, key, chain, f);
    else
        status = read_pem(content, (const char *)text.data, a, key, chain, f);
    PKCS12_free(p12);
    secret_release(&text);
    ERR_clear_error();
    return status;
}
