/*
 * Making CAs: roots, and intermediates below a root of ours. See ca.h. Any thread; making an RSA key takes up
 * to some seconds.
 */
#include "crypto/ca.h"

#include "base/clock.h"
#include "crypto/ca_internal.h"
#include "crypto/x509_build.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define DAY_MS         ((uint64_t)86400 * 1000)
#define SUBJECT_PARTS  16
#define SUBJECT_VALUES 256 /* bytes of one value */

const char *const key_kind_names[KEY_KIND_COUNT] = {
    [KEY_RSA3072] = "rsa3072", [KEY_RSA4096] = "rsa4096", [KEY_P256] = "p256", [KEY_P384] = "p384"};

bool key_kind_named(struct slice name, enum key_kind *kind)
{
    for (int i = 0; i < KEY_KIND_COUNT; i++)
        if (slice_equal(name, slice_of_text(key_kind_names[i]))) {
            *kind = (enum key_kind)i;
            return true;
        }
    return false;
}

enum status key_generate(enum key_kind kind, EVP_PKEY **key)
{
    if (kind == KEY_RSA3072 || kind == KEY_RSA4096)
        *key = EVP_RSA_gen(kind == KEY_RSA3072 ? 3072 : 4096);
    else
        *key = EVP_EC_gen(kind == KEY_P256 ? "P-256" : "P-384");
    ERR_clear_error();
    return *key == NULL ? STATUS_CRYPTO : STATUS_OK;
}

void ca_signer_release(struct ca_signer *s)
{
    X509_free(s->certificate);
    EVP_PKEY_free(s->key); /* OpenSSL wipes it */
    *s = (struct ca_signer){0};
}

enum status ca_signer_open(struct store_view *view, const struct keyring *keys, struct slice name,
                           struct ca_signer *out, struct failure *f)
{
    struct ca_record ca;
    struct certificate_record record;
    enum status status = store_ca_get(view, name, &ca);

    *out = (struct ca_signer){0};
    if (status == STATUS_NOT_FOUND)
        return failure_set(f, status, "there is no CA \"%.*s\"", SLICE_ARGS(name));
    if (status == STATUS_OK)
        status = store_certificate_get(view, ca.thumbprint, &record);
    if (status != STATUS_OK)
        return failure_set(f, STATUS_CORRUPT, "the CA %.*s cannot be read", SLICE_ARGS(name));
    status = private_key_open(keys, ca.thumbprint, ca.sealed_key, &out->key, f);
    if (status != STATUS_OK)
        return status;
    out->certificate = certificate_from_der(record.der);
    if (out->certificate == NULL) {
        ca_signer_release(out);
        return failure_set(f, STATUS_CORRUPT, "the certificate of the CA %.*s cannot be read",
                           SLICE_ARGS(name));
    }
    return STATUS_OK;
}

/* --- the subject --- */

struct subject_part {
    char type[32], value[SUBJECT_VALUES + 1];
};

static enum status bad_subject(struct failure *f, const char *why)
{
    return failure_set(f, STATUS_INVALID, "the subject %s; it looks like CN=Example CA,O=Example,C=DE", why);
}

/* One "type=value" up to a comma that no backslash precedes. Moves `rest` behind it. */
static enum status part_read(struct slice *rest, struct subject_part *part, struct failure *f)
{
    size_t at = slice_find_byte(*rest, '='), len = 0, kept = 0;
    struct slice type = slice_trim(slice_of(rest->data, at));

    if (at >= rest->len || type.len == 0 || type.len >= sizeof(part->type))
        return bad_subject(f, "has a part without a type");
    memcpy(part->type, type.data, type.len);
    part->type[type.len] = '\0';
    for (at++; at < rest->len && rest->data[at] == ' '; at++)
        ;
    for (; at < rest->len && rest->data[at] != ','; at++) {
        if (rest->data[at] == '\\' && ++at == rest->len)
            return bad_subject(f, "ends in a backslash");
        if (len == SUBJECT_VALUES || rest->data[at] < 0x20 || rest->data[at] == 0x7f)
            return bad_subject(f, "has a value that is too long, or a control character");
        part->value[len++] = (char)rest->data[at];
        if (rest->data[at] != ' ')
            kept = len;
    }
    part->value[kept] = '\0';
    if (kept == 0)
        return bad_subject(f, "has an empty value");
    *rest = at < rest->len ? slice_of(rest->data + at + 1, rest->len - at - 1) : (struct slice){0};
    return STATUS_OK;
}

/* RFC 4514 writes the last part first. */
static enum status subject_read(struct slice text, X509_NAME *name, struct failure *f)
{
    static const char *const types[] = {
        "CN", "O", "OU", "C", "ST", "L", "DC", "serialNumber", "organizationIdentifier"};
    struct subject_part parts[SUBJECT_PARTS];
    size_t count = 0;
    enum status status = STATUS_OK;

    if (text.len == 0 || text.len > CA_SUBJECT_MAX)
        return bad_subject(f, "is empty or too long");
    if (slice_find_byte(text, '=') >= text.len) {
        if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, text.data, (int)text.len, -1,
                                       0) != 1)
            return bad_subject(f, "is no common name of at most 64 characters");
        return STATUS_OK;
    }
    while (text.len > 0 && status == STATUS_OK) {
        if (count == SUBJECT_PARTS)
            return bad_subject(f, "has too many parts");
        status = part_read(&text, &parts[count++], f);
    }
    while (count > 0 && status == STATUS_OK) {
        const struct subject_part *part = &parts[--count];
        const char *known = NULL;

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
            if (strcasecmp(part->type, types[i]) == 0)
                known = types[i];
        if (known == NULL)
            return failure_set(f, STATUS_INVALID,
                               "the subject has a part of an unknown type; it may have CN, O, OU, C, ST, L, "
                               "DC, serialNumber and organizationIdentifier");
        if (X509_NAME_add_entry_by_txt(name, known, MBSTRING_UTF8, (const unsigned char *)part->value, -1, -1,
                                       0) != 1)
            status = failure_set(f, STATUS_INVALID, "the subject's %s \"%s\" is not a value for it", known,
                                 part->value);
    }
    return status;
}

/* --- making --- */

enum status ca_usable(const struct ca_signer *s, uint64_t now_ms, struct failure *f)
{
    time_t now = (time_t)(now_ms / 1000);
    uint32_t usage = X509_get_key_usage(s->certificate);

    if (X509_check_ca(s->certificate) != 1)
        return failure_set(f, STATUS_INVALID,
                           "the certificate is not that of a CA: basicConstraints must say CA:TRUE");
    if ((usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != (KU_KEY_CERT_SIGN | KU_CRL_SIGN))
        return failure_set(f, STATUS_INVALID,
                           "the CA's certificate does not allow to sign certificates and revocation lists "
                           "(keyUsage must have keyCertSign and cRLSign)");
    if (!certificate_is_for_mail(s->certificate))
        return failure_set(f, STATUS_INVALID, "the CA's certificate is not for mail (extendedKeyUsage)");
    if (X509_check_private_key(s->certificate, s->key) != 1) {
        ERR_clear_error();
        return failure_set(f, STATUS_INVALID, "the key is not that of the CA's certificate");
    }
    if (X509_cmp_time(X509_get0_notAfter(s->certificate), &now) < 0)
        return failure_set(f, STATUS_EXPIRED, "the CA's certificate has expired");
    return STATUS_OK;
}

static bool set_ca(X509 *x, const struct ca_signer *issuer, const char *crl_url)
{
    X509 *above = issuer != NULL ? issuer->certificate : x;
    bool good = X509_set_issuer_name(x, X509_get_subject_name(above)) == 1 &&
                x509_build_extension(x, above, NID_basic_constraints,
                                     issuer != NULL ? "critical,CA:TRUE,pathlen:0" : "critical,CA:TRUE") &&
                x509_build_extension(x, above, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                x509_build_extension(x, above, NID_subject_key_identifier, "hash");

    if (good && issuer != NULL)
        good = x509_build_end_within(x, above) &&
               x509_build_extension(x, above, NID_authority_key_identifier, "keyid") &&
               x509_build_extension(x, above, NID_ext_key_usage, "emailProtection") &&
               ca_add_crl_url(x, crl_url);
    return good;
}

enum status ca_make(struct slice subject, enum key_kind kind, unsigned days, const struct ca_signer *issuer,
                    const char *crl_url, uint64_t now_ms, struct ca_signer *out, struct failure *f)
{
    X509 *x = X509_new();
    EVP_PKEY *key = NULL;
    enum status status = x == NULL ? STATUS_NO_MEMORY : STATUS_OK;

    *out = (struct ca_signer){0};
    if (status == STATUS_OK)
        status = subject_read(subject, X509_get_subject_name(x), f);
    if (status == STATUS_OK && issuer != NULL) {
        status = ca_usable(issuer, now_ms, f);
        if (status == STATUS_OK && X509_get_pathlen(issuer->certificate) == 0)
            status = failure_set(f, STATUS_INVALID,
                                 "the issuer is an intermediate CA that may not have a CA below it");
    }
    if (status != STATUS_OK)
        goto out;
    status = key_generate(kind, &key);
    if (status != STATUS_OK || !x509_build_set(x, key, now_ms, now_ms + days * DAY_MS) ||
        !set_ca(x, issuer, crl_url) || (x = x509_build_sign(x, issuer != NULL ? issuer->key : key)) == NULL)
        status = failure_set(f, STATUS_CRYPTO, "cannot make the CA");
out:
    ERR_clear_error();
    if (status != STATUS_OK) {
        X509_free(x);
        EVP_PKEY_free(key);
        return status;
    }
    *out = (struct ca_signer){.certificate = x, .key = key};
    return STATUS_OK;
}
