/*
 * /v1/queue: the messages that wait on all nodes, and what is done to one of them. A list is put together
 * from a page of each node; where a node stopped, the page ends, so that none is left out.
 */
#include "api/queue_question.h"

#define QUEUE_PAGE_MAX     200
#define QUEUE_PAGE_DEFAULT 200

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
    {.name = "node", .type = API_TEXT, .flags = API_REQUIRED, .help = "in whose queue it is"},
    {.name = "sender", .type = API_TEXT, .flags = API_REQUIRED, .help = "empty: the null sender"},
    {.name = "state",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "active, deferred, held or quarantined"},
    {.name = "size", .type = API_NUMBER, .flags = API_REQUIRED, .help = "bytes"},
    {.name = "attempts", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "arrived", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "next_attempt", .type = API_TIME},
    {.name = "expires", .type = API_TIME, .help = "when it is given up"},
    {.name = "recipients",
     .type = API_OBJECTS,
     .flags = API_REQUIRED,
     .object = &recipient_object,
     .help = "the first 50, of one message alone the first 500"},
    {.name = "recipient_count", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "client_ip", .type = API_TEXT, .help = "who brought it (not in lists)"},
    {.name = "helo", .type = API_TEXT, .help = "what it called itself (not in lists)"},
    {.name = "trace", .type = API_ANY, .help = "how policy decided: see docs/policy.md (not in lists)"},
};
const struct api_object queue_entry_object = {
    .name = "QueueEntry", .help = "A message that waits.", API_FIELDS(entry_fields)};

static const struct api_field queue_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &queue_entry_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
    QUEUE_SILENT_FIELD,
};
const struct api_object queue_object = {.name = "Queue", API_FIELDS(queue_fields)};

static const struct api_field query_fields[] = {
    QUEUE_FILTER_FIELDS,
    {.name = "sort",
     .type = API_TEXT,
     .max = 32,
     .choices = "arrived|next|size|attempts",
     .help = "by arrival if not given"},
    {.name = "descending", .type = API_TEXT, .max = 5, .choices = "true|false", .help = "the last first"},
    {.name = "limit",
     .type = API_NUMBER,
     .min = 1,
     .max = QUEUE_PAGE_MAX,
     .help = "entries of the answer at most"},
    {.name = "after", .type = API_TEXT, .max = QUEUE_CURSOR_SIZE, .help = "\"next\" of the page before"},
};
const struct api_object queue_query = {.name = "QueueQuery", API_FIELDS(query_fields)};

static const struct api_field count_fields[] = {
    {.name = "count", .type = API_NUMBER, .flags = API_REQUIRED, .help = "how many messages it was done to"},
};
const struct api_object count_object = {.name = "Count", API_FIELDS(count_fields)};

static json_t *entry_to_json(const struct queue_entry *e, struct slice node)
{
    json_t *entry = json_object(), *recipients = json_array();
    json_put(entry, "id", json_of_slice(e->id));
    json_put(entry, "node", json_of_slice(node));
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
    json_put(entry, "recipient_count", json_of_number(e->all_recipients));
    if (e->client_ip.len > 0) {
        json_put(entry, "client_ip", json_of_slice(e->client_ip));
        json_put(entry, "helo", json_of_slice(e->helo));
    }
    if (e->trace.len > 0) {
        json_t *trace = json_loadb((const char *)e->trace.data, e->trace.len, 0, NULL);
        json_put(entry, "trace", trace != NULL ? trace : json_null());
    }
    return entry;
}

/* --- list --- */

static size_t list_limit(struct exchange *x)
{
    uint64_t limit = QUEUE_PAGE_DEFAULT;
    const char *text = query_get(&x->query, "limit");
    return text != NULL && slice_parse_u64(slice_of_text(text), &limit) ? (size_t)limit : QUEUE_PAGE_DEFAULT;
}

static bool list_descends(struct exchange *x)
{
    const char *text = query_get(&x->query, "descending");
    return text != NULL && strcmp(text, "true") == 0;
}

struct item {
    char cursor[QUEUE_CURSOR_SIZE];
    json_t *entry;
};

struct page {
    struct exchange *exchange;
    struct item *items;
    size_t count, room;
    bool descending, bounded;
    char bound[QUEUE_CURSOR_SIZE]; /* a node has stopped here */
};

static int cursor_compare(const struct page *p, const char *a, const char *b)
{
    return p->descending ? -strcmp(a, b) : strcmp(a, b);
}

/* [ more, [ [ cursor, entry ], ... ] ] */
static bool node_take(void *context, const struct node_answer *n)
{
    struct page *p = context;
    struct msgpack_reader r;
    char last[QUEUE_CURSOR_SIZE] = "";
    msgpack_reader_init(&r, n->body);
    (void)read_array(&r, 2);
    bool more = read_bool(&r);
    size_t count = read_array(&r, QUEUE_PAGE_MAX);
    for (size_t i = 0; i < count; i++) {
        struct queue_entry entry;
        (void)read_array(&r, 2);
        struct slice cursor = read_text(&r, QUEUE_CURSOR_SIZE - 1);
        queue_entry_read(&r, &p->exchange->arena, &entry);
        if (msgpack_reader_status(&r, false) != STATUS_OK || p->count == p->room) {
            return false;
        }
        (void)!snprintf(last, sizeof(last), "%.*s", SLICE_ARGS(cursor));
        struct item *item = &p->items[p->count++];
        memcpy(item->cursor, last, sizeof(last));
        item->entry = entry_to_json(&entry, n->node);
    }
    if (more && last[0] != '\0' && (!p->bounded || cursor_compare(p, last, p->bound) < 0)) {
        p->bounded = true;
        memcpy(p->bound, last, sizeof(last));
    }
    return true;
}

static int ascending(const void *a, const void *b)
{
    return strcmp(((const struct item *)a)->cursor, ((const struct item *)b)->cursor);
}

static int descending(const void *a, const void *b)
{
    return -ascending(a, b);
}

static json_t *page_cut(struct page *p, size_t limit, json_t *items)
{
    size_t taken = 0;
    qsort(p->items, p->count, sizeof(p->items[0]), p->descending ? descending : ascending);
    while (taken < p->count && taken < limit &&
           (!p->bounded || cursor_compare(p, p->items[taken].cursor, p->bound) <= 0)) {
        json_array_append(items, p->items[taken++].entry);
    }
    bool more = taken > 0 && (taken < p->count || p->bounded);
    return more ? json_string(p->items[taken - 1].cursor) : NULL;
}

static void list_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct page p = {
        .exchange = x, .room = (size_t)QUEUE_PAGE_MAX * CORE_NODES_MAX, .descending = list_descends(x)};
    json_t *silent = json_array();
    p.items = arena_alloc_array(&x->arena, p.room, sizeof(p.items[0]));
    if (p.items == NULL) {
        json_decref(silent);
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the list");
        return;
    }
    if (queue_answers_read(x, answer, node_take, &p, silent)) {
        json_t *page = json_object(), *items = json_array();
        json_t *next = page_cut(&p, list_limit(x), items);
        json_put(page, "items", items);
        if (next != NULL) {
            json_put(page, "next", next);
        }
        json_put(page, "silent", json_incref(silent));
        exchange_answer(x, page);
    }
    for (size_t i = 0; i < p.count; i++) {
        json_decref(p.items[i].entry);
    }
    json_decref(silent);
}

void queue_list(struct exchange *x)
{
    struct queue_selection selection;
    struct buf args = BUF_INIT(QUEUE_ARGUMENTS_MAX);
    struct msgpack_writer w;
    const char *sort = query_get(&x->query, "sort");
    if (!queue_selection_get(x, &selection, NULL)) {
        return;
    }
    enum status status = queue_selection_encode(&selection, &args);
    msgpack_writer_init(&w, &args);
    write_text(&w, slice_of_text(sort != NULL ? sort : "arrived"));
    write_bool(&w, list_descends(x));
    write_u64(&w, list_limit(x));
    write_text(&w, slice_of_text(query_get(&x->query, "after")));
    if (status != STATUS_OK || msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    } else {
        queue_ask_all(x, QUEUE_FIND, &args, 5, list_answer);
    }
    buf_release(&args);
}

/* --- one message --- */

static void ask_about(struct exchange *x, enum queue_request type, exchange_step next)
{
    struct slice id;
    struct buf args = BUF_INIT(256);
    struct msgpack_writer w;
    if (!queue_id_get(x, &id)) {
        return;
    }
    msgpack_writer_init(&w, &args);
    write_text(&w, id);
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    } else {
        queue_ask_all(x, type, &args, 1, next);
    }
    buf_release(&args);
}

static void show_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct node_answer found;
    struct msgpack_reader r;
    struct queue_entry entry;
    if (!queue_answer_of_one(x, answer, &found)) {
        return;
    }
    msgpack_reader_init(&r, found.body);
    queue_entry_read(&r, &x->arena, &entry);
    if (msgpack_reader_status(&r, false) != STATUS_OK) {
        exchange_failf(x, STATUS_INTERNAL, "the queue's answer cannot be read");
        return;
    }
    exchange_answer(x, entry_to_json(&entry, found.node));
}

void queue_show(struct exchange *x)
{
    ask_about(x, QUEUE_SHOW, show_answer);
}

static void count_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct node_answer found;
    struct msgpack_reader r;
    if (!queue_answer_of_one(x, answer, &found)) {
        return;
    }
    json_t *object = json_object();
    msgpack_reader_init(&r, found.body);
    json_put(object, "count", json_of_number(read_u64(&r)));
    exchange_answer(x, object);
}

void queue_hold(struct exchange *x)
{
    ask_about(x, QUEUE_HOLD, count_answer);
}

void queue_release(struct exchange *x)
{
    ask_about(x, QUEUE_RELEASE, count_answer);
}

void queue_retry(struct exchange *x)
{
    ask_about(x, QUEUE_RETRY, count_answer);
}

void queue_bounce(struct exchange *x)
{
    ask_about(x, QUEUE_BOUNCE, count_answer);
}

void queue_delete(struct exchange *x)
{
    ask_about(x, QUEUE_DELETE, count_answer);
}
