/*
 * TCP with or without TLS on libuv (smtp/stream.h). On the loop's thread.
 *
 * In: uv reads into one buffer that all streams of the thread share; plain bytes go to the owner from there,
 * TLS bytes through OpenSSL into a second one. Only what the owner does not take is copied. Out: `out`
 * gathers plain bytes; flush hands them (sealed, if TLS) to uv_try_write, and what the kernel does not take
 * to uv_write.
 */
#include "smtp/stream.h"

#include <openssl/err.h>

#include <sys/socket.h>

#define READ_SIZE   ((size_t)64 << 10)
#define KEPT_ENOUGH ((size_t)64 << 10)
#define LINGER_MS   2000
#define FINISH_MS   30000
#define RECORD_SIZE ((size_t)16 << 10)

static _Thread_local uint8_t read_buffer[READ_SIZE];
static _Thread_local uint8_t tls_buffer[READ_SIZE];

struct stream {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connect;
    uv_write_t write;
    const struct stream_events *events;
    void *context;
    struct buf in;      /* received, not used by the owner */
    struct buf out;     /* plain, not flushed */
    struct buf wire;    /* sealed or plain, not taken by the kernel yet: the next uv_write */
    struct buf sending; /* in uv_write */
    SSL *ssl;
    BIO *from_peer, *to_peer; /* the SSL's */
    bool reading, paused, delivering, ended, finishing, linger, closing, writing, was_full, handshaken;
    unsigned handles; /* not yet closed */
    enum status end_status;
    char end_text[160];
};

static void deliver(struct stream *s);
static void wire_send(struct stream *s);
static void tls_input(struct stream *s, struct slice bytes);

static void on_handle_closed(uv_handle_t *handle)
{
    struct stream *s = handle->data;
    if (--s->handles > 0) {
        return;
    }
    buf_release(&s->in);
    buf_release(&s->out);
    buf_release(&s->wire);
    buf_release(&s->sending);
    SSL_free(s->ssl);
    free(s);
}

void stream_close(struct stream *s)
{
    if (s == NULL || s->closing) {
        return;
    }
    s->closing = true;
    s->events = NULL;
    uv_close((uv_handle_t *)&s->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
}

static void on_end_timer(uv_timer_t *timer)
{
    struct stream *s = timer->data;
    if (s->events != NULL && !s->closing) {
        s->events->ended(s->context, s->end_status, s->end_text);
    }
}

/* Tell the owner, once, and never from within one of its own calls. */
static void end(struct stream *s, enum status status, const char *text)
{
    if (s->ended || s->closing) {
        return;
    }
    s->ended = true;
    s->end_status = status;
    (void)!snprintf(s->end_text, sizeof s->end_text, "%s", text);
    if (s->reading) {
        s->reading = false;
        (void)uv_read_stop((uv_stream_t *)&s->tcp);
    }
    if (s->finishing) {
        stream_close(s);
        return;
    }
    (void)uv_timer_start(&s->timer, on_end_timer, 0, 0);
}

static void end_uv(struct stream *s, int error)
{
    if (error == UV_EOF) {
        end(s, STATUS_OK, "the other side closed the connection");
    } else {
        end(s, error == UV_ETIMEDOUT ? STATUS_TIMEOUT : STATUS_CLOSED, uv_strerror(error));
    }
}

static void end_tls(struct stream *s, const char *what)
{
    unsigned long error = ERR_get_error();
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;
    long verify = s->ssl != NULL ? SSL_get_verify_result(s->ssl) : X509_V_OK;
    char text[160];
    (void)!snprintf(text, sizeof text, "%s: %s", what,
                    verify != X509_V_OK ? X509_verify_cert_error_string(verify)
                    : reason != NULL    ? reason
                                        : "unknown error");
    ERR_clear_error();
    end(s, STATUS_CLOSED, text);
}

/* --- out --- */

static void on_written(uv_write_t *request, int error)
{
    struct stream *s = request->data;
    s->writing = false;
    buf_reset(&s->sending);
    if (s->closing) {
        return;
    }
    if (error != 0) {
        end_uv(s, error);
        return;
    }
    wire_send(s);
}

static void all_sent(struct stream *s)
{
    if (s->finishing) {
        if (!s->linger) {
            stream_close(s);
            return;
        }
        int fd = -1;
        if (uv_fileno((uv_handle_t *)&s->tcp, &fd) == 0) {
            (void)shutdown(fd, SHUT_WR);
        }
        return;
    }
    if (s->was_full) {
        s->was_full = false;
        if (s->events != NULL && s->events->drained != NULL) {
            s->events->drained(s->context);
        }
    }
}

static void wire_send(struct stream *s)
{
    if (s->writing || s->closing || s->ended) {
        return;
    }
    if (s->wire.len > 0) {
        uv_buf_t piece = uv_buf_init((char *)s->wire.data, (unsigned)s->wire.len);
        int n = uv_try_write((uv_stream_t *)&s->tcp, &piece, 1);
        if (n < 0 && n != UV_EAGAIN) {
            end_uv(s, n);
            return;
        }
        buf_consume(&s->wire, n > 0 ? (size_t)n : 0);
    }
    if (s->wire.len == 0) {
        all_sent(s);
        return;
    }
    struct buf swap = s->sending;
    s->sending = s->wire;
    s->wire = swap;
    s->was_full = true;
    uv_buf_t piece = uv_buf_init((char *)s->sending.data, (unsigned)s->sending.len);
    s->write.data = s;
    int error = uv_write(&s->write, (uv_stream_t *)&s->tcp, &piece, 1, on_written);
    if (error != 0) {
        end_uv(s, error);
        return;
    }
    s->writing = true;
}

/* What OpenSSL has to say to the peer goes onto the wire. */
static bool tls_take_output(struct stream *s)
{
    char *data = NULL;
    long len = BIO_get_mem_data(s->to_peer, &data);
    if (len <= 0) {
        return true;
    }
    if (buf_append(&s->wire, data, (size_t)len) != STATUS_OK) {
        return false;
    }
    (void)BIO_reset(s->to_peer);
    return true;
}

void stream_flush(struct stream *s)
{
    if (s->closing || s->ended) {
        return;
    }
    bool good = true;
    if (s->ssl == NULL) {
        if (s->wire.len == 0 && !s->writing) {
            struct buf swap = s->wire;
            s->wire = s->out;
            s->out = swap;
        } else {
            good = buf_append_slice(&s->wire, buf_slice(&s->out)) == STATUS_OK;
        }
    } else if (s->handshaken) {
        for (size_t at = 0; at < s->out.len && good;) {
            size_t len = s->out.len - at < RECORD_SIZE ? s->out.len - at : RECORD_SIZE;
            good = SSL_write(s->ssl, s->out.data + at, (int)len) == (int)len;
            at += len;
        }
        good = good && tls_take_output(s);
    } else {
        return;
    }
    buf_reset(&s->out);
    if (!good) {
        end(s, STATUS_NO_MEMORY, "too much waits to be sent");
        return;
    }
    wire_send(s);
}

void stream_write(struct stream *s, struct slice bytes)
{
    if (s->closing || s->ended) {
        return;
    }
    if (buf_append_slice(&s->out, bytes) != STATUS_OK) {
        end(s, STATUS_NO_MEMORY, "too much waits to be sent");
    }
}

struct buf *stream_output(struct stream *s)
{
    return &s->out;
}

size_t stream_unsent(const struct stream *s)
{
    return s->out.len + s->wire.len + s->sending.len;
}

/* --- in --- */

/* The owner has begun TLS behind bytes that it used in plain text (a PROXY header before implicit TLS): what
 * came behind them is the handshake's. After STARTTLS there is nothing: owners refuse or drop it. */
static bool tls_begun(struct stream *s, bool was_plain, struct slice rest)
{
    if (!was_plain || s->ssl == NULL || s->closing || s->finishing) {
        return false;
    }
    if (rest.len > 0) {
        tls_input(s, rest);
    }
    return true;
}

/* Give bytes to the owner: what was kept first. True while the owner wants more. */
static void give(struct stream *s, struct slice bytes)
{
    if (s->finishing || s->closing) {
        return;
    }
    if (s->in.len > 0 || s->paused || s->delivering) {
        if (buf_append_slice(&s->in, bytes) != STATUS_OK) {
            end(s, STATUS_TOO_LARGE, "too much came that was not asked for");
            return;
        }
        deliver(s);
        return;
    }
    bool plain = s->ssl == NULL;
    s->delivering = true;
    size_t used = s->events->data(s->context, bytes);
    s->delivering = false;
    if (s->closing || s->finishing) {
        return;
    }
    if (s->in.len == 0 && tls_begun(s, plain, slice_of(bytes.data + used, bytes.len - used))) {
        return;
    }
    if (used < bytes.len && buf_append(&s->in, bytes.data + used, bytes.len - used) != STATUS_OK) {
        end(s, STATUS_TOO_LARGE, "too much came that was not asked for");
        return;
    }
    if (s->in.len > 0) {
        deliver(s); /* the owner may have paused and resumed within the call */
    }
}

/* The owner leaves bytes alone while it waits for something: enough is enough, the peer can wait too. */
static void hold_back(struct stream *s)
{
    if (s->in.len >= KEPT_ENOUGH && s->reading) {
        s->reading = false;
        (void)uv_read_stop((uv_stream_t *)&s->tcp);
    }
}

static void deliver(struct stream *s)
{
    if (s->delivering) {
        return;
    }
    bool plain = s->ssl == NULL;
    s->delivering = true;
    while (s->in.len > 0 && !s->paused && !s->closing && !s->finishing && !s->ended) {
        size_t used = s->events->data(s->context, buf_slice(&s->in));
        if (s->closing) {
            break;
        }
        /* Within the call the kept bytes may have been dropped (STARTTLS). */
        buf_consume(&s->in, used < s->in.len ? used : s->in.len);
        if (used == 0 || (plain && s->ssl != NULL)) {
            break;
        }
    }
    s->delivering = false;
    if (plain && s->ssl != NULL && !s->closing && s->in.len > 0) {
        struct buf rest = s->in;
        s->in = BUF_INIT(rest.max);
        (void)tls_begun(s, plain, buf_slice(&rest));
        buf_release(&rest);
    }
    if (!s->closing) {
        hold_back(s);
    }
}

/* The handshake's flights leave buffers of their size behind, in memory BIOs for good: an idle session needs
 * none of them. */
static void tls_slim(struct stream *s)
{
    BIO *in = NULL, *out = NULL;
    if (BIO_pending(s->from_peer) == 0 && BIO_pending(s->to_peer) == 0) {
        in = BIO_new(BIO_s_mem());
        out = BIO_new(BIO_s_mem());
    }
    if (in == NULL || out == NULL) {
        BIO_free(in);
        BIO_free(out);
    } else {
        (void)BIO_set_mem_eof_return(in, -1);
        (void)BIO_set_mem_eof_return(out, -1);
        s->from_peer = in;
        s->to_peer = out;
        SSL_set_bio(s->ssl, in, out); /* frees the old ones */
    }
    if (s->wire.len == 0) {
        buf_release(&s->wire);
    }
    if (s->out.len == 0) {
        buf_release(&s->out);
    }
    if (!s->writing) {
        buf_release(&s->sending);
    }
}

static void tls_handshake(struct stream *s)
{
    int n = SSL_do_handshake(s->ssl);
    if (!tls_take_output(s)) {
        end(s, STATUS_NO_MEMORY, "too much waits to be sent");
        return;
    }
    if (n == 1) {
        s->handshaken = true;
        wire_send(s);
        tls_slim(s);
        if (!s->closing && !s->ended) {
            s->events->secured(s->context);
        }
        return;
    }
    int error = SSL_get_error(s->ssl, n);
    wire_send(s); /* also the alert that says why not */
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        end_tls(s, "TLS handshake failed");
    }
}

static void tls_input(struct stream *s, struct slice bytes)
{
    if (BIO_write(s->from_peer, bytes.data, (int)bytes.len) != (int)bytes.len) {
        end(s, STATUS_NO_MEMORY, "no memory for TLS");
        return;
    }
    if (!s->handshaken) {
        tls_handshake(s);
    }
    while (s->handshaken && !s->closing && !s->ended) {
        int n = SSL_read(s->ssl, tls_buffer, sizeof tls_buffer);
        if (n > 0) {
            give(s, slice_of(tls_buffer, (size_t)n));
            continue;
        }
        int error = SSL_get_error(s->ssl, n);
        if (!tls_take_output(s)) {
            end(s, STATUS_NO_MEMORY, "too much waits to be sent");
            return;
        }
        wire_send(s);
        if (error == SSL_ERROR_ZERO_RETURN) {
            end(s, STATUS_OK, "the other side closed the connection");
        } else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            end_tls(s, "TLS failed");
        }
        return;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)handle;
    (void)suggested;
    *out = uv_buf_init((char *)read_buffer, sizeof read_buffer);
}

static void on_read(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buffer)
{
    struct stream *s = tcp->data;
    if (n == 0 || s->closing) {
        return;
    }
    if (n < 0) {
        end_uv(s, (int)n);
        return;
    }
    if (s->finishing) {
        return; /* lingering: dropped */
    }
    struct slice bytes = slice_of(buffer->base, (size_t)n);
    if (s->ssl != NULL) {
        tls_input(s, bytes);
    } else {
        give(s, bytes);
    }
}

static void read_start(struct stream *s)
{
    if (!s->reading && !s->ended && !s->closing) {
        int error = uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
        if (error != 0) {
            end_uv(s, error);
            return;
        }
        s->reading = true;
    }
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    if (s->reading) {
        s->reading = false;
        (void)uv_read_stop((uv_stream_t *)&s->tcp);
    }
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    deliver(s);
    if (!s->paused && !s->closing) {
        read_start(s);
    }
}

size_t stream_kept(const struct stream *s)
{
    return s->in.len;
}

void stream_drop_kept(struct stream *s)
{
    buf_reset(&s->in);
}

/* --- TLS --- */

/* Takes `ssl`. */
static enum status tls_attach(struct stream *s, SSL *ssl)
{
    s->from_peer = BIO_new(BIO_s_mem());
    s->to_peer = BIO_new(BIO_s_mem());
    if (ssl == NULL || s->from_peer == NULL || s->to_peer == NULL) {
        BIO_free(s->from_peer);
        BIO_free(s->to_peer);
        SSL_free(ssl);
        return STATUS_NO_MEMORY;
    }
    s->ssl = ssl;
    (void)BIO_set_mem_eof_return(s->from_peer, -1);
    (void)BIO_set_mem_eof_return(s->to_peer, -1);
    SSL_set_bio(s->ssl, s->from_peer, s->to_peer);
    return STATUS_OK;
}

enum status stream_start_tls(struct stream *s, SSL_CTX *tls)
{
    enum status status = s->ssl != NULL ? STATUS_INVALID : tls_attach(s, SSL_new(tls));
    if (status == STATUS_OK) {
        SSL_set_accept_state(s->ssl);
    }
    return status;
}

enum status stream_start_tls_with(struct stream *s, SSL *ssl)
{
    if (s->ssl != NULL) {
        SSL_free(ssl);
        return STATUS_INVALID;
    }
    enum status status = tls_attach(s, ssl);
    if (status == STATUS_OK) {
        SSL_set_connect_state(s->ssl);
        tls_handshake(s);
    }
    return status;
}

SSL *stream_ssl(struct stream *s)
{
    return s->ssl;
}

/* --- life --- */

static void on_timeout(uv_timer_t *timer)
{
    struct stream *s = timer->data;
    if (s->finishing) {
        stream_close(s);
    } else if (s->events != NULL && !s->closing && !s->ended) {
        s->events->timeout(s->context);
    }
}

void stream_set_timeout(struct stream *s, uint64_t ms)
{
    if (s->closing || s->ended) {
        return; /* the timer has the end to tell */
    }
    if (ms == 0) {
        (void)uv_timer_stop(&s->timer);
    } else {
        (void)uv_timer_start(&s->timer, on_timeout, ms, 0);
    }
}

void stream_finish(struct stream *s, bool linger)
{
    if (s->closing || s->finishing) {
        return;
    }
    if (s->ended) {
        stream_close(s);
        return;
    }
    if (s->ssl != NULL && s->handshaken) {
        stream_flush(s);
        (void)SSL_shutdown(s->ssl);
        (void)tls_take_output(s);
    }
    s->finishing = true;
    s->events = NULL;
    s->linger = linger;
    (void)uv_timer_start(&s->timer, on_timeout, linger ? LINGER_MS : FINISH_MS, 0);
    if (linger) {
        read_start(s);
    }
    if (s->ssl == NULL) {
        stream_flush(s);
    } else {
        wire_send(s);
    }
}

bool stream_is_owned(const struct stream *s)
{
    return s->events != NULL;
}

static bool name_of(const struct sockaddr_storage *address, char *out, size_t size)
{
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            return uv_inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, out, size) == 0;
        }
        return uv_ip6_name(in6, out, size) == 0;
    }
    return uv_ip4_name((const struct sockaddr_in *)address, out, size) == 0;
}

bool stream_peer_name(struct stream *s, char *out, size_t size)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    return uv_tcp_getpeername(&s->tcp, (struct sockaddr *)&address, &len) == 0 &&
           name_of(&address, out, size);
}

bool stream_own_name(struct stream *s, char *out, size_t size)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    return uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&address, &len) == 0 &&
           name_of(&address, out, size);
}

static struct stream *stream_new(uv_loop_t *loop, const struct stream_events *events, void *context)
{
    struct stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->events = events;
    s->context = context;
    s->paused = true;
    s->in = BUF_INIT(STREAM_INPUT_MAX);
    s->out = BUF_INIT(STREAM_OUTPUT_MAX);
    s->wire = BUF_INIT(2 * STREAM_OUTPUT_MAX);
    s->sending = BUF_INIT(2 * STREAM_OUTPUT_MAX);
    if (uv_tcp_init(loop, &s->tcp) != 0) {
        free(s);
        return NULL;
    }
    (void)uv_timer_init(loop, &s->timer);
    s->tcp.data = s;
    s->timer.data = s;
    s->handles = 2;
    return s;
}

struct stream *stream_accept(uv_stream_t *listener, const struct stream_events *events, void *context)
{
    struct stream *s = stream_new(listener->loop, events, context);
    if (s == NULL) {
        return NULL;
    }
    if (uv_accept(listener, (uv_stream_t *)&s->tcp) != 0) {
        stream_close(s);
        return NULL;
    }
    (void)uv_tcp_nodelay(&s->tcp, 1);
    return s;
}

static void on_connected(uv_connect_t *request, int error)
{
    struct stream *s = request->data;
    if (s->closing || s->ended) {
        return;
    }
    if (error != 0) {
        end_uv(s, error);
        return;
    }
    (void)uv_tcp_nodelay(&s->tcp, 1);
    s->events->connected(s->context);
}

struct stream *stream_connect(uv_loop_t *loop, const struct sockaddr *source, const struct sockaddr *address,
                              const struct stream_events *events, void *context)
{
    struct stream *s = stream_new(loop, events, context);
    if (s == NULL) {
        return NULL;
    }
    s->connect.data = s;
    int error = source != NULL ? uv_tcp_bind(&s->tcp, source, 0) : 0;
    if (error == 0) {
        error = uv_tcp_connect(&s->connect, &s->tcp, address, on_connected);
    }
    if (error != 0) {
        end_uv(s, error);
    }
    return s;
}
