/*
 * A TLS connection between nodes on a libuv loop: TCP by uv_poll, TLS 1.3, handshake timer, bounded read a
 * wake-up, ordered writes. Both c-raft's transport (raft/transport.c pumps it into a socketpair) and the peer
 * requests of node/core use it.
 *
 * ALPN says what the connection is for: "sealpost-raft/1" (peers' certificates needed), "sealpost-rpc/1" (the
 * same), "sealpost-join/1" (no client certificate; the joining node pins the cluster CA by its fingerprint).
 */
#ifndef SEALPOST_RAFT_TLS_STREAM_H
#define SEALPOST_RAFT_TLS_STREAM_H

#include "base/buf.h"

#include <openssl/ssl.h>
#include <uv.h>

#define ALPN_RAFT "sealpost-raft/1"
#define ALPN_RPC  "sealpost-rpc/1"
#define ALPN_JOIN "sealpost-join/1"

struct tls_stream;

struct tls_peer {
    bool authenticated; /* it has shown a certificate that chains to the cluster CA */
    uint64_t node_id;   /* from the certificate's URI name sealpost:node:ID; 0 if none */
    uint8_t spki_hash[32];
    char alpn[24];
};

struct tls_stream_accept {
    /* Takes the stream: set callbacks with tls_stream_start(), or close it. */
    void (*cb)(void *context, struct tls_stream *stream, const struct tls_peer *peer);
    void *context;
};

struct tls_stream_events {
    /* Bytes came; how many were used (the rest is given again with more). Negative: protocol error, the
     * stream is closed. */
    long (*data)(void *context, struct slice bytes);
    /* The connection is over (OK: peer closed in order). Called once, unless tls_stream_close() was called
     * before; then call tls_stream_close(). */
    void (*ended)(void *context, enum status status, const char *text);
    /* Everything that was written is with the kernel; may be NULL. */
    void (*drained)(void *context);
    void *context;
};

typedef void (*tls_stream_connect_cb)(void *context, enum status status, const char *text,
                                      struct tls_stream *stream, const struct tls_peer *peer);
struct tls_stream_connect; /* a pending connect */
/* Never calls back from within the call; always once, also when cancelled (status CLOSED). `address` is
 * HOST:PORT. The peer's certificate is verified by `tls` (or by the caller afterwards when the context says
 * SSL_VERIFY_NONE: join). Handshake included in timeout_ms. */
enum status tls_stream_connect(uv_loop_t *loop, SSL_CTX *tls, const char *address, const char *alpn,
                               unsigned timeout_ms, tls_stream_connect_cb cb, void *context,
                               struct tls_stream_connect **pending) MUST_CHECK;
void tls_stream_connect_cancel(struct tls_stream_connect *pending);

/* Serve a listening descriptor (taken): each connection whose handshake ends within timeout_ms goes to
 * accept->cb. */
struct tls_listener;
enum status tls_listener_new(uv_loop_t *loop, SSL_CTX *tls, int fd, unsigned timeout_ms,
                             const struct tls_stream_accept *accept, struct tls_listener **out) MUST_CHECK;
void tls_listener_close(struct tls_listener *l, void (*closed)(void *context), void *context);

void tls_stream_start(struct tls_stream *s, const struct tls_stream_events *events);
void tls_stream_pause(struct tls_stream *s, bool paused); /* stop or go on reading */
/* Copied into the stream's queue; TOO_LARGE when more than `limit` bytes wait already. */
enum status tls_stream_write(struct tls_stream *s, struct slice bytes) MUST_CHECK;
void tls_stream_set_write_limit(struct tls_stream *s, size_t limit); /* default 64 MB */
size_t tls_stream_unsent(const struct tls_stream *s);
const struct tls_peer *tls_stream_peer(const struct tls_stream *s);
SSL *tls_stream_ssl(struct tls_stream *s); /* borrowed, e.g. for the peer's chain */
void tls_stream_close(
    struct tls_stream *s); /* frees itself when its handles are closed; no callback comes any more */

/* Contexts: own chain and key, the CA as the only trust; TLS 1.3 only, no tickets, no session cache. The
 * server asks for a client certificate and lets connections without one through to their ALPN (only join
 * accepts them). All PEM/DER come as OpenSSL objects, up-referenced. */
enum status tls_context_peer(bool server, X509 *certificate, EVP_PKEY *key, X509 *ca, SSL_CTX **out,
                             struct failure *f) MUST_CHECK;
/* Client context for a join: no certificate, verification by the caller. */
enum status tls_context_join(SSL_CTX **out, struct failure *f) MUST_CHECK;

#endif
