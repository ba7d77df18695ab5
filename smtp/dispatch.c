/*
 * One message's way out (smtp/delivery_internal.h): from its envelope and state to groups, from their results
 * to the message's next state. What a recipient's fate is, is decided here and in client_session.c; nothing
 * here touches a socket.
 */
#include "smtp/delivery_internal.h"

#include "base/log.h"

#include <unistd.h>

#define ARENA_MAX     ((size_t)64 << 20)
#define LOAD_RETRY_MS 60000

static struct dispatch *dispatch_new(struct delivery *d, struct schedule_entry *e)
{
    struct dispatch *x = calloc(1, sizeof *x);
    if (x == NULL) {
        return NULL;
    }
    x->delivery = d;
    x->entry = e;
    arena_init(&x->arena, ARENA_MAX);
    x->next = d->dispatches;
    if (d->dispatches != NULL) {
        d->dispatches->previous = x;
    }
    d->dispatches = x;
    d->dispatch_count++;
    return x;
}

void dispatch_pin(struct dispatch *x)
{
    x->pins++;
}

static void free_perhaps(struct dispatch *x)
{
    if (!x->over || x->pins > 0) {
        return;
    }
    struct delivery *d = x->delivery;
    if (x->previous != NULL) {
        x->previous->next = x->next;
    } else {
        d->dispatches = x->next;
    }
    if (x->next != NULL) {
        x->next->previous = x->previous;
    }
    d->dispatch_count--;
    message_free(x->hot);
    if (x->is_loaded) {
        spool_loaded_release(&x->loaded);
    }
    arena_release(&x->arena);
    free(x);
    delivery_look(d);
    delivery_stopped_perhaps(d);
}

void dispatch_unpin(struct dispatch *x)
{
    x->pins--;
    free_perhaps(x);
}

/* The entry has its new state; the dispatch goes. */
void dispatch_over(struct dispatch *x)
{
    x->entry = NULL;
    x->over = true;
    free_perhaps(x);
}

/* --- results --- */

static struct slice kept(struct dispatch *x, struct slice text)
{
    struct slice out;
    return arena_copy(&x->arena, text, &out) ? out : slice_of(NULL, 0);
}

void outcome_set(struct group *g, size_t i, enum recipient_result result, const char *enhanced,
                 struct slice text, const char *next_hop)
{
    struct recipient_outcome *o = &g->outcomes[i];
    if (o->result != RESULT_NONE) {
        return;
    }
    o->result = result;
    (void)!snprintf(o->enhanced, sizeof o->enhanced, "%s", enhanced);
    o->text = kept(g->dispatch, text);
    o->next_hop = kept(g->dispatch, slice_of_text(next_hop));
}

void group_settle(struct group *g, enum recipient_result result, const char *enhanced, struct slice text,
                  const char *next_hop)
{
    for (size_t i = 0; i < g->count; i++) {
        outcome_set(g, i, result, enhanced, text, next_hop);
    }
}

static const char *const event_names[] = {[RESULT_NONE] = "deferred",
                                          [RESULT_DELIVERED] = "delivered",
                                          [RESULT_DEFERRED] = "deferred",
                                          [RESULT_FAILED] = "failed"};

void dispatch_note_outcome(struct dispatch *x, size_t position, const struct recipient_outcome *o)
{
    struct spool_recipient *r = &x->state.recipients[position];
    char id[ID_TEXT_SIZE];
    id_format(x->envelope->id, id);
    log_event(o->result == RESULT_FAILED ? LOG_WARN : LOG_INFO, event_names[o->result], LOG_TEXT("id", id),
              LOG_SLICE("to", x->envelope->recipients[position]), LOG_SLICE("next_hop", o->next_hop),
              LOG_SLICE("reply", o->text));
    queue_events_note(&x->delivery->events, event_names[o->result], x->envelope->id,
                      &(struct queue_event){.sender = x->envelope->sender,
                                            .recipient = x->envelope->recipients[position],
                                            .next_hop = o->next_hop,
                                            .enhanced = slice_of_text(o->enhanced),
                                            .text = o->text});
    r->reply = o->text;
    r->next_hop = o->next_hop;
    r->enhanced = kept(x, slice_of_text(o->enhanced));
    if (o->result == RESULT_DELIVERED) {
        r->state = RECIPIENT_DELIVERED;
        r->tell = !o->tells && report_success_is_due(x, position);
        x->delivery->options.statistics->delivered++;
    } else if (o->result == RESULT_FAILED) {
        x->failing[position] = true;
    }
}

static const enum message_state logged_states[] = {[RESULT_NONE] = MESSAGE_DEFERRED,
                                                   [RESULT_DELIVERED] = MESSAGE_DELIVERED,
                                                   [RESULT_DEFERRED] = MESSAGE_DEFERRED,
                                                   [RESULT_FAILED] = MESSAGE_FAILED};

/* What became of these recipients in this attempt, for the message log. */
void dispatch_log_outcomes(struct dispatch *x, const size_t *positions,
                           const struct recipient_outcome *outcomes, size_t count)
{
    struct message_outcome logged[GROUP_RECIPIENTS_MAX];
    struct message_event event = {.type = MESSAGE_EVENT_ATTEMPT,
                                  .time_ms = clock_wall_ms(),
                                  .attempt = (uint64_t)x->state.attempts + 1,
                                  .outcomes = logged,
                                  .outcome_count = count};
    for (size_t i = 0; i < count; i++) {
        logged[i] = (struct message_outcome){.position = positions[i],
                                             .state = logged_states[outcomes[i].result],
                                             .next_hop = outcomes[i].next_hop,
                                             .enhanced = slice_of_text(outcomes[i].enhanced),
                                             .text = outcomes[i].text};
    }
    message_log_event(x->delivery->options.log, x->envelope->id, &event);
}

void group_part(struct group *g, size_t i, enum recipient_result result, const char *enhanced,
                struct slice text, const char *next_hop)
{
    outcome_set(g, i, result, enhanced, text, next_hop);
    dispatch_note_outcome(g->dispatch, g->recipients[i], &g->outcomes[i]);
    dispatch_log_outcomes(g->dispatch, &g->recipients[i], &g->outcomes[i], 1);
    g->count--;
    g->recipients[i] = g->recipients[g->count];
    g->outcomes[i] = g->outcomes[g->count];
}

struct group *group_split(struct group *g, size_t first)
{
    struct arena *a = &g->dispatch->arena;
    struct group *rest = arena_alloc(a, sizeof *rest);
    size_t count = g->count - first;
    size_t *recipients = arena_alloc_array(a, GROUP_RECIPIENTS_MAX, sizeof(size_t));
    struct recipient_outcome *outcomes =
        arena_alloc_array(a, GROUP_RECIPIENTS_MAX, sizeof(struct recipient_outcome));
    if (rest == NULL || recipients == NULL || outcomes == NULL || g->seven_bit >= 0) {
        return NULL;
    }
    *rest = *g;
    rest->next = NULL;
    rest->recipients = recipients;
    rest->outcomes = outcomes;
    rest->count = count;
    memcpy(recipients, g->recipients + first, count * sizeof *recipients);
    g->count = first;
    g->dispatch->outstanding++;
    return rest;
}

void group_finished(struct group *g)
{
    struct dispatch *x = g->dispatch;
    bool delivered = false;
    for (size_t i = 0; i < g->count; i++) {
        dispatch_note_outcome(x, g->recipients[i], &g->outcomes[i]);
        delivered = delivered || g->outcomes[i].result == RESULT_DELIVERED;
    }
    if (g->count > 0) {
        dispatch_log_outcomes(x, g->recipients, g->outcomes, g->count);
    }
    if (g->seven_bit >= 0) {
        (void)close(g->seven_bit);
    }
    if (--x->outstanding > 0) {
        if (delivered) { /* others may take long: a crash must not deliver these again */
            spool_put_state(x->delivery->options.spool, x->envelope->id, &x->state);
        }
        return;
    }
    dispatch_settle(x);
}

/* Policy wants it put aside, and nobody has released it. */
bool dispatch_is_held(const struct dispatch *x, size_t position)
{
    return x->held[position] && !x->state.released;
}

static bool any_held(const struct dispatch *x)
{
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        if (x->state.recipients[i].state == RECIPIENT_WAITING && dispatch_is_held(x, i)) {
            return true;
        }
    }
    return false;
}

/* Every recipient that may be tried has its end, and the sender has been told what she asked for. */
static bool all_settled(const struct dispatch *x)
{
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        const struct spool_recipient *r = &x->state.recipients[i];
        if (r->tell || (r->state == RECIPIENT_WAITING && !dispatch_is_held(x, i))) {
            return false;
        }
    }
    return true;
}

static bool any_settled(const struct dispatch *x)
{
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        if (x->state.recipients[i].state != RECIPIENT_WAITING) {
            return true;
        }
    }
    return false;
}

/* How long until the next attempt: the earliest that any waiting recipient's settings ask for, and no later
 * than its end. */
static uint64_t next_attempt(struct dispatch *x, uint64_t now)
{
    struct settings_source *s = x->delivery->options.settings;
    uint64_t next = UINT64_MAX;
    if (!s->begin(s->context)) {
        return now + LOAD_RETRY_MS;
    }
    uint16_t random = 0;
    random_bytes(&random, sizeof random);
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        if (x->state.recipients[i].state != RECIPIENT_WAITING || dispatch_is_held(x, i)) {
            continue;
        }
        struct slice address = x->envelope->recipients[i];
        uint64_t at = now + schedule_jitter(settings_retry_delay(s, x->state.attempts, address), random);
        uint64_t end = x->envelope->arrived_ms + settings_expire(s, address);
        uint64_t late = report_delay_due(x, i);
        at = at > end && end > now ? end : at;
        at = at > late && late > now ? late : at;
        next = at < next ? at : next;
    }
    s->end(s->context);
    return next < UINT64_MAX ? next : now + BUSY_RETRY_MS; /* nobody waits: only the sender is to be told */
}

static void quarantine_log(struct dispatch *x, const struct spool_variant *variant)
{
    struct message_event event = {
        .type = MESSAGE_EVENT_QUARANTINED, .time_ms = clock_wall_ms(), .text = variant->quarantine_reason};
    struct message_outcome *logged =
        arena_alloc_array(&x->arena, variant->recipient_count + 1, sizeof *logged);
    for (size_t i = 0; logged != NULL && i < variant->recipient_count; i++) {
        logged[event.outcome_count++] = (struct message_outcome){.position = variant->recipients[i],
                                                                 .state = MESSAGE_QUARANTINED,
                                                                 .text = variant->quarantine_reason};
    }
    event.outcomes = logged;
    message_log_event(x->delivery->options.log, x->envelope->id, &event);
}

/* Nothing is left to do but for what policy has put aside. */
static void quarantine(struct dispatch *x)
{
    struct delivery *d = x->delivery;
    char id[ID_TEXT_SIZE];
    id_format(x->envelope->id, id);
    for (size_t v = 0; v < x->envelope->variant_count; v++) {
        const struct spool_variant *variant = &x->envelope->variants[v];
        if (variant->quarantine) {
            log_event(LOG_WARN, "message quarantined by policy", LOG_TEXT("id", id),
                      LOG_NUMBER("recipients", variant->recipient_count),
                      LOG_SLICE("reason", variant->quarantine_reason));
            quarantine_log(x, variant);
        }
    }
    x->state.state = SPOOL_QUARANTINED;
    spool_put_state(d->options.spool, x->envelope->id, &x->state);
    schedule_quarantine(&d->schedule, x->entry);
    d->options.statistics->quarantined++;
}

void dispatch_finalise(struct dispatch *x)
{
    struct delivery *d = x->delivery;
    struct schedule_entry *e = x->entry;
    const uint8_t *id = x->envelope->id;
    bool settled = all_settled(x), aside = any_held(x);
    if (settled && e->order != ORDER_DELETE) {
        e->order = ORDER_NONE; /* it came too late */
    }
    if ((!settled || aside) && order_carried_out(d, e, &x->state)) {
        dispatch_over(x);
        return;
    }
    if (settled && aside) {
        quarantine(x);
        delivery_facts_renew(d, e, x->envelope, &x->state);
    } else if (settled) {
        spool_delete(d->options.spool, id);
        schedule_remove(&d->schedule, e);
    } else if (x->aborted || !x->any_tried) {
        /* Not its fault: as it was, only sooner again. */
        if (any_settled(x)) {
            spool_put_state(d->options.spool, id, &x->state);
        }
        schedule_wait(&d->schedule, e, clock_wall_ms() + BUSY_RETRY_MS);
    } else {
        uint64_t now = clock_wall_ms();
        x->state.attempts++;
        x->state.state = SPOOL_DEFERRED;
        x->state.next_attempt_ms = next_attempt(x, now);
        spool_put_state(d->options.spool, id, &x->state);
        e->attempts = x->state.attempts;
        delivery_facts_renew(d, e, x->envelope, &x->state);
        schedule_wait(&d->schedule, e, x->state.next_attempt_ms);
        d->options.statistics->deferred++;
    }
    dispatch_over(x);
}

/* Those that have waited for too long fail. */
static void expire(struct dispatch *x)
{
    struct settings_source *s = x->delivery->options.settings;
    uint64_t now = clock_wall_ms();
    if (x->aborted || !x->any_tried || !s->begin(s->context)) {
        return; /* untried: a clock that was set forward ends nothing by itself */
    }
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        struct spool_recipient *r = &x->state.recipients[i];
        if (r->state == RECIPIENT_WAITING && !x->failing[i] && !dispatch_is_held(x, i) &&
            now >= x->envelope->arrived_ms + settings_expire(s, x->envelope->recipients[i])) {
            char id[ID_TEXT_SIZE];
            id_format(x->envelope->id, id);
            log_event(LOG_WARN, "given up: too old", LOG_TEXT("id", id),
                      LOG_SLICE("to", x->envelope->recipients[i]), LOG_SLICE("reply", r->reply));
            r->enhanced = SLICE_LITERAL("5.4.7");
            x->failing[i] = true;
            struct recipient_outcome o = {
                .result = RESULT_FAILED, .enhanced = "5.4.7", .text = r->reply, .next_hop = r->next_hop};
            dispatch_log_outcomes(x, &i, &o, 1);
        }
    }
    s->end(s->context);
}

void dispatch_settle(struct dispatch *x)
{
    expire(x);
    size_t failed = 0;
    for (size_t i = 0; i < x->state.recipient_count; i++) {
        failed += x->failing[i];
    }
    if (failed > 0 && x->delivery->stopping) {
        /* No time left to tell the sender: the attempt is made again after the start. */
        memset(x->failing, 0, x->state.recipient_count * sizeof(bool));
        x->aborted = true;
    }
    report_next(x);
}

/* --- start --- */

/* What was put aside stays so; the rest is delivered. */
static void go_on(struct dispatch *x)
{
    struct delivery *d = x->delivery;
    if (x->state.state != SPOOL_QUARANTINED && (x->envelope->flags & SPOOL_UNPROCESSED) == 0) {
        dispatch_plan(x);
        return;
    }
    if (x->entry->order != ORDER_DELETE || !order_carried_out(d, x->entry, NULL)) {
        schedule_quarantine(&d->schedule, x->entry);
    }
    dispatch_over(x);
}

static void begin(struct dispatch *x)
{
    if (!notice_is_due(x)) {
        go_on(x);
    } else if (x->delivery->stopping) {
        schedule_wait(&x->delivery->schedule, x->entry, clock_wall_ms() + BUSY_RETRY_MS);
        dispatch_over(x);
    } else {
        notice_start(x);
    }
}

void dispatch_noticed(struct dispatch *x, enum status status, const char *as)
{
    char id[ID_TEXT_SIZE];
    id_format(x->envelope->id, id);
    if (status != STATUS_OK && status_retryable(status)) {
        log_event(LOG_WARN, "a notice could not be made yet", LOG_TEXT("id", id),
                  LOG_TEXT("error", status_text(status)));
        schedule_wait(&x->delivery->schedule, x->entry, clock_wall_ms() + BUSY_RETRY_MS);
        dispatch_over(x);
        return;
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "a notice was refused: the sender is not told", LOG_TEXT("id", id),
                  LOG_TEXT("error", status_text(status)));
    } else {
        delivery_log(x->delivery, x->envelope->id, MESSAGE_EVENT_NOTIFIED, slice_of_text(as));
    }
    x->state.noticed = true;
    if ((x->envelope->flags & SPOOL_UNPROCESSED) != 0) {
        x->state.state = SPOOL_QUARANTINED;
    }
    spool_put_state(x->delivery->options.spool, x->envelope->id, &x->state);
    go_on(x);
}

void dispatch_start_hot(struct delivery *d, struct schedule_entry *e, struct message *m)
{
    struct dispatch *x = dispatch_new(d, e);
    size_t count = m->envelope.recipient_count;
    struct spool_recipient *recipients =
        x != NULL ? arena_alloc_array(&x->arena, count + 1, sizeof *recipients) : NULL;
    if (recipients == NULL) {
        message_free(m);
        schedule_wait(&d->schedule, e, clock_wall_ms());
        if (x != NULL) {
            dispatch_over(x);
        }
        return;
    }
    if (m->body >= 0) { /* what came in is not needed any more: each variant has its own descriptor */
        (void)close(m->body);
        m->body = -1;
    }
    x->hot = m;
    x->envelope = &m->envelope;
    x->state =
        (struct spool_state){.state = SPOOL_ACTIVE, .recipients = recipients, .recipient_count = count};
    begin(x);
}

static void load(uv_work_t *work)
{
    struct dispatch *x = work->data;
    enum status status = spool_load(x->delivery->options.spool, x->entry->id, &x->loaded, &x->load_failure);
    x->is_loaded = status == STATUS_OK;
    x->load_failure.status = status;
}

static void load_failed(struct dispatch *x)
{
    struct delivery *d = x->delivery;
    struct schedule_entry *e = x->entry;
    char id[ID_TEXT_SIZE];
    id_format(e->id, id);
    log_event(LOG_ERROR, "a spooled message cannot be read", LOG_TEXT("id", id),
              LOG_TEXT("error", x->load_failure.text));
    switch (x->load_failure.status) {
    case STATUS_NOT_FOUND:
        schedule_remove(&d->schedule, e);
        break;
    case STATUS_CORRUPT:
    case STATUS_CRYPTO:
    case STATUS_VERSION:
        schedule_quarantine(&d->schedule, e); /* never delivered in part; kept for the administrator */
        break;
    default:
        schedule_wait(&d->schedule, e, clock_wall_ms() + LOAD_RETRY_MS);
        break;
    }
    dispatch_over(x);
}

static void after_load(uv_work_t *work, int error)
{
    struct dispatch *x = work->data;
    x->pins--;
    if (error != 0) {
        x->load_failure.status = STATUS_INTERNAL;
    }
    if (!x->is_loaded) {
        load_failed(x);
        return;
    }
    x->envelope = &x->loaded.envelope;
    x->state = x->loaded.state;
    if (x->delivery->stopping) {
        x->aborted = true;
    }
    if (x->entry->released && !x->state.released) { /* read before it was written */
        x->state.released = true;
        x->state.state = SPOOL_DEFERRED;
    }
    if (x->state.state == SPOOL_HELD) { /* the schedule would not have let it go */
        x->state.state = SPOOL_DEFERRED;
    }
    if (x->entry->unread) {
        delivery_facts_renew(x->delivery, x->entry, x->envelope, &x->state);
    }
    begin(x);
}

void dispatch_start_cold(struct delivery *d, struct schedule_entry *e)
{
    struct dispatch *x = dispatch_new(d, e);
    if (x == NULL) {
        schedule_wait(&d->schedule, e, clock_wall_ms() + LOAD_RETRY_MS);
        return;
    }
    x->work.data = x;
    if (uv_queue_work(d->options.loop, &x->work, load, after_load) != 0) {
        schedule_wait(&d->schedule, e, clock_wall_ms() + LOAD_RETRY_MS);
        dispatch_over(x);
        return;
    }
    x->pins++;
}
