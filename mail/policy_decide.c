/*
 * The policy decision (mail/policy.h): for each recipient, what is done with the message, or why it is
 * refused.
 *
 * In this order, and docs/policy.md tells it to administrators:
 *   1. domain.locality of the recipient says whether the message comes in (decrypt, verify) or goes out
 * (sign, encrypt).
 *   2. encrypt.mode is the strictest of what holds for the sender, for the envelope's sender if that is
 * another, and for the recipient. So a recipient's "none" never weakens a sender's "mandatory", nor the other
 * way round.
 *   3. A message that is encrypted as a whole already passes (encrypt.already) and counts as protected.
 *   4. mandatory needs a usable certificate, else the recipient is refused; opportunistic encrypts when there
 * is one.
 *   5. sign.mode of the sender says whether it is signed.
 * One refused recipient refuses the message for all. The kind of the message (calendar, report, empty) plays
 * no part: there is no silent exception. A failure on the way makes the recipient's status an error: it never
 * falls through to plain text. Pure; any thread.
 */
#include "mail/policy_internal.h"

#include "base/clock.h"

static enum status sender_settings(struct policy_context *c, struct failure *f)
{
    const struct policy_facts *facts = c->facts;
    enum status status;
    c->sender = facts->from.len > 0 ? facts->from : facts->envelope_sender;
    if ((status = policy_setting(c, "encrypt.mode", SIDE_SENDER, c->sender, &c->sender_modes[0], f)) !=
            STATUS_OK ||
        (status = policy_setting(c, "encrypt.already", SIDE_SENDER, c->sender, &c->encrypt_already, f)) !=
            STATUS_OK ||
        (status = policy_setting(c, "sign.mode", SIDE_SENDER, c->sender, &c->sign_mode, f)) != STATUS_OK ||
        (status = policy_setting(c, "sign.already", SIDE_SENDER, c->sender, &c->sign_already, f)) !=
            STATUS_OK ||
        (status = policy_setting(c, "sign.on_missing_key", SIDE_SENDER, c->sender, &c->on_missing_key, f)) !=
            STATUS_OK ||
        (status = policy_sender_algorithms(c, f)) != STATUS_OK) {
        return status;
    }
    c->sender_mode_count = 1;
    /* Whoever writes another From than the envelope's sender must not get away with less. */
    if (facts->envelope_sender.len > 0 && !slice_equal(facts->envelope_sender, c->sender)) {
        status =
            policy_setting(c, "encrypt.mode", SIDE_ENVELOPE, facts->envelope_sender, &c->sender_modes[1], f);
        c->sender_mode_count = 2;
    }
    return status;
}

/* encrypt.mode that counts: the strictest of all sides. */
static enum status strictest_mode(struct policy_context *c, struct policy_recipient *r, struct json_writer *w,
                                  struct policy_value *mode, struct failure *f)
{
    enum status status = policy_setting(c, "encrypt.mode", SIDE_RECIPIENT, r->address, mode, f);
    if (status != STATUS_OK) {
        return status;
    }
    trace_setting(w, mode);
    for (size_t i = 0; i < c->sender_mode_count; i++) {
        if (policy_mode_rank(&c->sender_modes[i]) > policy_mode_rank(mode)) {
            *mode = c->sender_modes[i];
        }
    }
    return STATUS_OK;
}

static enum status recipient_settings(struct policy_context *c, struct policy_recipient *r,
                                      struct json_writer *w, struct policy_value *enabled, struct failure *f)
{
    enum status status = policy_setting(c, "smime.enabled", SIDE_RECIPIENT, r->address, enabled, f);
    if (status != STATUS_OK) {
        return status;
    }
    trace_setting(w, enabled);
    r->smime = policy_value_is(enabled, "yes");
    if (r->direction == POLICY_INCOMING) {
        return STATUS_OK;
    }
    return policy_recipient_algorithms(c, r, w, f);
}

static enum status refuse(struct policy_context *c, struct policy_recipient *r, enum status status,
                          const char *text)
{
    r->status = status;
    r->protection = PROTECT_NONE;
    return reason_set(c->arena, &r->reason, "%.*s: %s", SLICE_ARGS(r->address), text);
}

static const char *sides_word(const struct policy_value *value)
{
    return value->side == SIDE_RECIPIENT ? "" : "sender's ";
}

/* Step 4: encrypt, leave plain, or refuse. `rule` is for the trace. */
static enum status decide_encryption(struct policy_context *c, struct policy_recipient *r,
                                     const struct policy_value *mode, const struct policy_value *enabled,
                                     struct json_writer *w, const char **rule)
{
    struct failure why = {.status = STATUS_OK};
    if (policy_value_is(mode, "none")) {
        *rule = "encrypt.mode is none: not encrypted";
        return STATUS_OK;
    }
    if (policy_value_is(mode, "request")) {
        *rule = "encrypt.mode is request and nobody asked: not encrypted";
        return STATUS_OK;
    }
    bool mandatory = !policy_value_is(mode, "opportunistic");
    if (r->smime) {
        enum status status = policy_recipient_certificates(c, r, w, &why);
        if (status != STATUS_OK) {
            *rule = "a certificate could not be judged: refused";
            return refuse(c, r, status, why.text);
        }
    } else {
        (void)failure_set(&why, STATUS_NO_KEY, "S/MIME is switched off (%s)",
                          policy_value_origin(enabled, c->arena));
    }
    if (r->certificate_count > 0) {
        r->protection |= PROTECT_ENCRYPT;
        *rule = "there is a usable certificate: encrypted";
        return STATUS_OK;
    }
    if (!mandatory) {
        *rule = "encrypt.mode is opportunistic and there is no usable certificate: not encrypted";
        return STATUS_OK;
    }
    *rule = "encrypt.mode is mandatory and there is no usable certificate: refused";
    r->status = STATUS_NO_KEY;
    return reason_set(
        c->arena, &r->reason, "%.*s: encryption is mandatory (%s%s) and there is no usable certificate: %s",
        SLICE_ARGS(r->address), sides_word(mode), policy_value_origin(mode, c->arena), why.text);
}

/* Step 5. */
static enum status decide_signature(struct policy_context *c, struct policy_recipient *r, const char **rule)
{
    bool always = policy_value_is(&c->sign_mode, "always");
    bool with_encryption = policy_value_is(&c->sign_mode, "with-encryption");
    if (!always && !(with_encryption && (r->protection & PROTECT_ENCRYPT) != 0)) {
        *rule = policy_value_is(&c->sign_mode, "request")
                    ? "sign.mode is request and nobody asked: not signed"
                : with_encryption ? "sign.mode is with-encryption: not signed"
                                  : "sign.mode is none: not signed";
        return STATUS_OK;
    }
    if (c->facts->envelope_sender.len == 0) {
        *rule = "the sender is null: not signed";
        return STATUS_OK;
    }
    if (!r->smime) {
        *rule = "S/MIME is switched off: not signed";
        return STATUS_OK;
    }
    if (c->facts->already_signed && !policy_value_is(&c->sign_already, "replace")) {
        *rule = "it is signed already: that signature is kept";
        return STATUS_OK;
    }
    if (c->signer_status == STATUS_OK) {
        r->protection |= PROTECT_SIGN;
        *rule = "the sender has a key: signed";
        return STATUS_OK;
    }
    if (c->signer_status == STATUS_NO_KEY && policy_value_is(&c->on_missing_key, "unsigned")) {
        *rule = "the sender has no usable key (sign.on_missing_key is unsigned): not signed";
        return STATUS_OK;
    }
    *rule = "the sender has no usable key: refused";
    r->status = c->signer_status;
    r->protection = PROTECT_NONE;
    return reason_set(c->arena, &r->reason, "%.*s: the message must be signed for %.*s and cannot be: %s",
                      SLICE_ARGS(r->address), SLICE_ARGS(c->sender), c->no_signer.text);
}

static enum status decide_outgoing(struct policy_context *c, struct policy_recipient *r,
                                   struct json_writer *w, const char *rules[2], struct failure *f)
{
    struct policy_value mode, enabled;
    enum status status = strictest_mode(c, r, w, &mode, f);
    if (status == STATUS_OK) {
        status = recipient_settings(c, r, w, &enabled, f);
    }
    json_close_array(w); /* of the settings */
    if (status != STATUS_OK) {
        return refuse(c, r, status, f->text);
    }
    if (c->facts->already_encrypted) {
        if (policy_value_is(&c->encrypt_already, "refuse")) {
            rules[0] = "it is encrypted already (encrypt.already is refuse): refused";
            return refuse(c, r, STATUS_POLICY, "the message is encrypted already, which policy forbids");
        }
        if (!policy_value_is(&c->encrypt_already, "wrap")) {
            rules[0] = "it is encrypted already: it passes as it is";
            return STATUS_OK;
        }
    }
    if ((status = decide_encryption(c, r, &mode, &enabled, w, &rules[0])) != STATUS_OK ||
        r->status != STATUS_OK) {
        return status;
    }
    return decide_signature(c, r, &rules[1]);
}

static void trace_outcome(const struct policy_recipient *r, const char *const rules[2], struct json_writer *w)
{
    json_open_array(w, "rules");
    for (size_t i = 0; i < 2 && rules[i] != NULL; i++) {
        json_put_text(w, NULL, slice_of_text(rules[i]));
    }
    json_close_array(w);
    json_open_array(w, "protection");
    if ((r->protection & PROTECT_SIGN) != 0) {
        json_put_text(w, NULL, SLICE_LITERAL("sign"));
    }
    if ((r->protection & PROTECT_ENCRYPT) != 0) {
        json_put_text(w, NULL, SLICE_LITERAL("encrypt"));
    }
    json_close_array(w);
    json_put_text(w, "status", slice_of_text(status_name(r->status)));
    json_put_text(w, "reason", r->reason);
    json_close_object(w);
}

static enum status decide_one(struct policy_context *c, struct policy_recipient *r,
                              const struct policy_value *locality, struct json_writer *w, struct failure *f)
{
    const char *rules[2] = {NULL, NULL};
    enum status status = STATUS_OK;
    json_open_object(w, NULL);
    json_put_text(w, "address", r->address);
    json_put_text(w, "direction", slice_of_text(r->direction == POLICY_OUTGOING ? "outgoing" : "incoming"));
    json_open_array(w, "settings");
    trace_setting(w, locality);
    if (r->direction == POLICY_OUTGOING) {
        status = decide_outgoing(c, r, w, rules, f);
    } else {
        struct policy_value enabled;
        enum status found = recipient_settings(c, r, w, &enabled, f);
        json_close_array(w);
        rules[0] = "the recipient is internal: decrypted and verified";
        if (found != STATUS_OK) {
            status = refuse(c, r, found, f->text);
        }
    }
    trace_outcome(r, rules, w);
    c->out->refused = c->out->refused || r->status != STATUS_OK;
    return status;
}

/* The signer is looked for once, and only when some recipient may need one. */
static void decide_signer(struct policy_context *c, bool outgoing, struct json_writer *w)
{
    c->signer_status = STATUS_NO_KEY;
    (void)failure_set(&c->no_signer, STATUS_NO_KEY, "the message has no clear sender");
    json_open_object(w, "signer");
    json_put_text(w, "address", c->sender);
    if (outgoing && c->facts->from.len > 0 && c->facts->envelope_sender.len > 0 &&
        !policy_value_is(&c->sign_mode, "none")) {
        c->signer_status = policy_choose_signer(c, w, &c->no_signer);
    }
    json_put_bool(w, "found", c->signer_status == STATUS_OK);
    json_close_object(w);
}

static void trace_head(struct policy_context *c, struct json_writer *w)
{
    char now[TIME_RFC3339_SIZE];
    time_format_rfc3339(c->facts->now_ms, now);
    json_open_object(w, NULL);
    json_put_number(w, "version", 1);
    json_put_text(w, "time", slice_of_text(now));
    json_open_object(w, "message");
    json_put_text(w, "envelope_sender", c->facts->envelope_sender);
    json_put_text(w, "from", c->facts->from);
    json_put_bool(w, "already_encrypted", c->facts->already_encrypted);
    json_put_bool(w, "already_signed", c->facts->already_signed);
    json_close_object(w);
    json_open_array(w, "sender_settings");
    for (size_t i = 0; i < c->sender_mode_count; i++) {
        trace_setting(w, &c->sender_modes[i]);
    }
    trace_setting(w, &c->encrypt_already);
    trace_setting(w, &c->sign_mode);
    trace_setting(w, &c->sign_already);
    trace_setting(w, &c->on_missing_key);
    trace_setting(w, &c->digest);
    trace_setting(w, &c->pss);
    json_close_array(w);
}

/* All recipients, each into a piece of its own: a trace that grows too long leaves whole recipients out and
 * says how many. */
static enum status decide_all(struct policy_context *c, const struct policy_value *localities,
                              struct buf *trace, struct json_writer *w, struct failure *f)
{
    struct buf piece = BUF_INIT(TRACE_PIECE_MAX);
    size_t omitted = 0, written = 0;
    enum status status = STATUS_OK;
    json_open_array(w, "recipients");
    for (size_t i = 0; i < c->out->recipient_count && status == STATUS_OK; i++) {
        struct json_writer one;
        buf_reset(&piece);
        json_writer_init(&one, &piece);
        struct failure local = {.status = STATUS_OK};
        status = decide_one(c, &c->out->recipients[i], &localities[i], &one, &local);
        if (status != STATUS_OK) {
            status = failure_set(f, status, "%s", local.text[0] != '\0' ? local.text : status_text(status));
        } else if (json_writer_status(&one) == STATUS_OK && trace->len + piece.len < TRACE_MAX) {
            w->status = written++ > 0 ? buf_append_byte(trace, ',') : w->status;
            if (w->status == STATUS_OK) {
                w->status = buf_append_slice(trace, buf_slice(&piece));
            }
        } else {
            omitted++;
        }
    }
    json_close_array(w);
    if (omitted > 0) {
        json_put_number(w, "recipients_omitted", omitted);
    }
    json_close_object(w);
    buf_release(&piece);
    return status;
}

enum status policy_decide(struct store_view *view, struct trust *trust, const struct policy_facts *facts,
                          const struct slice *recipients, size_t recipient_count, struct arena *a,
                          struct policy_decision *out, struct failure *f)
{
    struct policy_context c = {.view = view, .trust = trust, .facts = facts, .arena = a, .out = out};
    struct buf trace = BUF_INIT(TRACE_MAX + TRACE_PIECE_MAX);
    struct json_writer w;
    bool outgoing = false;
    *out = (struct policy_decision){.recipient_count = recipient_count};
    out->recipients = arena_alloc_array(a, recipient_count + 1, sizeof out->recipients[0]);
    struct policy_value *localities = arena_alloc_array(a, recipient_count + 1, sizeof localities[0]);
    if (out->recipients == NULL || localities == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the decision");
    }
    enum status status = sender_settings(&c, f);
    for (size_t i = 0; i < recipient_count && status == STATUS_OK; i++) {
        out->recipients[i].address = recipients[i];
        status = policy_setting(&c, "domain.locality", SIDE_RECIPIENT, address_domain(recipients[i]),
                                &localities[i], f);
        bool internal = policy_value_is(&localities[i], "internal");
        out->recipients[i].direction = internal ? POLICY_INCOMING : POLICY_OUTGOING;
        outgoing = outgoing || !internal;
    }
    if (status != STATUS_OK) {
        return status;
    }
    json_writer_init(&w, &trace);
    trace_head(&c, &w);
    decide_signer(&c, outgoing, &w);
    status = decide_all(&c, localities, &trace, &w, f);
    if (status == STATUS_OK) {
        status = json_writer_status(&w);
        if (status != STATUS_OK || !arena_copy(a, buf_slice(&trace), &out->trace)) {
            status = failure_set(f, STATUS_NO_MEMORY, "no memory for the trace");
        }
    }
    buf_release(&trace);
    return status;
}
