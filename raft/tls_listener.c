/*
 * Accepting connections of nodes: TCP, then TLS within a time, then the owner's callback. Peers that have not
 * shown who they are may hold only a bounded number of connections. Runs on the loop's thread.
 */
#include "raft/tls_stream_internal.h"

#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDSHAKES_MAX   256
#define ACCEPTS_A_WAKEUP 64

struct handshaking {
    struct tls_listener *listener;
    struct tls_stream *stream;
    struct handshaking *next;
};

struct tls_listener {
    uv_poll_t poll;
    uv_loop_t *loop;
    SSL_CTX *tls;
    int fd;
    unsigned timeout_ms, count;
    struct handshaking *handshaking;
    struct tls_stream_accept accept;
    void (*closed)(void *context);
    void *closed_context;
};

static void forget(struct handshaking *h)
{
    for (struct handshaking **at = &h->listener->handshaking; *at != NULL; at = &(*at)->next)
        if (*at == h) {
            *at = h->next;
            break;
        }
    h->listener->count--;
}

static void handshake_cb(void *context, struct tls_stream *stream, enum status status, const char *text)
{
    struct handshaking *h = context;
    struct tls_listener *l = h->listener;

    forget(h);
    free(h);
    if (status == STATUS_OK) {
        l->accept.cb(l->accept.context, stream, tls_stream_peer(stream));
    } else {
        log_event(LOG_WARN, "peer connection refused", LOG_TEXT("reason", text));
        tls_stream_close(stream);
    }
}

static void start_handshake(struct tls_listener *l, int fd)
{
    struct handshaking *h = calloc(1, sizeof(*h));
    int one = 1;

    if (h == NULL || l->count >= HANDSHAKES_MAX) {
        free(h);
        (void)close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    h->listener = l;
    if (tls_stream_new(l->loop, l->tls, fd, NULL, false, l->timeout_ms, handshake_cb, h, &h->stream) !=
        STATUS_OK) {
        free(h);
        return;
    }
    h->next = l->handshaking;
    l->handshaking = h;
    l->count++;
}

static void readable_cb(uv_poll_t *poll, int status, int events)
{
    struct tls_listener *l = poll->data;

    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_A_WAKEUP; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        start_handshake(l, fd);
    }
}

enum status tls_listener_new(uv_loop_t *loop, SSL_CTX *tls, int fd, unsigned timeout_ms,
                             const struct tls_stream_accept *accept, struct tls_listener **out)
{
    struct tls_listener *l = calloc(1, sizeof(*l));

    if (l == NULL || uv_poll_init_socket(loop, &l->poll, fd) != 0) {
        free(l);
        return STATUS_NO_MEMORY;
    }
    l->poll.data = l;
    l->loop = loop;
    l->tls = tls;
    l->fd = fd;
    l->timeout_ms = timeout_ms;
    l->accept = *accept;
    (void)uv_poll_start(&l->poll, UV_READABLE, readable_cb);
    *out = l;
    return STATUS_OK;
}

static void poll_closed_cb(uv_handle_t *handle)
{
    struct tls_listener *l = handle->data;

    (void)close(l->fd);
    if (l->closed != NULL)
        l->closed(l->closed_context);
    free(l);
}

void tls_listener_close(struct tls_listener *l, void (*closed)(void *context), void *context)
{
    l->closed = closed;
    l->closed_context = context;
    while (l->handshaking != NULL) {
        struct handshaking *h = l->handshaking;

        l->handshaking = h->next;
        tls_stream_close(h->stream);
        free(h);
    }
    uv_close((uv_handle_t *)&l->poll, poll_closed_cb);
}
