/*
 * Walks over the whole queue in slices of a loop's turn, so that a question about 200,000 messages delays no
 * mail: all walks together look at QUEUE_WALK_SLICE messages a turn. A walk goes by ids from a place on; what
 * comes and goes behind that place does not matter to it. On the loop's thread.
 */
#ifndef SEALPOST_SMTP_QUEUE_WALK_H
#define SEALPOST_SMTP_QUEUE_WALK_H

#include "smtp/schedule.h"

#include <uv.h>

#define QUEUE_WALK_SLICE    2000
#define QUEUE_WALK_PAUSE_MS 20

enum walk_step {
    WALK_ON,
    WALK_PAUSE, /* too much is under way: this message again, a little later */
    WALK_STOP   /* enough */
};

struct queue_walk {
    /* may remove this entry, and no other */
    enum walk_step (*visit)(struct queue_walk *w, struct schedule_entry *e);
    void (*ended)(struct queue_walk *w); /* once, unless it is cancelled; may free it */
    bool descending;
    bool has_at; /* begins behind `at`; else at the beginning, or the end */
    uint8_t at[ID_SIZE];
    bool has_last; /* ascending: goes no further than `last` */
    uint8_t last[ID_SIZE];
    /* the walks' own */
    struct queue_walk *next;
    bool paused;
};

struct queue_walks {
    uv_timer_t timer;
    const struct schedule *schedule; /* NULL: nobody may walk */
    struct queue_walk *first;
    bool running;
};

/* The handle is closed by the owner, after queue_walks_end(). */
void queue_walks_init(struct queue_walks *all, uv_loop_t *loop);
void queue_walk_start(struct queue_walks *all, struct queue_walk *w); /* never calls back from within */
void queue_walk_cancel(struct queue_walks *all, struct queue_walk *w);
void queue_walks_end(struct queue_walks *all); /* every walk ends where it is: `ended` is called */

#endif
