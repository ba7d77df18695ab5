/*
 * Verifying Ed25519 signatures (RFC 8419), which OpenSSL 3.0's CMS cannot. It has parsed the SignerInfo; the
 * bytes that were signed are found by our own walk, since a signature is over just those that came (RFC 5652
 * section 5.4 wants DER there). The bytes are hostile. One thread a process.
 */
#include "crypto/smime_internal.h"

#include "crypto/ber.h"
#include "crypto/cms_scan.h"

#include <openssl/evp.h>

static const struct slice id_ed25519 = SLICE_LITERAL("\x2b\x65\x70");

struct signer_info {
    struct slice attributes; /* the whole [0] element; empty if there is none */
    struct slice algorithm;  /* OID */
    struct slice signature;
};

/* SignerInfo ::= SEQUENCE { version, sid, digestAlgorithm, [0] attributes OPTIONAL, signatureAlgorithm,
 * signature, ... } */
static bool read_signer_info(struct slice cms, size_t i, struct signer_info *out)
{
    struct cms_facts facts;
    struct ber_element e, info;

    *out = (struct signer_info){.signature = {0}};
    if (cms_scan(cms, &facts) != STATUS_OK)
        return false;
    for (size_t n = 0; n <= i; n++)
        if (!ber_next_is(&facts.signer_infos, BER_SEQUENCE, &info))
            return false;
    struct slice in = info.content;
    if (!ber_next_is(&in, BER_INTEGER, &e) || !ber_next(&in, &e) || !ber_next_is(&in, BER_SEQUENCE, &e))
        return false;
    if (ber_optional(&in, BER_CONTEXT_0, &e))
        out->attributes = e.whole;
    if (!ber_next_is(&in, BER_SEQUENCE, &e))
        return false;
    struct slice algorithm = e.content;
    if (!ber_next_is(&algorithm, BER_OID, &e))
        return false;
    out->algorithm = e.content;
    if (!ber_next_is(&in, BER_OCTETS, &e))
        return false;
    out->signature = e.content;
    return true;
}

bool smime_digest_fits(CMS_SignerInfo *si, struct slice content)
{
    X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *oid = NULL;
    const ASN1_OCTET_STRING *said =
        CMS_signed_get0_data_by_OBJ(si, OBJ_nid2obj(NID_pkcs9_messageDigest), -3, V_ASN1_OCTET_STRING);
    const ASN1_OBJECT *type =
        CMS_signed_get0_data_by_OBJ(si, OBJ_nid2obj(NID_pkcs9_contentType), -3, V_ASN1_OBJECT);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    const EVP_MD *md;

    CMS_SignerInfo_get0_algs(si, NULL, NULL, &algorithm, NULL);
    X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
    md = EVP_get_digestbyobj(oid);
    return said != NULL && type != NULL && OBJ_obj2nid(type) == NID_pkcs7_data && md != NULL &&
           EVP_Digest(content.data, content.len, digest, &len, md, NULL) == 1 &&
           slice_equal(slice_of(ASN1_STRING_get0_data(said), (size_t)ASN1_STRING_length(said)),
                       slice_of(digest, len));
}

static bool holds(X509 *x, struct slice signature, struct slice bytes)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL &&
                EVP_DigestVerifyInit(context, NULL, NULL, NULL, X509_get0_pubkey(x)) == 1 &&
                EVP_DigestVerify(context, signature.data, signature.len, bytes.data, bytes.len) == 1;

    EVP_MD_CTX_free(context);
    return good;
}

bool smime_verify_eddsa(struct slice cms, size_t i, CMS_SignerInfo *si, X509 *x, struct slice content)
{
    struct signer_info info;
    struct buf set = BUF_INIT(CMS_MAX);
    bool good;

    if (!read_signer_info(cms, i, &info) || !slice_equal(info.algorithm, id_ed25519))
        return false;
    if (info.attributes.len ==
        0) /* else the attributes of one message could be shown as the content of another */
        return false;
    good = smime_digest_fits(si, content) && buf_append_slice(&set, info.attributes) == STATUS_OK;
    if (good) {
        set.data[0] = BER_SET; /* signed as a SET OF, sent as [0] */
        good = holds(x, info.signature, buf_slice(&set));
    }
    buf_release(&set);
    return good;
}
