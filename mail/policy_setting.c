/*
 * Settings as the policy decision reads them: resolved for an address at once, with what was proposed put in
 * where it would stand if it were set. Each value knows where it came from, so that the trace and the SMTP
 * reply can name it.
 *
 * A failing store fails the look-up; nobody falls back to a default then. Pure; any thread.
 */
#include "mail/policy_internal.h"

static bool scope_holds(const struct policy_proposal *p, struct slice address)
{
    struct slice domain = address_domain(address);
    domain = domain.len > 0 ? domain : address;
    switch (p->level) {
    case SETTING_GLOBAL:
        return true;
    case SETTING_DOMAIN:
        if (p->scope.len > 2 && p->scope.data[0] == '*') {
            struct slice tail = slice_of(p->scope.data + 1, p->scope.len - 1);
            return domain.len > tail.len &&
                   slice_equal_nocase(slice_of(domain.data + domain.len - tail.len, tail.len), tail);
        }
        return slice_equal_nocase(p->scope, domain);
    case SETTING_USER:
        return slice_equal_nocase(p->scope, address);
    default:
        return false;
    }
}

/* Would the proposal be found before `value`? Of two domain scopes the exact one, else the longer. */
static bool is_more_specific(const struct policy_proposal *p, const struct setting_value *value)
{
    if (p->level != value->level) {
        return p->level > value->level;
    }
    bool exact = value->scope.len > 0 && value->scope.data[0] != '*';
    bool proposed_exact = p->scope.len > 0 && p->scope.data[0] != '*';
    return exact == proposed_exact ? p->scope.len >= value->scope.len : proposed_exact;
}

static void put_proposals(const struct policy_facts *facts, struct slice address,
                          struct setting_values *values)
{
    for (size_t i = 0; i < facts->proposal_count; i++) {
        const struct policy_proposal *p = &facts->proposals[i];
        struct setting_value *value = &values->of[p->setting - setting_at(0)];
        if (scope_holds(p, address) && is_more_specific(p, value)) {
            *value = (struct setting_value){.setting = p->setting,
                                            .text = p->text,
                                            .level = p->level,
                                            .scope = p->scope,
                                            .proposed = true};
        }
    }
}

static enum status read_global(struct policy_context *c, struct failure *f)
{
    struct setting_values *global = arena_alloc(c->arena, sizeof *global);
    c->scratch = arena_alloc(c->arena, sizeof *c->scratch);
    if (global == NULL || c->scratch == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the settings");
    }
    if (settings_resolve(c->view, (struct slice){0}, NULL, global) != STATUS_OK) {
        return failure_set(f, STATUS_CORRUPT, "the settings could not be read");
    }
    c->global = global;
    return STATUS_OK;
}

/* What c->scratch holds, kept for the message: as one that was found before, if it is the same. */
static const struct setting_values *keep_values(struct policy_context *c)
{
    size_t kept = c->distinct_count < SETTINGS_KEPT ? c->distinct_count : SETTINGS_KEPT;
    for (size_t i = 0; i < kept; i++) {
        if (memcmp(c->distinct[i], c->scratch, sizeof *c->scratch) == 0) {
            return c->distinct[i];
        }
    }
    struct setting_values *values = arena_alloc(c->arena, sizeof *values);
    if (values != NULL) {
        memcpy(values, c->scratch, sizeof *values);
        c->distinct[c->distinct_count++ % SETTINGS_KEPT] = values;
    }
    return values;
}

enum status policy_settings_of(struct policy_context *c, struct slice address,
                               const struct setting_values **out, struct failure *f)
{
    enum status status = c->global == NULL ? read_global(c, f) : STATUS_OK;
    *out = NULL;
    if (status != STATUS_OK) {
        return status;
    }
    if (settings_resolve(c->view, address, c->global, c->scratch) != STATUS_OK) {
        return failure_set(f, STATUS_CORRUPT, "the settings of %.*s could not be read", SLICE_ARGS(address));
    }
    put_proposals(c->facts, address, c->scratch);
    *out = keep_values(c);
    return *out != NULL ? STATUS_OK : failure_set(f, STATUS_NO_MEMORY, "no memory for the settings");
}

bool policy_value_is(const struct setting_value *value, const char *text)
{
    return slice_equal(value->text, slice_of_text(text));
}

static bool says_something(const struct setting_value *value)
{
    return value->level == SETTING_DOMAIN || value->level == SETTING_USER;
}

size_t policy_value_counts(const struct setting_value *const *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        bool says = says_something(values[i]), best_says = says_something(values[best]);
        if (says != best_says ? says : setting_choice(values[i]) > setting_choice(values[best])) {
            best = i;
        }
    }
    return best;
}

const char *policy_value_origin(const struct setting_value *value, struct arena *a)
{
    const char *level = setting_level_name(value->level), *proposed = value->proposed ? "proposed " : "";
    const char *text;
    if (value->scope.len > 0) {
        text = arena_printf(a, "%s%s %.*s", proposed, level, SLICE_ARGS(value->scope));
    } else {
        text = value->level == SETTING_FACTORY ? "factory default" : arena_printf(a, "%s%s", proposed, level);
    }
    return text != NULL ? text : level;
}
