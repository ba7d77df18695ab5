/* MAIL and RCPT (smtp/server_session.h): from a command to the message's envelope. */
#include "smtp/server_session.h"

#include "store/records.h"

#define DEDUP_MAX 1000 /* recipients that are compared with a new one */

enum smtp_reply session_mail(struct server_session *s, const struct smtp_command *c)
{
    const struct server_services *service = session_services(s);
    if (service->stale(service->context)) {
        return REPLY_STALE;
    }
    if (s->limits.require_tls && stream_ssl(s->stream) == NULL) {
        return REPLY_TLS_FIRST;
    }
    if (c->has_size && c->size > s->limits.max_size) {
        return REPLY_TOO_LARGE;
    }
    if (service->budget->used + (c->has_size ? c->size : 0) >= service->budget->max) {
        return REPLY_MEMORY_FULL;
    }
    enum smtp_reply refusal =
        admission_message(server_admission(s->server), &s->client, c->path, slice_of(NULL, 0));
    if (refusal != REPLY_NONE) {
        return refusal;
    }
    struct message *m = message_new(service->budget, clock_wall_ms());
    if (m == NULL) {
        return REPLY_MEMORY_FULL;
    }
    struct spool_envelope *e = &m->envelope;
    e->owner_node = service->node_id;
    e->owner_epoch = 1;
    if (!arena_copy(&m->arena, c->path, &e->sender) ||
        !arena_copy(&m->arena, slice_of_text(s->peer), &e->client_ip) ||
        !arena_copy(&m->arena, slice_of_text(s->helo), &e->helo)) {
        message_free(m);
        return REPLY_MEMORY_FULL;
    }
    s->message = m;
    s->recipient_room = 0;
    s->body = c->body;
    session_move(s, SERVER_MAIL);
    return REPLY_SENDER_OK;
}

/* RFC 5321 section 4.5.1: <postmaster> alone is a mailbox of this host. */
static bool recipient_text(struct server_session *s, const struct smtp_command *c, struct slice *out)
{
    if (c->domain.len > 0) {
        return arena_copy(&s->message->arena, c->path, out);
    }
    char *text = arena_printf(&s->message->arena, "postmaster@%s", session_services(s)->hostname);
    *out = slice_of_text(text);
    return text != NULL;
}

/* This RCPT is answered with 250: LMTP owes it a reply of its own after the dot, also when it names somebody
 * for the second time. */
static enum smtp_reply receipt(struct server_session *s, size_t position)
{
    if (!s->lmtp) {
        return REPLY_RECIPIENT_OK;
    }
    if (s->receipt_count >= s->limits.max_recipients) {
        return REPLY_TOO_MANY_RECIPIENTS;
    }
    if (s->receipt_count == s->receipt_room) {
        size_t room = s->receipt_room == 0 ? 8 : 2 * s->receipt_room;
        size_t *grown = realloc(s->receipts, room * sizeof *grown);
        if (grown == NULL) {
            return REPLY_TOO_MANY_RECIPIENTS;
        }
        s->receipts = grown;
        s->receipt_room = room;
    }
    s->receipts[s->receipt_count++] = position;
    return REPLY_RECIPIENT_OK;
}

enum smtp_reply session_rcpt(struct server_session *s, const struct smtp_command *c)
{
    struct spool_envelope *e = &s->message->envelope;
    if (!s->may_relay) {
        session_services(s)->statistics->relay_denied++;
        return REPLY_RELAY_DENIED;
    }
    if (e->recipient_count >= s->limits.max_recipients) {
        return REPLY_TOO_MANY_RECIPIENTS;
    }
    struct slice address;
    if (!recipient_text(s, c, &address)) {
        return REPLY_MEMORY_FULL;
    }
    if (address.len > ADDRESS_MAX) {
        return REPLY_BAD_RECIPIENT;
    }
    for (size_t i = 0; i < e->recipient_count && e->recipient_count <= DEDUP_MAX; i++) {
        if (slice_equal(e->recipients[i], address)) {
            return receipt(s, i); /* once is enough */
        }
    }
    enum smtp_reply refusal =
        admission_recipient(server_admission(s->server), &s->client, e->sender, slice_of(NULL, 0));
    if (refusal != REPLY_NONE) {
        return refusal;
    }
    if (e->recipient_count == s->recipient_room) {
        size_t room = s->recipient_room == 0 ? 8 : 2 * s->recipient_room;
        struct slice *grown = arena_alloc_array(&s->message->arena, room, sizeof *grown);
        if (grown == NULL) {
            return REPLY_TOO_MANY_RECIPIENTS;
        }
        if (e->recipient_count > 0) {
            memcpy(grown, e->recipients, e->recipient_count * sizeof *grown);
        }
        e->recipients = grown;
        s->recipient_room = room;
    }
    enum smtp_reply reply = receipt(s, e->recipient_count);
    if (reply != REPLY_RECIPIENT_OK) {
        return reply;
    }
    e->recipients[e->recipient_count++] = address;
    if (s->state == SERVER_MAIL) {
        session_move(s, SERVER_RCPT);
    }
    return reply;
}
