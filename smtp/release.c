/*
 * Out of quarantine. A message that policy has put aside leaves as it was decided: its state is read, marked
 * as released and written, and it is due at once. A crash in between leaves it where it was.
 *
 * A message that killed two workers, or that must be encrypted and could not be (encrypt.on_failure), was
 * spooled as it came, and nothing of it may leave before policy has been applied. When an administrator asks
 * for another attempt it goes the whole way again, by the settings, rules and certificates of now and as if
 * it had just come by the way that it came: job, spool (under a new id), delivery. Only when the new one is
 * durable is the old one deleted; if it is refused, or kills workers again, nothing is lost and nothing gets
 * out.
 */
#include "smtp/delivery_internal.h"

#include "base/channel.h"
#include "base/log.h"

#include <unistd.h>

#define PIECE_MAX ((size_t)256 << 10)

struct release {
    uv_work_t work;
    struct delivery *delivery;
    struct schedule_entry *entry;
    struct spool_loaded loaded;
    bool is_loaded;
    struct failure failure;
    enum status status;
    int fd;
};

static void release_end(struct release *r, enum status status, const char *text)
{
    struct delivery *d = r->delivery;
    char id[ID_TEXT_SIZE];
    id_format(r->entry->id, id);
    if (status == STATUS_OK) {
        spool_delete(d->options.spool, r->entry->id);
        schedule_remove(&d->schedule, r->entry);
    } else if (r->entry->order != ORDER_DELETE || !order_carried_out(d, r->entry, NULL)) {
        log_event(LOG_WARN, "a message stays in quarantine", LOG_TEXT("id", id), LOG_TEXT("error", text));
        schedule_quarantine(&d->schedule, r->entry);
    }
    if (r->fd >= 0) {
        (void)close(r->fd);
    }
    if (r->is_loaded) {
        spool_loaded_release(&r->loaded);
    }
    free(r);
    d->conversions--;
    delivery_stopped_perhaps(d);
}

static void on_decided(struct transaction *t)
{
    struct release *r = t->context;
    enum status status = t->status;
    char id[ID_TEXT_SIZE];
    id_format(r->entry->id, id);
    if (status == STATUS_OK) {
        log_event(LOG_INFO, "message released from quarantine", LOG_TEXT("id", id),
                  LOG_TEXT("as", t->id_text));
        delivery_log(r->delivery, r->entry->id, MESSAGE_EVENT_RELEASED, slice_of_text(t->id_text));
        /* Under this id nothing more comes of it. */
        delivery_log(r->delivery, r->entry->id, MESSAGE_EVENT_DELETED,
                     SLICE_LITERAL("it goes on under another id"));
    }
    char why[FAILURE_TEXT_MAX];
    struct slice reply = buf_slice(&t->reply);
    (void)!snprintf(why, sizeof why, "%.*s", (int)slice_find_byte(reply, '\r'), (const char *)reply.data);
    transaction_free(t);
    if (status != STATUS_OK) {
        delivery_log(r->delivery, r->entry->id, MESSAGE_EVENT_QUARANTINED, slice_of_text(why));
    }
    release_end(r, status, why);
}

/* A copy of the envelope for the new message; the worker fills in the variants. */
static bool envelope_copy(const struct spool_envelope *from, struct message *m)
{
    struct spool_envelope *to = &m->envelope;
    to->owner_node = from->owner_node;
    to->owner_epoch = from->owner_epoch;
    to->flags = from->flags & ~(uint64_t)(SPOOL_UNPROCESSED | SPOOL_CAME_BY_TLS | SPOOL_CAME_BY_LMTP |
                                          SPOOL_NOTICE); /* the worker says anew */
    to->recipients = arena_alloc_array(&m->arena, from->recipient_count + 1, sizeof(struct slice));
    if (to->recipients == NULL || !arena_copy(&m->arena, from->sender, &to->sender) ||
        !arena_copy(&m->arena, from->client_ip, &to->client_ip) ||
        !arena_copy(&m->arena, from->helo, &to->helo)) {
        return false;
    }
    for (size_t i = 0; i < from->recipient_count; i++) {
        if (!arena_copy(&m->arena, from->recipients[i], &to->recipients[i])) {
            return false;
        }
    }
    to->recipient_count = from->recipient_count;
    return spool_envelope_copy_promises(from, &m->arena, to);
}

/* Its state as it was, but released: dispatch.c holds nothing back then. */
static void let_go(struct release *r)
{
    struct delivery *d = r->delivery;
    struct schedule_entry *e = r->entry;
    char id[ID_TEXT_SIZE];
    id_format(e->id, id);
    if (!order_carried_out(d, e, &r->loaded.state)) {
        struct spool_state *state = &r->loaded.state;
        state->released = true;
        state->state = SPOOL_DEFERRED;
        state->next_attempt_ms = 0;
        spool_put_state(d->options.spool, e->id, state);
        log_event(LOG_INFO, "message released from quarantine", LOG_TEXT("id", id), LOG_TEXT("as", id));
        e->released = true;
        delivery_log(d, e->id, MESSAGE_EVENT_RELEASED, slice_of_text(id));
        schedule_wait(&d->schedule, e, 0);
    }
    spool_loaded_release(&r->loaded);
    free(r);
    d->conversions--;
    delivery_look(d);
    delivery_stopped_perhaps(d);
}

static void run_again(struct release *r)
{
    struct delivery *d = r->delivery;
    const struct spool_envelope *e = &r->loaded.envelope;
    struct message *m = message_new(d->options.budget, clock_wall_ms());
    if (m == NULL || !envelope_copy(e, m)) {
        message_free(m);
        release_end(r, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY));
        return;
    }
    m->body = r->fd;
    r->fd = -1;
    struct transaction *t = transaction_new(d->options.transactions, m);
    if (t == NULL) {
        release_end(r, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY));
        return;
    }
    t->size = e->variants[0].size;
    t->needs_8bit = e->variants[0].needs_8bit;
    bool notification = (e->flags & SPOOL_NOTIFICATION) != 0;
    t->listener = notification                           ? SLICE_LITERAL("local")
                  : (e->flags & SPOOL_CAME_BY_LMTP) != 0 ? SLICE_LITERAL("lmtp")
                                                         : SLICE_LITERAL("smtp");
    t->flags = JOB_RELEASED | (e->variants[0].needs_8bit ? (uint64_t)JOB_8BITMIME : 0u) |
               ((e->flags & SPOOL_CAME_BY_TLS) != 0 ? (uint64_t)JOB_TLS : 0u) |
               (notification ? (uint64_t)JOB_NULL_SENDER_MADE_HERE : 0u);
    t->cb = on_decided;
    t->context = r;
    transaction_run(t);
}

static void gather(uv_work_t *work)
{
    struct release *r = work->data;
    r->status = spool_load(r->delivery->options.spool, r->entry->id, &r->loaded, &r->failure);
    r->is_loaded = r->status == STATUS_OK;
    if (!r->is_loaded) {
        return;
    }
    if ((r->loaded.envelope.flags & SPOOL_UNPROCESSED) == 0) {
        return; /* let_go() */
    }
    if (r->loaded.envelope.variant_count != 1) {
        r->status = failure_set(&r->failure, STATUS_CONFLICT, "it is not as it came");
        return;
    }
    struct buf piece = BUF_INIT(PIECE_MAX);
    piece.wipe = true;
    r->status = memory_file_create("quarantine", &r->fd, &r->failure);
    for (uint64_t chunk = 0; r->status == STATUS_OK; chunk++) {
        buf_reset(&piece);
        r->status = spool_read_chunk(&r->loaded, 0, chunk, &piece, &r->failure);
        if (r->status == STATUS_OK && write(r->fd, piece.data, piece.len) != (ssize_t)piece.len) {
            r->status = STATUS_NO_MEMORY;
        }
    }
    if (r->status == STATUS_NOT_FOUND) { /* that was the last one */
        r->status = memory_file_seal(r->fd);
    }
    buf_release(&piece);
}

static void after_gather(uv_work_t *work, int error)
{
    struct release *r = work->data;
    if (error != 0 || r->delivery->stopping) {
        release_end(r, STATUS_UNAVAILABLE, status_text(STATUS_UNAVAILABLE));
    } else if (r->status != STATUS_OK) {
        release_end(r, r->status, r->failure.text[0] != '\0' ? r->failure.text : status_text(r->status));
    } else if ((r->loaded.envelope.flags & SPOOL_UNPROCESSED) == 0) {
        let_go(r);
    } else {
        run_again(r);
    }
}

enum status release_start(struct delivery *d, struct schedule_entry *e)
{
    struct release *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return STATUS_NO_MEMORY;
    }
    r->delivery = d;
    r->entry = e;
    r->fd = -1;
    r->work.data = r;
    if (uv_queue_work(d->options.loop, &r->work, gather, after_gather) != 0) {
        free(r);
        return STATUS_NO_MEMORY;
    }
    schedule_activate(&d->schedule, e);
    d->conversions++;
    return STATUS_OK;
}
