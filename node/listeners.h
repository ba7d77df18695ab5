/* The listening sockets of a node: the supervisor opens them before any role runs and keeps them, so that a
 * role that starts again loses no connection that waits. */
#ifndef SEALPOST_NODE_LISTENERS_H
#define SEALPOST_NODE_LISTENERS_H

#include "node/role_table.h"

#define LISTENERS_MAX 64

struct listener {
    const struct role_type *type; /* whose it is */
    char name[ROLE_LISTENER_NAME];
    int fd; /* close-on-exec, non-blocking */
};

struct listeners {
    struct listener list[LISTENERS_MAX];
    size_t count;
};

/* All of them, or none: the failure names the address and the key that asks for it. The working directory is
 * the data folder. */
enum status listeners_open(const struct node_config *config, struct listeners *l,
                           struct failure *f) MUST_CHECK;
void listeners_close(struct listeners *l);

#endif
