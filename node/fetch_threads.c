/* See fetch_threads.h. The lock holds for the two lists and the counts. */
#include "node/fetch_threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS_MAX 8

struct task_list {
    struct fetch_task *first, **end;
};

struct fetch_threads {
    pthread_t threads[THREADS_MAX];
    unsigned count, waiting_max;
    void *context;
    int event;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    struct task_list waiting, finished;
    unsigned waits;
    bool stop;
};

static void push(struct task_list *list, struct fetch_task *task)
{
    task->next = NULL;
    *list->end = task;
    list->end = &task->next;
}

static struct fetch_task *pop(struct task_list *list)
{
    struct fetch_task *task = list->first;
    if (task != NULL) {
        list->first = task->next;
        if (list->first == NULL) {
            list->end = &list->first;
        }
    }
    return task;
}

static void *threads_run(void *context)
{
    struct fetch_threads *t = context;
    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        struct fetch_task *task = pop(&t->waiting);
        if (task == NULL) {
            pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        t->waits--;
        pthread_mutex_unlock(&t->lock);
        task->run(task);
        pthread_mutex_lock(&t->lock);
        push(&t->finished, task);
        uint64_t one = 1;
        (void)!write(t->event, &one, sizeof one);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

enum status fetch_threads_start(unsigned threads, unsigned waiting_max, void *context,
                                struct fetch_threads **out)
{
    sigset_t all, before;
    struct fetch_threads *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return STATUS_NO_MEMORY;
    }
    t->context = context;
    t->waiting_max = waiting_max;
    t->waiting.end = &t->waiting.first;
    t->finished.end = &t->finished.first;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    t->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (t->event >= 0 && t->count < threads && t->count < THREADS_MAX &&
           pthread_create(&t->threads[t->count], NULL, threads_run, t) == 0) {
        t->count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (t->count == 0) {
        fetch_threads_stop(t);
        return STATUS_NO_MEMORY;
    }
    *out = t;
    return STATUS_OK;
}

int fetch_threads_fd(const struct fetch_threads *t)
{
    return t->event;
}

void fetch_threads_collect(struct fetch_threads *t)
{
    uint64_t count;
    (void)!read(t->event, &count, sizeof count);
    for (;;) {
        pthread_mutex_lock(&t->lock);
        struct fetch_task *task = pop(&t->finished);
        pthread_mutex_unlock(&t->lock);
        if (task == NULL) {
            return;
        }
        task->done(t->context, task);
    }
}

enum status fetch_threads_submit(struct fetch_threads *t, struct fetch_task *task)
{
    enum status status = STATUS_BUSY;
    pthread_mutex_lock(&t->lock);
    if (t->waits < t->waiting_max) {
        push(&t->waiting, task);
        t->waits++;
        pthread_cond_signal(&t->changed);
        status = STATUS_OK;
    }
    pthread_mutex_unlock(&t->lock);
    return status;
}

void fetch_threads_stop(struct fetch_threads *t)
{
    struct fetch_task *task;
    if (t == NULL) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    for (unsigned i = 0; i < t->count; i++) {
        pthread_join(t->threads[i], NULL);
    }
    while ((task = pop(&t->waiting)) != NULL || (task = pop(&t->finished)) != NULL) {
        task->free(task);
    }
    if (t->event >= 0) {
        close(t->event);
    }
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
