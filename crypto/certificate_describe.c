/*
 * What a certificate says, as the store keeps it: addresses, validity, uses, capabilities. Parsed once, when
 * it comes in, so that choosing a certificate needs no ASN.1. The bytes are hostile. Any thread.
 */
#include "crypto/certificate_internal.h"

#include "base/hex.h"
#include "crypto/capability.h"

#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define DER_MAX       ((size_t)128 << 10)
#define NAME_TEXT_MAX 4096

static void add_address(struct certificate_record *out, struct arena *a, struct slice text)
{
    char normal[ADDRESS_MAX + 1];
    struct slice copy;

    if (out->address_count == CERT_ADDRESSES_MAX || address_normalise(text, normal, NULL) != STATUS_OK)
        return; /* an entry with NUL, control bytes or no @ names nobody */
    for (size_t i = 0; i < out->address_count; i++)
        if (slice_equal(out->addresses[i], slice_of_text(normal)))
            return;
    if (arena_copy(a, slice_of_text(normal), &copy))
        out->addresses[out->address_count++] = copy;
}

static bool is_ascii(const ASN1_STRING *s)
{
    const unsigned char *data = ASN1_STRING_get0_data(s);

    for (int i = 0; i < ASN1_STRING_length(s); i++)
        if (data[i] >= 0x80)
            return false;
    return true;
}

static void add_ascii(struct certificate_record *out, struct arena *a, const ASN1_STRING *value)
{
    if (is_ascii(value))
        add_address(out, a, slice_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)));
}

/* SmtpUTF8Mailbox (RFC 9598): an otherName that holds a UTF8String, which OpenSSL checks while converting. */
static void add_utf8_mailbox(struct certificate_record *out, struct arena *a, const OTHERNAME *name)
{
    unsigned char *text = NULL;
    int len;

    if (OBJ_obj2nid(name->type_id) != NID_id_on_SmtpUTF8Mailbox || name->value->type != V_ASN1_UTF8STRING)
        return;
    len = ASN1_STRING_to_UTF8(&text, name->value->value.utf8string);
    if (len > 0)
        add_address(out, a, slice_of(text, (size_t)len));
    OPENSSL_free(text);
}

/* rfc822Name and SmtpUTF8Mailbox entries of subjectAltName; emailAddress in the subject counts only where
 * there is no rfc822Name (RFC 8550 section 3). */
static void read_addresses(X509 *x, struct arena *a, struct certificate_record *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    bool any = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_OTHERNAME)
            add_utf8_mailbox(out, a, name->d.otherName);
        if (name->type != GEN_EMAIL)
            continue;
        any = true;
        add_ascii(out, a, name->d.rfc822Name);
    }
    GENERAL_NAMES_free(names);
    if (any)
        return;
    X509_NAME *subject = X509_get_subject_name(x);
    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, at)) >= 0;) {
        add_ascii(out, a, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    }
}

static bool name_text(X509_NAME *name, struct arena *a, struct slice *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;
    bool good;

    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        len = BIO_get_mem_data(bio, &text);
    good =
        len >= 0 && arena_copy(a, slice_of(text, (size_t)(len < NAME_TEXT_MAX ? len : NAME_TEXT_MAX)), out);
    BIO_free(bio);
    return good;
}

void certificate_name(X509 *x, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;

    if (x != NULL && bio != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0)
        len = BIO_get_mem_data(bio, &text);
    if (len <= 0) {
        text = "(no name)";
        len = (long)strlen(text);
    }
    if ((size_t)len >= size)
        len = (long)size - 1;
    memcpy(out, text, (size_t)len);
    out[len] = '\0';
    BIO_free(bio);
}

static bool serial_text(X509 *x, struct arena *a, struct slice *out)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
    size_t len = (size_t)ASN1_STRING_length(serial);
    char *text;

    if (len > 64)
        len = 64;
    text = arena_alloc(a, 2 * len + 1);
    if (text == NULL)
        return false;
    hex_format(slice_of(ASN1_STRING_get0_data(serial), len), text);
    *out = slice_of(text, 2 * len);
    return true;
}

bool asn1_time_ms(const ASN1_TIME *time, uint64_t *out)
{
    struct tm t;
    time_t seconds;

    if (time == NULL || ASN1_TIME_to_tm(time, &t) != 1) /* of NULL it makes the present time */
        return false;
    seconds = timegm(&t);
    *out = seconds < 0 ? 0 : (uint64_t)seconds * 1000;
    return true;
}

bool certificate_is_for_mail(X509 *x)
{
    uint32_t extended = X509_get_extended_key_usage(x);

    return extended == UINT32_MAX || (extended & (XKU_SMIME | XKU_ANYEKU)) != 0;
}

/* RFC 8550 section 4.4: an absent extension allows all. What OpenSSL's CMS cannot do with a kind of key is no
 * use either: 3.0 does not encrypt to X25519. */
uint64_t certificate_uses(X509 *x)
{
    uint32_t usage = X509_get_key_usage(x);
    uint64_t uses = 0;
    EVP_PKEY *key = X509_get0_pubkey(x);
    bool rsa = key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    bool rsa_pss = key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA_PSS;
    bool ed25519 = key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
    bool ec = key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;

    if (X509_check_ca(x) == 1)
        uses |= CERT_USE_CA;
    if (!certificate_is_for_mail(x))
        return uses;
    if ((rsa || rsa_pss || ec || ed25519) && (usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) != 0)
        uses |= CERT_USE_SIGN;
    if ((rsa && (usage & KU_KEY_ENCIPHERMENT) != 0) || (ec && (usage & KU_KEY_AGREEMENT) != 0))
        uses |= CERT_USE_ENCRYPT;
    return uses;
}

static uint64_t capabilities_of(X509 *x)
{
    int at = X509_get_ext_by_NID(x, NID_SMIMECapabilities, -1);
    const ASN1_OCTET_STRING *value;

    if (at < 0)
        return 0;
    value = X509_EXTENSION_get_data(X509_get_ext(x, at));
    return capabilities_read(slice_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)));
}

/* OpenSSL 3.0 reads no id-RSAES-OAEP (RFC 4055 section 4.1), the usual one that comes here. */
static enum status key_unreadable(X509 *x, struct failure *f)
{
    ASN1_OBJECT *kind = NULL;
    char name[80] = "";

    if (X509_PUBKEY_get0_param(&kind, NULL, NULL, NULL, X509_get_X509_PUBKEY(x)) != 1 ||
        OBJ_obj2txt(name, sizeof(name), kind, 0) <= 0)
        memcpy(name, "unknown", sizeof("unknown"));
    return failure_set(f, STATUS_UNSUPPORTED,
                       "the certificate's public key (%s) cannot be read: what is supported are keys of the "
                       "kinds rsaEncryption, RSASSA-PSS, EC on a named curve, and Ed25519",
                       name);
}

bool key_curve_is_named(EVP_PKEY *key)
{
    int explicitly = 0;

    return EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
           (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicitly) == 1 &&
            explicitly == 0);
}

enum status certificate_describe_parsed(X509 *x, struct slice der, struct slice source, uint64_t now_ms,
                                        struct arena *a, struct certificate_record *out, struct failure *f)
{
    enum status status = STATUS_OK;

    memset(out, 0, sizeof(*out));
    sha256(der, out->thumbprint);
    out->der = der;
    out->source = source;
    out->added_ms = now_ms;
    if (X509_get0_pubkey(x) == NULL)
        status = key_unreadable(x, f);
    else if (!key_curve_is_named(X509_get0_pubkey(x)))
        status = failure_set(f, STATUS_UNSUPPORTED,
                             "the certificate's key has explicit EC parameters; only named curves are taken: "
                             "P-256, P-384, P-521");
    else if ((X509_get_extension_flags(x) & EXFLAG_INVALID) != 0)
        status = failure_set(f, STATUS_MALFORMED, "the certificate's extensions are broken");
    else if (!asn1_time_ms(X509_get0_notBefore(x), &out->not_before_ms) ||
             !asn1_time_ms(X509_get0_notAfter(x), &out->not_after_ms))
        status = failure_set(f, STATUS_MALFORMED, "the certificate's validity is not readable");
    else if (!name_text(X509_get_subject_name(x), a, &out->subject) ||
             !name_text(X509_get_issuer_name(x), a, &out->issuer) || !serial_text(x, a, &out->serial))
        status = failure_set(f, STATUS_NO_MEMORY, "cannot read the certificate: out of memory");
    if (status == STATUS_OK) {
        read_addresses(x, a, out);
        out->uses = certificate_uses(x);
        out->capabilities = capabilities_of(x);
    }
    ERR_clear_error();
    return status;
}

enum status certificate_describe(struct slice der, struct slice source, uint64_t now_ms, struct arena *a,
                                 struct certificate_record *out, struct failure *f)
{
    X509 *x;
    enum status status;

    memset(out, 0, sizeof(*out));
    if (der.len > DER_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "a certificate of %zu bytes is larger than %zu", der.len,
                           DER_MAX);
    x = certificate_from_der(der);
    if (x == NULL)
        return failure_set(f, STATUS_MALFORMED, "this is no X.509 certificate");
    status = certificate_describe_parsed(x, der, source, now_ms, a, out, f);
    X509_free(x);
    return status;
}
