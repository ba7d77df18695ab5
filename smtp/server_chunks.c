/*
 * BDAT (RFC 3030): content in chunks whose size is told beforehand. Nothing in a chunk can end it, so there
 * is no dot to stuff and nothing to smuggle; but the message may leave by DATA, so line ends are as strict as
 * there: a bare CR, a bare LF or a NUL is refused, never mended. The refusal costs the message and not the
 * session, since where the chunk ends is known.
 *
 * A chunk that is not wanted (no recipient, too large, after an error) is read and dropped, then answered:
 * the client may have sent the next commands already. Only a BDAT whose size cannot be read ends the session.
 */
#include "smtp/server_session.h"

#include "base/log.h"

/* The chunk is answered; after an error what came before it is forgotten (RFC 3030 section 2). */
static void chunk_refused(struct server_session *s, enum smtp_reply reply)
{
    if (s->chunk_last) {
        session_reply_content(s, reply);
    } else {
        session_reply(s, reply);
    }
    session_reset(s);
    session_move(s, s->chunk_refusal == REPLY_HELLO_FIRST ? SERVER_CONNECTED : SERVER_READY);
    if (s->errors >= s->limits.max_errors) {
        session_end(s, REPLY_TOO_MANY_ERRORS, true);
        return;
    }
    session_await_command(s);
}

static void chunk_over(struct server_session *s)
{
    if (s->chunk_refusal == REPLY_NONE) {
        size_t before = s->content.len;
        if (s->chunk_last && !chunk_end(&s->reader, &s->content)) {
            s->chunk_refusal = REPLY_BAD_LINE_END;
        } else {
            session_content_came(s, before);
            s->chunk_refusal = session_content_fault(s);
        }
    }
    if (s->chunk_refusal != REPLY_NONE) {
        chunk_refused(s, s->chunk_refusal);
    } else if (s->chunk_last) {
        session_content_ended(s);
    } else {
        session_move(s, SERVER_CHUNKS);
        session_reply(s, REPLY_CHUNK_TAKEN);
        session_await_command(s);
    }
}

void session_chunk_begin(struct server_session *s, const struct smtp_command *c, enum smtp_reply refusal)
{
    bool first = s->state != SERVER_CHUNKS;
    s->chunk_left = c->chunk;
    s->chunk_last = c->last;
    if (first) {
        s->data_began_ms = clock_monotonic_ms(); /* also of what is refused and dropped */
        s->data_bytes = 0;
    }
    if (refusal == REPLY_NONE && first && !session_data_begin(s)) {
        refusal = REPLY_MEMORY_FULL;
    }
    if (refusal == REPLY_NONE &&
        (s->reader.size > s->limits.max_size || c->chunk > s->limits.max_size - s->reader.size)) {
        refusal = REPLY_TOO_LARGE;
    }
    s->chunk_refusal = refusal;
    session_move(s, SERVER_CHUNK);
    stream_set_timeout(s->stream, s->limits.data_timeout_ms);
    if (s->chunk_left == 0) {
        chunk_over(s);
    }
}

size_t session_chunk(struct server_session *s, struct slice bytes)
{
    size_t used = s->chunk_left < bytes.len ? (size_t)s->chunk_left : bytes.len;
    s->chunk_left -= used;
    if (s->chunk_refusal == REPLY_NONE) {
        size_t before = s->content.len;
        if (chunk_read(&s->reader, slice_of(bytes.data, used), &s->content)) {
            session_content_came(s, before);
        } else {
            log_event(LOG_WARN, "bare CR, bare LF or NUL in a chunk: message refused",
                      LOG_TEXT("client", s->peer));
            s->chunk_refusal = REPLY_BAD_LINE_END;
        }
    }
    stream_set_timeout(s->stream, s->limits.data_timeout_ms);
    if (s->chunk_left == 0) {
        chunk_over(s);
    } else if (session_too_slow(s, used)) {
        session_end(s, REPLY_DATA_TOO_SLOW, true);
        return bytes.len;
    }
    return used;
}
