/* Signing (RFC 8551 section 2.5, RFC 5652 section 5): SHA-256, signing time from the caller, our
 * capabilities. One thread a process. */
#include "crypto/smime_internal.h"

#include <openssl/err.h>

/* What we can read, best first, so that others may choose it (RFC 8551 section 2.5.2). */
static bool add_capabilities(CMS_SignerInfo *si)
{
    static const int ciphers[] = {NID_aes_256_gcm, NID_aes_128_gcm, NID_aes_256_cbc, NID_aes_128_cbc};
    STACK_OF(X509_ALGOR) *list = NULL;
    bool good = true;

    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]) && good; i++)
        good = CMS_add_simple_smimecap(&list, ciphers[i], -1) == 1;
    good = good && CMS_add_smimecap(si, list) == 1;
    sk_X509_ALGOR_pop_free(list, X509_ALGOR_free);
    return good;
}

static bool add_signing_time(CMS_SignerInfo *si, uint64_t now_ms)
{
    ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)(now_ms / 1000));
    bool good =
        time != NULL && CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, time->type, time, -1) == 1;

    ASN1_TIME_free(time);
    return good;
}

static bool add_chain(CMS_ContentInfo *cms, const struct smime_signer *signer)
{
    for (size_t i = 0; i < signer->chain_count; i++) {
        X509 *x = smime_certificate(signer->chain[i]);
        bool good = x != NULL && CMS_add1_cert(cms, x) == 1;

        X509_free(x);
        if (!good)
            return false;
    }
    return true;
}

/* OpenSSL 3.0's CMS cannot sign with EdDSA. */
static bool kind_is_supported(const EVP_PKEY *key)
{
    int kind = EVP_PKEY_get_base_id(key);

    return kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS || kind == EVP_PKEY_EC;
}

static enum status sign(const struct smime_signer *signer, struct slice entity, uint64_t now_ms,
                        unsigned flags, struct buf *out, struct failure *f)
{
    X509 *x = smime_certificate(signer->certificate);
    CMS_ContentInfo *cms = NULL;
    CMS_SignerInfo *si;
    BIO *in = smime_bio_of(entity);
    enum status status;

    if (x == NULL || in == NULL) {
        status = failure_set(f, STATUS_CRYPTO,
                             "cannot sign: the signer's certificate or the message cannot be read");
        goto out;
    }
    if (!kind_is_supported(signer->key)) {
        status = failure_set(f, STATUS_UNSUPPORTED,
                             "cannot sign with this kind of key: RSA and ECDSA keys can be used");
        goto out;
    }
    flags |= CMS_BINARY | CMS_PARTIAL;
    /* CMS_KEY_PARAM: else OpenSSL calls the signature of a PSS key one of PKCS #1 v1.5, which nobody can
     * verify. */
    cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    si = cms == NULL
             ? NULL
             : CMS_add1_signer(cms, x, signer->key, EVP_sha256(), flags | CMS_NOSMIMECAP | CMS_KEY_PARAM);
    if (si == NULL || !add_signing_time(si, now_ms) || !add_capabilities(si) || !add_chain(cms, signer) ||
        CMS_final(cms, in, NULL, flags) != 1) {
        status = smime_failure(f, "cannot sign");
        goto out;
    }
    status = smime_to_der(cms, out);
    if (status != STATUS_OK)
        status = failure_set(f, status, "cannot write a signature: %s", status_text(status));
out:
    BIO_free(in);
    CMS_ContentInfo_free(cms);
    X509_free(x);
    ERR_clear_error();
    return status;
}

enum status smime_sign(const struct smime_signer *signer, struct slice entity, uint64_t now_ms,
                       struct buf *out, struct failure *f)
{
    return sign(signer, entity, now_ms, CMS_DETACHED, out, f);
}

enum status smime_sign_opaque(const struct smime_signer *signer, struct slice entity, uint64_t now_ms,
                              struct buf *out, struct failure *f)
{
    return sign(signer, entity, now_ms, 0, out, f);
}
