/*
 * What a role process gets from the supervisor, and its entry points. A role runs with the data folder as
 * working directory (so that relative paths work whatever lies above it), its own user where the supervisor
 * is root, no_new_privs, no core dumps, and only the descriptors and keys that it needs.
 *
 * Command line: sealpostd --role NAME --config-fd N [--listen-fd NAME=N]... [--keys-fd N] [--worker I]
 * The keys come through a pipe, as MessagePack map (name str -> bin), are read once into struct secret and
 * the pipe is closed:
 *   core     "master" (whole: it gives it to joining nodes); its peer key lies on disk, sealed
 *   worker   "kek"
 *   api      "kek", "transport", "tls-key" (service key, PKCS#8)
 *   smtp     "spool", "transport", "tls-key"
 * Listening descriptors:
 *   core     "peers" (TCP), "core" (Unix)
 *   smtp     "smtp/NAME" (TCP, may be several; NAME is the listener's), "jobs", "queue" (Unix)
 *   api      "api" (TCP, may be several)
 *   fetch    "fetch" (Unix)
 *
 * Files below the data folder:
 *   run/        sockets and pid files: core.pid, smtp.pid, worker-1.pid, api.pid, fetch.pid, supervisor.pid
 *   identity/   who this node is: node/identity.h; service.crt, ca.crt are PEM and readable for all roles
 *   raft/       log and snapshots
 *   state/      LMDB
 *   spool/      messages
 *   messages/   what became of them: the message log
 */
#ifndef SEALPOST_NODE_ROLE_H
#define SEALPOST_NODE_ROLE_H

#include "base/secret.h"
#include "node/config.h"

#define ROLE_LISTENERS_MAX   40
#define ROLE_LISTENER_NAME   48 /* bytes with the NUL */
#define SMTP_LISTENER_PREFIX "smtp/"

struct role_listener {
    char name[ROLE_LISTENER_NAME];
    int fd;
};

struct role_context {
    const char *role;
    const struct node_config *config;
    struct role_listener listeners[ROLE_LISTENERS_MAX];
    size_t listener_count;
    struct secret master, kek, spool, transport, tls_key; /* those that this role gets; else empty */
    unsigned worker;                                      /* 1.. */
    int stop_fd; /* signalfd for SIGTERM and SIGINT: readable = stop in order */
};

int role_listener_fd(const struct role_context *c, const char *name,
                     size_t i); /* the i-th of this name, -1 if none */

/* Each runs the role until it is told to stop; returns the exit status. */
int role_core_run(struct role_context *c);   /* node/role_core.c */
int role_smtp_run(struct role_context *c);   /* node/role_smtp.c: calls smtp/ */
int role_worker_run(struct role_context *c); /* node/role_worker.c: calls mail/ */
int role_api_run(struct role_context *c);    /* node/role_api.c: calls api/ */
int role_fetch_run(struct role_context *c);  /* node/role_fetch.c */

#endif
