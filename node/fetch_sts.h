/*
 * MTA-STS policies (RFC 8461 section 3.3): fetched from https://mta-sts.DOMAIN for smtp, which asks when a
 * domain's TXT record names a policy that the cluster does not have, and again on schedule by the leading
 * node; and TLS reports posted for smtp. What was fetched is proposed as a row (store/records_sts.h).
 */
#ifndef SEALPOST_NODE_FETCH_STS_H
#define SEALPOST_NODE_FETCH_STS_H

#include "node/fetch_internal.h"
#include "smtp/sts_policy.h"

/* --- node/fetch_sts_task.c: on a thread --- */
struct sts_task {
    struct fetch_task task;
    struct fetch *fetch;
    struct fetch_asker asker;
    bool asked; /* somebody waits for it; else: on schedule */
    char domain[DOMAIN_MAX + 1];
    char id[STS_ID_MAX + 1]; /* "": to be looked up */
    char resolvers[SETTING_VALUE_MAX], trust_anchors[SETTING_VALUE_MAX];
    struct setting_value resolvers_value, trust_anchors_value;
    struct buf allowed, anchors; /* fetch.allow_networks; CAs of delivery.tls_trust, DER one after another */
    bool only_those;
    struct buf patterns;
    struct sts_policy policy;
    enum status status; /* OK: `policy` is what was fetched; else `why` */
    struct failure why;
};
void sts_task_run(struct fetch_task *task);
void sts_task_free(struct fetch_task *task);

/* --- node/fetch_sts.c: on the loop --- */
struct fetch_sts;
enum status fetch_sts_new(struct fetch *r, struct fetch_sts **out) MUST_CHECK;
void fetch_sts_free(struct fetch_sts *s); /* NULL is fine */
void fetch_sts_tick(struct fetch *r);
void fetch_sts_ask(struct fetch *r, const struct fetch_asker *from, const struct fetch_question *q);
void fetch_report_ask(struct fetch *r, const struct fetch_asker *from, const struct fetch_question *q);

#endif
