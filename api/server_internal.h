/* Shared by the files that know h2o: server.c, http.c, http_error.c, tls.c. */
#ifndef SEALPOST_API_SERVER_INTERNAL_H
#define SEALPOST_API_SERVER_INTERNAL_H

#include "api/api.h"
#include "api/exchange.h"

#include <h2o.h>
#include <h2o/http1.h>

#define SERVER_CONNECTIONS_MAX 256
#define SERVER_ENTITY_MAX                                                                                    \
    (API_BODY_MAX + (1 << 20)) /* beyond API_BODY_MAX the answer can still be a clear one */

struct server {
    struct api api; /* first: a struct api is a struct server */
    const struct api_options *options;
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
    h2o_loop_t *loop;
    SSL_CTX *tls;
    struct bus *bus;
    struct job_thread *jobs;
    h2o_multithread_receiver_t receiver;
    h2o_socket_t *listeners[API_LISTENERS_MAX];
    h2o_socket_t *stop_socket;
    bool paused, stopping;    /* no more connections for now; for good */
    struct exchange *open;    /* whose question or job is under way */
    struct exchange *waiting; /* for their index */
    h2o_timeout_t tick;       /* SERVER_TICK_MS */
    h2o_timeout_entry_t waiting_entry, store_entry;
    h2o_timeout_t rounds; /* CA_ROUND_MS */
    h2o_timeout_entry_t rounds_entry;
};

/* http.c: one handler for every path */
void http_handler_register(h2o_pathconf_t *path, struct server *server);
void http_answered(struct api *api, struct exchange *x);

/* http_error.c: what h2o itself answers becomes problem details */
void http_error_filter_register(h2o_pathconf_t *path);

/* http_linger.c: the client of a refused body shall see the answer */
void http_linger(h2o_req_t *req);

/* tls.c */
enum status tls_context_make(const char *certificate, struct slice key, SSL_CTX **out,
                             struct failure *f) MUST_CHECK;

#endif
