/*
 * A connection to a next hop and its dialogue (RFC 5321 as a client). It tries the destination's hosts in
 * order, and each host's addresses, until one greets and answers EHLO; then it takes group after group from
 * its destination, with MAIL, all RCPT and DATA in one write where PIPELINING is offered (RFC 2920), sends
 * the body as fast as the other takes it, and stays a while for more.
 *
 * What can go wrong: before IDLE, the next address or host is tried, and in the end the destination is told.
 * A connection that has served before and breaks before anything was answered gives its group back once,
 * unharmed: the other side had closed it for idleness. After the dot a broken connection means "unknown":
 * deferred, which may deliver twice and never loses.
 */
#include "smtp/client_session.h"

#include "base/log.h"

#define OUTPUT_ENOUGH ((size_t)128 << 10)
#define CHUNK_MAX     ((size_t)64 << 10) /* bytes; one piece of a body (smtp/body.c) */

struct delivery *client_delivery(const struct client_session *c)
{
    return c->destination->delivery;
}

void client_move(struct client_session *c, enum client_state to)
{
    if (!client_state_may_move(c->state, to)) {
        log_event(LOG_ERROR, "a connection made an illegal move",
                  LOG_TEXT("from", client_state_name(c->state)), LOG_TEXT("to", client_state_name(to)));
    }
    log_event(LOG_DEBUG, "connection", LOG_TEXT("next_hop", c->next_hop),
              LOG_TEXT("from", client_state_name(c->state)), LOG_TEXT("to", client_state_name(to)));
    c->state = to;
}

struct client_session *client_session_next(struct client_session *c)
{
    return c->next;
}

/* --- the end --- */

void client_leave(struct client_session *c)
{
    struct destination *t = c->destination;
    for (struct client_session **at = &t->connections; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    t->connection_count--;
    t->connecting -= c->state < CLIENT_IDLE;
    t->delivery->options.statistics->connections_open--;
    client_move(c, CLIENT_CLOSED);
    client_tls_release(c);
    body_free(c->body);
    c->body = NULL;
    client_hosts_release(c);
    if (c->resolving) {
        (void)uv_cancel((uv_req_t *)&c->resolve);
        return; /* freed by its callback */
    }
    free(c);
}

/* Ends the connection; the destination goes on without it. */
static void end(struct client_session *c, bool polite)
{
    struct destination *t = c->destination;
    if (c->stream != NULL) {
        if (polite) {
            stream_write(c->stream, SLICE_LITERAL("QUIT\r\n"));
            stream_finish(c->stream, false);
        } else {
            stream_close(c->stream);
        }
        c->stream = NULL;
    }
    client_leave(c);
    destination_pump(t);
}

/* The group's fate is as its outcomes say; those without one get this. */
static void group_over(struct client_session *c, enum recipient_result rest, const char *enhanced,
                       struct slice text)
{
    struct group *g = c->group;
    c->group = NULL;
    body_free(c->body);
    c->body = NULL;
    group_settle(g, rest, enhanced, text, c->next_hop);
    group_finished(g);
}

static bool before_idle(const struct client_session *c)
{
    return c->state < CLIENT_IDLE;
}

/* The connection does not work (any more). */
void client_broken(struct client_session *c, const char *why)
{
    (void)!snprintf(c->error, sizeof c->error, "%s: %s", c->next_hop, why);
    if (before_idle(c)) {
        c->other_failure = c->other_failure || !c->lacks_requiretls;
        c->lacks_requiretls = false;
        bool without = c->state == CLIENT_HANDSHAKE && client_tls_failed(c, why);
        stream_close(c->stream);
        c->stream = NULL;
        if (without) {
            client_address_try(c);
            return;
        }
        c->address = c->address != NULL ? c->address->ai_next : NULL;
        client_address_try(c);
        return;
    }
    struct group *g = c->group;
    if (g != NULL && c->served && !c->any_reply && !g->moved && c->state == CLIENT_ENVELOPE) {
        c->group = NULL;
        g->moved = true;
        destination_requeue(c->destination, g);
    } else if (g != NULL) {
        group_over(c, RESULT_DEFERRED, "4.4.2", slice_of_text(c->error));
    }
    end(c, false);
}

/* --- the dialogue --- */

void client_say(struct client_session *c, const char *verb, const char *argument)
{
    (void)!buf_printf(stream_output(c->stream), "%s%s%s\r\n", verb, argument[0] != '\0' ? " " : "", argument);
}

void client_become_idle(struct client_session *c)
{
    struct destination *t = c->destination;
    if (c->state < CLIENT_IDLE) {
        t->connecting--;
        client_tls_release(c); /* the host is chosen */
        destination_worked(t);
        neighbours_host_worked(t->delivery->neighbours, c->next_hop);
        client_hosts_release(c);
    }
    client_move(c, CLIENT_IDLE);
    stream_set_timeout(c->stream, t->idle_timeout_ms > 0 ? t->idle_timeout_ms : 1);
    if (c->messages >= t->max_messages || (c->offers.max_mails > 0 && c->messages >= c->offers.max_mails) ||
        client_delivery(c)->stopping) {
        destination_worked(t); /* it did: the next connection need not wait */
        end(c, true);
        return;
    }
    destination_pump(t);
}

/* Nothing can end a chunk but its size: no dots are stuffed. */
static void say_chunk(struct client_session *c)
{
    struct buf *out = stream_output(c->stream);
    struct slice content = buf_slice(&c->body->piece);
    (void)!buf_printf(out, "BDAT %zu LAST\r\n", content.len);
    (void)!buf_append_slice(out, content);
    body_free(c->body);
    c->body = NULL;
}

/* The next command of the envelope; all of them where pipelining is offered. */
static void say_envelope(struct client_session *c)
{
    const struct group *g = c->group;
    size_t last = g->count + 1;
    size_t until = c->offers.pipelining ? last : c->said;
    for (; c->said <= until && c->said <= last; c->said++) {
        if (c->said == 0) {
            client_say_mail(c);
        } else if (c->said <= g->count) {
            client_say_rcpt(c, c->said - 1);
        } else if (c->chunk) {
            say_chunk(c);
        } else {
            client_say(c, "DATA", "");
        }
    }
    stream_set_timeout(c->stream, c->destination->timeout_ms);
    stream_flush(c->stream);
}

bool client_session_is_idle(const struct client_session *c)
{
    return c->state == CLIENT_IDLE && c->group == NULL && c->stream != NULL;
}

static void on_chunk_ready(void *context, enum status status)
{
    struct client_session *c = context;
    const struct group *g = c->group;
    uint64_t size = g->seven_bit >= 0 ? g->seven_bit_size : g->dispatch->envelope->variants[g->variant].size;
    c->chunk = status == STATUS_OK && c->body->piece.len == size;
    if (!c->chunk) { /* DATA reads it anew, and tells what is wrong with it */
        body_free(c->body);
        c->body = NULL;
    }
    say_envelope(c);
}

/* BDAT pays when the whole message can go along with its envelope: one round trip less than DATA, whose 354
 * must be waited for. A large one is not sent before somebody is accepted. */
static void chunk_prepare(struct client_session *c)
{
    const struct group *g = c->group;
    uint64_t size = g->seven_bit >= 0 ? g->seven_bit_size : g->dispatch->envelope->variants[g->variant].size;
    c->chunk = false;
    if (!c->destination->lmtp && c->offers.chunking && c->offers.pipelining && size > 0 &&
        size <= CHUNK_MAX) {
        c->body = body_new(c->group, on_chunk_ready, c);
    }
    if (c->body == NULL) {
        say_envelope(c);
        return;
    }
    enum status status = body_next(c->body);
    if (status != STATUS_BUSY) {
        on_chunk_ready(c, status);
    }
}

void client_session_take(struct client_session *c, struct group *g)
{
    const struct spool_variant *v = &g->dispatch->envelope->variants[g->variant];
    c->group = g;
    c->any_reply = false;
    if (c->offers.size && c->offers.max_size > 0 && v->size > c->offers.max_size) {
        char text[512];
        (void)!snprintf(text, sizeof text, "the message (%llu bytes) is larger than %s takes (%llu)",
                        (unsigned long long)v->size, c->next_hop, (unsigned long long)c->offers.max_size);
        group_over(c, RESULT_FAILED, "5.3.4", slice_of_text(text));
        destination_pump(c->destination);
        return;
    }
    if (!client_group_fits(c)) {
        group_over(c, RESULT_FAILED, "5.0.0", slice_of(NULL, 0));
        destination_pump(c->destination);
        return;
    }
    if (v->needs_8bit && !c->offers.eightbitmime && g->seven_bit < 0) {
        c->group = NULL;
        destination_convert(c->destination, g);
        destination_pump(c->destination);
        return;
    }
    client_move(c, CLIENT_ENVELOPE);
    c->said = 0;
    c->answered = 0;
    c->accepted = 0;
    c->dots = 0;
    c->empty_data = false;
    c->messages++;
    chunk_prepare(c);
}

static void on_body_ready(void *context, enum status status);

/* Send what is there, until the other side has enough for now or the body ends. */
static void body_go_on(struct client_session *c, enum status status)
{
    struct buf *out = stream_output(c->stream);
    for (;;) {
        if (status == STATUS_NOT_FOUND) {
            if (dot_stuff_end(&c->stuffing, out) != STATUS_OK) {
                client_broken(c, "out of memory");
                return;
            }
            body_free(c->body);
            c->body = NULL;
            client_move(c, CLIENT_DOT);
            stream_set_timeout(c->stream, 2 * c->destination->timeout_ms);
            stream_flush(c->stream);
            return;
        }
        if (status == STATUS_BUSY) {
            return;
        }
        if (status != STATUS_OK || dot_stuff(&c->stuffing, buf_slice(&c->body->piece), out) != STATUS_OK) {
            /* What has been sent is no whole message: only breaking off keeps the other from taking it as
             * one. */
            log_event(LOG_ERROR, "a body cannot be read", LOG_TEXT("next_hop", c->next_hop),
                      LOG_TEXT("error", status_text(status)));
            client_broken(c, "the message could not be read here");
            return;
        }
        if (out->len >= OUTPUT_ENOUGH) {
            stream_set_timeout(c->stream, c->destination->timeout_ms);
            stream_flush(c->stream);
            if (stream_unsent(c->stream) > 0) {
                return; /* on_drained goes on */
            }
        }
        status = body_next(c->body);
    }
}

static void on_body_ready(void *context, enum status status)
{
    body_go_on(context, status);
}

static void body_start(struct client_session *c)
{
    client_move(c, CLIENT_BODY);
    c->body = body_new(c->group, on_body_ready, c);
    if (c->body == NULL) {
        client_broken(c, "out of memory");
        return;
    }
    dot_stuffing_init(&c->stuffing);
    body_go_on(c, body_next(c->body));
}

static void on_drained(void *context)
{
    struct client_session *c = context;
    if (c->state == CLIENT_BODY && !c->body->reading) {
        body_go_on(c, body_next(c->body));
    }
}

static const char *enhanced_of(const struct remote_reply *r)
{
    return r->enhanced[0] != '\0' ? r->enhanced
           : r->code >= 500       ? "5.0.0"
           : r->code >= 400       ? "4.0.0"
                                  : "2.0.0";
}

/* The whole reply as one printable line. */
static struct slice reply_as_text(const struct remote_reply *r, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < r->lines.len && n + 1 < size; i++) {
        uint8_t b = r->lines.data[i];
        if (b == '\r') {
            continue;
        }
        if (b == '\n') {
            if (i + 1 == r->lines.len) {
                break;
            }
            b = ' ';
        }
        out[n++] = b >= 0x20 && b < 0x7f ? (char)b : '?';
    }
    return slice_of(out, n);
}

static enum recipient_result result_of(int code)
{
    return code < 300 ? RESULT_DELIVERED : code < 500 ? RESULT_DEFERRED : RESULT_FAILED;
}

static void transaction_over(struct client_session *c)
{
    c->served = true;
    group_over(c, RESULT_DEFERRED, "4.5.0", SLICE_LITERAL("the next hop gave no answer for this recipient"));
}

/* DATA was refused, or nobody is left to send to. */
static void envelope_over(struct client_session *c)
{
    transaction_over(c);
    client_move(c, CLIENT_RESET);
    client_say(c, "RSET", "");
    stream_flush(c->stream);
}

/* LMTP (RFC 2033 section 4.2): a reply for each recipient that was accepted, in their order. */
static void lmtp_dot_answered(struct client_session *c, const struct remote_reply *r, struct slice text)
{
    struct group *g = c->group;
    size_t i = 0;
    while (i < g->count && g->outcomes[i].result != RESULT_NONE) {
        i++;
    }
    if (i < g->count) {
        bool odd = r->code >= 300 && r->code < 400;
        outcome_set(g, i, odd ? RESULT_DEFERRED : result_of(r->code), enhanced_of(r), text, c->next_hop);
    }
    if (++c->dots >= c->accepted) {
        destination_progressed(c->destination);
        transaction_over(c);
        client_become_idle(c);
    }
}

static void dot_answered(struct client_session *c, const struct remote_reply *r, struct slice text)
{
    enum recipient_result result = result_of(r->code);
    if (c->destination->lmtp && !c->empty_data) {
        lmtp_dot_answered(c, r, text);
        return;
    }
    if (r->code < 300) {
        destination_progressed(c->destination);
    } else if (r->code < 500) {
        destination_pushed_back(c->destination);
    }
    if (!c->empty_data) {
        for (size_t i = 0; i < c->group->count; i++) {
            c->group->outcomes[i].tells = c->offers.dsn;
        }
        group_settle(c->group, r->code >= 300 && r->code < 400 ? RESULT_DEFERRED : result, enhanced_of(r),
                     text, c->next_hop);
    }
    if (c->chunk && r->code >= 300) { /* RFC 3030 section 2: only RSET makes the state known again */
        transaction_over(c);
        client_move(c, CLIENT_RESET);
        client_say(c, "RSET", "");
        stream_flush(c->stream);
        return;
    }
    transaction_over(c);
    client_become_idle(c);
}

static void envelope_answered(struct client_session *c, const struct remote_reply *r, struct slice text)
{
    struct group *g = c->group;
    size_t step = c->answered++;
    enum recipient_result result = result_of(r->code);
    if (step == 0) {
        if (r->code >= 400 && r->code < 500) {
            destination_pushed_back(c->destination);
        }
        if (r->code >= 300) {
            group_settle(g, result == RESULT_DELIVERED ? RESULT_DEFERRED : result, enhanced_of(r), text,
                         c->next_hop);
        }
    } else if (step <= g->count) {
        if (r->code < 300 && g->outcomes[step - 1].result == RESULT_NONE) {
            c->accepted++;
        } else if (r->code >= 300) {
            outcome_set(g, step - 1, r->code < 400 ? RESULT_DEFERRED : result, enhanced_of(r), text,
                        c->next_hop);
        }
    } else if (c->chunk) {
        c->empty_data = c->accepted == 0;
        client_move(c, CLIENT_DOT);
        dot_answered(c, r, text);
        return;
    } else if (r->code == 354) {
        if (c->accepted > 0) {
            body_start(c);
            return;
        }
        /* RFC 2920 section 3.1: the server may say 354 although it accepted nobody; nothing may then be sent
         * but the dot. */
        c->empty_data = true;
        client_move(c, CLIENT_DOT);
        stream_write(c->stream, SLICE_LITERAL(".\r\n"));
        stream_flush(c->stream);
        return;
    } else {
        if (c->accepted > 0) {
            group_settle(g, r->code < 400 ? RESULT_DEFERRED : result, enhanced_of(r), text, c->next_hop);
        }
        envelope_over(c);
        return;
    }
    if (c->said > c->answered) {
        return; /* pipelined: the next reply is on its way */
    }
    bool mail_refused = step == 0 && r->code >= 300;
    bool nobody = step == g->count && c->accepted == 0;
    if (mail_refused || nobody) {
        envelope_over(c);
        return;
    }
    say_envelope(c);
}

/* One reply, in whatever state. */
static void answered(struct client_session *c, const struct remote_reply *r)
{
    char line[512];
    struct slice text = reply_as_text(r, line, sizeof line);
    c->any_reply = true;
    if (r->code == 421 && c->state != CLIENT_ENVELOPE && c->state != CLIENT_DOT) {
        client_broken(c, "it closes the connection (421)");
        return;
    }
    switch (c->state) {
    case CLIENT_GREETING:
        if (r->code != 220) {
            char why[300];
            (void)!snprintf(why, sizeof why, "it greets with %.*s", (int)(text.len < 256 ? text.len : 256),
                            (const char *)text.data);
            client_broken(c, why);
            return;
        }
        client_move(c, CLIENT_HELLO);
        client_say_hello(c);
        break;
    case CLIENT_HELLO:
        client_hello_answered(c, r);
        break;
    case CLIENT_STARTTLS:
        client_starttls_answered(c, r);
        break;
    case CLIENT_ENVELOPE:
        envelope_answered(c, r, text);
        break;
    case CLIENT_DOT:
        dot_answered(c, r, text);
        break;
    case CLIENT_RESET:
        client_become_idle(c);
        break;
    case CLIENT_BODY: /* it will not take the rest: RFC 5321 has no such reply but 421 and its kin */
    case CLIENT_IDLE:
    case CLIENT_RESOLVING:
    case CLIENT_CONNECTING:
    case CLIENT_HANDSHAKE:
    case CLIENT_CLOSED:
    case CLIENT_STATE_COUNT:
        client_broken(c, "it speaks when it was not asked");
        break;
    }
}

/* The session may end within answered(): `alive` tells. */
static size_t on_data(void *context, struct slice bytes)
{
    struct client_session *c = context;
    struct stream *stream = c->stream;
    size_t at = 0;
    while (at < bytes.len) {
        struct remote_reply reply;
        size_t used = 0;
        enum reply_result result = reply_parse(slice_of(bytes.data + at, bytes.len - at), &reply, &used);
        if (result == REPLY_MORE) {
            return at;
        }
        if (result == REPLY_MALFORMED) {
            client_broken(c, "it does not speak SMTP");
            return bytes.len;
        }
        at += used;
        bool handshake_next = c->state == CLIENT_STARTTLS && reply.code == 220;
        answered(c, &reply);
        if (!stream_is_owned(stream)) {
            return bytes.len;
        }
        if (handshake_next) {
            return bytes.len; /* what follows in plain text is nobody's */
        }
    }
    return at;
}

static void on_ended(void *context, enum status status, const char *text)
{
    struct client_session *c = context;
    (void)status;
    client_broken(c, text);
}

static void on_timeout(void *context)
{
    struct client_session *c = context;
    if (c->state == CLIENT_IDLE) {
        end(c, true);
    } else {
        client_broken(c, "it does not answer in time");
    }
}

static const struct stream_events events = {.data = on_data,
                                            .ended = on_ended,
                                            .drained = on_drained,
                                            .secured = client_secured,
                                            .timeout = on_timeout,
                                            .connected = client_connected};

const struct stream_events *client_stream_events(void)
{
    return &events;
}

void client_session_stop(struct client_session *c)
{
    if (c->group != NULL) {
        c->group->dispatch->aborted = true;
        group_over(c, RESULT_DEFERRED, "4.3.2", SLICE_LITERAL("this node is stopping"));
    }
    if (c->stream != NULL) {
        bool polite = c->state == CLIENT_IDLE;
        if (polite) {
            stream_write(c->stream, SLICE_LITERAL("QUIT\r\n"));
            stream_finish(c->stream, false);
        } else {
            stream_close(c->stream);
        }
        c->stream = NULL;
    }
    client_leave(c);
}
