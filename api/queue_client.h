/* The bus's connection to smtp's queue (smtp/queue_protocol.h). Used by the bus thread only. */
#ifndef SEALPOST_API_QUEUE_CLIENT_H
#define SEALPOST_API_QUEUE_CLIENT_H

#include "api/bus.h"
#include "smtp/queue_protocol.h"

/* Takes the request and answers it: `body` is what follows status and text. Called exactly once a request. */
typedef void (*queue_answer_cb)(void *context, struct bus_request *request, enum status status,
                                struct slice text, struct slice body);

struct queue_client;
struct queue_client *queue_client_new(const char *path, queue_answer_cb cb, void *context);
void queue_client_free(struct queue_client *c);    /* open requests are answered with CLOSED */
int queue_client_fd(const struct queue_client *c); /* -1 while not connected */
void queue_client_ask(struct queue_client *c, struct bus_request *request); /* takes it */
/* Everything that can be done now: connect, read, time out. */
void queue_client_read(struct queue_client *c);

#endif
