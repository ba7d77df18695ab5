/*
 * A user's certificate, and requests for those of other CAs. Names and addresses come from outside: they are
 * put into ASN.1 by type, never through OpenSSL's configuration texts, in which a comma would mean something.
 * See ca.h. Any thread.
 */
#include "crypto/ca.h"

#include "crypto/ca_internal.h"
#include "crypto/capability.h"
#include "crypto/x509_build.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY_MS ((uint64_t)86400 * 1000)

void ca_crl_url(struct slice url, struct slice ca, char out[CA_CRL_URL_MAX])
{
    static const char place[] = "{ca}";
    const char *found;
    char text[1001];
    int len;

    out[0] = '\0';
    if (url.len == 0 || url.len >= sizeof(text))
        return;
    memcpy(text, url.data, url.len);
    text[url.len] = '\0';
    found = strstr(text, place);
    if (found == NULL)
        len = snprintf(out, CA_CRL_URL_MAX, "%s", text);
    else
        len = snprintf(out, CA_CRL_URL_MAX, "%.*s%.*s%s", (int)(found - text), text, SLICE_ARGS(ca),
                       found + strlen(place));
    if (len < 0 || len >= CA_CRL_URL_MAX)
        out[0] = '\0';
}

bool ca_add_crl_url(X509 *x, const char *url)
{
    CRL_DIST_POINTS *points;
    DIST_POINT *point;
    GENERAL_NAME *name;
    bool good;

    if (url[0] == '\0')
        return true;
    points = CRL_DIST_POINTS_new();
    point = DIST_POINT_new();
    name = GENERAL_NAME_new();
    good = points != NULL && point != NULL && name != NULL;
    if (good) {
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();

        good = text != NULL && ASN1_STRING_set(text, url, -1) == 1;
        GENERAL_NAME_set0_value(name, GEN_URI, text);
    }
    if (good) {
        point->distpoint = DIST_POINT_NAME_new();
        good = point->distpoint != NULL && (point->distpoint->name.fullname = GENERAL_NAMES_new()) != NULL;
        if (good)
            point->distpoint->type = 0; /* fullName */
        if (good && sk_GENERAL_NAME_push(point->distpoint->name.fullname, name) > 0)
            name = NULL;
        else
            good = false;
    }
    if (good && sk_DIST_POINT_push(points, point) > 0)
        point = NULL;
    else
        good = false;
    good = good && X509_add1_ext_i2d(x, NID_crl_distribution_points, points, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAME_free(name);
    DIST_POINT_free(point);
    CRL_DIST_POINTS_free(points);
    return good;
}

static GENERAL_NAME *mailbox_name(struct slice address)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    bool ascii = true, good = name != NULL;

    for (size_t i = 0; i < address.len; i++)
        ascii = ascii && address.data[i] < 0x80;
    if (good && ascii) {
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();

        good = text != NULL && ASN1_STRING_set(text, address.data, (int)address.len) == 1;
        GENERAL_NAME_set0_value(name, GEN_EMAIL, text);
    } else if (good) { /* SmtpUTF8Mailbox (RFC 9598) */
        ASN1_TYPE *value = ASN1_TYPE_new();
        ASN1_UTF8STRING *text = ASN1_UTF8STRING_new();

        good = value != NULL && text != NULL && ASN1_STRING_set(text, address.data, (int)address.len) == 1;
        if (good) {
            ASN1_TYPE_set(value, V_ASN1_UTF8STRING, text);
            good = GENERAL_NAME_set0_othername(name, OBJ_nid2obj(NID_id_on_SmtpUTF8Mailbox), value) == 1;
        } else {
            ASN1_UTF8STRING_free(text);
            ASN1_TYPE_free(value);
        }
    }
    if (!good) {
        GENERAL_NAME_free(name);
        return NULL;
    }
    return name;
}

GENERAL_NAMES *ca_alt_names(struct slice address)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = mailbox_name(address);

    if (names == NULL || name == NULL || sk_GENERAL_NAME_push(names, name) <= 0) {
        GENERAL_NAME_free(name);
        GENERAL_NAMES_free(names);
        return NULL;
    }
    return names;
}

bool ca_user_subject(X509_NAME *subject, struct slice address, struct slice name)
{
    if (name.len == 0 && address.len > CA_COMMON_NAME_MAX)
        return true;
    if (name.len == 0)
        name = address;
    return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, name.data, (int)name.len, -1,
                                      0) == 1;
}

static const char *usage_of(uint64_t uses, EVP_PKEY *key)
{
    bool rsa = EVP_PKEY_is_a(key, "RSA");

    if ((uses & CERT_USE_ENCRYPT) == 0)
        return "critical,digitalSignature";
    if ((uses & CERT_USE_SIGN) == 0)
        return rsa ? "critical,keyEncipherment" : "critical,keyAgreement";
    return rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature,keyAgreement";
}

static bool add_capabilities(X509 *x)
{
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension = NULL;
    struct buf list = BUF_INIT(4096);
    bool good = value != NULL && capabilities_write(&list) == STATUS_OK &&
                ASN1_OCTET_STRING_set(value, list.data, (int)list.len) == 1;

    if (good)
        extension = X509_EXTENSION_create_by_NID(NULL, NID_SMIMECapabilities, 0, value);
    good = extension != NULL && X509_add_ext(x, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    buf_release(&list);
    return good;
}

static bool add_extensions(X509 *x, X509 *ca, EVP_PKEY *key, struct slice address, uint64_t uses,
                           const char *crl_url)
{
    GENERAL_NAMES *names = ca_alt_names(address);
    int critical = X509_NAME_entry_count(X509_get_subject_name(x)) == 0; /* RFC 5280 section 4.2.1.6 */
    bool good = names != NULL && x509_build_extension(x, ca, NID_basic_constraints, "critical,CA:FALSE") &&
                x509_build_extension(x, ca, NID_key_usage, usage_of(uses, key)) &&
                x509_build_extension(x, ca, NID_ext_key_usage, "emailProtection") &&
                X509_add1_ext_i2d(x, NID_subject_alt_name, names, critical, X509V3_ADD_DEFAULT) == 1 &&
                x509_build_extension(x, ca, NID_subject_key_identifier, "hash") &&
                x509_build_extension(x, ca, NID_authority_key_identifier, "keyid,issuer") &&
                ca_add_crl_url(x, crl_url) && add_capabilities(x);

    GENERAL_NAMES_free(names);
    return good;
}

enum status ca_issue(const struct ca_signer *s, EVP_PKEY *key, struct slice address, struct slice name,
                     uint64_t uses, unsigned days, const char *crl_url, uint64_t now_ms, X509 **out,
                     struct failure *f)
{
    X509 *x = X509_new();
    enum status status = x == NULL ? STATUS_NO_MEMORY : ca_usable(s, now_ms, f);

    *out = NULL;
    if (status == STATUS_OK && !ca_user_subject(X509_get_subject_name(x), address, name))
        status =
            failure_set(f, STATUS_INVALID, "the name for the certificate has 1 to %d characters of UTF-8",
                        CA_COMMON_NAME_MAX);
    if (status == STATUS_OK && (!x509_build_set(x, key, now_ms, now_ms + days * DAY_MS) ||
                                !x509_build_end_within(x, s->certificate) ||
                                X509_set_issuer_name(x, X509_get_subject_name(s->certificate)) != 1 ||
                                !add_extensions(x, s->certificate, key, address, uses, crl_url) ||
                                (x = x509_build_sign(x, s->key)) == NULL))
        status = failure_set(f, STATUS_CRYPTO, "cannot issue a certificate for %.*s", SLICE_ARGS(address));
    ERR_clear_error();
    if (status == STATUS_OK)
        *out = x;
    else
        X509_free(x);
    return status;
}

/* --- requests to other CAs --- */

enum status ca_request_make(EVP_PKEY *key, struct slice address, struct slice name, struct buf *der,
                            struct failure *f)
{
    X509_REQ *request = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    GENERAL_NAMES *names = ca_alt_names(address);
    unsigned char *bytes = NULL;
    int len = 0;
    enum status status = STATUS_OK;

    if (request == NULL || names == NULL)
        status = STATUS_NO_MEMORY;
    else if (!ca_user_subject(X509_REQ_get_subject_name(request), address, name))
        status =
            failure_set(f, STATUS_INVALID, "the name for the certificate has 1 to %d characters of UTF-8",
                        CA_COMMON_NAME_MAX);
    else if (X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1 ||
             X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
             X509_REQ_set_pubkey(request, key) != 1 || X509_REQ_add_extensions(request, extensions) != 1 ||
             X509_REQ_sign(request, key, x509_digest_for(key)) <= 0 ||
             (len = i2d_X509_REQ(request, &bytes)) <= 0)
        status = failure_set(f, STATUS_CRYPTO, "cannot make the request");
    else
        status = buf_append(der, bytes, (size_t)len);
    OPENSSL_free(bytes);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    GENERAL_NAMES_free(names);
    X509_REQ_free(request);
    ERR_clear_error();
    return status;
}

enum status ca_request_to_pem(struct slice der, struct buf *out)
{
    const unsigned char *at = der.data;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)der.len);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;
    enum status status = STATUS_MALFORMED;

    if (request != NULL && bio != NULL && PEM_write_bio_X509_REQ(bio, request) == 1)
        len = BIO_get_mem_data(bio, &text);
    if (len > 0)
        status = buf_append(out, text, (size_t)len);
    BIO_free(bio);
    X509_REQ_free(request);
    ERR_clear_error();
    return status;
}
