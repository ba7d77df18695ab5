/* EHLO, HELO, LHLO and STARTTLS (smtp/server_session.h): what is offered, and to whom. */
#include "smtp/server_session.h"

#include "smtp/xclient_command.h"

#define HANDSHAKE_TIMEOUT_MS ((uint64_t)30000)

static void offer(struct server_session *s, const char *extension)
{
    (void)!reply_append_line(stream_output(s->stream), 250, "", slice_of_text(extension), false);
}

void session_hello(struct server_session *s, const struct smtp_command *c)
{
    session_reset(s);
    const char *told = session_told_helo(s);
    struct slice helo = told != NULL ? slice_of_text(told) : c->argument;
    memcpy(s->helo, helo.data, helo.len);
    s->helo[helo.len] = '\0';
    s->esmtp = c->verb != VERB_HELO;
    struct buf *out = stream_output(s->stream);
    struct slice name = slice_of_text(session_services(s)->hostname);
    session_move(s, SERVER_READY);
    if (!s->esmtp) {
        (void)!reply_append_line(out, 250, "", name, true);
        return;
    }
    char size[40], limits[80];
    SSL *ssl = stream_ssl(s->stream);
    (void)!snprintf(size, sizeof size, "SIZE %llu", (unsigned long long)s->limits.max_size);
    /* RFC 9422; a limit on the recipients' domains is not ours. */
    (void)!snprintf(limits, sizeof limits, "LIMITS MAILMAX=%llu RCPTMAX=%llu",
                    (unsigned long long)s->limits.max_messages, (unsigned long long)s->limits.max_recipients);
    (void)!reply_append_line(out, 250, "", name, false);
    offer(s, "PIPELINING");
    offer(s, size);
    if (s->listener->tls_context != NULL && ssl == NULL) {
        offer(s, "STARTTLS");
    }
    if (ssl != NULL) { /* RFC 8689 section 2: only there */
        offer(s, "REQUIRETLS");
    }
    offer(s, "8BITMIME");
    offer(s, "SMTPUTF8");
    offer(s, "DSN");
    offer(s, "CHUNKING");
    offer(s, limits);
    offer(s, "ENHANCEDSTATUSCODES");
    if (session_offers_xclient(s)) {
        offer(s, XCLIENT_OFFER);
    }
    (void)!reply_append_line(out, 250, "", SLICE_LITERAL("HELP"), true);
}

void session_starttls(struct server_session *s, bool more)
{
    if (more) {
        session_end(s, REPLY_TLS_PIPELINED, true);
        return;
    }
    if (s->listener->tls_context == NULL) {
        session_reply(s, REPLY_TLS_UNAVAILABLE);
        return;
    }
    if (stream_ssl(s->stream) != NULL) {
        session_reply(s, REPLY_TLS_ALREADY);
        return;
    }
    if (admission_tls(server_admission(s->server), &s->client) != REPLY_NONE) {
        session_end(s, REPLY_RATE_TLS, true);
        return;
    }
    session_reply(s, REPLY_STARTTLS_READY);
    stream_flush(s->stream);
    session_move(s, SERVER_HANDSHAKE);
    session_handshake(s);
}

void session_handshake(struct server_session *s)
{
    uint64_t limit = s->limits.command_timeout_ms;
    if (stream_start_tls(s->stream, s->listener->tls_context) != STATUS_OK) {
        session_end(s, REPLY_INTERNAL, false);
        return;
    }
    stream_set_timeout(s->stream, limit < HANDSHAKE_TIMEOUT_MS ? limit : HANDSHAKE_TIMEOUT_MS);
}
