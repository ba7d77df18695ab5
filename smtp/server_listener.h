/*
 * One listening socket of the SMTP server, and what holds for the sessions that begin at it now. Before each
 * session it is looked whether the store has changed; if so, the listener's row is read and worked out anew.
 * Sessions that run keep what they began with. On the loop's thread.
 */
#ifndef SEALPOST_SMTP_SERVER_LISTENER_H
#define SEALPOST_SMTP_SERVER_LISTENER_H

#include "smtp/listener_policy.h"
#include "smtp/settings.h"

#include <uv.h>

struct server;

struct server_listener {
    uv_tcp_t tcp;
    struct server *server;
    char name[LISTENER_NAME_MAX + 1];
    struct listener_policy *policy; /* owned reference; NULL before the first session */
    uint64_t index;                 /* of the store that it was read from */
};

/* What holds now; borrowed. NULL: it cannot be read, and no session may begin. `node_tls`: the context of the
 * node's own service certificate, or NULL. `settings` was refreshed. */
struct listener_policy *server_listener_policy(struct server_listener *l, struct settings_cache *settings,
                                               SSL_CTX *node_tls);
void server_listener_release(struct server_listener *l);

#endif
