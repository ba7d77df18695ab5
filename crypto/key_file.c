/*
 * Files with a private key and its certificate: PKCS#12 (also those with RC2-40 and 3DES of old programs, by
 * OpenSSL's legacy provider), or PEM. One thread at a time: loading a provider changes the process.
 */
#include "crypto/x509.h"

#include "crypto/password_cost.h"
#include "crypto/providers.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs12err.h>

#define PASSWORD_MAX 1023
#define FILE_MAX     ((size_t)4 << 20) /* bytes */

static enum status keep_chain(X509 *own, STACK_OF(X509) * others, struct arena *a,
                              struct certificate_file *chain, struct failure *f)
{
    int count = others == NULL ? 0 : sk_X509_num(others); /* -1 for NULL */
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

static const char *reason_of_openssl(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    return reason != NULL ? reason : "it is damaged";
}

static enum status read_pkcs12(PKCS12 *p12, const char *password, struct arena *a, EVP_PKEY **key,
                               struct certificate_file *chain, struct failure *f)
{
    X509 *own = NULL;
    STACK_OF(X509) *others = NULL;
    enum status status;

    if (!pkcs12_is_affordable(p12))
        return failure_set(f, STATUS_TOO_LARGE,
                           "the PKCS#12 file asks for more than %d iterations to derive its key",
                           PASSWORD_COST_MAX);
    if (!PKCS12_mac_present(p12))
        return failure_set(
            f, STATUS_UNSUPPORTED,
            "the PKCS#12 file has no MAC that tells whether it is whole: export it again with one");
    if (PKCS12_verify_mac(p12, password, -1) != 1 &&
        !(password[0] == '\0' && PKCS12_verify_mac(p12, NULL, 0) == 1)) {
        if (ERR_peek_last_error() != 0 &&
            ERR_GET_REASON(ERR_peek_last_error()) != PKCS12_R_MAC_VERIFY_FAILURE)
            return failure_set(f, STATUS_UNSUPPORTED, "the PKCS#12 file's MAC cannot be checked: %s",
                               reason_of_openssl());
        return failure_set(f, STATUS_WRONG_PASSWORD,
                           password[0] == '\0' ? "the PKCS#12 file needs a password"
                                               : "the password does not open the PKCS#12 file");
    }
    if (PKCS12_parse(p12, password, key, &own, &others) != 1) {
        status =
            failure_set(f, STATUS_UNSUPPORTED, "the PKCS#12 file cannot be read: %s", reason_of_openssl());
        goto out;
    }
    if (*key == NULL) {
        status = failure_set(f, STATUS_INVALID, "the PKCS#12 file holds no private key");
        goto out;
    }
    if (own == NULL) {
        status = failure_set(f, STATUS_INVALID,
                             sk_X509_num(others) > 0
                                 ? "the private key belongs to none of the certificates in the PKCS#12 file"
                                 : "the PKCS#12 file holds a private key but not its certificate");
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

/* All encrypted keys of the file: it is not known which of them OpenSSL tries. */
static bool pem_is_affordable(struct slice content)
{
    BIO *bio = BIO_new_mem_buf(content.data, (int)content.len);
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    bool good = bio != NULL;
    long len = 0;

    while (good && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
        if (strcmp(name, PEM_STRING_PKCS8) == 0)
            good = encrypted_key_is_affordable(slice_of(data, (size_t)len));
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)len);
    }
    BIO_free(bio);
    ERR_clear_error();
    return good;
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
    BIO *bio;
    enum status status;

    if (!pem_is_affordable(content))
        return failure_set(f, STATUS_TOO_LARGE,
                           "the private key asks for more than %d iterations to derive its key",
                           PASSWORD_COST_MAX);
    bio = BIO_new_mem_buf(content.data, (int)content.len);
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
    if (status == STATUS_MALFORMED && chain->count == 0)
        status = failure_set(f, STATUS_INVALID,
                             "the file holds a private key but no certificate that can be read; put the "
                             "certificate behind the key");
    else if (status != STATUS_OK)
        ; /* the failure says it */
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
    if (content.len == 0)
        return failure_set(f, STATUS_MALFORMED, "the file is empty");
    if (content.len > FILE_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "a file with a key has at most %zu bytes", FILE_MAX);
    if (password.len > PASSWORD_MAX || slice_find_byte(password, 0) < password.len)
        return failure_set(f, STATUS_INVALID, "a password has at most %d bytes and no NUL", PASSWORD_MAX);
    status = providers_load(f);
    if (status != STATUS_OK)
        return status;
    status = secret_copy(&text, password); /* the page behind it is zero: the text is terminated */
    if (status != STATUS_OK)
        return failure_set(f, status, "cannot keep the password");
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
