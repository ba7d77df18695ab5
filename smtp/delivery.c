/*
 * The schedule's clock and the doors to delivery (smtp/delivery.h). At most ACTIVE_MAX messages are on their
 * way at a time; the others are entries in the schedule.
 */
#include "smtp/delivery_internal.h"

#include "base/log.h"

#define CONVERSIONS_MANY 64    /* under way: the next operation on many waits */
#define BOUNCES_MANY     200   /* beside ACTIVE_MAX, so that deliveries do not keep them out */
#define LOOK_MAX_MS      30000 /* the wall clock may jump: look at least so often */
#define JUMP_MS          5000  /* set back by more than this: not the clock's drift */
#define WAIT_MAX_MS                                                                                          \
    ((uint64_t)24 * 3600 * 1000) /* no retry waits longer: it was written by another clock                   \
                                  */

/* Attempts are due by the wall clock, since they must outlive a start. When it is set back, they keep their
 * distance; when it is set forward, they are due, ACTIVE_MAX at a time, and nothing expires untried. */
static void clock_check(struct delivery *d, uint64_t wall, uint64_t monotonic)
{
    uint64_t expected = d->wall_ms + (monotonic - d->monotonic_ms);
    if (d->wall_ms > 0 && wall + JUMP_MS < expected) {
        log_event(LOG_WARN, "the clock was set back: what waits keeps its distance",
                  LOG_NUMBER("seconds", (expected - wall) / 1000));
        schedule_move_earlier(&d->schedule, expected - wall);
    }
    d->wall_ms = wall;
    d->monotonic_ms = monotonic;
}

static void on_timer(uv_timer_t *timer)
{
    struct delivery *d = timer->data;
    uint64_t now = clock_wall_ms();
    clock_check(d, now, clock_monotonic_ms());
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
    enum status status = neighbours_new(options->loop, options->hostname, options->resolver, &d->neighbours);
    if (status != STATUS_OK) {
        free(d);
        return status;
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

void delivery_add_listener(struct delivery *d, int fd)
{
    neighbours_add_listener(d->neighbours, fd);
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
    queue_events_note(&d->events, message_event_word(type), id, &(struct queue_event){.text = text});
}

struct schedule *delivery_schedule(struct delivery *d)
{
    return &d->schedule;
}

struct queue_events *delivery_events(struct delivery *d)
{
    return &d->events;
}

bool delivery_has_room(const struct delivery *d)
{
    return d->conversions < CONVERSIONS_MANY && d->dispatch_count < ACTIVE_MAX + BOUNCES_MANY;
}

void delivery_wake(struct delivery *d)
{
    neighbours_each(d->neighbours, destination_worked);
    neighbours_forget_failures(d->neighbours);
}

void delivery_facts_renew(struct delivery *d, struct schedule_entry *e, const struct spool_envelope *envelope,
                          const struct spool_state *state)
{
    struct queue_index *index = &d->schedule.index;
    struct queue_facts *facts = queue_facts_new(index, envelope, state);
    queue_facts_free(index, e->facts);
    e->facts = facts;
    delivery_facts_read(d, e);
}

void delivery_facts_read(struct delivery *d, struct schedule_entry *e)
{
    d->schedule.index.unread -= e->unread;
    e->unread = false;
}

bool delivery_has(struct delivery *d, const uint8_t id[ID_SIZE])
{
    return schedule_find(&d->schedule, id) != NULL;
}

void delivery_found(struct delivery *d, const struct spool_found *found)
{
    bool aside = (found->state == SPOOL_QUARANTINED && !found->notice_due) || found->damaged;
    enum schedule_state state = aside                        ? SCHEDULE_QUARANTINED
                                : found->state == SPOOL_HELD ? SCHEDULE_HELD
                                                             : SCHEDULE_WAITING;
    uint64_t now = clock_wall_ms();
    uint64_t next = found->next_attempt_ms > now + WAIT_MAX_MS ? now : found->next_attempt_ms;
    struct schedule_entry *e =
        schedule_add(&d->schedule, found->id, found->bytes, state, found->attempts, next);
    if (e == NULL) {
        log_event(LOG_ERROR, "no memory to schedule a message: it waits for the next start");
        return;
    }
    e->damaged = found->damaged;
    e->unprocessed = found->unprocessed;
    e->unread = true;
    d->schedule.index.unread++;
    delivery_look(d);
}

static void note_accepted(struct delivery *d, const struct spool_envelope *e)
{
    char more[48] = "";
    if (e->recipient_count > 1) {
        (void)!snprintf(more, sizeof more, "and %zu more", e->recipient_count - 1);
    }
    queue_events_note(&d->events, "accepted", e->id,
                      &(struct queue_event){
                          .sender = e->sender, .recipient = e->recipients[0], .text = slice_of_text(more)});
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
    delivery_facts_renew(d, e, &m->envelope, NULL);
    note_accepted(d, &m->envelope);
    if (hot) {
        dispatch_start_hot(d, e, m);
        return;
    }
    message_free(m);
    delivery_look(d);
}

enum status delivery_retry(struct delivery *d, const uint8_t id[ID_SIZE], uint64_t *count, struct failure *f)
{
    struct schedule_entry *e = schedule_find(&d->schedule, id);
    *count = 0;
    if (e == NULL) {
        return failure_set(f, STATUS_NOT_FOUND, "there is no such message in the queue");
    }
    switch (e->state) {
    case SCHEDULE_HELD:
        return failure_set(f, STATUS_CONFLICT, "the message is held: release it first");
    case SCHEDULE_QUARANTINED:
        if (!e->damaged && !e->unprocessed) {
            return failure_set(f, STATUS_CONFLICT,
                               "policy has put the message in quarantine: release it or delete it");
        }
        *count = 1;
        return delivery_release(d, id, f);
    case SCHEDULE_WAITING:
        schedule_wait(&d->schedule, e, 0);
        *count = 1;
        delivery_look(d);
        break;
    case SCHEDULE_ACTIVE:
        break;
    }
    return STATUS_OK;
}

enum status delivery_release(struct delivery *d, const uint8_t id[ID_SIZE], struct failure *f)
{
    struct schedule_entry *e = schedule_find(&d->schedule, id);
    if (e == NULL) {
        return failure_set(f, STATUS_NOT_FOUND, "there is no such message in the queue");
    }
    if (e->state == SCHEDULE_HELD) {
        return delivery_let_go(d, e, f);
    }
    if (e->state != SCHEDULE_QUARANTINED) {
        return failure_set(f, STATUS_CONFLICT, "the message is neither held nor in quarantine");
    }
    if (e->damaged) {
        return failure_set(f, STATUS_CONFLICT, "the message is damaged: it can only be deleted");
    }
    enum status status = release_start(d, e);
    return status == STATUS_OK ? status : failure_set(f, status, "%s", status_text(status));
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
    struct neighbours *n = d->neighbours;
    void (*closed)(void *context) = d->closed;
    d->closed = NULL;
    d->neighbours = NULL;
    neighbours_close(n, closed, d->closed_context);
}

void delivery_stop(struct delivery *d, void (*closed)(void *context), void *context)
{
    d->stopping = true;
    d->closed = closed;
    d->closed_context = context;
    neighbours_each(d->neighbours, destination_stop);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

void delivery_free(struct delivery *d)
{
    if (d == NULL) {
        return;
    }
    schedule_release(&d->schedule);
    queue_events_release(&d->events);
    free(d);
}
