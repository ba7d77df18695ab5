/*
 * One TCP connection on the loop, plain at first, TLS after stream_start_tls(): what server and client
 * sessions have in common. Reads are big and go straight to the owner; writes gather until stream_flush(), so
 * that the replies to pipelined commands leave as one. TLS runs over memory BIOs: OpenSSL never sees the
 * socket.
 *
 * The owner sets its events before anything else and gets no callback after stream_close() or
 * stream_finish().
 */
#ifndef SEALPOST_SMTP_STREAM_H
#define SEALPOST_SMTP_STREAM_H

#include "base/buf.h"

#include <openssl/ssl.h>
#include <uv.h>

struct stream;

struct stream_events {
    /* Bytes came; gives how many were used. The rest is kept and given again, with more. */
    size_t (*data)(void *context, struct slice bytes);
    /* The connection is over; the owner calls stream_close(). OK: the peer closed in order. */
    void (*ended)(void *context, enum status status, const char *text);
    void (*drained)(void *context); /* all that was written is with the kernel, after a time when it was not;
                                       may be NULL */
    void (*secured)(void *context); /* the TLS handshake is done */
    void (*timeout)(void *context); /* see stream_set_timeout() */
    void (*connected)(void *context); /* of stream_connect() */
};

#define STREAM_INPUT_MAX  ((size_t)256 << 10) /* bytes given back unused */
#define STREAM_OUTPUT_MAX ((size_t)4 << 20)

/* The next connection of a listening handle; NULL if there is none. Reading begins with stream_resume(). */
struct stream *stream_accept(uv_stream_t *listener, const struct stream_events *events, void *context);
/* `source`: our own address to connect from; NULL: any. NULL when memory is short. The outcome comes by
 * connected or ended, never from within the call. */
struct stream *stream_connect(uv_loop_t *loop, const struct sockaddr *source, const struct sockaddr *address,
                              const struct stream_events *events, void *context);

/* Appended to the output; nothing leaves before stream_flush(). A failure ends the stream (by `ended`,
 * later). */
void stream_write(struct stream *s, struct slice bytes);
struct buf *stream_output(struct stream *s); /* plain streams and TLS alike: append here, then flush */
void stream_flush(struct stream *s);
size_t stream_unsent(const struct stream *s); /* bytes that the kernel has not taken yet */

void stream_pause(struct stream *s);        /* no data any more until ... */
void stream_resume(struct stream *s);       /* what was kept is given first, from within this call */
size_t stream_kept(const struct stream *s); /* bytes received and not used */
void stream_drop_kept(struct stream *s);

/* As a server. What was kept is the peer's first flight. INVALID if TLS is there already. */
enum status stream_start_tls(struct stream *s, SSL_CTX *tls) MUST_CHECK;
/* The same as a client with an SSL of one's own, whose names and checks are set. Takes it, also on failure.
 */
enum status stream_start_tls_with(struct stream *s, SSL *ssl) MUST_CHECK;
SSL *stream_ssl(struct stream *s); /* NULL if plain */

/* `timeout` is called once when nobody has set it anew for that long; 0 takes it away. */
void stream_set_timeout(struct stream *s, uint64_t ms);
bool stream_peer_name(struct stream *s, char *out, size_t size); /* the peer's IP address as text */
bool stream_own_name(struct stream *s, char *out, size_t size);  /* ours */

/* False after stream_close() or stream_finish(), until the loop turns: lets an owner find out that it has let
 * go within a call. */
bool stream_is_owned(const struct stream *s);
void stream_close(struct stream *s); /* at once; frees itself */
/* Writes what is there, then closes. `linger`: what the peer still sends is read and dropped for two seconds,
 * so that a reset does not take the last reply away from it. */
void stream_finish(struct stream *s, bool linger);

#endif
