/*
 * See raft/transport.h. What c-raft expects of it (DESIGN.md section 4, Transport): a connect callback never
 * fires from within the call and fires exactly once, with RAFT_CANCELED when the transport closes; close
 * reports only when every handle is closed; and since c-raft never reads its outgoing stream, the pump must
 * notice by itself that the connection is gone: it closes its end of the pair, and c-raft's next write fails.
 *
 * What comes from a peer passes raft/frame_check.h before a byte of it goes into the pair. Runs on the loop's
 * thread.
 */
#include "raft/transport.h"

#include "base/log.h"
#include "raft/frame_check.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 3000
#define PUMP_HIGH          ((size_t)4 << 20) /* bytes waiting: stop reading from the other side */
#define ADDRESS_SIZE       80

struct pump {
    struct transport *transport;
    struct pump *next;
    struct tls_stream *stream; /* NULL once it is closed */
    uv_pipe_t pipe;            /* our end of the pair */
    bool pipe_open, incoming, known, closing;
    size_t pipe_unsent;
    struct frame_check check;
    uint8_t buffer[64 << 10];
    uint64_t peer_id;
};

struct connecting {
    struct transport *transport;
    struct connecting *next;
    struct raft_uv_connect *request;
    raft_uv_connect_cb cb;
    struct tls_stream_connect *pending;
    uint64_t id;
};

struct transport {
    struct transport_options options;
    struct raft_uv_transport *api;
    struct tls_listener *listener;
    struct tls_stream_accept accept;
    raft_uv_accept_cb accept_cb;
    raft_uv_transport_close_cb close_cb;
    char address[ADDRESS_SIZE];
    struct pump *pumps;
    struct connecting *connecting;
    bool closing;
};

static void maybe_closed(struct transport *t)
{
    raft_uv_transport_close_cb cb = t->close_cb;

    if (!t->closing || cb == NULL || t->listener != NULL || t->pumps != NULL || t->connecting != NULL)
        return;
    t->close_cb = NULL;
    cb(t->api);
}

/* --- pumps --- */

static void pipe_closed_cb(uv_handle_t *handle)
{
    struct pump *p = handle->data;
    struct transport *t = p->transport;

    for (struct pump **at = &t->pumps; *at != NULL; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    frame_check_release(&p->check);
    free(p);
    maybe_closed(t);
}

static void pump_close(struct pump *p)
{
    if (p->closing)
        return;
    p->closing = true;
    if (p->stream != NULL)
        tls_stream_close(p->stream);
    p->stream = NULL;
    uv_close((uv_handle_t *)&p->pipe, pipe_closed_cb);
}

static void pump_alloc_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct pump *p = handle->data;

    (void)suggested;
    *buf = uv_buf_init((char *)p->buffer, sizeof(p->buffer));
}

/* c-raft has written (outgoing), or closed its end. */
static void pump_read_cb(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct pump *p = stream->data;

    if (len == 0)
        return;
    if (len < 0 || p->incoming || tls_stream_write(p->stream, slice_of(buf->base, (size_t)len)) != STATUS_OK)
        pump_close(p);
    else if (tls_stream_unsent(p->stream) > PUMP_HIGH)
        (void)uv_read_stop(stream);
}

static void drained_cb(void *context)
{
    struct pump *p = context;

    if (!p->closing && p->pipe_open)
        (void)uv_read_start((uv_stream_t *)&p->pipe, pump_alloc_cb, pump_read_cb);
}

struct pump_write {
    uv_write_t request;
    struct pump *pump;
    size_t len;
    uint8_t bytes[];
};

static void pump_written_cb(uv_write_t *request, int error)
{
    struct pump_write *w = request->data;
    struct pump *p = w->pump;

    p->pipe_unsent -= w->len;
    if (error != 0)
        pump_close(p);
    else if (!p->closing && p->pipe_unsent <= PUMP_HIGH / 2)
        tls_stream_pause(p->stream, false);
    free(w);
}

static bool write_to_raft(struct pump *p, struct slice bytes)
{
    struct pump_write *w = malloc(sizeof(*w) + bytes.len);
    uv_buf_t part;

    if (w == NULL)
        return false;
    w->pump = p;
    w->len = bytes.len;
    w->request.data = w;
    memcpy(w->bytes, bytes.data, bytes.len);
    part = uv_buf_init((char *)w->bytes, (unsigned)bytes.len);
    if (uv_write(&w->request, (uv_stream_t *)&p->pipe, &part, 1, pump_written_cb) != 0) {
        free(w);
        return false;
    }
    p->pipe_unsent += bytes.len;
    if (p->pipe_unsent > PUMP_HIGH)
        tls_stream_pause(p->stream, true);
    return true;
}

/* One end goes to c-raft as a uv_pipe_t from raft_malloc, the other stays with the pump. NULL on failure. */
static uv_stream_t *open_pair(struct pump *p)
{
    int fds[2];
    uv_pipe_t *theirs;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
        return NULL;
    theirs = raft_malloc(sizeof(*theirs));
    if (theirs == NULL || uv_pipe_init(p->transport->options.loop, theirs, 0) != 0) {
        raft_free(theirs);
        (void)close(fds[0]);
        (void)close(fds[1]);
        return NULL;
    }
    if (uv_pipe_open(theirs, fds[0]) != 0 || uv_pipe_open(&p->pipe, fds[1]) != 0) {
        uv_close((uv_handle_t *)theirs, (uv_close_cb)(void (*)(void))raft_free);
        (void)close(fds[1]);
        return NULL;
    }
    p->pipe_open = true;
    (void)uv_read_start((uv_stream_t *)&p->pipe, pump_alloc_cb, pump_read_cb);
    return (uv_stream_t *)theirs;
}

/* The connecting node's first bytes: its address. Then c-raft takes the stream. */
static long meet(struct pump *p, struct slice bytes)
{
    struct transport *t = p->transport;
    char address[ADDRESS_SIZE];
    size_t len = bytes.data[0];
    uv_stream_t *theirs;

    if (len == 0 || len >= sizeof(address))
        return -1;
    if (bytes.len < len + 1)
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (bytes.data[1 + i] <= ' ' || bytes.data[1 + i] >= 0x7f)
            return -1;
        address[i] = (char)bytes.data[1 + i];
    }
    address[len] = '\0';
    theirs = open_pair(p);
    if (theirs == NULL)
        return -1;
    p->known = true;
    t->accept_cb(t->api, p->peer_id, address, theirs);
    return (long)len + 1;
}

static long data_cb(void *context, struct slice bytes)
{
    struct pump *p = context;
    struct failure f = {0};

    if (!p->incoming)
        return -1; /* nobody answers on a connection that we opened */
    if (!p->known)
        return meet(p, bytes);
    if (frame_check_feed(&p->check, bytes, &f) != STATUS_OK) {
        log_event(LOG_ERROR, "peer sent what no release of ours sends", LOG_NUMBER("node", p->peer_id),
                  LOG_TEXT("reason", f.text));
        return -1;
    }
    return write_to_raft(p, bytes) ? (long)bytes.len : -1;
}

static void ended_cb(void *context, enum status status, const char *text)
{
    struct pump *p = context;

    if (status != STATUS_OK)
        log_event(LOG_INFO, "peer connection ended", LOG_NUMBER("node", p->peer_id),
                  LOG_TEXT("reason", text));
    pump_close(p);
}

static struct pump *pump_new(struct transport *t, struct tls_stream *stream, uint64_t peer_id, bool incoming)
{
    struct pump *p = calloc(1, sizeof(*p));
    struct tls_stream_events events = {
        .data = data_cb, .ended = ended_cb, .drained = drained_cb, .context = p};

    if (p == NULL || uv_pipe_init(t->options.loop, &p->pipe, 0) != 0) {
        free(p);
        tls_stream_close(stream);
        return NULL;
    }
    p->pipe.data = p;
    p->transport = t;
    p->stream = stream;
    p->peer_id = peer_id;
    p->incoming = incoming;
    frame_check_init(&p->check);
    p->next = t->pumps;
    t->pumps = p;
    tls_stream_start(stream, &events);
    return p;
}

/* --- c-raft's side --- */

static int init_cb(struct raft_uv_transport *api, raft_id id, const char *address)
{
    struct transport *t = api->impl;

    (void)id;
    if (strlen(address) >= sizeof(t->address))
        return RAFT_NAMETOOLONG;
    memcpy(t->address, address, strlen(address) + 1);
    return 0;
}

static void accepted_cb(void *context, struct tls_stream *stream, const struct tls_peer *peer)
{
    struct transport *t = context;

    if (strcmp(peer->alpn, ALPN_RAFT) != 0) {
        if (t->options.accept != NULL && !t->closing)
            t->options.accept->cb(t->options.accept->context, stream, peer);
        else
            tls_stream_close(stream);
        return;
    }
    if (t->closing || t->accept_cb == NULL ||
        !t->options.peer_allowed(t->options.context, peer->node_id, peer->spki_hash)) {
        log_event(LOG_WARN, "peer refused: it is no member with this key", LOG_NUMBER("node", peer->node_id));
        tls_stream_close(stream);
        return;
    }
    (void)pump_new(t, stream, peer->node_id, true);
}

static int listen_cb(struct raft_uv_transport *api, raft_uv_accept_cb cb)
{
    struct transport *t = api->impl;

    t->accept_cb = cb;
    t->accept = (struct tls_stream_accept){.cb = accepted_cb, .context = t};
    if (tls_listener_new(t->options.loop, t->options.server_tls, t->options.listener, CONNECT_TIMEOUT_MS,
                         &t->accept, &t->listener) != STATUS_OK)
        return RAFT_IOERR;
    return 0;
}

static void forget(struct connecting *c)
{
    struct transport *t = c->transport;

    for (struct connecting **at = &t->connecting; *at != NULL; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    free(c);
    maybe_closed(t);
}

/* Says who we are, and gives c-raft its end of a pair; a raft error otherwise. */
static int introduce(struct transport *t, struct tls_stream *stream, uint64_t id, uv_stream_t **theirs)
{
    struct pump *p = pump_new(t, stream, id, false);
    uint8_t len = (uint8_t)strlen(t->address);

    if (p == NULL)
        return RAFT_NOMEM;
    *theirs = open_pair(p);
    if (*theirs != NULL && tls_stream_write(stream, slice_of(&len, 1)) == STATUS_OK &&
        tls_stream_write(stream, slice_of_text(t->address)) == STATUS_OK)
        return 0;
    if (*theirs != NULL)
        uv_close((uv_handle_t *)*theirs, (uv_close_cb)(void (*)(void))raft_free);
    *theirs = NULL;
    pump_close(p);
    return RAFT_NOCONNECTION;
}

static void connected_cb(void *context, enum status status, const char *text, struct tls_stream *stream,
                         const struct tls_peer *peer)
{
    struct connecting *c = context;
    struct transport *t = c->transport;
    uv_stream_t *theirs = NULL;
    int error = RAFT_NOCONNECTION;

    if (status == STATUS_OK &&
        (!peer->authenticated || peer->node_id != c->id ||
         !t->options.peer_allowed(t->options.context, peer->node_id, peer->spki_hash))) {
        log_event(LOG_WARN, "another node answers at a peer's address", LOG_NUMBER("expected", c->id),
                  LOG_NUMBER("found", peer->node_id));
        tls_stream_close(stream);
    } else if (status == STATUS_OK && t->closing) {
        tls_stream_close(stream);
    } else if (status == STATUS_OK) {
        error = introduce(t, stream, c->id, &theirs);
    } else if (!t->closing) {
        log_event(LOG_DEBUG, "peer cannot be reached", LOG_NUMBER("node", c->id), LOG_TEXT("reason", text));
    }
    c->cb(c->request, theirs, t->closing && theirs == NULL ? RAFT_CANCELED : error);
    forget(c);
}

static int connect_cb(struct raft_uv_transport *api, struct raft_uv_connect *request, raft_id id,
                      const char *address, raft_uv_connect_cb cb)
{
    struct transport *t = api->impl;
    struct connecting *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return RAFT_NOMEM;
    c->transport = t;
    c->request = request;
    c->cb = cb;
    c->id = id;
    if (tls_stream_connect(t->options.loop, t->options.client_tls, address, ALPN_RAFT, CONNECT_TIMEOUT_MS,
                           connected_cb, c, &c->pending) != STATUS_OK) {
        free(c);
        return RAFT_NOCONNECTION;
    }
    c->next = t->connecting;
    t->connecting = c;
    return 0;
}

static void listener_closed_cb(void *context)
{
    struct transport *t = context;

    t->listener = NULL;
    maybe_closed(t);
}

static void close_soon_cb(uv_handle_t *handle)
{
    struct transport *t = handle->data;

    free(handle);
    maybe_closed(t);
}

static void transport_close_cb(struct raft_uv_transport *api, raft_uv_transport_close_cb cb)
{
    struct transport *t = api->impl;
    uv_timer_t *soon = malloc(sizeof(*soon)); /* so that `cb` never fires from within */

    t->closing = true;
    for (struct connecting *c = t->connecting; c != NULL; c = c->next)
        tls_stream_connect_cancel(c->pending);
    for (struct pump *p = t->pumps; p != NULL; p = p->next)
        pump_close(p);
    if (t->listener != NULL)
        tls_listener_close(t->listener, listener_closed_cb, t);
    t->close_cb = cb;
    if (soon == NULL || uv_timer_init(t->options.loop, soon) != 0) {
        free(soon);
        maybe_closed(t);
        return;
    }
    soon->data = t;
    uv_close((uv_handle_t *)soon, close_soon_cb);
}

enum status transport_new(const struct transport_options *options, struct raft_uv_transport *out,
                          struct transport **transport)
{
    struct transport *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return STATUS_NO_MEMORY;
    t->options = *options;
    t->api = out;
    memset(out, 0, sizeof(*out));
    out->impl = t;
    out->init = init_cb;
    out->listen = listen_cb;
    out->connect = connect_cb;
    out->close = transport_close_cb;
    *transport = t;
    return STATUS_OK;
}

void transport_free(struct transport *t)
{
    free(t);
}
