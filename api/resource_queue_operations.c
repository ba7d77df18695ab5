/*
 * Operations on many messages of the queue (smtp/queue_operation.c), on all nodes at once: without "confirm"
 * the messages are counted, with it each node begins, under one id, and goes on by itself. What an operation
 * comes to is the sum over the nodes.
 */
#include "api/queue_question.h"

static const struct api_field request_fields[] = {
    QUEUE_FILTER_FIELDS,
    {.name = "all", .type = API_BOOL, .help = "all messages; without it a filter must be given"},
    {.name = "confirm", .type = API_BOOL, .help = "do it; without it the messages are only counted"},
};
const struct api_object queue_operation_request_object = {.name = "QueueOperationRequest",
                                                          API_FIELDS(request_fields)};
static const struct api_field retry_fields[] = {QUEUE_FILTER_FIELDS};
const struct api_object queue_retry_request_object = {.name = "QueueRetryRequest", API_FIELDS(retry_fields)};

static const struct api_field part_fields[] = {
    {.name = "node", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "messages", .type = API_NUMBER, .flags = API_REQUIRED, .help = "that are meant there"},
};
static const struct api_object part_object = {.name = "QueueOperationPart", API_FIELDS(part_fields)};

static const struct api_field begun_fields[] = {
    {.name = "operation",
     .type = API_TEXT,
     .help = "its id; null: nothing was done, the messages were counted"},
    {.name = "action",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .choices = "hold|release|retry|bounce|delete"},
    {.name = "messages",
     .type = API_NUMBER,
     .help = "that are meant; null once it runs: they are counted on the way"},
    {.name = "nodes", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &part_object},
    QUEUE_SILENT_FIELD,
};
const struct api_object queue_begun_object = {.name = "QueueOperationBegun", API_FIELDS(begun_fields)};

static const struct api_field operation_fields[] = {
    {.name = "operation", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "action", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "state", .type = API_TEXT, .flags = API_REQUIRED, .choices = "running|done|cancelled"},
    {.name = "by", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "started", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "ended", .type = API_TIME},
    {.name = "messages", .type = API_NUMBER, .flags = API_REQUIRED, .help = "in the queues when it began"},
    {.name = "looked",
     .type = API_NUMBER,
     .flags = API_REQUIRED,
     .help = "of these it has looked at so many"},
    {.name = "done", .type = API_NUMBER, .flags = API_REQUIRED, .help = "and has done it to so many"},
    {.name = "refused",
     .type = API_NUMBER,
     .flags = API_REQUIRED,
     .help = "for so many it could not be done"},
    {.name = "refusal", .type = API_TEXT, .flags = API_REQUIRED, .help = "why, for the last of these"},
    {.name = "nodes", .type = API_TEXTS, .flags = API_REQUIRED, .help = "that know of it"},
    {.name = "silent",
     .type = API_OBJECTS,
     .object = &queue_silent_object,
     .help = "nodes whose part is missing here (in a list: of the whole list)"},
};
const struct api_object queue_operation_object = {
    .name = "QueueOperation",
    .help = "Operations are in memory: a node that ends or crashes forgets them; what they did is done.",
    API_FIELDS(operation_fields)};
static const struct api_field operations_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &queue_operation_object},
    QUEUE_SILENT_FIELD,
};
const struct api_object queue_operations_object = {.name = "QueueOperations", API_FIELDS(operations_fields)};

/* --- begin --- */

struct begun {
    const char *action;
    char id[ID_TEXT_SIZE];
    bool confirmed;
    json_t *nodes;
    uint64_t messages;
};

static bool begun_take(void *context, const struct node_answer *n)
{
    struct begun *b = context;
    struct msgpack_reader r;
    msgpack_reader_init(&r, n->body);
    uint64_t messages = read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK) {
        return false;
    }
    b->messages += messages;
    json_t *part = json_object();
    json_put(part, "node", json_of_slice(n->node));
    json_put(part, "messages", json_of_number(messages));
    json_array_append_new(b->nodes, part);
    return true;
}

static void begun_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct begun *b = x->state;
    json_t *silent = json_array();
    b->nodes = json_array();
    if (queue_answers_read(x, answer, begun_take, b, silent)) {
        json_t *object = json_object();
        json_put(object, "operation", b->confirmed ? json_string(b->id) : json_null());
        json_put(object, "action", json_string(b->action));
        json_put(object, "messages", b->confirmed ? json_null() : json_of_number(b->messages));
        json_put(object, "nodes", json_incref(b->nodes));
        json_put(object, "silent", json_incref(silent));
        exchange_answer(x, object);
    }
    json_decref(b->nodes);
    json_decref(silent);
}

static void operate(struct exchange *x, const char *action, bool must_name)
{
    struct queue_selection selection;
    struct buf args = BUF_INIT(QUEUE_ARGUMENTS_MAX);
    struct msgpack_writer w;
    bool given = false;
    struct begun *b = arena_alloc(&x->arena, sizeof(*b));
    uint8_t id[ID_SIZE], random[10];
    if (!queue_selection_get(x, &selection, &given)) {
        return;
    }
    if (must_name && given == api_body_bool(x->body, "all")) {
        exchange_failf(
            x, STATUS_INVALID,
            given ? "give filters, or \"all\" for all messages, not both"
                  : "say which messages: an id, filters such as \"sender\" or \"domain\", or \"all\"");
        return;
    }
    random_bytes(random, sizeof(random));
    id_make(id, clock_wall_ms(), random);
    enum status status = b == NULL ? STATUS_NO_MEMORY : queue_selection_encode(&selection, &args);
    if (status == STATUS_OK) {
        b->action = action;
        b->confirmed = !must_name || api_body_bool(x->body, "confirm");
        id_format(id, b->id);
        x->state = b;
        msgpack_writer_init(&w, &args);
        write_text(&w, slice_of_text(action));
        write_text(&w, slice_of_text(b->id));
        write_text(&w, slice_of_text(x->actor));
        write_bool(&w, b->confirmed);
        status = msgpack_writer_status(&w);
    }
    if (status != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    } else {
        queue_ask_all(x, QUEUE_OPERATE, &args, 5, begun_answer);
    }
    buf_release(&args);
}

void queue_hold_many(struct exchange *x)
{
    operate(x, "hold", true);
}

void queue_release_many(struct exchange *x)
{
    operate(x, "release", true);
}

void queue_retry_many(struct exchange *x)
{
    operate(x, "retry", false);
}

void queue_bounce_many(struct exchange *x)
{
    operate(x, "bounce", true);
}

void queue_delete_many(struct exchange *x)
{
    operate(x, "delete", true);
}

/* --- what became of them --- */

static void add_number(json_t *object, const char *name, uint64_t number)
{
    json_int_t before = json_integer_value(json_object_get(object, name));
    json_put(object, name, json_of_number((uint64_t)before + number));
}

static json_t *of_id(json_t *items, struct slice id)
{
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        const char *text = json_string_value(json_object_get(item, "operation"));
        if (slice_equal(id, slice_of_text(text))) {
            return item;
        }
    }
    return NULL;
}

/* Running while any node's part runs; cancelled if any was; it ends with the last. */
static void part_add(json_t *items, const struct queue_operation_told *o, struct slice node)
{
    json_t *item = of_id(items, o->id);
    if (item == NULL) {
        item = json_object();
        json_put(item, "operation", json_of_slice(o->id));
        json_put(item, "action", json_of_slice(o->action));
        json_put(item, "state", json_of_slice(o->state));
        json_put(item, "by", json_of_slice(o->actor));
        json_put(item, "started", json_of_time(o->started_ms));
        json_put(item, "ended", json_of_time(o->ended_ms));
        json_put(item, "refusal", json_string(""));
        json_put(item, "nodes", json_array());
        json_array_append_new(items, item);
    }
    const char *before = json_string_value(json_object_get(item, "state"));
    if (slice_equal(o->state, SLICE_LITERAL("running"))) {
        json_put(item, "state", json_string("running"));
        json_put(item, "ended", json_null());
    } else if (strcmp(before, "running") != 0) {
        if (slice_equal(o->state, SLICE_LITERAL("cancelled"))) {
            json_put(item, "state", json_string("cancelled"));
        }
        json_t *ended = json_of_time(o->ended_ms);
        const char *last = json_string_value(json_object_get(item, "ended"));
        const char *now = json_string_value(ended);
        if (last != NULL && now != NULL && strcmp(last, now) < 0) {
            json_put(item, "ended", json_incref(ended));
        }
        json_decref(ended);
    }
    add_number(item, "messages", o->messages);
    add_number(item, "looked", o->looked);
    add_number(item, "done", o->done);
    add_number(item, "refused", o->refused);
    if (o->refusal.len > 0) {
        json_put(item, "refusal", json_of_slice(o->refusal));
    }
    json_array_append_new(json_object_get(item, "nodes"), json_of_slice(node));
}

static bool operations_take(void *context, const struct node_answer *n)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, n->body);
    size_t count = read_array(&r, 1000);
    for (size_t i = 0; i < count; i++) {
        struct queue_operation_told o;
        queue_operation_read(&r, &o);
        if (msgpack_reader_status(&r, false) != STATUS_OK) {
            return false;
        }
        part_add(context, &o, n->node);
    }
    return msgpack_reader_status(&r, true) == STATUS_OK;
}

static void ask(struct exchange *x, enum queue_request type, const char *id, exchange_step next)
{
    struct buf args = BUF_INIT(256);
    struct msgpack_writer w;
    if (strlen(id) > ID_TEXT_SIZE - 1) {
        exchange_failf(x, STATUS_NOT_FOUND, "there is no such operation");
        return;
    }
    msgpack_writer_init(&w, &args);
    write_text(&w, slice_of_text(id));
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    } else {
        queue_ask_all(x, type, &args, 1, next);
    }
    buf_release(&args);
}

static void list_answer(struct exchange *x, const struct bus_answer *answer)
{
    json_t *items = json_array(), *silent = json_array();
    if (queue_answers_read(x, answer, operations_take, items, silent)) {
        json_t *object = json_object();
        json_put(object, "items", json_incref(items));
        json_put(object, "silent", json_incref(silent));
        exchange_answer(x, object);
    }
    json_decref(items);
    json_decref(silent);
}

static void one_answer(struct exchange *x, const struct bus_answer *answer)
{
    json_t *items = json_array(), *silent = json_array();
    if (queue_answers_read(x, answer, operations_take, items, silent)) {
        json_t *item = json_array_get(items, 0);
        if (item != NULL) {
            json_put(item, "silent", json_incref(silent));
            exchange_answer(x, json_incref(item));
        } else {
            exchange_failf(x, STATUS_NOT_FOUND, "no node that answers knows of this operation");
        }
    }
    json_decref(items);
    json_decref(silent);
}

void queue_operations_list(struct exchange *x)
{
    ask(x, QUEUE_OPERATIONS, "", list_answer);
}

void queue_operation_get(struct exchange *x)
{
    ask(x, QUEUE_OPERATIONS, x->parameters[0], one_answer);
}

static void cancelled_answer(struct exchange *x, const struct bus_answer *answer)
{
    (void)answer; /* what became of it on each node is asked for now */
    queue_operation_get(x);
}

void queue_operation_cancel(struct exchange *x)
{
    ask(x, QUEUE_CANCEL, x->parameters[0], cancelled_answer);
}
