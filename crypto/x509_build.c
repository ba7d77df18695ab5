/* See x509_build.h. Any thread. */
#include "crypto/x509_build.h"

#include "base/clock.h"

#include <openssl/x509v3.h>

bool x509_build_set(X509 *x, EVP_PKEY *key, uint64_t now_ms, uint64_t end_ms)
{
    uint8_t serial[16];
    BIGNUM *number;
    bool good;

    random_bytes(serial, sizeof(serial));
    serial[0] &= 0x7f;
    serial[0] |= 0x01; /* positive, never zero */
    number = BN_bin2bn(serial, sizeof(serial), NULL);
    good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL &&
           X509_set_version(x, X509_VERSION_3) == 1 && X509_set_pubkey(x, key) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(x), (time_t)((now_ms - BACKDATE_MS) / 1000)) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(end_ms / 1000)) != NULL;
    BN_free(number);
    return good;
}

bool x509_build_end_within(X509 *x, X509 *issuer)
{
    return ASN1_TIME_compare(X509_get0_notAfter(x), X509_get0_notAfter(issuer)) <= 0 ||
           X509_set1_notAfter(x, X509_get0_notAfter(issuer)) == 1;
}

bool x509_build_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool good;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    good = extension != NULL && X509_add_ext(x, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

X509 *x509_build_sign(X509 *x, EVP_PKEY *key)
{
    X509 *again = NULL;
    struct buf der = BUF_INIT(128 << 10);

    if (X509_sign(x, key, x509_digest_for(key)) > 0 && certificate_to_der(x, &der) == STATUS_OK)
        again = certificate_from_der(buf_slice(&der));
    X509_free(x);
    buf_release(&der);
    return again;
}

const EVP_MD *x509_digest_for(EVP_PKEY *key)
{
    int nid = NID_undef;

    if (EVP_PKEY_get_default_digest_nid(key, &nid) == 2 && nid == NID_undef)
        return NULL; /* Ed25519 */
    return EVP_PKEY_get_security_bits(key) >= 192 ? EVP_sha384() : EVP_sha256();
}
