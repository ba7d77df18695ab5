/*
 * /v1/fetch: what is fetched on schedule, and fetching it now. Only the leading node fetches; any node
 * answers, by way of core, which asks the fetch role of each node (node/core_messages.c). A node that does
 * not answer is named with the reason.
 */
#include "api/node_answer.h"
#include "api/resources.h"
#include "base/msgpack_write.h"
#include "mail/fetch_protocol.h"

static const struct api_field source_fields[] = {
    {.name = "kind", .type = API_TEXT, .flags = API_REQUIRED, .choices = "crl|delta-crl|ocsp"},
    {.name = "url", .type = API_TEXT, .flags = API_REQUIRED, .help = "of the list, or of the responder"},
    {.name = "about",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "the issuer of the list; how many certificates the responder is asked about"},
    {.name = "state", .type = API_TEXT, .flags = API_REQUIRED, .choices = "due|fetching|ok|failed"},
    {.name = "succeeded",
     .type = API_TIME,
     .help = "when it went well last; null: not since this node leads"},
    {.name = "failed", .type = API_TIME, .help = "when it failed last; null: not since this node leads"},
    {.name = "error", .type = API_TEXT, .flags = API_REQUIRED, .help = "why it failed last"},
    {.name = "next", .type = API_TIME, .help = "when it is asked next; null: now"},
    {.name = "failures", .type = API_NUMBER, .flags = API_REQUIRED, .help = "in a row"},
};
static const struct api_object source_object = {
    .name = "FetchSource", .help = "A revocation list or an OCSP responder.", API_FIELDS(source_fields)};

static const struct api_field silent_fields[] = {
    {.name = "node", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "reason", .type = API_TEXT, .flags = API_REQUIRED},
};
static const struct api_object silent_object = {
    .name = "FetchSilentNode", .help = "A node whose fetch role does not answer.", API_FIELDS(silent_fields)};

static const struct api_field fetch_fields[] = {
    {.name = "node", .type = API_TEXT, .help = "which fetches: the one that leads; null: none says so now"},
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &source_object},
    {.name = "left_out", .type = API_NUMBER, .flags = API_REQUIRED, .help = "sources that do not fit here"},
    {.name = "silent", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &silent_object},
};
const struct api_object fetch_object = {
    .name = "Fetch", .help = "What is fetched on schedule.", API_FIELDS(fetch_fields)};

static const struct api_field now_fields[] = {
    {.name = "url",
     .type = API_TEXT,
     .max = FETCH_URL_MAX,
     .help = "of a list or responder, as GET shows it; absent: all of them"},
};
const struct api_object fetch_now_request_object = {.name = "FetchNowRequest", API_FIELDS(now_fields)};

static const struct api_field due_fields[] = {
    {.name = "due", .type = API_NUMBER, .flags = API_REQUIRED, .help = "sources that are asked now"},
};
const struct api_object fetch_due_object = {.name = "FetchDue", API_FIELDS(due_fields)};

static void ask(struct exchange *x, enum fetch_request_type type, struct slice args, size_t count,
                exchange_step next)
{
    struct msgpack_writer w;
    struct bus_request *r = exchange_need(x, BUS_CORE, CORE_MESSAGES, next);
    msgpack_writer_init(&w, &r->arguments);
    write_u64(&w, CORE_ASK_FETCH + (uint64_t)type);
    write_bytes(&w, args);
    write_u64(&w, count);
    r->argument_count = 3;
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    }
}

/* --- what there is --- */

static json_t *source_to_json(const struct fetch_source *s)
{
    json_t *object = json_object();
    json_put(object, "kind", json_of_slice(s->kind));
    json_put(object, "url", json_of_slice(s->url));
    json_put(object, "about", json_of_slice(s->about));
    json_put(object, "state", json_of_slice(s->state));
    json_put(object, "succeeded", json_of_time(s->fetched_ms));
    json_put(object, "failed", json_of_time(s->failed_ms));
    json_put(object, "error", json_of_slice(s->error));
    json_put(object, "next", json_of_time(s->next_ms));
    json_put(object, "failures", json_of_number(s->failures));
    return object;
}

/* [ leads, left out, [ source, ... ] ]: those of the node that leads. */
static bool sources_read(const struct node_answer *n, json_t *object, json_t *items)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, n->body);
    (void)read_array(&r, 3);
    bool leads = read_bool(&r);
    uint64_t left_out = read_u64(&r);
    size_t count = read_array(&r, FETCH_SOURCES_MAX);
    for (size_t i = 0; i < count && msgpack_reader_status(&r, false) == STATUS_OK; i++) {
        struct fetch_source source;
        fetch_source_read(&r, &source);
        if (msgpack_reader_status(&r, false) == STATUS_OK) {
            json_array_append_new(items, source_to_json(&source));
        }
    }
    if (msgpack_reader_status(&r, true) == STATUS_OK && leads) {
        json_put(object, "node", json_of_slice(n->node));
        json_put(object, "left_out", json_of_number(left_out));
    }
    return msgpack_reader_status(&r, true) == STATUS_OK;
}

static void state_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    json_t *object = json_object(), *items = json_array(), *silent = json_array();
    json_put(object, "node", json_null());
    json_put(object, "items", items);
    json_put(object, "left_out", json_of_number(0));
    json_put(object, "silent", silent);
    msgpack_reader_init(&r, buf_slice(&answer->body));
    size_t nodes = read_array(&r, CORE_NODES_MAX);
    for (size_t i = 0; i < nodes; i++) {
        struct node_answer n;
        if (!node_answer_read(&r, &n)) {
            break;
        }
        if (n.status == STATUS_OK && !sources_read(&n, object, items)) {
            node_answer_spoiled(&n);
        }
        if (n.status != STATUS_OK) {
            json_array_append_new(silent, node_answer_silent(&n));
        }
    }
    if (msgpack_reader_status(&r, false) != STATUS_OK) {
        json_decref(object);
        exchange_failf(x, STATUS_INTERNAL, "core's answer cannot be read");
        return;
    }
    exchange_answer(x, object);
}

void fetch_get(struct exchange *x)
{
    ask(x, FETCH_LIST, SLICE_LITERAL(""), 0, state_answer);
}

/* --- now --- */

static void now_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    struct node_answer told = {.status = STATUS_NOT_LEADER}; /* by the one that leads, if any does */
    uint64_t due = 0;
    msgpack_reader_init(&r, buf_slice(&answer->body));
    size_t nodes = read_array(&r, CORE_NODES_MAX);
    for (size_t i = 0; i < nodes; i++) {
        struct node_answer n;
        if (!node_answer_read(&r, &n)) {
            break;
        }
        if (n.status == STATUS_OK || n.status == STATUS_NOT_FOUND) {
            told = n;
        }
    }
    if (told.status == STATUS_OK) {
        struct msgpack_reader body;
        msgpack_reader_init(&body, told.body);
        due = read_u64(&body);
        told.status = msgpack_reader_status(&body, true);
    }
    if (told.status == STATUS_OK) {
        json_t *object = json_object();
        json_put(object, "due", json_of_number(due));
        exchange_answer(x, object);
    } else if (told.status == STATUS_NOT_FOUND) {
        exchange_failf(x, STATUS_NOT_FOUND, "%.*s", SLICE_ARGS(told.text));
    } else {
        exchange_failf(x, STATUS_UNAVAILABLE, "no fetch role that leads answers now; try again");
    }
}

void fetch_now(struct exchange *x)
{
    struct buf args = BUF_INIT(FETCH_URL_MAX + 64);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &args);
    write_text(&w, api_body_text(x->body, "url"));
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    } else {
        ask(x, FETCH_NOW, buf_slice(&args), 1, now_answer);
    }
    buf_release(&args);
}
