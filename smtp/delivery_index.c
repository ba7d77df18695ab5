/*
 * What filters look for (smtp/queue_index.h), of the messages that recovery found: read from the spool on the
 * thread pool, a slice at a time in the order of ids, one slice under way. Mail is delivered meanwhile; who
 * asks with a filter before the end is told to ask again (index.unread says how many are left).
 */
#include "smtp/delivery_internal.h"

#define SLICE_MAX 128 /* messages */

struct reading {
    uv_work_t work;
    struct delivery *delivery;
    uint8_t ids[SLICE_MAX][ID_SIZE];
    struct spool_loaded loaded[SLICE_MAX];
    enum status statuses[SLICE_MAX];
    size_t count;
    uint8_t at[ID_SIZE]; /* the last that was looked at */
};

static void read_slice(uv_work_t *work)
{
    struct reading *r = work->data;
    for (size_t i = 0; i < r->count; i++) {
        struct failure f = {0};
        r->statuses[i] = spool_load(r->delivery->options.spool, r->ids[i], &r->loaded[i], &f);
    }
}

static void go_on(struct reading *r);

static void after_read_slice(uv_work_t *work, int error)
{
    struct reading *r = work->data;
    struct delivery *d = r->delivery;
    for (size_t i = 0; i < r->count; i++) {
        bool good = error == 0 && r->statuses[i] == STATUS_OK;
        struct schedule_entry *e = schedule_find(&d->schedule, r->ids[i]);
        if (e != NULL && e->unread) {
            if (good) {
                delivery_facts_renew(d, e, &r->loaded[i].envelope, &r->loaded[i].state);
            } else {
                delivery_facts_read(d, e); /* damaged: nobody can name it but by its id */
            }
        }
        if (good) {
            spool_loaded_release(&r->loaded[i]);
        }
    }
    go_on(r);
}

static void go_on(struct reading *r)
{
    struct delivery *d = r->delivery;
    struct schedule_entry *entries[SLICE_MAX];
    size_t n = SLICE_MAX;
    r->count = 0;
    while (!d->stopping && d->schedule.index.unread > 0 && r->count == 0 && n > 0) {
        n = id_order_after(&d->schedule.order, r->at, entries, SLICE_MAX);
        for (size_t i = 0; i < n; i++) {
            if (entries[i]->unread) {
                memcpy(r->ids[r->count++], entries[i]->id, ID_SIZE);
            }
        }
        if (n > 0) {
            memcpy(r->at, entries[n - 1]->id, ID_SIZE);
        }
    }
    if (r->count == 0 || uv_queue_work(d->options.loop, &r->work, read_slice, after_read_slice) != 0) {
        free(r);
        d->conversions--;
        delivery_stopped_perhaps(d);
    }
}

void delivery_index_start(struct delivery *d)
{
    struct reading *r = d->schedule.index.unread > 0 ? calloc(1, sizeof *r) : NULL;
    if (r == NULL) {
        return;
    }
    r->delivery = d;
    r->work.data = r;
    d->conversions++;
    go_on(r);
}
