/*
 * What administrators want of a message that waits (smtp/delivery.h): hold, release of what was held, bounce,
 * delete. A message that is on its way is told nothing: the order stands in its schedule entry, and
 * order_carried_out() is asked by everyone who ends an attempt.
 *
 * Held and released are states in the spool, written once the newest state has been read on the thread pool;
 * the schedule knows of a hold at once, so that nothing leaves in between. They are on the disk within a
 * second (smtp/spool.h): a crash before that forgets the order, never the message.
 */
#include "smtp/delivery_internal.h"

#include "base/log.h"

/* A state that is being changed; the entry may be gone when it has been read. */
struct marking {
    uv_work_t work;
    struct delivery *delivery;
    uint8_t id[ID_SIZE];
    bool hold; /* else: let it go */
    struct spool_loaded loaded;
    struct failure failure;
    enum status status;
};

void delivery_drop(struct delivery *d, struct schedule_entry *e)
{
    delivery_log(d, e->id, MESSAGE_EVENT_DELETED, SLICE_LITERAL("by an administrator"));
    spool_delete(d->options.spool, e->id);
    schedule_remove(&d->schedule, e);
}

static void held(struct delivery *d, struct schedule_entry *e, struct spool_state *state)
{
    state->state = SPOOL_HELD;
    spool_put_state(d->options.spool, e->id, state);
    schedule_hold(&d->schedule, e);
    delivery_log(d, e->id, MESSAGE_EVENT_HELD, SLICE_LITERAL("by an administrator"));
}

bool order_carried_out(struct delivery *d, struct schedule_entry *e, struct spool_state *state)
{
    enum schedule_order order = e->order;
    switch (order) {
    case ORDER_NONE:
        return false;
    case ORDER_DELETE:
        delivery_drop(d, e);
        return true;
    case ORDER_BOUNCE: /* it comes back and fails, see order_fails_all() */
        schedule_wait(&d->schedule, e, clock_wall_ms() + BUSY_RETRY_MS);
        return true;
    case ORDER_HOLD:
        e->order = ORDER_NONE;
        if (state == NULL) {
            return false;
        }
        held(d, e, state);
        return true;
    }
    return false;
}

void order_fails_all(struct dispatch *x)
{
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        struct spool_recipient *r = &x->state.recipients[i];
        if (r->state != RECIPIENT_WAITING || x->failing[i] || dispatch_is_held(x, i)) {
            continue;
        }
        struct slice last = r->reply;
        const char *text =
            last.len > 0 ? arena_printf(&x->arena, "returned by an administrator; the last answer was: %.*s",
                                        (int)(last.len < 400 ? last.len : 400), (const char *)last.data)
                         : "returned by an administrator before it could be delivered";
        r->reply = slice_of_text(text != NULL ? text : "returned by an administrator");
        r->next_hop = slice_of(NULL, 0); /* whose words these are not */
        r->enhanced = SLICE_LITERAL("5.4.7");
        x->failing[i] = true;
        struct recipient_outcome o = {.result = RESULT_FAILED, .enhanced = "5.4.7", .text = r->reply};
        dispatch_log_outcomes(x, &i, &o, 1);
    }
}

/* --- hold, and release of what was held --- */

static void read_state(uv_work_t *work)
{
    struct marking *m = work->data;
    m->status = spool_load(m->delivery->options.spool, m->id, &m->loaded, &m->failure);
}

static void mark(struct marking *m, struct schedule_entry *e)
{
    struct delivery *d = m->delivery;
    struct spool_state *state = &m->loaded.state;
    if (m->hold) {
        held(d, e, state);
        return;
    }
    state->state = SPOOL_DEFERRED;
    state->next_attempt_ms = 0;
    spool_put_state(d->options.spool, e->id, state);
    delivery_log(d, e->id, MESSAGE_EVENT_RELEASED, SLICE_LITERAL("it was held"));
    schedule_wait(&d->schedule, e, 0);
}

static void after_read_state(uv_work_t *work, int error)
{
    struct marking *m = work->data;
    struct delivery *d = m->delivery;
    struct schedule_entry *e = schedule_find(&d->schedule, m->id);
    char id[ID_TEXT_SIZE];
    id_format(m->id, id);
    if (error != 0) {
        m->status = STATUS_INTERNAL;
    }
    if (e != NULL && e->state == SCHEDULE_HELD) { /* else somebody wanted something else since */
        if (m->status == STATUS_OK) {
            mark(m, e);
        } else {
            log_event(LOG_ERROR, m->hold ? "a message could not be held" : "a message could not be let go",
                      LOG_TEXT("id", id), LOG_TEXT("error", m->failure.text));
            if (m->hold) {
                schedule_wait(&d->schedule, e, e->next_ms);
            }
        }
    }
    if (m->status == STATUS_OK) {
        spool_loaded_release(&m->loaded);
    }
    free(m);
    d->conversions--;
    delivery_look(d);
    delivery_stopped_perhaps(d);
}

static enum status marking_start(struct delivery *d, const struct schedule_entry *e, bool hold,
                                 struct failure *f)
{
    struct marking *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "%s", status_text(STATUS_NO_MEMORY));
    }
    m->delivery = d;
    m->hold = hold;
    memcpy(m->id, e->id, ID_SIZE);
    m->work.data = m;
    if (uv_queue_work(d->options.loop, &m->work, read_state, after_read_state) != 0) {
        free(m);
        return failure_set(f, STATUS_NO_MEMORY, "%s", status_text(STATUS_NO_MEMORY));
    }
    d->conversions++;
    return STATUS_OK;
}

static enum status not_there(struct failure *f)
{
    return failure_set(f, STATUS_NOT_FOUND, "there is no such message in the queue");
}

static enum status order_give(struct schedule_entry *e, enum schedule_order order, struct failure *f)
{
    if (e->order == ORDER_DELETE && order != ORDER_DELETE) {
        return failure_set(f, STATUS_CONFLICT, "the message is on its way and is deleted when that is over");
    }
    e->order = order;
    return STATUS_OK;
}

enum status delivery_hold(struct delivery *d, const uint8_t id[ID_SIZE], struct failure *f)
{
    struct schedule_entry *e = schedule_find(&d->schedule, id);
    if (e == NULL) {
        return not_there(f);
    }
    switch (e->state) {
    case SCHEDULE_HELD:
        return STATUS_OK;
    case SCHEDULE_QUARANTINED:
        return failure_set(f, STATUS_CONFLICT, "the message is in quarantine: it does not leave anyway");
    case SCHEDULE_ACTIVE:
        return order_give(e, ORDER_HOLD, f);
    case SCHEDULE_WAITING:
        break;
    }
    enum status status = marking_start(d, e, true, f);
    if (status == STATUS_OK) {
        e->order = ORDER_NONE;
        schedule_hold(&d->schedule, e);
    }
    return status;
}

enum status delivery_let_go(struct delivery *d, struct schedule_entry *e, struct failure *f)
{
    return marking_start(d, e, false, f);
}

/* --- bounce and delete --- */

enum status delivery_bounce(struct delivery *d, const uint8_t id[ID_SIZE], struct failure *f)
{
    struct schedule_entry *e = schedule_find(&d->schedule, id);
    if (e == NULL) {
        return not_there(f);
    }
    if (e->state == SCHEDULE_QUARANTINED) {
        return failure_set(f, STATUS_CONFLICT,
                           "the message is in quarantine, and its sender is told nothing of that: "
                           "release it or delete it");
    }
    enum status status = order_give(e, ORDER_BOUNCE, f);
    if (status == STATUS_OK && e->state != SCHEDULE_ACTIVE) {
        schedule_activate(&d->schedule, e);
        dispatch_start_cold(d, e);
    }
    return status;
}

enum status delivery_delete(struct delivery *d, const uint8_t id[ID_SIZE], struct failure *f)
{
    struct schedule_entry *e = schedule_find(&d->schedule, id);
    if (e == NULL) {
        return not_there(f);
    }
    if (e->state == SCHEDULE_ACTIVE) {
        return order_give(e, ORDER_DELETE, f);
    }
    delivery_drop(d, e);
    return STATUS_OK;
}
