/*
 * Delivery status notifications (RFC 3464): to the sender, from the null sender, about recipients that failed
 * for good, whom policy refused while others were served, who still wait, or who were passed on (who is to be
 * told of what: smtp/report.c). The report (mail/dsn.h) quotes the header of the message as it was to leave;
 * all of it only about a failure, when the sender asked for it (RET=FULL), bounce.content allows it, and
 * nothing of it was decrypted here, refused by policy or sent with REQUIRETLS (RFC 8689 section 5). It goes
 * the way of every message: job, spool, delivery.
 */
#include "smtp/delivery_internal.h"

#include "base/channel.h"
#include "base/hex.h"
#include "mail/dsn.h"
#include "mail/mime_text.h"
#include "smtp/command_parser.h"

#define REPORT_MAX ((size_t)8 << 20)
#define WHOLE_MAX  ((size_t)1 << 20) /* bytes of a message that is given back as a whole */

struct bounce {
    struct dispatch *dispatch;
    struct group about; /* for reading the variant's header */
    struct body *body;
    enum dsn_action action;
    const bool *chosen;
    size_t count;
    bool full;        /* the whole message is wanted */
    struct buf whole; /* what has come of it */
};

static void bounce_end(struct bounce *b, enum status status, const char *as)
{
    struct dispatch *x = b->dispatch;
    body_free(b->body);
    buf_release(&b->whole);
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
            if (b->chosen[e->variants[v].recipients[i]] &&
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

/* xtext decoded, in the dispatch's arena; "" for what is none (RFC 6533's UTF-8 stays as it is). */
static struct slice plain_of(struct dispatch *x, struct slice xtext)
{
    struct buf text = BUF_INIT(SPOOL_ORCPT_MAX);
    struct slice out = {0};
    (void)!arena_copy(&x->arena, dsn_xtext_decode(xtext, &text) ? buf_slice(&text) : xtext, &out);
    buf_release(&text);
    return out;
}

/* When each of them will be given up, for Will-Retry-Until. */
static void retry_until_fill(struct dispatch *x, const bool *chosen, struct dsn_recipient *recipients)
{
    struct settings_source *s = x->delivery->options.settings;
    if (!s->begin(s->context)) {
        return;
    }
    for (size_t i = 0, n = 0; i < x->state.recipient_count; i++) {
        if (chosen[i]) {
            recipients[n++].retry_until_ms =
                x->envelope->arrived_ms + settings_expire(s, x->envelope->recipients[i]);
        }
    }
    s->end(s->context);
}

/* The address's type stays outside of the encoding. */
static struct slice original_recipient(struct dispatch *x, size_t position)
{
    struct slice orcpt = spool_envelope_wish(x->envelope, position).orcpt;
    size_t type = slice_find_byte(orcpt, ';');
    if (type == orcpt.len) {
        return slice_of(NULL, 0);
    }
    struct slice address = plain_of(x, slice_of(orcpt.data + type + 1, orcpt.len - type - 1));
    char *text =
        arena_printf(&x->arena, "%.*s;%.*s", (int)type, (const char *)orcpt.data, SLICE_ARGS(address));
    return text != NULL ? slice_of_text(text) : slice_of(NULL, 0);
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
        if (b->chosen[i]) {
            recipients[n++] =
                (struct dsn_recipient){.address = x->envelope->recipients[i],
                                       .orcpt = original_recipient(x, i),
                                       .status = r->enhanced,
                                       .diagnostic = any_decrypted(b) ? code_of(r->reply) : r->reply,
                                       .last_attempt_ms = r->next_hop.len > 0 ? m->envelope.arrived_ms : 0,
                                       .remote_mta = r->next_hop};
        }
    }
    if (b->action == DSN_DELAYED) {
        retry_until_fill(x, b->chosen, recipients);
    }
    struct dsn_input in = {.action = b->action,
                           .envid = plain_of(x, x->envelope->envid),
                           .utf8 = (x->envelope->promises & SPOOL_SMTPUTF8) != 0,
                           .whole = b->full ? buf_slice(&b->whole) : slice_of(NULL, 0),
                           .reporting_mta = slice_of_text(o->hostname),
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
        if (b->chosen[e->refusals[i].recipient]) {
            return true;
        }
    }
    return false;
}

/* `piece`: the message from its start, perhaps not all of it. */
static void report_send(struct bounce *b, struct slice piece)
{
    struct dispatch *x = b->dispatch;
    const struct delivery_options *o = &x->delivery->options;
    struct slice header = header_of(piece);
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
    /* RFC 8689 section 5. An address beyond ASCII goes only with SMTPUTF8. */
    m->envelope.promises = (x->envelope->promises & SPOOL_REQUIRETLS) |
                           (mime_has_8bit(x->envelope->sender) ? (uint64_t)SPOOL_SMTPUTF8 : 0u);
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
    t->needs_8bit = mime_has_8bit(buf_slice(&report));
    t->listener = SLICE_LITERAL("local");
    t->flags = JOB_NULL_SENDER_MADE_HERE | (t->needs_8bit ? (uint64_t)JOB_8BITMIME : 0u);
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

/* Bytes of the message, until there are enough. */
static void body_came(void *context, enum status status)
{
    struct bounce *b = context;
    while (status == STATUS_OK && b->full) {
        if (buf_append_slice(&b->whole, buf_slice(&b->body->piece)) != STATUS_OK) {
            b->full = false; /* too large: its start has the header */
            break;
        }
        status = body_next(b->body);
    }
    if (status == STATUS_BUSY) {
        return; /* called again */
    }
    if (b->full && status != STATUS_NOT_FOUND) {
        b->full = false;
    }
    report_send(b, b->whole.len > 0      ? buf_slice(&b->whole)
                   : status == STATUS_OK ? buf_slice(&b->body->piece)
                                         : slice_of(NULL, 0));
}

static bool full_is_wanted(const struct bounce *b)
{
    const struct spool_envelope *e = b->dispatch->envelope;
    struct settings_source *s = b->dispatch->delivery->options.settings;
    if (b->action != DSN_FAILED || (e->promises & SPOOL_RET_FULL) == 0 ||
        (e->promises & SPOOL_REQUIRETLS) != 0 || any_decrypted(b) || any_refused(b) ||
        !s->begin(s->context)) {
        return false;
    }
    bool full = settings_bounce_full(s, e->sender);
    s->end(s->context);
    return full;
}

/* The variant of the first of them: all that the sender needs is its header. */
static size_t variant_of(const struct dispatch *x, const bool *chosen)
{
    size_t first = 0, variant = 0;
    while (!chosen[first]) {
        first++;
    }
    for (size_t v = 0; v < x->envelope->variant_count; v++) {
        for (size_t i = 0; i < x->envelope->variants[v].recipient_count; i++) {
            if (x->envelope->variants[v].recipients[i] == first) {
                variant = v;
            }
        }
    }
    return variant;
}

void bounce_start(struct dispatch *x, enum dsn_action action, const bool *chosen, size_t count)
{
    struct bounce *b = calloc(1, sizeof *b);
    if (b == NULL) {
        dispatch_bounced(x, STATUS_NO_MEMORY, "");
        return;
    }
    b->dispatch = x;
    b->action = action;
    b->chosen = chosen;
    b->count = count;
    b->whole = BUF_INIT(WHOLE_MAX);
    b->about = (struct group){.dispatch = x, .variant = variant_of(x, chosen), .seven_bit = -1};
    b->full = full_is_wanted(b);
    b->body = body_new(&b->about, body_came, b);
    if (b->body == NULL) {
        bounce_end(b, STATUS_NO_MEMORY, "");
        return;
    }
    enum status status = body_next(b->body);
    if (status != STATUS_BUSY) {
        body_came(b, status);
    }
}
