/* See queue_walk.h. A timer of no time is a turn of the loop: what is ready on sockets comes in between. */
#include "smtp/queue_walk.h"

#define PIECE 100 /* messages between two looks at who else walks */

static void on_timer(uv_timer_t *timer);

static void again(struct queue_walks *all)
{
    bool all_paused = true;
    for (const struct queue_walk *w = all->first; w != NULL; w = w->next) {
        all_paused = all_paused && w->paused;
    }
    if (all->first != NULL && all->schedule != NULL) {
        (void)uv_timer_start(&all->timer, on_timer, all_paused ? QUEUE_WALK_PAUSE_MS : 0, 0);
    }
}

void queue_walks_init(struct queue_walks *all, uv_loop_t *loop)
{
    (void)uv_timer_init(loop, &all->timer);
    all->timer.data = all;
}

void queue_walk_start(struct queue_walks *all, struct queue_walk *w)
{
    struct queue_walk **at = &all->first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    w->next = NULL;
    *at = w;
    if (!all->running) {
        again(all);
    }
}

void queue_walk_cancel(struct queue_walks *all, struct queue_walk *w)
{
    for (struct queue_walk **at = &all->first; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            return;
        }
    }
}

/* True when it has come to its end. */
static bool piece_walk(struct queue_walks *all, struct queue_walk *w)
{
    struct schedule_entry *entries[PIECE];
    const uint8_t *from = w->has_at ? w->at : NULL;
    size_t n = w->descending ? id_order_before(&all->schedule->order, from, entries, PIECE)
                             : id_order_after(&all->schedule->order, from, entries, PIECE);
    w->paused = false;
    for (size_t i = 0; i < n; i++) {
        uint8_t id[ID_SIZE];
        memcpy(id, entries[i]->id, ID_SIZE);
        if (w->has_last && memcmp(id, w->last, ID_SIZE) > 0) {
            return true;
        }
        switch (w->visit(w, entries[i])) {
        case WALK_ON:
            break;
        case WALK_PAUSE:
            w->paused = true;
            return false;
        case WALK_STOP:
            return true;
        }
        memcpy(w->at, id, ID_SIZE);
        w->has_at = true;
    }
    return n < PIECE;
}

static void on_timer(uv_timer_t *timer)
{
    struct queue_walks *all = timer->data;
    all->running = true;
    for (size_t looked = 0; looked < QUEUE_WALK_SLICE && all->first != NULL; looked += PIECE) {
        struct queue_walk *w = all->first;
        queue_walk_cancel(all, w); /* to the end of the line, or gone */
        if (piece_walk(all, w)) {
            w->ended(w);
        } else {
            queue_walk_start(all, w);
            looked += w->paused ? QUEUE_WALK_SLICE / 4 : 0; /* no turn is spent on those that only wait */
        }
    }
    all->running = false;
    again(all);
}

void queue_walks_end(struct queue_walks *all)
{
    while (all->first != NULL) {
        struct queue_walk *w = all->first;
        all->first = w->next;
        w->ended(w);
    }
    (void)uv_timer_stop(&all->timer);
}
