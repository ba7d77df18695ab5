/*
 * Connecting to a node: name look-up, TCP, TLS, each of them without blocking, one deadline over all. The
 * callback comes once, never from within the call; cancelling makes it come with CLOSED. Runs on the loop's
 * thread.
 */
#include "raft/tls_stream_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST_MAX 255

struct tls_stream_connect {
    uv_loop_t *loop;
    SSL_CTX *tls;
    char host[HOST_MAX + 1], port[8], alpn[24];
    uv_getaddrinfo_t lookup;
    uv_timer_t soon; /* the callback after a cancel comes from here */
    struct tls_stream *stream;
    uint64_t deadline_ms;
    bool cancelled, looking_up, done;
    tls_stream_connect_cb cb;
    void *context;
};

static void soon_closed_cb(uv_handle_t *handle)
{
    free(handle->data);
}

static void maybe_free(struct tls_stream_connect *c)
{
    if (c->done && !c->looking_up)
        uv_close((uv_handle_t *)&c->soon, soon_closed_cb);
}

static void report(struct tls_stream_connect *c, enum status status, const char *text)
{
    struct tls_stream *stream = c->stream;

    if (c->done)
        return;
    c->done = true;
    if (status != STATUS_OK && stream != NULL) {
        tls_stream_close(stream);
        stream = NULL;
    }
    c->cb(c->context, status, text, stream, stream != NULL ? tls_stream_peer(stream) : NULL);
    maybe_free(c);
}

static void handshake_cb(void *context, struct tls_stream *stream, enum status status, const char *text)
{
    (void)stream;
    report(context, status, text);
}

static enum status open_socket(const struct addrinfo *address, int *fd)
{
    int one = 1;

    *fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return STATUS_IO;
    (void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(*fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS)
        return STATUS_OK;
    (void)close(*fd);
    return STATUS_UNAVAILABLE;
}

static void looked_up_cb(uv_getaddrinfo_t *lookup, int error, struct addrinfo *found)
{
    struct tls_stream_connect *c = lookup->data;
    uint64_t now = clock_monotonic_ms();
    enum status status = STATUS_UNAVAILABLE;
    int fd = -1;

    c->looking_up = false;
    if (c->done) {
        maybe_free(c);
    } else if (c->cancelled) {
        report(c, STATUS_CLOSED, "cancelled");
    } else if (error != 0) {
        report(c, STATUS_UNAVAILABLE, "the host name does not resolve");
    } else {
        for (struct addrinfo *at = found; at != NULL && status != STATUS_OK; at = at->ai_next)
            status = open_socket(at, &fd);
        if (status == STATUS_OK)
            status = tls_stream_new(c->loop, c->tls, fd, c->alpn, true,
                                    c->deadline_ms > now ? (unsigned)(c->deadline_ms - now) : 1, handshake_cb,
                                    c, &c->stream);
        if (status != STATUS_OK)
            report(c, status, "cannot connect");
    }
    uv_freeaddrinfo(found);
}

/* HOST:PORT or [V6]:PORT */
static bool split_address(const char *address, struct tls_stream_connect *c)
{
    const char *colon = strrchr(address, ':');
    const char *host = address;
    size_t len = colon == NULL ? 0 : (size_t)(colon - address);

    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len == 0 || len > HOST_MAX || strlen(colon + 1) == 0 || strlen(colon + 1) >= sizeof(c->port))
        return false;
    memcpy(c->host, host, len);
    memcpy(c->port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

enum status tls_stream_connect(uv_loop_t *loop, SSL_CTX *tls, const char *address, const char *alpn,
                               unsigned timeout_ms, tls_stream_connect_cb cb, void *context,
                               struct tls_stream_connect **pending)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct tls_stream_connect *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return STATUS_NO_MEMORY;
    if (!split_address(address, c) || strlen(alpn) >= sizeof(c->alpn)) {
        free(c);
        return STATUS_INVALID;
    }
    memcpy(c->alpn, alpn, strlen(alpn) + 1);
    c->loop = loop;
    c->tls = tls;
    c->cb = cb;
    c->context = context;
    c->deadline_ms = clock_monotonic_ms() + timeout_ms;
    c->lookup.data = c;
    if (uv_getaddrinfo(loop, &c->lookup, looked_up_cb, c->host, c->port, &hints) != 0) {
        free(c);
        return STATUS_UNAVAILABLE;
    }
    (void)uv_timer_init(loop, &c->soon);
    c->soon.data = c;
    c->looking_up = true;
    *pending = c;
    return STATUS_OK;
}

static void soon_cb(uv_timer_t *timer)
{
    report(timer->data, STATUS_CLOSED, "cancelled");
}

void tls_stream_connect_cancel(struct tls_stream_connect *c)
{
    if (c->cancelled || c->done)
        return;
    c->cancelled = true;
    if (c->looking_up)
        (void)uv_cancel((uv_req_t *)&c->lookup);
    (void)uv_timer_start(&c->soon, soon_cb, 0, 0);
}
