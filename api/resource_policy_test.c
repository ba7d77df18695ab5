/*
 * POST /v1/policy/test: an administrator's table of expectations against the policy in force, or against one
 * that is proposed: other settings (`with`), another list of rules (`rules`). Each case is decided by the
 * very function that decides about mail, on this node's present state; nothing is changed.
 *
 * 500 cases with messages may take seconds, so they run on the job thread. The job has an exchange of its own
 * that nobody waits for, with a view, trust and rules that belong to it alone; what that one answers becomes
 * the answer of the exchange on the loop.
 */
#include "api/json_out.h"
#include "api/policy_question.h"
#include "api/resources.h"
#include "mail/policy_expectation.h"

#define CASES_MAX      500
#define CASE_ARENA_MAX ((size_t)16 << 20)

static const struct api_field case_fields[] = {
    POLICY_QUESTION_FIELDS,
    {.name = "line", .type = API_NUMBER, .help = "of the table; the answer names it"},
    {.name = "expect",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = EXPECTATION_MAX,
     .help =
         "encrypt, sign or encrypt+sign (and by which method), plain, incoming, quarantine, or refuse (and "
         "what is in the reason)"},
};
static const struct api_object case_object = {.name = "PolicyTestCase", API_FIELDS(case_fields)};

static const struct api_field rule_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED, .min = 1, .max = RULE_NAME_MAX},
    {.name = "when", .type = API_TEXT, .flags = API_REQUIRED, .min = 1, .max = RULE_WHEN_MAX},
    {.name = "then", .type = API_TEXT, .flags = API_REQUIRED, .min = 1, .max = RULE_THEN_MAX},
    {.name = "enabled", .type = API_BOOL, .help = "false: it is not asked"},
    {.name = "number", .type = API_NUMBER, .help = "as in the list of rules; not looked at"},
    {.name = "comment", .type = API_TEXT, .max = RULE_COMMENT_MAX, .help = "not looked at"},
    {.name = "changed", .type = API_TEXT, .max = 64, .help = "not looked at"},
    {.name = "broken", .type = API_TEXT, .max = FAILURE_TEXT_MAX, .help = "not looked at"},
};
static const struct api_object proposed_rule_object = {.name = "ProposedRule", API_FIELDS(rule_fields)};

static const struct api_field request_fields[] = {
    {.name = "cases",
     .type = API_OBJECTS,
     .flags = API_REQUIRED,
     .object = &case_object,
     .help = "at most 500"},
    {.name = "with",
     .type = API_TEXTS,
     .max = SETTING_VALUE_MAX + ADDRESS_MAX + 64,
     .help = "settings to suppose in every case that names none: [SCOPE:]NAME=VALUE"},
    {.name = "rules",
     .type = API_OBJECTS,
     .object = &proposed_rule_object,
     .help = "rules in place of those in force, in this order; as the list of rules gives them"},
};
const struct api_object policy_test_request_object = {.name = "PolicyTestRequest",
                                                      API_FIELDS(request_fields)};

static const struct api_field result_fields[] = {
    {.name = "line", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "result", .type = API_TEXT, .flags = API_REQUIRED, .choices = "ok|FAILED"},
    {.name = "expect", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "got", .type = API_TEXT, .flags = API_REQUIRED, .help = "in the words of `expect`"},
    {.name = "to", .type = API_TEXT, .flags = API_REQUIRED, .help = "the recipient of whom it tells"},
};
static const struct api_object result_object = {.name = "PolicyTestResult", API_FIELDS(result_fields)};

static const struct api_field answer_fields[] = {
    {.name = "passed", .type = API_BOOL, .flags = API_REQUIRED, .help = "all are as they were expected"},
    {.name = "cases", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "failed", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &result_object},
};
const struct api_object policy_test_object = {.name = "PolicyTest", API_FIELDS(answer_fields)};

/* --- what is proposed --- */

/* NULL: the exchange was failed. */
static struct ruleset *proposed_rules(struct exchange *x, struct store_view *view)
{
    struct ruleset *set;
    size_t i;
    json_t *rule;
    if (ruleset_new(&set) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the rules");
        return NULL;
    }
    json_array_foreach(json_object_get(x->body, "rules"), i, rule)
    {
        struct failure why = {.status = STATUS_OK};
        struct slice name = api_body_text(rule, "name");
        if (json_is_false(json_object_get(rule, "enabled"))) {
            continue;
        }
        enum status status = record_name_check(name, "a rule", &why);
        if (status == STATUS_OK) {
            status =
                ruleset_add(set, view, name, api_body_text(rule, "when"), api_body_text(rule, "then"), &why);
        }
        if (status != STATUS_OK || why.status != STATUS_OK) {
            failure_wrap(&why, why.status, "rules: entry %zu", i + 1);
            exchange_fail_field(x, &why, "rules");
            ruleset_free(set);
            return NULL;
        }
    }
    return set;
}

/* --- the cases --- */

struct testing {
    struct exchange *x;
    struct store_view *view;
    struct ruleset *rules;
    json_t *items;
    uint64_t failed;
};

static void note_result(struct testing *t, uint64_t line, struct slice expect, struct slice got,
                        struct slice to, bool passed)
{
    json_t *item = json_object();
    json_put(item, "line", json_of_number(line));
    json_put(item, "result", json_string(passed ? "ok" : "FAILED"));
    json_put(item, "expect", json_of_slice(expect));
    json_put(item, "got", json_of_slice(got));
    json_put(item, "to", json_of_slice(to));
    json_array_append_new(t->items, item);
    t->failed += !passed;
}

/* The first recipient who is not treated as expected; of all, the first. */
static bool judge(struct testing *t, uint64_t line, struct slice expect, const struct policy_decision *d)
{
    struct failure f;
    struct expectation e;
    struct buf got = BUF_INIT(2048);
    const struct policy_recipient *shown = &d->recipients[0];
    bool passed = true;
    if (expectation_read(expect, &e, &f) != STATUS_OK) {
        failure_wrap(&f, f.status, "line %llu", (unsigned long long)line);
        exchange_fail_field(t->x, &f, "cases");
        return false;
    }
    for (size_t i = 0; i < d->recipient_count && passed; i++) {
        shown = &d->recipients[i];
        passed = expectation_meets(&e, shown);
    }
    shown = passed ? &d->recipients[0] : shown;
    if (expectation_describe(shown, &got) != STATUS_OK) {
        exchange_failf(t->x, STATUS_NO_MEMORY, "there is no memory for the results");
    } else {
        note_result(t, line, expect, buf_slice(&got), shown->address, passed);
    }
    buf_release(&got);
    return t->x->outcome == EXCHANGE_NOTHING;
}

/* Names the line, which policy_question_read() does not know. */
static bool addresses_are_right(struct exchange *x, const json_t *one, uint64_t line)
{
    char normal[ADDRESS_MAX + 1];
    struct failure f = {.status = STATUS_OK};
    struct slice from = api_body_text(one, "from");
    size_t i;
    json_t *to;
    enum status status = from.len > 0 ? address_normalise(from, normal, &f) : STATUS_OK;
    json_array_foreach(json_object_get(one, "to"), i, to)
    {
        if (status == STATUS_OK) {
            status = address_normalise(slice_of(json_string_value(to), json_string_length(to)), normal, &f);
        }
    }
    if (status != STATUS_OK) {
        failure_wrap(&f, status, "line %llu", (unsigned long long)line);
        exchange_fail_field(x, &f, "cases");
    }
    return status == STATUS_OK;
}

static bool run_case(struct testing *t, json_t *one, uint64_t line)
{
    struct policy_question q = {.recipients = NULL};
    struct policy_decision decision;
    struct failure f = {.status = STATUS_OK};
    struct arena a;
    json_t *with = json_object_get(t->x->body, "with");
    if (!addresses_are_right(t->x, one, line)) {
        return false;
    }
    if (with != NULL && json_object_get(one, "with") == NULL) {
        json_object_set(one, "with", with);
    }
    arena_init(&a, CASE_ARENA_MAX);
    bool good = policy_question_read(t->x, one, &q);
    if (good) {
        q.facts.rules = t->rules;
        q.facts.flags &= ~(unsigned)POLICY_TELL_ALL;
        good = policy_decide(t->view, t->x->api->trust, &q.facts, q.recipients, q.recipient_count, &a,
                             &decision, &f) == STATUS_OK;
        if (!good) {
            failure_wrap(&f, f.status, "line %llu", (unsigned long long)line);
            exchange_fail(t->x, &f);
        }
    }
    good = good && judge(t, line, api_body_text(one, "expect"), &decision);
    policy_question_release(&q);
    arena_release(&a);
    return good;
}

static void run_cases(struct testing *t)
{
    json_t *cases = json_object_get(t->x->body, "cases"), *one, *answer;
    size_t i;
    t->items = json_array();
    json_array_foreach(cases, i, one)
    {
        if (!run_case(t, one, api_body_number(one, "line", i + 1))) {
            json_decref(t->items);
            return;
        }
    }
    answer = json_object();
    json_put(answer, "passed", json_boolean(t->failed == 0));
    json_put(answer, "cases", json_of_number(i));
    json_put(answer, "failed", json_of_number(t->failed));
    json_put(answer, "items", t->items);
    exchange_answer(t->x, answer);
}

/* --- the job --- */

struct test_job {
    struct api_job super;
    struct api own; /* store borrowed: it is closed after the job thread has ended; trust and rules owned */
    struct exchange *inner;
};

static void test_job_free(struct api_job *job)
{
    struct test_job *j = (struct test_job *)job;
    exchange_free(j->inner);
    trust_free(j->own.trust);
    ruleset_free(j->own.rules);
    free(j);
}

static void run_all(struct exchange *x, struct store_view *view)
{
    struct failure f = {.status = STATUS_OK};
    struct testing t = {.x = x, .view = view};
    struct ruleset *proposed = NULL;
    if (api_trust_refresh(x->api, view, &f) != STATUS_OK ||
        api_rules_refresh(x->api, view, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    t.rules = x->api->rules;
    if (json_object_get(x->body, "rules") != NULL) {
        proposed = proposed_rules(x, view);
        if (proposed == NULL) {
            return;
        }
        t.rules = proposed;
    }
    run_cases(&t);
    ruleset_free(proposed);
}

static void test_job_run(struct api_job *job)
{
    struct test_job *j = (struct test_job *)job;
    struct store_view *view = exchange_view(j->inner);
    if (view == NULL) {
        return;
    }
    run_all(j->inner, view);
    trust_look_in(j->own.trust, NULL);
    store_view_end(view);
    j->inner->view = NULL;
}

static void tested(struct exchange *x, const struct bus_answer *answer)
{
    (void)answer;
    exchange_answer_of(x, ((struct test_job *)x->done)->inner);
}

void policy_test(struct exchange *x)
{
    size_t count = json_array_size(json_object_get(x->body, "cases"));
    if (count == 0 || count > CASES_MAX) {
        exchange_failf(x, STATUS_INVALID, "cases: give 1 to %d, not %zu", CASES_MAX, count);
        return;
    }
    if (exchange_view(x) == NULL) { /* it says why */
        return;
    }
    struct test_job *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the test");
        return;
    }
    j->super.run = test_job_run;
    j->super.free = test_job_free;
    j->own.store = x->api->store;
    j->inner = exchange_new(&j->own, x->route);
    j->inner->body = x->body;
    x->body = NULL;
    exchange_run_job(x, &j->super, tested);
}
