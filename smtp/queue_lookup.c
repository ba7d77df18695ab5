/*
 * Messages of the queue as they are shown (smtp/queue_protocol.h: FIND, SHOW): envelope and state are read
 * from the spool on the thread pool, and put together with what the schedule knew.
 */
#include "smtp/queue_server_internal.h"

#include "base/msgpack_write.h"

#define RECIPIENTS_OF_LIST 50  /* shown of each message in a list */
#define RECIPIENTS_OF_SHOW 500 /* of one alone */
#define REPLY_SHOWN_MAX    400 /* bytes */

/* FIND or SHOW: entries read on the thread pool. */
struct lookup {
    uv_work_t work;
    struct queue_client *client;
    struct spool *spool;
    enum queue_request type;
    uint64_t request;
    struct queue_wanted *wanted;
    size_t count;
    bool more; /* of FIND: there are messages behind the last */
    enum status status;
    struct failure failure;
    struct buf entries;
    size_t entry_count;
};

static const char *const recipient_states[] = {"waiting", "delivered", "failed"};

static void recipient_fill(struct queue_recipient *r, const struct spool_loaded *l, size_t position,
                           struct slice protection, bool quarantined)
{
    const struct spool_recipient *state = &l->state.recipients[position];
    const char *text = recipient_states[state->state];
    *r = (struct queue_recipient){
        .address = l->envelope.recipients[position],
        .state = slice_of_text(quarantined && state->state == RECIPIENT_WAITING ? "quarantined" : text),
        .protection = protection,
        .last_reply = slice_of(state->reply.data,
                               state->reply.len < REPLY_SHOWN_MAX ? state->reply.len : REPLY_SHOWN_MAX),
        .next_hop = state->next_hop,
    };
}

static void recipients_fill(struct queue_recipient *recipients, const struct spool_loaded *l,
                            bool quarantined)
{
    const struct spool_envelope *e = &l->envelope;
    for (size_t v = 0; v < e->variant_count; v++) {
        const struct spool_variant *variant = &e->variants[v];
        bool held = variant->quarantine && !l->state.released;
        for (size_t i = 0; i < variant->recipient_count; i++) {
            struct queue_recipient *r = &recipients[variant->recipients[i]];
            recipient_fill(r, l, variant->recipients[i], variant->protection, quarantined || held);
            if (held && r->last_reply.len == 0) {
                r->last_reply = variant->quarantine_reason;
            }
        }
    }
    for (size_t i = 0; i < e->refusal_count; i++) {
        recipients[e->refusals[i].recipient] =
            (struct queue_recipient){.address = e->recipients[e->refusals[i].recipient],
                                     .state = SLICE_LITERAL("refused"),
                                     .protection = SLICE_LITERAL("none"),
                                     .last_reply = e->refusals[i].reason};
    }
}

void queue_wanted_set(struct queue_wanted *w, const struct schedule_entry *e)
{
    *w = (struct queue_wanted){.state = queue_state_of(e),
                               .quarantined = e->state == SCHEDULE_QUARANTINED,
                               .next_ms = e->next_ms,
                               .bytes = e->bytes,
                               .attempts = e->attempts};
    memcpy(w->id, e->id, ID_SIZE);
    if (e->state == SCHEDULE_QUARANTINED || e->state == SCHEDULE_HELD) {
        w->next_ms = 0; /* never by itself */
    }
}

static enum status entry_put(struct lookup *l, const struct queue_wanted *w, const struct queue_entry *e)
{
    if (l->type == QUEUE_FIND) {
        char cursor[QUEUE_CURSOR_SIZE];
        struct msgpack_writer writer;
        (void)!snprintf(cursor, sizeof cursor, "%016llx:%.*s", (unsigned long long)w->key, SLICE_ARGS(e->id));
        msgpack_writer_init(&writer, &l->entries);
        write_array(&writer, 2);
        write_text(&writer, slice_of_text(cursor));
        enum status status = msgpack_writer_status(&writer);
        if (status != STATUS_OK) {
            return status;
        }
    }
    l->entry_count++;
    return queue_entry_encode(e, &l->entries);
}

static enum status entry_write(struct lookup *l, const struct queue_wanted *w)
{
    struct spool_loaded loaded;
    struct failure f = {0};
    char id[ID_TEXT_SIZE];
    id_format(w->id, id);
    struct queue_entry e = {
        .id = slice_of_text(id),
        .state = slice_of_text(w->state),
        .arrived_ms = queue_arrival_of(w->id),
        .next_attempt_ms = w->next_ms,
        .attempts = w->attempts,
        .size = w->bytes,
    };
    enum status status = spool_load(l->spool, w->id, &loaded, &f);
    if (status == STATUS_NOT_FOUND) {
        return l->type == QUEUE_FIND
                   ? STATUS_OK
                   : failure_set(&l->failure, status, "%s", f.text); /* gone in the meantime */
    }
    if (status != STATUS_OK) {
        return entry_put(l, w, &e); /* damaged: what is known without reading it */
    }
    const struct spool_envelope *envelope = &loaded.envelope;
    size_t shown = l->type == QUEUE_FIND ? RECIPIENTS_OF_LIST : RECIPIENTS_OF_SHOW;
    e.sender = envelope->sender;
    e.arrived_ms = envelope->arrived_ms;
    e.expires_ms = envelope->arrived_ms + w->expire_ms;
    e.size = spool_envelope_size(envelope);
    e.recipients = arena_alloc_array(&loaded.arena, envelope->recipient_count + 1, sizeof *e.recipients);
    e.recipient_count = shown < envelope->recipient_count ? shown : envelope->recipient_count;
    e.all_recipients = envelope->recipient_count;
    if (l->type == QUEUE_SHOW) {
        e.trace = envelope->trace;
        e.client_ip = envelope->client_ip;
        e.helo = envelope->helo;
    }
    status = e.recipients == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (status == STATUS_OK) {
        recipients_fill(e.recipients, &loaded, w->quarantined);
    }
    if (status == STATUS_OK) {
        status = entry_put(l, w, &e);
    }
    spool_loaded_release(&loaded);
    return status;
}

static void look_up(uv_work_t *work)
{
    struct lookup *l = work->data;
    l->status = STATUS_OK;
    for (size_t i = 0; i < l->count && l->status == STATUS_OK; i++) {
        if (l->entries.len > QUEUE_BODY_MAX) {
            l->more = true;
            break;
        }
        l->status = entry_write(l, &l->wanted[i]);
    }
}

static void lookup_answer(struct lookup *l)
{
    if (l->type == QUEUE_SHOW) {
        queue_answer(l->client, l->type, l->request, l->status, l->status == STATUS_OK ? "" : l->failure.text,
                     l->status == STATUS_OK ? &l->entries : NULL);
        return;
    }
    struct buf body = BUF_INIT(QUEUE_ANSWER_MAX);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &body);
    write_array(&w, 2);
    write_bool(&w, l->more);
    write_array(&w, l->entry_count);
    enum status status = l->status == STATUS_OK ? msgpack_writer_status(&w) : l->status;
    if (status == STATUS_OK && l->entries.len > 0) {
        status = buf_append_slice(&body, buf_slice(&l->entries));
    }
    queue_answer(l->client, l->type, l->request, status, status == STATUS_OK ? "" : status_text(status),
                 status == STATUS_OK ? &body : NULL);
    buf_release(&body);
}

static void after_look_up(uv_work_t *work, int error)
{
    struct lookup *l = work->data;
    struct queue_client *c = l->client;
    struct queue_server *s = c->server;
    if (error != 0) {
        l->status = STATUS_INTERNAL;
    }
    if (queue_client_end(c)) {
        lookup_answer(l);
    }
    buf_release(&l->entries);
    free(l->wanted);
    free(l);
    queue_client_over(s);
}

void queue_lookup_start(struct queue_client *c, enum queue_request type, uint64_t request,
                        struct queue_wanted *wanted, size_t count, bool more)
{
    struct queue_server *s = c->server;
    struct settings_source *settings = s->options.settings;
    struct lookup *l = calloc(1, sizeof *l);
    if (l == NULL) {
        free(wanted);
        queue_answer(c, type, request, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), NULL);
        return;
    }
    if (settings->begin != NULL && settings->begin(settings->context)) {
        uint64_t expire = settings_expire(settings, slice_of(NULL, 0));
        settings->end(settings->context);
        for (size_t i = 0; i < count; i++) {
            wanted[i].expire_ms = expire;
        }
    }
    *l = (struct lookup){.client = c,
                         .spool = s->spool,
                         .type = type,
                         .request = request,
                         .wanted = wanted,
                         .count = count,
                         .more = more,
                         .entries = BUF_INIT(QUEUE_ANSWER_MAX - 4096)};
    l->work.data = l;
    queue_client_begin(c);
    if (uv_queue_work(s->options.loop, &l->work, look_up, after_look_up) != 0) {
        after_look_up(&l->work, UV_ENOMEM);
    }
}
