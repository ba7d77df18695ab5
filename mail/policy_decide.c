/*
 * The policy decision (mail/policy.h): for each recipient, what is done with the message, or why it is
 * refused.
 *
 * In this order, and docs/policy.md tells it to administrators:
 *   1. domain.locality of the recipient says whether the message comes in (decrypt, verify) or goes out
 * (sign, encrypt); encrypt.internal makes mail among our own domains go out too (policy_direction.c).
 *   2. Rules (mail/rule.h) are asked; one that refuses, or cannot be evaluated, ends it.
 *   3. A message that is encrypted as a whole already passes (encrypt.already) and counts as protected.
 *   4. How strictly to encrypt (policy_demand.c), by which method (policy_methods.c); what must be encrypted
 * and cannot be is refused.
 *   5. Whether to sign (policy_signature.c).
 * What a refused recipient means for the others is the flow's business (mail/flow_split.c). A failure on the
 * way makes the recipient's status an error: it never falls through to plain text. Pure; any thread.
 */
#include "mail/policy_internal.h"

#include "base/clock.h"

#include <stdarg.h>

/* --- words --- */

void policy_step(struct policy_context *c, struct policy_steps *steps, const char *format, ...)
{
    char text[FAILURE_TEXT_MAX];
    va_list args;
    if (steps->count == sizeof steps->text / sizeof steps->text[0]) {
        return;
    }
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *kept = len < 0 ? NULL : arena_text(c->arena, slice_of_text(text));
    if (kept != NULL) {
        steps->text[steps->count++] = kept;
    }
}

enum status policy_refuse(struct policy_context *c, struct policy_recipient *r, enum status status,
                          const char *format, ...)
{
    char text[FAILURE_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->status = status == STATUS_OK ? STATUS_INTERNAL : status;
    r->protection = PROTECT_NONE;
    return reason_set(c->arena, &r->reason, "%.*s: %s", SLICE_ARGS(r->address),
                      len > 0 ? text : status_text(r->status));
}

/* --- what is the same for all recipients --- */

static enum status read_sender(struct policy_context *c, struct failure *f)
{
    const struct policy_facts *facts = c->facts;
    c->sender = facts->from.len > 0 ? facts->from : facts->envelope_sender;
    enum status status = policy_settings_of(c, c->sender, &c->of_sender, f);
    /* Whoever writes another From than the envelope's sender must not get away with less. */
    if (status == STATUS_OK && facts->envelope_sender.len > 0 &&
        !slice_equal(facts->envelope_sender, c->sender)) {
        status = policy_settings_of(c, facts->envelope_sender, &c->of_envelope, f);
    }
    if (status == STATUS_OK) {
        c->out->sender_settings = c->of_sender;
        policy_sender_algorithms(c);
    }
    return status;
}

static enum status begin_rules(struct policy_context *c, struct failure *f)
{
    const struct policy_facts *facts = c->facts;
    if (facts->rules == NULL || ruleset_count(facts->rules) == 0) {
        return STATUS_OK;
    }
    struct rule_subject *subject = arena_alloc(c->arena, sizeof *subject);
    if (subject == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the rules");
    }
    *subject = (struct rule_subject){.envelope_sender = facts->envelope_sender,
                                     .from = facts->from,
                                     .subject = facts->subject,
                                     .message = facts->message,
                                     .tls = (facts->flags & POLICY_TLS) != 0,
                                     .auth = (facts->flags & POLICY_AUTH) != 0,
                                     .listener = facts->listener,
                                     .client_ip = facts->client_ip};
    enum status status =
        rule_run_begin(facts->rules, subject, c->view,
                       (facts->flags & POLICY_TELL_ALL) != 0 ? RULE_TRACE_ALL : 0, c->arena, &c->rules);
    return status == STATUS_OK ? STATUS_OK : failure_set(f, status, "the rules could not be asked");
}

static bool is_within(struct slice domain, struct slice parent)
{
    return domain.len > parent.len && domain.data[domain.len - parent.len - 1] == '.' &&
           slice_equal(slice_of(domain.data + domain.len - parent.len, parent.len), parent);
}

/* From is what its writer wants it to be. A stranger's message under one of our addresses, which a mailbox of
 * ours forwards, comes by the same way as our own, but with his envelope: it must not get our signature. */
static bool may_sign(struct policy_context *c)
{
    struct slice from = address_domain(c->facts->from), sent = address_domain(c->facts->envelope_sender);
    return c->of_envelope == NULL || slice_equal(from, sent) || is_within(sent, from) ||
           policy_value_is(&c->of_envelope->of[SETTING_DOMAIN_LOCALITY], "internal");
}

/* The signer is looked for once, and only when some recipient may need one. */
static void choose_signer(struct policy_context *c, bool outgoing, struct json_writer *w)
{
    bool wanted = !policy_value_is(&c->of_sender->of[SETTING_SIGN_MODE], "none") ||
                  c->triggers.sign != NULL || c->rules != NULL || policy_groups_may_sign(c);
    c->signer_status = STATUS_NO_KEY;
    (void)failure_set(&c->no_signer, STATUS_NO_KEY, "the message has no clear sender");
    json_open_object(w, "signer");
    json_put_text(w, "address", c->sender);
    if (outgoing && c->facts->from.len > 0 && c->facts->envelope_sender.len > 0 && !may_sign(c)) {
        c->foreign = true;
        (void)failure_set(
            &c->no_signer, STATUS_NO_KEY,
            "the envelope's sender %.*s is neither of the domain of From nor of an internal one",
            SLICE_ARGS(c->facts->envelope_sender));
    } else if (outgoing && c->facts->from.len > 0 && c->facts->envelope_sender.len > 0 && wanted) {
        c->signer_status = policy_choose_signer(c, w, &c->no_signer);
    }
    json_put_bool(w, "found", c->signer_status == STATUS_OK);
    json_close_object(w);
}

/* --- one recipient --- */

/* Nothing can be used, and cert.lookup may know more. True: the directories could not be asked, and the
 * message is to wait until they can. */
static bool lookup_defers(struct policy_context *c, const struct policy_recipient *r,
                          struct policy_steps *steps)
{
    const struct setting_value *value = &r->settings->of[SETTING_CERT_LOOKUP_ON_FAILURE];
    bool failed = false;
    for (size_t i = 0; i < c->facts->unanswered_count && !failed; i++) {
        failed = slice_equal(c->facts->unanswered[i], r->address);
    }
    if (failed) {
        policy_step(c, steps,
                    "a directory of cert.lookup could not be asked: cert.lookup_on_failure is %.*s (%s)",
                    SLICE_ARGS(value->text), policy_value_origin(value, c->arena));
    } else if ((c->facts->flags & POLICY_TELL_ALL) != 0 &&
               r->settings->of[SETTING_CERT_LOOKUP].text.len > 0) {
        policy_step(c, steps,
                    "a message would now make the directories of cert.lookup be asked; "
                    "if they do not answer: %.*s (cert.lookup_on_failure, %s)",
                    SLICE_ARGS(value->text), policy_value_origin(value, c->arena));
    }
    return failed && policy_value_is(value, "defer");
}

/* Step 4. */
static enum status decide_encryption(struct policy_context *c, struct policy_recipient *r,
                                     const struct policy_triggers *asked, const struct rule_outcome *rules,
                                     struct json_writer *w, struct policy_steps *steps)
{
    struct failure why = {.status = STATUS_OK};
    struct policy_demand demand = policy_demand_of(c, r, asked, rules, steps);
    if (demand.level < DEMAND_OPPORTUNISTIC) {
        policy_step(c, steps,
                    demand.level == DEMAND_REQUEST ? "nobody asked: not encrypted" : "not encrypted");
        return STATUS_OK;
    }
    enum status status = policy_choose_method(c, r, rules, w, steps, &why);
    if (status != STATUS_OK) {
        policy_step(c, steps, "what can be used could not be judged: refused");
        return policy_refuse(c, r, status, "%s", why.text);
    }
    if (r->method != NULL) {
        r->protection |= PROTECT_ENCRYPT;
        policy_step(c, steps, "encrypted by %s", policy_method_name(r->method));
        return STATUS_OK;
    }
    if (r->lacks_certificate && lookup_defers(c, r, steps)) {
        return policy_refuse(c, r, STATUS_UNAVAILABLE,
                             "no directory could say whether there is a certificate: try again later");
    }
    if (demand.level == DEMAND_OPPORTUNISTIC) {
        policy_step(c, steps, "opportunistic, and nothing can be used: not encrypted");
        return STATUS_OK;
    }
    const struct setting_value *on_failure = &c->of_sender->of[SETTING_ENCRYPT_ON_FAILURE];
    bool defer = policy_value_is(on_failure, "defer");
    r->put_aside = policy_value_is(on_failure, "quarantine") && (c->facts->flags & POLICY_RELEASED) == 0;
    policy_step(c, steps, "mandatory, and nothing can be used: %s",
                defer          ? "deferred"
                : r->put_aside ? "put aside as it came (encrypt.on_failure)"
                               : "refused");
    return policy_refuse(c, r, defer ? STATUS_CRYPTO : STATUS_NO_KEY,
                         "encryption is mandatory (%s) and there is no usable certificate: %s",
                         demand.because, why.text);
}

static enum status decide_outgoing(struct policy_context *c, struct policy_recipient *r,
                                   const struct rule_outcome *rules, struct json_writer *w,
                                   struct policy_steps *steps)
{
    if ((c->kinds & MESSAGE_ENCRYPTED) != 0) {
        const struct setting_value *already = &c->of_sender->of[SETTING_ENCRYPT_ALREADY];
        if (policy_value_is(already, "refuse")) {
            policy_step(c, steps, "it is encrypted already (encrypt.already is refuse): refused");
            return policy_refuse(c, r, STATUS_POLICY,
                                 "the message is encrypted already, which policy forbids");
        }
        if (!policy_value_is(already, "wrap")) {
            policy_step(c, steps, "it is encrypted already: it passes as it is");
            return STATUS_OK;
        }
    }
    struct policy_triggers asked;
    struct failure why = {.status = STATUS_OK};
    enum status status = policy_groups_ask(c, r, &asked, &why);
    if (status != STATUS_OK) {
        policy_step(c, steps, "%s: refused", why.text);
        return policy_refuse(c, r, status, "%s", why.text);
    }
    status = decide_encryption(c, r, &asked, rules, w, steps);
    if (status != STATUS_OK || r->status != STATUS_OK) {
        return status;
    }
    return policy_decide_signature(c, r, &asked, rules, steps);
}

/* What rules say beside protection. True: nothing more is to be decided. */
static bool apply_rules(struct policy_context *c, struct policy_recipient *r,
                        const struct rule_outcome *rules, struct policy_steps *steps, enum status *status)
{
    if (rules->broken.len > 0) {
        policy_step(c, steps, "a rule cannot be evaluated: refused");
        *status = policy_refuse(c, r, STATUS_UNAVAILABLE, "a rule cannot be evaluated: %.*s",
                                SLICE_ARGS(rules->broken));
        return true;
    }
    if (rules->refuse.len > 0) {
        policy_step(c, steps, "rule %.*s: refused", SLICE_ARGS(rules->refuse_rule));
        *status = policy_refuse(c, r, STATUS_POLICY, "%.*s", SLICE_ARGS(rules->refuse));
        return true;
    }
    r->next_hop = rules->route;
    r->tags = rules->tags;
    r->tag_count = rules->tag_count;
    if (rules->quarantine) {
        r->quarantine = true;
        r->quarantine_reason = SLICE_LITERAL("a rule puts it aside");
        policy_step(c, steps, "a rule puts it aside");
    }
    return false;
}

/* Nobody's settings would protect it: it goes nowhere. */
static bool apply_unknown_sender(struct policy_context *c, struct policy_recipient *r,
                                 struct policy_steps *steps, enum status *status)
{
    const struct setting_value *value = &c->global->of[SETTING_RELAY_UNKNOWN_SENDER];
    if (!policy_sender_is_unknown(c, r)) {
        return false;
    }
    policy_step(c, steps, "the sender is of no domain of ours: relay.unknown_sender is %.*s (%s)",
                SLICE_ARGS(value->text), policy_value_origin(value, c->arena));
    if (!policy_value_is(value, "refuse")) {
        return false;
    }
    *status = policy_refuse(c, r, STATUS_POLICY,
                            "the sender %.*s is of no domain of ours, and mail of others is not sent on "
                            "(relay.unknown_sender)",
                            SLICE_ARGS(c->sender.len > 0 ? c->sender : SLICE_LITERAL("<>")));
    return true;
}

/* A message that programs may read differently. */
static bool apply_malformed(struct policy_context *c, struct policy_recipient *r, struct policy_steps *steps,
                            enum status *status)
{
    const struct setting_value *value = &c->of_sender->of[SETTING_MIME_MALFORMED];
    if ((c->kinds & MESSAGE_MALFORMED) == 0) {
        return false;
    }
    policy_step(c, steps, "the message is malformed: mime.malformed is %.*s (%s)", SLICE_ARGS(value->text),
                policy_value_origin(value, c->arena));
    if (policy_value_is(value, "refuse")) {
        *status =
            policy_refuse(c, r, STATUS_MALFORMED, "the message is not well formed, which policy forbids");
        return true;
    }
    if (policy_value_is(value, "quarantine")) {
        r->quarantine = true;
        r->quarantine_reason = SLICE_LITERAL("the message is not well formed");
    }
    return false;
}

static void trace_recipient_settings(const struct policy_recipient *r, struct json_writer *w)
{
    static const enum setting_id of_both[] = {SETTING_DOMAIN_LOCALITY, SETTING_SMIME_ENABLED,
                                              SETTING_ENCRYPT_INTERNAL};
    static const enum setting_id outgoing[] = {SETTING_ENCRYPT_MODE,        SETTING_ENCRYPT_METHODS,
                                               SETTING_SMIME_CIPHER,        SETTING_SMIME_OPAQUE,
                                               SETTING_SMIME_KEY_TRANSPORT, SETTING_SMIME_COMPRESS};
    json_open_array(w, "settings");
    for (size_t i = 0; i < sizeof of_both / sizeof of_both[0]; i++) {
        trace_setting(w, &r->settings->of[of_both[i]], SIDE_RECIPIENT);
    }
    for (size_t i = 0; r->direction == POLICY_OUTGOING && i < sizeof outgoing / sizeof outgoing[0]; i++) {
        trace_setting(w, &r->settings->of[outgoing[i]], SIDE_RECIPIENT);
    }
    if (r->direction == POLICY_OUTGOING && r->settings->of[SETTING_CERT_LOOKUP].text.len > 0) {
        trace_setting(w, &r->settings->of[SETTING_CERT_LOOKUP], SIDE_RECIPIENT);
        trace_setting(w, &r->settings->of[SETTING_CERT_LOOKUP_ON_FAILURE], SIDE_RECIPIENT);
    }
    json_close_array(w);
}

static void trace_outcome(const struct policy_recipient *r, const struct policy_steps *steps,
                          struct json_writer *w)
{
    json_open_array(w, "rules");
    for (size_t i = 0; i < steps->count; i++) {
        json_put_text(w, NULL, slice_of_text(steps->text[i]));
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
    if (r->method != NULL && (r->protection & PROTECT_ENCRYPT) != 0) {
        json_put_text(w, "method", slice_of_text(policy_method_name(r->method)));
    }
    if (r->quarantine || r->put_aside) {
        json_put_text(w, "quarantine", r->put_aside ? r->reason : r->quarantine_reason);
    }
    if (r->next_hop.len > 0) {
        json_put_text(w, "next_hop", r->next_hop);
    }
    json_put_text(w, "status", slice_of_text(status_name(r->status)));
    json_put_text(w, "reason", r->reason);
    json_close_object(w);
}

static enum status ask_rules(struct policy_context *c, struct policy_recipient *r, struct json_writer *w,
                             struct rule_outcome **out, struct failure *f)
{
    *out = arena_alloc(c->arena, sizeof **out);
    if (*out == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the rules");
    }
    return c->rules == NULL ? STATUS_OK : rule_run_recipient(c->rules, r->address, *out, w, f);
}

static enum status decide_one(struct policy_context *c, struct policy_recipient *r, struct json_writer *w,
                              struct failure *f)
{
    struct policy_steps steps = {.count = 0};
    struct rule_outcome *rules;
    json_open_object(w, NULL);
    json_put_text(w, "address", r->address);
    json_put_text(w, "direction", slice_of_text(r->direction == POLICY_OUTGOING ? "outgoing" : "incoming"));
    trace_recipient_settings(r, w);
    enum status status = ask_rules(c, r, w, &rules, f);
    if (status != STATUS_OK) {
        return status;
    }
    policy_direction_tell(c, r, &steps);
    if (!apply_rules(c, r, rules, &steps, &status) && !apply_unknown_sender(c, r, &steps, &status) &&
        !apply_malformed(c, r, &steps, &status)) {
        if (r->direction == POLICY_OUTGOING) {
            status = decide_outgoing(c, r, rules, w, &steps);
        } else {
            policy_step(c, &steps, "the recipient is internal: decrypted and verified");
        }
    }
    trace_outcome(r, &steps, w);
    c->out->refused = c->out->refused || r->status != STATUS_OK;
    return status;
}

/* --- all of them --- */

static void trace_groups(struct json_writer *w, const struct setting_values *values, enum policy_side side)
{
    static const enum setting_id lists[] = {SETTING_TRIGGER_GROUP_ENCRYPT, SETTING_TRIGGER_GROUP_SIGN};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (values->of[lists[i]].text.len > 0) {
            trace_setting(w, &values->of[lists[i]], side);
        }
    }
}

static void trace_head(struct policy_context *c, struct json_writer *w)
{
    static const enum setting_id of_sender[] = {
        SETTING_ENCRYPT_MODE,        SETTING_ENCRYPT_ALREADY, SETTING_ENCRYPT_ON_FAILURE,
        SETTING_PARTIAL_RECIPIENTS,  SETTING_SIGN_MODE,       SETTING_SIGN_ALREADY,
        SETTING_SIGN_ON_MISSING_KEY, SETTING_SMIME_DIGEST,    SETTING_SMIME_PSS};
    char now[TIME_RFC3339_SIZE];
    time_format_rfc3339(c->facts->now_ms, now);
    json_open_object(w, NULL);
    json_put_number(w, "version", 1);
    json_put_text(w, "time", slice_of_text(now));
    json_open_object(w, "message");
    json_put_text(w, "envelope_sender", c->facts->envelope_sender);
    json_put_text(w, "from", c->facts->from);
    trace_kinds(w, c->kinds);
    json_close_object(w);
    json_open_array(w, "sender_settings");
    for (size_t i = 0; i < sizeof of_sender / sizeof of_sender[0]; i++) {
        trace_setting(w, &c->of_sender->of[of_sender[i]], SIDE_SENDER);
    }
    trace_groups(w, c->of_sender, SIDE_SENDER);
    if (c->of_envelope != NULL) {
        trace_setting(w, &c->of_envelope->of[SETTING_ENCRYPT_MODE], SIDE_ENVELOPE);
        trace_groups(w, c->of_envelope, SIDE_ENVELOPE);
    }
    json_close_array(w);
}

/* All recipients, each into a piece of its own: a trace that grows too long leaves whole recipients out and
 * says how many. */
static enum status decide_all(struct policy_context *c, struct buf *trace, struct json_writer *w,
                              struct failure *f)
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
        status = decide_one(c, &c->out->recipients[i], &one, &local);
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

static enum status read_recipients(struct policy_context *c, const struct slice *recipients, bool *outgoing,
                                   struct failure *f)
{
    struct policy_decision *out = c->out;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < out->recipient_count && status == STATUS_OK; i++) {
        struct policy_recipient *r = &out->recipients[i];
        r->address = recipients[i];
        status = policy_settings_of(c, r->address, &r->settings, f);
        if (status != STATUS_OK) {
            break;
        }
        policy_direction(c, r);
        policy_recipient_algorithms(r);
        *outgoing = *outgoing || r->direction == POLICY_OUTGOING;
    }
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
    if (out->recipients == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the decision");
    }
    c.kinds = facts->message != NULL ? facts->message->kinds : 0;
    enum status status = read_sender(&c, f);
    if (status == STATUS_OK) {
        status = read_recipients(&c, recipients, &outgoing, f);
    }
    if (status == STATUS_OK) {
        status = policy_triggers_find(&c, f);
    }
    if (status == STATUS_OK) {
        status = begin_rules(&c, f);
    }
    if (status != STATUS_OK) {
        return status;
    }
    json_writer_init(&w, &trace);
    trace_head(&c, &w);
    choose_signer(&c, outgoing, &w);
    status = decide_all(&c, &trace, &w, f);
    if (status == STATUS_OK) {
        status = json_writer_status(&w);
        if (status != STATUS_OK || !arena_copy(a, buf_slice(&trace), &out->trace)) {
            status = failure_set(f, STATUS_NO_MEMORY, "no memory for the trace");
        }
    }
    buf_release(&trace);
    return status;
}
