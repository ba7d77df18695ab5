/*
 * /v1/policy/rules: the rules, in the order in which they are asked (docs/rules.md).
 *
 * What a rule says is checked here, by the node that is asked, before it is proposed: its expression and
 * actions, regular expressions included, and that the groups that it names are there. It is stored in its
 * canonical form.
 */
#include "api/json_out.h"
#include "api/resources.h"
#include "mail/rule.h"

#define PLACE_FIELDS                                                                                         \
    {.name = "before",                                                                                       \
     .type = API_TEXT,                                                                                       \
     .min = 1,                                                                                               \
     .max = RULE_NAME_MAX,                                                                                   \
     .help = "name of the rule before which it goes"},                                                       \
        {.name = "after",                                                                                    \
         .type = API_TEXT,                                                                                   \
         .min = 1,                                                                                           \
         .max = RULE_NAME_MAX,                                                                               \
         .help = "name of the rule behind which it goes"},                                                   \
    {                                                                                                        \
        .name = "place", .type = API_TEXT, .min = 1, .max = 8, .choices = "first|last",                      \
        .help = "first or last of all"                                                                       \
    }

static const struct api_field request_fields[] = {
    {.name = "when",
     .type = API_TEXT,
     .min = 1,
     .max = RULE_WHEN_MAX,
     .help = "expression; a rule that is there keeps its own if none is given"},
    {.name = "then",
     .type = API_TEXT,
     .min = 1,
     .max = RULE_THEN_MAX,
     .help = "actions; a rule that is there keeps its own if none is given"},
    {.name = "enabled", .type = API_BOOL, .help = "false: it is kept, and not asked; true for a new one"},
    {.name = "comment", .type = API_TEXT, .max = RULE_COMMENT_MAX, .help = "what it is for"},
    PLACE_FIELDS,
};
const struct api_object rule_request_object = {.name = "RuleRequest", API_FIELDS(request_fields)};

static const struct api_field move_fields[] = {PLACE_FIELDS};
const struct api_object rule_move_object = {.name = "RuleMove", API_FIELDS(move_fields)};

static const struct api_field rule_fields[] = {
    {.name = "number", .type = API_NUMBER, .flags = API_REQUIRED, .help = "from 1, in the order of asking"},
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "enabled", .type = API_BOOL, .flags = API_REQUIRED},
    {.name = "when", .type = API_TEXT, .flags = API_REQUIRED, .help = "expression"},
    {.name = "then", .type = API_TEXT, .flags = API_REQUIRED, .help = "actions"},
    {.name = "comment", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "changed", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "broken",
     .type = API_TEXT,
     .help = "why it cannot be evaluated: mail that reaches it is refused"},
};
const struct api_object rule_object = {.name = "Rule", .help = "A rule.", API_FIELDS(rule_fields)};

static const struct api_field rules_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &rule_object},
};
const struct api_object rules_object = {.name = "Rules", API_FIELDS(rules_fields)};

/* --- answers --- */

struct rules_walk {
    struct store_view *view;
    struct ruleset *set;
    json_t *items;
    struct slice only; /* a name; "": all */
    uint64_t number;
    enum status status;
};

static bool rule_visit(void *context, const struct rule_record *record)
{
    struct rules_walk *walk = context;
    struct failure why = {.status = STATUS_OK};
    walk->number++;
    if (walk->only.len > 0 && !slice_equal(walk->only, record->name)) {
        return true;
    }
    json_t *rule = json_object();
    json_put(rule, "number", json_of_number(walk->number));
    json_put(rule, "name", json_of_slice(record->name));
    json_put(rule, "enabled", json_boolean(record->enabled));
    json_put(rule, "when", json_of_slice(record->when));
    json_put(rule, "then", json_of_slice(record->then));
    json_put(rule, "comment", json_of_slice(record->comment));
    json_put(rule, "changed", json_of_time(record->changed_ms));
    walk->status = ruleset_add(walk->set, walk->view, record->name, record->when, record->then, &why);
    if (walk->status == STATUS_OK && why.status != STATUS_OK) {
        json_put(rule, "broken", json_string(why.text));
    }
    json_array_append_new(walk->items, rule);
    return walk->status == STATUS_OK;
}

/* NULL: the exchange was failed. */
static json_t *rules_read(struct exchange *x, struct slice only)
{
    struct rules_walk walk = {.view = exchange_view(x), .only = only, .status = STATUS_OK};
    if (walk.view == NULL) {
        return NULL;
    }
    enum status status = ruleset_new(&walk.set);
    if (status == STATUS_OK) {
        walk.items = json_array();
        status = store_rules_all(walk.view, rule_visit, &walk);
        status = status != STATUS_OK ? status : walk.status;
        ruleset_free(walk.set);
    }
    if (status != STATUS_OK) {
        json_decref(walk.items);
        exchange_failf(x, status, "the rules cannot be read");
        return NULL;
    }
    return walk.items;
}

void rules_list(struct exchange *x)
{
    json_t *items = rules_read(x, (struct slice){0});
    if (items != NULL) {
        exchange_answer(x, json_page(items, NULL));
    }
}

static void rule_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct failure f;
    (void)answer;
    if (record_name_check(slice_of_text(x->parameters[0]), "a rule", &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    json_t *items = rules_read(x, slice_of_text(x->parameters[0]));
    if (items == NULL) {
        return;
    }
    if (json_array_size(items) == 0) {
        exchange_failf(x, STATUS_NOT_FOUND, "there is no rule %s", x->parameters[0]);
    } else {
        exchange_answer(x, json_incref(json_array_get(items, 0)));
    }
    json_decref(items);
}

void rule_get(struct exchange *x)
{
    rule_answer(x, NULL);
}

/* --- changes --- */

/* From before, after and place; false: the exchange was failed. */
static bool place_read(struct exchange *x, uint64_t *place, struct slice *other)
{
    struct slice before = api_body_text(x->body, "before"), after = api_body_text(x->body, "after");
    struct slice end = api_body_text(x->body, "place");
    struct failure f;
    if ((before.len > 0) + (after.len > 0) + (end.len > 0) > 1) {
        exchange_failf(x, STATUS_INVALID, "give one of before, after and place");
        return false;
    }
    *place = before.len > 0                             ? RULE_PLACE_BEFORE
             : after.len > 0                            ? RULE_PLACE_AFTER
             : slice_equal(end, SLICE_LITERAL("first")) ? RULE_PLACE_FIRST
             : end.len > 0                              ? RULE_PLACE_LAST
                                                        : RULE_PLACE_KEEP;
    *other = before.len > 0 ? before : after;
    if (other->len > 0 && record_name_check(*other, "a rule", &f) != STATUS_OK) {
        exchange_fail_field(x, &f, before.len > 0 ? "before" : "after");
        return false;
    }
    return true;
}

/* What is not given stays as it is. */
static bool record_read(struct exchange *x, struct store_view *view, struct rule_record *r)
{
    struct failure f;
    struct slice name = slice_of_text(x->parameters[0]);
    if (record_name_check(name, "a rule", &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return false;
    }
    enum status status = store_rule_get(view, name, r);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        exchange_failf(x, status, "the rules cannot be read");
        return false;
    }
    if (status == STATUS_NOT_FOUND) {
        *r = (struct rule_record){.enabled = true};
    }
    r->name = name;
    if (api_body_text(x->body, "when").len > 0) {
        r->when = api_body_text(x->body, "when");
    }
    if (api_body_text(x->body, "then").len > 0) {
        r->then = api_body_text(x->body, "then");
    }
    if (json_object_get(x->body, "comment") != NULL) {
        r->comment = api_body_text(x->body, "comment");
    }
    if (json_object_get(x->body, "enabled") != NULL) {
        r->enabled = api_body_bool(x->body, "enabled");
    }
    if (r->when.len == 0 || r->then.len == 0) {
        exchange_failf(x, STATUS_INVALID, "a new rule needs \"when\" and \"then\"");
        return false;
    }
    return true;
}

/* The texts as they are stored; also whether the groups are there. */
static bool rule_is_right(struct exchange *x, struct store_view *view, const struct rule_record *r,
                          struct buf *when, struct buf *then)
{
    struct failure f = {.status = STATUS_OK};
    struct ruleset *set;
    if (rule_check(r->when, (struct slice){0}, when, NULL, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "when");
        return false;
    }
    if (rule_check(SLICE_LITERAL("always"), r->then, NULL, then, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "then");
        return false;
    }
    if (ruleset_new(&set) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for a rule");
        return false;
    }
    enum status status = ruleset_add(set, view, r->name, r->when, r->then, &f);
    ruleset_free(set);
    if (status != STATUS_OK || f.status != STATUS_OK) {
        exchange_fail_field(x, &f, "when");
        return false;
    }
    if (when->len > RULE_WHEN_MAX || then->len > RULE_THEN_MAX) {
        exchange_failf(x, STATUS_INVALID, "in its normal form, the rule is too long");
        return false;
    }
    return true;
}

void rule_put(struct exchange *x)
{
    struct buf when = BUF_INIT((size_t)4 * RULE_WHEN_MAX), then = BUF_INIT((size_t)4 * RULE_THEN_MAX);
    struct rule_record r;
    struct command c;
    uint64_t place;
    struct slice other;
    struct store_view *view = exchange_view(x);
    if (view != NULL && place_read(x, &place, &other) && record_read(x, view, &r) &&
        rule_is_right(x, view, &r, &when, &then)) {
        exchange_command(x, &c, COMMAND_RULE_SET);
        c.values[0].bytes = r.name;
        c.values[1].number = r.enabled;
        c.values[2].bytes = buf_slice(&when);
        c.values[3].bytes = buf_slice(&then);
        c.values[4].bytes = r.comment;
        c.values[5].number = place;
        c.values[6].bytes = other;
        exchange_write_one(x, &c, rule_answer);
    }
    buf_release(&when);
    buf_release(&then);
}

void rule_move(struct exchange *x)
{
    struct command c;
    uint64_t place;
    struct slice other;
    if (!place_read(x, &place, &other)) {
        return;
    }
    if (place == RULE_PLACE_KEEP) {
        exchange_failf(x, STATUS_INVALID, "say where: give before, after or place");
        return;
    }
    exchange_command(x, &c, COMMAND_RULE_MOVE);
    c.values[0].bytes = slice_of_text(x->parameters[0]);
    c.values[1].number = place;
    c.values[2].bytes = other;
    exchange_write_one(x, &c, rule_answer);
}

static void rule_removed(struct exchange *x, const struct bus_answer *answer)
{
    json_t *gone = json_object();
    (void)answer;
    json_put(gone, "removed", json_string(x->parameters[0]));
    exchange_answer(x, gone);
}

void rule_remove(struct exchange *x)
{
    struct command c;
    exchange_command(x, &c, COMMAND_RULE_REMOVE);
    c.values[0].bytes = slice_of_text(x->parameters[0]);
    exchange_write_one(x, &c, rule_removed);
}
