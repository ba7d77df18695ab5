/*
 * A certificate on demand: a sender of ours who is to be signed for and has no usable key gets one from the
 * CA of this cluster that ca.default names, if ca.auto_request allows it. The callback of mail/flow.h.
 */
#ifndef SEALPOST_NODE_WORKER_ISSUE_H
#define SEALPOST_NODE_WORKER_ISSUE_H

#include "mail/flow.h"
#include "raft/core_protocol.h"

#define ISSUE_TIMEOUT_MS 15000 /* for the proposal; the making of a key comes before it */

struct worker_issue {
    struct core_client *core;
    const struct keyring *keys;
    /* Puts the newest state into `env`; false: the one before stays. */
    bool (*renew)(void *context, struct mail_environment *env);
    void *context;
    bool tried; /* once a message is enough */
};

void worker_issue_offer(struct worker_issue *w, struct mail_environment *env); /* sets the callback */

#endif
