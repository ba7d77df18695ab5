/*
 * The jobs that workers do for this role (mail/job.h): listens on run/jobs.sock, gives each free worker one
 * job, queues the rest, and sees to workers that die or hang. On the loop's thread.
 *
 * A worker whose channel ends with a job in its hands has died of it, perhaps: the job goes to another. The
 * second death by the same job is told to the caller (JOB_KILLED_WORKERS). A worker that has held a job for
 * JOB_HUNG_MS is taken for hung: closing its channel makes it exit, and counts as a death.
 */
#ifndef SEALPOST_SMTP_JOB_SERVER_H
#define SEALPOST_SMTP_JOB_SERVER_H

#include "mail/job.h"

#include <uv.h>

#define JOB_HUNG_MS    60000 /* held by one worker */
#define JOB_WAIT_MS    60000 /* waiting for a worker */
#define JOB_DEATHS_MAX 2

struct job_server;

enum job_outcome {
    JOB_ANSWERED,       /* `result` says what the worker found */
    JOB_KILLED_WORKERS, /* JOB_DEATHS_MAX of them */
    JOB_NO_WORKER,      /* none was free in time, or the server closes */
};

/* One job; owned by the caller until the callback, which comes exactly once and never from within
 * job_submit(). */
struct job_request {
    enum job_type type;         /* JOB_MESSAGE or JOB_TO_7BIT */
    struct job_message message; /* its `job` is given by the server; for TO_7BIT nothing else counts */
    int fd;                     /* sealed memfd, borrowed */
    /* `result` points into `arena` and the frame and lives during the call; descriptors are the callee's: it
     * sets those it keeps to -1. */
    void (*cb)(struct job_request *request, enum job_outcome outcome, const struct job_result *result,
               int *fds, size_t fd_count);
    void *context;
    /* the server's own */
    struct job_request *next;
    unsigned deaths;
    uint64_t since_ms;
};

struct job_counts {
    uint64_t jobs, worker_deaths, workers, waiting;
};

/* `listener` is taken. */
enum status job_server_new(uv_loop_t *loop, int listener, struct job_server **out,
                           struct failure *f) MUST_CHECK;
void job_submit(struct job_server *s, struct job_request *request);
struct job_counts job_server_counts(const struct job_server *s);
/* Open requests get JOB_NO_WORKER before this returns. `closed` comes when all handles are closed; then free.
 */
void job_server_close(struct job_server *s, void (*closed)(void *context), void *context);
void job_server_free(struct job_server *s);

#endif
