/*
 * How strictly a recipient's mail is to be encrypted: settings, then what the sender asked for, then the kind
 * of message, then rules. Each may tighten; only a plain keyword, a kind's own setting and a rule's `forbid`
 * loosen, and never what is mandatory. Pure; any thread.
 */
#include "mail/policy_internal.h"

static const char *const level_names[] = {"none", "request", "opportunistic", "mandatory"};

static struct policy_demand of_settings(struct policy_context *c, const struct policy_recipient *r,
                                        struct policy_steps *steps)
{
    const struct setting_value *sides[3] = {&r->settings->of[SETTING_ENCRYPT_MODE],
                                            &c->of_sender->of[SETTING_ENCRYPT_MODE]};
    size_t count = 2;
    if (c->of_envelope != NULL) {
        sides[count++] = &c->of_envelope->of[SETTING_ENCRYPT_MODE];
    }
    size_t at = policy_value_counts(sides, count);
    size_t level = setting_choice(sides[at]);
    const char *origin = policy_value_origin(sides[at], c->arena);
    const char *because = at == 0 ? origin : arena_printf(c->arena, "sender's %s", origin);
    struct policy_demand d = {.level = level < DEMAND_MANDATORY ? (enum policy_demand_level)level
                                                                : DEMAND_MANDATORY,
                              .because = because != NULL ? because : origin};
    policy_step(c, steps, "encrypt.mode is %s (%s)", level_names[d.level], d.because);
    return d;
}

/* Loosens what is not mandatory; says so either way. */
static void loosen(struct policy_context *c, struct policy_demand *d, const char *because,
                   struct policy_steps *steps)
{
    if (d->level == DEMAND_MANDATORY) {
        policy_step(c, steps, "%s: does not loosen what is mandatory (%s)", because, d->because);
        return;
    }
    *d = (struct policy_demand){.level = DEMAND_NONE, .because = because};
    policy_step(c, steps, "%s: not encrypted", because);
}

static void apply_kinds(struct policy_context *c, const struct policy_recipient *r, struct policy_demand *d,
                        struct policy_steps *steps)
{
    static const struct {
        enum message_kind kind;
        enum setting_id id;
    } exceptions[] = {
        {MESSAGE_CALENDAR, SETTING_ENCRYPT_CALENDAR},
        {MESSAGE_REPORT, SETTING_ENCRYPT_REPORTS},
        {MESSAGE_AUTO_REPLY, SETTING_ENCRYPT_AUTO_REPLIES},
        {MESSAGE_EMPTY, SETTING_ENCRYPT_EMPTY},
        {MESSAGE_TNEF, SETTING_ENCRYPT_TNEF},
    };
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++) {
        const struct setting_value *value = &r->settings->of[exceptions[i].id];
        if ((c->kinds & exceptions[i].kind) == 0 ||
            setting_choice(value) != 0) { /* 0: plain-if-opportunistic */
            continue;
        }
        const char *because =
            arena_printf(c->arena, "%s (%s)", value->setting->name, policy_value_origin(value, c->arena));
        loosen(c, d, because != NULL ? because : value->setting->name, steps);
    }
}

/* A reply to what came encrypted, which would quote it in the clear. */
static void apply_answer(struct policy_context *c, struct policy_demand *d, struct policy_steps *steps)
{
    const struct setting_values *sides[] = {c->of_sender, c->of_envelope};
    for (size_t i = 0; i < 2 && (c->facts->flags & POLICY_ANSWER) != 0; i++) {
        const struct setting_value *value = sides[i] != NULL ? &sides[i]->of[SETTING_ENCRYPT_REPLIES] : NULL;
        if (value == NULL || !setting_bool(value) || d->level == DEMAND_MANDATORY) {
            continue;
        }
        const char *because =
            arena_printf(c->arena, "it answers mail that came encrypted: encrypt.replies of %s",
                         policy_value_origin(value, c->arena));
        *d = (struct policy_demand){.level = DEMAND_MANDATORY,
                                    .because = because != NULL ? because : "encrypt.replies"};
        policy_step(c, steps, "%s: encryption is required", d->because);
    }
}

struct policy_demand policy_demand_of(struct policy_context *c, const struct policy_recipient *r,
                                      const struct policy_triggers *triggers,
                                      const struct rule_outcome *rules, struct policy_steps *steps)
{
    struct policy_demand d = of_settings(c, r, steps);
    bool asked = triggers->encrypt != NULL;
    if (triggers->plain != NULL && !asked) {
        loosen(c, &d, triggers->plain, steps);
    }
    apply_kinds(c, r, &d, steps);
    if (rules->encrypt == RULE_FORBID && !asked) {
        const char *because = arena_printf(c->arena, "rule %.*s", SLICE_ARGS(rules->encrypt_rule));
        loosen(c, &d, because != NULL ? because : "a rule", steps);
    }
    if (asked && d.level != DEMAND_MANDATORY) {
        d = (struct policy_demand){.level = DEMAND_MANDATORY, .because = triggers->encrypt};
        policy_step(c, steps, "the sender asks for encryption: %s", d.because);
    }
    apply_answer(c, &d, steps);
    if (rules->encrypt == RULE_REQUIRE && d.level != DEMAND_MANDATORY) {
        const char *because = arena_printf(c->arena, "rule %.*s", SLICE_ARGS(rules->encrypt_rule));
        d = (struct policy_demand){.level = DEMAND_MANDATORY,
                                   .because = because != NULL ? because : "a rule"};
        policy_step(c, steps, "%s requires encryption", d.because);
    }
    return d;
}
