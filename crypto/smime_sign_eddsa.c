/*
 * Ed25519 (RFC 8419), which OpenSSL 3.0's CMS has not: a SignedData written by hand around EVP's signature.
 * Always with signed attributes, SHA-512 as their digest, and the same attributes as all our signatures.
 *
 *   ContentInfo { id-signedData, [0] SignedData { 1, { SHA-512 }, { id-data, [0] content }, [0] certificates,
 *     { SignerInfo { 1, issuer and serial, SHA-512, [0] attributes, Ed25519, signature } } } }
 *
 * What is signed is the DER of the attributes as a SET OF, sorted (RFC 5652 section 5.4). One thread a
 * process.
 */
#include "crypto/smime_attributes.h"

#include "crypto/der.h"

#include <openssl/err.h>
#include <openssl/objects.h>

#define PIECE_MAX     ((size_t)4 << 20) /* bytes of all but the content */
#define SIGNATURE_LEN 64
#define MEMBERS_MAX   16

static const struct slice version_1 = SLICE_LITERAL("\x02\x01\x01");
/* RFC 8410 section 3: no parameters. SHA-512: none either (RFC 5754 section 2). */
static const struct slice ed25519_algorithm = SLICE_LITERAL("\x30\x05\x06\x03\x2b\x65\x70");
static const struct slice sha512_algorithm =
    SLICE_LITERAL("\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03");

static enum status put_oid(struct buf *out, int nid)
{
    const ASN1_OBJECT *object = OBJ_nid2obj(nid);

    return der_put(out, BER_OID, slice_of(OBJ_get0_data(object), OBJ_length(object)));
}

/* SET OF in the order of DER (X.690 section 11.6), under any tag. */
static enum status put_set_of(struct buf *out, uint8_t tag, struct slice *members, size_t count)
{
    struct buf all = BUF_INIT(PIECE_MAX);
    enum status status = STATUS_OK;

    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0 && slice_compare(members[k], members[k - 1]) < 0; k--) {
            struct slice swap = members[k];

            members[k] = members[k - 1];
            members[k - 1] = swap;
        }
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        if (i == 0 || !slice_equal(members[i], members[i - 1]))
            status = buf_append_slice(&all, members[i]);
    if (status == STATUS_OK)
        status = der_put(out, tag, buf_slice(&all));
    buf_release(&all);
    return status;
}

/* All attributes, those of every signature (RFC 5652 section 11.1 and 11.2) among them, as one SET OF. */
static enum status attributes_make(const struct smime_signer *signer, X509 *x, struct slice entity,
                                   uint64_t now_ms, struct buf *set)
{
    struct smime_attributes a;
    struct slice members[SMIME_ATTRIBUTES_MAX];
    const ASN1_OBJECT *data = OBJ_nid2obj(NID_pkcs7_data);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    enum status status = smime_attributes_make(signer, x, now_ms, &a);

    if (status == STATUS_OK && EVP_Digest(entity.data, entity.len, digest, &len, EVP_sha512(), NULL) != 1)
        status = STATUS_CRYPTO;
    if (status == STATUS_OK)
        status = smime_attributes_add(&a, NID_pkcs9_contentType, BER_OID,
                                      slice_of(OBJ_get0_data(data), OBJ_length(data)));
    if (status == STATUS_OK)
        status = smime_attributes_add(&a, NID_pkcs9_messageDigest, BER_OCTETS, slice_of(digest, len));
    for (size_t i = 0; i < a.count; i++)
        members[i] = buf_slice(&a.list[i]);
    if (status == STATUS_OK)
        status = put_set_of(set, BER_SET, members, a.count);
    smime_attributes_release(&a);
    return status;
}

static enum status put_signature(EVP_PKEY *key, struct slice attributes, struct buf *out)
{
    uint8_t signature[SIGNATURE_LEN];
    size_t len = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, signature, &len, attributes.data, attributes.len) == 1;

    EVP_MD_CTX_free(context);
    return good ? der_put(out, BER_OCTETS, slice_of(signature, len)) : STATUS_CRYPTO;
}

static enum status put_signer_info(const struct smime_signer *signer, X509 *x, struct buf *attributes,
                                   struct buf *out)
{
    struct buf id = BUF_INIT(PIECE_MAX), info = BUF_INIT(PIECE_MAX);
    enum status status = smime_put_issuer_and_serial(x, &id);

    if (status == STATUS_OK)
        status = buf_append_slice(&info, version_1);
    if (status == STATUS_OK)
        status = der_put(&info, BER_SEQUENCE, buf_slice(&id));
    if (status == STATUS_OK)
        status = buf_append_slice(&info, sha512_algorithm);
    if (status == STATUS_OK) { /* the same bytes, but for the tag */
        size_t at = info.len;

        status = buf_append_slice(&info, buf_slice(attributes));
        if (status == STATUS_OK)
            info.data[at] = BER_CONTEXT_0;
    }
    if (status == STATUS_OK)
        status = buf_append_slice(&info, ed25519_algorithm);
    if (status == STATUS_OK)
        status = put_signature(signer->key, buf_slice(attributes), &info);
    if (status == STATUS_OK)
        status = der_put(out, BER_SEQUENCE, buf_slice(&info));
    buf_release(&id);
    buf_release(&info);
    return status;
}

static enum status put_certificates(const struct smime_signer *signer, struct buf *out)
{
    struct slice members[MEMBERS_MAX];
    size_t count = 0;

    members[count++] = signer->certificate;
    if (signer->encryption_certificate.len > 0)
        members[count++] = signer->encryption_certificate;
    for (size_t i = 0; i < signer->chain_count; i++)
        members[count++] = signer->chain[i];
    return put_set_of(out, BER_CONTEXT_0, members, count);
}

/* EncapsulatedContentInfo ::= SEQUENCE { id-data, [0] OCTET STRING OPTIONAL } */
static enum status put_content(struct slice entity, bool detached, struct buf *out)
{
    struct buf octets = BUF_INIT(CMS_MAX), body = BUF_INIT(CMS_MAX);
    enum status status = put_oid(&body, NID_pkcs7_data);

    if (status == STATUS_OK && !detached)
        status = der_put(&octets, BER_OCTETS, entity);
    if (status == STATUS_OK && !detached)
        status = der_put(&body, BER_CONTEXT_0, buf_slice(&octets));
    if (status == STATUS_OK)
        status = der_put(out, BER_SEQUENCE, buf_slice(&body));
    buf_release(&octets);
    buf_release(&body);
    return status;
}

static enum status put_signed_data(const struct smime_signer *signer, X509 *x, struct slice entity,
                                   uint64_t now_ms, bool detached, struct buf *out)
{
    struct buf attributes = BUF_INIT(PIECE_MAX), info = BUF_INIT(PIECE_MAX);
    enum status status = attributes_make(signer, x, entity, now_ms, &attributes);

    if (status == STATUS_OK)
        status = put_signer_info(signer, x, &attributes, &info);
    if (status == STATUS_OK)
        status = buf_append_slice(out, version_1);
    if (status == STATUS_OK)
        status = der_put(out, BER_SET, sha512_algorithm);
    if (status == STATUS_OK)
        status = put_content(entity, detached, out);
    if (status == STATUS_OK)
        status = put_certificates(signer, out);
    if (status == STATUS_OK)
        status = der_put(out, BER_SET, buf_slice(&info));
    buf_release(&attributes);
    buf_release(&info);
    return status;
}

enum status smime_sign_eddsa(const struct smime_signer *signer, X509 *x, struct slice entity, uint64_t now_ms,
                             bool detached, struct buf *out, struct failure *f)
{
    struct buf data = BUF_INIT(CMS_MAX);
    enum status status;

    if (X509_check_private_key(x, signer->key) != 1) {
        ERR_clear_error();
        return failure_set(f, STATUS_CRYPTO, "cannot sign: the private key does not match the certificate");
    }
    status = put_signed_data(signer, x, entity, now_ms, detached, &data);
    if (status == STATUS_OK)
        status = smime_wrap(NID_pkcs7_signed, buf_slice(&data), out);
    buf_release(&data);
    return status == STATUS_OK ? STATUS_OK
                               : failure_set(f, status, "cannot write a signature: %s", status_text(status));
}
