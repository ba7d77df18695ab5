/*
 * c-raft's transport over TLS; internal to raft/. c-raft wants plain uv streams: it gets one end of a
 * socketpair, whose other end a pump serves on the same loop, between the pair and the TLS connection. A
 * connection carries messages in one direction only, from the one that connected.
 *
 * After the handshake the connecting node says its advertised address: length u8, then the text.
 */
#ifndef SEALPOST_RAFT_TRANSPORT_H
#define SEALPOST_RAFT_TRANSPORT_H

#include "raft/replica.h"
#include "raft/tls_stream.h"

#include <raft/uv.h>

struct transport;

struct transport_options {
    uv_loop_t *loop;
    SSL_CTX *server_tls, *client_tls;
    int listener; /* taken by listen */
    bool (*peer_allowed)(void *context, uint64_t id, const uint8_t spki_hash[32]);
    const struct tls_stream_accept *accept; /* for other protocols; may be NULL */
    void *context;
};

/* Fills `out` for raft_uv_init(). `t` lives until the transport's close callback has fired; then
 * transport_free. */
enum status transport_new(const struct transport_options *options, struct raft_uv_transport *out,
                          struct transport **t) MUST_CHECK;
void transport_free(struct transport *t);

#endif
