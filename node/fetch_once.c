/* See fetch_once.h. When all places are taken, a location may be asked twice: that does no harm. */
#include "node/fetch_once.h"

#include "base/clock.h"

void fetch_once_init(struct fetch_once *o)
{
    pthread_condattr_t monotonic;
    memset(o, 0, sizeof *o);
    pthread_mutex_init(&o->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&o->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void place_release(struct fetch_once_place *p)
{
    buf_release(&p->content);
    *p = (struct fetch_once_place){.taken = false};
}

void fetch_once_release(struct fetch_once *o)
{
    for (size_t i = 0; i < FETCH_ONCE_MAX; i++) {
        place_release(&o->places[i]);
    }
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
}

static struct fetch_once_place *find(struct fetch_once *o, const uint8_t key[FETCH_KEY_SIZE])
{
    for (size_t i = 0; i < FETCH_ONCE_MAX; i++) {
        if (o->places[i].taken && memcmp(o->places[i].key, key, FETCH_KEY_SIZE) == 0) {
            return &o->places[i];
        }
    }
    return NULL;
}

/* What was kept for long enough goes. */
static void take_place(struct fetch_once *o, const uint8_t key[FETCH_KEY_SIZE], uint64_t now_ms)
{
    for (size_t i = 0; i < FETCH_ONCE_MAX; i++) {
        struct fetch_once_place *p = &o->places[i];
        if (p->taken && !p->busy && p->until_ms <= now_ms) {
            place_release(p);
        }
    }
    for (size_t i = 0; i < FETCH_ONCE_MAX; i++) {
        struct fetch_once_place *p = &o->places[i];
        if (!p->taken) {
            *p = (struct fetch_once_place){
                .taken = true, .busy = true, .content = {.max = FETCH_ONCE_KEPT_MAX}};
            memcpy(p->key, key, FETCH_KEY_SIZE);
            return;
        }
    }
}

enum status fetch_once_begin(struct fetch_once *o, const uint8_t key[FETCH_KEY_SIZE], uint64_t deadline_ms,
                             struct buf *content)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                                   .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    struct fetch_once_place *p;
    enum status status = STATUS_NOT_FOUND;
    pthread_mutex_lock(&o->lock);
    while ((p = find(o, key)) != NULL && p->busy) {
        if (pthread_cond_timedwait(&o->changed, &o->lock, &until) != 0) {
            pthread_mutex_unlock(&o->lock);
            return STATUS_TIMEOUT;
        }
    }
    uint64_t now_ms = clock_monotonic_ms();
    if (p != NULL && p->until_ms > now_ms) {
        status = buf_append_slice(content, buf_slice(&p->content));
    } else {
        take_place(o, key, now_ms);
    }
    pthread_mutex_unlock(&o->lock);
    return status;
}

void fetch_once_end(struct fetch_once *o, const uint8_t key[FETCH_KEY_SIZE], struct slice content)
{
    pthread_mutex_lock(&o->lock);
    struct fetch_once_place *p = find(o, key);
    if (p != NULL && p->busy) {
        if (content.len > 0 && buf_append_slice(&p->content, content) == STATUS_OK) {
            p->busy = false;
            p->until_ms = clock_monotonic_ms() + FETCH_ONCE_KEPT_MS;
        } else {
            place_release(p);
        }
        pthread_cond_broadcast(&o->changed);
    }
    pthread_mutex_unlock(&o->lock);
}
