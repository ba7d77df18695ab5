/*
 * What a sender is to be told of a message, when an attempt is over (RFC 3461 section 5): of failures, unless
 * NOTIFY keeps them out; of those who were delivered or passed on and asked for that, when nobody further on
 * will tell; of those who have waited for delivery.delay_notice, once. One notification (smtp/bounce.c) for
 * each of the three, one after the other; only when it is durable its duty is noted as done:
 *
 *   failure   the state says so only then: before, the attempt is made again
 *   success   the state says "tell" together with "delivered", and is written before the notification is made
 *   delay     the state says that it was told; a crash before that is written tells it a second time
 *
 * Never to a null sender, and never of a notification.
 */
#include "smtp/delivery_internal.h"

#include "base/log.h"

static bool tells(const struct dispatch *x)
{
    return x->envelope->sender.len > 0 && (x->envelope->flags & SPOOL_NOTIFICATION) == 0 &&
           x->entry->order != ORDER_DELETE;
}

/* No NOTIFY at all means failures, and delays at our discretion (RFC 3461 section 4.1). */
static bool wants(const struct dispatch *x, size_t position, uint64_t what)
{
    uint64_t notify = spool_envelope_wish(x->envelope, position).notify;
    return notify == 0 ? what != NOTIFY_SUCCESS : (notify & what) != 0;
}

bool report_success_is_due(const struct dispatch *x, size_t position)
{
    return tells(x) && wants(x, position, NOTIFY_SUCCESS);
}

uint64_t report_delay_due(const struct dispatch *x, size_t position)
{
    uint64_t wait = 0;
    if (tells(x) && !x->state.recipients[position].delay_told && wants(x, position, NOTIFY_DELAY)) {
        wait = settings_delay_notice(x->delivery->options.settings, x->envelope->recipients[position]);
    }
    return wait > 0 ? x->envelope->arrived_ms + wait : UINT64_MAX;
}

static size_t choose_failed(struct dispatch *x)
{
    size_t count = 0;
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        x->reporting[i] = x->failing[i] && tells(x) && wants(x, i, NOTIFY_FAILURE);
        count += x->reporting[i];
    }
    return count;
}

static size_t choose_told(struct dispatch *x)
{
    size_t count = 0;
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        x->reporting[i] = x->state.recipients[i].tell;
        count += x->reporting[i];
    }
    return count;
}

static size_t choose_late(struct dispatch *x)
{
    struct settings_source *s = x->delivery->options.settings;
    uint64_t now = clock_wall_ms();
    size_t count = 0;
    if (x->aborted || !s->begin(s->context)) {
        return 0;
    }
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        const struct spool_recipient *r = &x->state.recipients[i];
        x->reporting[i] = r->state == RECIPIENT_WAITING && !x->failing[i] && !dispatch_is_held(x, i) &&
                          r->reply.len > 0 && now >= report_delay_due(x, i);
        count += x->reporting[i];
    }
    s->end(s->context);
    return count;
}

static const struct {
    enum dsn_action action;
    size_t (*choose)(struct dispatch *x);
} kinds[] = {
    {DSN_FAILED, choose_failed},
    {DSN_RELAYED, choose_told},
    {DSN_DELAYED, choose_late},
};

#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

/* It is safe, or will never be. */
static void duty_done(struct dispatch *x)
{
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        struct spool_recipient *r = &x->state.recipients[i];
        if (x->reporting[i] && x->report == DSN_RELAYED) {
            r->tell = false;
        } else if (x->reporting[i] && x->report == DSN_DELAYED) {
            r->delay_told = true;
        }
    }
}

/* Those that failed are noted as such: all whose sender is not to be told, too. */
static void failures_note(struct dispatch *x)
{
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        if (x->failing[i]) {
            x->state.recipients[i].state = RECIPIENT_FAILED;
            x->failing[i] = false;
            x->delivery->options.statistics->failed++;
        }
    }
}

void report_next(struct dispatch *x)
{
    while (x->report_kind < KIND_COUNT && !x->delivery->stopping) {
        size_t kind = x->report_kind++;
        size_t count = kinds[kind].choose(x);
        x->report = kinds[kind].action;
        if (count > 0) {
            if (x->report == DSN_RELAYED) { /* a crash must neither deliver again nor forget to tell */
                spool_put_state(x->delivery->options.spool, x->envelope->id, &x->state);
            }
            bounce_start(x, x->report, x->reporting, count);
            return;
        }
        if (x->report == DSN_FAILED) {
            failures_note(x);
        }
    }
    dispatch_finalise(x);
}

void dispatch_bounced(struct dispatch *x, enum status status, const char *as)
{
    char id[ID_TEXT_SIZE];
    id_format(x->envelope->id, id);
    if (status != STATUS_OK && status_retryable(status)) {
        /* What its sender was not told yet is not noted: the attempt is made again. */
        log_event(LOG_WARN, "a notification could not be made yet", LOG_TEXT("id", id),
                  LOG_TEXT("error", status_text(status)));
        memset(x->failing, 0, x->state.recipient_count * sizeof(bool));
        report_next(x);
        return;
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "a notification was refused: nobody is told", LOG_TEXT("id", id),
                  LOG_TEXT("error", status_text(status)));
    } else {
        delivery_log(x->delivery, x->envelope->id, MESSAGE_EVENT_NOTIFIED, slice_of_text(as));
    }
    duty_done(x);
    if (x->report == DSN_FAILED) {
        failures_note(x);
    }
    report_next(x);
}
