/* The schedule (smtp/schedule.h): a binary heap and a chained table. */
#include "smtp/schedule.h"

#include "smtp/spool_format.h"

#define BUCKETS_MIN 1024

static size_t bucket_of(const struct schedule *s, const uint8_t id[ID_SIZE])
{
    return (size_t)(spool_get_u64(id + ID_SIZE - 8) & (s->bucket_count - 1));
}

void schedule_release(struct schedule *s)
{
    for (size_t i = 0; i < s->bucket_count; i++) {
        while (s->buckets[i] != NULL) {
            struct schedule_entry *e = s->buckets[i];
            s->buckets[i] = e->chain;
            free(e);
        }
    }
    free(s->buckets);
    free(s->heap);
    *s = (struct schedule){0};
}

static bool buckets_grow(struct schedule *s)
{
    struct schedule bigger = {.bucket_count = s->bucket_count == 0 ? BUCKETS_MIN : s->bucket_count * 2};
    bigger.buckets = calloc(bigger.bucket_count, sizeof(struct schedule_entry *));
    if (bigger.buckets == NULL) {
        return false;
    }
    for (size_t i = 0; i < s->bucket_count; i++) {
        while (s->buckets[i] != NULL) {
            struct schedule_entry *e = s->buckets[i];
            s->buckets[i] = e->chain;
            size_t to = bucket_of(&bigger, e->id);
            e->chain = bigger.buckets[to];
            bigger.buckets[to] = e;
        }
    }
    free(s->buckets);
    s->buckets = bigger.buckets;
    s->bucket_count = bigger.bucket_count;
    return true;
}

/* Room for every entry that there is, so that schedule_wait() cannot fail. */
static bool heap_grow(struct schedule *s)
{
    if (s->count < s->heap_room) {
        return true;
    }
    size_t room = s->heap_room == 0 ? BUCKETS_MIN : s->heap_room * 2;
    struct schedule_entry **grown = realloc(s->heap, room * sizeof(struct schedule_entry *));
    if (grown == NULL) {
        return false;
    }
    s->heap = grown;
    s->heap_room = room;
    return true;
}

static void heap_set(struct schedule *s, size_t at, struct schedule_entry *e)
{
    s->heap[at] = e;
    e->heap_at = at;
}

static void heap_up(struct schedule *s, size_t at)
{
    struct schedule_entry *e = s->heap[at];
    while (at > 0 && s->heap[(at - 1) / 2]->next_ms > e->next_ms) {
        heap_set(s, at, s->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(s, at, e);
}

static void heap_down(struct schedule *s, size_t at)
{
    struct schedule_entry *e = s->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= s->heap_count) {
            break;
        }
        if (child + 1 < s->heap_count && s->heap[child + 1]->next_ms < s->heap[child]->next_ms) {
            child++;
        }
        if (s->heap[child]->next_ms >= e->next_ms) {
            break;
        }
        heap_set(s, at, s->heap[child]);
        at = child;
    }
    heap_set(s, at, e);
}

static void heap_remove(struct schedule *s, struct schedule_entry *e)
{
    size_t at = e->heap_at;
    struct schedule_entry *last = s->heap[--s->heap_count];
    if (last != e) {
        heap_set(s, at, last);
        heap_up(s, at);
        heap_down(s, last->heap_at);
    }
}

static void leave_state(struct schedule *s, struct schedule_entry *e)
{
    switch (e->state) {
    case SCHEDULE_WAITING:
        heap_remove(s, e);
        break;
    case SCHEDULE_ACTIVE:
        s->active--;
        break;
    case SCHEDULE_QUARANTINED:
        s->quarantined--;
        break;
    }
}

static void enter_state(struct schedule *s, struct schedule_entry *e, enum schedule_state state)
{
    e->state = state;
    switch (state) {
    case SCHEDULE_WAITING:
        heap_set(s, s->heap_count++, e);
        heap_up(s, e->heap_at);
        break;
    case SCHEDULE_ACTIVE:
        s->active++;
        break;
    case SCHEDULE_QUARANTINED:
        s->quarantined++;
        break;
    }
}

struct schedule_entry *schedule_add(struct schedule *s, const uint8_t id[ID_SIZE], uint64_t bytes,
                                    enum schedule_state state, uint32_t attempts, uint64_t next_ms)
{
    if (!heap_grow(s) || (s->count >= s->bucket_count && !buckets_grow(s))) {
        return NULL;
    }
    struct schedule_entry *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return NULL;
    }
    memcpy(e->id, id, ID_SIZE);
    e->bytes = bytes;
    e->attempts = attempts;
    e->next_ms = next_ms;
    size_t bucket = bucket_of(s, id);
    e->chain = s->buckets[bucket];
    s->buckets[bucket] = e;
    s->count++;
    s->bytes += bytes;
    enter_state(s, e, state);
    return e;
}

struct schedule_entry *schedule_find(const struct schedule *s, const uint8_t id[ID_SIZE])
{
    if (s->bucket_count == 0) {
        return NULL;
    }
    struct schedule_entry *e = s->buckets[bucket_of(s, id)];
    while (e != NULL && memcmp(e->id, id, ID_SIZE) != 0) {
        e = e->chain;
    }
    return e;
}

void schedule_remove(struct schedule *s, struct schedule_entry *e)
{
    leave_state(s, e);
    struct schedule_entry **at = &s->buckets[bucket_of(s, e->id)];
    while (*at != e) {
        at = &(*at)->chain;
    }
    *at = e->chain;
    s->count--;
    s->bytes -= e->bytes;
    free(e);
}

struct schedule_entry *schedule_take_due(struct schedule *s, uint64_t now_ms)
{
    if (s->heap_count == 0 || s->heap[0]->next_ms > now_ms) {
        return NULL;
    }
    struct schedule_entry *e = s->heap[0];
    leave_state(s, e);
    enter_state(s, e, SCHEDULE_ACTIVE);
    return e;
}

uint64_t schedule_next(const struct schedule *s)
{
    return s->heap_count > 0 ? s->heap[0]->next_ms : UINT64_MAX;
}

void schedule_wait(struct schedule *s, struct schedule_entry *e, uint64_t next_ms)
{
    leave_state(s, e);
    e->next_ms = next_ms;
    enter_state(s, e, SCHEDULE_WAITING);
}

void schedule_activate(struct schedule *s, struct schedule_entry *e)
{
    leave_state(s, e);
    enter_state(s, e, SCHEDULE_ACTIVE);
}

void schedule_quarantine(struct schedule *s, struct schedule_entry *e)
{
    leave_state(s, e);
    enter_state(s, e, SCHEDULE_QUARANTINED);
}

/* Keeps the `max` smallest so far as a heap with the greatest on top, then sorts them: no array of all ids.
 */
static int compare_ids(const void *a, const void *b)
{
    const struct schedule_entry *x = *(struct schedule_entry *const *)a,
                                *y = *(struct schedule_entry *const *)b;
    return memcmp(x->id, y->id, ID_SIZE);
}

size_t schedule_list(const struct schedule *s, const uint8_t after[ID_SIZE], struct schedule_entry **out,
                     size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < s->bucket_count; i++) {
        for (struct schedule_entry *e = s->buckets[i]; e != NULL; e = e->chain) {
            if (memcmp(e->id, after, ID_SIZE) <= 0) {
                continue;
            }
            if (n == max && (max == 0 || memcmp(e->id, out[0]->id, ID_SIZE) >= 0)) {
                continue;
            }
            size_t at = n;
            if (n < max) {
                out[n++] = e;
                while (at > 0 && memcmp(out[(at - 1) / 2]->id, e->id, ID_SIZE) < 0) {
                    out[at] = out[(at - 1) / 2];
                    at = (at - 1) / 2;
                }
                out[at] = e;
                continue;
            }
            for (at = 0;;) {
                size_t child = 2 * at + 1;
                if (child + 1 < n && memcmp(out[child + 1]->id, out[child]->id, ID_SIZE) > 0) {
                    child++;
                }
                if (child >= n || memcmp(out[child]->id, e->id, ID_SIZE) <= 0) {
                    break;
                }
                out[at] = out[child];
                at = child;
            }
            out[at] = e;
        }
    }
    qsort(out, n, sizeof(struct schedule_entry *), compare_ids);
    return n;
}

uint64_t schedule_jitter(uint64_t delay_ms, uint16_t random)
{
    return delay_ms - delay_ms / 10 + (delay_ms / 5) * random / 65536;
}
