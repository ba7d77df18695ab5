/* MAIL and RCPT (smtp/server_session.h): from a command to the message's envelope. */
#include "smtp/server_session.h"

#include "mail/idn.h"
#include "mail/mime_text.h"
#include "store/records.h"

#define DEDUP_MAX 1000 /* recipients that are compared with a new one */

/* Can what MAIL asks for be promised? */
static enum smtp_reply promises_check(const struct server_session *s, const struct smtp_command *c)
{
    if (c->utf8 && (c->promises & SPOOL_SMTPUTF8) == 0) {
        return REPLY_SENDER_NOT_ASCII;
    }
    if ((c->promises & SPOOL_REQUIRETLS) != 0 && stream_ssl(s->stream) == NULL) {
        return REPLY_REQUIRETLS_NEEDS_TLS;
    }
    return REPLY_NONE;
}

/* The path as the envelope keeps it: with a domain in ASCII, by which settings, certificates and DNS know it.
 */
static bool path_copy(struct arena *a, const struct smtp_command *c, struct slice *out)
{
    char ascii[ADDRESS_MAX + 1];
    if (!c->utf8) {
        return arena_copy(a, c->path, out);
    }
    return idn_address_to_ascii(c->path, ascii) && arena_copy(a, slice_of_text(ascii), out);
}

/* What smtp/relay_policy.h asks of a client. */
static struct relay_client client_of(const struct server_session *s)
{
    return (struct relay_client){.role = s->listener->role,
                                 .auth = s->listener->auth,
                                 .in_networks = s->in_networks,
                                 .certificate_verified =
                                     s->certificate_verified && s->listener->client_trust.text.len > 0,
                                 .account = s->account};
}

static struct slice account_name(const struct server_session *s)
{
    return s->account != NULL ? s->account->name : slice_of(NULL, 0);
}

static enum smtp_reply may_send_to(struct server_session *s, const struct smtp_command *c)
{
    const struct server_services *service = session_services(s);
    struct relay_client client = client_of(s);
    bool internal = false;
    if (client.role == LISTENER_IS_INBOUND && c->domain.len > 0 &&
        settings_internal(service->settings, c->domain, &internal) != STATUS_OK) {
        return REPLY_INTERNAL;
    }
    enum smtp_reply reply = relay_policy_recipient(&client, c->path, internal);
    service->statistics->relay_denied += reply != REPLY_NONE;
    return reply;
}

enum smtp_reply session_mail(struct server_session *s, const struct smtp_command *c)
{
    const struct server_services *service = session_services(s);
    if (service->stale(service->context)) {
        return REPLY_STALE;
    }
    if (s->listener->tls == LISTENER_TLS_REQUIRED && stream_ssl(s->stream) == NULL) {
        return REPLY_TLS_FIRST;
    }
    s->in_networks = listener_policy_admits(s->listener, slice_of_text(s->peer));
    struct relay_client client = client_of(s);
    enum smtp_reply refusal = relay_policy_sender(&client, c->path);
    if (refusal != REPLY_NONE) {
        service->statistics->relay_denied++;
        return refusal;
    }
    if (c->has_size && c->size > s->limits.max_size) {
        return REPLY_TOO_LARGE;
    }
    if (!service->space(service->context, c->has_size ? c->size : 0)) {
        return REPLY_SPACE;
    }
    if (service->budget->used + (c->has_size ? c->size : 0) >= service->budget->max) {
        return REPLY_MEMORY_FULL;
    }
    refusal = promises_check(s, c);
    if (refusal != REPLY_NONE) {
        return refusal;
    }
    refusal = admission_message(server_admission(s->server), &s->client, c->path, account_name(s));
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
    e->promises = c->promises;
    if (!path_copy(&m->arena, c, &e->sender) || !arena_copy(&m->arena, c->envid, &e->envid) ||
        !arena_copy(&m->arena, slice_of_text(s->peer), &e->client_ip) ||
        !arena_copy(&m->arena, slice_of_text(s->helo), &e->helo)) {
        message_free(m);
        return REPLY_MEMORY_FULL;
    }
    s->message = m;
    s->recipient_room = 0;
    session_move(s, SERVER_MAIL);
    return REPLY_SENDER_OK;
}

/* RFC 5321 section 4.5.1: <postmaster> alone is a mailbox of this host. */
static bool recipient_text(struct server_session *s, const struct smtp_command *c, struct slice *out)
{
    if (c->domain.len > 0) {
        return path_copy(&s->message->arena, c, out);
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

/* Room for one recipient more, with what they may wish for. */
static bool recipient_room(struct server_session *s)
{
    struct spool_envelope *e = &s->message->envelope;
    struct arena *a = &s->message->arena;
    if (e->recipient_count < s->recipient_room) {
        return true;
    }
    size_t room = s->recipient_room == 0 ? 8 : 2 * s->recipient_room;
    struct slice *recipients = arena_alloc_array(a, room, sizeof *recipients);
    struct spool_wish *wishes = arena_alloc_array(a, room, sizeof *wishes);
    if (recipients == NULL || wishes == NULL) {
        return false;
    }
    if (e->recipient_count > 0) {
        memcpy(recipients, e->recipients, e->recipient_count * sizeof *recipients);
        memcpy(wishes, e->wishes, e->recipient_count * sizeof *wishes);
    }
    e->recipients = recipients;
    e->wishes = wishes;
    s->recipient_room = room;
    return true;
}

/* Who is named twice gets the message once, and the sender hears of all that either RCPT asked for. No NOTIFY
 * stands for failures and delays (RFC 3461 section 4.1). */
static bool wish_merge(struct arena *a, struct spool_wish *wish, const struct spool_wish *other)
{
    if (wish->notify != other->notify) {
        uint64_t one = wish->notify != 0 ? wish->notify : (uint64_t)(NOTIFY_FAILURE | NOTIFY_DELAY);
        uint64_t two = other->notify != 0 ? other->notify : (uint64_t)(NOTIFY_FAILURE | NOTIFY_DELAY);
        wish->notify = (one | two) & ~(uint64_t)NOTIFY_NEVER;
    }
    return wish->orcpt.len > 0 || arena_copy(a, other->orcpt, &wish->orcpt);
}

enum smtp_reply session_rcpt(struct server_session *s, const struct smtp_command *c)
{
    struct spool_envelope *e = &s->message->envelope;
    enum smtp_reply refusal = may_send_to(s, c);
    if (refusal != REPLY_NONE) {
        return refusal;
    }
    if (e->recipient_count >= s->limits.max_recipients) {
        return REPLY_TOO_MANY_RECIPIENTS;
    }
    bool utf8 = (e->promises & SPOOL_SMTPUTF8) != 0;
    if (c->utf8 && !utf8) {
        return REPLY_NOT_ASCII;
    }
    if (!utf8 && mime_has_8bit(c->wish.orcpt)) {
        return REPLY_BAD_ORCPT;
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
            return wish_merge(&s->message->arena, &e->wishes[i], &c->wish)
                       ? receipt(s, i) /* once is enough */
                       : REPLY_MEMORY_FULL;
        }
    }
    refusal = admission_recipient(server_admission(s->server), &s->client, e->sender, account_name(s));
    if (refusal != REPLY_NONE) {
        return refusal;
    }
    struct spool_wish wish = {.notify = c->wish.notify};
    if (!recipient_room(s) || !arena_copy(&s->message->arena, c->wish.orcpt, &wish.orcpt)) {
        return REPLY_TOO_MANY_RECIPIENTS;
    }
    enum smtp_reply reply = receipt(s, e->recipient_count);
    if (reply != REPLY_RECIPIENT_OK) {
        return reply;
    }
    e->wishes[e->recipient_count] = wish;
    e->recipients[e->recipient_count++] = address;
    if (s->state == SERVER_MAIL) {
        session_move(s, SERVER_RCPT);
    }
    return reply;
}
