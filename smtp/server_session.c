/*
 * The dialogue of a server session. The stream gives bytes; one loop (on_data) takes lines or content out of
 * them as the state says, commands answer into the stream's output, and one flush sends the replies to all
 * that was pipelined.
 *
 *   CONNECTED -EHLO-> READY -MAIL-> MAIL -RCPT-> RCPT -DATA-> DATA -dot-> DECIDING -reply-> READY
 *
 * LMTP is the same with LHLO for EHLO, and with one reply for each recipient after the dot.
 *
 * While it is DECIDING nothing is taken from the stream. On the loop's thread. It decides nothing about a
 * message: the worker does.
 */
#include "smtp/server_session.h"

#include "base/log.h"
#include "smtp/line_reader.h"
#include "store/records.h"

#define DEDUP_MAX 1000 /* recipients that are compared with a new one */

void session_move(struct server_session *s, enum server_state to)
{
    if (!server_state_may_move(s->state, to)) {
        log_event(LOG_ERROR, "a session made an illegal move", LOG_TEXT("from", server_state_name(s->state)),
                  LOG_TEXT("to", server_state_name(to)));
    }
    log_event(LOG_DEBUG, "session", LOG_TEXT("client", s->peer),
              LOG_TEXT("from", server_state_name(s->state)), LOG_TEXT("to", server_state_name(to)));
    s->state = to;
}

void session_reply(struct server_session *s, enum smtp_reply reply)
{
    (void)!reply_append(stream_output(s->stream), reply);
    if (reply_code(reply) >= 500) {
        s->errors++;
    }
}

void session_reply_content(struct server_session *s, enum smtp_reply reply)
{
    session_reply(s, reply);
    for (size_t i = 1; i < s->receipt_count; i++) {
        (void)!reply_append(stream_output(s->stream), reply);
    }
}

void session_reset(struct server_session *s)
{
    free(s->receipts);
    s->receipts = NULL;
    s->receipt_count = s->receipt_room = 0;
    message_free(s->message);
    s->message = NULL;
    s->recipient_room = 0;
    buf_release(&s->content);
    s->written = 0;
    s->memory_full = false;
}

static void session_gone(struct server_session *s)
{
    session_reset(s);
    if (s->deciding != NULL) {
        s->deciding->context = NULL; /* the transaction ends without us */
    }
    server_session_ended(s->server, s);
    free(s);
}

void session_end(struct server_session *s, enum smtp_reply reply, bool linger)
{
    session_move(s, SERVER_CLOSING);
    session_reply(s, reply);
    stream_finish(s->stream, linger);
}

void session_await_command(struct server_session *s)
{
    stream_set_timeout(s->stream, s->limits.command_timeout_ms);
}

static const struct server_services *services(const struct server_session *s)
{
    return server_services(s->server);
}

/* --- commands --- */

static void hello(struct server_session *s, const struct smtp_command *c)
{
    session_reset(s);
    memcpy(s->helo, c->argument.data, c->argument.len);
    s->helo[c->argument.len] = '\0';
    s->esmtp = c->verb != VERB_HELO;
    struct buf *out = stream_output(s->stream);
    struct slice name = slice_of_text(services(s)->hostname);
    session_move(s, SERVER_READY);
    if (!s->esmtp) {
        (void)!reply_append_line(out, 250, "", name, true);
        return;
    }
    char size[40];
    (void)!snprintf(size, sizeof size, "SIZE %llu", (unsigned long long)s->limits.max_size);
    (void)!reply_append_line(out, 250, "", name, false);
    (void)!reply_append_line(out, 250, "", SLICE_LITERAL("PIPELINING"), false);
    (void)!reply_append_line(out, 250, "", slice_of_text(size), false);
    if (services(s)->tls != NULL && s->limits.offer_tls && stream_ssl(s->stream) == NULL) {
        (void)!reply_append_line(out, 250, "", SLICE_LITERAL("STARTTLS"), false);
    }
    (void)!reply_append_line(out, 250, "", SLICE_LITERAL("8BITMIME"), false);
    (void)!reply_append_line(out, 250, "", SLICE_LITERAL("ENHANCEDSTATUSCODES"), false);
    (void)!reply_append_line(out, 250, "", SLICE_LITERAL("HELP"), true);
}

static enum smtp_reply mail(struct server_session *s, const struct smtp_command *c)
{
    const struct server_services *service = services(s);
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
    char *text = arena_printf(&s->message->arena, "postmaster@%s", services(s)->hostname);
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

static enum smtp_reply rcpt(struct server_session *s, const struct smtp_command *c)
{
    struct spool_envelope *e = &s->message->envelope;
    if (!s->may_relay) {
        services(s)->statistics->relay_denied++;
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

/* `more`: bytes came behind the command, before the handshake. They could have been put there by somebody in
 * between (the plaintext injection of CVE-2011-0411): nobody who means well sends any. */
static void starttls(struct server_session *s, bool more)
{
    SSL_CTX *tls = s->limits.offer_tls ? services(s)->tls : NULL;
    if (more) {
        session_end(s, REPLY_TLS_PIPELINED, true);
        return;
    }
    if (tls == NULL) {
        session_reply(s, REPLY_TLS_UNAVAILABLE);
        return;
    }
    if (stream_ssl(s->stream) != NULL) {
        session_reply(s, REPLY_TLS_ALREADY);
        return;
    }
    session_reply(s, REPLY_STARTTLS_READY);
    stream_flush(s->stream);
    session_move(s, SERVER_HANDSHAKE);
    if (stream_start_tls(s->stream, tls, true, NULL) != STATUS_OK) {
        session_end(s, REPLY_INTERNAL, false);
    }
}

static void run_command(struct server_session *s, struct slice line, bool more)
{
    struct smtp_command c;
    enum smtp_reply reply = command_parse(line, &c);
    if ((c.verb == VERB_LHLO) != s->lmtp &&
        (c.verb == VERB_LHLO || c.verb == VERB_EHLO || c.verb == VERB_HELO)) {
        reply = REPLY_UNKNOWN_COMMAND; /* RFC 2033 section 4.1: the other protocol's hello */
    }
    if (reply == REPLY_NONE) {
        reply = server_state_allows(s->state, c.verb);
        reply = reply == REPLY_NO_RECIPIENTS && s->lmtp ? REPLY_NO_RECIPIENTS_YET : reply;
    }
    if (reply != REPLY_NONE) {
        session_reply(s, reply);
        if (s->errors >= s->limits.max_errors) {
            session_end(s, REPLY_TOO_MANY_ERRORS, true);
        }
        return;
    }
    switch (c.verb) {
    case VERB_EHLO:
    case VERB_HELO:
    case VERB_LHLO:
        hello(s, &c);
        return;
    case VERB_MAIL:
        if (s->messages >= s->limits.max_messages) {
            session_end(s, REPLY_TOO_MANY_MESSAGES, true);
            return;
        }
        reply = mail(s, &c);
        break;
    case VERB_RCPT:
        reply = rcpt(s, &c);
        break;
    case VERB_DATA:
        if (session_data_begin(s)) {
            session_move(s, SERVER_DATA);
            reply = REPLY_SEND_DATA;
        } else {
            session_reset(s);
            session_move(s, SERVER_READY);
            reply = REPLY_MEMORY_FULL;
        }
        break;
    case VERB_RSET:
        session_reset(s);
        if (s->state != SERVER_CONNECTED) {
            session_move(s, SERVER_READY);
        }
        reply = REPLY_OK;
        break;
    case VERB_NOOP:
        reply = REPLY_OK;
        break;
    case VERB_VRFY:
        reply = REPLY_VRFY_NO;
        break;
    case VERB_HELP:
        reply = REPLY_HELP_TEXT;
        break;
    case VERB_QUIT:
        session_end(s, REPLY_BYE, false);
        return;
    case VERB_STARTTLS:
        starttls(s, more);
        return;
    case VERB_UNIMPLEMENTED:
    case VERB_UNKNOWN:
    case VERB_COUNT:
        reply = REPLY_UNKNOWN_COMMAND;
        break;
    }
    session_reply(s, reply);
}

/* --- the stream --- */

static bool reads_commands(enum server_state state)
{
    return state == SERVER_CONNECTED || state == SERVER_READY || state == SERVER_MAIL || state == SERVER_RCPT;
}

static size_t on_data(void *context, struct slice bytes)
{
    struct server_session *s = context;
    size_t at = 0;
    while (at < bytes.len) {
        struct slice rest = slice_of(bytes.data + at, bytes.len - at);
        if (s->state == SERVER_DATA) {
            at += session_data(s, rest);
            continue;
        }
        if (!reads_commands(s->state)) {
            break;
        }
        struct slice line;
        size_t used = 0;
        enum line_result result = line_read(rest, (size_t)s->limits.max_line, &line, &used);
        if (result == LINE_MORE) {
            break;
        }
        if (result == LINE_BAD) {
            session_end(s, REPLY_BAD_LINE_END, true);
            break;
        }
        if (result == LINE_TOO_LONG) {
            session_end(s, REPLY_LINE_TOO_LONG, true);
            break;
        }
        at += used;
        run_command(s, line, at < bytes.len);
        if (reads_commands(s->state)) {
            session_await_command(s);
        }
    }
    if (s->state == SERVER_CLOSING) {
        session_gone(s);
        return bytes.len;
    }
    if (s->stopping && s->state != SERVER_DATA && s->state != SERVER_DECIDING) {
        session_end(s, REPLY_STOPPING, true);
        session_gone(s);
        return bytes.len;
    }
    stream_flush(s->stream);
    return at;
}

static void on_ended(void *context, enum status status, const char *text)
{
    struct server_session *s = context;
    if (status != STATUS_OK) {
        log_event(LOG_INFO, "session broken off", LOG_TEXT("client", s->peer), LOG_TEXT("error", text));
    }
    stream_close(s->stream);
    session_gone(s);
}

static void on_timeout(void *context)
{
    struct server_session *s = context;
    if (s->state == SERVER_DECIDING) {
        return; /* the job's own limits end it */
    }
    session_end(s, s->state == SERVER_DATA ? REPLY_DATA_TIMEOUT : REPLY_COMMAND_TIMEOUT, false);
    session_gone(s);
}

static void on_secured(void *context)
{
    struct server_session *s = context;
    services(s)->statistics->tls_sessions_in++;
    /* RFC 3207 section 4.2: what was learned before the handshake is forgotten. */
    session_reset(s);
    s->helo[0] = '\0';
    s->esmtp = false;
    session_move(s, SERVER_CONNECTED);
    session_await_command(s);
}

static const struct stream_events events = {
    .data = on_data, .ended = on_ended, .secured = on_secured, .timeout = on_timeout};

void server_session_start(struct server_session *s)
{
    s->state = SERVER_CONNECTED;
    char greeting[320];
    (void)!snprintf(greeting, sizeof greeting, "%s %s Sealpost", services(s)->hostname,
                    s->lmtp ? "LMTP" : "ESMTP");
    (void)!reply_append_line(stream_output(s->stream), 220, "", slice_of_text(greeting), true);
    stream_flush(s->stream);
    session_await_command(s);
    stream_resume(s->stream);
}

const struct stream_events *server_session_events(void)
{
    return &events;
}

void server_session_stop(struct server_session *s, bool force)
{
    s->stopping = true;
    if (!force && (s->state == SERVER_DATA || s->state == SERVER_DECIDING)) {
        return;
    }
    session_end(s, REPLY_STOPPING, true);
    session_gone(s);
}
