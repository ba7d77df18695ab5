/*
 * The schedule's clock and the doors to delivery (smtp/delivery.h). At most ACTIVE_MAX messages are on their
 * way at a time; the others are entries in the schedule.
 */
#include "smtp/delivery_internal.h"

#include "base/log.h"

#define ACTIVE_MAX  2000
#define LOOK_MAX_MS 30000 /* the wall clock may jump: look at least so often */

static void on_timer(uv_timer_t *timer)
{
    struct delivery *d = timer->data;
    uint64_t now = clock_wall_ms();
    while (!d->stopping && d->dispatch_count < ACTIVE_MAX) {
        struct schedule_entry *e = schedule_take_due(&d->schedule, now);
        if (e == NULL) {
            break;
        }
        dispatch_start_cold(d, e);
    }
    delivery_look(d);
}

void delivery_look(struct delivery *d)
{
    if (d->stopping || d->timer_closed) {
        return;
    }
    uint64_t next = schedule_next(&d->schedule);
    uint64_t now = clock_wall_ms();
    uint64_t wait = next <= now ? 0 : next - now < LOOK_MAX_MS ? next - now : LOOK_MAX_MS;
    if (d->dispatch_count >= ACTIVE_MAX) {
        return; /* the end of a dispatch looks again */
    }
    if (uv_is_active((const uv_handle_t *)&d->timer) && uv_timer_get_due_in(&d->timer) <= wait) {
        return;
    }
    (void)uv_timer_start(&d->timer, on_timer, wait, 0);
}

enum status delivery_new(const struct delivery_options *options, struct delivery **out)
{
    struct delivery *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return STATUS_NO_MEMORY;
    }
    d->options = *options;
    d->timer.data = d;
    (void)uv_timer_init(options->loop, &d->timer);
    *out = d;
    return STATUS_OK;
}

void delivery_set_spool(struct delivery *d, struct spool *spool)
{
    d->options.spool = spool;
}

void delivery_set_log(struct delivery *d, struct message_log *log)
{
    d->options.log = log;
}

void delivery_log(struct delivery *d, const uint8_t id[ID_SIZE], enum message_event_type type,
                  struct slice text)
{
    struct message_event event = {.type = type, .time_ms = clock_wall_ms(), .text = text};
    message_log_event(d->options.log, id, &event);
}

struct schedule *delivery_schedule(struct delivery *d)
{
    return &d->schedule;
}

bool delivery_has(struct delivery *d, const uint8_t id[ID_SIZE])
{
    return schedule_find(&d->schedule, id) != NULL;
}

void delivery_found(struct delivery *d, const struct spool_found *found)
{
    bool held = (found->state == SPOOL_QUARANTINED && !found->notice_due) || found->damaged;
    struct schedule_entry *e =
        schedule_add(&d->schedule, found->id, found->bytes, held ? SCHEDULE_QUARANTINED : SCHEDULE_WAITING,
                     found->attempts, found->next_attempt_ms);
    if (e == NULL) {
        log_event(LOG_ERROR, "no memory to schedule a message: it waits for the next start");
        return;
    }
    e->damaged = found->damaged;
    e->unprocessed = found->unprocessed;
    delivery_look(d);
}

void delivery_accepted(struct delivery *d, struct message *m, uint64_t spool_bytes, bool quarantined)
{
    bool held = quarantined && (m->envelope.flags & SPOOL_NOTICE) == 0; /* the notice makes it run first */
    bool hot =
        !held && !d->stopping && d->dispatch_count < ACTIVE_MAX && m->budget->used <= m->budget->max / 2;
    enum schedule_state state = held ? SCHEDULE_QUARANTINED : hot ? SCHEDULE_ACTIVE : SCHEDULE_WAITING;
    struct schedule_entry *e =
        schedule_add(&d->schedule, m->envelope.id, spool_bytes, state, 0, clock_wall_ms());
    if (e == NULL) {
        log_event(LOG_ERROR, "no memory to schedule a message: it waits for the next start");
        message_free(m);
        return;
    }
    e->unprocessed = quarantined;
    if (hot) {
        dispatch_start_hot(d, e, m);
        return;
    }
    message_free(m);
    delivery_look(d);
}

enum status delivery_retry(struct delivery *d, const uint8_t *id, uint64_t *count, struct failure *f)
{
    *count = 0;
    for (struct destination *t = d->destinations; t != NULL; t = t->next) {
        destination_worked(t); /* whoever asks knows something that we do not */
    }
    if (id != NULL) {
        struct schedule_entry *e = schedule_find(&d->schedule, id);
        if (e == NULL) {
            return failure_set(f, STATUS_NOT_FOUND, "there is no such message in the queue");
        }
        if (e->state == SCHEDULE_QUARANTINED) {
            if (!e->damaged && !e->unprocessed) {
                return failure_set(f, STATUS_CONFLICT,
                                   "policy has put the message in quarantine: release it or delete it");
            }
            enum status status = delivery_release(d, id, f);
            *count = status == STATUS_OK;
            return status;
        }
        if (e->state == SCHEDULE_WAITING) {
            schedule_wait(&d->schedule, e, 0);
            *count = 1;
        }
    } else {
        for (size_t i = 0; i < d->schedule.heap_count; i++) {
            d->schedule.heap[i]->next_ms = 0; /* all alike: any order is a heap */
            (*count)++;
        }
    }
    delivery_look(d);
    return STATUS_OK;
}

enum status delivery_release(struct delivery *d, const uint8_t id[ID_SIZE], struct failure *f)
{
    struct schedule_entry *e = schedule_find(&d->schedule, id);
    if (e == NULL) {
        return failure_set(f, STATUS_NOT_FOUND, "there is no such message in the queue");
    }
    if (e->state != SCHEDULE_QUARANTINED) {
        return failure_set(f, STATUS_CONFLICT, "the message is not in quarantine");
    }
    if (e->damaged) {
        return failure_set(f, STATUS_CONFLICT, "the message is damaged: it can only be deleted");
    }
    enum status status = release_start(d, e);
    return status == STATUS_OK ? status : failure_set(f, status, "%s", status_text(status));
}

enum status delivery_delete(struct delivery *d, const uint8_t id[ID_SIZE], struct failure *f)
{
    struct schedule_entry *e = schedule_find(&d->schedule, id);
    if (e == NULL) {
        return failure_set(f, STATUS_NOT_FOUND, "there is no such message in the queue");
    }
    if (e->state == SCHEDULE_ACTIVE) {
        e->doomed = true; /* it is on its way: deleted when the attempt is over */
        return STATUS_OK;
    }
    delivery_log(d, id, MESSAGE_EVENT_DELETED, SLICE_LITERAL("by an administrator"));
    spool_delete(d->options.spool, id);
    schedule_remove(&d->schedule, e);
    return STATUS_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct delivery *d = handle->data;
    d->timer_closed = true;
    delivery_stopped_perhaps(d);
}

void delivery_stopped_perhaps(struct delivery *d)
{
    if (!d->stopping || !d->timer_closed || d->dispatch_count > 0 || d->conversions > 0 ||
        d->closed == NULL) {
        return;
    }
    void (*closed)(void *context) = d->closed;
    d->closed = NULL;
    closed(d->closed_context);
}

void delivery_stop(struct delivery *d, void (*closed)(void *context), void *context)
{
    d->stopping = true;
    d->closed = closed;
    d->closed_context = context;
    for (struct destination *t = d->destinations; t != NULL; t = t->next) {
        destination_stop(t);
    }
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

void delivery_free(struct delivery *d)
{
    if (d == NULL) {
        return;
    }
    while (d->destinations != NULL) {
        struct destination *t = d->destinations;
        d->destinations = t->next;
        destination_free(t);
    }
    schedule_release(&d->schedule);
    free(d);
}
