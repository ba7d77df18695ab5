/*
 * The dialogue of a server session. The stream gives bytes; one loop (on_data) takes lines or content out of
 * them as the state says, commands answer into the stream's output, and one flush sends the replies to all
 * that was pipelined.
 *
 *   CONNECTED -EHLO-> READY -MAIL-> MAIL -RCPT-> RCPT -DATA-> DATA -dot-> DECIDING -reply-> READY
 *                                          -BDAT-> CHUNK -its bytes-> CHUNKS -BDAT-> CHUNK ... LAST->
 * DECIDING
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

#define REPLIES_MAX      ((size_t)64 << 10) /* bytes that wait for the client to read them */
#define PROXY_TIMEOUT_MS ((uint64_t)10000)  /* a balancer's first bytes follow its SYN */

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
        if (admission_error(server_admission(s->server), &s->client) != REPLY_NONE) {
            s->rate_spent = true;
        }
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
    free(s->told);
    if (s->deciding != NULL) {
        s->deciding->context = NULL; /* the transaction ends without us */
    }
    server_session_ended(s->server, s);
    listener_policy_release(s->listener);
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

const struct server_services *session_services(const struct server_session *s)
{
    return server_services(s->server);
}

/* --- commands --- */

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
    if (c.verb == VERB_BDAT && reply != REPLY_BDAT_SYNTAX) {
        session_chunk_begin(s, &c, reply); /* what follows is a chunk in any case */
        return;
    }
    if (c.verb == VERB_BDAT) { /* where its chunk ends nobody knows */
        session_end(s, reply, true);
        return;
    }
    if (reply != REPLY_NONE) {
        session_reply(s, reply);
        return;
    }
    switch (c.verb) {
    case VERB_EHLO:
    case VERB_HELO:
    case VERB_LHLO:
        session_hello(s, &c);
        return;
    case VERB_MAIL:
        if (s->messages >= s->limits.max_messages) {
            session_end(s, REPLY_TOO_MANY_MESSAGES, true);
            return;
        }
        reply = session_mail(s, &c);
        break;
    case VERB_RCPT:
        reply = session_rcpt(s, &c);
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
        session_starttls(s, more);
        return;
    case VERB_XCLIENT:
        session_xclient(s, &c);
        return;
    case VERB_FOREIGN:
        session_end(s, REPLY_UNKNOWN_COMMAND, true);
        return;
    case VERB_BDAT: /* above */
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
    return state == SERVER_CONNECTED || state == SERVER_READY || state == SERVER_MAIL ||
           state == SERVER_RCPT || state == SERVER_CHUNKS;
}

/* A message is on its way that may still end well. */
static bool in_content(enum server_state state)
{
    return state == SERVER_DATA || state == SERVER_CHUNK || state == SERVER_CHUNKS ||
           state == SERVER_DECIDING;
}

/* Enough refused commands, of this session or of its client in a minute. */
static void end_of_patience(struct server_session *s)
{
    if (!reads_commands(s->state)) {
        return;
    }
    if (s->errors >= s->limits.max_errors) {
        session_end(s, REPLY_TOO_MANY_ERRORS, true);
    } else if (s->rate_spent) {
        session_end(s, REPLY_RATE_ERRORS, true);
    }
}

/* Replies that nobody reads: as long as so many wait no more commands are taken, and the time for the next
 * one runs. */
static void choke(struct server_session *s)
{
    if (stream_unsent(s->stream) <= REPLIES_MAX || !reads_commands(s->state)) {
        return;
    }
    stream_flush(s->stream);
    if (stream_unsent(s->stream) > REPLIES_MAX) {
        s->choked = true;
        session_services(s)->statistics->sessions_held++;
        stream_pause(s->stream);
    }
}

static void on_drained(void *context)
{
    struct server_session *s = context;
    if (s->choked) {
        s->choked = false;
        stream_resume(s->stream);
    }
}

static size_t on_data(void *context, struct slice bytes)
{
    struct server_session *s = context;
    size_t at = 0;
    while (at < bytes.len && !s->choked) {
        struct slice rest = slice_of(bytes.data + at, bytes.len - at);
        if (s->state == SERVER_DATA) {
            at += session_data(s, rest);
            continue;
        }
        if (s->state == SERVER_PROXY) {
            size_t header = session_proxy(s, rest);
            at += header;
            if (header == 0) {
                break;
            }
            continue;
        }
        if (s->state == SERVER_CHUNK) {
            at += session_chunk(s, rest);
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
        end_of_patience(s);
        choke(s);
        if (reads_commands(s->state)) {
            session_await_command(s);
        }
    }
    if (s->state == SERVER_CLOSING) {
        session_gone(s);
        return bytes.len;
    }
    if (s->stopping && !in_content(s->state)) {
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
    if (s->choked) {
        log_event(LOG_INFO, "a client does not read its replies: session ended", LOG_TEXT("client", s->peer));
        stream_close(s->stream);
        session_gone(s);
        return;
    }
    session_end(s,
                s->state == SERVER_DATA || s->state == SERVER_CHUNK ? REPLY_DATA_TIMEOUT
                : s->state == SERVER_PROXY                          ? REPLY_PROXY_EXPECTED
                                                                    : REPLY_COMMAND_TIMEOUT,
                false);
    session_gone(s);
}

static void on_secured(void *context)
{
    struct server_session *s = context;
    session_services(s)->statistics->tls_sessions_in++;
    /* RFC 3207 section 4.2: what was learned before the handshake is forgotten. */
    session_reset(s);
    s->helo[0] = '\0';
    s->esmtp = false;
    session_move(s, SERVER_CONNECTED);
    if (!s->greeted) {
        session_greet(s);
    }
    session_await_command(s);
}

static const struct stream_events events = {
    .data = on_data, .drained = on_drained, .ended = on_ended, .secured = on_secured, .timeout = on_timeout};

void session_greet(struct server_session *s)
{
    char greeting[320];
    (void)!snprintf(greeting, sizeof greeting, "%s %s Sealpost", session_services(s)->hostname,
                    s->lmtp ? "LMTP" : "ESMTP");
    (void)!reply_append_line(stream_output(s->stream), 220, "", slice_of_text(greeting), true);
    s->greeted = true;
    stream_flush(s->stream);
}

void session_begin(struct server_session *s)
{
    if (s->listener->tls == LISTENER_TLS_IMPLICIT) {
        s->state = SERVER_HANDSHAKE;
        session_handshake(s);
        return;
    }
    s->state = SERVER_CONNECTED;
    session_greet(s);
    session_await_command(s);
}

void server_session_start(struct server_session *s)
{
    if (s->state == SERVER_PROXY) {
        uint64_t limit = s->limits.command_timeout_ms;
        stream_set_timeout(s->stream, limit < PROXY_TIMEOUT_MS ? limit : PROXY_TIMEOUT_MS);
    } else {
        session_begin(s);
    }
    if (s->state == SERVER_CLOSING) {
        session_gone(s);
        return;
    }
    stream_resume(s->stream);
}

const struct stream_events *server_session_events(void)
{
    return &events;
}

void server_session_stop(struct server_session *s, bool force)
{
    s->stopping = true;
    if (!force && in_content(s->state)) {
        return;
    }
    session_end(s, REPLY_STOPPING, true);
    session_gone(s);
}
