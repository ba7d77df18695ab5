/* See pki.h. Keys are made once a program: RSA takes its time under a sanitizer. */
#include "crypto_test.h"

#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define KEYS_MAX 16

static struct {
    const char *kind;
    int number;
    EVP_PKEY *key;
} keys[KEYS_MAX];

static void need(bool good)
{
    if (!good) {
        ERR_print_errors_fp(stderr);
        abort();
    }
}

static EVP_PKEY *pss_key(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    EVP_PKEY *key = NULL;

    need(ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) == 1 &&
         EVP_PKEY_generate(ctx, &key) == 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *key_of(const char *kind, int number)
{
    size_t i = 0;

    for (; i < KEYS_MAX && keys[i].key != NULL; i++)
        if (strcmp(keys[i].kind, kind) == 0 && keys[i].number == number)
            return keys[i].key;
    need(i < KEYS_MAX);
    keys[i].kind = kind;
    keys[i].number = number;
    if (strcmp(kind, "ec") == 0)
        keys[i].key = EVP_EC_gen("P-256");
    else if (strcmp(kind, "ec384") == 0)
        keys[i].key = EVP_EC_gen("P-384");
    else if (strcmp(kind, "ec521") == 0)
        keys[i].key = EVP_EC_gen("P-521");
    else if (strcmp(kind, "ed25519") == 0)
        keys[i].key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else if (strcmp(kind, "rsa-pss") == 0)
        keys[i].key = pss_key();
    else if (strcmp(kind, "x25519") == 0)
        keys[i].key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    else
        keys[i].key = EVP_RSA_gen(strcmp(kind, "rsa512") == 0 ? 512 : 2048);
    need(keys[i].key != NULL);
    return keys[i].key;
}

static void extend_with(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    CONF *conf = NCONF_new(NULL);

    need(conf != NULL);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509V3_set_nconf(&ctx, conf); /* policies want one, though nothing of it is used */
    extension = X509V3_EXT_nconf_nid(conf, &ctx, nid, value);
    NCONF_free(conf);
    need(extension != NULL && X509_add_ext(x, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void extend(X509 *x, X509 *issuer, int nid, const char *value)
{
    if (value != NULL)
        extend_with(x, issuer, nid, value);
}

static void extend_unknown(X509 *x, const char *what)
{
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension;

    need(oid != NULL && value != NULL && ASN1_OCTET_STRING_set(value, (const unsigned char *)"\5\0", 2) == 1);
    extension = X509_EXTENSION_create_by_OBJ(NULL, oid, strcmp(what, "critical") == 0, value);
    need(extension != NULL && X509_add_ext(x, extension, -1) == 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
}

struct made pki_make(const struct recipe *r, const struct made *issuer)
{
    static long serial = 0x1000;
    const char *kind = r->kind != NULL ? r->kind : "rsa";
    struct made m = {.key = key_of(kind, r->key), .x = X509_new(), .der_buf = BUF_INIT((size_t)1 << 20)};
    X509 *signer = issuer != NULL ? issuer->x : m.x;
    EVP_PKEY *signing = issuer != NULL ? issuer->key : m.key;
    X509_NAME *subject = X509_get_subject_name(m.x);
    uint64_t from = r->from_ms != 0 ? r->from_ms : NOW_MS - YEAR_MS;
    uint64_t to = r->to_ms != 0 ? r->to_ms : NOW_MS + YEAR_MS;

    need(X509_set_version(m.x, 2) && ASN1_INTEGER_set(X509_get_serialNumber(m.x), serial++) &&
         X509_set_pubkey(m.x, m.key) &&
         X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)r->name, -1, -1, 0));
    if (r->email_in_subject != NULL)
        need(X509_NAME_add_entry_by_txt(subject, "emailAddress", MBSTRING_ASC,
                                        (const unsigned char *)r->email_in_subject, -1, -1, 0));
    need(X509_set_issuer_name(m.x, X509_get_subject_name(signer)) &&
         ASN1_TIME_set(X509_getm_notBefore(m.x), (time_t)(from / 1000)) != NULL &&
         ASN1_TIME_set(X509_getm_notAfter(m.x), (time_t)(to / 1000)) != NULL);
    if (r->basic == NULL || strcmp(r->basic, "none") != 0)
        extend(m.x, signer, NID_basic_constraints,
               r->basic != NULL ? r->basic
               : r->ca          ? "critical,CA:TRUE"
                                : NULL);
    extend(m.x, signer, NID_key_usage, r->usage);
    extend(m.x, signer, NID_ext_key_usage, r->extended);
    extend(m.x, signer, NID_subject_key_identifier, "hash");
    extend(m.x, signer, NID_subject_alt_name, r->san);
    extend(m.x, signer, NID_name_constraints, r->constraints);
    extend(m.x, signer, NID_SMIMECapabilities, r->capabilities);
    extend(m.x, signer, NID_certificate_policies, r->policies);
    extend(m.x, signer, NID_policy_constraints, r->policy_constraints);
    extend(m.x, signer, NID_crl_distribution_points, r->points);
    if (r->unknown != NULL)
        extend_unknown(m.x, r->unknown);
    need(X509_sign(m.x, signing,
                   EVP_PKEY_is_a(signing, "ED25519") ? NULL
                   : r->digest != NULL               ? r->digest
                                                     : EVP_sha256()) > 0);
    need(certificate_to_der(m.x, &m.der_buf) == STATUS_OK);
    m.der = buf_slice(&m.der_buf);
    return m;
}

void pki_release(struct made *made)
{
    X509_free(made->x);
    buf_release(&made->der_buf);
    *made = (struct made){0};
}

static void take(BIO *bio, struct buf *out)
{
    char *text;
    long len = BIO_get_mem_data(bio, &text);

    need(len > 0 && buf_append(out, text, (size_t)len) == STATUS_OK);
    BIO_free(bio);
}

void pki_key_pem(const struct made *made, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    need(PEM_write_bio_PrivateKey(bio, made->key, NULL, NULL, 0, NULL, NULL) == 1);
    take(bio, out);
}

void pki_certificate_pem(const struct made *made, struct buf *out)
{
    need(certificate_to_pem(made->der, out) == STATUS_OK);
}

void pki_forget_keys(void)
{
    for (size_t i = 0; i < KEYS_MAX; i++) {
        EVP_PKEY_free(keys[i].key);
        keys[i].key = NULL;
    }
}
