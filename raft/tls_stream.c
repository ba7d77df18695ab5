/*
 * One TLS connection on a libuv loop. A single function, drive(), does all that can be done now: handshake,
 * reads, writes, in whatever direction OpenSSL wants; every event calls it. So it does not matter that TLS
 * may have to read in order to write.
 *
 * The way when all goes well: TCP connects (client), the handshake ends, the owner is told, it sets its
 * callbacks; bytes flow; the owner closes.
 *
 * What can go wrong: a peer that stalls in the handshake (timer), floods (a bound a wake-up, then other
 * connections have their turn), does not read (the queue's limit), or vanishes. Bytes that OpenSSL has
 * decrypted already do not wake a poll: a zero timer does.
 *
 * Memory: the stream lives until both its handles are closed, so callbacks may close it at any time. Runs on
 * the loop's thread.
 */
#include "raft/tls_stream_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_CHUNK     ((size_t)64 << 10)
#define READ_A_WAKE_UP ((size_t)1 << 20)
#define INPUT_MAX      ((size_t)80 << 20)
#define WRITE_LIMIT    ((size_t)64 << 20)
#define NODE_URI       "sealpost:node:"

enum stream_state { STREAM_CONNECTING, STREAM_HANDSHAKE, STREAM_OPEN, STREAM_ENDED, STREAM_CLOSED };

struct tls_stream {
    uv_poll_t poll;
    uv_timer_t timer; /* handshake time-out; afterwards: go on without waiting for the poll */
    unsigned handles; /* that are not closed yet */
    SSL *ssl;
    int fd;
    enum stream_state state;
    bool server, started, paused, wants_write, read_budget_spent, driving, again;
    struct buf in, out;
    size_t out_sent; /* of out */
    size_t write_limit;
    struct tls_peer peer;
    struct tls_stream_events events;
    tls_handshake_cb handshake_cb;
    void *handshake_context;
    uint64_t deadline_ms;
};

static void drive(struct tls_stream *s);

static void poll_cb(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an error shows in the next read or write */
    (void)events;
    drive(poll->data);
}

static void timer_cb(uv_timer_t *timer)
{
    drive(timer->data);
}

static void handle_closed_cb(uv_handle_t *handle)
{
    struct tls_stream *s = handle->data;

    if (--s->handles > 0)
        return;
    SSL_free(s->ssl);
    (void)close(s->fd);
    buf_release(&s->in);
    buf_release(&s->out);
    free(s);
}

enum status tls_stream_new(uv_loop_t *loop, SSL_CTX *tls, int fd, const char *alpn, bool connecting,
                           unsigned timeout_ms, tls_handshake_cb cb, void *context, struct tls_stream **out)
{
    struct tls_stream *s = calloc(1, sizeof(*s));
    unsigned char protocol[32];
    size_t alpn_len = alpn != NULL ? strlen(alpn) : 0;

    if (s == NULL || alpn_len >= sizeof(protocol))
        goto err;
    s->ssl = SSL_new(tls);
    if (s->ssl == NULL || SSL_set_fd(s->ssl, fd) != 1)
        goto err;
    if (alpn != NULL) {
        protocol[0] = (unsigned char)alpn_len;
        memcpy(protocol + 1, alpn, alpn_len);
        if (SSL_set_alpn_protos(s->ssl, protocol, (unsigned)alpn_len + 1) != 0)
            goto err;
        SSL_set_connect_state(s->ssl);
    } else {
        SSL_set_accept_state(s->ssl);
    }
    if (uv_poll_init_socket(loop, &s->poll, fd) != 0)
        goto err;
    (void)uv_timer_init(loop, &s->timer);
    s->poll.data = s->timer.data = s;
    s->handles = 2;
    s->fd = fd;
    s->server = alpn == NULL;
    s->state = connecting ? STREAM_CONNECTING : STREAM_HANDSHAKE;
    s->in = BUF_INIT(INPUT_MAX);
    s->out = BUF_INIT(WRITE_LIMIT * 2);
    s->write_limit = WRITE_LIMIT;
    s->handshake_cb = cb;
    s->handshake_context = context;
    s->deadline_ms = clock_monotonic_ms() + timeout_ms;
    (void)uv_timer_start(&s->timer, timer_cb, timeout_ms, 0);
    (void)uv_poll_start(&s->poll, connecting ? UV_WRITABLE : UV_READABLE | UV_WRITABLE, poll_cb);
    *out = s;
    return STATUS_OK;

err:
    if (s != NULL)
        SSL_free(s->ssl);
    free(s);
    (void)close(fd);
    ERR_clear_error();
    return STATUS_NO_MEMORY;
}

void tls_stream_close(struct tls_stream *s)
{
    if (s->state == STREAM_CLOSED)
        return;
    if (s->state == STREAM_OPEN)
        (void)SSL_shutdown(s->ssl); /* best effort: the peer sees an orderly end */
    ERR_clear_error();
    s->state = STREAM_CLOSED;
    uv_close((uv_handle_t *)&s->poll, handle_closed_cb);
    uv_close((uv_handle_t *)&s->timer, handle_closed_cb);
}

/* The connection is over; the owner is told once. */
static void end(struct tls_stream *s, enum status status, const char *text)
{
    enum stream_state was = s->state;

    if (was >= STREAM_ENDED)
        return;
    s->state = STREAM_ENDED;
    (void)uv_poll_stop(&s->poll);
    (void)uv_timer_stop(&s->timer);
    if (was < STREAM_OPEN)
        s->handshake_cb(s->handshake_context, s, status, text);
    else if (s->started && s->events.ended != NULL)
        s->events.ended(s->events.context, status, text);
    /* else: tls_stream_start() tells */
}

static void end_by_ssl(struct tls_stream *s, int result)
{
    int error = SSL_get_error(s->ssl, result);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    long verified = SSL_get_verify_result(s->ssl);
    struct failure f;

    if (error == SSL_ERROR_ZERO_RETURN)
        (void)failure_set(&f, STATUS_OK, "closed by the peer");
    else if (s->state == STREAM_HANDSHAKE && verified != X509_V_OK)
        (void)failure_set(&f, STATUS_UNTRUSTED, "the peer's certificate is not of this cluster: %s",
                          X509_verify_cert_error_string(verified));
    else if (reason != NULL)
        (void)failure_set(&f, STATUS_CLOSED, "TLS: %s", reason);
    else
        (void)failure_set(&f, STATUS_CLOSED, "the connection broke");
    ERR_clear_error();
    end(s, f.status, f.text);
}

static uint64_t node_id_of(X509 *x)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    uint64_t id = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && id == 0; i++) {
        GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        struct slice uri;

        if (name->type != GEN_URI)
            continue;
        uri = slice_of(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                       (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier));
        if (slice_starts_with(uri, SLICE_LITERAL(NODE_URI)) &&
            !slice_parse_u64(slice_of(uri.data + sizeof(NODE_URI) - 1, uri.len - (sizeof(NODE_URI) - 1)),
                             &id))
            id = 0;
    }
    GENERAL_NAMES_free(names);
    return id;
}

static bool hash_public_key(X509 *x, uint8_t hash[32])
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    bool good = len > 0 && EVP_Digest(der, (size_t)len, hash, NULL, EVP_sha256(), NULL) == 1;

    OPENSSL_free(der);
    return good;
}

/* Who is there, and may it speak what it wants to speak? */
static bool know_peer(struct tls_stream *s)
{
    X509 *x = SSL_get1_peer_certificate(s->ssl);
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    bool join;

    SSL_get0_alpn_selected(s->ssl, &alpn, &alpn_len);
    if (alpn_len == 0 || alpn_len >= sizeof(s->peer.alpn)) {
        X509_free(x);
        return false;
    }
    memcpy(s->peer.alpn, alpn, alpn_len);
    if (x != NULL && SSL_get_verify_result(s->ssl) == X509_V_OK && hash_public_key(x, s->peer.spki_hash)) {
        s->peer.node_id = node_id_of(x);
        s->peer.authenticated = s->peer.node_id != 0;
    }
    X509_free(x);
    ERR_clear_error();
    join = strcmp(s->peer.alpn, ALPN_JOIN) == 0;
    return s->peer.authenticated || join;
}

static void handshake(struct tls_stream *s)
{
    int result;

    if (clock_monotonic_ms() >= s->deadline_ms) {
        end(s, STATUS_TIMEOUT, "the connection was not made in time");
        return;
    }
    if (s->state == STREAM_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof(error);
        struct sockaddr_storage peer;
        socklen_t peer_len = sizeof(peer);

        if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
            end(s, STATUS_UNAVAILABLE,
                strerrordesc_np(error) != NULL ? strerrordesc_np(error) : "cannot connect");
            return;
        }
        if (getpeername(s->fd, (struct sockaddr *)&peer, &peer_len) != 0)
            return; /* not yet */
        s->state = STREAM_HANDSHAKE;
    }
    ERR_clear_error();
    result = SSL_do_handshake(s->ssl);
    if (result != 1) {
        int error = SSL_get_error(s->ssl, result);

        s->wants_write = error == SSL_ERROR_WANT_WRITE;
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            end_by_ssl(s, result);
        return;
    }
    s->wants_write = false;
    if (!know_peer(s)) {
        end(s, STATUS_UNTRUSTED, "the peer has shown no certificate of this cluster");
        return;
    }
    (void)uv_timer_stop(&s->timer);
    s->state = STREAM_OPEN;
    s->handshake_cb(s->handshake_context, s, STATUS_OK, "");
}

static void write_out(struct tls_stream *s)
{
    bool had = s->out.len > 0;

    while (s->state == STREAM_OPEN && s->out_sent < s->out.len) {
        size_t len = s->out.len - s->out_sent;
        int result;

        ERR_clear_error();
        result =
            SSL_write(s->ssl, s->out.data + s->out_sent, (int)(len < READ_A_WAKE_UP ? len : READ_A_WAKE_UP));
        if (result <= 0) {
            int error = SSL_get_error(s->ssl, result);

            s->wants_write = error == SSL_ERROR_WANT_WRITE;
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                end_by_ssl(s, result);
            break;
        }
        s->out_sent += (size_t)result;
    }
    if (s->out_sent == s->out.len) {
        buf_reset(&s->out);
        s->out_sent = 0;
        s->wants_write = false;
        if (had && s->state == STREAM_OPEN && s->started && s->events.drained != NULL)
            s->events.drained(s->events.context);
    } else if (s->out_sent >= READ_A_WAKE_UP) {
        buf_consume(&s->out, s->out_sent);
        s->out_sent = 0;
    }
}

static void deliver(struct tls_stream *s)
{
    while (s->state == STREAM_OPEN && s->in.len > 0 && !s->paused) {
        long used = s->events.data(s->events.context, buf_slice(&s->in));

        if (s->state != STREAM_OPEN || used == 0)
            return;
        if (used < 0 || (size_t)used > s->in.len) {
            end(s, STATUS_MALFORMED, "the peer sent bytes that are not of the protocol");
            return;
        }
        buf_consume(&s->in, (size_t)used);
    }
}

static void read_in(struct tls_stream *s)
{
    size_t budget = READ_A_WAKE_UP;

    s->read_budget_spent = false;
    while (s->state == STREAM_OPEN && !s->paused) {
        int result;

        if (budget == 0) {
            s->read_budget_spent = true;
            break;
        }
        if (buf_reserve(&s->in, READ_CHUNK) != STATUS_OK) {
            end(s, STATUS_TOO_LARGE, "the peer sent a message beyond all limits");
            return;
        }
        ERR_clear_error();
        result = SSL_read(s->ssl, s->in.data + s->in.len, (int)READ_CHUNK);
        if (result <= 0) {
            int error = SSL_get_error(s->ssl, result);

            if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
                break;
            deliver(s);
            if (s->state == STREAM_OPEN)
                end_by_ssl(s, result);
            return;
        }
        s->in.len += (size_t)result;
        budget -= (size_t)result < budget ? (size_t)result : budget;
    }
    deliver(s);
}

static void watch(struct tls_stream *s)
{
    int events = 0;

    if (s->state == STREAM_CONNECTING) {
        events = UV_WRITABLE;
    } else if (s->state == STREAM_HANDSHAKE) {
        events = s->wants_write ? UV_READABLE | UV_WRITABLE : UV_READABLE;
    } else if (s->state == STREAM_OPEN) {
        events = (s->started && !s->paused ? UV_READABLE : 0) | (s->out.len > 0 ? UV_WRITABLE : 0);
        if (s->read_budget_spent && !s->paused)
            (void)uv_timer_start(&s->timer, timer_cb, 0, 0);
    } else {
        return;
    }
    if (events == 0)
        (void)uv_poll_stop(&s->poll);
    else
        (void)uv_poll_start(&s->poll, events, poll_cb);
}

static void drive(struct tls_stream *s)
{
    if (s->driving) { /* a callback wrote or resumed: the loop below goes round once more */
        s->again = true;
        return;
    }
    s->driving = true;
    do {
        s->again = false;
        if (s->state == STREAM_CONNECTING || s->state == STREAM_HANDSHAKE)
            handshake(s);
        if (s->state == STREAM_OPEN && s->started)
            read_in(s);
        if (s->state == STREAM_OPEN)
            write_out(s);
    } while (s->again && s->state == STREAM_OPEN);
    s->driving = false;
    watch(s);
}

void tls_stream_start(struct tls_stream *s, const struct tls_stream_events *events)
{
    s->events = *events;
    s->started = true;
    s->read_budget_spent = true; /* something may have come already */
    if (s->state == STREAM_OPEN)
        watch(s);
}

void tls_stream_pause(struct tls_stream *s, bool paused)
{
    if (s->paused == paused)
        return;
    s->paused = paused;
    if (!paused)
        s->read_budget_spent = true;
    if (s->state == STREAM_OPEN && !s->driving)
        watch(s);
}

enum status tls_stream_write(struct tls_stream *s, struct slice bytes)
{
    enum status status;

    if (s->state != STREAM_OPEN)
        return STATUS_CLOSED;
    if (tls_stream_unsent(s) + bytes.len > s->write_limit)
        return STATUS_TOO_LARGE;
    status = buf_append_slice(&s->out, bytes);
    if (status == STATUS_OK && s->driving)
        s->again = true;
    else if (status == STATUS_OK)
        watch(s);
    return status;
}

void tls_stream_set_write_limit(struct tls_stream *s, size_t limit)
{
    s->write_limit = limit;
    s->out.max = limit * 2;
}

size_t tls_stream_unsent(const struct tls_stream *s)
{
    return s->out.len - s->out_sent;
}

const struct tls_peer *tls_stream_peer(const struct tls_stream *s)
{
    return &s->peer;
}

SSL *tls_stream_ssl(struct tls_stream *s)
{
    return s->ssl;
}
