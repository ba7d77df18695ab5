/* See smime_certificates.h. One thread a process, as all of CMS here. */
#include "crypto/smime_certificates.h"

#include "crypto/certificate_internal.h"
#include "crypto/cms_scan.h"
#include "crypto/smime_internal.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#define DER_MAX ((size_t)128 << 10)

static enum status keep(struct smime_brought *out, struct arena *a, X509 *x)
{
    struct buf der = BUF_INIT(DER_MAX);
    enum status status = certificate_to_der(x, &der);

    if (status == STATUS_OK && !arena_copy(a, buf_slice(&der), &out->der[out->count]))
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        out->count++;
    buf_release(&der);
    return status == STATUS_TOO_LARGE ? STATUS_OK : status;
}

/* SMIMEEncryptionKeyPreference ::= CHOICE { [0] IssuerAndSerialNumber, [1] RecipientKeyIdentifier,
 * [2] SubjectKeyIdentifier }, tagged implicitly. */
static bool is_named_by_serial(X509 *x, const unsigned char *data, long len)
{
    unsigned char copy[2048];
    const unsigned char *at = copy;
    PKCS7_ISSUER_AND_SERIAL *name;
    bool same;

    if (len < 2 || (size_t)len > sizeof(copy))
        return false;
    memcpy(copy, data, (size_t)len);
    copy[0] = V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED;
    name = d2i_PKCS7_ISSUER_AND_SERIAL(NULL, &at, len);
    same = name != NULL && X509_NAME_cmp(name->issuer, X509_get_issuer_name(x)) == 0 &&
           ASN1_INTEGER_cmp(name->serial, X509_get0_serialNumber(x)) == 0;
    PKCS7_ISSUER_AND_SERIAL_free(name);
    return same;
}

static bool is_named_by_identifier(X509 *x, const unsigned char *data, long len)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(x);
    const unsigned char *at = data;
    long length;
    int tag, class;

    if ((ASN1_get_object(&at, &length, &tag, &class, len) & 0x80) != 0)
        return false;
    if (tag == 1 && (ASN1_get_object(&at, &length, &tag, &class, len - (at - data)) & 0x80) != 0)
        return false; /* RecipientKeyIdentifier: its first element is the identifier */
    return own != NULL && length > 0 && ASN1_STRING_length(own) == length &&
           memcmp(ASN1_STRING_get0_data(own), at, (size_t)length) == 0;
}

/* The signer's preference is among the signed attributes; it names one of the certificates, or none. */
static void find_preferred(CMS_SignerInfo *si, struct smime_brought *out)
{
    int at = CMS_signed_get_attr_by_NID(si, NID_id_smime_aa_encrypKeyPref, -1);
    X509_ATTRIBUTE *attribute = at < 0 ? NULL : CMS_signed_get_attr(si, at);
    ASN1_TYPE *value = attribute == NULL ? NULL : X509_ATTRIBUTE_get0_type(attribute, 0);
    unsigned char *data = NULL;
    int len = value == NULL ? -1 : i2d_ASN1_TYPE(value, &data);

    for (size_t i = 0; i < out->count && len > 2; i++) {
        X509 *x = certificate_from_der(out->der[i]);
        unsigned tag = data[0];

        if (x != NULL && ((tag == 0xa0 && is_named_by_serial(x, data, len)) ||
                          ((tag == 0xa1 || tag == 0x82) && is_named_by_identifier(x, data, len))))
            out->preferred = i;
        X509_free(x);
        if (out->preferred != out->count)
            break;
    }
    OPENSSL_free(data);
}

enum status smime_certificates_brought(struct slice cms, struct arena *a, struct smime_brought *out)
{
    struct cms_facts facts;
    enum status status = cms_scan(cms, &facts);
    CMS_ContentInfo *parsed = NULL;
    STACK_OF(X509) *sent = NULL;

    memset(out, 0, sizeof(*out));
    if (status == STATUS_OK && facts.kind == CMS_KIND_SIGNED && facts.signers == 1)
        parsed = smime_parse(cms);
    if (parsed == NULL)
        return STATUS_MALFORMED;
    sent = CMS_get1_certs(parsed);
    for (int i = 0; i < sk_X509_num(sent) && out->count < SMIME_BROUGHT_MAX && status == STATUS_OK; i++)
        status = keep(out, a, sk_X509_value(sent, i));
    out->signer = out->preferred = out->count;
    if (status == STATUS_OK) {
        CMS_SignerInfo *si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(parsed), 0);

        for (size_t i = 0; i < out->count && out->signer == out->count; i++) {
            X509 *x = certificate_from_der(out->der[i]);

            if (x != NULL && CMS_SignerInfo_cert_cmp(si, x) == 0)
                out->signer = i;
            X509_free(x);
        }
        find_preferred(si, out);
    }
    sk_X509_pop_free(sent, X509_free);
    CMS_ContentInfo_free(parsed);
    ERR_clear_error();
    return status;
}

enum status smime_brought_check(const struct smime_brought *brought, size_t which, struct trust *trust,
                                uint64_t now_ms, struct failure *f)
{
    STACK_OF(X509) *extra = sk_X509_new_null();
    enum status status;

    for (size_t i = 0; extra != NULL && i < brought->count; i++) {
        X509 *x = i == which ? NULL : certificate_from_der(brought->der[i]);

        if (x != NULL && sk_X509_push(extra, x) <= 0)
            X509_free(x);
    }
    status = trust_check(trust, brought->der[which], extra, TRUST_FOR_ENCRYPTION, now_ms, f);
    sk_X509_pop_free(extra, X509_free);
    ERR_clear_error();
    return status;
}

size_t smime_brought_chain(const struct smime_brought *brought, size_t which, size_t chain[SMIME_BROUGHT_MAX])
{
    X509 *below = certificate_from_der(brought->der[which]);
    size_t count = 0;
    bool found = below != NULL;

    while (found && count < SMIME_BROUGHT_MAX) {
        found = false;
        for (size_t i = 0; i < brought->count && !found; i++) {
            X509 *x = certificate_from_der(brought->der[i]);

            if (x != NULL && X509_check_ca(x) == 1 && certificate_is_issued_by(below, x) &&
                X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) != 0) {
                chain[count++] = i;
                X509_free(below);
                below = x;
                found = true;
            } else {
                X509_free(x);
            }
        }
    }
    X509_free(below);
    ERR_clear_error();
    return count;
}

bool certificates_are_linked(struct slice certificate, struct slice issuer)
{
    X509 *x = certificate_from_der(certificate), *ca = certificate_from_der(issuer);
    bool yes = x != NULL && ca != NULL && certificate_is_issued_by(x, ca);

    X509_free(x);
    X509_free(ca);
    ERR_clear_error();
    return yes;
}

bool certificates_share_key(struct slice a, struct slice b)
{
    X509 *x = certificate_from_der(a), *y = certificate_from_der(b);
    EVP_PKEY *key = x == NULL ? NULL : X509_get0_pubkey(x), *other = y == NULL ? NULL : X509_get0_pubkey(y);
    bool same = key != NULL && other != NULL && EVP_PKEY_eq(key, other) == 1;

    X509_free(x);
    X509_free(y);
    ERR_clear_error();
    return same;
}
