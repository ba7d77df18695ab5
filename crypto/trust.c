/*
 * Path validation (RFC 5280) from the store's trust anchors, with the store's CA certificates as
 * intermediates, at a time that the caller gives. An anchor need not be self-signed. What a path is not good
 * for is said in words. One thread a trust.
 */
#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define EXTRA_MAX 64 /* certificates out of a message that are looked at */

struct trust {
    X509_STORE *anchors;
    STACK_OF(X509) * intermediates;
    bool broken;
};

static bool add_anchor(void *context, const struct certificate_record *record)
{
    struct trust *t = context;
    X509 *x = certificate_from_der(record->der);

    if (x == NULL || X509_STORE_add_cert(t->anchors, x) != 1)
        t->broken = true;
    X509_free(x);
    return !t->broken;
}

static bool add_intermediate(void *context, const struct certificate_record *record)
{
    struct trust *t = context;
    X509 *x;

    if ((record->uses & CERT_USE_CA) == 0)
        return true;
    x = certificate_from_der(record->der);
    if (x == NULL || sk_X509_push(t->intermediates, x) <= 0) {
        X509_free(x);
        t->broken = true;
    }
    return !t->broken;
}

enum status trust_load(struct store_view *view, struct trust **out, struct failure *f)
{
    struct trust *t = calloc(1, sizeof(*t));
    enum status status;

    if (t == NULL)
        return failure_set(f, STATUS_NO_MEMORY, "cannot load the trust anchors");
    t->anchors = X509_STORE_new();
    t->intermediates = sk_X509_new_null();
    status = t->anchors == NULL || t->intermediates == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (status == STATUS_OK)
        status = store_anchors_all(view, add_anchor, t);
    if (status == STATUS_OK)
        status = store_certificates_all(view, add_intermediate, t);
    if (status == STATUS_OK && t->broken)
        status = STATUS_CORRUPT;
    ERR_clear_error();
    if (status != STATUS_OK) {
        trust_free(t);
        return failure_set(f, status, "cannot load the trust anchors: %s", status_text(status));
    }
    *out = t;
    return STATUS_OK;
}

void trust_free(struct trust *t)
{
    if (t == NULL)
        return;
    X509_STORE_free(t->anchors);
    sk_X509_pop_free(t->intermediates, X509_free);
    free(t);
}

static void subject_of(X509 *x, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;

    if (x != NULL && bio != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0)
        len = BIO_get_mem_data(bio, &text);
    if (len < 0)
        len = 0;
    if ((size_t)len >= size)
        len = (long)size - 1;
    if (len > 0)
        memcpy(out, text, (size_t)len);
    out[len] = '\0';
    BIO_free(bio);
}

static enum status explain(X509_STORE_CTX *ctx, struct failure *f)
{
    int error = X509_STORE_CTX_get_error(ctx);
    char name[200];

    subject_of(X509_STORE_CTX_get_current_cert(ctx), name, sizeof(name));
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return failure_set(f, STATUS_EXPIRED, "the certificate %s has expired", name);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return failure_set(f, STATUS_EXPIRED, "the certificate %s is not valid yet", name);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_INVALID_CA:
        return failure_set(f, STATUS_UNTRUSTED, "no path from the certificate %s to a trust anchor (%s)",
                           name, X509_verify_cert_error_string(error));
    default:
        return failure_set(f, STATUS_INVALID, "the certificate %s does not hold: %s", name,
                           X509_verify_cert_error_string(error));
    }
}

static enum status fit_for(enum trust_purpose purpose, struct slice der, struct failure *f)
{
    struct certificate_record record;
    struct arena a;
    uint64_t need = purpose == TRUST_FOR_ENCRYPTION ? CERT_USE_ENCRYPT : CERT_USE_SIGN;
    enum status status;

    arena_init(&a, (size_t)1 << 20);
    status = certificate_describe(der, (struct slice){0}, 0, &a, &record, f);
    if (status == STATUS_OK && (record.uses & need) == 0)
        status = failure_set(f, STATUS_INVALID, "the certificate %.*s is not for %s mail",
                             (int)(record.subject.len < 200 ? record.subject.len : 200),
                             (const char *)record.subject.data,
                             purpose == TRUST_FOR_ENCRYPTION ? "encrypting" : "signing");
    arena_release(&a);
    return status;
}

/* The store's intermediates and what came with the message, as one borrowed stack. */
static STACK_OF(X509) * untrusted_of(struct trust *t, STACK_OF(X509) * extra)
{
    STACK_OF(X509) *all = sk_X509_dup(t->intermediates);

    for (int i = 0; all != NULL && i < sk_X509_num(extra) && i < EXTRA_MAX; i++)
        if (sk_X509_push(all, sk_X509_value(extra, i)) <= 0)
            break;
    return all;
}

enum status trust_check(struct trust *t, struct slice der, STACK_OF(X509) * extra, enum trust_purpose purpose,
                        uint64_t now_ms, struct failure *f)
{
    X509 *x = certificate_from_der(der);
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = untrusted_of(t, extra);
    X509_VERIFY_PARAM *param;
    enum status status;

    if (x == NULL) {
        status = failure_set(f, STATUS_MALFORMED, "this is no X.509 certificate");
        goto out;
    }
    status = fit_for(purpose, der, f);
    if (status != STATUS_OK)
        goto out;
    if (ctx == NULL || untrusted == NULL || X509_STORE_CTX_init(ctx, t->anchors, x, untrusted) != 1) {
        status = failure_set(f, STATUS_NO_MEMORY, "cannot validate a certificate: out of memory");
        goto out;
    }
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)(now_ms / 1000));
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_auth_level(param, 1); /* no MD5, no SHA-1, no keys below 80 bits of strength */
    if (X509_verify_cert(ctx) == 1)
        status = STATUS_OK;
    else
        status = explain(ctx, f);
out:
    sk_X509_free(untrusted);
    X509_STORE_CTX_free(ctx);
    X509_free(x);
    ERR_clear_error();
    return status;
}
