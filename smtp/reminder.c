/* See smtp/reminder.h. */
#include "smtp/reminder.h"

#include "base/channel.h"
#include "smtp/transaction.h"

#include <string.h>

struct reminder {
    reminder_sent_cb cb;
    void *context;
};

/* Was it taken before a crash of this process? Then it is in the spool, or was delivered meanwhile. */
static bool is_known(const struct reminder_services *s, const uint8_t id[ID_SIZE])
{
    return delivery_has(s->delivery, id) || message_log_took(s->log, id);
}

/* The text of a reply's first line: "550 5.7.1 a@b: TEXT". */
static struct slice first_line(const struct buf *reply)
{
    struct slice line = buf_slice(reply);
    line.len = slice_find_byte(line, '\r');
    return line;
}

static void on_spooled(struct transaction *t)
{
    struct reminder *n = t->context;
    n->cb(n->context, t->status, first_line(&t->reply));
    transaction_free(t);
    free(n);
}

static enum status message_fill(const struct reminder_services *s, struct message *m, struct slice to,
                                struct slice text)
{
    struct failure f = {0};
    m->envelope.owner_node = s->node_id;
    m->envelope.owner_epoch = 1;
    m->envelope.flags = SPOOL_NOTIFICATION;
    m->envelope.promises = s->promises;
    m->envelope.recipients = arena_alloc_array(&m->arena, 1, sizeof(struct slice));
    if (m->envelope.recipients == NULL || !arena_copy(&m->arena, to, &m->envelope.recipients[0])) {
        return STATUS_NO_MEMORY;
    }
    m->envelope.recipient_count = 1;
    enum status status = memory_file_of("reminder", text, &m->body, &f);
    if (status != STATUS_OK) {
        m->body = -1;
    }
    return status;
}

void reminder_send(const struct reminder_services *s, const uint8_t id[ID_SIZE], struct slice to,
                   struct slice text, reminder_sent_cb cb, void *context)
{
    if (is_known(s, id)) {
        cb(context, STATUS_OK, (struct slice){0});
        return;
    }
    struct reminder *n = calloc(1, sizeof *n);
    struct message *m = message_new(s->budget, clock_wall_ms());
    enum status status = n == NULL || m == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    struct transaction *t = NULL;
    if (status == STATUS_OK) {
        message_name(m, id);
        status = message_fill(s, m, to, text);
    }
    if (status == STATUS_OK) {
        t = transaction_new(s->transactions, m); /* takes it, also on failure */
        m = NULL;
        status = t == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    if (status != STATUS_OK) {
        message_free(m);
        free(n);
        cb(context, status, slice_of_text(status_text(status)));
        return;
    }
    *n = (struct reminder){.cb = cb, .context = context};
    t->size = text.len;
    t->listener = SLICE_LITERAL("local");
    t->flags = JOB_NULL_SENDER_MADE_HERE;
    t->cb = on_spooled;
    t->context = n;
    transaction_run(t);
}
