/* /v1/cluster: its state as this node sees it, whether all nodes hold the same tables, and moving leadership.
 */
#include "api/json_out.h"
#include "api/resources.h"
#include "base/hex.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/records.h"

#define VERIFY_TIMEOUT_MS 30000

static const struct api_field cluster_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "id", .type = API_TEXT, .help = "32 hexadecimal digits"},
    {.name = "ca_fingerprint", .type = API_TEXT, .help = "SHA-256 of the certificate of the cluster's CA"},
    {.name = "leader",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "a node's name; empty if there is none"},
    {.name = "self", .type = API_TEXT, .flags = API_REQUIRED, .help = "the node that answers"},
    {.name = "term", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "commit_index", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "applied_index", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "nodes", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &node_object},
};
const struct api_object cluster_object = {
    .name = "Cluster", .help = "The cluster as one node sees it.", API_FIELDS(cluster_fields)};

static const struct api_field verify_node_fields[] = {
    {.name = "node", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "status", .type = API_TEXT, .flags = API_REQUIRED, .help = "OK, or why there is no hash"},
    {.name = "hash",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "SHA-256 of the node's tables; empty if none"},
};
static const struct api_object verify_node_object = {.name = "VerifyNode", API_FIELDS(verify_node_fields)};
static const struct api_field verify_fields[] = {
    {.name = "index", .type = API_NUMBER, .flags = API_REQUIRED, .help = "at which all nodes were compared"},
    {.name = "consistent",
     .type = API_BOOL,
     .flags = API_REQUIRED,
     .help = "every node answered with the same hash"},
    {.name = "nodes", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &verify_node_object},
};
const struct api_object verify_object = {.name = "Verification", API_FIELDS(verify_fields)};

static const struct api_field transfer_request_fields[] = {
    {.name = "to", .type = API_TEXT, .max = NODE_NAME_MAX, .help = "a node's name; any if absent or empty"},
};
const struct api_object transfer_request_object = {.name = "TransferRequest",
                                                   API_FIELDS(transfer_request_fields)};
static const struct api_field transfer_fields[] = {
    {.name = "leader", .type = API_TEXT, .flags = API_REQUIRED, .help = "who leads now"},
};
const struct api_object transfer_object = {.name = "Transfer", API_FIELDS(transfer_fields)};

static void identity_add(struct exchange *x, json_t *object)
{
    struct cluster_record record;
    uint8_t fingerprint[32];
    struct failure f;
    if (x->api->store == NULL || store_view_begin(x->api->store, &x->view, &f) != STATUS_OK) {
        x->view = NULL;
        return; /* what core says is worth showing without it */
    }
    if (store_cluster_get(x->view, &record) == STATUS_OK) {
        sha256(record.ca_certificate, fingerprint);
        json_put(object, "id", json_of_hex(record.id));
        json_put(object, "ca_fingerprint", json_of_hex(slice_of(fingerprint, sizeof(fingerprint))));
    }
}

static void cluster_answer(struct exchange *x, const struct bus_answer *answer)
{
    const struct core_status *s = core_status_of(x, answer);
    if (s == NULL) {
        return;
    }
    json_t *object = json_object(), *nodes = json_array();
    json_put(object, "name", json_of_slice(slice_of_text(s->cluster_name)));
    identity_add(x, object);
    json_put(object, "leader", json_of_slice(slice_of_text(s->leader)));
    json_put(object, "self", json_of_slice(slice_of_text(s->self)));
    json_put(object, "term", json_of_number(s->term));
    json_put(object, "commit_index", json_of_number(s->commit_index));
    json_put(object, "applied_index", json_of_number(s->applied_index));
    for (size_t i = 0; i < s->node_count; i++) {
        json_array_append_new(nodes, node_to_json(&s->nodes[i]));
    }
    json_put(object, "nodes", nodes);
    exchange_answer(x, object);
}

void cluster_get(struct exchange *x)
{
    (void)exchange_need(x, BUS_CORE, CORE_STATUS, cluster_answer);
}

/* index, then [ [node, status, hash], ... ] */
static void verify_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    struct slice first = {0};
    bool consistent = true;
    json_t *object = json_object(), *nodes = json_array();
    msgpack_reader_init(&r, buf_slice(&answer->body));
    uint64_t index = read_u64(&r);
    size_t count = read_array(&r, CORE_NODES_MAX);
    for (size_t i = 0; i < count; i++) {
        json_t *node = json_object();
        (void)read_array(&r, 3);
        json_put(node, "node", json_of_slice(read_text(&r, NODE_NAME_MAX)));
        enum status status = status_from_number(read_u64(&r));
        struct slice hash = read_bytes(&r, 64);
        json_put(node, "status", json_string(status_name(status)));
        json_put(node, "hash", status == STATUS_OK ? json_of_hex(hash) : json_string(""));
        json_array_append_new(nodes, node);
        if (i == 0) {
            first = hash;
        }
        consistent = consistent && status == STATUS_OK && slice_equal(hash, first);
    }
    json_put(object, "index", json_of_number(index));
    json_put(object, "consistent", json_boolean(consistent && count > 0));
    json_put(object, "nodes", nodes);
    if (msgpack_reader_status(&r, false) != STATUS_OK) {
        json_decref(object);
        exchange_failf(x, STATUS_INTERNAL, "core's answer cannot be read");
        return;
    }
    exchange_answer(x, object);
}

void cluster_verify(struct exchange *x)
{
    exchange_need(x, BUS_CORE, CORE_VERIFY, verify_answer)->timeout_ms = VERIFY_TIMEOUT_MS;
}

static void transfer_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct msgpack_reader r;
    json_t *object = json_object();
    msgpack_reader_init(&r, buf_slice(&answer->body));
    json_put(object, "leader", json_of_slice(read_text(&r, NODE_NAME_MAX)));
    exchange_answer(x, object);
}

void cluster_transfer(struct exchange *x)
{
    struct msgpack_writer w;
    struct bus_request *r = exchange_need(x, BUS_CORE, CORE_TRANSFER, transfer_answer);
    msgpack_writer_init(&w, &r->arguments);
    write_text(&w, api_body_text(x->body, "to"));
    r->argument_count = 1;
    if (msgpack_writer_status(&w) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the question");
    }
}
