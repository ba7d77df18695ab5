/*
 * Looks into the queue of all nodes: how much waits for whom and how long, what happens at this moment, and
 * what is in a message. Who reads a message's content is told in the log of this node.
 */
#include "api/queue_question.h"

#include "base/hex.h"
#include "base/log.h"

/* --- summary --- */

#define ROWS_MAX 200

static const struct api_field summary_query_fields[] = {
    QUEUE_FILTER_FIELDS,
    {.name = "by",
     .type = API_TEXT,
     .max = 32,
     .choices = "recipient-domain|sender-domain|reason|next-hop",
     .help = "recipient-domain if not given"},
};
const struct api_object queue_summary_query = {.name = "QueueSummaryQuery", API_FIELDS(summary_query_fields)};

static const struct api_field row_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED, .help = "empty: those that have none"},
    {.name = "total", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "ages", .type = API_ANY, .flags = API_REQUIRED, .help = "a number for each of the ages"},
};
static const struct api_object row_object = {.name = "QueueSummaryRow", API_FIELDS(row_fields)};

static const struct api_field summary_fields[] = {
    {.name = "by", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "ages",
     .type = API_TEXTS,
     .flags = API_REQUIRED,
     .help = "in minutes, up to; each recipient that waits counts, by sender-domain each message"},
    {.name = "total", .type = API_OBJECT, .flags = API_REQUIRED, .object = &row_object},
    {.name = "items",
     .type = API_OBJECTS,
     .flags = API_REQUIRED,
     .object = &row_object,
     .help = "the most first"},
    QUEUE_SILENT_FIELD,
};
const struct api_object queue_summary_object = {
    .name = "QueueSummary", .help = "As Postfix's qshape shows it.", API_FIELDS(summary_fields)};

struct summary_row {
    struct slice name;
    uint64_t total, ages[QUEUE_AGES];
};

struct summary {
    struct exchange *exchange;
    struct summary_row *rows;
    size_t count, room;
    struct summary_row total, others;
};

static void row_sum(struct summary_row *to, const struct summary_row *from)
{
    to->total += from->total;
    for (size_t i = 0; i < QUEUE_AGES; i++) {
        to->ages[i] += from->ages[i];
    }
}

static bool row_read(struct msgpack_reader *r, struct summary_row *row)
{
    *row = (struct summary_row){0};
    (void)read_array(r, 2);
    row->name = read_text(r, QUEUE_NAME_MAX);
    if (read_array(r, QUEUE_AGES) != QUEUE_AGES) {
        return false;
    }
    for (size_t i = 0; i < QUEUE_AGES; i++) {
        row->ages[i] = read_u64(r);
        row->total += row->ages[i];
    }
    return msgpack_reader_status(r, false) == STATUS_OK;
}

static bool summary_take(void *context, const struct node_answer *n)
{
    struct summary *s = context;
    struct msgpack_reader r;
    msgpack_reader_init(&r, n->body);
    size_t count = read_array(&r, s->room);
    for (size_t i = 0; i < count; i++) {
        struct summary_row row;
        if (!row_read(&r, &row)) {
            return false;
        }
        row_sum(&s->total, &row);
        if (slice_equal(row.name, SLICE_LITERAL(QUEUE_OTHERS))) {
            row_sum(&s->others, &row);
            continue;
        }
        size_t at = 0;
        while (at < s->count && !slice_equal(s->rows[at].name, row.name)) {
            at++;
        }
        if (at == s->room) {
            row_sum(&s->others, &row);
            continue;
        }
        if (at == s->count) {
            s->rows[s->count++] = (struct summary_row){.name = row.name};
        }
        row_sum(&s->rows[at], &row);
    }
    return msgpack_reader_status(&r, true) == STATUS_OK;
}

static int most_first(const void *a, const void *b)
{
    const struct summary_row *x = a, *y = b;
    return x->total != y->total ? (x->total < y->total ? 1 : -1) : slice_compare(x->name, y->name);
}

static json_t *row_to_json(const struct summary_row *row)
{
    json_t *object = json_object(), *ages = json_array();
    for (size_t i = 0; i < QUEUE_AGES; i++) {
        json_array_append_new(ages, json_of_number(row->ages[i]));
    }
    json_put(object, "name", json_of_slice(row->name));
    json_put(object, "total", json_of_number(row->total));
    json_put(object, "ages", ages);
    return object;
}

static const char *by_of(const struct exchange *x)
{
    const char *by = query_get(&x->query, "by");
    return by != NULL ? by : "recipient-domain";
}

static json_t *ages_to_json(void)
{
    json_t *ages = json_array();
    uint64_t minutes = QUEUE_AGE_FIRST_MS / 60000;
    for (size_t i = 0; i + 1 < QUEUE_AGES; i++, minutes *= 2) {
        json_array_append_new(ages, json_sprintf("%llu", (unsigned long long)minutes));
    }
    json_array_append_new(ages, json_sprintf("%llu+", (unsigned long long)(minutes / 2)));
    return ages;
}

static void summary_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct summary s = {.exchange = x, .room = 4000};
    json_t *silent = json_array();
    s.rows = arena_alloc_array(&x->arena, s.room, sizeof(s.rows[0]));
    if (s.rows == NULL) {
        json_decref(silent);
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the summary");
        return;
    }
    if (queue_answers_read(x, answer, summary_take, &s, silent)) {
        json_t *object = json_object(), *items = json_array();
        qsort(s.rows, s.count, sizeof(s.rows[0]), most_first);
        for (size_t i = 0; i < s.count; i++) {
            if (i < ROWS_MAX) {
                json_array_append_new(items, row_to_json(&s.rows[i]));
            } else {
                row_sum(&s.others, &s.rows[i]);
            }
        }
        if (s.others.total > 0) {
            s.others.name = SLICE_LITERAL(QUEUE_OTHERS);
            json_array_append_new(items, row_to_json(&s.others));
        }
        s.total.name = SLICE_LITERAL("TOTAL");
        json_put(object, "by", json_string(by_of(x)));
        json_put(object, "ages", ages_to_json());
        json_put(object, "total", row_to_json(&s.total));
        json_put(object, "items", items);
        json_put(object, "silent", json_incref(silent));
        exchange_answer(x, object);
    }
    json_decref(silent);
}

void queue_summary(struct exchange *x)
{
    struct queue_selection selection;
    struct buf args = BUF_INIT(QUEUE_ARGUMENTS_MAX);
    struct msgpack_writer w;
    if (!queue_selection_get(x, &selection, NULL)) {
        return;
    }
    enum status status = queue_selection_encode(&selection, &args);
    msgpack_writer_init(&w, &args);
    write_text(&w, slice_of_text(by_of(x)));
    if (status != STATUS_OK || msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    } else {
        queue_ask_all(x, QUEUE_SUMMARY, &args, 2, summary_answer);
    }
    buf_release(&args);
}

/* --- follow --- */

#define AFTER_MAX 4000

static const struct api_field events_query_fields[] = {
    {.name = "after",
     .type = API_TEXT,
     .max = AFTER_MAX,
     .help = "\"next\" of the answer before; without it, the answer has nothing but where to begin"},
};
const struct api_object queue_events_query = {.name = "QueueEventsQuery", API_FIELDS(events_query_fields)};

static const struct api_field event_fields[] = {
    {.name = "time", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "node", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "event",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help =
         "of a message: accepted, held, released, deleted, notified; of a recipient: delivered, deferred, "
         "failed"},
    {.name = "id", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "sender", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "recipient", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "next_hop", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "status", .type = API_TEXT, .flags = API_REQUIRED, .help = "enhanced status code"},
    {.name = "text", .type = API_TEXT, .flags = API_REQUIRED, .help = "the next hop's reply, or why"},
};
static const struct api_object event_object = {.name = "QueueEvent", API_FIELDS(event_fields)};

static const struct api_field events_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &event_object},
    {.name = "place",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "value of ?after= for what comes then"},
    {.name = "lost",
     .type = API_NUMBER,
     .flags = API_REQUIRED,
     .help = "events in between that nobody fetched in time"},
    QUEUE_SILENT_FIELD,
};
const struct api_object queue_events_object = {.name = "QueueEvents", API_FIELDS(events_fields)};

struct events {
    json_t *items;
    uint64_t lost;
    struct buf place;
};

/* [ newest, lost, [ event, ... ] ] */
static bool events_take(void *context, const struct node_answer *n)
{
    struct events *v = context;
    struct msgpack_reader r;
    msgpack_reader_init(&r, n->body);
    (void)read_array(&r, 3);
    uint64_t newest = read_u64(&r), lost = read_u64(&r);
    size_t count = read_array(&r, 10000);
    for (size_t i = 0; i < count; i++) {
        struct queue_event e;
        queue_event_read(&r, &e);
        if (msgpack_reader_status(&r, false) != STATUS_OK) {
            return false;
        }
        json_t *item = json_object();
        json_put(item, "time", json_of_time(e.time_ms));
        json_put(item, "node", json_of_slice(n->node));
        json_put(item, "event", json_of_slice(e.event));
        json_put(item, "id", json_of_slice(e.id));
        json_put(item, "sender", json_of_slice(e.sender));
        json_put(item, "recipient", json_of_slice(e.recipient));
        json_put(item, "next_hop", json_of_slice(e.next_hop));
        json_put(item, "status", json_of_slice(e.enhanced));
        json_put(item, "text", json_of_slice(e.text));
        json_array_append_new(v->items, item);
    }
    v->lost += lost;
    return msgpack_reader_status(&r, true) == STATUS_OK &&
           buf_printf(&v->place, "%s%.*s=%llu", v->place.len > 0 ? " " : "", SLICE_ARGS(n->node),
                      (unsigned long long)newest) == STATUS_OK;
}

/* The places of nodes that are silent now: they go on from there. */
static bool places_keep(struct events *v, const char *after)
{
    struct slice rest = slice_of_text(after);
    while (rest.len > 0) {
        size_t end = slice_find_byte(rest, ' ');
        struct slice one = slice_of(rest.data, end);
        struct slice name = slice_of(one.data, slice_find_byte(one, '='));
        bool known = false;
        struct slice places = buf_slice(&v->place);
        while (places.len > 0 && !known) {
            size_t stop = slice_find_byte(places, ' ');
            known = stop > name.len && places.data[name.len] == '=' &&
                    slice_equal(slice_of(places.data, name.len), name);
            stop += stop < places.len;
            places = slice_of(places.data + stop, places.len - stop);
        }
        if (!known && one.len > 0 &&
            buf_printf(&v->place, "%s%.*s", v->place.len > 0 ? " " : "", SLICE_ARGS(one)) != STATUS_OK) {
            return false;
        }
        end += end < rest.len;
        rest = slice_of(rest.data + end, rest.len - end);
    }
    return true;
}

static void events_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct events v = {.items = json_array(), .place = BUF_INIT(AFTER_MAX)};
    json_t *silent = json_array();
    const char *after = query_get(&x->query, "after");
    if (queue_answers_read(x, answer, events_take, &v, silent)) {
        bool good = places_keep(&v, after != NULL ? after : "");
        json_t *object = json_object();
        json_put(object, "items", json_incref(v.items));
        json_put(object, "place", json_of_slice(good ? buf_slice(&v.place) : slice_of_text(after)));
        json_put(object, "lost", json_of_number(v.lost));
        json_put(object, "silent", json_incref(silent));
        exchange_answer(x, object);
    }
    json_decref(v.items);
    json_decref(silent);
    buf_release(&v.place);
}

void queue_events(struct exchange *x)
{
    struct buf args = BUF_INIT(QUEUE_ARGUMENTS_MAX);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &args);
    write_text(&w, slice_of_text(query_get(&x->query, "after")));
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    } else {
        queue_ask_all(x, QUEUE_FOLLOW, &args, 1, events_answer);
    }
    buf_release(&args);
}

/* --- content --- */

static const struct api_field content_query_fields[] = {
    {.name = "variant",
     .type = API_NUMBER,
     .max = 200,
     .help = "which of its forms, from 0: recipients whom policy treats alike share one"},
};
const struct api_object queue_content_query = {.name = "QueueContentQuery", API_FIELDS(content_query_fields)};

#define CONTENT_FIELDS                                                                                       \
    {.name = "variant", .type = API_NUMBER, .flags = API_REQUIRED},                                          \
        {.name = "variants", .type = API_NUMBER, .flags = API_REQUIRED, .help = "that the message has"},     \
        {.name = "protection", .type = API_TEXT, .flags = API_REQUIRED},                                     \
        {.name = "recipients", .type = API_TEXTS, .flags = API_REQUIRED, .help = "of this variant"},         \
        {.name = "size", .type = API_NUMBER, .flags = API_REQUIRED, .help = "bytes of the variant"},         \
    {                                                                                                        \
        .name = "cut", .type = API_BOOL, .flags = API_REQUIRED, .help = "there is more of it than 512 KiB"   \
    }

static const struct api_field headers_fields[] = {
    CONTENT_FIELDS, {.name = "headers", .type = API_TEXT, .flags = API_REQUIRED}};
const struct api_object queue_headers_object = {.name = "QueueHeaders", API_FIELDS(headers_fields)};
static const struct api_field body_fields[] = {
    CONTENT_FIELDS, {.name = "data", .type = API_BASE64, .flags = API_REQUIRED, .help = "header and body"}};
const struct api_object queue_body_object = {.name = "QueueBody", API_FIELDS(body_fields)};

static uint64_t variant_of(const struct exchange *x)
{
    uint64_t variant = 0;
    const char *text = query_get(&x->query, "variant");
    return text != NULL && slice_parse_u64(slice_of_text(text), &variant) ? variant : 0;
}

/* [ variants, protection, [ recipient, ... ], bytes, size, cut ] */
static void content_answer(struct exchange *x, const struct bus_answer *answer, bool whole)
{
    struct node_answer found;
    struct msgpack_reader r;
    if (!queue_answer_of_one(x, answer, &found)) {
        return;
    }
    json_t *object = json_object(), *recipients = json_array();
    msgpack_reader_init(&r, found.body);
    (void)read_array(&r, 6);
    json_put(object, "variant", json_of_number(variant_of(x)));
    json_put(object, "variants", json_of_number(read_u64(&r)));
    json_put(object, "protection", json_of_slice(read_text(&r, 64)));
    size_t count = read_array(&r, 1000);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(recipients, json_of_slice(read_text(&r, QUEUE_PATTERN_MAX)));
    }
    json_put(object, "recipients", recipients);
    struct slice bytes = read_bytes(&r, NODE_ANSWER_MAX);
    json_put(object, "size", json_of_number(read_u64(&r)));
    json_put(object, "cut", json_boolean(read_bool(&r)));
    enum status status = msgpack_reader_status(&r, true);
    if (status == STATUS_OK && whole) {
        struct buf text = {.max = NODE_ANSWER_MAX * 2, .wipe = true};
        status = base64_encode(bytes, &text);
        json_put(object, "data", json_of_slice(buf_slice(&text)));
        buf_release(&text);
    } else if (status == STATUS_OK) {
        json_put(object, "headers", json_of_slice(bytes));
    }
    if (status != STATUS_OK) {
        json_decref(object);
        exchange_failf(x, status, "the queue's answer cannot be read");
        return;
    }
    log_event(LOG_INFO,
              whole ? "a message in the queue was read" : "the header of a message in the queue was read",
              LOG_TEXT("id", x->parameters[0]), LOG_TEXT("by", x->actor));
    exchange_answer(x, object);
}

static void headers_answer(struct exchange *x, const struct bus_answer *answer)
{
    content_answer(x, answer, false);
}

static void body_answer(struct exchange *x, const struct bus_answer *answer)
{
    content_answer(x, answer, true);
}

static void content_ask(struct exchange *x, bool whole)
{
    struct slice id;
    struct buf args = BUF_INIT(256);
    struct msgpack_writer w;
    if (!queue_id_get(x, &id)) {
        return;
    }
    msgpack_writer_init(&w, &args);
    write_text(&w, id);
    write_u64(&w, variant_of(x));
    write_bool(&w, whole);
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    } else {
        queue_ask_all(x, QUEUE_CONTENT, &args, 3, whole ? body_answer : headers_answer);
    }
    buf_release(&args);
}

void queue_headers(struct exchange *x)
{
    content_ask(x, false);
}

void queue_body(struct exchange *x)
{
    content_ask(x, true);
}
