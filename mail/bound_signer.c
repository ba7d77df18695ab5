/* See bound_signer.h. */
#include "mail/bound_signer.h"

#include "crypto/cms_scan.h"
#include "store/records_trust.h"

struct bound_search {
    struct store_view *view;
    uint8_t signer[THUMBPRINT_SIZE];
    uint64_t now_ms;
    bool needs_pin, found;
    enum status status;
};

static bool look(void *context, const struct certificate_record *record, uint64_t flags)
{
    struct bound_search *s = context;
    struct ctl_record ctl;
    if (memcmp(record->thumbprint, s->signer, THUMBPRINT_SIZE) != 0) {
        return true;
    }
    if (record->state != CERT_ACTIVE || (record->uses & CERT_USE_SIGN) == 0 ||
        s->now_ms > record->not_after_ms || s->now_ms < record->not_before_ms ||
        (s->needs_pin && (flags & BINDING_PINNED) == 0)) {
        return false;
    }
    enum status status = store_ctl_get(s->view, s->signer, &ctl);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        s->status = status;
        return false;
    }
    s->found = status == STATUS_NOT_FOUND || ctl_in_force(&ctl, s->now_ms) != CTL_DENY;
    return false;
}

static bool has_one_signer(struct slice cms)
{
    struct cms_facts facts;
    return cms_scan(cms, &facts) == STATUS_OK && facts.signers == 1;
}

enum status bound_signer_find(struct store_view *view, struct slice from, const struct smime_verified *result,
                              struct slice cms, uint64_t now_ms, enum bound_signer *out)
{
    struct bound_search s = {.view = view, .now_ms = now_ms, .status = STATUS_OK};
    s.needs_pin = result->verdict == SMIME_UNTRUSTED;
    *out = BOUND_NOT;
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
    return status != STATUS_OK ? status : s.status;
}
