/*
 * A notice to the sender of how a message was protected, or that it is held (encrypt.notify_sender; the
 * worker decides who gets one: mail/flow_notice.c). It is made before the first attempt at delivery, from the
 * envelope alone: nothing of the message is in it. It goes the way of every message, from the null sender:
 * job, spool, delivery.
 *
 * There is one for a message, also after a crash: its id, and so its Message-ID, follows from the message's,
 * and that it was made is written to the message's state before it can be delivered. If a crash comes in
 * between, the notice is found in the queue by its id.
 */
#include "smtp/delivery_internal.h"

#include "base/channel.h"
#include "mail/dsn.h"

#define NOTICE_MAX ((size_t)8 << 20)

static void notice_id(const uint8_t of[ID_SIZE], uint8_t id[ID_SIZE])
{
    memcpy(id, of, ID_SIZE);
    for (size_t i = ID_SIZE / 2; i < ID_SIZE; i++) {
        id[i] ^= 0xff; /* of the random bytes */
    }
}

bool notice_is_due(const struct dispatch *x)
{
    const struct spool_envelope *e = x->envelope;
    return (e->flags & SPOOL_NOTICE) != 0 && (e->flags & SPOOL_NOTIFICATION) == 0 && e->sender.len > 0 &&
           !x->state.noticed && x->entry->order != ORDER_DELETE;
}

static const char *words_of(struct slice protection)
{
    static const struct {
        const char *name, *words;
    } table[] = {
        {"smime-signed", "signed with S/MIME, not encrypted"},
        {"smime-encrypted", "encrypted with S/MIME, not signed"},
        {"smime-signed-encrypted", "signed and encrypted with S/MIME"},
        {"decrypted", "of our own: decrypted here"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (slice_equal(protection, slice_of_text(table[i].name))) {
            return table[i].words;
        }
    }
    return "as you sent it: neither signed nor encrypted here";
}

/* What there is to say of each recipient. */
static void people_fill(const struct spool_envelope *e, struct dsn_recipient *people)
{
    bool held = (e->flags & SPOOL_UNPROCESSED) != 0;
    for (size_t v = 0; v < e->variant_count; v++) {
        const struct spool_variant *variant = &e->variants[v];
        for (size_t i = 0; i < variant->recipient_count; i++) {
            people[variant->recipients[i]].diagnostic =
                held                  ? variant->quarantine_reason
                : variant->quarantine ? SLICE_LITERAL("held until an administrator releases it")
                                      : slice_of_text(words_of(variant->protection));
        }
    }
    for (size_t i = 0; i < e->refusal_count; i++) {
        people[e->refusals[i].recipient].diagnostic = e->refusals[i].reason;
    }
    for (size_t i = 0; i < e->recipient_count; i++) {
        people[i].address = e->recipients[i];
    }
}

static void on_spooled(struct transaction *t)
{
    struct dispatch *x = t->context;
    enum status status = t->status;
    char id[ID_TEXT_SIZE];
    memcpy(id, t->id_text, sizeof id);
    transaction_free(t);
    dispatch_noticed(x, status, id);
}

static enum status notice_write(struct dispatch *x, struct message *m, struct buf *out)
{
    const struct delivery_options *o = &x->delivery->options;
    const struct spool_envelope *e = x->envelope;
    char id[ID_TEXT_SIZE];
    id_format(e->id, id);
    struct dsn_recipient *people = arena_alloc_array(&x->arena, e->recipient_count + 1, sizeof *people);
    if (people == NULL) {
        return STATUS_NO_MEMORY;
    }
    people_fill(e, people);
    struct dsn_input in = {.reporting_mta = slice_of_text(o->hostname),
                           .to = e->sender,
                           .message_id = slice_of_text(m->id_text),
                           .now_ms = m->envelope.arrived_ms,
                           .arrival_ms = e->arrived_ms,
                           .recipients = people,
                           .recipient_count = e->recipient_count};
    return dsn_notice_compose(&in, (e->flags & SPOOL_UNPROCESSED) != 0, slice_of_text(id), out);
}

/* The message that it becomes; NULL: no memory. */
static struct message *notice_new(struct dispatch *x, const uint8_t id[ID_SIZE])
{
    const struct delivery_options *o = &x->delivery->options;
    struct message *m = message_new(o->budget, clock_wall_ms());
    if (m == NULL) {
        return NULL;
    }
    memcpy(m->envelope.id, id, ID_SIZE);
    id_format(m->envelope.id, m->id_text);
    m->envelope.owner_node = o->node_id;
    m->envelope.owner_epoch = 1;
    m->envelope.flags = SPOOL_NOTIFICATION;
    m->envelope.recipients = arena_alloc_array(&m->arena, 1, sizeof(struct slice));
    if (m->envelope.recipients == NULL ||
        !arena_copy(&m->arena, x->envelope->sender, &m->envelope.recipients[0])) {
        message_free(m);
        return NULL;
    }
    m->envelope.recipient_count = 1;
    return m;
}

void notice_start(struct dispatch *x)
{
    uint8_t id[ID_SIZE];
    char text[ID_TEXT_SIZE];
    struct buf content = BUF_INIT(NOTICE_MAX);
    struct failure f = {.status = STATUS_OK};
    notice_id(x->envelope->id, id);
    id_format(id, text);
    if (schedule_find(&x->delivery->schedule, id) != NULL) { /* made before a crash */
        dispatch_noticed(x, STATUS_OK, text);
        return;
    }
    struct message *m = notice_new(x, id);
    enum status status = m != NULL ? notice_write(x, m, &content) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        status = memory_file_of("notice", buf_slice(&content), &m->body, &f);
        m->body = status == STATUS_OK ? m->body : -1;
    }
    size_t size = content.len;
    buf_release(&content);
    struct transaction *t = NULL;
    if (status == STATUS_OK) {
        t = transaction_new(x->delivery->options.transactions, m);
        m = NULL;
        status = t != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    }
    if (status != STATUS_OK) {
        message_free(m);
        dispatch_noticed(x, status, "");
        return;
    }
    t->size = size;
    t->listener = SLICE_LITERAL("local");
    t->flags = JOB_NULL_SENDER_MADE_HERE;
    t->cb = on_spooled;
    t->context = x;
    transaction_run(t);
}
