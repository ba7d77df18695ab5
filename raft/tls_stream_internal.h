/* What tls_stream.c, tls_connect.c and tls_listener.c share; internal to raft/. */
#ifndef SEALPOST_RAFT_TLS_STREAM_INTERNAL_H
#define SEALPOST_RAFT_TLS_STREAM_INTERNAL_H

#include "raft/tls_stream.h"

/* Called once: the handshake is done (OK) or the connection failed. After a failure the stream is closed by
 * the callee. */
typedef void (*tls_handshake_cb)(void *context, struct tls_stream *stream, enum status status,
                                 const char *text);

/* Takes fd. A client stream names its ALPN; a server's is NULL. `connecting`: the TCP connection is still
 * under way. Never calls back from within. */
enum status tls_stream_new(uv_loop_t *loop, SSL_CTX *tls, int fd, const char *alpn, bool connecting,
                           unsigned timeout_ms, tls_handshake_cb cb, void *context,
                           struct tls_stream **out) MUST_CHECK;

#endif
