/*
 * Requests between the cores of two nodes, over mutual TLS with ALPN "sealpost-rpc/1". Each node keeps one
 * connection to each other for its own requests and serves those of the others.
 *
 * A frame: bytes 0..3: length of the MessagePack, big endian (at most PEER_FRAME_MAX); then the MessagePack:
 *   request  [ 0, number u64, method u64, argument, ... ]
 *   answer   [ 1, number u64, status u64, text str, result, ... ]
 *   notice   [ 2, text str ]             "you were removed": the receiver stops for good
 *
 * Methods (arguments -> results); those with * are for the leader only, which answers NOT_LEADER elsewhere:
 * a request is forwarded once, never round in circles.
 *   PROPOSE *      command bin   -> index u64, status of the command u64, its text str, value bin
 *   READ_INDEX *                 -> index u64
 *   INFO                         -> role, term, commit, applied, last, leader id: u64 each,
 *                                   space low bool, release str
 *   HASH           index u64     -> hash bin32
 *   TRANSFER *     name str      -> name of the new leader str
 *   APPLIED        index u64     -> index u64: answered once this node has applied that much
 *   NODE_REMOVE *  name str      -> index u64
 *   MESSAGES       type u64, arguments bin, their number u64 -> answer bin: MESSAGE_LIST or MESSAGE_SHOW of
 *                                   smtp/queue_protocol.h, asked of this node's smtp; raw MessagePack
 */
#ifndef SEALPOST_NODE_PEER_RPC_H
#define SEALPOST_NODE_PEER_RPC_H

#include "base/msgpack_read.h"
#include "raft/core_protocol.h"
#include "raft/tls_stream.h"

#define PEER_FRAME_MAX ((size_t)(1 << 20) + 4096)

enum peer_method {
    PEER_PROPOSE = 1,
    PEER_READ_INDEX,
    PEER_INFO,
    PEER_HASH,
    PEER_TRANSFER,
    PEER_NODE_REMOVE,
    PEER_APPLIED,
    PEER_MESSAGES
};

struct core;

/* --- asking --- */

struct peer_links; /* connections to the others, by node id */

/* `results` is positioned at the first result (status OK), or NULL. Called exactly once, never from within
 * peer_call(). UNAVAILABLE, TIMEOUT and CLOSED mean "unknown". */
typedef void (*peer_answer_cb)(void *context, enum status status, const char *text,
                               struct msgpack_reader *results);

struct peer_links *peer_links_new(struct core *core);
void peer_links_close(struct peer_links *l); /* open calls are answered with CLOSED; frees */
/* `args` are raw MessagePack values, copied. */
void peer_call(struct peer_links *l, uint64_t node_id, enum peer_method method, struct slice args,
               size_t arg_count, unsigned timeout_ms, peer_answer_cb cb, void *context);
void peer_links_tick(struct peer_links *l, uint64_t now); /* time-outs, reconnects: call every 100 ms or so */
/* Another node leads now: what was asked of others as the leader ends with UNAVAILABLE, to be asked again
 * there. */
void peer_links_leader_changed(struct peer_links *l, uint64_t leader_id);
void peer_links_forget(struct peer_links *l, uint64_t node_id); /* a node that is gone */

/* --- serving --- */

struct peer_sessions;
struct peer_request; /* one that waits for its answer */

struct peer_sessions *peer_sessions_new(struct core *core);
void peer_sessions_close(
    struct peer_sessions *s); /* requests that are still open may be answered later: into the void */
/* Takes the stream of an authenticated, admitted peer. */
void peer_session_start(struct peer_sessions *s, struct tls_stream *stream);
/* Tell a removed node so, then close. Takes the stream. */
void peer_session_refuse(struct peer_sessions *s, struct tls_stream *stream, const char *text);
/* The same for the sessions of nodes that `removed` says are gone. */
void peer_sessions_refuse(struct peer_sessions *s, bool (*removed)(struct core *core, uint64_t node_id),
                          const char *text);
/* Exactly once; `results` are raw MessagePack values. Frees the request. */
void peer_request_answer(struct peer_request *q, enum status status, const char *text, struct slice results,
                         size_t count);
uint64_t peer_request_node(const struct peer_request *q);

#endif
