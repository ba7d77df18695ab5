/* See fetch_resolve.h. What both threads touch is in struct resolving, under its lock; who leaves last frees
 * it.
 */
#include "node/fetch_resolve.h"

#include "base/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 256

struct resolving {
    fetch_resolver resolver;
    char host[HOST_MAX], service[8];
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    bool done, left; /* left: nobody waits any more */
    int error;
    struct addrinfo *list;
};

static atomic_uint under_way;

static void resolving_free(struct resolving *r)
{
    if (r->list != NULL) {
        freeaddrinfo(r->list);
    }
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void *resolve_run(void *context)
{
    struct resolving *r = context;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int error = r->resolver(r->host, r->service, &hints, &list);
    pthread_mutex_lock(&r->lock);
    r->error = error;
    r->list = error == 0 ? list : NULL;
    r->done = true;
    bool left = r->left;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (left) {
        resolving_free(r);
    }
    atomic_fetch_sub(&under_way, 1);
    return NULL;
}

static struct resolving *resolving_new(fetch_resolver resolver, const char *host, int port)
{
    struct resolving *r = strlen(host) < HOST_MAX ? calloc(1, sizeof *r) : NULL;
    pthread_condattr_t monotonic;
    if (r == NULL) {
        return NULL;
    }
    r->resolver = resolver;
    memcpy(r->host, host, strlen(host) + 1);
    if (snprintf(r->service, sizeof r->service, "%d", port) >= (int)sizeof r->service) {
        free(r);
        return NULL;
    }
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

static bool thread_start(struct resolving *r)
{
    pthread_t thread;
    pthread_attr_t detached;
    sigset_t all, before;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &detached, resolve_run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return error == 0;
}

/* Takes `r`. */
static enum status await(struct resolving *r, uint64_t deadline_ms, struct addrinfo **out, struct failure *f)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                                   .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    pthread_mutex_lock(&r->lock);
    while (!r->done && pthread_cond_timedwait(&r->changed, &r->lock, &until) == 0) {
    }
    if (!r->done) {
        r->left = true;
        pthread_mutex_unlock(&r->lock);
        return failure_set(f, STATUS_TIMEOUT, "the name could not be resolved in time");
    }
    pthread_mutex_unlock(&r->lock);
    int error = r->error;
    *out = r->list;
    r->list = NULL;
    resolving_free(r);
    return error == 0 && *out != NULL ? STATUS_OK
                                      : failure_set(f, STATUS_UNAVAILABLE, "the name cannot be resolved: %s",
                                                    error != 0 ? gai_strerror(error) : "it has no address");
}

enum status fetch_resolve_by(fetch_resolver resolver, const char *host, int port, uint64_t deadline_ms,
                             struct addrinfo **out, struct failure *f)
{
    *out = NULL;
    if (atomic_fetch_add(&under_way, 1) >= FETCH_RESOLVING_MAX) {
        atomic_fetch_sub(&under_way, 1);
        return failure_set(f, STATUS_BUSY, "too many names wait for name servers that do not answer");
    }
    struct resolving *r = resolving_new(resolver, host, port);
    if (r == NULL || !thread_start(r)) {
        atomic_fetch_sub(&under_way, 1);
        if (r != NULL) {
            resolving_free(r);
        }
        return failure_set(f, STATUS_UNAVAILABLE,
                           "the name cannot be resolved: no thread, or it is too long");
    }
    return await(r, deadline_ms, out, f);
}

enum status fetch_resolve(const char *host, int port, uint64_t deadline_ms, struct addrinfo **out,
                          struct failure *f)
{
    return fetch_resolve_by(getaddrinfo, host, port, deadline_ms, out, f);
}
