/* See bound_signer.h. */
#include "mail/bound_signer.h"

#include "crypto/cms_scan.h"
#include "crypto/x509.h"

struct bound_search {
    uint8_t signer[THUMBPRINT_SIZE];
    bool needs_pin, found;
};

static bool look(void *context, const struct certificate_record *record, uint64_t flags)
{
    struct bound_search *s = context;
    if (memcmp(record->thumbprint, s->signer, THUMBPRINT_SIZE) != 0) {
        return true;
    }
    s->found = record->state == CERT_ACTIVE && (!s->needs_pin || (flags & BINDING_PINNED) != 0);
    return false;
}

static bool has_one_signer(struct slice cms)
{
    struct cms_facts facts;
    return cms_scan(cms, &facts) == STATUS_OK && facts.signers == 1;
}

/* The path of a MISMATCH was walked with its revocations; that of a pinned one ends at itself. */
static enum status judge(struct trust *trust, const struct smime_verified *result, uint64_t now_ms,
                         enum bound_signer *out, struct failure *why)
{
    enum status status =
        result->verdict == SMIME_MISMATCH
            ? STATUS_OK
            : trust_check_pinned(trust, result->signer_certificate, TRUST_FOR_SIGNATURE, now_ms, why);
    switch (status) {
    case STATUS_OK:
        why->status = STATUS_OK;
        return STATUS_OK;
    case STATUS_REVOKED:
    case STATUS_EXPIRED:
    case STATUS_UNTRUSTED:
    case STATUS_INVALID:
        *out = BOUND_NOT;
        return STATUS_OK;
    default:
        *out = BOUND_NOT;
        return status;
    }
}

enum status bound_signer_find(struct store_view *view, struct trust *trust, struct slice from,
                              const struct smime_verified *result, struct slice cms, uint64_t now_ms,
                              enum bound_signer *out, struct failure *why)
{
    struct bound_search s = {.needs_pin = result->verdict == SMIME_UNTRUSTED};
    *out = BOUND_NOT;
    *why = (struct failure){.status = STATUS_OK};
    if (view == NULL || from.len == 0 || result->signer_certificate.len == 0 ||
        (result->verdict != SMIME_MISMATCH && result->verdict != SMIME_UNTRUSTED) || !has_one_signer(cms)) {
        return STATUS_OK;
    }
    sha256(result->signer_certificate, s.signer);
    enum status status = store_bindings_for(view, from, look, &s);
    if (status == STATUS_OK && s.found) {
        *out = BOUND_TO_ADDRESS;
    } else if (status == STATUS_OK) {
        status = store_domain_bindings(view, address_domain(from), look, &s);
        *out = s.found ? BOUND_TO_DOMAIN : BOUND_NOT;
    }
    return status == STATUS_OK && *out != BOUND_NOT ? judge(trust, result, now_ms, out, why) : status;
}
