/*
 * Delivery status notifications (RFC 3464): to the sender, from the null sender, about recipients that failed
 * for good, or whom policy refused while others were served. The report (mail/dsn.h) quotes the header of the
 * message as it was to leave, never a byte of its body, and goes the way of every message: job, spool,
 * delivery. Only when it is durable is the failure noted, so a crash in between makes the attempt again and
 * loses nothing.
 */
#include "smtp/delivery_internal.h"

#include "base/channel.h"
#include "base/hex.h"
#include "base/log.h"
#include "mail/dsn.h"

#define REPORT_MAX ((size_t)8 << 20)

struct bounce {
    struct dispatch *dispatch;
    struct group about; /* for reading the variant's header */
    struct body *body;
    const bool *failed;
    size_t count;
};

static void bounce_end(struct bounce *b, enum status status, const char *as)
{
    struct dispatch *x = b->dispatch;
    body_free(b->body);
    free(b);
    dispatch_bounced(x, status, as);
}

static void on_spooled(struct transaction *t)
{
    struct bounce *b = t->context;
    enum status status = t->status;
    if (status == STATUS_OK) {
        b->dispatch->delivery->options.statistics->bounced++;
    }
    char id[ID_TEXT_SIZE];
    memcpy(id, t->id_text, sizeof id);
    transaction_free(t);
    bounce_end(b, status, id);
}

/* Up to the empty line that ends the header; all of it if there is none: then there is no body either, or the
 * header is longer than a piece, and its last line may be cut. */
static struct slice header_of(struct slice piece)
{
    for (size_t i = 0; i + 4 <= piece.len; i++) {
        if (memcmp(piece.data + i, "\r\n\r\n", 4) == 0) {
            return slice_of(piece.data, i + 2);
        }
    }
    return piece;
}

/* Is any of them to get what a worker decrypted? Then neither its header (the subject may have been
 * protected) nor what the next server said of it (which may quote it) goes to the sender: whoever captures a
 * message and sends it again is a sender too. */
static bool any_decrypted(const struct bounce *b)
{
    const struct spool_envelope *e = b->dispatch->envelope;
    for (size_t v = 0; v < e->variant_count; v++) {
        for (size_t i = 0; i < e->variants[v].recipient_count; i++) {
            if (b->failed[e->variants[v].recipients[i]] &&
                slice_equal(e->variants[v].protection, SLICE_LITERAL("decrypted"))) {
                return true;
            }
        }
    }
    return false;
}

/* The code alone, of "550 5.7.1 Your text ... looks like spam". */
static struct slice code_of(struct slice reply)
{
    size_t len = 0;
    while (len < reply.len && len < 3 && reply.data[len] >= '0' && reply.data[len] <= '9') {
        len++;
    }
    return len == 3 ? slice_of(reply.data, 3) : SLICE_LITERAL("refused");
}

static enum status report_write(struct bounce *b, struct message *m, struct slice header, struct buf *out)
{
    struct dispatch *x = b->dispatch;
    const struct delivery_options *o = &x->delivery->options;
    struct dsn_recipient *recipients = arena_alloc_array(&x->arena, b->count, sizeof *recipients);
    char *message_id = arena_printf(&x->arena, "<%s@%s>", m->id_text, o->hostname);
    uint8_t random[12];
    char boundary[2 * sizeof random + 1];
    random_bytes(random, sizeof random);
    hex_format(slice_of(random, sizeof random), boundary);
    if (recipients == NULL || message_id == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t n = 0;
    for (size_t i = 0; i < x->state.recipient_count && n < b->count; i++) {
        const struct spool_recipient *r = &x->state.recipients[i];
        if (b->failed[i]) {
            recipients[n++] =
                (struct dsn_recipient){.address = x->envelope->recipients[i],
                                       .status = r->enhanced.len > 0 ? r->enhanced : SLICE_LITERAL("5.0.0"),
                                       .diagnostic = any_decrypted(b) ? code_of(r->reply) : r->reply,
                                       .remote_mta = r->next_hop};
        }
    }
    struct dsn_input in = {.reporting_mta = slice_of_text(o->hostname),
                           .to = x->envelope->sender,
                           .message_id = slice_of_text(message_id),
                           .boundary = slice_of_text(boundary),
                           .now_ms = m->envelope.arrived_ms,
                           .arrival_ms = x->envelope->arrived_ms,
                           .recipients = recipients,
                           .recipient_count = n,
                           .header = header};
    return dsn_compose(&in, out);
}

/* Policy kept the message from these: its other fields may be what must not go unprotected. */
static bool any_refused(const struct bounce *b)
{
    const struct spool_envelope *e = b->dispatch->envelope;
    for (size_t i = 0; i < e->refusal_count; i++) {
        if (b->failed[e->refusals[i].recipient]) {
            return true;
        }
    }
    return false;
}

static void header_came(void *context, enum status status)
{
    struct bounce *b = context;
    struct dispatch *x = b->dispatch;
    const struct delivery_options *o = &x->delivery->options;
    struct slice header = status == STATUS_OK ? header_of(buf_slice(&b->body->piece)) : slice_of(NULL, 0);
    struct message *m = message_new(o->budget, clock_wall_ms());
    struct buf report = BUF_INIT(REPORT_MAX);
    struct buf safe = BUF_INIT(REPORT_MAX);
    enum status made = STATUS_NO_MEMORY;
    if (m == NULL) {
        goto err;
    }
    if (any_decrypted(b)) {
        header = slice_of(NULL, 0);
    } else if (any_refused(b)) {
        made = dsn_safe_header(header, &safe);
        if (made != STATUS_OK) {
            goto err;
        }
        header = buf_slice(&safe);
        made = STATUS_NO_MEMORY;
    }
    m->envelope.owner_node = o->node_id;
    m->envelope.owner_epoch = 1;
    m->envelope.flags = SPOOL_NOTIFICATION;
    m->envelope.recipients = arena_alloc_array(&m->arena, 1, sizeof(struct slice));
    if (m->envelope.recipients == NULL ||
        !arena_copy(&m->arena, x->envelope->sender, &m->envelope.recipients[0])) {
        goto err;
    }
    m->envelope.recipient_count = 1;
    made = report_write(b, m, header, &report);
    if (made == STATUS_OK) {
        struct failure f = {0};
        made = memory_file_of("notification", buf_slice(&report), &m->body, &f);
    }
    if (made != STATUS_OK) {
        m->body = -1;
        goto err;
    }
    struct transaction *t = transaction_new(o->transactions, m);
    m = NULL;
    if (t == NULL) {
        made = STATUS_NO_MEMORY;
        goto err;
    }
    t->size = report.len;
    t->listener = SLICE_LITERAL("local");
    t->flags = JOB_NULL_SENDER_MADE_HERE;
    t->cb = on_spooled;
    t->context = b;
    buf_release(&report);
    buf_release(&safe);
    transaction_run(t);
    return;
err:
    message_free(m);
    buf_release(&report);
    buf_release(&safe);
    bounce_end(b, made, "");
}

void bounce_start(struct dispatch *x, const bool *failed, size_t count)
{
    struct bounce *b = calloc(1, sizeof *b);
    if (b == NULL) {
        dispatch_bounced(x, STATUS_NO_MEMORY, "");
        return;
    }
    size_t first = 0;
    while (!failed[first]) {
        first++;
    }
    size_t variant = 0;
    for (size_t v = 0; v < x->envelope->variant_count; v++) {
        for (size_t i = 0; i < x->envelope->variants[v].recipient_count; i++) {
            if (x->envelope->variants[v].recipients[i] == first) {
                variant = v;
            }
        }
    }
    b->dispatch = x;
    b->failed = failed;
    b->count = count;
    b->about = (struct group){.dispatch = x, .variant = variant, .seven_bit = -1};
    b->body = body_new(&b->about, header_came, b);
    if (b->body == NULL) {
        bounce_end(b, STATUS_NO_MEMORY, "");
        return;
    }
    enum status status = body_next(b->body);
    if (status != STATUS_BUSY) {
        header_came(b, status);
    }
}
