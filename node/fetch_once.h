/*
 * One location is asked once, however many messages wait for what is there: the others wait for the one that
 * asks, and what came is kept for some seconds, until it is in the store. Any thread.
 */
#ifndef SEALPOST_NODE_FETCH_ONCE_H
#define SEALPOST_NODE_FETCH_ONCE_H

#include "base/buf.h"
#include "node/fetch_memory.h"

#include <pthread.h>

#define FETCH_ONCE_MAX      32
#define FETCH_ONCE_KEPT_MS  10000
#define FETCH_ONCE_KEPT_MAX ((size_t)64 << 10) /* bytes; what is larger is not kept */

struct fetch_once {
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    struct fetch_once_place {
        uint8_t key[FETCH_KEY_SIZE];
        bool taken, busy;
        uint64_t until_ms; /* monotonic; when not busy */
        struct buf content;
    } places[FETCH_ONCE_MAX];
};

void fetch_once_init(struct fetch_once *o);
void fetch_once_release(struct fetch_once *o);
/* OK: `content` got what somebody else fetched. NOT_FOUND: ask, and call fetch_once_end() whatever comes of
 * it. TIMEOUT: somebody else was still asking at `deadline_ms` (clock_monotonic_ms). */
enum status fetch_once_begin(struct fetch_once *o, const uint8_t key[FETCH_KEY_SIZE], uint64_t deadline_ms,
                             struct buf *content) MUST_CHECK;
/* What came; empty: nothing did. */
void fetch_once_end(struct fetch_once *o, const uint8_t key[FETCH_KEY_SIZE], struct slice content);

#endif
