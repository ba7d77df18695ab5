/*
 * Encrypting (RFC 8551 section 3.3, RFC 5652 section 6, RFC 5083): EnvelopedData with CBC, AuthEnvelopedData
 * with GCM. RSA keys by key transport, EC keys by key agreement, as OpenSSL chooses from the certificate. One
 * thread a process.
 */
#include "crypto/smime_internal.h"

#include <limits.h>
#include <openssl/err.h>

#define RECIPIENTS_MAX 10000

static const EVP_CIPHER *cipher_of(enum smime_cipher cipher)
{
    switch (cipher) {
    case SMIME_AES256_GCM:
        return EVP_aes_256_gcm();
    case SMIME_AES128_CBC:
        return EVP_aes_128_cbc();
    case SMIME_AES256_CBC:
        break;
    }
    return EVP_aes_256_cbc();
}

enum status smime_encrypt(const struct slice *certificates, size_t count, enum smime_cipher cipher,
                          struct slice entity, struct buf *out, struct failure *f)
{
    STACK_OF(X509) *recipients = sk_X509_new_null();
    CMS_ContentInfo *cms = NULL;
    BIO *in = entity.len > INT_MAX ? NULL : BIO_new_mem_buf(entity.data, (int)entity.len);
    enum status status = STATUS_OK;

    if (count == 0 || count > RECIPIENTS_MAX || recipients == NULL || in == NULL)
        status = failure_set(f, STATUS_CRYPTO, "cannot encrypt to %zu certificates", count);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        X509 *x = certificate_from_der(certificates[i]);

        if (x == NULL || sk_X509_push(recipients, x) <= 0) {
            X509_free(x);
            status = failure_set(f, STATUS_CRYPTO, "cannot encrypt: certificate %zu cannot be read", i + 1);
        }
    }
    if (status == STATUS_OK) {
        cms = CMS_encrypt(recipients, in, cipher_of(cipher), CMS_BINARY);
        status = cms == NULL ? smime_failure(f, "cannot encrypt") : smime_to_der(cms, out);
    }
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    sk_X509_pop_free(recipients, X509_free);
    ERR_clear_error();
    return status;
}
