/*
 * Encrypting (RFC 8551 section 3.3, RFC 5652 section 6, RFC 5083): EnvelopedData with CBC, AuthEnvelopedData
 * with GCM. RSA keys by key transport, EC keys by key agreement, as OpenSSL chooses from the certificate; it
 * also takes a key wrap that is as long as the content key. One thread a process.
 */
#include "crypto/smime_internal.h"

#include "crypto/certificate_internal.h"
#include "crypto/cms_scan.h"

#include <limits.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

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

static bool wants_oaep(const struct smime_recipient *r)
{
    return r->transport == SMIME_TRANSPORT_OAEP ||
           (r->transport == SMIME_TRANSPORT_AUTO && (r->capabilities & CERT_CAP_OAEP_SHA256) != 0);
}

static bool prepare_transport(EVP_PKEY_CTX *context, const struct smime_recipient *r)
{
    if (!wants_oaep(r))
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1;
}

/* RFC 5753 section 7.1.4 (OpenSSL would still take SHA-1). The digest that fits the curve, unless the
 * recipient names others only. */
static const EVP_MD *agreement_digest(int bits, uint64_t capabilities)
{
    static const struct {
        uint64_t flag;
        int bits_max;
        const EVP_MD *(*md)(void);
    } kdfs[] = {
        {CERT_CAP_ECDH_SHA256, 256, EVP_sha256},
        {CERT_CAP_ECDH_SHA384, 384, EVP_sha384},
        {CERT_CAP_ECDH_SHA512, INT_MAX, EVP_sha512},
    };
    const EVP_MD *(*named)(void) = NULL;

    for (size_t i = 0; i < sizeof(kdfs) / sizeof(kdfs[0]); i++) {
        if ((capabilities & kdfs[i].flag) != 0)
            named = kdfs[i].md; /* the strongest one */
    }
    for (size_t i = 0; i < sizeof(kdfs) / sizeof(kdfs[0]); i++)
        if (bits <= kdfs[i].bits_max)
            return named == NULL || (capabilities & kdfs[i].flag) != 0 ? kdfs[i].md() : named();
    return EVP_sha512();
}

static bool prepare(CMS_RecipientInfo *info, X509 *x, const struct smime_recipient *r)
{
    EVP_PKEY_CTX *context = CMS_RecipientInfo_get0_pkey_ctx(info);

    if (context == NULL)
        return false;
    switch (CMS_RecipientInfo_type(info)) {
    case CMS_RECIPINFO_TRANS:
        return prepare_transport(context, r);
    case CMS_RECIPINFO_AGREE:
        return EVP_PKEY_CTX_set_ecdh_kdf_md(
                   context, agreement_digest(EVP_PKEY_get_bits(X509_get0_pubkey(x)), r->capabilities)) == 1;
    default:
        return false;
    }
}

static enum status add_recipient(CMS_ContentInfo *cms, const struct smime_recipient *r, struct failure *f)
{
    X509 *x = smime_certificate(r->certificate);
    CMS_RecipientInfo *info = x == NULL ? NULL : CMS_add1_recipient_cert(cms, x, CMS_KEY_PARAM);
    char name[200];
    enum status status = STATUS_OK;

    if (x == NULL) {
        status = failure_set(f, STATUS_MALFORMED, "cannot encrypt: a certificate cannot be read");
    } else if (info == NULL || !prepare(info, x, r)) {
        certificate_name(x, name, sizeof(name));
        status = failure_set(f, STATUS_UNSUPPORTED,
                             "cannot encrypt to the certificate %s: its kind of key is not supported", name);
    }
    X509_free(x);
    return status;
}

enum status smime_encrypt(const struct smime_recipient *recipients, size_t count, enum smime_cipher cipher,
                          struct slice entity, struct buf *out, struct failure *f)
{
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, cipher_of(cipher), CMS_BINARY | CMS_PARTIAL);
    enum status status = STATUS_OK;

    if (count == 0 || count > CMS_RECIPIENT_INFOS_MAX)
        status = failure_set(f, STATUS_INVALID, "cannot encrypt to %zu certificates", count);
    else if (cms == NULL || CMS_set_detached(cms, 0) != 1)
        status = smime_failure(f, "cannot encrypt");
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = add_recipient(cms, &recipients[i], f);
    if (status == STATUS_OK && !smime_final(cms, entity))
        status = smime_failure(f, "cannot encrypt");
    if (status == STATUS_OK) {
        status = smime_to_der(cms, out);
        if (status != STATUS_OK)
            (void)failure_set(f, status, "cannot write an encrypted message: %s", status_text(status));
    }
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
    return status;
}
