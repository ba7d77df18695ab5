/*
 * The rules of the store, compiled: parsed, their conditions numbered, their groups numbered, their regular
 * expressions compiled, all within bounds for the set as a whole. A rule that is not right stays in its place
 * as a broken one: whoever reaches it is refused, for nobody knows what it would have said. One thread.
 */
#include "mail/rule_internal.h"

#include <stdlib.h>

#define SET_MEMORY_MAX ((size_t)64 << 20) /* bytes of all rules, without regular expressions */

enum status ruleset_new(struct ruleset **out)
{
    struct ruleset *set = calloc(1, sizeof *set);
    *out = NULL;
    if (set == NULL) {
        return STATUS_NO_MEMORY;
    }
    arena_init(&set->arena, SET_MEMORY_MAX);
    set->rules = calloc(RULES_MAX, sizeof set->rules[0]);
    set->space = pattern_space_new();
    if (set->rules == NULL || set->space == NULL) {
        ruleset_free(set);
        return STATUS_NO_MEMORY;
    }
    *out = set;
    return STATUS_OK;
}

void ruleset_free(struct ruleset *set)
{
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->rule_count; i++) {
        rule_expression_release(&set->rules[i].when);
    }
    pattern_space_free(set->space);
    free(set->rules);
    arena_release(&set->arena);
    free(set);
}

size_t ruleset_count(const struct ruleset *set)
{
    return set->rule_count;
}

/* The group's number in the set. A group that is not there would silently hold nobody. */
static enum status group_number(struct ruleset *set, struct store_view *view, struct slice name,
                                uint64_t *out, struct failure *f)
{
    struct group_record record;
    for (size_t i = 0; i < set->group_count; i++) {
        if (slice_equal(set->groups[i], name)) {
            *out = i;
            return STATUS_OK;
        }
    }
    enum status status = store_group_get(view, name, &record);
    if (status == STATUS_NOT_FOUND) {
        return failure_set(f, STATUS_INVALID, "there is no group %.*s", SLICE_ARGS(name));
    }
    if (status != STATUS_OK) {
        return failure_set(f, status, "the group %.*s could not be read", SLICE_ARGS(name));
    }
    if (set->group_count == RULE_GROUPS_MAX) {
        return failure_set(f, STATUS_INVALID, "the rules name more than %d groups", RULE_GROUPS_MAX);
    }
    *out = set->group_count;
    set->groups[set->group_count++] = name;
    return STATUS_OK;
}

static uint64_t field_number(struct ruleset *set, struct slice name)
{
    size_t i = 0;
    while (i < set->field_count && !slice_equal_nocase(set->fields[i], name)) {
        i++;
    }
    if (i == set->field_count && i < RULE_NAMES_MAX) {
        set->fields[set->field_count++] = name;
    }
    return i;
}

static enum status show(struct ruleset *set, struct rule_condition *c)
{
    struct buf text = BUF_INIT(2 * RULE_WHEN_MAX + 64);
    enum status status = rule_print_condition(c, &text);
    if (status == STATUS_OK && !arena_copy(&set->arena, buf_slice(&text), &c->shown)) {
        status = STATUS_NO_MEMORY;
    }
    buf_release(&text);
    return status;
}

static enum status compile(struct ruleset *set, struct store_view *view, struct rule *rule, struct slice when,
                           struct slice then, struct failure *f)
{
    enum status status = rule_parse_when(when, true, &set->arena, &rule->when, f);
    if (status != STATUS_OK) {
        return failure_wrap(f, status, "its condition");
    }
    status = rule_parse_then(then, &set->arena, &rule->then, f);
    if (status != STATUS_OK) {
        return failure_wrap(f, status, "its actions");
    }
    for (size_t i = 0; i < rule->when.condition_count && status == STATUS_OK; i++) {
        struct rule_condition *c = &rule->when.conditions[i];
        if (c->test == TEST_IN_GROUP) {
            status = group_number(set, view, c->text, &c->number, f);
        }
        if (c->operand == OPERAND_HEADER) {
            c->number = field_number(set, c->field);
        }
        if (c->regex != NULL) {
            set->regex_bytes += pattern_size(c->regex);
        }
        if (status == STATUS_OK && show(set, c) != STATUS_OK) {
            status = failure_set(f, STATUS_NO_MEMORY, "no memory for the rules");
        }
    }
    if (status == STATUS_OK && set->regex_bytes > RULE_REGEX_TOTAL_MAX) {
        status = failure_set(f, STATUS_INVALID, "the regular expressions of all rules are too large");
    }
    return status;
}

enum status ruleset_add(struct ruleset *set, struct store_view *view, struct slice name, struct slice when,
                        struct slice then, struct failure *why)
{
    struct failure f = {.status = STATUS_OK};
    if (set->rule_count == RULES_MAX) {
        return failure_set(why, STATUS_TOO_LARGE, "there are more than %d rules", RULES_MAX);
    }
    struct rule *rule = &set->rules[set->rule_count++];
    rule->first_condition = set->condition_count;
    if (!arena_copy(&set->arena, name, &rule->name)) {
        return failure_set(why, STATUS_NO_MEMORY, "no memory for the rules");
    }
    enum status status = compile(set, view, rule, when, then, &f);
    set->condition_count += rule->when.condition_count;
    if (why != NULL) {
        *why = f;
    }
    if (status == STATUS_INVALID) {
        rule_expression_release(&rule->when);
        rule->when = (struct rule_expression){0};
        status = arena_copy(&set->arena, slice_of_text(f.text), &rule->broken) ? STATUS_OK : STATUS_NO_MEMORY;
    }
    if (status == STATUS_OK) {
        status = rule_index_add(set, set->rule_count - 1);
    }
    return status != STATUS_NO_MEMORY ? status : failure_set(why, status, "no memory for the rules");
}

struct loading {
    struct ruleset *set;
    struct store_view *view;
    struct failure *f;
    enum status status;
};

static bool load_one(void *context, const struct rule_record *record)
{
    struct loading *l = context;
    struct failure why = {.status = STATUS_OK};
    if (!record->enabled) {
        return true;
    }
    l->status = ruleset_add(l->set, l->view, record->name, record->when, record->then, &why);
    if (l->status != STATUS_OK) {
        (void)failure_set(l->f, l->status, "the rules cannot be loaded: %s", why.text);
    }
    return l->status == STATUS_OK;
}

enum status ruleset_load(struct store_view *view, struct ruleset **out, struct failure *f)
{
    struct loading l = {.view = view, .f = f, .status = STATUS_OK};
    enum status status = ruleset_new(out);
    if (status != STATUS_OK) {
        return failure_set(f, status, "no memory for the rules");
    }
    l.set = *out;
    status = store_rules_all(view, load_one, &l);
    if (status != STATUS_OK) {
        (void)failure_set(f, status, "the rules cannot be read");
    } else {
        status = l.status;
    }
    if (status != STATUS_OK) {
        ruleset_free(*out);
        *out = NULL;
    }
    return status;
}

enum status rule_check(struct slice when, struct slice then, struct buf *canonical_when,
                       struct buf *canonical_then, struct failure *f)
{
    struct arena a;
    struct rule_expression expression = {0};
    struct rule_actions actions;
    arena_init(&a, (size_t)1 << 20);
    enum status status = rule_parse_when(when, true, &a, &expression, f);
    if (status == STATUS_OK && canonical_when != NULL) {
        status = rule_print_when(&expression, canonical_when);
    }
    rule_expression_release(&expression);
    if (status == STATUS_OK && then.data != NULL) {
        status = rule_parse_then(then, &a, &actions, f);
        if (status == STATUS_OK && canonical_then != NULL) {
            status = rule_print_then(&actions, canonical_then);
        }
    }
    arena_release(&a);
    return status;
}

bool rule_names_group(struct slice when, struct slice group)
{
    struct arena a;
    struct rule_expression expression = {0};
    bool found = false;
    arena_init(&a, (size_t)1 << 20);
    if (rule_parse_when(when, false, &a, &expression, NULL) == STATUS_OK) {
        for (size_t i = 0; i < expression.condition_count && !found; i++) {
            const struct rule_condition *c = &expression.conditions[i];
            found = c->test == TEST_IN_GROUP && slice_equal(c->text, group);
        }
    }
    arena_release(&a);
    return found;
}
