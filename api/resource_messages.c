/*
 * /v1/messages: what became of messages, from the logs of all nodes (smtp/message_log.h), by way of core,
 * which asks each node. A node that does not answer is named in the answer, with the reason, and the others'
 * messages are given all the same. Entries come from the nodes as JSON texts and are passed on as they are.
 *
 * A page: each node gives its newest that fit; they are put together newest first. A node that stopped before
 * its end (its page was full, or it had looked for long enough) has said how far it got: what is older than
 * the youngest of these places waits for the next page, so that none is left out.
 */
#include "api/node_answer.h"
#include "api/resources.h"
#include "base/msgpack_write.h"
#include "smtp/queue_protocol.h"

#include <time.h>

#define PAGE_MAX     200
#define PAGE_DEFAULT 50
#define TEXT_MAX     320

static const struct api_field recipient_fields[] = {
    {.name = "address", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "state",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "waiting, delivered, deferred, failed, refused or quarantined"},
    {.name = "protection", .type = API_TEXT, .flags = API_REQUIRED, .help = "of the copy that goes to it"},
    {.name = "last_reply", .type = API_TEXT, .flags = API_REQUIRED, .help = "or the reason of a refusal"},
    {.name = "next_hop", .type = API_TEXT, .flags = API_REQUIRED},
};
static const struct api_object recipient_object = {.name = "MessageRecipient", API_FIELDS(recipient_fields)};

static const struct api_field event_fields[] = {
    {.name = "time", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "event",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "of a recipient: delivered, deferred, failed, quarantined; of the message: released, deleted, "
             "notified"},
    {.name = "attempt", .type = API_NUMBER},
    {.name = "recipient", .type = API_TEXT},
    {.name = "next_hop", .type = API_TEXT},
    {.name = "status", .type = API_TEXT, .help = "enhanced status code"},
    {.name = "text", .type = API_TEXT, .flags = API_REQUIRED, .help = "the next hop's reply, or why"},
};
static const struct api_object event_object = {.name = "MessageEvent", API_FIELDS(event_fields)};

static const struct api_field silent_fields[] = {
    {.name = "node", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "reason", .type = API_TEXT, .flags = API_REQUIRED},
};
static const struct api_object silent_object = {.name = "SilentNode",
                                                .help = "A node whose messages are missing in the answer.",
                                                API_FIELDS(silent_fields)};

static const struct api_field message_fields[] = {
    {.name = "id", .type = API_TEXT, .flags = API_REQUIRED, .help = "as in the answer to DATA"},
    {.name = "node", .type = API_TEXT, .flags = API_REQUIRED, .help = "that took it"},
    {.name = "state",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "waiting, deferred, quarantined, delivered, bounced, refused or deleted"},
    {.name = "arrived", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "sender", .type = API_TEXT, .flags = API_REQUIRED, .help = "empty: the null sender"},
    {.name = "client_ip", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "helo", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "listener", .type = API_TEXT, .flags = API_REQUIRED, .help = "smtp, lmtp, local or quarantine"},
    {.name = "size", .type = API_NUMBER, .flags = API_REQUIRED, .help = "bytes, as it came"},
    {.name = "subject", .type = API_TEXT, .help = "only where log.subjects is yes"},
    {.name = "reply", .type = API_TEXT, .flags = API_REQUIRED, .help = "what the client was told"},
    {.name = "recipients",
     .type = API_OBJECTS,
     .flags = API_REQUIRED,
     .object = &recipient_object,
     .help = "the first ten in lists"},
    {.name = "recipient_count", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "events", .type = API_OBJECTS, .object = &event_object, .help = "not in lists"},
    {.name = "events_omitted", .type = API_NUMBER, .help = "older events that are left out here"},
    {.name = "trace", .type = API_ANY, .help = "how policy decided: see docs/policy.md (not in lists)"},
};
const struct api_object message_object = {
    .name = "Message", .help = "What became of a message.", API_FIELDS(message_fields)};

static const struct api_field messages_fields[] = {
    {.name = "items",
     .type = API_OBJECTS,
     .flags = API_REQUIRED,
     .object = &message_object,
     .help = "newest first"},
    {.name = "older", .type = API_TEXT, .help = "value of ?before= for what is older; absent at the end"},
    {.name = "silent", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &silent_object},
};
const struct api_object messages_object = {.name = "Messages", API_FIELDS(messages_fields)};

static const struct api_field query_fields[] = {
    {.name = "limit", .type = API_NUMBER, .min = 1, .max = PAGE_MAX, .help = "entries of the answer at most"},
    {.name = "before", .type = API_TEXT, .max = ID_TEXT_SIZE - 1, .help = "\"older\" of the page before"},
    {.name = "from",
     .type = API_TEXT,
     .max = TEXT_MAX,
     .help = "the envelope's sender: an address, or @domain"},
    {.name = "to", .type = API_TEXT, .max = TEXT_MAX, .help = "a recipient: an address, or @domain"},
    {.name = "status", .type = API_TEXT, .max = 32, .help = "a state of the message"},
    {.name = "since",
     .type = API_TEXT,
     .max = 32,
     .help = "arrived then or later: a time (RFC 3339), or 2h, 3d: so long ago"},
    {.name = "until", .type = API_TEXT, .max = 32, .help = "arrived before"},
};
const struct api_object messages_query = {.name = "MessagesQuery", API_FIELDS(query_fields)};

/* --- the question --- */

static struct bus_request *ask(struct exchange *x, enum queue_request type, const struct buf *args,
                               size_t count, exchange_step next)
{
    struct msgpack_writer w;
    struct bus_request *r = exchange_need(x, BUS_CORE, CORE_MESSAGES, next);
    msgpack_writer_init(&w, &r->arguments);
    write_u64(&w, type);
    write_bytes(&w, buf_slice(args));
    write_u64(&w, count);
    r->argument_count = 3;
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    }
    return r;
}

/* "2h": so long before `now`; else RFC 3339 in UTC, or its date alone. */
static bool moment_parse(const char *text, uint64_t now, uint64_t *out)
{
    static const struct {
        uint8_t letter;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    struct slice s = slice_of_text(text);
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && s.len > 1; i++) {
        if (s.data[s.len - 1] == units[i].letter && slice_parse_u64(slice_of(s.data, s.len - 1), &number)) {
            *out = number > now / units[i].ms ? 0 : now - number * units[i].ms;
            return true;
        }
    }
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end != NULL && *end == '\0') {
            time_t seconds = timegm(&tm);
            *out = seconds > 0 ? (uint64_t)seconds * 1000 : 0;
            return true;
        }
    }
    return false;
}

/* False: the exchange has failed. */
static bool moment_read(struct exchange *x, const char *name, uint64_t *out)
{
    const char *text = query_get(&x->query, name);
    if (text == NULL || text[0] == '\0' || moment_parse(text, clock_wall_ms(), out)) {
        return true;
    }
    struct failure f;
    (void)failure_set(
        &f, STATUS_INVALID,
        "\"%s\" is no time: write 2026-11-24T10:00:00Z, 2026-11-24, or 90m, 2h, 3d for so long ago", text);
    exchange_fail_field(x, &f, name);
    return false;
}

static bool status_read(struct exchange *x, const char **out)
{
    static const char *const states[] = {"waiting", "deferred", "quarantined", "delivered",
                                         "bounced", "refused",  "deleted"};
    *out = query_get(&x->query, "status");
    for (size_t i = 0; *out != NULL && (*out)[0] != '\0'; i++) {
        if (i == sizeof(states) / sizeof(states[0])) {
            struct failure f;
            (void)failure_set(
                &f, STATUS_INVALID,
                "\"%s\" is no state: waiting, deferred, quarantined, delivered, bounced, refused or deleted",
                *out);
            exchange_fail_field(x, &f, "status");
            return false;
        }
        if (strcmp(*out, states[i]) == 0) {
            break;
        }
    }
    return true;
}

static size_t list_limit(struct exchange *x)
{
    uint64_t limit = PAGE_DEFAULT;
    const char *text = query_get(&x->query, "limit");
    return text != NULL && slice_parse_u64(slice_of_text(text), &limit) && limit <= PAGE_MAX ? (size_t)limit
                                                                                             : PAGE_DEFAULT;
}

/* --- the answers of the nodes --- */

static const char *id_of(const json_t *entry)
{
    const char *id = json_string_value(json_object_get(entry, "id"));
    return id != NULL ? id : "";
}

/* [ more, next, [ JSON, ... ] ]. `bound` becomes the youngest place where a node stopped. */
static bool page_read(struct slice body, json_t *items, char bound[ID_TEXT_SIZE])
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, body);
    (void)read_array(&r, 3);
    bool more = read_bool(&r);
    struct slice next = read_text(&r, ID_TEXT_SIZE - 1);
    size_t count = read_array(&r, PAGE_MAX);
    for (size_t i = 0; i < count && msgpack_reader_status(&r, false) == STATUS_OK; i++) {
        struct slice text = read_text(&r, NODE_ANSWER_MAX);
        json_t *entry = json_loadb((const char *)text.data, text.len, 0, NULL);
        if (!json_is_object(entry)) {
            json_decref(entry);
            return false;
        }
        json_array_append_new(items, entry);
    }
    if (more && slice_compare(next, slice_of_text(bound)) > 0) {
        (void)!snprintf(bound, ID_TEXT_SIZE, "%.*s", SLICE_ARGS(next));
    }
    return msgpack_reader_status(&r, false) == STATUS_OK;
}

static int newest_first(const void *a, const void *b)
{
    return -strcmp(id_of(*(json_t *const *)a), id_of(*(json_t *const *)b));
}

/* The newest `limit` of them that are not older than `bound`; where it goes on, if it does, in `bound`. */
static json_t *page_cut(const json_t *items, size_t limit, char bound[ID_TEXT_SIZE])
{
    size_t count = json_array_size(items);
    json_t **sorted = calloc(count + 1, sizeof(*sorted));
    json_t *page = json_array();
    if (sorted == NULL) {
        abort(); /* see api_memory_set_up() */
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = json_array_get(items, i);
    }
    qsort(sorted, count, sizeof(*sorted), newest_first);
    for (size_t i = 0; i < count && strcmp(id_of(sorted[i]), bound) >= 0; i++) {
        if (i == limit) {
            (void)!snprintf(bound, ID_TEXT_SIZE, "%s", id_of(sorted[i - 1]));
            break;
        }
        json_array_append(page, sorted[i]);
    }
    free(sorted);
    return page;
}

static void list_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    char bound[ID_TEXT_SIZE] = "";
    json_t *items = json_array(), *silent = json_array();
    msgpack_reader_init(&r, buf_slice(&answer->body));
    size_t nodes = read_array(&r, CORE_NODES_MAX);
    for (size_t i = 0; i < nodes; i++) {
        struct node_answer n;
        if (!node_answer_read(&r, &n)) {
            break;
        }
        if (n.status == STATUS_OK && !page_read(n.body, items, bound)) {
            node_answer_spoiled(&n);
        }
        if (n.status != STATUS_OK) {
            json_array_append_new(silent, node_answer_silent(&n));
        }
    }
    if (msgpack_reader_status(&r, false) != STATUS_OK) {
        json_decref(items);
        json_decref(silent);
        exchange_failf(x, STATUS_INTERNAL, "core's answer cannot be read");
        return;
    }
    json_t *object = json_object();
    json_put(object, "items", page_cut(items, list_limit(x), bound));
    if (bound[0] != '\0') {
        json_put(object, "older", json_string(bound));
    }
    json_put(object, "silent", silent);
    json_decref(items);
    exchange_answer(x, object);
}

void messages_list(struct exchange *x)
{
    struct buf args = BUF_INIT(8192);
    struct msgpack_writer w;
    uint64_t since = 0, until = 0;
    const char *status = NULL, *before = query_get(&x->query, "before");
    uint8_t id[ID_SIZE];
    if (!moment_read(x, "since", &since) || !moment_read(x, "until", &until) || !status_read(x, &status)) {
        return;
    }
    if (before != NULL && before[0] != '\0' && !id_parse(slice_of_text(before), id)) {
        struct failure f;
        (void)failure_set(&f, STATUS_INVALID, "\"before\" is no message id");
        exchange_fail_field(x, &f, "before");
        return;
    }
    msgpack_writer_init(&w, &args);
    write_u64(&w, list_limit(x));
    write_text(&w, slice_of_text(before));
    write_text(&w, slice_of_text(query_get(&x->query, "from")));
    write_text(&w, slice_of_text(query_get(&x->query, "to")));
    write_text(&w, slice_of_text(status));
    write_u64(&w, since);
    write_u64(&w, until);
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    } else {
        (void)ask(x, QUEUE_MESSAGE_LIST, &args, 7, list_answer);
    }
    buf_release(&args);
}

/* --- one message --- */

/* [ JSON, trace ] */
static json_t *message_read(struct slice body)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, body);
    (void)read_array(&r, 2);
    struct slice text = read_text(&r, NODE_ANSWER_MAX), trace_text = read_text(&r, NODE_ANSWER_MAX);
    if (msgpack_reader_status(&r, false) != STATUS_OK) {
        return NULL;
    }
    json_t *entry = json_loadb((const char *)text.data, text.len, 0, NULL);
    if (!json_is_object(entry)) {
        json_decref(entry);
        return NULL;
    }
    json_t *trace =
        trace_text.len > 0 ? json_loadb((const char *)trace_text.data, trace_text.len, 0, NULL) : NULL;
    json_put(entry, "trace", trace != NULL ? trace : json_null());
    return entry;
}

static void show_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    json_t *found = NULL;
    struct buf silent = BUF_INIT(4096);
    enum status said = STATUS_OK;
    msgpack_reader_init(&r, buf_slice(&answer->body));
    size_t nodes = read_array(&r, CORE_NODES_MAX);
    for (size_t i = 0; i < nodes && found == NULL; i++) {
        struct node_answer n;
        if (!node_answer_read(&r, &n)) {
            break;
        }
        if (n.status == STATUS_OK) {
            found = message_read(n.body);
        } else if (n.status != STATUS_NOT_FOUND && said == STATUS_OK) {
            said = buf_printf(&silent, "%s%.*s (%.*s)", silent.len > 0 ? ", " : "", SLICE_ARGS(n.node),
                              SLICE_ARGS(n.text));
        }
    }
    if (found != NULL) {
        exchange_answer(x, found);
    } else if (silent.len > 0) {
        exchange_failf(x, STATUS_UNAVAILABLE,
                       "no node that answers knows this message; these do not answer: %.*s",
                       SLICE_ARGS(buf_slice(&silent)));
    } else {
        exchange_failf(x, STATUS_NOT_FOUND, "no node's message log has a message of that id");
    }
    buf_release(&silent);
}

void messages_show(struct exchange *x)
{
    uint8_t id[ID_SIZE];
    struct buf args = BUF_INIT(256);
    struct msgpack_writer w;
    struct slice text = slice_of_text(x->parameters[0]);
    if (!id_parse(text, id)) {
        exchange_failf(x, STATUS_NOT_FOUND,
                       "that is no message id: 26 letters and digits, as in the answer to DATA");
        return;
    }
    msgpack_writer_init(&w, &args);
    write_text(&w, text);
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    } else {
        (void)ask(x, QUEUE_MESSAGE_SHOW, &args, 1, show_answer);
    }
    buf_release(&args);
}
