/* What the files of the queue's server share: queue_server.c has the clients and their answers, each other
 * file a kind of question. */
#ifndef SEALPOST_SMTP_QUEUE_SERVER_INTERNAL_H
#define SEALPOST_SMTP_QUEUE_SERVER_INTERNAL_H

#include "base/msgpack_read.h"
#include "smtp/queue_selection.h"
#include "smtp/queue_server.h"
#include "smtp/queue_walk.h"

#define QUEUE_ANSWER_MAX CHANNEL_PAYLOAD_MAX
#define QUEUE_BODY_MAX   ((size_t)600 << 10) /* of what grows: what core passes on is at most 900 KiB */

struct answer {
    struct answer *next;
    struct buf payload;
};

struct queue_client {
    struct queue_client *next;
    struct queue_server *server;
    uv_poll_t poll;
    int fd;
    struct answer *answers, **answers_tail;
    size_t answer_count;
    unsigned lookups; /* under way */
    bool closing;
};

struct queue_operation;
struct queue_follower;

struct queue_server {
    struct queue_server_options options;
    struct delivery *delivery;
    struct spool *spool;
    struct message_log *log;
    uv_poll_t accept;
    struct queue_walks walks;
    uv_timer_t follow_timer;
    struct queue_follower *followers;
    struct queue_operation *operations; /* newest first */
    struct queue_client *clients;
    struct channel_frame frame;
    unsigned handles, lookups;
    bool closing, told;
    void (*closed)(void *context);
    void *closed_context;
};

/* `extra` is one MessagePack value, or NULL. */
void queue_answer(struct queue_client *c, enum queue_request type, uint64_t request, enum status status,
                  const char *text, const struct buf *extra);
void queue_answer_number(struct queue_client *c, enum queue_request type, uint64_t request,
                         enum status status, const char *text, uint64_t number);
/* Around what takes more than a turn: the client stays until the end. _end is false when it has gone away in
 * the meantime: then there is nobody to answer. Call queue_client_over() last. */
void queue_client_begin(struct queue_client *c);
bool queue_client_end(struct queue_client *c);
void queue_client_over(struct queue_server *s);

/* The selection is one of this node, and its filters can be answered now; else it has been answered for the
 * asker, and false. *ours: false when it names another node. */
bool queue_selection_ready(struct queue_client *c, enum queue_request type, uint64_t request,
                           const struct queue_selection *selection, bool needs_facts, bool *ours);

/* --- questions: false if one is not well formed. Delivery is there. --- */

typedef bool (*queue_question)(struct queue_client *c, enum queue_request type, uint64_t request,
                               size_t fields, struct msgpack_reader *r);
bool queue_messages_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                        struct msgpack_reader *r);
bool queue_find_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                    struct msgpack_reader *r);
bool queue_summary_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                       struct msgpack_reader *r);
bool queue_operate_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                       struct msgpack_reader *r);
bool queue_operations_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                          struct msgpack_reader *r);
bool queue_cancel_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                      struct msgpack_reader *r);
bool queue_follow_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                      struct msgpack_reader *r);
bool queue_content_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                       struct msgpack_reader *r);
void queue_stats_run(struct queue_client *c, uint64_t request);
void queue_operations_free(struct queue_server *s);
/* Forgets those who wait for events: all, or a client's. */
void queue_followers_drop(struct queue_server *s, const struct queue_client *c);

/* --- queue_lookup.c --- */

/* What the schedule knew of a message when it was asked. */
struct queue_wanted {
    uint8_t id[ID_SIZE];
    const char *state;
    bool quarantined;
    uint64_t next_ms, bytes, expire_ms;
    uint32_t attempts;
    uint64_t key; /* FIND: what is sorted by */
};
void queue_wanted_set(struct queue_wanted *w, const struct schedule_entry *e);
/* FIND or SHOW: the envelopes are read on the thread pool. Takes `wanted`. */
void queue_lookup_start(struct queue_client *c, enum queue_request type, uint64_t request,
                        struct queue_wanted *wanted, size_t count, bool more);

#endif
