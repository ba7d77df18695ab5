/* What a signer says besides the signature, in signed attributes, and with which algorithms (RFC 5652 section
 * 11, RFC 8551 section 2.5): facts for the header of the message and for the certificate's record. One thread
 * a process. */
#include "crypto/smime_internal.h"

#include "crypto/capability.h"
#include "crypto/cms_scan.h"

#include <openssl/err.h>
#include <time.h>

/* The one value of an attribute that there is once; NULL if there is none. */
static const ASN1_TYPE *attribute_value(CMS_SignerInfo *si, int nid)
{
    int at = CMS_signed_get_attr_by_NID(si, nid, -1);
    X509_ATTRIBUTE *attribute = at < 0 ? NULL : CMS_signed_get_attr(si, at);

    if (attribute == NULL || CMS_signed_get_attr_by_NID(si, nid, at) >= 0 ||
        X509_ATTRIBUTE_count(attribute) != 1)
        return NULL;
    return X509_ATTRIBUTE_get0_type(attribute, 0);
}

struct slice smime_attribute(CMS_SignerInfo *si, int nid)
{
    const ASN1_TYPE *value = attribute_value(si, nid);

    if (value == NULL || value->type != V_ASN1_SEQUENCE)
        return (struct slice){0};
    return slice_of(ASN1_STRING_get0_data(value->value.sequence),
                    (size_t)ASN1_STRING_length(value->value.sequence));
}

static uint64_t signing_time(CMS_SignerInfo *si)
{
    const ASN1_TYPE *value = attribute_value(si, NID_pkcs9_signingTime);
    struct tm t;
    time_t seconds;

    if (value == NULL || (value->type != V_ASN1_UTCTIME && value->type != V_ASN1_GENERALIZEDTIME) ||
        ASN1_TIME_to_tm((const ASN1_TIME *)value->value.asn1_string, &t) != 1)
        return 0;
    seconds = timegm(&t);
    return seconds <= 0 ? 0 : (uint64_t)seconds * 1000;
}

static const char *digest_name(int nid)
{
    switch (nid) {
    case NID_sha224:
        return "sha224";
    case NID_sha256:
        return "sha256";
    case NID_sha384:
        return "sha384";
    case NID_sha512:
        return "sha512";
    case NID_sha512_256:
        return "sha512-256";
    case NID_sha3_256:
        return "sha3-256";
    case NID_sha3_384:
        return "sha3-384";
    case NID_sha3_512:
        return "sha3-512";
    default:
        return "";
    }
}

static const char *algorithm_name(int key, int signature)
{
    switch (key) {
    case EVP_PKEY_RSA:
        return signature == NID_rsassaPss ? "rsa-pss" : "rsa-pkcs1";
    case EVP_PKEY_RSA_PSS:
        return "rsa-pss";
    case EVP_PKEY_EC:
        return "ecdsa";
    case EVP_PKEY_ED25519:
        return "ed25519";
    default:
        return "";
    }
}

static int nid_of(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *oid = NULL;

    X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
    return OBJ_obj2nid(oid);
}

void smime_facts(CMS_SignerInfo *si, X509 *x, struct smime_verified *out)
{
    X509_ALGOR *digest = NULL, *signature = NULL;
    EVP_PKEY *key = X509_get0_pubkey(x);
    const char *name;

    if (key == NULL)
        return;
    CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, &signature);
    name = digest_name(nid_of(digest));
    memcpy(out->digest, name, strlen(name) + 1);
    name = algorithm_name(EVP_PKEY_get_base_id(key), nid_of(signature));
    memcpy(out->algorithm, name, strlen(name) + 1);
    out->key_bits = (unsigned)EVP_PKEY_get_bits(key);
    out->signing_time_ms = signing_time(si);
    out->capabilities = capabilities_read(smime_attribute(si, NID_SMIMECapabilities));
}

uint64_t smime_signed_capabilities(struct slice cms)
{
    struct cms_facts facts;
    CMS_ContentInfo *parsed = NULL;
    uint64_t flags = UINT64_MAX;

    if (cms_scan(cms, &facts) == STATUS_OK && facts.kind == CMS_KIND_SIGNED && facts.signers > 0)
        parsed = smime_parse(cms);
    if (parsed == NULL)
        return 0;
    STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(parsed);
    for (int i = 0; i < sk_CMS_SignerInfo_num(infos); i++)
        flags &= capabilities_read(smime_attribute(sk_CMS_SignerInfo_value(infos, i), NID_SMIMECapabilities));
    if (sk_CMS_SignerInfo_num(infos) <= 0)
        flags = 0;
    CMS_ContentInfo_free(parsed);
    ERR_clear_error();
    return flags;
}
