/* Serves smtp/queue_protocol.h on run/queue.sock: what the api role shows and changes of this node's queue.
 * On the loop's thread. */
#ifndef SEALPOST_SMTP_QUEUE_SERVER_H
#define SEALPOST_SMTP_QUEUE_SERVER_H

#include "smtp/delivery.h"
#include "smtp/queue_protocol.h"

struct queue_server;

#define QUEUE_LIST_MAX 1000 /* entries in one answer */

struct queue_server_options {
    uv_loop_t *loop;
    int listener; /* taken */
    struct statistics *statistics;
    struct job_server *jobs;
    struct memory_budget *budget;
    struct settings_source *settings;
    const char *node; /* its name; "": unknown. Borrowed */
};
enum status queue_server_new(const struct queue_server_options *options, struct queue_server **out,
                             struct failure *f) MUST_CHECK;
/* Before this, requests are answered with UNAVAILABLE. NULL again when the service stops; the log may be
 * NULL. */
void queue_server_open(struct queue_server *s, struct delivery *delivery, struct spool *spool,
                       struct message_log *log);
void queue_server_close(struct queue_server *s, void (*closed)(void *context), void *context);
void queue_server_free(struct queue_server *s);

#endif
