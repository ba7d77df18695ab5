/*
 * What the other roles ask of `core`, over the channel `run/core.sock` (base/channel.h). MessagePack arrays:
 *
 *   request:  [ type: u8, request: u64, ...arguments ]          answer: [ type: u8, request: u64, status:
 * u16, text: str, ...results ]
 *
 *   HELLO      role: str                          -> node id u64, node name str, cluster id bin16, store
 * folder str (relative) Answered only when the store may be opened. PROPOSE    command bin (unpadded) ->
 * index u64, result bin. Forwarded to the leader if need be; the status is the command's. UNAVAILABLE and
 * TIMEOUT mean "unknown": send again with the same command id. BARRIER -> index u64. When it answers, this
 * node's store holds all that was acknowledged anywhere before the request (read-index by the leader). STATUS
 * -> bin: struct core_status as MessagePack (core_status_encode) VERIFY -> index u64, array of [node name
 * str, status u16, hash bin32] TRANSFER   node name str ("" = any)           -> leader name str NODE_TOKEN
 * lifetime ms u64                    -> token str (secret: shown once) NODE_REMOVE node name str -> index u64
 * MESSAGES   question u64, arguments bin, their number u64 -> array of [ node name str, status u64, text str,
 * answer bin ]: what the smtp roles of all nodes say; the question is one of
 * smtp/queue_protocol.h but STATS, with its arguments as raw MessagePack; or CORE_ASK_FETCH plus FETCH_LIST
 * or FETCH_NOW of mail/fetch_protocol.h, which goes to the fetch roles REVOCATION_LIST  list bin (DER or PEM)
 * -> nothing; core verifies it and brings it in OCSP_ANSWER  thumbprint of the certificate bin32, of its
 * issuer's bin32, answer bin  -> nothing; the same
 *
 * and, unasked, to every client that said HELLO, at least twice a second and at each change:
 *   EVENT      [ type, 0, applied index u64, contact u64 (clock_monotonic_ms of the last proof that this node
 * knows all that was acknowledged before, node/core_contact.c; 0 = never), leader name str, voters u64 ]
 */
#ifndef SEALPOST_RAFT_CORE_PROTOCOL_H
#define SEALPOST_RAFT_CORE_PROTOCOL_H

#include "base/buf.h"
#include "base/channel.h"
#include "base/clock.h"

#define CORE_SOCKET    "run/core.sock"
#define NODE_NAME_MAX  63 /* bytes: a DNS label */
#define CORE_NODES_MAX 32

enum core_request {
    CORE_HELLO = 1,
    CORE_PROPOSE,
    CORE_BARRIER,
    CORE_STATUS,
    CORE_VERIFY,
    CORE_TRANSFER,
    CORE_NODE_TOKEN,
    CORE_NODE_REMOVE,
    CORE_MESSAGES,
    CORE_REVOCATION_LIST,
    CORE_OCSP_ANSWER,
    CORE_EVENT
};

#define CORE_ASK_FETCH 256 /* of MESSAGES */

struct core_node_status {
    char name[NODE_NAME_MAX + 1];
    uint64_t id;
    char role[16];          /* "leader", "follower", "candidate", "standby", "spare", "unreachable" */
    bool reachable;         /* heard from within 2 s */
    uint64_t applied_index; /* last known; 0 if unknown */
    uint64_t log_index;
    char release[32];
    char peer_address[80], api_address[80], smtp_address[80];
};

struct core_status {
    char cluster_name[64];
    char leader[NODE_NAME_MAX + 1]; /* "" if unknown */
    char self[NODE_NAME_MAX + 1];
    uint64_t term, commit_index, applied_index;
    struct core_node_status nodes[CORE_NODES_MAX];
    size_t node_count;
};
enum status core_status_encode(const struct core_status *s, struct buf *out) MUST_CHECK;
enum status core_status_decode(struct slice in, struct core_status *s) MUST_CHECK;

/*
 * A client of core without a loop of its own: it owns a socket, keeps requests by number, and reconnects. The
 * caller polls core_client_fd() for reading and calls core_client_read() when it is ready, or after a while.
 */
struct core_client;
struct core_answer {
    enum status status;
    char text[FAILURE_TEXT_MAX];
    uint64_t index;    /* PROPOSE, BARRIER, VERIFY, NODE_REMOVE */
    struct slice body; /* the raw MessagePack of what follows status and text; valid during the callback */
};
typedef void (*core_answer_cb)(void *context,
                               const struct core_answer *answer); /* called exactly once a request */
struct core_event {
    uint64_t applied_index, contact_ms, voters;
    char leader[NODE_NAME_MAX + 1];
};
typedef void (*core_event_cb)(
    void *context, const struct core_event *event); /* NULL event: the connection to core is lost */

/* `role` and `path` are copied. Connecting happens in core_client_read(); until HELLO is answered requests
 * wait or fail with UNAVAILABLE after their deadline. */
enum status core_client_new(const char *role, const char *path, core_event_cb event, void *context,
                            struct core_client **out) MUST_CHECK;
void core_client_free(struct core_client *c);        /* open requests are answered with CLOSED */
int core_client_fd(const struct core_client *c);     /* -1 while not connected */
bool core_client_ready(const struct core_client *c); /* HELLO was answered: the store may be opened */
const char *core_client_node_name(const struct core_client *c);
uint64_t core_client_node_id(const struct core_client *c);
/* Everything that can be done now: connect, read, answer, time out. Call when the descriptor is readable and
 * at least 4 times a second. */
void core_client_read(struct core_client *c);
/* Arguments after [type, request] as raw MessagePack values in `args` (`arg_count` of them). PROPOSE is sent
 * again by itself with the same command, on "unknown" outcomes, until the deadline. */
void core_client_ask(struct core_client *c, enum core_request type, struct slice args, size_t arg_count,
                     unsigned timeout_ms, core_answer_cb cb, void *context);
void core_client_propose(struct core_client *c, struct slice command, unsigned timeout_ms, core_answer_cb cb,
                         void *context);

#endif
