/*
 * Serving the other nodes' requests (node/peer_rpc.h). A session lives as long as its stream or the last of
 * its open requests: an answer to a session whose stream is gone goes nowhere.
 */
#include "node/core_internal.h"
#include "node/peer_frame.h"

#include "base/log.h"
#include "base/msgpack_write.h"

#define OPEN_MAX 32768 /* open requests of one peer */

struct peer_session {
    struct peer_session *next, **place;
    struct peer_sessions *sessions; /* NULL once the list is gone */
    struct tls_stream *stream;      /* NULL once it ended */
    uint64_t node_id;
    size_t open;
    bool refused;
};

struct peer_sessions {
    struct core *core;
    struct peer_session *list;
};

struct peer_request {
    struct peer_session *session;
    uint64_t number;
};

struct peer_sessions *peer_sessions_new(struct core *core)
{
    struct peer_sessions *s = calloc(1, sizeof(*s));
    if (s != NULL) {
        s->core = core;
    }
    return s;
}

static void session_release(struct peer_session *s)
{
    if (s->stream != NULL || s->open > 0) {
        return;
    }
    if (s->place != NULL) {
        *s->place = s->next;
        if (s->next != NULL) {
            s->next->place = s->place;
        }
    }
    free(s);
}

static void session_end(struct peer_session *s)
{
    if (s->stream != NULL) {
        tls_stream_close(s->stream);
        s->stream = NULL;
    }
    session_release(s);
}

static void session_ended_cb(void *context, enum status status, const char *text)
{
    (void)status;
    (void)text;
    session_end(context);
}

static bool frame_serve(struct peer_session *s, struct slice payload)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, payload);
    size_t count = read_array(&r, 16);
    uint64_t kind = read_u64(&r);
    uint64_t number = read_u64(&r);
    uint64_t method = read_u64(&r);
    if (count < 3 || kind != 0 || msgpack_reader_status(&r, false) != STATUS_OK || s->open >= OPEN_MAX) {
        return false;
    }
    struct peer_request *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        return false;
    }
    q->session = s;
    q->number = number;
    s->open++;
    core_peer_serve(s->sessions->core, q, method <= PEER_MESSAGES ? (enum peer_method)method : 0, &r);
    return true;
}

static long session_data_cb(void *context, struct slice bytes)
{
    struct peer_session *s = context;
    struct slice payload;
    size_t used = 0;
    int taken = 0;
    if (s->refused) {
        return (long)bytes.len;
    }
    s->open++; /* an answer given at once must not free the session under us */
    while (s->stream != NULL && (taken = peer_frame_take(slice_of(bytes.data + used, bytes.len - used),
                                                         PEER_FRAME_MAX, &payload)) > 0) {
        if (!frame_serve(s, payload)) {
            taken = -1;
            break;
        }
        used += PEER_FRAME_HEADER + payload.len;
    }
    s->open--;
    if (s->stream == NULL) {
        session_release(s);
        return (long)bytes.len;
    }
    if (taken < 0) {
        log_event(LOG_WARN, "a node sends what is no request", LOG_NUMBER("node_id", s->node_id));
        return -1; /* the stream ends: session_ended_cb */
    }
    return (long)used;
}

static struct peer_session *session_new(struct peer_sessions *sessions, struct tls_stream *stream)
{
    struct peer_session *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        tls_stream_close(stream);
        return NULL;
    }
    s->sessions = sessions;
    s->stream = stream;
    s->node_id = tls_stream_peer(stream)->node_id;
    s->next = sessions->list;
    s->place = &sessions->list;
    if (s->next != NULL) {
        s->next->place = &s->next;
    }
    sessions->list = s;
    struct tls_stream_events events = {.data = session_data_cb, .ended = session_ended_cb, .context = s};
    tls_stream_start(stream, &events);
    return s;
}

void peer_session_start(struct peer_sessions *sessions, struct tls_stream *stream)
{
    (void)session_new(sessions, stream);
}

static void notice_send(struct peer_session *s, const char *text)
{
    struct buf notice = BUF_INIT(FAILURE_TEXT_MAX + 16);
    struct msgpack_writer w;
    s->refused = true; /* the peer closes when it has read it */
    msgpack_writer_init(&w, &notice);
    write_array(&w, 2);
    write_u64(&w, 2);
    write_text(&w, slice_of_text(text));
    if (msgpack_writer_status(&w) != STATUS_OK ||
        peer_frame_send(s->stream, buf_slice(&notice)) != STATUS_OK) {
        session_end(s);
    }
    buf_release(&notice);
}

void peer_session_refuse(struct peer_sessions *sessions, struct tls_stream *stream, const char *text)
{
    struct peer_session *s = session_new(sessions, stream);
    if (s != NULL) {
        notice_send(s, text);
    }
}

void peer_sessions_refuse(struct peer_sessions *sessions,
                          bool (*removed)(struct core *core, uint64_t node_id), const char *text)
{
    for (struct peer_session *s = sessions->list, *next; s != NULL; s = next) {
        next = s->next;
        if (s->stream != NULL && !s->refused && removed(sessions->core, s->node_id)) {
            notice_send(s, text);
        }
    }
}

void peer_request_answer(struct peer_request *q, enum status status, const char *text, struct slice results,
                         size_t count)
{
    struct peer_session *s = q->session;
    struct buf frame = BUF_INIT(PEER_FRAME_MAX);
    struct msgpack_writer w;
    s->open--;
    if (s->stream != NULL) {
        msgpack_writer_init(&w, &frame);
        write_array(&w, 4 + count);
        write_u64(&w, 1);
        write_u64(&w, q->number);
        write_u64(&w, status);
        write_text(&w, slice_of_text(text != NULL ? text : ""));
        if (msgpack_writer_status(&w) != STATUS_OK || buf_append_slice(&frame, results) != STATUS_OK ||
            peer_frame_send(s->stream, buf_slice(&frame)) != STATUS_OK) {
            log_event(LOG_WARN, "an answer to a node could not be sent", LOG_NUMBER("node_id", s->node_id));
            tls_stream_close(s->stream);
            s->stream = NULL;
        }
    }
    buf_release(&frame);
    free(q);
    session_release(s);
}

uint64_t peer_request_node(const struct peer_request *q)
{
    return q->session->node_id;
}

void peer_sessions_close(struct peer_sessions *sessions)
{
    while (sessions->list != NULL) {
        struct peer_session *s = sessions->list;
        sessions->list = s->next;
        if (s->next != NULL) {
            s->next->place = &sessions->list;
        }
        s->next = NULL;
        s->place = NULL;
        session_end(s);
    }
    free(sessions);
}
