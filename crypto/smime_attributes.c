/*
 * See smime_attributes.h. What they are for: capabilities let others choose what we can read;
 * signingCertificateV2 binds the signature to one certificate, so that it cannot be shown with another one of
 * the same key; the key preference says to which certificate others encrypt when it is not the signer's.
 */
#include "crypto/smime_attributes.h"

#include "crypto/capability.h"
#include "crypto/der.h"

#include <openssl/err.h>

#define VALUE_MAX ((size_t)64 << 10) /* bytes; names in certificates may be long */

static enum status add_value(struct smime_attributes *out, int nid, struct slice value)
{
    const ASN1_OBJECT *type = OBJ_nid2obj(nid);
    struct buf body = BUF_INIT(VALUE_MAX);
    enum status status = der_put(&body, BER_OID, slice_of(OBJ_get0_data(type), OBJ_length(type)));

    if (out->count == SMIME_ATTRIBUTES_MAX)
        status = STATUS_TOO_LARGE;
    if (status == STATUS_OK)
        status = der_put(&body, BER_SET, value);
    if (status == STATUS_OK) {
        out->list[out->count] = BUF_INIT(VALUE_MAX);
        status = der_put(&out->list[out->count++], BER_SEQUENCE, buf_slice(&body));
    }
    buf_release(&body);
    return status;
}

enum status smime_attributes_add(struct smime_attributes *out, int nid, uint8_t tag, struct slice content)
{
    struct buf value = BUF_INIT(VALUE_MAX);
    enum status status = der_put(&value, tag, content);

    if (status == STATUS_OK)
        status = add_value(out, nid, buf_slice(&value));
    buf_release(&value);
    return status;
}

static enum status put_name(X509 *x, struct buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_X509_NAME(X509_get_issuer_name(x), &der);
    enum status status = len <= 0 ? STATUS_CRYPTO : buf_append(out, der, (size_t)len);

    OPENSSL_free(der);
    return status;
}

static enum status put_serial(X509 *x, struct buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(x), &der);
    enum status status = len <= 0 ? STATUS_CRYPTO : buf_append(out, der, (size_t)len);

    OPENSSL_free(der);
    return status;
}

enum status smime_put_issuer_and_serial(X509 *x, struct buf *out)
{
    enum status status = put_name(x, out);

    return status == STATUS_OK ? put_serial(x, out) : status;
}

/* UTCTime until 2049, then GeneralizedTime (RFC 5652 section 11.3). */
static enum status add_signing_time(struct smime_attributes *out, uint64_t now_ms)
{
    ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)(now_ms / 1000));
    enum status status = time == NULL ? STATUS_NO_MEMORY
                                      : smime_attributes_add(out, NID_pkcs9_signingTime, (uint8_t)time->type,
                                                             slice_of(time->data, (size_t)time->length));

    ASN1_TIME_free(time);
    return status;
}

static enum status add_capabilities(struct smime_attributes *out)
{
    struct buf list = BUF_INIT(VALUE_MAX);
    enum status status = capabilities_write(&list);

    if (status == STATUS_OK)
        status = add_value(out, NID_SMIMECapabilities, buf_slice(&list));
    buf_release(&list);
    return status;
}

/* IssuerSerial ::= SEQUENCE { GeneralNames { directoryName [4] }, serialNumber } */
static enum status put_issuer_serial(X509 *x, struct buf *out)
{
    struct buf name = BUF_INIT(VALUE_MAX), tagged = BUF_INIT(VALUE_MAX), both = BUF_INIT(VALUE_MAX);
    enum status status = put_name(x, &name);

    if (status == STATUS_OK)
        status = der_put(&tagged, 0xa4, buf_slice(&name));
    if (status == STATUS_OK)
        status = der_put(&both, BER_SEQUENCE, buf_slice(&tagged));
    if (status == STATUS_OK)
        status = put_serial(x, &both);
    if (status == STATUS_OK)
        status = der_put(out, BER_SEQUENCE, buf_slice(&both));
    buf_release(&name);
    buf_release(&tagged);
    buf_release(&both);
    return status;
}

/* SigningCertificateV2 ::= SEQUENCE { SEQUENCE OF ESSCertIDv2 { certHash (SHA-256 is the default),
 * issuerSerial } } (RFC 5035 section 3) */
static enum status add_signing_certificate(struct smime_attributes *out, X509 *x, struct slice der)
{
    struct buf id = BUF_INIT(VALUE_MAX), list = BUF_INIT(VALUE_MAX), certs = BUF_INIT(VALUE_MAX);
    uint8_t hash[32];
    enum status status;

    sha256(der, hash);
    status = der_put(&id, BER_OCTETS, slice_of(hash, sizeof(hash)));
    if (status == STATUS_OK)
        status = put_issuer_serial(x, &id);
    if (status == STATUS_OK)
        status = der_put(&list, BER_SEQUENCE, buf_slice(&id));
    if (status == STATUS_OK)
        status = der_put(&certs, BER_SEQUENCE, buf_slice(&list));
    if (status == STATUS_OK)
        status =
            smime_attributes_add(out, NID_id_smime_aa_signingCertificateV2, BER_SEQUENCE, buf_slice(&certs));
    buf_release(&id);
    buf_release(&list);
    buf_release(&certs);
    return status;
}

/* SMIMEEncryptionKeyPreference ::= CHOICE { [0] IssuerAndSerialNumber, ... } (RFC 8551 section 2.5.3) */
static enum status add_preference(struct smime_attributes *out, struct slice certificate)
{
    X509 *x = smime_certificate(certificate);
    struct buf both = BUF_INIT(VALUE_MAX);
    enum status status = x == NULL ? STATUS_MALFORMED : smime_put_issuer_and_serial(x, &both);

    if (status == STATUS_OK)
        status = smime_attributes_add(out, NID_id_smime_aa_encrypKeyPref, BER_CONTEXT_0, buf_slice(&both));
    buf_release(&both);
    X509_free(x);
    return status;
}

enum status smime_attributes_make(const struct smime_signer *signer, X509 *x, uint64_t now_ms,
                                  struct smime_attributes *out)
{
    enum status status;

    *out = (struct smime_attributes){.count = 0};
    status = add_signing_time(out, now_ms);
    if (status == STATUS_OK)
        status = add_capabilities(out);
    if (status == STATUS_OK)
        status = add_signing_certificate(out, x, signer->certificate);
    if (status == STATUS_OK && signer->encryption_certificate.len > 0)
        status = add_preference(out, signer->encryption_certificate);
    return status;
}

void smime_attributes_release(struct smime_attributes *a)
{
    for (size_t i = 0; i < a->count; i++)
        buf_release(&a->list[i]);
    a->count = 0;
}

/* The digest of ESSCertIDv2's hashAlgorithm; SHA-256 when it is left out; NULL if it is none that is known.
 */
static const EVP_MD *hash_of(struct slice *id)
{
    struct ber_element algorithm;
    const unsigned char *at;
    X509_ALGOR *parsed;
    const ASN1_OBJECT *oid = NULL;
    const EVP_MD *md = NULL;

    if (!ber_optional(id, BER_SEQUENCE, &algorithm))
        return EVP_sha256();
    at = algorithm.whole.data;
    parsed = d2i_X509_ALGOR(NULL, &at, (long)algorithm.whole.len);
    if (parsed != NULL) {
        X509_ALGOR_get0(&oid, NULL, NULL, parsed);
        md = EVP_get_digestbyobj(oid);
    }
    X509_ALGOR_free(parsed);
    return md;
}

bool smime_attributes_name(CMS_SignerInfo *si, X509 *x)
{
    struct slice value = smime_attribute(si, NID_id_smime_aa_signingCertificateV2);
    struct ber_element all, list, id, hash;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    const EVP_MD *md;

    if (CMS_signed_get_attr_by_NID(si, NID_id_smime_aa_signingCertificateV2, -1) < 0)
        return true;
    if (!ber_next_is(&value, BER_SEQUENCE, &all) || !ber_next_is(&all.content, BER_SEQUENCE, &list) ||
        !ber_next_is(&list.content, BER_SEQUENCE, &id))
        return false;
    md = hash_of(&id.content);
    return md != NULL && ber_next_is(&id.content, BER_OCTETS, &hash) &&
           X509_digest(x, md, digest, &len) == 1 && slice_equal(hash.content, slice_of(digest, len));
}

bool smime_attributes_as_content(CMS_SignerInfo *si, struct slice content)
{
    struct ber_element set, attribute, member;

    if (CMS_signed_get_attr_count(si) > 0 || !ber_next_is(&content, BER_SET, &set) || content.len > 0)
        return false;
    while (set.content.len > 0)
        if (!ber_next_is(&set.content, BER_SEQUENCE, &attribute) ||
            !ber_next_is(&attribute.content, BER_OID, &member) ||
            !ber_next_is(&attribute.content, BER_SET, &member))
            return false;
    return true;
}
