/*
 * Whether a recipient's copy is signed: sign.mode of the sender, what the sender asked for, and rules. A
 * signature that was asked for, by the sender or by a rule, is made or the message is refused; one that
 * sign.mode wants may be left out where sign.on_missing_key allows it. Pure; any thread.
 */
#include "mail/policy_internal.h"

/* Why it is to be signed; NULL: it is not, and the steps say why. */
static const char *wanted_by_setting(struct policy_context *c, const struct policy_recipient *r,
                                     struct policy_steps *steps)
{
    const struct setting_value *mode = &c->of_sender->of[SETTING_SIGN_MODE];
    bool encrypted = (r->protection & PROTECT_ENCRYPT) != 0;
    if (!policy_value_is(mode, "always") && !(policy_value_is(mode, "with-encryption") && encrypted)) {
        policy_step(c, steps, "sign.mode is %.*s (%s)%s: not signed", SLICE_ARGS(mode->text),
                    policy_value_origin(mode, c->arena),
                    policy_value_is(mode, "request") ? " and nobody asked" : "");
        return NULL;
    }
    if ((c->kinds & MESSAGE_CALENDAR) != 0 && !setting_bool(&c->of_sender->of[SETTING_SIGN_CALENDAR])) {
        policy_step(c, steps, "sign.calendar is no: an invitation is not signed");
        return NULL;
    }
    return "sign.mode";
}

static const char *wanted_by(struct policy_context *c, const struct policy_recipient *r,
                             const struct policy_triggers *asked, const struct rule_outcome *rules,
                             bool *must, struct policy_steps *steps)
{
    *must = asked->sign != NULL || rules->sign == RULE_REQUIRE;
    if (rules->sign == RULE_REQUIRE) {
        policy_step(c, steps, "rule %.*s requires a signature", SLICE_ARGS(rules->sign_rule));
        return "a rule";
    }
    if (asked->sign != NULL) {
        policy_step(c, steps, "the sender asks for a signature: %s", asked->sign);
        return "the sender";
    }
    if (rules->sign == RULE_FORBID) {
        policy_step(c, steps, "rule %.*s: not signed", SLICE_ARGS(rules->sign_rule));
        return NULL;
    }
    return wanted_by_setting(c, r, steps);
}

enum status policy_decide_signature(struct policy_context *c, struct policy_recipient *r,
                                    const struct policy_triggers *asked, const struct rule_outcome *rules,
                                    struct policy_steps *steps)
{
    bool must = false;
    if (wanted_by(c, r, asked, rules, &must, steps) == NULL) {
        return STATUS_OK;
    }
    if (c->facts->envelope_sender.len == 0) {
        policy_step(c, steps, "the sender is null: not signed");
        return STATUS_OK;
    }
    if (!r->smime && !must) {
        policy_step(c, steps, "S/MIME is switched off: not signed");
        return STATUS_OK;
    }
    if ((c->kinds & MESSAGE_SIGNED) != 0 &&
        !policy_value_is(&c->of_sender->of[SETTING_SIGN_ALREADY], "replace")) {
        policy_step(c, steps, "it is signed already: that signature is kept (sign.already)");
        return STATUS_OK;
    }
    if (c->signer_status == STATUS_OK && r->smime) {
        bool of_domain = c->out->signer.of_domain;
        r->protection |= PROTECT_SIGN;
        c->out->lacks_key = c->out->lacks_key || of_domain; /* one on demand would be better */
        policy_step(c, steps,
                    of_domain ? "the sender has no usable key: signed with the domain's (sign.on_missing_key)"
                              : "the sender has a key: signed");
        return STATUS_OK;
    }
    c->out->lacks_key = c->out->lacks_key || (r->smime && c->signer_status == STATUS_NO_KEY && !c->foreign);
    if (!must && c->signer_status == STATUS_NO_KEY &&
        !policy_value_is(&c->of_sender->of[SETTING_SIGN_ON_MISSING_KEY], "refuse")) {
        policy_step(c, steps, "%s (sign.on_missing_key is %.*s): not signed",
                    c->foreign ? c->no_signer.text : "the sender has no usable key",
                    SLICE_ARGS(c->of_sender->of[SETTING_SIGN_ON_MISSING_KEY].text));
        return STATUS_OK;
    }
    policy_step(c, steps, "it cannot be signed: refused");
    return policy_refuse(c, r, r->smime ? c->signer_status : STATUS_NO_KEY,
                         "the message must be signed for %.*s and cannot be: %s", SLICE_ARGS(c->sender),
                         r->smime ? c->no_signer.text : "S/MIME is switched off");
}
