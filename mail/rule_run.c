/*
 * The rules against one message: for each recipient, in their order, until one says stop or refuse, or cannot
 * be evaluated.
 *
 * Rules that need an address or a domain which is not there are not even looked at (rule_index.c). What a
 * condition gives that does not ask for the recipient is kept for the run. When a rule that asks for
 * the recipient is reached the second time it is evaluated without one: where it is false already, it is
 * never asked again for this message; nor is one that does not ask for the recipient and is false. So each
 * further recipient costs only the rules that ask for it. Evaluation goes from left to right
 * and ends where the result is known; UNKNOWN counts as neither true nor false, an ERROR ends it.
 *
 * Pure but for the store's groups; one thread for a set.
 */
#include "mail/rule_internal.h"

/* Enough of the message is told; never its content. */
static void note(struct rule_run *run, const struct rule_condition *c, enum rule_truth got)
{
    run->last = c;
    run->last_truth = got;
    if (got == RULE_UNKNOWN && run->unknown == NULL) {
        run->unknown = c;
    }
}

static void keep_error(struct rule_run *run, const struct rule_condition *c)
{
    struct rule_error *error = arena_alloc(run->arena, sizeof *error);
    if (error == NULL) {
        (void)failure_set(&run->store, STATUS_NO_MEMORY, "no memory for rules");
        return;
    }
    *error = (struct rule_error){.next = run->errors, .condition = c, .why = run->why};
    run->errors = error;
}

static struct slice kept_error(const struct rule_run *run, const struct rule_condition *c)
{
    const struct rule_error *error = run->errors;
    while (error != NULL && error->condition != c) {
        error = error->next;
    }
    return error != NULL ? error->why : slice_of(NULL, 0);
}

static enum rule_truth ask(struct rule_run *run, const struct rule *rule, uint16_t position)
{
    const struct rule_condition *c = &rule->when.conditions[position];
    uint8_t *kept = &run->truths[rule->first_condition + position];
    enum rule_truth got = (enum rule_truth)(*kept);
    if (c->operand == OPERAND_RECIPIENT) {
        got = rule_condition_ask(run, c);
    } else if (got == RULE_UNSET) {
        got = rule_condition_ask(run, c);
        *kept = (uint8_t)got;
        if (got == RULE_ERROR) {
            keep_error(run, c);
        }
    } else if (got == RULE_ERROR) {
        run->why = kept_error(run, c);
    }
    note(run, c, got);
    return got;
}

static enum rule_truth evaluate(struct rule_run *run, const struct rule *rule, uint16_t at)
{
    const struct rule_node *n = &rule->when.nodes[at];
    if (n->type == NODE_CONDITION) {
        return ask(run, rule, n->condition);
    }
    if (n->type == NODE_NOT) {
        enum rule_truth got = evaluate(run, rule, n->first);
        return got == RULE_TRUE ? RULE_FALSE : got == RULE_FALSE ? RULE_TRUE : got;
    }
    enum rule_truth decides = n->type == NODE_AND ? RULE_FALSE : RULE_TRUE;
    enum rule_truth result = n->type == NODE_AND ? RULE_TRUE : RULE_FALSE;
    uint16_t i = n->first;
    do {
        enum rule_truth got = evaluate(run, rule, i);
        if (got == decides || got == RULE_ERROR) {
            return got;
        }
        if (got == RULE_UNKNOWN) {
            result = RULE_UNKNOWN;
        }
    } while ((i = rule->when.nodes[i].next) != 0);
    return result;
}

/* Can the rule match for any recipient of this message? An error is left to whoever reaches it: another
 * condition may keep a recipient from it. */
static bool can_match(struct rule_run *run, size_t position)
{
    const struct rule *rule = &run->set->rules[position];
    if (run->standings[position] == STANDING_SEEN) {
        run->has_recipient = false;
        bool never = evaluate(run, rule, rule->when.root) == RULE_FALSE;
        run->has_recipient = true;
        run->standings[position] = never ? STANDING_NEVER : STANDING_ASK;
    }
    return run->standings[position] != STANDING_NEVER;
}

/* --- what follows --- */

static void demand(enum rule_demand *sum, struct slice *name, enum rule_demand wanted,
                   const struct rule *rule)
{
    if (wanted == RULE_REQUIRE ? *sum != RULE_REQUIRE : wanted == RULE_FORBID && *sum == RULE_NO_DEMAND) {
        *sum = wanted;
        *name = rule->name;
    }
}

static void first(struct slice *sum, struct slice wanted)
{
    if (sum->len == 0) {
        *sum = wanted;
    }
}

/* false: there is no room for its tags. */
static bool apply(const struct rule *rule, struct rule_outcome *out)
{
    const struct rule_actions *then = &rule->then;
    out->matched++;
    demand(&out->encrypt, &out->encrypt_rule, then->encrypt, rule);
    demand(&out->sign, &out->sign_rule, then->sign, rule);
    first(&out->methods, then->methods);
    first(&out->route, then->route);
    out->quarantine = out->quarantine || then->quarantine;
    if (then->refuse.len > 0) {
        out->refuse = then->refuse;
        out->refuse_rule = rule->name;
    }
    if (then->tag_count > RULE_TAGS_MAX - out->tag_count) {
        return false;
    }
    for (size_t i = 0; i < then->tag_count; i++) {
        out->tags[out->tag_count++] = then->tags[i];
    }
    return true;
}

static enum status set_broken(struct rule_run *run, const struct rule *rule, struct slice why,
                              struct rule_outcome *out, struct failure *f)
{
    const char *text = arena_printf(run->arena, "the rule %.*s cannot be evaluated: %.*s",
                                    SLICE_ARGS(rule->name), SLICE_ARGS(why));
    out->broken = slice_of_text(text != NULL ? text : "a rule cannot be evaluated: there is no memory");
    if (run->store.status != STATUS_OK) {
        return failure_set(f, run->store.status, "%s", run->store.text);
    }
    return text != NULL ? STATUS_OK : failure_set(f, STATUS_NO_MEMORY, "no memory for a rule's failure");
}

/* --- the trace --- */

#define SHOWN_MAX 200 /* bytes of a condition in a trace */

static struct slice shown(const struct rule_condition *c)
{
    return slice_of(c->shown.data, c->shown.len < SHOWN_MAX ? c->shown.len : SHOWN_MAX);
}

/* A quarter of the room is kept for those that did more than not match; the one that ends the list always
 * has its place. */
static bool has_room(const struct rule_run *run, const struct rule *rule, enum rule_truth got,
                     const struct json_writer *w)
{
    size_t used = w->out->len - run->trace_start;
    bool ends = got == RULE_ERROR || (got == RULE_TRUE && (rule->then.stop || rule->then.refuse.len > 0));
    return ends || used < (got == RULE_FALSE ? RULE_TRACE_BYTES / 4 * 3 : RULE_TRACE_BYTES);
}

static void trace(struct rule_run *run, const struct rule *rule, enum rule_truth got, struct slice broken,
                  struct json_writer *w)
{
    bool all = (run->flags & RULE_TRACE_ALL) != 0;
    if (w == NULL || (got == RULE_FALSE && !all)) {
        return;
    }
    if (!has_room(run, rule, got, w)) {
        run->trace_omitted++;
        return;
    }
    json_open_object(w, NULL);
    json_put_text(w, "rule", rule->name);
    json_put_bool(w, "matched", got == RULE_TRUE);
    if (got == RULE_ERROR) {
        json_put_text(w, "broken", broken);
    } else if (got == RULE_UNKNOWN && run->unknown != NULL) {
        json_put_text(w, "unknown", shown(run->unknown));
    } else if (got == RULE_FALSE && run->last != NULL) {
        /* Evaluation ended with the condition that settled it. */
        const char *text =
            arena_printf(run->arena, "%s: %.*s", run->last_truth == RULE_TRUE ? "true" : "not true",
                         SLICE_ARGS(shown(run->last)));
        json_put_text(w, "because", slice_of_text(text != NULL ? text : ""));
    }
    json_close_object(w);
}

static enum rule_truth ask_rule(struct rule_run *run, size_t position)
{
    const struct rule *rule = &run->set->rules[position];
    run->last = run->unknown = NULL;
    if (rule->broken.len > 0) {
        run->why = rule->broken;
        return RULE_ERROR;
    }
    /* Who asks why gets the whole evaluation. */
    if ((run->flags & RULE_TRACE_ALL) == 0 && !can_match(run, position)) {
        return RULE_FALSE;
    }
    run->unknown = NULL;
    enum rule_truth got = evaluate(run, rule, rule->when.root);
    if (run->standings[position] == STANDING_UNKNOWN) {
        run->standings[position] = rule->when.asks_recipient ? STANDING_SEEN
                                   : got == RULE_FALSE       ? STANDING_NEVER
                                                             : STANDING_ASK;
    }
    return got;
}

/* One rule, and what follows. *ends: no rule behind it counts. */
static enum status ask_one(struct rule_run *run, size_t position, struct rule_outcome *out,
                           struct json_writer *w, bool *ends, struct failure *f)
{
    const struct rule *rule = &run->set->rules[position];
    enum rule_truth got = ask_rule(run, position);
    struct slice why = run->why;
    if (got == RULE_TRUE && !apply(rule, out)) {
        got = RULE_ERROR;
        why = SLICE_LITERAL("there are too many tags");
    }
    trace(run, rule, got, why, w);
    *ends = got == RULE_ERROR || (got == RULE_TRUE && (rule->then.stop || out->refuse.len > 0));
    return got == RULE_ERROR ? set_broken(run, rule, why, out, f) : STATUS_OK;
}

/* Whoever asks why is told of each rule. */
static void find_candidates(const struct rule_run *run, struct slice recipient, struct rule_bits *out)
{
    *out = run->open;
    if ((run->flags & RULE_TRACE_ALL) == 0) {
        rule_index_find(run->set, OPERAND_RECIPIENT, recipient, out);
        return;
    }
    for (size_t i = 0; i < run->set->rule_count; i++) {
        rule_bits_set(out, i);
    }
}

static enum status ask_all(struct rule_run *run, struct slice recipient, struct rule_outcome *out,
                           struct json_writer *w, struct failure *f)
{
    struct rule_bits candidates;
    enum status status = STATUS_OK;
    bool ends = false;
    find_candidates(run, recipient, &candidates);
    for (size_t i = 0; i < run->set->rule_count && !ends; i += 64) {
        uint64_t *word = &candidates.words[i / 64];
        while (*word != 0 && !ends) {
            size_t position = i + (size_t)__builtin_ctzll(*word);
            *word &= *word - 1;
            status = ask_one(run, position, out, w, &ends, f);
            if (run->standings[position] == STANDING_NEVER) {
                rule_bits_clear(&run->open, position);
            }
        }
    }
    return status;
}

enum status rule_run_recipient(struct rule_run *run, struct slice recipient, struct rule_outcome *out,
                               struct json_writer *w, struct failure *f)
{
    *out = (struct rule_outcome){0};
    run->addresses[OPERAND_RECIPIENT] = recipient;
    run->domains[OPERAND_RECIPIENT] = address_domain(recipient);
    run->groups[OPERAND_RECIPIENT].known = false;
    run->has_recipient = true;
    run->trace_omitted = 0;
    if (w != NULL) {
        run->trace_start = w->out->len;
        json_open_array(w, "rules_asked");
    }
    enum status status = ask_all(run, recipient, out, w, f);
    if (w != NULL) {
        json_close_array(w);
    }
    if (run->trace_omitted > 0) {
        json_put_number(w, "rules_omitted", run->trace_omitted);
    }
    return status;
}

enum status rule_run_begin(struct ruleset *set, const struct rule_subject *subject, struct store_view *view,
                           unsigned flags, struct arena *a, struct rule_run **out)
{
    struct rule_run *run = arena_alloc(a, sizeof *run);
    *out = run;
    if (run == NULL) {
        return STATUS_NO_MEMORY;
    }
    run->set = set;
    run->subject = subject;
    run->view = view;
    run->arena = a;
    run->flags = flags;
    run->truths = arena_alloc_array(a, set->condition_count + 1, 1);
    run->standings = arena_alloc_array(a, set->rule_count + 1, 1);
    run->addresses[OPERAND_ENVELOPE_SENDER] = subject->envelope_sender;
    run->addresses[OPERAND_FROM] = subject->from;
    run->addresses[OPERAND_SENDER] = subject->from.len > 0 ? subject->from : subject->envelope_sender;
    run->field_places = arena_alloc_array(a, set->field_count + 1, sizeof run->field_places[0]);
    run->open = set->index.unfiled;
    for (unsigned i = 0; i < OPERAND_RECIPIENT; i++) {
        run->domains[i] = address_domain(run->addresses[i]);
        rule_index_find(set, (enum rule_operand)i, run->addresses[i], &run->open);
    }
    return run->truths == NULL || run->standings == NULL || run->field_places == NULL ? STATUS_NO_MEMORY
                                                                                      : STATUS_OK;
}
