/* The schedule (smtp/schedule.h): a binary heap, a chained table, and the order of ids. */
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
            queue_facts_free(&s->index, e->facts);
            free(e);
        }
    }
    free(s->buckets);
    free(s->heap);
    id_order_release(&s->order);
    queue_index_release(&s->index);
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
    case SCHEDULE_HELD:
        s->held--;
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
        e->order = ORDER_NONE;
        break;
    case SCHEDULE_HELD:
        s->held++;
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
    if (!id_order_add(&s->order, e)) {
        free(e);
        return NULL;
    }
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
    id_order_remove(&s->order, e);
    queue_facts_free(&s->index, e->facts);
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

void schedule_hold(struct schedule *s, struct schedule_entry *e)
{
    leave_state(s, e);
    enter_state(s, e, SCHEDULE_HELD);
}

void schedule_move_earlier(struct schedule *s, uint64_t by_ms)
{
    /* All by the same, so that the heap stays one; those at 0 are due anyway. */
    for (size_t i = 0; i < s->heap_count; i++) {
        s->heap[i]->next_ms = s->heap[i]->next_ms > by_ms ? s->heap[i]->next_ms - by_ms : 0;
    }
}

uint64_t schedule_jitter(uint64_t delay_ms, uint16_t random)
{
    return delay_ms - delay_ms / 10 + (delay_ms / 5) * random / 65536;
}
