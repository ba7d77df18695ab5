/*
 * Asking other nodes: one connection a peer, made when there is something to ask, kept open, made anew after
 * a failure (at most every 200 ms). Calls wait in the link's list until they are answered, time out or the
 * connection ends: then they end with CLOSED, since nobody knows whether the peer got them. See
 * node/peer_rpc.h for the frames.
 *
 * A partial frame is left to the stream's buffer. Callbacks run from the loop, never from within peer_call():
 * a call that cannot be sent is marked and ended by the next tick.
 */
#include "node/core_internal.h"
#include "node/peer_frame.h"

#include "base/log.h"
#include "base/msgpack_write.h"

#define CONNECT_TIMEOUT_MS 2000
#define RECONNECT_MS       200
#define CALLS_MAX          65536 /* a link */

struct peer_call {
    struct peer_call *next;
    uint64_t number, deadline_ms;
    struct buf frame; /* until it is sent */
    bool sent, of_leader;
    peer_answer_cb cb;
    void *context;
};

struct peer_link {
    struct peer_link *next;
    struct peer_links *links;
    uint64_t node_id;
    struct tls_stream *stream;          /* connected */
    struct tls_stream_connect *pending; /* connecting */
    uint64_t connect_after_ms;
    struct peer_call *calls, **calls_tail;
    size_t call_count;
    bool gone; /* free it when nothing is pending */
};

struct peer_links {
    struct core *core;
    struct peer_link *list;
    uint64_t next_number;
    bool closing;
};

struct peer_links *peer_links_new(struct core *core)
{
    struct peer_links *l = calloc(1, sizeof(*l));
    if (l != NULL) {
        l->core = core;
        l->next_number = 1;
    }
    return l;
}

static struct peer_link *link_get(struct peer_links *l, uint64_t node_id)
{
    struct peer_link *link;
    for (link = l->list; link != NULL; link = link->next) {
        if (link->node_id == node_id && !link->gone) {
            return link;
        }
    }
    link = calloc(1, sizeof(*link));
    if (link != NULL) {
        link->links = l;
        link->node_id = node_id;
        link->calls_tail = &link->calls;
        link->next = l->list;
        l->list = link;
    }
    return link;
}

static void call_end(struct peer_call *call, enum status status, const char *text,
                     struct msgpack_reader *results)
{
    call->cb(call->context, status, text, results);
    buf_release(&call->frame);
    free(call);
}

static struct peer_call *call_unlink(struct peer_link *link, struct peer_call **at)
{
    struct peer_call *call = *at;
    *at = call->next;
    if (link->calls_tail == &call->next) {
        link->calls_tail = at;
    }
    link->call_count--;
    return call;
}

enum which_calls { CALLS_ALL, CALLS_SENT, CALLS_OF_LEADER };

/* The calls are detached first, since callbacks may call again. */
static void calls_fail(struct peer_link *link, enum which_calls which, enum status status, const char *text)
{
    struct peer_call *failed = NULL, **failed_tail = &failed;
    for (struct peer_call **at = &link->calls; *at != NULL;) {
        if ((which == CALLS_SENT && !(*at)->sent) || (which == CALLS_OF_LEADER && !(*at)->of_leader)) {
            at = &(*at)->next;
            continue;
        }
        struct peer_call *call = call_unlink(link, at);
        call->next = NULL;
        *failed_tail = call;
        failed_tail = &call->next;
    }
    while (failed != NULL) {
        struct peer_call *call = failed;
        failed = call->next;
        call_end(call, status, text, NULL);
    }
}

static void link_send_waiting(struct peer_link *link)
{
    for (struct peer_call *call = link->calls; call != NULL && link->stream != NULL; call = call->next) {
        if (call->sent) {
            continue;
        }
        if (peer_frame_send(link->stream, buf_slice(&call->frame)) != STATUS_OK) {
            call->deadline_ms = 0; /* the next tick ends it */
        }
        call->sent = true;
        buf_release(&call->frame);
    }
}

static void link_lost(struct peer_link *link, enum status status, const char *text)
{
    link->connect_after_ms = clock_monotonic_ms() + RECONNECT_MS;
    calls_fail(link, CALLS_SENT, status, text);
}

static void frame_serve(struct peer_link *link, struct slice payload, bool *bad)
{
    struct msgpack_reader r;
    char text[FAILURE_TEXT_MAX];
    msgpack_reader_init(&r, payload);
    size_t count = read_array(&r, 16);
    uint64_t kind = read_u64(&r);
    if (count == 2 && kind == 2) {
        struct slice said = read_text(&r, FAILURE_TEXT_MAX - 1);
        if (msgpack_reader_status(&r, true) == STATUS_OK) {
            (void)!snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(said));
            core_removed(link->links->core, text);
            return;
        }
    }
    uint64_t number = read_u64(&r);
    enum status status = status_from_number(read_u64(&r));
    struct slice said = read_text(&r, FAILURE_TEXT_MAX - 1);
    if (count < 4 || kind != 1 || msgpack_reader_status(&r, false) != STATUS_OK) {
        *bad = true;
        return;
    }
    (void)!snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(said));
    for (struct peer_call **at = &link->calls; *at != NULL; at = &(*at)->next) {
        if ((*at)->number == number && (*at)->sent) {
            struct peer_call *call = call_unlink(link, at);
            call_end(call, status, text, status == STATUS_OK ? &r : NULL);
            return;
        }
    }
}

static long link_data_cb(void *context, struct slice bytes)
{
    struct peer_link *link = context;
    struct slice payload;
    size_t used = 0;
    int taken;
    while ((taken = peer_frame_take(slice_of(bytes.data + used, bytes.len - used), PEER_FRAME_MAX,
                                    &payload)) > 0) {
        bool bad = false;
        frame_serve(link, payload, &bad);
        if (bad) {
            return -1;
        }
        used += PEER_FRAME_HEADER + payload.len;
    }
    return taken < 0 ? -1 : (long)used;
}

static void link_ended_cb(void *context, enum status status, const char *text)
{
    struct peer_link *link = context;
    (void)status;
    tls_stream_close(link->stream);
    link->stream = NULL;
    link_lost(link, STATUS_CLOSED, text != NULL ? text : "the connection to the node ended");
}

static void links_sweep(struct peer_links *l)
{
    for (struct peer_link **at = &l->list; *at != NULL;) {
        struct peer_link *link = *at;
        if (link->gone && link->pending == NULL && link->stream == NULL && link->calls == NULL) {
            *at = link->next;
            free(link);
        } else {
            at = &link->next;
        }
    }
    if (l->closing && l->list == NULL) {
        free(l);
    }
}

static void link_connected_cb(void *context, enum status status, const char *text, struct tls_stream *stream,
                              const struct tls_peer *peer)
{
    struct peer_link *link = context;
    struct core *core = link->links->core;
    link->pending = NULL;
    if (status == STATUS_OK && (link->gone || !peer->authenticated || peer->node_id != link->node_id ||
                                !core_peer_allowed(core, peer->node_id, peer->spki_hash))) {
        if (!link->gone) {
            log_event(LOG_WARN, "a node shows another certificate than its own",
                      LOG_NUMBER("expected", link->node_id), LOG_NUMBER("shown", peer->node_id));
        }
        tls_stream_close(stream);
        status = STATUS_UNTRUSTED;
        text = "the node shows another certificate than its own";
    }
    if (status != STATUS_OK) {
        link->connect_after_ms = clock_monotonic_ms() + RECONNECT_MS;
        calls_fail(link, CALLS_ALL, STATUS_UNAVAILABLE, text);
        if (link->links->closing) {
            links_sweep(link->links);
        }
        return;
    }
    link->stream = stream;
    struct tls_stream_events events = {.data = link_data_cb, .ended = link_ended_cb, .context = link};
    tls_stream_start(stream, &events);
    link_send_waiting(link);
}

static void link_connect(struct peer_link *link, uint64_t now)
{
    struct core *core = link->links->core;
    char address[80];
    if (link->stream != NULL || link->pending != NULL || link->gone || now < link->connect_after_ms) {
        return;
    }
    if (!core_peer_address(core, link->node_id, address) ||
        tls_stream_connect(&core->loop, core->client_tls, address, ALPN_RPC, CONNECT_TIMEOUT_MS,
                           link_connected_cb, link, &link->pending) != STATUS_OK) {
        link->pending = NULL;
        link->connect_after_ms = now + RECONNECT_MS;
    }
}

void peer_call(struct peer_links *l, uint64_t node_id, enum peer_method method, struct slice args,
               size_t arg_count, unsigned timeout_ms, peer_answer_cb cb, void *context)
{
    struct peer_link *link = link_get(l, node_id);
    struct peer_call *call = calloc(1, sizeof(*call));
    struct msgpack_writer w;
    if (link == NULL || call == NULL) {
        abort(); /* no memory for a few bytes: nothing goes on; the supervisor starts us again */
    }
    uint64_t now = clock_monotonic_ms();
    *call = (struct peer_call){.number = l->next_number++,
                               .deadline_ms = now + timeout_ms,
                               .frame = BUF_INIT(PEER_FRAME_MAX),
                               .of_leader = method == PEER_PROPOSE || method == PEER_READ_INDEX,
                               .cb = cb,
                               .context = context};
    msgpack_writer_init(&w, &call->frame);
    write_array(&w, 3 + arg_count);
    write_u64(&w, 0);
    write_u64(&w, call->number);
    write_u64(&w, method);
    if (msgpack_writer_status(&w) != STATUS_OK || buf_append_slice(&call->frame, args) != STATUS_OK ||
        link->call_count >= CALLS_MAX || l->closing) {
        call->sent = true; /* never; and the next tick ends it */
        call->deadline_ms = 0;
    }
    *link->calls_tail = call;
    link->calls_tail = &call->next;
    link->call_count++;
    if (link->stream != NULL) {
        link_send_waiting(link);
    } else {
        link_connect(link, now);
    }
}

static void link_tick(struct peer_link *link, uint64_t now)
{
    for (;;) {
        struct peer_call **at = &link->calls;
        while (*at != NULL && (*at)->deadline_ms > now) {
            at = &(*at)->next;
        }
        if (*at == NULL) {
            break;
        }
        bool was_sent = (*at)->sent && (*at)->deadline_ms != 0;
        call_end(call_unlink(link, at), was_sent ? STATUS_TIMEOUT : STATUS_UNAVAILABLE,
                 was_sent ? "the node did not answer in time" : "the node cannot be reached", NULL);
    }
    if (link->calls != NULL) {
        link_connect(link, now);
    }
}

void peer_links_tick(struct peer_links *l, uint64_t now)
{
    for (struct peer_link *link = l->list; link != NULL; link = link->next) {
        link_tick(link, now);
    }
    links_sweep(l);
}

static void link_close(struct peer_link *link)
{
    link->gone = true;
    if (link->stream != NULL) {
        tls_stream_close(link->stream);
        link->stream = NULL;
    }
    if (link->pending != NULL) {
        tls_stream_connect_cancel(link->pending); /* its callback comes later */
    }
    calls_fail(link, CALLS_ALL, STATUS_CLOSED, "the connection was given up");
}

void peer_links_leader_changed(struct peer_links *l, uint64_t leader_id)
{
    for (struct peer_link *link = l->list; link != NULL; link = link->next) {
        if (link->node_id != leader_id && !link->gone) {
            calls_fail(link, CALLS_OF_LEADER, STATUS_UNAVAILABLE, "this node is no longer the leader");
        }
    }
}

void peer_links_forget(struct peer_links *l, uint64_t node_id)
{
    for (struct peer_link *link = l->list; link != NULL; link = link->next) {
        if (link->node_id == node_id && !link->gone) {
            link_close(link);
            return;
        }
    }
}

void peer_links_close(struct peer_links *l)
{
    l->closing = true;
    for (struct peer_link *link = l->list; link != NULL; link = link->next) {
        if (!link->gone) {
            link_close(link);
        }
    }
    links_sweep(l);
}
