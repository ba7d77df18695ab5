/*
 * The content of a message: from DATA to the transaction that decides about it. Small messages gather in one
 * buffer and become a memfd with one write; bigger ones are written piece by piece. What messages hold in
 * memory is charged to the budget as it comes.
 */
#include "smtp/server_session.h"

#include "base/channel.h"
#include "base/log.h"
#include "smtp/trace_field.h"

#include <errno.h>
#include <unistd.h>

#define CONTENT_SPILL ((size_t)256 << 10) /* bytes gathered before they are written */
#define CONTENT_MAX   ((size_t)1 << 20)

bool session_data_begin(struct server_session *s)
{
    const struct server_services *service = server_services(s->server);
    struct message *m = s->message;
    SSL *ssl = stream_ssl(s->stream);
    struct trace_facts facts = {
        .helo = s->helo,
        .client_name = session_told_name(s),
        .client_ip = s->peer,
        .hostname = service->hostname,
        .mark = server_mark(s->server),
        .id = m->id_text,
        .esmtp = s->esmtp,
        .lmtp = s->lmtp,
        .utf8 = (m->envelope.promises & SPOOL_SMTPUTF8) != 0,
        .tls_version = ssl != NULL ? SSL_get_version(ssl) : NULL,
        .tls_cipher = ssl != NULL ? SSL_get_cipher_name(ssl) : NULL,
        .now_ms = m->envelope.arrived_ms,
    };
    if (m->envelope.recipient_count == 1) {
        facts.only_recipient = m->envelope.recipients[0];
    }
    struct data_limits limits = {.max_size = s->limits.max_size,
                                 .max_header = s->limits.max_header,
                                 .max_line = s->limits.max_data_line,
                                 .max_received = (unsigned)s->limits.max_received};
    limits.mark = slice_of_text(server_mark(s->server));
    limits.max_passes = (unsigned)s->limits.max_passes;
    data_reader_init(&s->reader, &limits);
    s->data_began_ms = clock_monotonic_ms();
    s->data_bytes = 0;
    s->content = BUF_INIT(CONTENT_MAX);
    stream_set_timeout(s->stream, s->limits.data_timeout_ms);
    return trace_field_append(&facts, &s->content) == STATUS_OK;
}

static enum status content_write(struct server_session *s)
{
    struct message *m = s->message;
    if (m->body < 0) {
        enum status status = memory_file_create("message", &m->body, NULL);
        if (status != STATUS_OK) {
            m->body = -1;
            return status;
        }
    }
    size_t done = 0;
    while (done < s->content.len) {
        ssize_t n = write(m->body, s->content.data + done, s->content.len - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return STATUS_NO_MEMORY;
        }
        done += (size_t)n;
    }
    s->written += s->content.len;
    buf_reset(&s->content);
    return STATUS_OK;
}

static enum smtp_reply reply_of_fault(enum data_fault fault)
{
    switch (fault) {
    case DATA_FINE:
        return REPLY_NONE;
    case DATA_TOO_LARGE:
        return REPLY_TOO_LARGE;
    case DATA_HEADER_TOO_LARGE:
        return REPLY_HEADER_TOO_LARGE;
    case DATA_LINE_TOO_LONG:
        return REPLY_DATA_LINE_TOO_LONG;
    case DATA_LOOP:
        return REPLY_LOOP;
    case DATA_NO_MEMORY:
        break;
    }
    return REPLY_MEMORY_FULL;
}

static void give_up(struct server_session *s, enum smtp_reply reply)
{
    session_reply_content(s, reply);
    session_reset(s);
    session_move(s, SERVER_READY);
    session_await_command(s);
}

static void on_decided(struct transaction *t)
{
    struct server_session *s = t->context;
    if (s == NULL) { /* the client did not wait */
        transaction_free(t);
        return;
    }
    s->deciding = NULL;
    stream_write(s->stream, buf_slice(&t->reply));
    transaction_free(t);
    session_move(s, SERVER_READY);
    if (s->stopping) {
        server_session_stop(s, true);
        return;
    }
    session_await_command(s);
    stream_flush(s->stream);
    stream_resume(s->stream);
}

enum smtp_reply session_content_fault(const struct server_session *s)
{
    enum smtp_reply fault = reply_of_fault(s->reader.fault);
    return fault == REPLY_NONE && s->memory_full ? REPLY_MEMORY_FULL : fault;
}

void session_content_ended(struct server_session *s)
{
    const struct server_services *service = server_services(s->server);
    enum smtp_reply fault = session_content_fault(s);
    if (fault == REPLY_NONE &&
        (content_write(s) != STATUS_OK || memory_file_seal(s->message->body) != STATUS_OK)) {
        fault = REPLY_MEMORY_FULL;
    }
    if (fault == REPLY_NONE && !service->space(service->context, s->written)) {
        fault = REPLY_SPACE;
    }
    if (fault == REPLY_NONE && service->stale(service->context)) {
        fault = REPLY_STALE; /* it was not when MAIL came, which may be long ago: it is decided only now */
    }
    if (fault != REPLY_NONE) {
        give_up(s, fault);
        return;
    }
    buf_release(&s->content);
    struct spool_envelope *e = &s->message->envelope;
    bool body_8bit = (e->promises & SPOOL_BODY_8BITMIME) != 0;
    if (s->reader.tls_not_required && (e->promises & SPOOL_REQUIRETLS) == 0) { /* RFC 8689 section 4.1 */
        e->promises |= SPOOL_TLS_NOT_REQUIRED;
    }
    struct transaction *t = transaction_new(service->transactions, s->message);
    s->message = NULL; /* taken, whatever came of it */
    if (t == NULL) {
        give_up(s, REPLY_MEMORY_FULL);
        return;
    }
    t->size = s->written;
    t->needs_8bit = s->reader.any_8bit;
    t->listener = s->lmtp ? SLICE_LITERAL("lmtp") : SLICE_LITERAL("smtp");
    t->receipts = s->receipts;
    t->receipt_count = s->receipt_count;
    s->receipts = NULL;
    s->receipt_count = s->receipt_room = 0;
    t->flags = (s->reader.any_8bit || body_8bit ? JOB_8BITMIME : 0u) |
               (stream_ssl(s->stream) != NULL ? JOB_TLS : 0u);
    t->cb = on_decided;
    t->context = s;
    s->deciding = t;
    s->messages++;
    s->written = 0;
    session_move(s, SERVER_DECIDING);
    stream_set_timeout(s->stream, 0);
    transaction_run(t);
}

void session_content_came(struct server_session *s, size_t before)
{
    if (!s->memory_full && !message_charge(s->message, s->content.len - before)) {
        s->memory_full = true;
    }
    if (s->memory_full || s->reader.fault != DATA_FINE) {
        buf_reset(&s->content); /* it is read to its end, and kept no more */
    }
    if (s->content.len >= CONTENT_SPILL && content_write(s) != STATUS_OK) {
        s->memory_full = true;
    }
}

/* A timeout for each piece lets a few bytes a minute keep a session for ever: the whole has one too, which
 * grows with what has come. */
bool session_too_slow(struct server_session *s, size_t bytes)
{
    s->data_bytes += bytes;
    uint64_t spent = clock_monotonic_ms() - s->data_began_ms;
    return s->limits.min_data_rate > 0 &&
           spent > s->limits.data_timeout_ms + s->data_bytes * 1000 / s->limits.min_data_rate;
}

size_t session_data(struct server_session *s, struct slice bytes)
{
    size_t used = 0;
    size_t before = s->content.len;
    enum data_result result = data_read(&s->reader, bytes, &s->content, &used);
    if (result == DATA_BAD) {
        log_event(LOG_WARN, "bare CR, bare LF or NUL in a message: session ended",
                  LOG_TEXT("client", s->peer));
        session_end(s, REPLY_BAD_LINE_END, true);
        return bytes.len;
    }
    session_content_came(s, before);
    if (result == DATA_END) {
        session_content_ended(s);
        return used;
    }
    if (session_too_slow(s, bytes.len)) {
        session_end(s, REPLY_DATA_TOO_SLOW, true);
        return bytes.len;
    }
    stream_set_timeout(s->stream, s->limits.data_timeout_ms);
    return used;
}
