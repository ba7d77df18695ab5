/*
 * Which stored certificates are used: to encrypt to a recipient, and to sign for a sender.
 *
 * A recipient's certificates are those that name the address and those that are bound to it by hand; with
 * method smime-domain those that are bound to the domain. Of these, all are used that are in time, made for
 * encryption, not in quarantine or replaced, came in a way that encrypt.min_trust lets count, and chain to a
 * trust anchor (a pinned binding needs no path);
 * with cert.select=newest only the one that became valid last. At most POLICY_CERTIFICATES_MAX. Then the
 * certificates of encrypt.also_to join in. The signer is the certificate of the sender that is valid longest,
 * and whose key we hold; with sign.on_missing_key=domain-key, if there is none, one that is bound to the
 * sender's domain. Whatever cannot be judged (the store or a stored certificate cannot be read) is an
 * error, never "there is none": opportunistic encryption would go out in plain text on a damaged store. Opens
 * no private key. Pure; any thread.
 */
#include "mail/policy_internal.h"

#include "base/clock.h"
#include "base/hex.h"
#include "crypto/capability.h"

#define CANDIDATES_MAX                                                                                       \
    64 /* certificates of one address that are looked at; the rest is named in the reason */

#define NOT_BOUND                                                                                            \
    ((uint64_t)1 << 63) /* beside enum binding_flags: the certificate names the address itself */

struct candidate {
    struct certificate_record record;
    bool pinned, bound;
};

struct candidates {
    struct arena *arena;
    struct candidate *list[CANDIDATES_MAX];
    size_t count, passed_over;
    bool failed;
};

static bool keep_bound(void *context, const struct certificate_record *record, uint64_t flags)
{
    struct candidates *list = context;
    for (size_t i = 0; i < list->count; i++) {
        if (memcmp(list->list[i]->record.thumbprint, record->thumbprint, THUMBPRINT_SIZE) == 0) {
            list->list[i]->pinned = list->list[i]->pinned || (flags & BINDING_PINNED) != 0;
            return true;
        }
    }
    if (list->count == CANDIDATES_MAX) {
        list->passed_over++;
        return true;
    }
    struct candidate *copy = arena_alloc(list->arena, sizeof *copy);
    if (copy == NULL) {
        list->failed = true;
        return false;
    }
    copy->record = *record;
    copy->pinned = (flags & BINDING_PINNED) != 0;
    copy->bound = (flags & NOT_BOUND) == 0;
    list->list[list->count++] = copy;
    return true;
}

static bool keep_candidate(void *context, const struct certificate_record *record)
{
    return keep_bound(context, record, NOT_BOUND);
}

static enum status candidates_end(const struct candidates *list, enum status status, struct slice of,
                                  struct failure *f)
{
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return failure_set(f, status, "the certificates of %.*s could not be read", SLICE_ARGS(of));
    }
    return list->failed ? failure_set(f, STATUS_NO_MEMORY, "no memory for certificates") : STATUS_OK;
}

/* Bound ones come first: what an administrator named must not be crowded out. */
static enum status candidates_of(struct policy_context *c, struct slice address, struct candidates *list,
                                 struct failure *f)
{
    *list = (struct candidates){.arena = c->arena};
    enum status status = store_bindings_for(c->view, address, keep_bound, list);
    if (status == STATUS_OK) {
        status = store_certificates_for(c->view, address, keep_candidate, list);
    }
    return candidates_end(list, status, address, f);
}

static enum status candidates_of_domain(struct policy_context *c, struct slice domain,
                                        struct candidates *list, struct failure *f)
{
    *list = (struct candidates){.arena = c->arena};
    return candidates_end(list, store_domain_bindings(c->view, domain, keep_bound, list), domain, f);
}

/* A worker that read hostile mail proposed it: the address is looked for in the certificate itself. */
static bool names_in_truth(struct policy_context *c, const struct certificate_record *record,
                           struct slice address)
{
    struct certificate_record read;
    if (certificate_describe(record->der, record->source, record->added_ms, c->arena, &read, NULL) !=
        STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < read.address_count; i++) {
        if (slice_equal(read.addresses[i], address)) {
            return true;
        }
    }
    return false;
}

/* OK; or EXPIRED, UNTRUSTED, REVOKED, INVALID: not this one. What can be said without a path. */
static enum status judge_record(struct policy_context *c, const struct certificate_record *record,
                                enum trust_purpose purpose, const char *thumbprint, struct failure *why)
{
    char date[TIME_RFC3339_SIZE];
    uint64_t now = c->facts->now_ms;
    uint64_t use = purpose == TRUST_FOR_ENCRYPTION ? CERT_USE_ENCRYPT : CERT_USE_SIGN;
    if (record->state == CERT_QUARANTINE) {
        return failure_set(why, STATUS_UNTRUSTED, "the certificate %s waits in quarantine to be confirmed",
                           thumbprint);
    }
    if (record->state != CERT_ACTIVE) {
        return failure_set(why, STATUS_INVALID, "the certificate %s was replaced by a newer one", thumbprint);
    }
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
    return STATUS_OK;
}

/* The same with its path to an anchor; or REVOKED; anything else is an error. `why` says more. */
static enum status judge(struct policy_context *c, const struct candidate *candidate, struct slice address,
                         enum trust_purpose purpose, struct failure *why)
{
    const struct certificate_record *record = &candidate->record;
    char thumbprint[2 * THUMBPRINT_SIZE + 1];
    *why = (struct failure){.status = STATUS_OK};
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), thumbprint);
    thumbprint[12] = '\0';
    enum status status = judge_record(c, record, purpose, thumbprint, why);
    if (status != STATUS_OK) {
        return status;
    }
    if (!candidate->bound && slice_equal(record->source, SLICE_LITERAL("harvest")) &&
        !names_in_truth(c, record, address)) {
        return failure_set(why, STATUS_INVALID, "the certificate %s does not name the address", thumbprint);
    }
    status = candidate->pinned ? trust_check_pinned(c->trust, record->der, purpose, c->facts->now_ms, why)
                               : known_trust_check(c->facts->known, c->trust, record->thumbprint, record->der,
                                                   purpose, c->facts->now_ms, why);
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

/* --- what is encrypted to besides --- */

static bool is_chosen(const struct policy_recipient *r, struct slice der)
{
    for (size_t i = 0; i < r->certificate_count; i++) {
        if (slice_equal(r->certificates[i], der)) {
            return true;
        }
    }
    return false;
}

/* Any doubt about one refuses the message: without it, what must be readable for the holder would not be.
 * Never NO_KEY, which would let the next method be tried, and plain text in the end. */
static enum status add_escrow(struct policy_context *c, struct policy_recipient *r,
                              const uint8_t thumbprint[THUMBPRINT_SIZE], struct json_writer *w,
                              struct failure *why)
{
    struct certificate_record record;
    struct failure reason = {.status = STATUS_OK};
    char text[2 * THUMBPRINT_SIZE + 1];
    hex_format(slice_of(thumbprint, THUMBPRINT_SIZE), text);
    text[12] = '\0';
    enum status status = store_certificate_get(c->view, thumbprint, &record);
    if (status == STATUS_NOT_FOUND) {
        return failure_set(why, STATUS_POLICY,
                           "encrypt.also_to names the certificate %s, which is not stored", text);
    }
    if (status != STATUS_OK) {
        return failure_set(why, status, "the certificate %s of encrypt.also_to could not be read", text);
    }
    status = judge_record(c, &record, TRUST_FOR_ENCRYPTION, text, &reason);
    if (status == STATUS_OK) {
        status = trust_check_pinned(c->trust, record.der, TRUST_FOR_ENCRYPTION, c->facts->now_ms, &reason);
    }
    trace_certificate(w, &record, "also-to", status == STATUS_OK, reason.text);
    if (status != STATUS_OK) {
        return failure_set(why, STATUS_POLICY, "encrypt.also_to: %s", reason.text);
    }
    if (is_chosen(r, record.der)) {
        return STATUS_OK;
    }
    if (r->certificate_count == POLICY_CERTIFICATES_MAX) {
        return failure_set(why, STATUS_TOO_LARGE, "there are more than %d certificates to encrypt to",
                           POLICY_CERTIFICATES_MAX);
    }
    r->certificates[r->certificate_count++] = record.der;
    return STATUS_OK;
}

/* encrypt.also_to of the sender, of the envelope's sender and of the recipient. */
static enum status add_escrows(struct policy_context *c, struct policy_recipient *r, struct json_writer *w,
                               struct failure *why)
{
    const struct setting_values *envelope = c->of_envelope;
    if (envelope == NULL) { /* the null sender has none of its own; else it is the sender */
        envelope = c->facts->envelope_sender.len > 0 ? c->of_sender : c->global;
    }
    const struct setting_values *const sides[] = {c->of_sender, envelope, r->settings};
    enum status status = STATUS_OK;
    for (size_t side = 0; side < 3 && status == STATUS_OK; side++) {
        const struct setting_value *value = &sides[side]->of[SETTING_ENCRYPT_ALSO_TO];
        uint8_t thumbprint[THUMBPRINT_SIZE];
        for (size_t i = 0; status == STATUS_OK && setting_thumbprint_at(value, i, thumbprint); i++) {
            status = add_escrow(c, r, thumbprint, w, why);
        }
    }
    return status;
}

/* --- recipients --- */

static void use_certificate(struct policy_recipient *r, const struct certificate_record *record)
{
    if (r->certificate_count < POLICY_CERTIFICATES_MAX) {
        r->certificates[r->certificate_count++] = record->der;
        r->capabilities &= capabilities_assumed(record->capabilities);
    }
}

/* encrypt.min_trust: how it came. Bound by hand is by hand, wherever it came from. */
static enum status judge_origin(const struct policy_recipient *r, const struct candidate *candidate,
                                struct failure *why)
{
    const struct setting_value *least = &r->settings->of[SETTING_ENCRYPT_MIN_TRUST];
    const struct certificate_record *record = &candidate->record;
    bool harvested = slice_equal(record->source, SLICE_LITERAL("harvest"));
    bool by_itself = harvested || slice_equal(record->source, SLICE_LITERAL("ldap"));
    char thumbprint[2 * THUMBPRINT_SIZE + 1];
    if (candidate->bound || policy_value_is(least, "harvested") || !by_itself ||
        (!harvested && policy_value_is(least, "discovered"))) {
        return STATUS_OK;
    }
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), thumbprint);
    return failure_set(why, STATUS_UNTRUSTED,
                       "the certificate %.12s came from %s, and encrypt.min_trust is %.*s", thumbprint,
                       harvested ? "signed mail" : "a directory", SLICE_ARGS(least->text));
}

static enum status choose(struct policy_context *c, struct policy_recipient *recipient,
                          const struct candidates *list, bool newest_alone, struct json_writer *w,
                          struct failure *why)
{
    struct failure reason = {.status = STATUS_OK};
    const struct certificate_record *newest = NULL;
    size_t unusable = 0;
    (void)failure_set(why, STATUS_NO_KEY, "none is stored");
    for (size_t i = 0; i < list->count; i++) {
        const struct certificate_record *record = &list->list[i]->record;
        enum status status = judge_origin(recipient, list->list[i], &reason);
        if (status == STATUS_OK) {
            status = judge(c, list->list[i], recipient->address, TRUST_FOR_ENCRYPTION, &reason);
        }
        trace_certificate(w, record, "encrypt", status == STATUS_OK, reason.text);
        if (status != STATUS_OK && !is_no(status)) {
            *why = reason;
            return status;
        }
        if (status != STATUS_OK) {
            if (unusable++ == 0) {
                *why = reason;
            }
        } else if (!newest_alone) {
            use_certificate(recipient, record);
        } else if (newest == NULL || record->not_before_ms > newest->not_before_ms) {
            newest = record;
        }
    }
    if (newest != NULL) {
        use_certificate(recipient, newest);
    }
    if (recipient->certificate_count == 0 && unusable + list->passed_over > 1) {
        reason = *why;
        (void)failure_set(why, STATUS_NO_KEY, "%s (and %zu more cannot be used)", reason.text,
                          unusable + list->passed_over - 1);
    }
    return STATUS_OK;
}

static enum status choose_with_escrow(struct policy_context *c, struct policy_recipient *recipient,
                                      const struct candidates *list, struct json_writer *w,
                                      struct failure *why)
{
    recipient->certificate_count = 0;
    recipient->capabilities = UINT64_MAX;
    bool newest_alone = policy_value_is(&recipient->settings->of[SETTING_CERT_SELECT], "newest");
    enum status status = choose(c, recipient, list, newest_alone, w, why);
    if (status == STATUS_OK && recipient->certificate_count > 0) {
        status = add_escrows(c, recipient, w, why);
    }
    return status;
}

enum status policy_recipient_certificates(struct policy_context *c, struct policy_recipient *recipient,
                                          struct json_writer *w, struct failure *why)
{
    struct candidates list;
    enum status status = candidates_of(c, recipient->address, &list, why);
    return status == STATUS_OK ? choose_with_escrow(c, recipient, &list, w, why) : status;
}

enum status policy_domain_certificates(struct policy_context *c, struct policy_recipient *recipient,
                                       struct json_writer *w, struct failure *why)
{
    struct candidates list;
    enum status status = candidates_of_domain(c, address_domain(recipient->address), &list, why);
    return status == STATUS_OK ? choose_with_escrow(c, recipient, &list, w, why) : status;
}

/* --- the signer --- */

/* The one that the sender is encrypted to, when the signer's is not made for it: valid longest, with its key
 * here. "" if there is none. */
static enum status choose_encryption_certificate(struct policy_context *c, const struct candidates *list,
                                                 struct slice *out, struct failure *why)
{
    struct failure reason;
    uint64_t until = 0;
    *out = SLICE_LITERAL("");
    for (size_t i = 0; i < list->count; i++) {
        const struct certificate_record *record = &list->list[i]->record;
        if (record->not_after_ms <= until || !store_has_key(c->view, record->thumbprint)) {
            continue;
        }
        enum status status = judge(c, list->list[i], c->sender, TRUST_FOR_ENCRYPTION, &reason);
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

/* The certificate of the list that is valid longest and whose key is here, into c->out->signer. NO_KEY: `why`
 * says what speaks against the last one. */
static enum status choose_signer_among(struct policy_context *c, const struct candidates *list,
                                       struct json_writer *w, struct failure *why)
{
    struct failure reason;
    struct policy_signer *signer = &c->out->signer;
    const struct certificate_record *best = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct certificate_record *record = &list->list[i]->record;
        if (!store_has_key(c->view, record->thumbprint)) {
            continue;
        }
        enum status status = judge(c, list->list[i], c->sender, TRUST_FOR_SIGNATURE, &reason);
        trace_certificate(w, record, "sign", status == STATUS_OK, reason.text);
        if (status != STATUS_OK) {
            *why = reason;
            if (!is_no(status)) {
                return status;
            }
        } else if (best == NULL || record->not_after_ms > best->not_after_ms) {
            best = record;
        }
    }
    if (best == NULL) {
        return STATUS_NO_KEY;
    }
    enum status status = store_key_get(c->view, best->thumbprint, &signer->sealed_key);
    if (status != STATUS_OK) {
        return failure_set(why, status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status,
                           "the key of %.*s could not be read", SLICE_ARGS(c->sender));
    }
    signer->certificate = best->der;
    memcpy(signer->thumbprint, best->thumbprint, THUMBPRINT_SIZE);
    return (best->uses & CERT_USE_ENCRYPT) != 0
               ? STATUS_OK
               : choose_encryption_certificate(c, list, &signer->encryption_certificate, why);
}

static enum status choose_domain_signer(struct policy_context *c, struct json_writer *w, struct failure *why)
{
    struct candidates list;
    struct slice domain = address_domain(c->sender);
    struct failure own = *why, reason = {.status = STATUS_OK};
    (void)failure_set(&reason, STATUS_NO_KEY, "no certificate with its key is bound to it");
    enum status status = candidates_of_domain(c, domain, &list, &reason);
    if (status == STATUS_OK) {
        status = choose_signer_among(c, &list, w, &reason);
    }
    c->out->signer.of_domain = status == STATUS_OK;
    return status == STATUS_NO_KEY ? failure_set(why, status, "%s; of the domain %.*s: %s", own.text,
                                                 SLICE_ARGS(domain), reason.text)
           : status != STATUS_OK   ? failure_set(why, status, "%s", reason.text)
                                   : status;
}

enum status policy_choose_signer(struct policy_context *c, struct json_writer *w, struct failure *why)
{
    struct candidates list;
    enum status status = candidates_of(c, c->sender, &list, why);
    if (status != STATUS_OK) {
        return status;
    }
    (void)failure_set(why, STATUS_NO_KEY, "no certificate with its key is stored");
    json_open_array(w, "certificates");
    status = choose_signer_among(c, &list, w, why);
    if (status == STATUS_NO_KEY &&
        policy_value_is(&c->of_sender->of[SETTING_SIGN_ON_MISSING_KEY], "domain-key")) {
        status = choose_domain_signer(c, w, why);
    }
    json_close_array(w);
    return status;
}
