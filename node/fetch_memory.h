/*
 * What the fetch role remembers so that strangers' mail cannot make it work, or workers wait: look-ups that
 * failed (and are not tried again for a while), and how many requests each host got in the last minute.
 *
 * Both are tables of fixed size; a newcomer takes the place of who was there, so they forget under pressure
 * and never grow. The count over all hosts bounds what forgetting can cost. Pure: time is an argument. The
 * caller locks.
 */
#ifndef SEALPOST_NODE_FETCH_MEMORY_H
#define SEALPOST_NODE_FETCH_MEMORY_H

#include "base/slice.h"

#define FETCH_FAILURES      4096
#define FETCH_HOSTS         512
#define FETCH_KEY_SIZE      32
#define FETCH_HOST_A_MINUTE 30  /* requests to one host */
#define FETCH_ALL_A_MINUTE  300 /* requests to all hosts that mail of strangers names */

struct fetch_memory {
    struct {
        uint8_t key[FETCH_KEY_SIZE];
        uint64_t until_ms;
    } failures[FETCH_FAILURES];
    struct fetch_minute {
        uint8_t key[FETCH_KEY_SIZE];
        uint64_t began_ms;
        unsigned count;
    } hosts[FETCH_HOSTS], all;
};

/* `key`: a hash (SHA-256) of whatever was asked for. Times are monotonic. */
void fetch_memory_failed(struct fetch_memory *m, const uint8_t key[FETCH_KEY_SIZE], uint64_t now_ms,
                         uint64_t for_ms);
bool fetch_memory_has_failed(const struct fetch_memory *m, const uint8_t key[FETCH_KEY_SIZE],
                             uint64_t now_ms);
void fetch_memory_forget_failures(struct fetch_memory *m);
/* Counts a request to this host; false: it has had enough within this minute. */
bool fetch_memory_may_ask(struct fetch_memory *m, const uint8_t host[FETCH_KEY_SIZE], uint64_t now_ms);

#endif
