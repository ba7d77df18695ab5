/*
 * Path validation (RFC 5280 section 6) from the store's trust anchors, with the store's CA certificates as
 * intermediates, at a time that the caller gives. An anchor need not be self-signed. What a path is not good
 * for is said in words. One thread a trust.
 *
 * Issuers are candidates only when signatures lead from them to an anchor (crypto/trust_reach.c). OpenSSL
 * builds the path and checks signatures, dates, basic constraints, path lengths, names, critical
 * extensions, and policies where a CA of the path demands some. Here is added what it does not do by itself:
 * that issuers are for mail, and what the store says against a certificate (crypto/trust_store.c). A
 * certificate that the certificate trust list allows needs no path.
 */
#include "crypto/trust_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define PATH_MAX_LENGTH 10
#define ADDED_MAX       256

/* A stored certificate that OpenSSL does not read is left out: that trusts less, and mail goes on. */
static X509 *parse_stored(struct slice der)
{
    X509 *x = certificate_from_der(der);

    if (x == NULL)
        log_event(LOG_WARN, "a stored certificate cannot be read and is left out",
                  LOG_NUMBER("bytes", der.len));
    return x;
}

static bool add_anchor(void *context, const struct certificate_record *record)
{
    struct trust *t = context;
    X509 *x = parse_stored(record->der);

    t->broken = x != NULL && X509_STORE_add_cert(t->anchors, x) != 1;
    if (x != NULL && !t->broken && sk_X509_push(t->issuers, x) > 0)
        return true; /* the stack has it now */
    t->broken = t->broken || x != NULL;
    X509_free(x);
    return !t->broken;
}

static bool add_intermediate(void *context, const struct certificate_record *record)
{
    struct trust *t = context;
    X509 *x;

    if ((record->uses & CERT_USE_CA) == 0)
        return true;
    x = parse_stored(record->der);
    if (x != NULL && sk_X509_push(t->intermediates, x) <= 0) {
        X509_free(x);
        t->broken = true;
    }
    return !t->broken;
}

static struct trust *trust_new(void)
{
    struct trust *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->seen = certificate_cache_new();
    t->anchors = X509_STORE_new();
    t->issuers = sk_X509_new_null();
    t->intermediates = sk_X509_new_null();
    t->reached = sk_X509_new_null();
    if (t->seen == NULL || t->anchors == NULL || t->issuers == NULL || t->intermediates == NULL ||
        t->reached == NULL) {
        trust_free(t);
        return NULL;
    }
    return t;
}

enum status trust_make(const struct slice *anchors, size_t anchor_count, const struct slice *intermediates,
                       size_t intermediate_count, struct trust **out, struct failure *f)
{
    struct trust *t = trust_new();
    struct certificate_record record = {.uses = CERT_USE_CA};

    *out = NULL;
    for (size_t i = 0; t != NULL && i < anchor_count && !t->broken; i++) {
        record.der = anchors[i];
        (void)add_anchor(t, &record);
    }
    for (size_t i = 0; t != NULL && i < intermediate_count && !t->broken; i++) {
        record.der = intermediates[i];
        (void)add_intermediate(t, &record);
    }
    if (t != NULL && !t->broken)
        t->broken = trust_reach(t) != STATUS_OK;
    ERR_clear_error();
    if (t == NULL || t->broken) {
        trust_free(t);
        return failure_set(f, STATUS_NO_MEMORY, "cannot load the trust anchors: out of memory");
    }
    *out = t;
    return STATUS_OK;
}

enum status trust_load(struct store_view *view, struct trust **out, struct failure *f)
{
    struct trust *t = trust_new();
    enum status status = t == NULL ? STATUS_NO_MEMORY : STATUS_OK;

    *out = NULL;
    if (status == STATUS_OK)
        status = store_anchors_all(view, add_anchor, t);
    if (status == STATUS_OK && !t->broken)
        status = store_ca_certificates_all(view, add_intermediate, t);
    if (status == STATUS_OK)
        status = t->broken ? STATUS_NO_MEMORY : trust_reach(t);
    ERR_clear_error();
    if (status != STATUS_OK) {
        trust_free(t);
        return failure_set(f, status, "cannot load the trust anchors: %s", status_text(status));
    }
    t->of_store = true;
    t->view = view;
    *out = t;
    return STATUS_OK;
}

enum status trust_add_intermediate(struct trust *t, struct slice der)
{
    X509 *x = t->added == ADDED_MAX ? NULL : certificate_from_der(der);
    enum status status = t->added == ADDED_MAX ? STATUS_BUSY : STATUS_INVALID;

    if (x != NULL && (certificate_uses(x) & CERT_USE_CA) != 0) {
        status = sk_X509_push(t->intermediates, x) > 0 ? STATUS_OK : STATUS_NO_MEMORY;
        if (status == STATUS_OK) {
            t->added++;
            x = NULL;
            status = trust_reach(t);
        }
    }
    X509_free(x);
    ERR_clear_error();
    return status;
}

void trust_look_in(struct trust *t, struct store_view *view)
{
    if (t != NULL && t->of_store)
        t->view = view;
}

void trust_free(struct trust *t)
{
    if (t == NULL)
        return;
    certificate_cache_free(t->seen);
    X509_STORE_free(t->anchors);
    sk_X509_pop_free(t->issuers, X509_free);
    sk_X509_free(t->reached);
    free(t->cas);
    sk_X509_pop_free(t->intermediates, X509_free);
    free(t);
}

static void day_of(const ASN1_TIME *time, char day[TIME_RFC3339_SIZE])
{
    uint64_t ms = 0;

    (void)asn1_time_ms(time, &ms);
    time_format_rfc3339(ms, day);
    day[10] = '\0'; /* the date alone */
}

static enum status explain(X509_STORE_CTX *ctx, struct failure *f)
{
    int error = X509_STORE_CTX_get_error(ctx);
    X509 *x = X509_STORE_CTX_get_current_cert(ctx);
    char name[200], day[TIME_RFC3339_SIZE];

    certificate_name(x, name, sizeof(name));
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        day_of(X509_get0_notAfter(x), day);
        return failure_set(f, STATUS_EXPIRED, "the certificate %s expired on %s", name, day);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        day_of(X509_get0_notBefore(x), day);
        return failure_set(f, STATUS_EXPIRED, "the certificate %s is not valid before %s", name, day);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
    case X509_V_ERR_INVALID_CA:
        return failure_set(f, STATUS_UNTRUSTED, "no path from the certificate %s to a trust anchor (%s)",
                           name, X509_verify_cert_error_string(error));
    case X509_V_ERR_OUT_OF_MEM:
        return failure_set(f, STATUS_NO_MEMORY, "cannot validate a certificate: out of memory");
    default:
        return failure_set(f, STATUS_INVALID, "the certificate %s does not hold: %s", name,
                           X509_verify_cert_error_string(error));
    }
}

static enum status fit_for(enum trust_purpose purpose, X509 *x, struct failure *f)
{
    uint64_t need = purpose == TRUST_FOR_ENCRYPTION ? CERT_USE_ENCRYPT : CERT_USE_SIGN;
    char name[200];

    if ((certificate_uses(x) & need) != 0)
        return STATUS_OK;
    certificate_name(x, name, sizeof(name));
    return failure_set(f, STATUS_INVALID, "the certificate %s is not for %s mail", name,
                       purpose == TRUST_FOR_ENCRYPTION ? "encrypting" : "signing");
}

/* An issuer that names extended usages passes on no others. The anchor itself is trusted for what it was made
 * one. */
static enum status check_issuers(STACK_OF(X509) * path, struct failure *f)
{
    char name[200];

    for (int i = 0; i < sk_X509_num(path); i++)
        if (X509_get0_pubkey(sk_X509_value(path, i)) == NULL ||
            !key_curve_is_named(X509_get0_pubkey(sk_X509_value(path, i)))) {
            certificate_name(sk_X509_value(path, i), name, sizeof(name));
            return failure_set(f, STATUS_INVALID, "the key of the certificate %s has explicit EC parameters",
                               name);
        }
    for (int i = 1; i + 1 < sk_X509_num(path); i++)
        if (!certificate_is_for_mail(sk_X509_value(path, i))) {
            certificate_name(sk_X509_value(path, i), name, sizeof(name));
            return failure_set(f, STATUS_INVALID, "the issuer %s may not issue certificates for mail", name);
        }
    return STATUS_OK;
}

static bool set_rules(X509_STORE_CTX *ctx, uint64_t now_ms)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

    X509_VERIFY_PARAM_set_time(param, (time_t)(now_ms / 1000));
    X509_VERIFY_PARAM_set_depth(param, PATH_MAX_LENGTH);
    /* With POLICY_CHECK a path without a valid policy fails where a CA of it demands one, and only there. */
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_POLICY_CHECK);
    X509_VERIFY_PARAM_set_auth_level(param, 1); /* no MD5, no SHA-1, no keys below 80 bits of strength */
    return X509_VERIFY_PARAM_add0_policy(param, OBJ_nid2obj(NID_any_policy)) ==
           1; /* OpenSSL takes none for none */
}

static enum status check_path(struct trust *t, X509 *x, STACK_OF(X509) * candidates, bool allowed,
                              uint64_t now_ms, struct failure *f)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *itself = allowed ? sk_X509_new_null() : NULL;
    STACK_OF(X509) * path;
    enum status status = STATUS_OK;

    if (ctx == NULL || X509_STORE_CTX_init(ctx, t->anchors, x, candidates) != 1 || !set_rules(ctx, now_ms) ||
        (allowed && (itself == NULL || sk_X509_push(itself, x) <= 0))) {
        status = failure_set(f, STATUS_NO_MEMORY, "cannot validate a certificate: out of memory");
        goto out;
    }
    if (allowed)
        X509_STORE_CTX_set0_trusted_stack(ctx, itself);
    if (X509_verify_cert(ctx) != 1) {
        status = explain(ctx, f);
        goto out;
    }
    path = X509_STORE_CTX_get0_chain(ctx);
    status = check_issuers(path, f);
    if (status == STATUS_OK)
        status = trust_path_check(t, path, now_ms, f);
out:
    X509_STORE_CTX_free(ctx);
    sk_X509_free(itself);
    return status;
}

/* There are no anchors: what can be said of the certificate alone, or that nobody vouches for it. */
static enum status check_alone(struct slice der, enum trust_purpose purpose, struct failure *f)
{
    X509 *x = certificate_cache_get(NULL, der);
    enum status status =
        x == NULL ? failure_set(f, STATUS_MALFORMED, "this is no X.509 certificate") : fit_for(purpose, x, f);

    if (status == STATUS_OK)
        status = failure_set(f, STATUS_UNTRUSTED, "there are no trust anchors");
    X509_free(x);
    ERR_clear_error();
    return status;
}

static enum status check(struct trust *t, struct slice der, STACK_OF(X509) * extra, bool pinned,
                         enum trust_purpose purpose, uint64_t now_ms, struct failure *f)
{
    X509 *x = certificate_cache_get(t->seen, der);
    STACK_OF(X509) *candidates = trust_candidates(t, extra);
    bool allowed = false;
    enum status status;

    if (x == NULL)
        status = failure_set(f, STATUS_MALFORMED, "this is no X.509 certificate");
    else
        status = fit_for(purpose, x, f);
    if (status == STATUS_OK && candidates == NULL)
        status = failure_set(f, STATUS_NO_MEMORY, "cannot validate a certificate: out of memory");
    if (status == STATUS_OK && t->of_store && t->view == NULL)
        status = failure_set(f, STATUS_UNAVAILABLE, "the store cannot be asked about revocations now");
    if (status == STATUS_OK)
        status = trust_list_check(t, x, now_ms, &allowed, f);
    if (status == STATUS_OK)
        status = check_path(t, x, candidates, allowed || pinned, now_ms, f);
    if (status == STATUS_OK && (allowed || pinned))
        status = trust_allowed_check(t, x, extra, f);
    sk_X509_free(candidates);
    X509_free(x);
    ERR_clear_error();
    return status;
}

enum status trust_check(struct trust *t, struct slice der, STACK_OF(X509) * extra, enum trust_purpose purpose,
                        uint64_t now_ms, struct failure *f)
{
    return t == NULL ? check_alone(der, purpose, f) : check(t, der, extra, false, purpose, now_ms, f);
}

enum status trust_check_pinned(struct trust *t, struct slice der, enum trust_purpose purpose, uint64_t now_ms,
                               struct failure *f)
{
    return t == NULL ? check_alone(der, purpose, f) : check(t, der, NULL, true, purpose, now_ms, f);
}
