/*
 * Encrypting (RFC 8551 section 3.3, RFC 5652 section 6, RFC 5083): EnvelopedData with CBC, AuthEnvelopedData
 * with GCM. RSA keys by key transport, EC keys by key agreement, as OpenSSL chooses from the certificate. One
 * thread a process.
 */
#include "crypto/smime_internal.h"

#include "crypto/certificate_internal.h"
#include "crypto/cms_scan.h"

#include <openssl/ec.h>
#include <openssl/err.h>

/* A name that is none of ours gets the default, never no encryption. */
static const EVP_CIPHER *cipher_of(enum smime_cipher cipher)
{
    switch (cipher) {
    case SMIME_AES256_GCM:
        return EVP_aes_256_gcm();
    case SMIME_AES192_GCM:
        return EVP_aes_192_gcm();
    case SMIME_AES128_GCM:
        return EVP_aes_128_gcm();
    case SMIME_AES192_CBC:
        return EVP_aes_192_cbc();
    case SMIME_AES128_CBC:
        return EVP_aes_128_cbc();
    case SMIME_AES256_CBC:
    case SMIME_CIPHERS:
        break;
    }
    return EVP_aes_256_cbc();
}

/* Key agreement with SHA-256 (RFC 5753 section 7.1.4): OpenSSL would still take SHA-1. */
static bool prepare_agreement(CMS_RecipientInfo *info)
{
    EVP_PKEY_CTX *context;

    if (CMS_RecipientInfo_type(info) != CMS_RECIPINFO_AGREE)
        return true;
    context = CMS_RecipientInfo_get0_pkey_ctx(info);
    return context != NULL && EVP_PKEY_CTX_set_ecdh_kdf_md(context, EVP_sha256()) == 1;
}

static enum status add_recipient(CMS_ContentInfo *cms, struct slice certificate, struct failure *f)
{
    X509 *x = smime_certificate(certificate);
    CMS_RecipientInfo *info = x == NULL ? NULL : CMS_add1_recipient_cert(cms, x, CMS_KEY_PARAM);
    char name[200];
    enum status status = STATUS_OK;

    if (x == NULL) {
        status = failure_set(f, STATUS_MALFORMED, "cannot encrypt: a certificate cannot be read");
    } else if (info == NULL || !prepare_agreement(info)) {
        certificate_name(x, name, sizeof(name));
        status = failure_set(f, STATUS_UNSUPPORTED,
                             "cannot encrypt to the certificate %s: its kind of key is not supported", name);
    }
    X509_free(x);
    return status;
}

enum status smime_encrypt(const struct slice *certificates, size_t count, enum smime_cipher cipher,
                          struct slice entity, struct buf *out, struct failure *f)
{
    BIO *in = smime_bio_of(entity);
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, cipher_of(cipher), CMS_BINARY | CMS_PARTIAL);
    enum status status = STATUS_OK;

    if (count == 0 || count > CMS_RECIPIENT_INFOS_MAX)
        status = failure_set(f, STATUS_INVALID, "cannot encrypt to %zu certificates", count);
    else if (in == NULL || cms == NULL || CMS_set_detached(cms, 0) != 1)
        status = smime_failure(f, "cannot encrypt");
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = add_recipient(cms, certificates[i], f);
    if (status == STATUS_OK && CMS_final(cms, in, NULL, CMS_BINARY) != 1)
        status = smime_failure(f, "cannot encrypt");
    if (status == STATUS_OK) {
        status = smime_to_der(cms, out);
        if (status != STATUS_OK)
            (void)failure_set(f, status, "cannot write an encrypted message: %s", status_text(status));
    }
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    ERR_clear_error();
    return status;
}
