/*
 * Signing (RFC 8551, RFC 5652 section 5) for RSA and ECDSA keys by OpenSSL's CMS: digest, padding and
 * attributes as the signer wants them, signing time from the caller. Ed25519 keys, which OpenSSL 3.0's CMS
 * cannot use, go to smime_sign_eddsa.c. One thread a process.
 */
#include "crypto/smime_attributes.h"

#include <openssl/cmserr.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

static const struct {
    const char *micalg;
    const EVP_MD *(*md)(void);
} digests[] = {
    [SMIME_SHA256] = {"sha-256", EVP_sha256},
    [SMIME_SHA384] = {"sha-384", EVP_sha384},
    [SMIME_SHA512] = {"sha-512", EVP_sha512},
};

static bool is_ed25519(const EVP_PKEY *key)
{
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
}

/* RFC 8419 section 3.1: SHA-512 goes with Ed25519. */
static enum smime_digest digest_of(const struct smime_signer *signer)
{
    if (is_ed25519(signer->key))
        return SMIME_SHA512;
    return signer->digest <= SMIME_SHA512 ? signer->digest : SMIME_SHA256;
}

const char *smime_micalg(const struct smime_signer *signer)
{
    return digests[digest_of(signer)].micalg;
}

/* One that is there already stays there once: a signer's chain may name it twice. */
static bool add_certificate(CMS_ContentInfo *cms, struct slice der)
{
    X509 *x = smime_certificate(der);
    bool good = false;

    if (x != NULL) {
        ERR_clear_error();
        good = CMS_add1_cert(cms, x) == 1 ||
               ERR_GET_REASON(ERR_peek_last_error()) == CMS_R_CERTIFICATE_ALREADY_PRESENT;
        if (good)
            ERR_clear_error();
    }
    X509_free(x);
    return good;
}

static bool add_chain(CMS_ContentInfo *cms, const struct smime_signer *signer)
{
    for (size_t i = 0; i < signer->chain_count; i++)
        if (!add_certificate(cms, signer->chain[i]))
            return false;
    return signer->encryption_certificate.len == 0 || add_certificate(cms, signer->encryption_certificate);
}

static bool add_attribute(CMS_SignerInfo *si, const struct buf *der)
{
    const unsigned char *at = der->data;
    X509_ATTRIBUTE *attribute = d2i_X509_ATTRIBUTE(NULL, &at, (long)der->len);
    bool good = attribute != NULL && CMS_signed_add1_attr(si, attribute) == 1;

    X509_ATTRIBUTE_free(attribute);
    return good;
}

static bool add_attributes(CMS_SignerInfo *si, const struct smime_signer *signer, X509 *x, uint64_t now_ms)
{
    struct smime_attributes attributes;
    bool good = smime_attributes_make(signer, x, now_ms, &attributes) == STATUS_OK;

    for (size_t i = 0; i < attributes.count && good; i++)
        good = add_attribute(si, &attributes.list[i]);
    smime_attributes_release(&attributes);
    return good;
}

/* PSS with a salt as long as the digest (RFC 4056 section 3). A key for PSS alone knows it by itself. */
static bool set_padding(CMS_SignerInfo *si, const struct smime_signer *signer)
{
    EVP_PKEY_CTX *context = CMS_SignerInfo_get0_pkey_ctx(si);

    if (!signer->pss || EVP_PKEY_get_base_id(signer->key) != EVP_PKEY_RSA)
        return true;
    return context != NULL && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool kind_is_supported(const EVP_PKEY *key)
{
    int kind = EVP_PKEY_get_base_id(key);

    return kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS || kind == EVP_PKEY_EC;
}

/* CMS_KEY_PARAM: else OpenSSL calls the signature of a PSS key one of PKCS #1 v1.5, which nobody can verify.
 */
static enum status sign_by_openssl(const struct smime_signer *signer, X509 *x, struct slice entity,
                                   uint64_t now_ms, unsigned flags, struct buf *out, struct failure *f)
{
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
    CMS_SignerInfo *si = cms == NULL ? NULL
                                     : CMS_add1_signer(cms, x, signer->key, digests[digest_of(signer)].md(),
                                                       flags | CMS_NOSMIMECAP | CMS_KEY_PARAM);
    enum status status;

    if (si == NULL || !set_padding(si, signer) || !add_attributes(si, signer, x, now_ms) ||
        !add_chain(cms, signer) || !smime_final(cms, entity)) {
        status = smime_failure(f, "cannot sign");
    } else {
        status = smime_to_der(cms, out);
        if (status != STATUS_OK)
            status = failure_set(f, status, "cannot write a signature: %s", status_text(status));
    }
    CMS_ContentInfo_free(cms);
    return status;
}

static enum status sign(const struct smime_signer *signer, struct slice entity, uint64_t now_ms,
                        bool detached, struct buf *out, struct failure *f)
{
    X509 *x = smime_certificate(signer->certificate);
    enum status status;

    if (x == NULL)
        status = failure_set(f, STATUS_CRYPTO, "cannot sign: the signer's certificate cannot be read");
    else if (is_ed25519(signer->key))
        status = smime_sign_eddsa(signer, x, entity, now_ms, detached, out, f);
    else if (!kind_is_supported(signer->key))
        status = failure_set(f, STATUS_UNSUPPORTED,
                             "cannot sign with this kind of key: RSA, ECDSA and Ed25519 keys can be used");
    else
        status = sign_by_openssl(signer, x, entity, now_ms,
                                 CMS_BINARY | CMS_PARTIAL | (detached ? CMS_DETACHED : 0U), out, f);
    X509_free(x);
    ERR_clear_error();
    return status;
}

enum status smime_sign(const struct smime_signer *signer, struct slice entity, uint64_t now_ms,
                       struct buf *out, struct failure *f)
{
    return sign(signer, entity, now_ms, true, out, f);
}

enum status smime_sign_opaque(const struct smime_signer *signer, struct slice entity, uint64_t now_ms,
                              struct buf *out, struct failure *f)
{
    return sign(signer, entity, now_ms, false, out, f);
}
