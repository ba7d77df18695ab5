/*
 * The ways of encrypting, in the order of encrypt.methods (or of a rule): each says what it would use for the
 * recipient, or why it cannot. The first that can is taken. A way that a later release brings is one more row
 * here, its name in the setting's choices, and what makes the variant in the flow. Pure; any thread.
 */
#include "mail/policy_internal.h"

struct policy_method {
    const char *name;
    /* OK: r has what it needs. NO_KEY: not this way, `why` says why. Another status is an error. */
    enum status (*offer)(struct policy_context *c, struct policy_recipient *r, struct json_writer *w,
                         struct failure *why);
};

static enum status smime_is_on(struct policy_context *c, const struct policy_recipient *r,
                               struct failure *why)
{
    return r->smime ? STATUS_OK
                    : failure_set(why, STATUS_NO_KEY, "S/MIME is switched off (%s)",
                                  policy_value_origin(&r->settings->of[SETTING_SMIME_ENABLED], c->arena));
}

static enum status offer_smime(struct policy_context *c, struct policy_recipient *r, struct json_writer *w,
                               struct failure *why)
{
    enum status status = smime_is_on(c, r, why);
    if (status == STATUS_OK) {
        status = policy_recipient_certificates(c, r, w, why);
        r->lacks_certificate = status == STATUS_OK && r->certificate_count == 0;
    }
    return status == STATUS_OK && r->certificate_count == 0 ? STATUS_NO_KEY : status;
}

static enum status offer_smime_domain(struct policy_context *c, struct policy_recipient *r,
                                      struct json_writer *w, struct failure *why)
{
    enum status status = smime_is_on(c, r, why);
    if (status == STATUS_OK) {
        status = policy_domain_certificates(c, r, w, why);
    }
    return status == STATUS_OK && r->certificate_count == 0 ? STATUS_NO_KEY : status;
}

static const struct policy_method methods[] = {
    {"smime", offer_smime},
    {"smime-domain", offer_smime_domain},
};

const char *policy_method_name(const struct policy_method *method)
{
    return method->name;
}

static const struct policy_method *find_method(struct slice name)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (slice_equal(name, slice_of_text(methods[i].name))) {
            return &methods[i];
        }
    }
    return NULL;
}

/* Asks one method; NO_KEY with the reason when it cannot. */
static enum status ask(struct policy_context *c, struct policy_recipient *r, struct slice name,
                       struct json_writer *w, struct policy_steps *steps, struct failure *why)
{
    const struct policy_method *method = find_method(name);
    *why = (struct failure){.status = STATUS_OK};
    enum status status =
        method != NULL ? method->offer(c, r, w, why)
                       : failure_set(why, STATUS_NO_KEY, "this release has no method %.*s", SLICE_ARGS(name));
    if (status == STATUS_OK) {
        r->method = method;
    } else if (status == STATUS_NO_KEY) {
        policy_step(c, steps, "%.*s cannot be used: %s", SLICE_ARGS(name), why->text);
    }
    return status;
}

enum status policy_choose_method(struct policy_context *c, struct policy_recipient *r,
                                 const struct rule_outcome *rules, struct json_writer *w,
                                 struct policy_steps *steps, struct failure *why)
{
    struct setting_value order = r->settings->of[SETTING_ENCRYPT_METHODS];
    struct slice name;
    enum status status = STATUS_NO_KEY;
    if (rules->methods.len > 0) {
        order.text = rules->methods;
        policy_step(c, steps, "methods %.*s by rule", SLICE_ARGS(rules->methods));
    }
    (void)failure_set(why, STATUS_NO_KEY, "encrypt.methods allows none");
    json_open_array(w, "certificates");
    for (size_t i = 0; status == STATUS_NO_KEY && setting_text_at(&order, i, &name); i++) {
        struct failure reason;
        status = ask(c, r, name, w, steps, &reason);
        if (status == STATUS_NO_KEY && i > 0) {
            struct failure earlier = *why;
            (void)failure_set(why, status, "%s; %.*s: %s", earlier.text, SLICE_ARGS(name), reason.text);
        } else {
            *why = reason;
        }
    }
    json_close_array(w);
    return status == STATUS_NO_KEY ? STATUS_OK : status;
}
