/* See node_answer.h. */
#include "api/node_answer.h"

#include "raft/core_protocol.h"

bool node_answer_read(struct msgpack_reader *r, struct node_answer *n)
{
    (void)read_array(r, 4);
    n->node = read_text(r, NODE_NAME_MAX);
    n->status = status_from_number(read_u64(r));
    n->text = read_text(r, FAILURE_TEXT_MAX);
    n->body = read_bytes(r, NODE_ANSWER_MAX);
    return msgpack_reader_status(r, false) == STATUS_OK;
}

void node_answer_spoiled(struct node_answer *n)
{
    n->status = STATUS_MALFORMED;
    n->text = SLICE_LITERAL("its answer cannot be read");
}

json_t *node_answer_silent(const struct node_answer *n)
{
    json_t *silent = json_object();
    json_put(silent, "node", json_of_slice(n->node));
    json_put(silent, "reason",
             n->text.len > 0 ? json_of_slice(n->text) : json_string(status_text(n->status)));
    return silent;
}
