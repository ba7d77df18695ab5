/*
 * What the store says against a certificate whose path holds: the certificate trust list, revocation lists
 * and OCSP answers. Only look-ups by key in the view that trust_look_in() gave: no list is read here.
 *
 * A revocation that is known refuses, whatever smime.revocation says, whenever it was, for whatever reason,
 * and whether or not its list has ended since. That nothing is known refuses only with smime.revocation=hard.
 * A store that cannot be read is an error, never "not revoked".
 */
#include "crypto/trust_internal.h"

#include "base/clock.h"
#include "crypto/crl.h"
#include "store/setting.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

enum revocation_mode { REVOCATION_OFF, REVOCATION_SOFT, REVOCATION_HARD }; /* as the setting's choices */

/* --- certificate trust list --- */

static enum status ctl_verdict_of(struct trust *t, X509 *x, uint64_t now_ms, enum ctl_verdict *verdict,
                                  struct ctl_record *record)
{
    struct buf der = BUF_INIT((size_t)1 << 20);
    uint8_t thumbprint[THUMBPRINT_SIZE];
    enum status status = certificate_to_der(x, &der);

    *verdict = CTL_NONE;
    if (status == STATUS_OK) {
        sha256(buf_slice(&der), thumbprint);
        status = store_ctl_get(t->view, thumbprint, record);
    }
    if (status == STATUS_OK)
        *verdict = ctl_in_force(record, now_ms);
    buf_release(&der);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status trust_list_check(struct trust *t, X509 *x, uint64_t now_ms, bool *allowed, struct failure *f)
{
    struct ctl_record record;
    enum ctl_verdict verdict;
    char name[200];
    enum status status;

    *allowed = false;
    if (!t->of_store)
        return STATUS_OK;
    status = ctl_verdict_of(t, x, now_ms, &verdict, &record);
    if (status != STATUS_OK)
        return failure_set(f, status, "the certificate trust list cannot be read");
    *allowed = verdict == CTL_ALLOW;
    if (verdict != CTL_DENY)
        return STATUS_OK;
    certificate_name(x, name, sizeof(name));
    return failure_set(
        f, STATUS_UNTRUSTED, "the certificate %s is denied by the certificate trust list%s%.*s%s", name,
        record.comment.len > 0 ? " (" : "", SLICE_ARGS(record.comment), record.comment.len > 0 ? ")" : "");
}

/* --- what is known of one certificate --- */

struct subject {
    X509 *x;
    uint8_t issuer[ISSUER_ID_SIZE];
    struct slice serial;
    char name[200];
};

static enum status subject_of(X509 *x, X509 *issuer, struct subject *out, struct failure *f)
{
    out->x = x;
    certificate_name(x, out->name, sizeof(out->name));
    if (serial_bytes(X509_get0_serialNumber(x), &out->serial) != STATUS_OK)
        return failure_set(f, STATUS_INVALID,
                           "the serial number of the certificate %s has more than %d bytes", out->name,
                           SERIAL_MAX);
    if (issuer_id_of(issuer, out->issuer) != STATUS_OK)
        return failure_set(f, STATUS_CRYPTO, "cannot tell the issuer of the certificate %s", out->name);
    return STATUS_OK;
}

static enum status refuse_revoked(struct trust *t, const struct subject *s, struct failure *f)
{
    struct revocation revocation;
    char day[TIME_RFC3339_SIZE];
    enum status status = store_revocation_get(t->view, s->issuer, s->serial, &revocation);

    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return failure_set(f, status, "what is known of the certificate %s cannot be read", s->name);
    time_format_rfc3339(revocation.revoked_ms, day);
    return failure_set(f, STATUS_REVOKED, "the certificate %s was revoked %.10s (%s)", s->name, day,
                       crl_reason_name(revocation.reason));
}

/* --- is it known that it is not revoked? (smime.revocation=hard) --- */

struct cover {
    const struct subject *subject;
    STACK_OF(DIST_POINT) * points; /* of the certificate */
    uint64_t now_ms, ended_ms;     /* ended: the latest nextUpdate that has passed */
    uint64_t until_ms;             /* of what covers it */
    bool covered, by_ocsp, any;
};

static bool names_point(const DIST_POINT *point, struct slice uri)
{
    if (point->distpoint == NULL || point->distpoint->type != 0)
        return false;
    for (int i = 0; i < sk_GENERAL_NAME_num(point->distpoint->name.fullname); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(point->distpoint->name.fullname, i);

        if (name->type == GEN_URI &&
            slice_equal(uri, slice_of(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                                      (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier))))
            return true;
    }
    return false;
}

/* RFC 5280 section 6.3.3 (b): a part speaks for the certificates that point to it. */
static bool points_to(const struct cover *c, struct slice points)
{
    while (points.len > 0) {
        size_t end = slice_find_byte(points, '\n');

        for (int i = 0; i < sk_DIST_POINT_num(c->points); i++)
            if (names_point(sk_DIST_POINT_value(c->points, i), slice_of(points.data, end)))
                return true;
        if (end == points.len)
            return false;
        points = slice_of(points.data + end + 1, points.len - end - 1);
    }
    return false;
}

static bool cover_by_list(void *context, const struct crl_record *list)
{
    struct cover *c = context;
    bool is_ca = (certificate_uses(c->subject->x) & CERT_USE_CA) != 0;

    if ((list->flags & CRL_SOME_REASONS_ONLY) != 0 || ((list->flags & CRL_USER_CERTS_ONLY) != 0 && is_ca) ||
        ((list->flags & CRL_CA_CERTS_ONLY) != 0 && !is_ca) ||
        (list->points.len > 0 && !points_to(c, list->points)))
        return true;
    c->any = true;
    c->covered = list->next_ms != 0 && c->now_ms <= list->next_ms;
    if (c->covered)
        c->until_ms = list->next_ms;
    else if (list->next_ms > c->ended_ms)
        c->ended_ms = list->next_ms;
    return !c->covered;
}

/* What covers a certificate that is not known to be revoked, if anything does. */
static enum status find_cover(struct trust *t, const struct subject *s, struct cover *cover)
{
    struct ocsp_record ocsp;
    enum status status = store_ocsp_get(t->view, s->issuer, s->serial, &ocsp);

    if (status == STATUS_OK && ocsp.status == OCSP_GOOD && ocsp.next_ms != 0 &&
        cover->now_ms <= ocsp.next_ms) {
        cover->covered = cover->by_ocsp = true;
        cover->until_ms = ocsp.next_ms;
        return STATUS_OK;
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    cover->points = X509_get_ext_d2i(s->x, NID_crl_distribution_points, NULL, NULL);
    status = store_crls_all(t->view, s->issuer, cover_by_list, cover);
    CRL_DIST_POINTS_free(cover->points);
    cover->points = NULL;
    return status;
}

static enum status require_known(struct trust *t, const struct subject *s, uint64_t now_ms, struct failure *f)
{
    struct cover cover = {.subject = s, .now_ms = now_ms};
    char day[TIME_RFC3339_SIZE];
    enum status status = find_cover(t, s, &cover);

    if (status != STATUS_OK)
        return failure_set(f, status, "the revocation lists cannot be read");
    if (cover.covered)
        return STATUS_OK;
    if (!cover.any || cover.ended_ms == 0)
        return failure_set(
            f, STATUS_UNTRUSTED,
            "whether the certificate %s was revoked is not known: there is no list of its issuer "
            "(smime.revocation=hard)",
            s->name);
    time_format_rfc3339(cover.ended_ms, day);
    return failure_set(
        f, STATUS_UNTRUSTED,
        "whether the certificate %s was revoked is not known: the list of its issuer ended %.10s "
        "(smime.revocation=hard)",
        s->name, day);
}

/* --- paths --- */

static enum status mode_of(struct trust *t, enum revocation_mode *mode, struct failure *f)
{
    struct setting_value value;
    enum status status =
        setting_get(t->view, setting_at(SETTING_SMIME_REVOCATION), (struct slice){0}, &value);

    if (status != STATUS_OK)
        return failure_set(f, status, "the setting smime.revocation cannot be read");
    *mode = (enum revocation_mode)setting_choice(&value);
    return STATUS_OK;
}

static enum status check_one(struct trust *t, X509 *x, X509 *issuer, enum revocation_mode mode,
                             uint64_t now_ms, struct failure *f)
{
    struct subject subject;
    enum status status = subject_of(x, issuer, &subject, f);

    if (status == STATUS_OK)
        status = refuse_revoked(t, &subject, f);
    if (status == STATUS_OK && mode == REVOCATION_HARD)
        status = require_known(t, &subject, now_ms, f);
    return status;
}

enum status trust_path_check(struct trust *t, STACK_OF(X509) * path, uint64_t now_ms, struct failure *f)
{
    enum revocation_mode mode = REVOCATION_HARD;
    enum status status;
    bool allowed;

    if (!t->of_store)
        return STATUS_OK;
    status = mode_of(t, &mode, f);
    for (int i = 0; i < sk_X509_num(path) && status == STATUS_OK; i++)
        status = trust_list_check(t, sk_X509_value(path, i), now_ms, &allowed, f);
    for (int i = 0; i + 1 < sk_X509_num(path) && status == STATUS_OK; i++)
        status = check_one(t, sk_X509_value(path, i), sk_X509_value(path, i + 1), mode, now_ms, f);
    return status;
}

static enum status revoked_by_any(struct trust *t, X509 *x, STACK_OF(X509) * issuers, int count,
                                  struct failure *f)
{
    enum status status = STATUS_OK;

    for (int i = 0; i < count && i < sk_X509_num(issuers) && status == STATUS_OK; i++)
        if (certificate_is_issued_by(x, sk_X509_value(issuers, i)))
            status = check_one(t, x, sk_X509_value(issuers, i), REVOCATION_SOFT, 0, f);
    return status;
}

enum status trust_allowed_check(struct trust *t, X509 *x, STACK_OF(X509) * extra, struct failure *f)
{
    enum status status;

    if (!t->of_store)
        return STATUS_OK;
    status = revoked_by_any(t, x, t->issuers, INT_MAX, f);
    if (status == STATUS_OK)
        status = revoked_by_any(t, x, t->intermediates, INT_MAX, f);
    return status == STATUS_OK ? revoked_by_any(t, x, extra, TRUST_EXTRA_MAX, f) : status;
}

X509 *trust_issuer_of(struct trust *t, X509 *x)
{
    STACK_OF(X509) *const issuers[] = {t->issuers, t->intermediates};
    X509 *found = NULL;

    for (size_t k = 0; k < 2; k++)
        for (int i = 0; i < sk_X509_num(issuers[k]) && found == NULL; i++)
            if (certificate_is_issued_by(x, sk_X509_value(issuers[k], i)))
                found = sk_X509_value(issuers[k], i);
    ERR_clear_error();
    return found;
}

/* --- for people --- */

static enum status tell(struct trust *t, X509 *x, X509 *issuer, uint64_t now_ms,
                        struct certificate_revocation *out)
{
    struct subject subject;
    struct cover cover = {.subject = &subject, .now_ms = now_ms};
    struct revocation revocation;
    enum status status = subject_of(x, issuer, &subject, NULL);

    if (status == STATUS_OK)
        status = store_revocation_get(t->view, subject.issuer, subject.serial, &revocation);
    if (status == STATUS_OK) {
        *out = (struct certificate_revocation){.known = REVOCATION_REVOKED,
                                               .by_ocsp = revocation.by_ocsp,
                                               .revoked_ms = revocation.revoked_ms,
                                               .reason = crl_reason_name(revocation.reason)};
        return STATUS_OK;
    }
    if (status == STATUS_NOT_FOUND)
        status = find_cover(t, &subject, &cover);
    if (status == STATUS_OK && cover.covered)
        *out = (struct certificate_revocation){
            .known = REVOCATION_GOOD, .by_ocsp = cover.by_ocsp, .until_ms = cover.until_ms};
    return status;
}

enum status trust_revocation_of(struct trust *t, struct slice der, uint64_t now_ms,
                                struct certificate_revocation *out)
{
    X509 *x = certificate_from_der(der);
    STACK_OF(X509) *const issuers[] = {t->issuers, t->intermediates};
    enum status status = x == NULL ? STATUS_MALFORMED : t->view == NULL ? STATUS_UNAVAILABLE : STATUS_OK;

    memset(out, 0, sizeof(*out));
    for (size_t k = 0; k < 2; k++)
        for (int i = 0;
             i < sk_X509_num(issuers[k]) && status == STATUS_OK && out->known == REVOCATION_UNKNOWN; i++)
            if (certificate_is_issued_by(x, sk_X509_value(issuers[k], i)))
                status = tell(t, x, sk_X509_value(issuers[k], i), now_ms, out);
    X509_free(x);
    ERR_clear_error();
    return status;
}
