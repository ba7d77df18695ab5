/* /v1/nodes: who belongs to the cluster, letting one in by a token, and removing one. Core answers all of it.
 */
#include "api/json_out.h"
#include "api/resources.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

static const struct api_field node_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "id", .type = API_NUMBER, .flags = API_REQUIRED, .help = "never given again"},
    {.name = "role",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "leader, follower, candidate, standby, spare or unreachable"},
    {.name = "reachable", .type = API_BOOL, .flags = API_REQUIRED, .help = "heard from within 2 seconds"},
    {.name = "applied_index", .type = API_NUMBER, .flags = API_REQUIRED, .help = "0 if unknown"},
    {.name = "log_index", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "release", .type = API_TEXT},
    {.name = "peer_address", .type = API_TEXT, .help = "HOST:PORT"},
    {.name = "api_address", .type = API_TEXT, .help = "HOST:PORT"},
    {.name = "smtp_address", .type = API_TEXT, .help = "HOST:PORT"},
};
const struct api_object node_object = {
    .name = "Node", .help = "A node of the cluster.", API_FIELDS(node_fields)};

static const struct api_field nodes_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &node_object},
};
const struct api_object nodes_object = {.name = "Nodes", API_FIELDS(nodes_fields)};

#define TOKEN_LIFETIME_S     3600
#define TOKEN_LIFETIME_MAX_S 604800

static const struct api_field node_token_request_fields[] = {
    {.name = "lifetime_seconds",
     .type = API_NUMBER,
     .min = 10,
     .max = TOKEN_LIFETIME_MAX_S,
     .help = "how long the token can be used; an hour if absent"},
};
const struct api_object node_token_request_object = {.name = "NodeTokenRequest",
                                                     API_FIELDS(node_token_request_fields)};

static const struct api_field node_token_fields[] = {
    {.name = "token",
     .type = API_TEXT,
     .flags = API_REQUIRED | API_SECRET,
     .help = "all that a new node needs; for one node; shown only now"},
    {.name = "lifetime_seconds", .type = API_NUMBER, .flags = API_REQUIRED},
};
const struct api_object node_token_object = {.name = "NodeToken", API_FIELDS(node_token_fields)};

static const struct api_field removed_fields[] = {
    {.name = "removed", .type = API_TEXT, .flags = API_REQUIRED, .help = "what is gone"},
};
const struct api_object removed_object = {.name = "Removed", API_FIELDS(removed_fields)};

json_t *node_to_json(const struct core_node_status *n)
{
    json_t *node = json_object();
    json_put(node, "name", json_of_slice(slice_of_text(n->name)));
    json_put(node, "id", json_of_number(n->id));
    json_put(node, "role", json_of_slice(slice_of_text(n->role)));
    json_put(node, "reachable", json_boolean(n->reachable));
    json_put(node, "applied_index", json_of_number(n->applied_index));
    json_put(node, "log_index", json_of_number(n->log_index));
    json_put(node, "release", json_of_slice(slice_of_text(n->release)));
    json_put(node, "peer_address", json_of_slice(slice_of_text(n->peer_address)));
    json_put(node, "api_address", json_of_slice(slice_of_text(n->api_address)));
    json_put(node, "smtp_address", json_of_slice(slice_of_text(n->smtp_address)));
    return node;
}

const struct core_status *core_status_of(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    struct core_status *s = arena_alloc(&x->arena, sizeof(*s));
    msgpack_reader_init(&r, buf_slice(&answer->body));
    struct slice encoded = read_bytes(&r, CHANNEL_PAYLOAD_MAX);
    if (s == NULL || msgpack_reader_status(&r, false) != STATUS_OK ||
        core_status_decode(encoded, s) != STATUS_OK) {
        exchange_failf(x, STATUS_INTERNAL, "core's answer cannot be read");
        return NULL;
    }
    return s;
}

static void nodes_answer(struct exchange *x, const struct bus_answer *answer)
{
    const struct core_status *s = core_status_of(x, answer);
    if (s == NULL) {
        return;
    }
    json_t *items = json_array();
    for (size_t i = 0; i < s->node_count; i++) {
        json_array_append_new(items, node_to_json(&s->nodes[i]));
    }
    exchange_answer(x, json_page(items, NULL));
}

void nodes_list(struct exchange *x)
{
    (void)exchange_need(x, BUS_CORE, CORE_STATUS, nodes_answer);
}

static void token_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, buf_slice(&answer->body));
    struct slice token = read_text(&r, 4096);
    if (msgpack_reader_status(&r, false) != STATUS_OK || token.len == 0) {
        exchange_failf(x, STATUS_INTERNAL, "core's answer cannot be read");
        return;
    }
    json_t *object = json_object();
    json_put(object, "token", json_of_slice(token));
    json_put(object, "lifetime_seconds",
             json_of_number(api_body_number(x->body, "lifetime_seconds", TOKEN_LIFETIME_S)));
    exchange_answer(x, object);
}

void node_token_add(struct exchange *x)
{
    struct msgpack_writer w;
    struct bus_request *r = exchange_need(x, BUS_CORE, CORE_NODE_TOKEN, token_answer);
    msgpack_writer_init(&w, &r->arguments);
    write_u64(&w, 1000 * api_body_number(x->body, "lifetime_seconds", TOKEN_LIFETIME_S));
    r->argument_count = 1;
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    }
}

static void remove_answer(struct exchange *x, const struct bus_answer *answer)
{
    json_t *gone = json_object();
    x->index = answer->index;
    json_put(gone, "removed", json_string(x->parameters[0]));
    exchange_answer(x, gone);
}

void node_remove(struct exchange *x)
{
    struct msgpack_writer w;
    struct slice name = slice_of_text(x->parameters[0]);
    if (name.len > NODE_NAME_MAX) {
        exchange_failf(x, STATUS_NOT_FOUND, "there is no node of that name");
        return;
    }
    struct bus_request *r = exchange_need(x, BUS_CORE, CORE_NODE_REMOVE, remove_answer);
    r->timeout_ms = 30000; /* leadership moves first, and membership changes one at a time */
    msgpack_writer_init(&w, &r->arguments);
    write_text(&w, name);
    r->argument_count = 1;
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    }
}
