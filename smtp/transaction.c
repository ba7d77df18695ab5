/* From the last byte to the reply (smtp/transaction.h). */
#include "smtp/transaction.h"

#include "base/log.h"
#include "smtp/reply.h"
#include "smtp/spool_format.h"

#define REPLY_MAX                                                                                            \
    ((size_t)8 << 20) /* 10000 refused recipients with their reasons, each a line at its longest */

struct transaction *transaction_new(struct transaction_services *services, struct message *message)
{
    struct transaction *t = calloc(1, sizeof *t);
    if (t == NULL) {
        message_free(message);
        return NULL;
    }
    t->services = services;
    t->message = message;
    t->reply = BUF_INIT(REPLY_MAX);
    memcpy(t->id_text, message->id_text, sizeof t->id_text);
    return t;
}

void transaction_free(struct transaction *t)
{
    if (t != NULL) {
        message_free(t->message);
        buf_release(&t->reply);
        free(t->receipts);
        free(t);
    }
}

static void reply_line(struct transaction *t, int code, const char *enhanced, struct slice text, bool last)
{
    if (reply_append_line(&t->reply, code, enhanced, text, last) != STATUS_OK) {
        /* Beyond any sensible size: what was refused stays refused, in fewer words. */
        buf_reset(&t->reply);
        (void)!reply_append_line(&t->reply, code, enhanced, slice_of_text("refused"), true);
    }
}

/* The same reply for all, unless they have theirs already. */
static void reply_to_all(struct transaction *t, enum status status, const char *text)
{
    size_t replies = t->reply.len > 0 ? 0 : t->receipts != NULL ? t->receipt_count : 1;
    t->status = status;
    for (size_t i = 0; i < replies; i++) {
        reply_line(t, status_smtp_code(status), status_enhanced_code(status), slice_of_text(text), true);
    }
}

static void log_failed(struct transaction *t);

/* Not accepted, for a reason that has nothing to do with policy. */
static void fail(struct transaction *t, enum status status, const char *text)
{
    reply_to_all(t, status, text);
    log_failed(t);
    t->cb(t);
}

/* LMTP: what one recipient's refusal is answered with; OK: they have none of their own. */
struct reply_of_one {
    enum status status;
    struct slice text;
};

/* Each receipt's own reply, where there is one, else `otherwise`. `own` is by position in the envelope. */
static void reply_for_each(struct transaction *t, const struct reply_of_one *own,
                           struct reply_of_one otherwise)
{
    for (size_t i = 0; i < t->receipt_count; i++) {
        struct reply_of_one r = own[t->receipts[i]].status != STATUS_OK ? own[t->receipts[i]] : otherwise;
        reply_line(t, status_smtp_code(r.status), status_enhanced_code(r.status), r.text, true);
    }
}

/* Keeps the refusals for the replies that come when the others are durable. */
static bool refusals_keep(struct transaction *t, const struct job_result *result)
{
    struct arena *a = &t->message->arena;
    t->own_replies = arena_alloc_array(a, t->job.message.recipient_count + 1, sizeof *t->own_replies);
    if (t->own_replies == NULL) {
        return false;
    }
    for (size_t i = 0; i < result->refusal_count; i++) {
        struct reply_of_one *r = &t->own_replies[result->refusals[i].recipient];
        r->status = result->refusals[i].status;
        if (!arena_copy(a, result->refusals[i].reason, &r->text)) {
            return false;
        }
    }
    return true;
}

/* --- the message log --- */

/* What each recipient was told, by position. */
static void people_fill(const struct spool_envelope *e, const struct job_result *refused, bool quarantined,
                        struct message_person *people, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        people[i] = (struct message_person){.address = e->recipients[i],
                                            .state = quarantined ? MESSAGE_QUARANTINED : MESSAGE_WAITING};
    }
    for (size_t v = 0; v < e->variant_count; v++) {
        const struct spool_variant *variant = &e->variants[v];
        for (size_t i = 0; i < variant->recipient_count; i++) {
            if (variant->recipients[i] < count) {
                people[variant->recipients[i]].protection = variant->protection;
                people[variant->recipients[i]].text =
                    quarantined ? variant->quarantine_reason : slice_of(NULL, 0);
            }
        }
    }
    for (size_t i = 0; i < e->refusal_count; i++) {
        if (e->refusals[i].recipient < count) {
            people[e->refusals[i].recipient].state = MESSAGE_REFUSED;
            people[e->refusals[i].recipient].text = e->refusals[i].reason;
        }
    }
    for (size_t i = 0; i < count && refused != NULL; i++) {
        people[i].state = MESSAGE_REFUSED;
    }
    for (size_t i = 0; refused != NULL && i < refused->refusal_count; i++) {
        if (refused->refusals[i].recipient < count) {
            people[refused->refusals[i].recipient].text = refused->refusals[i].reason;
        }
    }
}

/* `refused`: nobody was accepted, and this is why. The reply is written already. */
static void log_taken(struct transaction *t, const struct message *m, const struct job_result *refused,
                      bool quarantined)
{
    const struct spool_envelope *e = &m->envelope;
    size_t count = e->recipient_count < MESSAGE_PEOPLE_MAX ? e->recipient_count : MESSAGE_PEOPLE_MAX;
    struct slice reply = buf_slice(&t->reply);
    struct message_person *people = t->services->log != NULL ? calloc(count + 1, sizeof *people) : NULL;
    if (people == NULL) {
        return;
    }
    while (reply.len > 0 && (reply.data[reply.len - 1] == '\n' || reply.data[reply.len - 1] == '\r')) {
        reply.len--;
    }
    people_fill(e, refused, quarantined, people, count);
    struct message_taken taken = {.arrived_ms = e->arrived_ms,
                                  .size = t->size,
                                  .sender = e->sender,
                                  .client_ip = e->client_ip,
                                  .helo = e->helo,
                                  .listener = t->listener,
                                  .subject = refused != NULL ? refused->subject : t->subject,
                                  .reply = reply,
                                  .people = people,
                                  .people_count = count,
                                  .recipient_count = e->recipient_count};
    message_log_taken(t->services->log, e->id, &taken, refused != NULL ? refused->trace : e->trace);
    free(people);
}

/* Not accepted for a reason that lies here: a temporary refusal of all. */
static void log_failed(struct transaction *t)
{
    static const struct job_result nothing = {.status = STATUS_UNAVAILABLE};
    if (t->message != NULL) {
        log_taken(t, t->message, &nothing, false);
    }
}

/* One reply for all, with the result's code: the worker lets a lasting refusal weigh more than one that may
 * pass, or the other way round when the message could be served in part later (RFC 2034: the same enhanced
 * code on each line). */
static void refuse(struct transaction *t, const struct job_result *result)
{
    enum status status = result->status;
    int code = status_smtp_code(status);
    const char *enhanced = status_enhanced_code(status);
    struct slice text = result->text.len > 0 ? result->text : slice_of_text(status_text(status));
    if (t->receipts != NULL && refusals_keep(t, result)) {
        reply_for_each(t, t->own_replies, (struct reply_of_one){status, text});
    }
    for (size_t i = 0; i < result->refusal_count && t->receipts == NULL; i++) {
        reply_line(t, code, enhanced, result->refusals[i].reason, i + 1 == result->refusal_count);
    }
    if (t->receipts == NULL && result->refusal_count == 0) {
        reply_line(t, code, enhanced, text, true);
    }
    log_event(LOG_INFO, "message refused", LOG_TEXT("id", t->id_text),
              LOG_TEXT("status", status_name(status)),
              LOG_SLICE("reason", result->refusal_count > 0 ? result->refusals[0].reason : result->text));
    t->services->statistics->refused++;
    reply_to_all(t, status, status_text(status));
    log_taken(t, t->message, result, false);
    t->cb(t);
}

static void on_spooled(struct spool_add *add)
{
    struct transaction *t = add->context;
    struct message *m = t->message;
    if (add->status != STATUS_OK) {
        log_event(LOG_WARN, "message not accepted", LOG_TEXT("id", t->id_text),
                  LOG_TEXT("error", add->failure.text));
        fail(t, status_retryable(add->status) ? add->status : STATUS_IO, status_text(add->status));
        return;
    }
    bool quarantined = (add->commit_flags & SPOOL_COMMIT_QUARANTINED) != 0;
    log_event(quarantined ? LOG_WARN : LOG_INFO, quarantined ? "message quarantined" : "message accepted",
              LOG_TEXT("id", t->id_text), LOG_SLICE("from", m->envelope.sender),
              LOG_NUMBER("recipients", m->envelope.recipient_count),
              LOG_NUMBER("refused", m->envelope.refusal_count), LOG_NUMBER("bytes", t->size),
              LOG_SLICE("client", m->envelope.client_ip));
    t->services->statistics->accepted++;
    t->services->statistics->quarantined += quarantined;
    char text[160];
    size_t refused = (m->envelope.flags & SPOOL_REFUSALS_TOLD) == 0 ? m->envelope.refusal_count : 0;
    if (refused > 0) {
        (void)!snprintf(text, sizeof text,
                        "queued as %s; %zu of %zu recipients refused, a notification follows", t->id_text,
                        refused, m->envelope.recipient_count);
    } else {
        (void)!snprintf(text, sizeof text, "queued as %s%s", t->id_text,
                        t->put_aside ? "; held until an administrator releases it" : "");
    }
    if (t->receipts != NULL && t->own_replies != NULL) { /* none when it was quarantined as it came */
        reply_for_each(t, t->own_replies, (struct reply_of_one){STATUS_OK, slice_of_text(text)});
    }
    reply_to_all(t, STATUS_OK, text);
    log_taken(t, m, NULL, quarantined);
    t->message = NULL;
    /* The reply first: what is durable is the client's to know; delivery may take its time. */
    struct transaction_services *services = t->services;
    uint64_t bytes = add->bytes;
    t->cb(t);
    services->accepted(services->context, m, bytes, quarantined);
}

static void spool_it(struct transaction *t, unsigned commit_flags)
{
    t->add = (struct spool_add){.envelope = &t->message->envelope,
                                .fds = t->message->variants,
                                .commit_flags = commit_flags,
                                .cb = on_spooled,
                                .context = t};
    spool_add(t->services->spool, &t->add);
}

/* Into the spool as it came, and no further: nothing was decided of it that could be done. */
static void put_aside(struct transaction *t, struct slice reason)
{
    struct spool_envelope *e = &t->message->envelope;
    bool lmtp = slice_equal(t->listener, SLICE_LITERAL("lmtp"));
    e->flags |= SPOOL_UNPROCESSED | ((t->flags & JOB_TLS) != 0 ? (uint64_t)SPOOL_CAME_BY_TLS : 0u) |
                (lmtp ? (uint64_t)SPOOL_CAME_BY_LMTP : 0u);
    if (message_take_body(t->message, t->size, t->needs_8bit, reason) != STATUS_OK) {
        fail(t, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY));
        return;
    }
    spool_it(t, SPOOL_COMMIT_QUARANTINED | SPOOL_COMMIT_UNPROCESSED |
                    ((e->flags & SPOOL_NOTICE) != 0 ? (unsigned)SPOOL_COMMIT_NOTICE : 0u));
}

static void on_job(struct job_request *request, enum job_outcome outcome, const struct job_result *result,
                   int *fds, size_t fd_count)
{
    struct transaction *t = request->context;
    if (outcome == JOB_NO_WORKER) {
        fail(t, STATUS_UNAVAILABLE, status_text(STATUS_UNAVAILABLE));
        return;
    }
    if (outcome == JOB_KILLED_WORKERS) {
        log_event(LOG_ERROR, "a message has killed two workers", LOG_TEXT("id", t->id_text));
        put_aside(t, SLICE_LITERAL("two workers died of it"));
        return;
    }
    if (result->status != STATUS_OK) {
        refuse(t, result);
        return;
    }
    (void)!arena_copy(&t->message->arena, result->subject, &t->subject); /* for the log alone */
    if (result->notice) {
        t->message->envelope.flags |= SPOOL_NOTICE;
    }
    if (result->put_aside) {
        t->put_aside = true;
        if ((t->flags & JOB_RELEASED) != 0 ||
            !arena_copy(&t->message->arena, result->trace, &t->message->envelope.trace)) {
            fail(t, STATUS_INTERNAL, status_text(STATUS_INTERNAL));
            return;
        }
        log_event(LOG_WARN, "message put aside", LOG_TEXT("id", t->id_text),
                  LOG_SLICE("reason", result->text));
        put_aside(t, result->text);
        return;
    }
    bool told = t->receipts != NULL;
    enum status status = STATUS_MALFORMED;
    if (told && !refusals_keep(t, result)) {
        status = STATUS_NO_MEMORY;
    } else if (result->refusal_count == 0 || told || t->message->envelope.sender.len > 0) {
        status = message_take_variants(t->message, result, fds, fd_count);
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "a worker's answer cannot be used", LOG_TEXT("id", t->id_text),
                  LOG_TEXT("error", status_text(status)));
        fail(t, STATUS_INTERNAL, status_text(STATUS_INTERNAL));
        return;
    }
    if (told) {
        t->message->envelope.flags |= SPOOL_REFUSALS_TOLD;
    }
    spool_it(t, 0); /* what policy wants put aside, delivery puts aside (smtp/dispatch.c) */
}

void transaction_run(struct transaction *t)
{
    const struct spool_envelope *e = &t->message->envelope;
    t->job = (struct job_request){.type = JOB_MESSAGE, .fd = t->message->body, .cb = on_job, .context = t};
    struct job_message *m = &t->job.message;
    memcpy(m->message_id, t->id_text, sizeof m->message_id);
    m->now_ms = e->arrived_ms;
    m->sender = e->sender;
    m->client_ip = e->client_ip;
    m->helo = e->helo;
    m->listener = t->listener;
    m->flags = t->flags | (t->receipts != NULL ? JOB_REPLY_FOR_EACH : 0u);
    m->recipients = e->recipients;
    m->recipient_count = e->recipient_count;
    job_submit(t->services->jobs, &t->job);
}
