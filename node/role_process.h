/* Starting one process of a role: descriptors, keys, user, limits, program. */
#ifndef SEALPOST_NODE_ROLE_PROCESS_H
#define SEALPOST_NODE_ROLE_PROCESS_H

#include "node/listeners.h"
#include "node/restart_backoff.h"

#include <sys/types.h>

/* What all roles have in common. */
struct role_surroundings {
    const struct node_config *config;
    const struct listeners *listeners;
    int program;   /* O_PATH descriptor of our own executable: no role needs a way to its folder */
    int config_fd; /* sealed memfd: the effective configuration */
    int lock_fd;   /* lock of the data folder, which every role holds too */
    struct secret master, kek, spool, transport, tls_key;
};

struct role_process {
    const struct role_type *type;
    unsigned number; /* 1.. */
    char name[24];   /* "core", "worker-1": name of its pid file and in the log */
    pid_t pid;       /* 0: not running */
    struct restart_backoff backoff;
    uint64_t start_at_ms; /* when not running: start it then */
};

enum status role_process_start(struct role_process *p, const struct role_surroundings *s,
                               struct failure *f) MUST_CHECK;
/* run/NAME.pid; pid 0 removes it. */
void role_pid_file_write(const char *name, pid_t pid);

#endif
