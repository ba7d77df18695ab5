/* See queue_question.h. */
#include "api/queue_question.h"

static const struct api_field silent_fields[] = {
    {.name = "node", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "reason", .type = API_TEXT, .flags = API_REQUIRED},
};
const struct api_object queue_silent_object = {
    .name = "QueueSilentNode", .help = "A node that does not answer.", API_FIELDS(silent_fields)};

static struct slice value_of(const struct exchange *x, const char *name)
{
    return x->body != NULL ? api_body_text(x->body, name) : slice_of_text(query_get(&x->query, name));
}

/* "30m": so long ago. False: the exchange has failed. */
static bool age_get(struct exchange *x, const char *name, uint64_t now, uint64_t *out)
{
    static const struct {
        uint8_t letter;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    struct slice text = value_of(x, name);
    uint64_t number = 0;
    if (text.len == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text.data[text.len - 1] == units[i].letter &&
            slice_parse_u64(slice_of(text.data, text.len - 1), &number) && number > 0) {
            *out = number >= now / units[i].ms ? 1 : now - number * units[i].ms;
            return true;
        }
    }
    struct failure f;
    char shown[API_SHOWN_MAX];
    (void)failure_set(&f, STATUS_INVALID, "\"%s\" is no age: write 90s, 30m, 2h or 3d",
                      api_shown(text, shown));
    exchange_fail_field(x, &f, name);
    return false;
}

bool queue_selection_get(struct exchange *x, struct queue_selection *s, bool *given)
{
    uint64_t now = clock_wall_ms();
    *s = (struct queue_selection){.node = value_of(x, "node"),
                                  .sender = value_of(x, "sender"),
                                  .recipient = value_of(x, "recipient"),
                                  .domain = value_of(x, "domain"),
                                  .reason = value_of(x, "reason"),
                                  .next_hop = value_of(x, "next_hop"),
                                  .state = value_of(x, "state")};
    if (!age_get(x, "older_than", now, &s->until_ms) || !age_get(x, "younger_than", now, &s->since_ms)) {
        return false;
    }
    if (given != NULL) {
        *given = queue_selection_needs_facts(s) || s->node.len > 0 || s->state.len > 0 || s->until_ms > 0 ||
                 s->since_ms > 0;
    }
    return true;
}

void queue_ask_all(struct exchange *x, enum queue_request type, const struct buf *args, size_t count,
                   exchange_step next)
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
}

bool queue_id_get(struct exchange *x, struct slice *id)
{
    uint8_t bytes[ID_SIZE];
    *id = slice_of_text(x->parameters[0]);
    if (!id_parse(*id, bytes)) {
        exchange_failf(x, STATUS_NOT_FOUND,
                       "that is no message id: 26 letters and digits, as in the answer to DATA");
        return false;
    }
    return true;
}

/* It says nothing about the message: it could not be asked, or not now. */
static bool is_silent(const struct node_answer *n)
{
    return status_retryable(n->status) || n->status == STATUS_UNSUPPORTED || n->status == STATUS_MALFORMED ||
           n->status == STATUS_TOO_LARGE;
}

bool queue_answers_read(struct exchange *x, const struct bus_answer *answer, queue_node_take take,
                        void *context, json_t *silent)
{
    struct msgpack_reader r;
    struct failure refused = {.status = STATUS_OK};
    size_t good = 0;
    msgpack_reader_init(&r, buf_slice(&answer->body));
    size_t nodes = read_array(&r, CORE_NODES_MAX);
    for (size_t i = 0; i < nodes; i++) {
        struct node_answer n;
        if (!node_answer_read(&r, &n)) {
            break;
        }
        if (n.status == STATUS_OK && !take(context, &n)) {
            node_answer_spoiled(&n);
        }
        if (n.status == STATUS_OK) {
            good++;
            continue;
        }
        if (refused.status == STATUS_OK || !is_silent(&n)) {
            (void)failure_set(&refused, n.status, "%.*s", SLICE_ARGS(n.text));
        }
        json_array_append_new(silent, node_answer_silent(&n));
    }
    if (msgpack_reader_status(&r, false) != STATUS_OK) {
        exchange_failf(x, STATUS_INTERNAL, "core's answer cannot be read");
        return false;
    }
    if (good == 0) {
        exchange_failf(x, refused.status != STATUS_OK ? refused.status : STATUS_UNAVAILABLE, "%s",
                       refused.text[0] != '\0' ? refused.text : "no node answers");
        return false;
    }
    return true;
}

bool queue_answer_of_one(struct exchange *x, const struct bus_answer *answer, struct node_answer *found)
{
    struct msgpack_reader r;
    struct buf silent = BUF_INIT(4096);
    enum status said = STATUS_OK;
    msgpack_reader_init(&r, buf_slice(&answer->body));
    size_t nodes = read_array(&r, CORE_NODES_MAX);
    *found = (struct node_answer){.status = STATUS_NOT_FOUND};
    for (size_t i = 0; i < nodes; i++) {
        struct node_answer n;
        if (!node_answer_read(&r, &n)) {
            break;
        }
        if (n.status == STATUS_OK || (n.status != STATUS_NOT_FOUND && !is_silent(&n))) {
            *found = n;
        } else if (n.status != STATUS_NOT_FOUND && said == STATUS_OK) {
            said = buf_printf(&silent, "%s%.*s (%.*s)", silent.len > 0 ? ", " : "", SLICE_ARGS(n.node),
                              SLICE_ARGS(n.text));
        }
    }
    bool good = found->status == STATUS_OK;
    if (msgpack_reader_status(&r, false) != STATUS_OK) {
        exchange_failf(x, STATUS_INTERNAL, "core's answer cannot be read");
        good = false;
    } else if (!good && found->status != STATUS_NOT_FOUND) {
        exchange_failf(x, found->status, "%.*s", SLICE_ARGS(found->text));
    } else if (!good && silent.len > 0) {
        exchange_failf(x, STATUS_UNAVAILABLE,
                       "no node that answers has this message in its queue; these do not answer: %.*s",
                       SLICE_ARGS(buf_slice(&silent)));
    } else if (!good) {
        exchange_failf(x, STATUS_NOT_FOUND, "there is no message of that id in the queue of any node");
    }
    buf_release(&silent);
    return good;
}
