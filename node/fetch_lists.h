/*
 * The schedule of revocation lists: which there are, when each is due, what became of it. On the loop of the
 * fetch role; the work is done by node/fetch_list_task.c on threads.
 */
#ifndef SEALPOST_NODE_FETCH_LISTS_H
#define SEALPOST_NODE_FETCH_LISTS_H

#include "crypto/crl.h"
#include "crypto/distribution_points.h"
#include "node/fetch_internal.h"

#define LIST_SOURCES_MAX 500 /* beyond that, lists of partners are left out; the log says so */

struct list_source {
    char url[DISTRIBUTION_URL_MAX + 1];
    bool delta;
    bool planned, busy;
    char freshest[DISTRIBUTION_URL_MAX +
                  1];             /* where the list that was fetched last says that deltas are; "" */
    char issuer[200];             /* of the list that was fetched last */
    char error[FAILURE_TEXT_MAX]; /* of the last failure */
    uint64_t fetched_ms, failed_ms, next_ms; /* wall clock */
    uint64_t failures;                       /* in a row */
};

/* --- node/fetch_list_time.c: pure --- */
struct list_times {
    uint64_t now_ms, refresh_ms;
    uint64_t list_this_ms, list_next_ms; /* of a list that was fetched; next 0: it names none */
    uint64_t failures;
    uint32_t random; /* for the jitter */
};
/* When a list that was fetched is fetched again: after crl.refresh, and in any case well before its
 * nextUpdate. */
uint64_t list_time_after_success(const struct list_times *t);
/* When one that failed is tried again: from one minute on, doubled with each failure, at most crl.refresh. */
uint64_t list_time_after_failure(const struct list_times *t);

/* --- node/fetch_list_task.c: on a thread --- */
struct list_task {
    struct fetch_task task;
    struct fetch *fetch;
    struct fetch_shared *shared;
    char url[DISTRIBUTION_URL_MAX + 1];
    bool delta;
    struct buf allowed, content;
    enum status status; /* OK: `crl` is to be brought in; EXISTS: it is in force already; else `why` */
    struct failure why;
    struct crl *crl;
};
void list_task_run(struct fetch_task *task);
void list_task_free(struct fetch_task *task);

/* --- node/fetch_list_plan.c: on a thread; which sources the stored certificates name --- */
struct plan_task {
    struct fetch_task task;
    struct fetch_shared *shared;
    struct arena arena;
    struct plan_source {
        struct slice url;
        bool delta;
    } sources[LIST_SOURCES_MAX];
    size_t count, left_out;
    uint64_t index; /* of the state that was looked at */
    uint64_t took_ms;
    enum status status;
};
void plan_task_run(struct fetch_task *task);
void plan_task_free(struct fetch_task *task);

/* --- node/fetch_lists.c --- */
struct fetch_lists;
struct fetch_lists *fetch_lists_new(void); /* NULL: no memory */
void fetch_lists_free(struct fetch_lists *l);
void fetch_lists_tick(struct fetch *r);
size_t fetch_lists_now(struct fetch *r, struct slice url); /* those, or "": all, are due; how many */
size_t fetch_lists_count(const struct fetch_lists *l);
const struct list_source *fetch_lists_at(const struct fetch_lists *l, size_t i);

#endif
