/*
 * What a joining node and a member say to each other, over TLS with ALPN "sealpost-join/1": one request, one
 * answer, each a frame:
 *   bytes 0..3: length of the MessagePack, big endian (at most JOIN_FRAME_MAX); then the MessagePack
 *
 *   request  [ 1, secret bin32, name str, peer address str, api address str, smtp address str, names str,
 *              peer public key bin, service public key bin (SubjectPublicKeyInfo DER), command set u64,
 *              master key check bin32, or empty: the new node holds no master key yet ]
 *   answer   [ status u16, text str, node id u64, cluster name str, ca DER bin, peer certificate DER bin,
 *              service certificate DER bin, master key bin32, peers bin ]
 *
 * `peers` is kept by the new node as identity/peers until its store knows better:
 *   [ [ id u64, name str, HOST:PORT str, SPKI hash bin32 ], ... ]
 * The private keys are made by the new node and never leave it.
 */
#ifndef SEALPOST_NODE_JOIN_PROTOCOL_H
#define SEALPOST_NODE_JOIN_PROTOCOL_H

#include "base/buf.h"
#include "raft/core_protocol.h"

#define JOIN_FRAME_MAX      ((size_t)64 << 10)
#define JOIN_PUBLIC_KEY_MAX 1024
#define JOIN_NAMES_MAX      1024

struct join_request {
    struct slice secret, name, peer_address, api_address, smtp_address, names, peer_key, service_key;
    struct slice master_check; /* node/master_key.h */
    uint64_t command_set;
};

struct join_answer {
    enum status status;
    struct slice text;
    uint64_t node_id;
    struct slice cluster_name, ca, peer_certificate, service_certificate, master, peers;
};

struct known_peer {
    uint64_t id;
    char name[NODE_NAME_MAX + 1];
    char address[80];
    uint8_t spki_hash[32];
};

/* The encoders append; slices of the decoded structs point into `in`. Any bytes are safe. */
enum status join_request_encode(const struct join_request *q, struct buf *out) MUST_CHECK;
enum status join_request_decode(struct slice in, struct join_request *q) MUST_CHECK;
enum status join_answer_encode(const struct join_answer *a, struct buf *out) MUST_CHECK;
enum status join_answer_decode(struct slice in, struct join_answer *a) MUST_CHECK;
enum status known_peers_encode(const struct known_peer *peers, size_t count, struct buf *out) MUST_CHECK;
enum status known_peers_decode(struct slice in, struct known_peer peers[CORE_NODES_MAX],
                               size_t *count) MUST_CHECK;

#endif
