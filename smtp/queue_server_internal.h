/* What the files of the queue's server share: queue_server.c has the clients and their answers,
 * queue_messages.c the message log. */
#ifndef SEALPOST_SMTP_QUEUE_SERVER_INTERNAL_H
#define SEALPOST_SMTP_QUEUE_SERVER_INTERNAL_H

#include "base/msgpack_read.h"
#include "smtp/queue_server.h"

#define QUEUE_ANSWER_MAX CHANNEL_PAYLOAD_MAX

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

struct queue_server {
    struct queue_server_options options;
    struct delivery *delivery;
    struct spool *spool;
    struct message_log *log;
    uv_poll_t accept;
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
void queue_client_free_perhaps(struct queue_client *c);
void queue_server_closed_perhaps(struct queue_server *s);

/* --- queue_messages.c --- */

/* MESSAGE_LIST and MESSAGE_SHOW; false if the request is not well formed. */
bool queue_messages_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                        struct msgpack_reader *r);

#endif
