/* What other nodes may ask of this one: each method of node/peer_rpc.h finds its part of core. Arguments are
 * checked here. */
#include "node/core_internal.h"

#include "base/msgpack_write.h"

static void refuse(struct peer_request *q, enum status status)
{
    peer_request_answer(q, status, status_text(status), SLICE_LITERAL(""), 0);
}

static void info_answer(struct core *core, struct peer_request *q)
{
    struct buf out = BUF_INIT(512);
    size_t count = 0;
    core_refresh(core);
    core_peer_asks(core, peer_request_node(q));
    core_info_write(core, &out, &count);
    peer_request_answer(q, count > 0 ? STATUS_OK : STATUS_INTERNAL, "", buf_slice(&out), count);
    buf_release(&out);
}

static void transferred_cb(void *context, enum status status, const char *text, uint64_t index,
                           const char *name)
{
    struct buf out = BUF_INIT(128);
    struct msgpack_writer w;
    (void)index;
    msgpack_writer_init(&w, &out);
    write_text(&w, slice_of_text(name));
    peer_request_answer(context, status, text, buf_slice(&out), status == STATUS_OK ? 1 : 0);
    buf_release(&out);
}

static void removed_cb(void *context, enum status status, const char *text, uint64_t index, const char *name)
{
    struct buf out = BUF_INIT(128);
    struct msgpack_writer w;
    (void)name;
    msgpack_writer_init(&w, &out);
    write_u64(&w, index);
    peer_request_answer(context, status, text, buf_slice(&out), status == STATUS_OK ? 1 : 0);
    buf_release(&out);
}

void core_peer_serve(struct core *core, struct peer_request *q, enum peer_method method,
                     struct msgpack_reader *args)
{
    struct slice bytes = SLICE_LITERAL("");
    uint64_t number = 0, count = 0;
    switch (method) {
    case PEER_PROPOSE:
        bytes = read_bytes(args, COMMAND_MAX);
        break;
    case PEER_HASH:
    case PEER_APPLIED:
        number = read_u64(args);
        break;
    case PEER_TRANSFER:
    case PEER_NODE_REMOVE:
        bytes = read_text(args, NODE_NAME_MAX);
        break;
    case PEER_MESSAGES:
        number = read_u64(args);
        bytes = read_bytes(args, CORE_MESSAGE_QUESTION_MAX);
        count = read_u64(args);
        break;
    case PEER_READ_INDEX:
    case PEER_INFO:
        break;
    }
    if (msgpack_reader_status(args, true) != STATUS_OK) {
        refuse(q, STATUS_MALFORMED);
        return;
    }
    if (core->closing) {
        refuse(q, STATUS_UNAVAILABLE);
        return;
    }
    switch (method) {
    case PEER_PROPOSE:
        core_propose_for_peer(core, bytes, q);
        return;
    case PEER_READ_INDEX:
        core_barrier_for_peer(core, q);
        return;
    case PEER_INFO:
        info_answer(core, q);
        return;
    case PEER_HASH:
        core_hash_for_peer(core, number, q);
        return;
    case PEER_APPLIED:
        core_applied_for_peer(core, number, q);
        return;
    case PEER_TRANSFER:
        core_transfer(core, bytes, false, transferred_cb, q);
        return;
    case PEER_NODE_REMOVE:
        core_node_remove(core, bytes, false, removed_cb, q);
        return;
    case PEER_MESSAGES:
        core_messages_for_peer(core, number, bytes, count, q);
        return;
    }
    refuse(q, STATUS_UNSUPPORTED); /* a newer node asks for what this release does not know */
}
