/*
 * Which roles there are: how many processes, under which user, with which keys and sockets. The supervisor
 * knows nothing else about them. A new role is a row here, its function in node/role.h and its user in
 * node/config_table.c.
 */
#ifndef SEALPOST_NODE_ROLE_TABLE_H
#define SEALPOST_NODE_ROLE_TABLE_H

#include "node/role.h"

enum role_keys { /* flags */
                 ROLE_KEY_MASTER = 1,
                 ROLE_KEY_KEK = 2,
                 ROLE_KEY_SPOOL = 4,
                 ROLE_KEY_TLS = 8,
                 ROLE_KEY_TRANSPORT = 16
};

enum role_listener_kind {
    ROLE_LISTENS_TCP,
    ROLE_LISTENS_NAMED, /* TCP: a list of NAME@ADDRESS; the descriptor is named "smtp/NAME" */
    ROLE_LISTENS_UNIX
};

struct role_listening {
    const char *name; /* of the descriptor, as in node/role.h */
    enum role_listener_kind kind;
    size_t address_offset;  /* TCP: member of struct node_config, a list with commas */
    const char *config_key; /* TCP: "[smtp] listen", for messages */
    const char *path;       /* Unix */
};

#define ROLE_LISTENINGS_MAX 5

struct role_type {
    const char *name;
    int (*run)(struct role_context *c);
    unsigned (*count)(const struct node_config *config); /* processes */
    unsigned (*user)(const struct node_config *config);
    unsigned keys;      /* enum role_keys */
    unsigned stop_turn; /* on SIGTERM: 0 first; the next turn comes when all of this one are gone */
    struct role_listening listens[ROLE_LISTENINGS_MAX];
};

const struct role_type *role_type_at(size_t i); /* in order of start; NULL at the end */
const struct role_type *role_type_find(const char *name);

#endif
