/* What sealpostd can be told to do: one function a verb (node/main.c chooses). Each returns the exit status.
 */
#ifndef SEALPOST_NODE_VERBS_H
#define SEALPOST_NODE_VERBS_H

#include "node/config.h"

/* LeakSanitizer attaches to its own process, which PR_SET_DUMPABLE forbids. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define EXIT_FATAL 78 /* EX_CONFIG: it cannot work as configured; starting again does not help */

struct init_options {
    const char *config_path;
    const char *cluster_name;
    const char *admin_token_file; /* NULL: print it */
};
int init_run(const struct node_config *config, const struct init_options *options);

struct join_options {
    const char *config_path;
    const char *token; /* one of these two */
    const char *token_file;
};
int join_run(const struct node_config *config, const struct join_options *options);

int supervisor_run(const struct node_config *config, const char *config_path);
/* sealpostd --role ...: called by the supervisor only */
int role_start(int argc, char **argv);

#endif
