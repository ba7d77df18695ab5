/* /v1/queue: the spool of the node that answers (each node has its own), by way of smtp
 * (smtp/queue_protocol.h). */
#include "api/json_out.h"
#include "api/resources.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "smtp/queue_protocol.h"

#define QUEUE_PAGE_MAX 200
#define QUEUE_ID_MAX   64

static const struct api_field recipient_fields[] = {
    {.name = "address", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "state",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "waiting, delivered, failed or quarantined"},
    {.name = "protection", .type = API_TEXT, .flags = API_REQUIRED, .help = "of the copy that goes to it"},
    {.name = "last_reply",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "of the last attempt; empty if none"},
    {.name = "next_hop", .type = API_TEXT, .flags = API_REQUIRED},
};
static const struct api_object recipient_object = {.name = "QueueRecipient", API_FIELDS(recipient_fields)};

static const struct api_field entry_fields[] = {
    {.name = "id", .type = API_TEXT, .flags = API_REQUIRED, .help = "as in the answer to DATA"},
    {.name = "sender", .type = API_TEXT, .flags = API_REQUIRED, .help = "empty: the null sender"},
    {.name = "state", .type = API_TEXT, .flags = API_REQUIRED, .help = "active, deferred or quarantined"},
    {.name = "size", .type = API_NUMBER, .flags = API_REQUIRED, .help = "bytes"},
    {.name = "attempts", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "arrived", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "next_attempt", .type = API_TIME},
    {.name = "expires", .type = API_TIME, .help = "when it is given up"},
    {.name = "recipients", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &recipient_object},
    {.name = "trace", .type = API_ANY, .help = "how policy decided: see docs/policy.md (not in lists)"},
};
const struct api_object queue_entry_object = {
    .name = "QueueEntry", .help = "A message that waits.", API_FIELDS(entry_fields)};

static const struct api_field queue_fields[] = {
    {.name = "node", .type = API_TEXT, .flags = API_REQUIRED, .help = "whose queue this is"},
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &queue_entry_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object queue_object = {.name = "Queue", API_FIELDS(queue_fields)};

static const struct api_field query_fields[] = {
    {.name = "limit",
     .type = API_NUMBER,
     .min = 1,
     .max = QUEUE_PAGE_MAX,
     .help = "entries of the answer at most"},
    {.name = "after", .type = API_TEXT, .max = QUEUE_ID_MAX, .help = "\"next\" of the page before"},
};
const struct api_object queue_query = {.name = "QueueQuery", API_FIELDS(query_fields)};

static const struct api_field count_fields[] = {
    {.name = "count", .type = API_NUMBER, .flags = API_REQUIRED, .help = "how many messages it was done to"},
};
const struct api_object count_object = {.name = "Count", API_FIELDS(count_fields)};

static json_t *entry_to_json(const struct queue_entry *e)
{
    json_t *entry = json_object(), *recipients = json_array();
    json_put(entry, "id", json_of_slice(e->id));
    json_put(entry, "sender", json_of_slice(e->sender));
    json_put(entry, "state", json_of_slice(e->state));
    json_put(entry, "size", json_of_number(e->size));
    json_put(entry, "attempts", json_of_number(e->attempts));
    json_put(entry, "arrived", json_of_time(e->arrived_ms));
    json_put(entry, "next_attempt", json_of_time(e->next_attempt_ms));
    json_put(entry, "expires", json_of_time(e->expires_ms));
    for (size_t i = 0; i < e->recipient_count; i++) {
        const struct queue_recipient *r = &e->recipients[i];
        json_t *recipient = json_object();
        json_put(recipient, "address", json_of_slice(r->address));
        json_put(recipient, "state", json_of_slice(r->state));
        json_put(recipient, "protection", json_of_slice(r->protection));
        json_put(recipient, "last_reply", json_of_slice(r->last_reply));
        json_put(recipient, "next_hop", json_of_slice(r->next_hop));
        json_array_append_new(recipients, recipient);
    }
    json_put(entry, "recipients", recipients);
    if (e->trace.len > 0) {
        json_t *trace = json_loadb((const char *)e->trace.data, e->trace.len, 0, NULL);
        json_put(entry, "trace", trace != NULL ? trace : json_null());
    }
    return entry;
}

static void ask(struct exchange *x, enum queue_request type, const char *id, exchange_step next)
{
    struct msgpack_writer w;
    struct slice text = slice_of_text(id);
    if (text.len > QUEUE_ID_MAX) {
        exchange_failf(x, STATUS_NOT_FOUND, "there is no message of that id in this node's queue");
        return;
    }
    struct bus_request *r = exchange_need(x, BUS_QUEUE, type, next);
    msgpack_writer_init(&w, &r->arguments);
    write_text(&w, text);
    r->argument_count = 1;
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    }
}

/* --- list --- */

static size_t list_limit(struct exchange *x)
{
    uint64_t limit = QUEUE_PAGE_MAX;
    const char *text = query_get(&x->query, "limit");
    return text != NULL && slice_parse_u64(slice_of_text(text), &limit) ? (size_t)limit : QUEUE_PAGE_MAX;
}

static void list_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    struct bus_health health;
    size_t limit = list_limit(x);
    json_t *items = json_array();
    json_t *next = NULL;
    msgpack_reader_init(&r, buf_slice(&answer->body));
    size_t count = read_array(&r, 100000);
    for (size_t i = 0; i < count && msgpack_reader_status(&r, false) == STATUS_OK; i++) {
        struct queue_entry entry = {0};
        queue_entry_read(&r, &x->arena, &entry);
        json_array_append_new(items, entry_to_json(&entry));
        if (i + 1 == limit) {
            next = json_of_slice(entry.id);
        }
    }
    if (msgpack_reader_status(&r, false) != STATUS_OK) {
        json_decref(items);
        json_decref(next);
        exchange_failf(x, STATUS_INTERNAL, "the queue's answer cannot be read");
        return;
    }
    x->api->health(x->api, &health);
    json_t *page = json_object();
    json_put(page, "node", json_of_slice(slice_of_text(health.node)));
    json_put(page, "items", items);
    if (next != NULL) {
        json_put(page, "next", next);
    }
    exchange_answer(x, page);
}

void queue_list(struct exchange *x)
{
    struct msgpack_writer w;
    struct bus_request *r = exchange_need(x, BUS_QUEUE, QUEUE_LIST, list_answer);
    msgpack_writer_init(&w, &r->arguments);
    write_u64(&w, list_limit(x));
    write_text(&w, slice_of_text(query_get(&x->query, "after")));
    r->argument_count = 2;
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    }
}

/* --- one message --- */

static void show_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    struct queue_entry entry = {0};
    msgpack_reader_init(&r, buf_slice(&answer->body));
    queue_entry_read(&r, &x->arena, &entry);
    if (msgpack_reader_status(&r, false) != STATUS_OK) {
        exchange_failf(x, STATUS_INTERNAL, "the queue's answer cannot be read");
        return;
    }
    exchange_answer(x, entry_to_json(&entry));
}

void queue_show(struct exchange *x)
{
    ask(x, QUEUE_SHOW, x->parameters[0], show_answer);
}

static void count_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    json_t *object = json_object();
    msgpack_reader_init(&r, buf_slice(&answer->body));
    json_put(object, "count", json_of_number(read_u64(&r)));
    exchange_answer(x, object);
}

void queue_retry(struct exchange *x)
{
    ask(x, QUEUE_RETRY, x->parameters[0], count_answer);
}

void queue_retry_all(struct exchange *x)
{
    ask(x, QUEUE_RETRY, "", count_answer);
}

void queue_release(struct exchange *x)
{
    ask(x, QUEUE_RELEASE, x->parameters[0], count_answer);
}

void queue_delete(struct exchange *x)
{
    ask(x, QUEUE_DELETE, x->parameters[0], count_answer);
}
