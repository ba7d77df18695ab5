/* What the other roles may ask of core: each request of raft/core_protocol.h finds its part; results are
 * written here. */
#include "node/core_internal.h"

#include "base/msgpack_write.h"

static void answer_number(struct client_request *q, enum status status, const char *text, uint64_t number)
{
    struct buf out = BUF_INIT(64);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &out);
    write_u64(&w, number);
    if (status == STATUS_OK) {
        status = msgpack_writer_status(&w);
    }
    client_answer(q, status, text, buf_slice(&out), status == STATUS_OK ? 1 : 0);
    buf_release(&out);
}

static void answer_text(struct client_request *q, enum status status, const char *text, struct slice result)
{
    struct buf out = BUF_INIT((size_t)16 << 10);
    struct msgpack_writer w;
    out.wipe = true; /* a join token is secret */
    msgpack_writer_init(&w, &out);
    write_text(&w, result);
    if (status == STATUS_OK) {
        status = msgpack_writer_status(&w);
    }
    client_answer(q, status, text, buf_slice(&out), status == STATUS_OK ? 1 : 0);
    buf_release(&out);
}

static void proposed_cb(void *context, const struct core_outcome *outcome)
{
    struct client_request *q = context;
    struct buf out = BUF_INIT(1024);
    struct msgpack_writer w;
    if (outcome->status != STATUS_OK) {
        client_answer(q, outcome->status, outcome->text, SLICE_LITERAL(""), 0);
        return;
    }
    const struct apply_result *result = outcome->result;
    const char *text = result->status == STATUS_OK ? "" : result->failure.text;
    if (result->status != STATUS_OK && text[0] == '\0') {
        text = status_text(result->status);
    }
    msgpack_writer_init(&w, &out);
    write_u64(&w, result->index);
    write_bytes(&w, slice_of(result->value, result->value_len));
    enum status status = msgpack_writer_status(&w) == STATUS_OK ? result->status : STATUS_NO_MEMORY;
    client_answer(q, status, text, buf_slice(&out), 2);
    buf_release(&out);
}

static void barrier_cb(void *context, enum status status, const char *text, uint64_t index)
{
    answer_number(context, status, text, index);
}

static void status_answer(struct core *core, struct client_request *q)
{
    static struct core_status status; /* 10 KiB; one thread */
    struct buf encoded = BUF_INIT((size_t)64 << 10), out = BUF_INIT((size_t)65 << 10);
    struct failure f = {0};
    struct msgpack_writer w;
    core_refresh(core);
    enum status result = core_status_build(core, &status, &f);
    if (result == STATUS_OK) {
        result = core_status_encode(&status, &encoded);
    }
    msgpack_writer_init(&w, &out);
    write_bytes(&w, buf_slice(&encoded));
    if (result == STATUS_OK) {
        result = msgpack_writer_status(&w);
    }
    client_answer(q, result, f.text, buf_slice(&out), result == STATUS_OK ? 1 : 0);
    buf_release(&encoded);
    buf_release(&out);
}

static void verified_cb(void *context, enum status status, const char *text,
                        const struct core_verify_result *result)
{
    struct buf out = BUF_INIT((size_t)16 << 10);
    struct msgpack_writer w;
    if (status != STATUS_OK) {
        client_answer(context, status, text, SLICE_LITERAL(""), 0);
        return;
    }
    msgpack_writer_init(&w, &out);
    write_u64(&w, result->index);
    write_array(&w, result->node_count);
    for (size_t i = 0; i < result->node_count; i++) {
        bool have = result->nodes[i].status == STATUS_OK;
        write_array(&w, 3);
        write_text(&w, slice_of_text(result->nodes[i].name));
        write_u64(&w, result->nodes[i].status);
        write_bytes(&w, have ? slice_of(result->nodes[i].hash, STORE_HASH_SIZE) : SLICE_LITERAL(""));
    }
    status = msgpack_writer_status(&w);
    client_answer(context, status, "", buf_slice(&out), status == STATUS_OK ? 2 : 0);
    buf_release(&out);
}

static void transferred_cb(void *context, enum status status, const char *text, uint64_t index,
                           const char *name)
{
    (void)index;
    answer_text(context, status, text, slice_of_text(name));
}

static void token_cb(void *context, enum status status, const char *text, struct slice token)
{
    answer_text(context, status, text, token);
}

static void removed_cb(void *context, enum status status, const char *text, uint64_t index, const char *name)
{
    (void)name;
    answer_number(context, status, text, index);
}

void core_request_serve(struct core *core, struct client_request *q, struct msgpack_reader *args)
{
    struct slice bytes = SLICE_LITERAL("");
    uint64_t number = 0, count = 0;
    struct failure f = {.status = STATUS_OK};
    switch (q->type) {
    case CORE_REVOCATION_LIST:
    case CORE_OCSP_ANSWER:
        core_evidence(core, q, args);
        return;
    case CORE_PROPOSE:
        bytes = read_bytes(args, COMMAND_MAX);
        break;
    case CORE_NODE_TOKEN:
        number = read_u64(args);
        break;
    case CORE_TRANSFER:
    case CORE_NODE_REMOVE:
        bytes = read_text(args, NODE_NAME_MAX);
        break;
    case CORE_MESSAGES:
        number = read_u64(args);
        bytes = read_bytes(args, CORE_MESSAGE_QUESTION_MAX);
        count = read_u64(args);
        break;
    case CORE_HELLO:
    case CORE_BARRIER:
    case CORE_STATUS:
    case CORE_VERIFY:
    case CORE_EVENT:
        break;
    }
    enum status status = msgpack_reader_status(args, true);
    if (status != STATUS_OK) {
        client_answer(q, status, "the request's arguments are not as they must be", SLICE_LITERAL(""), 0);
        return;
    }
    switch (q->type) {
    case CORE_PROPOSE:
        status = client_request_permitted(q, bytes, &f);
        if (status != STATUS_OK) {
            log_event(LOG_WARN, "a role may not make a change", LOG_TEXT("reason", f.text));
            client_answer(q, status, f.text, SLICE_LITERAL(""), 0);
            return;
        }
        core_propose(core, bytes, proposed_cb, q);
        return;
    case CORE_BARRIER:
        core_barrier(core, barrier_cb, q);
        return;
    case CORE_STATUS:
        status_answer(core, q);
        return;
    case CORE_VERIFY:
        core_verify(core, verified_cb, q);
        return;
    case CORE_TRANSFER:
        core_transfer(core, bytes, true, transferred_cb, q);
        return;
    case CORE_NODE_TOKEN:
        core_node_token(core, number, token_cb, q);
        return;
    case CORE_NODE_REMOVE:
        core_node_remove(core, bytes, true, removed_cb, q);
        return;
    case CORE_MESSAGES:
        core_messages(core, number, bytes, count, q);
        return;
    case CORE_REVOCATION_LIST:
    case CORE_OCSP_ANSWER:
    case CORE_HELLO:
    case CORE_EVENT:
        break;
    }
    client_answer(q, STATUS_UNSUPPORTED, status_text(STATUS_UNSUPPORTED), SLICE_LITERAL(""), 0);
}
