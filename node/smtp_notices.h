/*
 * Mails that tell people what expires: planned on the leader's node (store/notice_plan.h), claimed through
 * the log, sent by the node that claimed (docs/decisions/0019). Part of the smtp role, on its loop.
 */
#ifndef SEALPOST_NODE_SMTP_NOTICES_H
#define SEALPOST_NODE_SMTP_NOTICES_H

#include "raft/core_protocol.h"
#include "smtp/service.h"

struct smtp_notices;

struct smtp_notices_services {
    struct core_client *core;
    struct store *store;
    struct smtp_service *service;
    const char *hostname;
};

struct smtp_notices *smtp_notices_new(const struct smtp_notices_services *services); /* NULL: no memory */
/* Whoever leads now, as core says; "": nobody. */
void smtp_notices_leader(struct smtp_notices *n, const char *leader);
/* A few times a second. Times: clock_monotonic_ms(), clock_wall_ms(). */
void smtp_notices_tick(struct smtp_notices *n, uint64_t now_ms, uint64_t wall_ms);
/* After core client and service have ended, whose answers come here. NULL is fine. */
void smtp_notices_free(struct smtp_notices *n);

#endif
