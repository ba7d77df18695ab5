/*
 * Threads that may wait for others, so that the fetch role's loop does not: libcurl, libldap and name
 * look-ups block. A task owns everything that it touches; when it is done it comes back to the loop through a
 * descriptor.
 */
#ifndef SEALPOST_NODE_FETCH_THREADS_H
#define SEALPOST_NODE_FETCH_THREADS_H

#include "base/status.h"

#include <stdint.h>

struct fetch_task {
    void (*run)(struct fetch_task *task); /* on a thread; NULL context */
    void (*done)(void *context,
                 struct fetch_task *t); /* on the loop; takes the task. Not called after a stop */
    void (*free)(struct fetch_task *task);
    struct fetch_task *next;
};

struct fetch_threads;
/* `waiting_max` tasks wait at most. */
enum status fetch_threads_start(unsigned threads, unsigned waiting_max, void *context,
                                struct fetch_threads **out) MUST_CHECK;
/* Readable when a task is done. */
int fetch_threads_fd(const struct fetch_threads *t);
/* Calls done() of every task that is. */
void fetch_threads_collect(struct fetch_threads *t);
/* Takes the task if OK; BUSY when too many wait. */
enum status fetch_threads_submit(struct fetch_threads *t, struct fetch_task *task) MUST_CHECK;
/* Waits for those that run, at most as long as their own time limits; frees all others. */
void fetch_threads_stop(struct fetch_threads *t);

#endif
