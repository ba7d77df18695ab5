/* What core says when it asked every node: [ [ node, status, text, body ], ... ]; see node/core_messages.c.
 */
#ifndef SEALPOST_API_NODE_ANSWER_H
#define SEALPOST_API_NODE_ANSWER_H

#include "api/json_out.h"
#include "base/msgpack_read.h"

#define NODE_ANSWER_MAX ((size_t)1 << 20) /* bytes of one node's */

struct node_answer {
    struct slice node, text, body; /* in the answer's bytes */
    enum status status;
};

/* The next of them; false when it is not well formed (the reader has the status). */
bool node_answer_read(struct msgpack_reader *r, struct node_answer *n);
/* A body that could not be understood: the node counts as one that does not answer. */
void node_answer_spoiled(struct node_answer *n);
/* { node, reason } of one that does not answer. */
json_t *node_answer_silent(const struct node_answer *n);

#endif
