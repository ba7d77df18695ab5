/*
 * Questions about the queue to all nodes, by way of core (node/core_messages.c): which messages are meant,
 * and what the nodes' answers are together. For the resource_queue*.c.
 */
#ifndef SEALPOST_API_QUEUE_QUESTION_H
#define SEALPOST_API_QUEUE_QUESTION_H

#include "api/node_answer.h"
#include "api/resources.h"
#include "base/msgpack_write.h"
#include "smtp/queue_protocol.h"
#include "smtp/queue_selection.h"

/* The filters, in a query and in a body. */
#define QUEUE_FILTER_FIELDS                                                                                  \
    {.name = "sender",                                                                                       \
     .type = API_TEXT,                                                                                       \
     .max = QUEUE_PATTERN_MAX,                                                                               \
     .help = "an address, with * for anything; or @domain; <> for the null sender"},                         \
        {.name = "recipient",                                                                                \
         .type = API_TEXT,                                                                                   \
         .max = QUEUE_PATTERN_MAX,                                                                           \
         .help = "that still waits: an address, with * for anything; or @domain"},                           \
        {.name = "domain", .type = API_TEXT, .max = QUEUE_PATTERN_MAX, .help = "of a recipient; with *"},    \
        {.name = "reason",                                                                                   \
         .type = API_TEXT,                                                                                   \
         .max = QUEUE_PATTERN_MAX,                                                                           \
         .help = "a part of the last answer, a code say; with *: all of it"},                                \
        {.name = "next_hop",                                                                                 \
         .type = API_TEXT,                                                                                   \
         .max = QUEUE_PATTERN_MAX,                                                                           \
         .help = "a part of who answered last, host:port"},                                                  \
        {.name = "state", .type = API_TEXT, .max = 32, .choices = "active|deferred|held|quarantined"},       \
        {.name = "older_than", .type = API_TEXT, .max = 16, .help = "so long in the queue: 30m, 2h, 3d"},    \
        {.name = "younger_than", .type = API_TEXT, .max = 16, .help = "not so long in the queue"},           \
    {                                                                                                        \
        .name = "node", .type = API_TEXT, .max = NODE_NAME_MAX, .help = "only this node's messages"          \
    }

#define QUEUE_ARGUMENTS_MAX ((size_t)12 << 10) /* bytes of a question */

#define QUEUE_SILENT_FIELD                                                                                   \
    {                                                                                                        \
        .name = "silent", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &queue_silent_object,        \
        .help = "nodes whose part is missing here"                                                           \
    }
extern const struct api_object queue_silent_object;

/* From the query, or from the body if there is one. False: the exchange has failed. `given`: any filter is;
 * may be NULL. */
bool queue_selection_get(struct exchange *x, struct queue_selection *s, bool *given);

/* `args` has `count` MessagePack values. */
void queue_ask_all(struct exchange *x, enum queue_request type, const struct buf *args, size_t count,
                   exchange_step next);
/* The id in the path. False: the exchange has failed. */
bool queue_id_get(struct exchange *x, struct slice *id);

/* Calls `take` for the body of each node that answers; false from it: the node counts as silent. The silent
 * ones are added to `silent`. False: the exchange has failed, because core's answer cannot be read, or no
 * node answers. */
typedef bool (*queue_node_take)(void *context, const struct node_answer *n);
bool queue_answers_read(struct exchange *x, const struct bus_answer *answer, queue_node_take take,
                        void *context, json_t *silent);
/* Of a message by its id: the answer of the node that has it, or false: the exchange has failed. */
bool queue_answer_of_one(struct exchange *x, const struct bus_answer *answer, struct node_answer *found);

#endif
