/*
 * Which stored certificates are used: to encrypt to a recipient, and to sign for a sender.
 *
 * All certificates of a recipient that are in time, made for encryption and chain to a trust anchor are used,
 * at most POLICY_CERTIFICATES_MAX. The signer is the certificate of the sender that is valid longest, and
 * whose key we hold. Whatever cannot be judged (the store or a stored certificate cannot be read) is an
 * error, never "there is none": opportunistic encryption would go out in plain text on a damaged store. Opens
 * no private key. Pure; any thread.
 */
#include "mail/policy_internal.h"

#include "base/clock.h"
#include "base/hex.h"
#include "crypto/capability.h"

#define CANDIDATES_MAX                                                                                       \
    64 /* certificates of one address that are looked at; the rest is named in the reason */

struct candidates {
    struct arena *arena;
    struct certificate_record *records[CANDIDATES_MAX];
    size_t count, passed_over;
    bool failed;
};

static bool keep_candidate(void *context, const struct certificate_record *record)
{
    struct candidates *list = context;
    if (list->count == CANDIDATES_MAX) {
        list->passed_over++;
        return true;
    }
    struct certificate_record *copy = arena_alloc(list->arena, sizeof *copy);
    if (copy == NULL) {
        list->failed = true;
        return false;
    }
    *copy = *record;
    list->records[list->count++] = copy;
    return true;
}

static enum status candidates_of(struct policy_context *c, struct slice address, struct candidates *list,
                                 struct failure *f)
{
    *list = (struct candidates){.arena = c->arena};
    enum status status = store_certificates_for(c->view, address, keep_candidate, list);
    if (status == STATUS_NOT_FOUND) {
        status = STATUS_OK;
    }
    if (status != STATUS_OK) {
        return failure_set(f, status, "the certificates of %.*s could not be read", SLICE_ARGS(address));
    }
    return list->failed ? failure_set(f, STATUS_NO_MEMORY, "no memory for certificates") : STATUS_OK;
}

/* OK; or EXPIRED, UNTRUSTED, REVOKED, INVALID: not this one; anything else is an error. `why` says more. */
static enum status judge(struct policy_context *c, const struct certificate_record *record,
                         enum trust_purpose purpose, struct failure *why)
{
    char thumbprint[2 * THUMBPRINT_SIZE + 1], date[TIME_RFC3339_SIZE];
    uint64_t now = c->facts->now_ms;
    uint64_t use = purpose == TRUST_FOR_ENCRYPTION ? CERT_USE_ENCRYPT : CERT_USE_SIGN;
    *why = (struct failure){.status = STATUS_OK};
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), thumbprint);
    thumbprint[12] = '\0';
    if (now > record->not_after_ms) {
        time_format_rfc3339(record->not_after_ms, date);
        return failure_set(why, STATUS_EXPIRED, "the certificate %s expired %.10s", thumbprint, date);
    }
    if (now < record->not_before_ms) {
        time_format_rfc3339(record->not_before_ms, date);
        return failure_set(why, STATUS_EXPIRED, "the certificate %s is not valid before %.10s", thumbprint,
                           date);
    }
    if ((record->uses & use) == 0) {
        return failure_set(why, STATUS_INVALID, "the certificate %s is not made for %s", thumbprint,
                           purpose == TRUST_FOR_ENCRYPTION ? "encryption" : "signing");
    }
    enum status status =
        known_trust_check(c->facts->known, c->trust, record->thumbprint, record->der, purpose, now, why);
    if (status == STATUS_MALFORMED) { /* not unfit: damaged, since it was whole when it was stored */
        return failure_set(why, STATUS_CORRUPT, "the stored certificate %s cannot be read", thumbprint);
    }
    return status == STATUS_OK ? STATUS_OK : failure_wrap(why, status, "the certificate %s", thumbprint);
}

static bool is_no(enum status status)
{
    return status == STATUS_EXPIRED || status == STATUS_UNTRUSTED || status == STATUS_REVOKED ||
           status == STATUS_INVALID;
}

enum status policy_recipient_certificates(struct policy_context *c, struct policy_recipient *recipient,
                                          struct json_writer *w, struct failure *why)
{
    struct candidates list;
    struct failure reason;
    size_t unusable = 0;
    recipient->certificate_count = 0;
    recipient->capabilities = UINT64_MAX;
    enum status status = candidates_of(c, recipient->address, &list, why);
    if (status != STATUS_OK) {
        return status;
    }
    (void)failure_set(why, STATUS_NO_KEY, "none is stored");
    json_open_array(w, "certificates");
    for (size_t i = 0; i < list.count; i++) {
        const struct certificate_record *record = list.records[i];
        status = judge(c, record, TRUST_FOR_ENCRYPTION, &reason);
        trace_certificate(w, record, "encrypt", status == STATUS_OK, reason.text);
        if (status == STATUS_OK) {
            if (recipient->certificate_count < POLICY_CERTIFICATES_MAX) {
                recipient->certificates[recipient->certificate_count++] = record->der;
                recipient->capabilities &= capabilities_assumed(record->capabilities);
            }
        } else if (is_no(status)) {
            if (unusable++ == 0) {
                *why = reason;
            }
        } else {
            *why = reason;
            json_close_array(w);
            return status;
        }
    }
    json_close_array(w);
    if (recipient->certificate_count == 0 && unusable + list.passed_over > 1) {
        (void)failure_set(why, STATUS_NO_KEY, "%s (and %zu more cannot be used)", reason.text,
                          unusable + list.passed_over - 1);
    }
    return STATUS_OK;
}

/* The one that the sender is encrypted to, when the signer's is not made for it: valid longest, with its key
 * here. "" if there is none. */
static enum status choose_encryption_certificate(struct policy_context *c, const struct candidates *list,
                                                 struct slice *out, struct failure *why)
{
    struct failure reason;
    uint64_t until = 0;
    *out = SLICE_LITERAL("");
    for (size_t i = 0; i < list->count; i++) {
        const struct certificate_record *record = list->records[i];
        if (record->not_after_ms <= until || !store_has_key(c->view, record->thumbprint)) {
            continue;
        }
        enum status status = judge(c, record, TRUST_FOR_ENCRYPTION, &reason);
        if (status == STATUS_OK) {
            *out = record->der;
            until = record->not_after_ms;
        } else if (!is_no(status)) {
            *why = reason;
            return status;
        }
    }
    return STATUS_OK;
}

enum status policy_choose_signer(struct policy_context *c, struct json_writer *w, struct failure *why)
{
    struct candidates list;
    struct failure reason;
    struct policy_signer *signer = &c->out->signer;
    const struct certificate_record *best = NULL;
    enum status status = candidates_of(c, c->sender, &list, why);
    if (status != STATUS_OK) {
        return status;
    }
    (void)failure_set(why, STATUS_NO_KEY, "no certificate with its key is stored");
    json_open_array(w, "certificates");
    for (size_t i = 0; i < list.count; i++) {
        const struct certificate_record *record = list.records[i];
        if (!store_has_key(c->view, record->thumbprint)) {
            continue;
        }
        status = judge(c, record, TRUST_FOR_SIGNATURE, &reason);
        trace_certificate(w, record, "sign", status == STATUS_OK, reason.text);
        if (status != STATUS_OK) {
            *why = reason;
            if (!is_no(status)) {
                json_close_array(w);
                return status;
            }
        } else if (best == NULL || record->not_after_ms > best->not_after_ms) {
            best = record;
        }
    }
    json_close_array(w);
    if (best == NULL) {
        return STATUS_NO_KEY;
    }
    if ((status = store_key_get(c->view, best->thumbprint, &signer->sealed_key)) != STATUS_OK) {
        return failure_set(why, status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status,
                           "the key of %.*s could not be read", SLICE_ARGS(c->sender));
    }
    signer->certificate = best->der;
    if ((best->uses & CERT_USE_ENCRYPT) == 0) {
        status = choose_encryption_certificate(c, &list, &signer->encryption_certificate, why);
        if (status != STATUS_OK) {
            return status;
        }
    }
    memcpy(signer->thumbprint, best->thumbprint, THUMBPRINT_SIZE);
    return STATUS_OK;
}
