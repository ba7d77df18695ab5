/*
 * When each spooled message is to be tried: a heap by time and a table by id, one small entry a message (its
 * envelope stays on disk; what the queue's users look for is in smtp/queue_index.h). Pure: time and random
 * bits come in as arguments.
 */
#ifndef SEALPOST_SMTP_SCHEDULE_H
#define SEALPOST_SMTP_SCHEDULE_H

#include "base/clock.h"
#include "base/status.h"
#include "smtp/id_order.h"
#include "smtp/queue_index.h"

enum schedule_state {
    SCHEDULE_WAITING,     /* in the heap, due at next_ms */
    SCHEDULE_ACTIVE,      /* being delivered */
    SCHEDULE_QUARANTINED, /* by policy, until somebody releases or deletes it */
    SCHEDULE_HELD,        /* by an administrator, until somebody releases, bounces or deletes it */
};

/* What an administrator wants of a message that is on its way: done when the attempt is over. */
enum schedule_order {
    ORDER_NONE,
    ORDER_HOLD,
    ORDER_BOUNCE, /* fail it now and tell its sender; stays until it has happened */
    ORDER_DELETE,
};

struct schedule_entry {
    uint8_t id[ID_SIZE];
    uint64_t next_ms; /* wall */
    uint32_t attempts;
    enum schedule_state state;
    enum schedule_order order;
    bool damaged;     /* its spool records are not whole */
    bool unprocessed; /* in quarantine because workers died of it: no policy was applied yet */
    bool unread;      /* of a former run, not in the index yet */
    bool released;    /* from quarantine: the state on disk may not say so yet */
    uint64_t bytes;
    struct queue_facts *facts; /* the index's; NULL: not read from the spool yet */
    /* the schedule's own */
    size_t heap_at;
    struct schedule_entry *chain;
};

struct schedule {
    struct schedule_entry **heap; /* waiting ones */
    size_t heap_count, heap_room;
    struct schedule_entry **buckets;
    size_t bucket_count, count, active, quarantined, held;
    uint64_t bytes;
    struct id_order order;
    struct queue_index index;
};

void schedule_release(struct schedule *s);
/* A new entry in the given state; NULL when memory is short. */
struct schedule_entry *schedule_add(struct schedule *s, const uint8_t id[ID_SIZE], uint64_t bytes,
                                    enum schedule_state state, uint32_t attempts, uint64_t next_ms);
struct schedule_entry *schedule_find(const struct schedule *s, const uint8_t id[ID_SIZE]);
void schedule_remove(struct schedule *s, struct schedule_entry *e); /* frees it */
/* The earliest waiting one, if its time has come; it becomes active. */
struct schedule_entry *schedule_take_due(struct schedule *s, uint64_t now_ms);
/* When the earliest is due; UINT64_MAX if none waits. */
uint64_t schedule_next(const struct schedule *s);
void schedule_wait(struct schedule *s, struct schedule_entry *e,
                   uint64_t next_ms);                                 /* whatever it was, it waits now */
void schedule_activate(struct schedule *s, struct schedule_entry *e); /* whatever it was */
void schedule_quarantine(struct schedule *s, struct schedule_entry *e);
void schedule_hold(struct schedule *s, struct schedule_entry *e);
/* The wall clock was set back: what waits keeps its distance to now. */
void schedule_move_earlier(struct schedule *s, uint64_t by_ms);

/* Spread: from 90 to 110 percent of the delay, by 16 random bits, so that what failed together does not come
 * back together. */
uint64_t schedule_jitter(uint64_t delay_ms, uint16_t random);

#endif
