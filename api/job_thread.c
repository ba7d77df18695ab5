/* See job_thread.h. */
#include "api/job_thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct job_thread {
    pthread_t threads[API_JOB_THREADS];
    unsigned thread_count;
    job_done_cb done;
    void *context;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    struct api_job *first, **end;
    unsigned waiting;
    bool stop;
};

/* Waits for a job; NULL: stop. */
static struct api_job *take(struct job_thread *t)
{
    struct api_job *job = NULL;
    pthread_mutex_lock(&t->lock);
    while (t->first == NULL && !t->stop) {
        pthread_cond_wait(&t->changed, &t->lock);
    }
    if (!t->stop) {
        job = t->first;
        t->first = job->next;
        t->waiting--;
        if (t->first == NULL) {
            t->end = &t->first;
        }
    }
    pthread_mutex_unlock(&t->lock);
    return job;
}

static void *jobs_run(void *context)
{
    struct job_thread *t = context;
    struct api_job *job;
    while ((job = take(t)) != NULL) {
        job->run(job);
        t->done(t->context, job);
    }
    return NULL;
}

enum status job_thread_start(job_done_cb done, void *context, struct job_thread **out)
{
    sigset_t all, before;
    struct job_thread *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return STATUS_NO_MEMORY;
    }
    t->done = done;
    t->context = context;
    t->end = &t->first;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (t->thread_count < API_JOB_THREADS &&
           pthread_create(&t->threads[t->thread_count], NULL, jobs_run, t) == 0) {
        t->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (t->thread_count < API_JOB_THREADS) {
        job_thread_stop(t);
        return STATUS_NO_MEMORY;
    }
    *out = t;
    return STATUS_OK;
}

void job_thread_stop(struct job_thread *t)
{
    if (t == NULL) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    for (unsigned i = 0; i < t->thread_count; i++) {
        pthread_join(t->threads[i], NULL);
    }
    while (t->first != NULL) {
        struct api_job *job = t->first;
        t->first = job->next;
        job->free(job);
    }
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

enum status job_thread_submit(struct job_thread *t, struct api_job *job)
{
    enum status status = STATUS_BUSY;
    pthread_mutex_lock(&t->lock);
    if (t->waiting < API_JOBS_MAX) {
        job->next = NULL;
        *t->end = job;
        t->end = &job->next;
        t->waiting++;
        pthread_cond_signal(&t->changed);
        status = STATUS_OK;
    }
    pthread_mutex_unlock(&t->lock);
    return status;
}
