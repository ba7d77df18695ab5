/*
 * The join token: all that a new node needs. It names the fingerprint of the cluster's CA, so that the new
 * node gives its secret to nobody else.
 *
 *   "sealpost-join-1." + base64url( MessagePack [ CA SHA-256 bin32, secret bin32, expires u64 wall ms, [
 * HOST:PORT str, ... ] ] )
 *
 * The cluster keeps only the SHA-256 of the secret.
 */
#ifndef SEALPOST_NODE_JOIN_TOKEN_H
#define SEALPOST_NODE_JOIN_TOKEN_H

#include "base/buf.h"
#include "raft/core_protocol.h"

#define JOIN_TOKEN_PREFIX   "sealpost-join-1."
#define JOIN_TOKEN_TEXT_MAX ((size_t)8 << 10)
#define JOIN_ADDRESS_MAX    79

struct join_token {
    uint8_t ca_fingerprint[32];
    uint8_t secret[32];
    uint64_t expires_ms;
    char addresses[CORE_NODES_MAX][JOIN_ADDRESS_MAX + 1];
    size_t address_count;
};

enum status join_token_encode(const struct join_token *t, struct buf *out) MUST_CHECK;
/* Any bytes are safe. White space around it is ignored. */
enum status join_token_decode(struct slice text, struct join_token *t, struct failure *f) MUST_CHECK;

#endif
