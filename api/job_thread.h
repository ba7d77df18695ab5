/*
 * Threads for computations that are too long for h2o's loop: the key derivation of a PKCS#12 file, a large
 * policy test, the signing of a long revocation list. More than one, so that a revocation does not wait for a
 * policy test. A job owns everything that it touches but the store; it carries the number of the exchange
 * that asked, never a pointer to it.
 */
#ifndef SEALPOST_API_JOB_THREAD_H
#define SEALPOST_API_JOB_THREAD_H

#include "base/status.h"

#include <stdint.h>

struct api_job {
    uint64_t exchange;
    void (*run)(struct api_job *job);  /* on the thread */
    void (*free)(struct api_job *job); /* wherever it is when nobody wants it any more */
    struct api_job *next;
};

#define API_JOBS_MAX    64
#define API_JOB_THREADS 2

typedef void (*job_done_cb)(void *context, struct api_job *job); /* takes the job; on the thread */

struct job_thread;
enum status job_thread_start(job_done_cb done, void *context, struct job_thread **out) MUST_CHECK;
void job_thread_stop(struct job_thread *t); /* after the running job; frees the waiting ones */
/* Takes the job if OK; BUSY when there are too many. */
enum status job_thread_submit(struct job_thread *t, struct api_job *job) MUST_CHECK;

#endif
