/*
 * The schedule of OCSP answers: which stored certificates name a responder, when each is asked about, what
 * became of it. On the loop of the fetch role; the work is done by node/fetch_ocsp_task.c and
 * node/fetch_ocsp_plan.c on threads.
 */
#ifndef SEALPOST_NODE_FETCH_OCSP_H
#define SEALPOST_NODE_FETCH_OCSP_H

#include "crypto/ocsp.h"
#include "node/fetch_internal.h"

#define OCSP_SOURCES_MAX    2000 /* certificates; beyond that they are left out, and the log says so */
#define OCSP_RESPONDERS_MAX 100

struct ocsp_responder {
    char url[OCSP_URL_MAX + 1];
    char error[FAILURE_TEXT_MAX];    /* of the last question that went wrong */
    uint64_t answered_ms, failed_ms; /* wall clock */
    uint64_t next_ms;                /* it is not asked before, since it failed */
    uint64_t failures;               /* of the responder, in a row */
    size_t certificates;
    bool busy;
};
struct ocsp_source {
    uint8_t thumbprint[THUMBPRINT_SIZE], issuer[THUMBPRINT_SIZE]; /* of the certificates */
    size_t responders[OCSP_URLS_MAX];                             /* in the order of the certificate */
    size_t responder_count;
    uint64_t next_ms;  /* wall clock */
    uint64_t failures; /* of answers about this certificate, in a row */
};
struct ocsp_sources {
    struct ocsp_responder responders[OCSP_RESPONDERS_MAX];
    struct ocsp_source of[OCSP_SOURCES_MAX]; /* in the order of thumbprints */
    size_t responder_count, count, left_out;
};

/* --- node/fetch_ocsp_plan.c: on a thread; which certificates name a responder --- */
struct ocsp_plan {
    struct fetch_task task;
    struct fetch_shared *shared;
    uint64_t refresh_ms;
    struct ocsp_sources *sources; /* next_ms: as the stored answer says; 0: there is none */
    uint64_t index, took_ms;
    enum status status;
};
void ocsp_plan_run(struct fetch_task *task);
void ocsp_plan_free(struct fetch_task *task);
/* What `old` knows of failures and of what was done since is kept in `fresh`. Pure. */
void ocsp_sources_take_over(struct ocsp_sources *fresh, const struct ocsp_sources *old);
/* Whom to ask about it now: the first responder that has not failed a short while ago. false: none now, since
 * that one is busy, or all have failed. Pure. */
bool ocsp_source_responder(const struct ocsp_sources *s, const struct ocsp_source *of, uint64_t now_ms,
                           size_t *out);

/* --- node/fetch_ocsp_task.c: on a thread --- */
struct ocsp_task {
    struct fetch_task task;
    struct fetch *fetch;
    struct fetch_shared *shared;
    char url[OCSP_URL_MAX + 1];
    uint8_t thumbprint[THUMBPRINT_SIZE], issuer[THUMBPRINT_SIZE];
    struct buf allowed;
    enum status status; /* OK: what was found is to be stored; EXISTS: it is stored; else `why` */
    struct failure why;
    bool answered;      /* the responder works; what is wrong is about this certificate */
    struct buf content; /* the answer's bytes */
    struct ocsp_finding finding;
};
void ocsp_task_run(struct fetch_task *task);
void ocsp_task_free(struct fetch_task *task);

/* --- node/fetch_ocsp.c --- */
struct fetch_ocsp;
struct fetch_ocsp *fetch_ocsp_new(void); /* NULL: no memory */
void fetch_ocsp_free(struct fetch_ocsp *o);
void fetch_ocsp_tick(struct fetch *r);
/* All certificates of that responder, or "": of all, are due; how many responders. */
size_t fetch_ocsp_now(struct fetch *r, struct slice url);
size_t fetch_ocsp_responders(const struct fetch_ocsp *o);
const struct ocsp_responder *fetch_ocsp_responder_at(const struct fetch_ocsp *o, size_t i);
uint64_t fetch_ocsp_next(const struct fetch_ocsp *o, size_t responder); /* wall clock; 0: now */

#endif
