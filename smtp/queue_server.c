/*
 * The queue for the api role (smtp/queue_server.h). One frame is one request; STATS, RETRY, RELEASE and
 * DELETE are answered at once, LIST and SHOW after the envelopes have been read from the spool on the thread
 * pool. A client is another role of this node, not trusted with the form of its frames. Answers wait in a
 * bounded queue while the client's socket is full.
 */
#include "smtp/queue_server_internal.h"

#include "base/channel.h"
#include "base/log.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#include <unistd.h>

#define ANSWERS_MAX        64
#define RECIPIENTS_OF_LIST 50 /* shown of each message in a list; SHOW has all */

/* What the schedule knew of a message when it was asked. */
struct wanted {
    uint8_t id[ID_SIZE];
    enum schedule_state state;
    uint64_t next_ms, bytes, expire_ms;
    uint32_t attempts;
};

/* LIST or SHOW: entries read on the thread pool. */
struct lookup {
    uv_work_t work;
    struct queue_client *client;
    struct spool *spool;
    enum queue_request type;
    uint64_t request;
    struct wanted *wanted;
    size_t count;
    enum status status;
    struct failure failure;
    struct buf entries;
    size_t entry_count;
};

static void on_client(uv_poll_t *poll, int status, int events);

void queue_server_closed_perhaps(struct queue_server *s)
{
    if (s->closing && !s->told && s->handles == 0 && s->lookups == 0) {
        s->told = true;
        s->closed(s->closed_context);
    }
}

void queue_client_free_perhaps(struct queue_client *c)
{
    if (c->fd >= 0 || c->lookups > 0) {
        return;
    }
    free(c);
}

static void on_client_closed(uv_handle_t *handle)
{
    struct queue_client *c = handle->data;
    struct queue_server *s = c->server;
    (void)close(c->fd);
    c->fd = -1;
    queue_client_free_perhaps(c);
    s->handles--;
    queue_server_closed_perhaps(s);
}

static void client_drop(struct queue_client *c)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    for (struct queue_client **at = &c->server->clients; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    while (c->answers != NULL) {
        struct answer *a = c->answers;
        c->answers = a->next;
        buf_release(&a->payload);
        free(a);
    }
    uv_close((uv_handle_t *)&c->poll, on_client_closed);
}

/* --- answers --- */

static void answers_send(struct queue_client *c)
{
    while (c->answers != NULL) {
        struct answer *a = c->answers;
        enum status status = channel_send(c->fd, buf_slice(&a->payload), NULL, 0);
        if (status == STATUS_BUSY) {
            (void)uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, on_client);
            return;
        }
        if (status != STATUS_OK) {
            client_drop(c);
            return;
        }
        c->answers = a->next;
        c->answer_count--;
        buf_release(&a->payload);
        free(a);
    }
    c->answers_tail = &c->answers;
    (void)uv_poll_start(&c->poll, UV_READABLE, on_client);
}

void queue_answer(struct queue_client *c, enum queue_request type, uint64_t request, enum status status,
                  const char *text, const struct buf *extra)
{
    if (c->closing) {
        return;
    }
    struct answer *a = calloc(1, sizeof *a);
    if (a == NULL || c->answer_count >= ANSWERS_MAX) {
        free(a);
        client_drop(c); /* it asks and does not read */
        return;
    }
    a->payload = BUF_INIT(QUEUE_ANSWER_MAX);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &a->payload);
    write_array(&w, extra != NULL ? 5 : 4);
    write_u64(&w, type);
    write_u64(&w, request);
    write_u64(&w, status);
    write_text(&w, slice_of_text(text));
    enum status made = msgpack_writer_status(&w);
    if (made == STATUS_OK && extra != NULL) {
        made = buf_append_slice(&a->payload, buf_slice(extra));
    }
    if (made != STATUS_OK) {
        buf_release(&a->payload);
        free(a);
        client_drop(c);
        return;
    }
    *c->answers_tail = a;
    c->answers_tail = &a->next;
    c->answer_count++;
    answers_send(c);
}

static void answer_number(struct queue_client *c, enum queue_request type, uint64_t request,
                          enum status status, const char *text, uint64_t number)
{
    struct buf extra = BUF_INIT(64);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &extra);
    write_u64(&w, number);
    queue_answer(c, type, request, status, text, msgpack_writer_status(&w) == STATUS_OK ? &extra : NULL);
    buf_release(&extra);
}

/* --- STATS --- */

static void stats(struct queue_client *c, uint64_t request)
{
    const struct queue_server_options *o = &c->server->options;
    const struct statistics *n = o->statistics;
    struct spool_counts spool = {0};
    struct message_log_counts log;
    message_log_counts_get(c->server->log, &log);
    struct job_counts jobs = job_server_counts(o->jobs);
    struct schedule empty = {0};
    const struct schedule *schedule =
        c->server->delivery != NULL ? delivery_schedule(c->server->delivery) : &empty;
    if (c->server->spool != NULL) {
        spool_counts_get(c->server->spool, &spool);
    }
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
#define X(name) {#name, n->name},
        STATISTICS_TABLE(X)
#undef X
            {"queue_messages", schedule->count},
        {"queue_bytes", schedule->bytes},
        {"queue_active", schedule->active},
        {"queue_quarantined", schedule->quarantined},
        {"spool_syncs", spool.syncs},
        {"spool_groups", spool.groups},
        {"spool_segments", spool.segments},
        {"spool_damaged", spool.damaged},
        {"spool_torn", spool.torn},
        {"spool_copied", spool.copied},
        {"message_log_written", log.written},
        {"message_log_dropped", log.dropped},
        {"message_log_expired", log.expired},
        {"message_log_bytes", log.bytes},
        {"jobs", jobs.jobs},
        {"jobs_waiting", jobs.waiting},
        {"workers", jobs.workers},
        {"worker_deaths", jobs.worker_deaths},
        {"memory_bytes", o->budget->used},
    };
    struct buf extra = BUF_INIT(8192);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &extra);
    write_map(&w, sizeof rows / sizeof rows[0]);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_text(&w, slice_of_text(rows[i].name));
        write_u64(&w, rows[i].value);
    }
    if (msgpack_writer_status(&w) == STATUS_OK) {
        queue_answer(c, QUEUE_STATS, request, STATUS_OK, "", &extra);
    }
    buf_release(&extra);
}

/* --- LIST and SHOW --- */

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
        .last_reply = state->reply,
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

static enum status entry_write(struct lookup *l, const struct wanted *w)
{
    struct spool_loaded loaded;
    struct failure f = {0};
    char id[ID_TEXT_SIZE];
    id_format(w->id, id);
    bool quarantined = w->state == SCHEDULE_QUARANTINED;
    struct queue_entry e = {
        .id = slice_of_text(id),
        .state = slice_of_text(quarantined       ? "quarantined"
                               : w->attempts > 0 ? "deferred"
                                                 : "active"),
        .next_attempt_ms = w->next_ms,
        .attempts = w->attempts,
        .size = w->bytes,
    };
    enum status status = spool_load(l->spool, w->id, &loaded, &f);
    if (status == STATUS_NOT_FOUND) {
        return l->type == QUEUE_LIST
                   ? STATUS_OK
                   : failure_set(&l->failure, status, "%s", f.text); /* gone in the meantime */
    }
    if (status != STATUS_OK) {
        l->entry_count++;
        return queue_entry_encode(&e, &l->entries); /* damaged: what is known without reading it */
    }
    const struct spool_envelope *envelope = &loaded.envelope;
    size_t shown = l->type == QUEUE_LIST && envelope->recipient_count > RECIPIENTS_OF_LIST
                       ? RECIPIENTS_OF_LIST
                       : envelope->recipient_count;
    e.sender = envelope->sender;
    e.arrived_ms = envelope->arrived_ms;
    e.expires_ms = envelope->arrived_ms + w->expire_ms;
    e.size = spool_envelope_size(envelope);
    e.recipients = arena_alloc_array(&loaded.arena, envelope->recipient_count + 1, sizeof *e.recipients);
    e.recipient_count = shown;
    e.trace = l->type == QUEUE_SHOW ? envelope->trace : slice_of(NULL, 0);
    status = e.recipients == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (status == STATUS_OK) {
        recipients_fill(e.recipients, &loaded, quarantined);
    }
    if (status == STATUS_OK) {
        l->entry_count++;
        status = queue_entry_encode(&e, &l->entries);
    }
    spool_loaded_release(&loaded);
    return status;
}

static void look_up(uv_work_t *work)
{
    struct lookup *l = work->data;
    l->status = STATUS_OK;
    for (size_t i = 0; i < l->count && l->status == STATUS_OK; i++) {
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
    struct buf list = BUF_INIT(QUEUE_ANSWER_MAX);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &list);
    write_array(&w, l->status == STATUS_OK ? l->entry_count : 0);
    enum status status = msgpack_writer_status(&w);
    if (status == STATUS_OK && l->status == STATUS_OK) {
        status = buf_append_slice(&list, buf_slice(&l->entries));
    }
    status = l->status != STATUS_OK ? l->status : status;
    queue_answer(l->client, l->type, l->request, status, status == STATUS_OK ? "" : status_text(status),
                 &list);
    buf_release(&list);
}

static void after_look_up(uv_work_t *work, int error)
{
    struct lookup *l = work->data;
    struct queue_client *c = l->client;
    struct queue_server *s = c->server;
    if (error != 0) {
        l->status = STATUS_INTERNAL;
    }
    c->lookups--;
    s->lookups--;
    if (c->closing) {
        queue_client_free_perhaps(c);
    } else {
        lookup_answer(l);
    }
    buf_release(&l->entries);
    free(l->wanted);
    free(l);
    queue_server_closed_perhaps(s);
}

static void lookup_start(struct queue_client *c, enum queue_request type, uint64_t request,
                         struct schedule_entry **entries, size_t count)
{
    struct queue_server *s = c->server;
    struct settings_source *settings = s->options.settings;
    struct lookup *l = calloc(1, sizeof *l);
    struct wanted *wanted = calloc(count + 1, sizeof *wanted);
    uint64_t expire = 0;
    if (settings->begin != NULL && settings->begin(settings->context)) {
        expire = settings_expire(settings, slice_of(NULL, 0));
        settings->end(settings->context);
    }
    if (l == NULL || wanted == NULL) {
        free(l);
        free(wanted);
        queue_answer(c, type, request, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), NULL);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct schedule_entry *e = entries[i];
        wanted[i] = (struct wanted){.state = e->state,
                                    .next_ms = e->next_ms,
                                    .bytes = e->bytes,
                                    .attempts = e->attempts,
                                    .expire_ms = expire};
        memcpy(wanted[i].id, e->id, ID_SIZE);
    }
    l->client = c;
    l->spool = s->spool;
    l->type = type;
    l->request = request;
    l->wanted = wanted;
    l->count = count;
    l->entries = BUF_INIT(QUEUE_ANSWER_MAX - 4096);
    l->work.data = l;
    c->lookups++;
    s->lookups++;
    if (uv_queue_work(s->options.loop, &l->work, look_up, after_look_up) != 0) {
        after_look_up(&l->work, UV_ENOMEM);
    }
}

static void list(struct queue_client *c, uint64_t request, uint64_t limit, struct slice after)
{
    uint8_t after_id[ID_SIZE] = {0};
    if (after.len > 0 && !id_parse(after, after_id)) {
        queue_answer(c, QUEUE_LIST, request, STATUS_INVALID, "that is no message id", NULL);
        return;
    }
    struct schedule_entry *entries[QUEUE_LIST_MAX];
    size_t max = limit == 0 || limit > QUEUE_LIST_MAX ? QUEUE_LIST_MAX : (size_t)limit;
    size_t count = schedule_list(delivery_schedule(c->server->delivery), after_id, entries, max);
    lookup_start(c, QUEUE_LIST, request, entries, count);
}

static void show(struct queue_client *c, uint64_t request, struct slice text)
{
    uint8_t id[ID_SIZE];
    struct schedule_entry *e =
        id_parse(text, id) ? schedule_find(delivery_schedule(c->server->delivery), id) : NULL;
    if (e == NULL) {
        queue_answer(c, QUEUE_SHOW, request, STATUS_NOT_FOUND,
                     "there is no such message in this node's queue", NULL);
        return;
    }
    lookup_start(c, QUEUE_SHOW, request, &e, 1);
}

static void change(struct queue_client *c, enum queue_request type, uint64_t request, struct slice text)
{
    uint8_t id[ID_SIZE];
    uint64_t count = 0;
    struct failure f = {0};
    enum status status = STATUS_OK;
    bool all = type == QUEUE_RETRY && text.len == 0;
    if (!all && !id_parse(text, id)) {
        status = failure_set(&f, STATUS_NOT_FOUND, "there is no such message in this node's queue");
    } else if (type == QUEUE_RETRY) {
        status = delivery_retry(c->server->delivery, all ? NULL : id, &count, &f);
    } else if (type == QUEUE_RELEASE) {
        status = delivery_release(c->server->delivery, id, &f);
        count = status == STATUS_OK;
    } else {
        status = delivery_delete(c->server->delivery, id, &f);
        count = status == STATUS_OK;
    }
    answer_number(c, type, request, status, f.text, count);
}

/* --- requests --- */

static bool request_run(struct queue_client *c, struct slice frame)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, frame);
    size_t fields = read_array(&r, 9);
    uint64_t type = read_u64(&r), request = read_u64(&r), limit = 0;
    struct slice text = {0};
    if (type == QUEUE_MESSAGE_LIST || type == QUEUE_MESSAGE_SHOW) {
        return queue_messages_run(c, (enum queue_request)type, request, fields, &r);
    }
    if (type == QUEUE_LIST && fields == 4) {
        limit = read_u64(&r);
        text = read_text(&r, ID_TEXT_SIZE);
    } else if ((type == QUEUE_SHOW || type == QUEUE_RETRY || type == QUEUE_DELETE || type == QUEUE_RELEASE) &&
               fields == 3) {
        text = read_text(&r, ID_TEXT_SIZE);
    } else if (type != QUEUE_STATS || fields != 2) {
        return false;
    }
    if (msgpack_reader_status(&r, true) != STATUS_OK) {
        return false;
    }
    if (c->server->delivery == NULL) {
        /* STATS too: whoever asks must not take a service that refuses clients for one that is ready. */
        queue_answer(c, (enum queue_request)type, request, STATUS_UNAVAILABLE,
                     status_text(STATUS_UNAVAILABLE), NULL);
    } else if (type == QUEUE_STATS) {
        stats(c, request);
    } else if (type == QUEUE_LIST) {
        list(c, request, limit, text);
    } else if (type == QUEUE_SHOW) {
        show(c, request, text);
    } else {
        change(c, (enum queue_request)type, request, text);
    }
    return true;
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    struct queue_client *c = poll->data;
    if (status < 0) {
        client_drop(c);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        answers_send(c);
    }
    if (c->closing || (events & UV_READABLE) == 0) {
        return;
    }
    struct channel_frame *frame = &c->server->frame;
    enum status got = channel_receive(c->fd, frame);
    if (got == STATUS_BUSY) {
        return;
    }
    if (got != STATUS_OK || !request_run(c, buf_slice(&frame->payload))) {
        client_drop(c);
    }
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    struct queue_server *s = poll->data;
    (void)events;
    int fd = -1;
    if (status < 0 || channel_accept(s->options.listener, &fd) != STATUS_OK) {
        return;
    }
    struct queue_client *c = calloc(1, sizeof *c);
    if (c == NULL || uv_poll_init(s->options.loop, &c->poll, fd) != 0) {
        free(c);
        (void)close(fd);
        return;
    }
    c->server = s;
    c->fd = fd;
    c->poll.data = c;
    c->answers_tail = &c->answers;
    c->next = s->clients;
    s->clients = c;
    s->handles++;
    (void)uv_poll_start(&c->poll, UV_READABLE, on_client);
}

enum status queue_server_new(const struct queue_server_options *options, struct queue_server **out,
                             struct failure *f)
{
    struct queue_server *s = calloc(1, sizeof *s);
    if (s == NULL || uv_poll_init(options->loop, &s->accept, options->listener) != 0) {
        free(s);
        (void)close(options->listener);
        return failure_set(f, STATUS_NO_MEMORY, "cannot listen for the queue's users");
    }
    s->options = *options;
    s->accept.data = s;
    s->handles = 1;
    channel_frame_init(&s->frame);
    (void)uv_poll_start(&s->accept, UV_READABLE, on_accept);
    *out = s;
    return STATUS_OK;
}

void queue_server_open(struct queue_server *s, struct delivery *delivery, struct spool *spool,
                       struct message_log *log)
{
    s->delivery = delivery;
    s->spool = spool;
    s->log = log;
}

static void on_accept_closed(uv_handle_t *handle)
{
    struct queue_server *s = handle->data;
    s->handles--;
    queue_server_closed_perhaps(s);
}

void queue_server_close(struct queue_server *s, void (*closed)(void *context), void *context)
{
    s->closing = true;
    s->closed = closed;
    s->closed_context = context;
    while (s->clients != NULL) {
        client_drop(s->clients);
    }
    uv_close((uv_handle_t *)&s->accept, on_accept_closed);
}

void queue_server_free(struct queue_server *s)
{
    if (s != NULL) {
        (void)close(s->options.listener);
        channel_frame_release(&s->frame);
        free(s);
    }
}
