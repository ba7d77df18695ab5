/*
 * What a worker asks of the fetch role while a message waits: the callbacks of struct mail_environment.
 * Without an answer the message is decided with what is stored, or deferred (cert.lookup_on_failure). One
 * thread.
 */
#ifndef SEALPOST_NODE_WORKER_LOOKUP_H
#define SEALPOST_NODE_WORKER_LOOKUP_H

#include "mail/flow.h"
#include "node/fetch_client.h"

struct worker_lookup {
    struct fetch_client client;
    /* Puts the newest state into `env`; false: the one before stays. */
    bool (*renew)(void *context, struct mail_environment *env);
    void *context;
};

void worker_lookup_init(struct worker_lookup *l, bool (*renew)(void *context, struct mail_environment *env),
                        void *context);
void worker_lookup_release(struct worker_lookup *l);
void worker_lookup_offer(struct worker_lookup *l, struct mail_environment *env); /* sets the callbacks */

#endif
