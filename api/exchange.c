/*
 * See exchange.h: the driver. One function runs a step and acts on its outcome; callbacks of the server only
 * note what came and call it.
 */
#include "api/exchange.h"

#include "api/problem.h"
#include "base/clock.h"
#include "base/log.h"
#include "mail/rule.h"

#include <stdarg.h>

struct exchange *exchange_new(struct api *api, const struct api_route *route)
{
    struct exchange *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        abort();
    }
    x->id = ++api->next_exchange;
    x->api = api;
    x->route = route;
    x->started_ms = clock_monotonic_ms();
    x->answer = (struct buf){.max = EXCHANGE_ANSWER_MAX, .wipe = true};
    arena_init(&x->arena, EXCHANGE_ARENA_MAX);
    return x;
}

void exchange_free(struct exchange *x)
{
    if (x == NULL) {
        return;
    }
    if (x->view != NULL) {
        trust_look_in(x->api->trust, NULL); /* it may look in this view */
    }
    store_view_end(x->view);
    bus_request_free(x->question);
    if (x->job != NULL) {
        x->job->free(x->job);
    }
    for (size_t i = 0; i < x->write_count; i++) {
        buf_release(&x->writes[i].command);
    }
    free(x->writes);
    json_decref(x->body);
    buf_release(&x->answer);
    arena_release(&x->arena);
    free(x);
}

/* --- outcomes --- */

struct store_view *exchange_view(struct exchange *x)
{
    struct failure f = {.status = STATUS_OK};
    if (x->view != NULL) {
        return x->view;
    }
    if (x->api->store == NULL) {
        exchange_failf(x, STATUS_UNAVAILABLE, "this node is starting: its store is not open yet");
        return NULL;
    }
    if (store_view_begin(x->api->store, &x->view, &f) != STATUS_OK) {
        x->view = NULL;
        exchange_fail(x, &f);
    }
    return x->view;
}

static void answer_json(struct exchange *x, int http_status, const char *content_type, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    x->outcome = EXCHANGE_ANSWER;
    x->http_status = http_status;
    x->content_type = content_type;
    buf_reset(&x->answer);
    if (text == NULL || buf_append_text(&x->answer, text) != STATUS_OK) {
        buf_reset(&x->answer);
        x->http_status = 500;
        log_event(LOG_ERROR, "an answer of the API is too large", LOG_TEXT("operation", x->route->operation));
    }
    if (text != NULL) {
        secret_wipe(text, strlen(text)); /* a token may be in it */
        free(text);
    }
    json_decref(body);
}

void exchange_answer(struct exchange *x, json_t *body)
{
    answer_json(x, x->route->success, "application/json", body);
}

void exchange_answer_text(struct exchange *x, const char *content_type, struct buf *text)
{
    x->outcome = EXCHANGE_ANSWER;
    x->http_status = x->route->success;
    x->content_type = content_type;
    buf_release(&x->answer);
    x->answer = *text;
    *text = BUF_INIT(0);
}

void exchange_answer_of(struct exchange *x, struct exchange *inner)
{
    if (inner->outcome != EXCHANGE_ANSWER) {
        exchange_failf(x, STATUS_INTERNAL, "the request was left without an answer");
        return;
    }
    x->outcome = EXCHANGE_ANSWER;
    x->http_status = inner->http_status;
    x->content_type = inner->content_type;
    buf_release(&x->answer);
    x->answer = inner->answer;
    inner->answer = BUF_INIT(0);
}

void exchange_fail_field(struct exchange *x, const struct failure *f, const char *field)
{
    int http_status = x->http_override != 0 ? x->http_override : status_http_code(f->status);
    x->sign_in = f->status == STATUS_UNAUTHENTICATED;
    json_t *problem = problem_make(f->status, http_status, f->text, field);
    if (x->missing_permission != NULL) {
        problem_add_permission(problem, x->missing_permission, x->role);
    }
    answer_json(x, http_status, PROBLEM_TYPE, problem);
}

void exchange_fail(struct exchange *x, const struct failure *f)
{
    exchange_fail_field(x, f, NULL);
}

void exchange_failf(struct exchange *x, enum status status, const char *format, ...)
{
    struct failure f = {.status = status};
    va_list args;
    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above starts it */
    if (vsnprintf(f.text, sizeof(f.text), format, args) < 0) {
        f.text[0] = '\0';
    }
    va_end(args);
    exchange_fail(x, &f);
}

struct bus_request *exchange_ask(struct exchange *x, enum bus_service service, unsigned type,
                                 exchange_step next)
{
    bus_request_free(x->question);
    x->question = bus_request_new(x->id, service, type, EXCHANGE_TIMEOUT_MS);
    x->outcome = EXCHANGE_ASK;
    x->next = next;
    x->needs_ok = false;
    return x->question;
}

struct bus_request *exchange_need(struct exchange *x, enum bus_service service, unsigned type,
                                  exchange_step next)
{
    struct bus_request *question = exchange_ask(x, service, type, next);
    x->needs_ok = true;
    return question;
}

void exchange_run_job(struct exchange *x, struct api_job *job, exchange_step next)
{
    job->exchange = x->id;
    x->job = job;
    x->outcome = EXCHANGE_JOB;
    x->next = next;
}

/* --- writes --- */

void exchange_command(struct exchange *x, struct command *c, enum command_number number)
{
    command_init(c, number, clock_wall_ms(), slice_of_text(x->actor));
}

enum status exchange_write_add(struct exchange *x, const struct command *c, struct failure *f)
{
    enum status status = command_check(c, f);
    if (status != STATUS_OK) {
        return status;
    }
    if (x->writes == NULL && (x->writes = calloc(EXCHANGE_WRITES_MAX, sizeof(*x->writes))) == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "there is no memory for the changes");
    }
    if (x->write_count == EXCHANGE_WRITES_MAX) {
        return failure_set(f, STATUS_TOO_LARGE, "one request can make at most %d changes",
                           EXCHANGE_WRITES_MAX);
    }
    struct exchange_write *w = &x->writes[x->write_count];
    w->command = (struct buf){.max = COMMAND_MAX, .wipe = true};
    if ((status = command_encode(c, &w->command)) != STATUS_OK) {
        buf_release(&w->command);
        return failure_set(f, status, "%s",
                           status == STATUS_TOO_LARGE ? "it is too large for one change"
                                                      : status_text(status));
    }
    x->write_count++;
    return STATUS_OK;
}

void exchange_write_run(struct exchange *x, bool stop_at_failure, exchange_step next)
{
    x->stop_at_failure = stop_at_failure;
    x->next = next;
    x->write_at = 0;
    x->outcome = EXCHANGE_WRITE;
}

void exchange_writes_clear(struct exchange *x)
{
    for (size_t i = 0; i < x->write_count; i++) {
        buf_release(&x->writes[i].command);
        x->writes[i] = (struct exchange_write){.done = false};
    }
    x->write_count = 0;
}

void exchange_write_one(struct exchange *x, const struct command *c, exchange_step next)
{
    struct failure f = {.status = STATUS_OK};
    if (exchange_write_add(x, c, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    exchange_write_run(x, true, next);
}

/* --- the driver --- */

static void run(struct exchange *x, exchange_step step, const struct bus_answer *answer);

static void write_submit(struct exchange *x)
{
    struct exchange_write *w = &x->writes[x->write_at];
    struct bus_request *r = bus_request_new(x->id, BUS_PROPOSE, 0, EXCHANGE_TIMEOUT_MS);
    if (buf_append_slice(&r->arguments, buf_slice(&w->command)) != STATUS_OK) {
        abort(); /* a command is smaller than a request's arguments */
    }
    x->api->submit(x->api, x, r);
}

static void writes_end(struct exchange *x)
{
    if (x->index > 0) {
        x->api->wait_for_index(x->api, x);
    } else {
        exchange_index_reached(x);
    }
}

static void write_answered(struct exchange *x, const struct bus_answer *answer)
{
    struct exchange_write *w = &x->writes[x->write_at++];
    w->done = true;
    w->status = answer->status;
    memcpy(w->text, answer->text, sizeof(w->text));
    if (answer->status == STATUS_OK && answer->index > x->index) {
        x->index = answer->index;
    }
    if (answer->status != STATUS_OK && x->stop_at_failure) {
        writes_end(x);
        return;
    }
    if (status_retryable(answer->status)) { /* no leader, say: the others would wait as long for nothing */
        for (; x->write_at < x->write_count; x->write_at++) {
            struct exchange_write *untried = &x->writes[x->write_at];
            untried->status = answer->status;
            memcpy(untried->text, answer->text, sizeof(untried->text));
        }
    }
    if (x->write_at == x->write_count) {
        writes_end(x);
    } else {
        write_submit(x);
    }
}

static void submit_question(struct exchange *x)
{
    struct bus_request *question = x->question;
    x->question = NULL;
    x->api->submit(x->api, x, question);
}

static void submit_job(struct exchange *x)
{
    struct api_job *job = x->job;
    x->job = NULL;
    if (job == NULL) {
        exchange_refuse(x, STATUS_INTERNAL, "the request was left without an answer");
        return;
    }
    enum status status = x->api->start_job(x->api, x, job);
    if (status != STATUS_OK) {
        job->free(job);
        exchange_refuse(x, status, "too many long requests are being worked on; try again soon");
    }
}

static void act(struct exchange *x)
{
    if (x->view != NULL) {
        trust_look_in(x->api->trust, NULL); /* it may look in this view */
    }
    store_view_end(x->view);
    x->view = NULL;
    switch (x->outcome) {
    case EXCHANGE_ANSWER:
        x->api->answered(x->api, x);
        return;
    case EXCHANGE_ASK:
        submit_question(x);
        return;
    case EXCHANGE_WRITE:
        if (x->write_count == 0) {
            writes_end(x);
        } else {
            write_submit(x);
        }
        return;
    case EXCHANGE_JOB:
        submit_job(x);
        return;
    case EXCHANGE_NOTHING:
        break;
    }
    exchange_refuse(x, STATUS_INTERNAL, "the request was left without an answer");
}

static void run(struct exchange *x, exchange_step step, const struct bus_answer *answer)
{
    x->outcome = EXCHANGE_NOTHING;
    step(x, answer);
    act(x);
}

void exchange_refuse(struct exchange *x, enum status status, const char *text)
{
    struct failure f = {.status = status};
    memccpy(f.text, text, '\0', sizeof(f.text) - 1);
    exchange_fail(x, &f);
    act(x);
}

void exchange_index_reached(struct exchange *x)
{
    if (x->stop_at_failure) {
        for (size_t i = 0; i < x->write_count && x->writes[i].done; i++) {
            if (x->writes[i].status != STATUS_OK) {
                const char *text = x->writes[i].text;
                exchange_refuse(x, x->writes[i].status,
                                text[0] != '\0' ? text : status_text(x->writes[i].status));
                return;
            }
        }
    }
    run(x, x->next, NULL);
}

void exchange_resume(struct exchange *x, const struct bus_answer *answer)
{
    if (x->outcome == EXCHANGE_WRITE) {
        write_answered(x, answer);
        return;
    }
    if (x->needs_ok && answer->status != STATUS_OK) {
        exchange_refuse(x, answer->status,
                        answer->text[0] != '\0' ? answer->text : status_text(answer->status));
        return;
    }
    run(x, x->next, answer);
}

void exchange_job_done(struct exchange *x, struct api_job *job)
{
    x->outcome = EXCHANGE_NOTHING;
    x->done = job;
    x->next(x, NULL);
    x->done = NULL;
    job->free(job); /* a key does not stay in memory for longer than it must */
    act(x);
}

/* --- the start --- */

static void serve(struct exchange *x, const struct bus_answer *answer)
{
    (void)answer;
    x->route->serve(x);
}

/* Query parameters are texts; they are checked as if they stood in a body. */
static bool query_check(struct exchange *x)
{
    struct failure f = {.status = STATUS_OK};
    const char *field = "";
    json_t *object = json_object();
    for (size_t i = 0; i < x->query.count; i++) {
        const struct query_parameter *p = &x->query.parameters[i];
        const struct api_field *known = api_object_field(x->route->query, slice_of_text(p->name));
        uint64_t number;
        if (strcmp(p->name, "barrier") == 0) {
            continue;
        }
        json_t *value = known != NULL && known->type == API_NUMBER &&
                                slice_parse_u64(slice_of_text(p->value), &number) && number <= INT64_MAX
                            ? json_integer((json_int_t)number)
                            : json_string(p->value);
        json_object_set_new(object, p->name, value);
    }
    bool none = x->route->query == NULL;
    if (none && json_object_size(object) > 0) {
        failure_set(&f, STATUS_UNKNOWN_FIELD, "this request knows no query parameter but \"barrier\"");
        exchange_fail_field(x, &f, json_object_iter_key(json_object_iter(object)));
    } else if (!none && api_body_check(x->route->query, object, &field, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, field);
    } else {
        json_decref(object);
        return true;
    }
    json_decref(object);
    return false;
}

static bool body_check(struct exchange *x, struct slice body)
{
    struct failure f = {.status = STATUS_OK};
    const char *field = "";
    if (body.len > API_BODY_MAX) {
        exchange_failf(x, STATUS_TOO_LARGE, "the body is too large: at most %zu bytes", API_BODY_MAX);
        return false;
    }
    if (body.len > 0 && api_json_parse(body, &x->body, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return false;
    }
    if (api_body_check(x->route->request, x->body, &field, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, field);
        return false;
    }
    return true;
}

void exchange_start(struct exchange *x, struct slice body)
{
    const char *barrier = query_get(&x->query, "barrier");
    if (!query_check(x) || !body_check(x, body)) {
        act(x);
        return;
    }
    if (barrier != NULL && strcmp(barrier, "true") != 0 && strcmp(barrier, "false") != 0) {
        exchange_refuse(x, STATUS_INVALID, "barrier: must be true or false");
        return;
    }
    if (barrier != NULL && strcmp(barrier, "true") == 0) {
        (void)exchange_need(x, BUS_CORE, CORE_BARRIER, serve);
        act(x);
        return;
    }
    run(x, serve, NULL);
}

/* --- the shared state --- */

enum status api_keys_refresh(struct api *api, struct store_view *view, struct failure *f)
{
    struct cluster_record cluster;
    if (store_cluster_get(view, &cluster) != STATUS_OK) {
        return failure_set(f, STATUS_UNAVAILABLE, "the cluster's record cannot be read yet");
    }
    if (api->keyring.has_data_key &&
        slice_equal(cluster.data_key_id,
                    slice_of(api->keyring.data_key_id, sizeof(api->keyring.data_key_id)))) {
        return STATUS_OK;
    }
    return keyring_load(&api->keyring, cluster.data_key_id, cluster.data_key, f);
}

enum status api_trust_refresh(struct api *api, struct store_view *view, struct failure *f)
{
    uint64_t generation = store_trust_generation(view);
    struct trust *trust = NULL;
    if (api->trust != NULL && generation == api->trust_generation) {
        trust_look_in(api->trust, view);
        return STATUS_OK;
    }
    enum status status = trust_load(view, &trust, f);
    if (status == STATUS_OK) {
        trust_free(api->trust);
        api->trust = trust;
        api->trust_generation = generation;
    }
    return status;
}

enum status api_rules_refresh(struct api *api, struct store_view *view, struct failure *f)
{
    uint64_t generation = store_policy_generation(view);
    struct ruleset *rules = NULL;
    if (api->rules != NULL && generation == api->policy_generation) {
        return STATUS_OK;
    }
    enum status status = ruleset_load(view, &rules, f);
    if (status == STATUS_OK) {
        ruleset_free(api->rules);
        api->rules = rules;
        api->policy_generation = generation;
    }
    return status;
}
