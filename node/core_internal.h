/*
 * The core role from the inside: what its parts (core_*.c, peer_*.c) share. Everything runs on one libuv
 * loop, but for hashing (uv_queue_work). `struct core` is the only place where they meet; each part owns the
 * members named for it.
 */
#ifndef SEALPOST_NODE_CORE_INTERNAL_H
#define SEALPOST_NODE_CORE_INTERNAL_H

#include "crypto/seal.h"
#include "node/identity.h"
#include "node/peer_rpc.h"
#include "node/role.h"
#include "raft/core_protocol.h"
#include "raft/replica.h"
#include "store/certificate_search.h"
#include "store/records.h"

#define CORE_TICK_MS      50
#define CORE_PERIOD_MS    500 /* asking the peers for their state */
#define CORE_EVENT_MS     250
#define CORE_WAIT_MS      15000 /* a proposal or barrier waits this long for a leader */
#define CORE_PEER_CALL_MS 3000
#define CORE_REACHABLE_MS 2000 /* heard from within: reachable */

struct core_sessions;   /* core_sessions.c: the other roles */
struct core_proposals;  /* core_proposal.c */
struct core_barriers;   /* core_barrier.c */
struct core_everywhere; /* core_everywhere.c */
struct core_hashes;     /* core_verify.c */
struct core_joins;      /* core_join.c */
struct core_membership; /* core_membership.c */
struct core_messages;   /* core_messages.c */
struct core_evidences;  /* core_evidence.c */

/* What a peer said of itself last. */
struct peer_state {
    uint64_t id;
    uint64_t heard_ms; /* 0: never */
    uint64_t asked_ms; /* when the question was sent that it answered last */
    enum replica_role role;
    uint64_t term, commit_index, applied_index, last_index;
    uint64_t leader_id; /* whom it follows */
    bool asking;
    bool waits; /* for what we committed: tell it when it has acknowledged that much */
    char release[32];
};

/* Warnings of certificates that expire: node/core_expiry.c. */
struct core_expiry {
    uint64_t next_ms;        /* monotonic: the next round */
    uint64_t from_ms, to_ms; /* wall: since when, until when of this round */
    bool under_way;
    uint64_t warnings; /* of this round */
    char cursor[CERT_SEARCH_CURSOR_MAX];
};

struct core_sweep { /* core_sweep.c */
    uint64_t next_ms;
    bool under_way;
};

struct core_contact {                /* core_contact.c */
    uint64_t asked_ms, commit_index; /* a leader's answer that our store does not hold yet; 0: none */
    uint64_t proven_ms;
};

struct core {
    uv_loop_t loop;
    struct role_context *role;
    const struct node_config *config;
    struct identity identity;
    struct keyring keyring; /* the data key is loaded when a join needs it */
    struct store *store;
    struct replica *replica;
    SSL_CTX *server_tls, *client_tls;
    struct tls_stream_accept accept;

    struct peer_links *links;
    struct peer_sessions *peer_sessions;
    struct core_sessions *sessions;
    struct core_proposals *proposals;
    struct core_barriers *barriers;
    struct core_everywhere *everywhere;
    struct core_hashes *hashes;
    struct core_joins *joins;
    struct core_membership *membership;
    struct core_messages *messages;
    struct core_evidences *evidences;

    struct peer_state peers[CORE_NODES_MAX];
    size_t peer_count;
    struct core_contact contact;

    struct replica_info info; /* as of the last state change, batch or tick */
    char leader_name[NODE_NAME_MAX + 1];
    bool initialised; /* the store holds the cluster's record: the other roles may begin */
    struct core_expiry expiry;
    struct core_sweep sweep;
    bool running, closing, removed;
    uint64_t removed_stop_ms; /* the log says that we were removed: stop then */

    uv_timer_t tick, event_timer;
    uv_prepare_t waits; /* active while a peer waits */
    uv_poll_t stop_poll;
    uint64_t next_period_ms, next_event_ms;
    uint64_t told_leader_id;                 /* peer_links_leader_changed */
    uint64_t turned_away_id, turned_away_ms; /* logged last */
    int exit_status;
};

/* --- role_core.c --- */
void core_refresh(struct core *core); /* look at the replica again */
void core_event_soon(
    struct core *core); /* something changed: tell the other roles, a few milliseconds later */
void core_stop(struct core *core, int exit_status); /* begin to stop; the first status other than 0 stays */
/* Removed from the cluster: notes it in identity/, says so, stops the node for good. */
void core_removed(struct core *core, const char *text);
bool core_is_leader(const struct core *core);

/* --- core_peers.c: who the others are, and what they last said --- */
bool core_peer_allowed(void *core, uint64_t id, const uint8_t spki_hash[32]);
bool core_peer_address(struct core *core, uint64_t id, char address[80]);
bool core_node_name(struct core *core, uint64_t id, char name[NODE_NAME_MAX + 1]);
/* All nodes of the store (before there are any: of the join), without their order meaning anything. */
size_t core_nodes_list(struct core *core, struct known_peer nodes[CORE_NODES_MAX]);
void core_peers_remember(struct core *core);          /* identity/peers follows the store */
void core_peers_ask(struct core *core, uint64_t now); /* INFO to each, once a period */
const struct peer_state *core_peer_state(const struct core *core, uint64_t id); /* NULL if never heard of */
/* Whom to send what is for the leader: the one that we follow, else (a new address, not a member yet) whom
 * the others follow; 0 if unknown. */
uint64_t core_leader_guess(const struct core *core);
bool core_peer_reachable(const struct core *core, uint64_t id, uint64_t now);
enum status core_status_build(struct core *core, struct core_status *s, struct failure *f) MUST_CHECK;
/* Leader: this peer was answered and now waits until its own store is as far. */
void core_peer_waits(struct core *core, uint64_t id);
void core_info_write(struct core *core, struct buf *out, size_t *count); /* results of INFO */

void core_peer_asks(struct core *core, uint64_t id); /* it was heard from: it may act on what it is told */

/* --- core_contact.c: until when this node may act on what it knows --- */
void core_contact_answered(struct core *core, const struct peer_state *p);
uint64_t core_contact_ms(struct core *core, uint64_t now); /* time of the last proof; 0: never */

/* --- core_proposal.c --- */
struct core_outcome {
    enum status
        status; /* OK: the command was applied, see `result`; else it is unknown or was refused before */
    const char *text;
    const struct apply_result *result;
};
typedef void (*core_outcome_cb)(void *context, const struct core_outcome *outcome);
struct core_proposals *core_proposals_new(struct core *core);
void core_proposals_free(struct core_proposals *p); /* those that wait get CLOSED */
/* From any node: here or by the leader, again on "unknown" until the deadline. Once it answers OK the local
 * store holds the effect. `command` is copied. */
void core_propose(struct core *core, struct slice command, core_outcome_cb cb, void *context);
/* Encode and propose a command of core's own. */
void core_propose_command(struct core *core, const struct command *c, core_outcome_cb cb, void *context);
void core_proposals_tick(struct core *core, uint64_t now);
void core_proposals_leader_changed(struct core *core);
/* What another node asks of us as the leader. */
void core_propose_for_peer(struct core *core, struct slice command, struct peer_request *q);

/* --- core_barrier.c --- */
typedef void (*core_barrier_cb)(void *context, enum status status, const char *text, uint64_t index);
struct core_barriers *core_barriers_new(struct core *core);
void core_barriers_free(struct core_barriers *b);
void core_barrier(struct core *core, core_barrier_cb cb, void *context);
void core_barriers_tick(struct core *core, uint64_t now);
void core_barrier_for_peer(struct core *core, struct peer_request *q);

/* --- core_everywhere.c: a change is answered when it is in force on every node that may act --- */
typedef void (*core_everywhere_cb)(void *context,
                                   enum status status); /* OK, or UNAVAILABLE: no longer the leader */
struct core_everywhere *core_everywhere_new(struct core *core);
void core_everywhere_free(struct core_everywhere *e);
/* Leader: call back once every node has applied `index`, or may no longer act on older state. */
void core_everywhere(struct core *core, uint64_t index, core_everywhere_cb cb, void *context);
void core_everywhere_tick(struct core *core, uint64_t now);
bool core_acts_at_once(enum command_number number); /* is this a command for which the leader waits so? */
void core_applied_for_peer(struct core *core, uint64_t index, struct peer_request *q);

/* --- core_verify.c --- */
struct core_hashes *core_hashes_new(struct core *core);
void core_hashes_free(struct core_hashes *h);
void core_checkpoint(void *core, uint64_t index); /* replica's callback */
struct core_verify_result {
    uint64_t index;
    struct {
        char name[NODE_NAME_MAX + 1];
        enum status status;
        uint8_t hash[STORE_HASH_SIZE];
    } nodes[CORE_NODES_MAX];
    size_t node_count;
};
typedef void (*core_verify_cb)(void *context, enum status status, const char *text,
                               const struct core_verify_result *result);
void core_verify(struct core *core, core_verify_cb cb, void *context);
void core_hash_for_peer(struct core *core, uint64_t index, struct peer_request *q);
void core_hashes_tick(struct core *core, uint64_t now);

/* --- core_membership.c: adding, promoting, removing, leadership --- */
typedef void (*core_done_cb)(void *context, enum status status, const char *text, uint64_t index,
                             const char *name);
struct core_membership *core_membership_new(struct core *core);
void core_membership_free(struct core_membership *m);
void core_membership_tick(struct core *core, uint64_t now); /* the leader's reconciling */

/* --- core_expiry.c --- */
void core_expiry_tick(struct core *core, uint64_t now_ms); /* the leader's warnings of certificates */

/* --- core_sweep.c --- */
void core_sweep_tick(struct core *core, uint64_t now_ms); /* the leader takes away what has ended */
void core_transfer(struct core *core, struct slice name, bool forward, core_done_cb cb, void *context);
void core_node_remove(struct core *core, struct slice name, bool forward, core_done_cb cb, void *context);

/* --- core_join.c --- */
struct core_joins *core_joins_new(struct core *core);
void core_joins_free(struct core_joins *j);
void core_join_accept(struct core *core, struct tls_stream *stream);
void core_joins_tick(struct core *core, uint64_t now);
typedef void (*core_token_cb)(void *context, enum status status, const char *text, struct slice token);
void core_node_token(struct core *core, uint64_t lifetime_ms, core_token_cb cb, void *context);

/* --- core_founding.c: the commands of init; telling the cluster what changed about this node --- */
void core_founding_tick(struct core *core, uint64_t now);

/* --- core_sessions.c, core_requests.c: the other roles of this node --- */
struct core_sessions *core_sessions_new(struct core *core, int listener, struct failure *f);
void core_sessions_free(struct core_sessions *s);
void core_sessions_initialised(struct core *core); /* answers the HELLOs that wait */
void core_sessions_event(struct core *core);       /* EVENT to all */
struct client_request {
    struct client_session *session;
    enum core_request type;
    uint64_t number;
};
/* Exactly once; frees the request. `results` are raw MessagePack values. */
void client_answer(struct client_request *q, enum status status, const char *text, struct slice results,
                   size_t count);
/* Not every role may make every change: node/client_permission.h. */
bool client_request_is_of(const struct client_request *q, const char *role);
enum status client_request_permitted(const struct client_request *q, struct slice command,
                                     struct failure *f) MUST_CHECK;
void core_request_serve(struct core *core, struct client_request *q,
                        struct msgpack_reader *args); /* core_requests.c */
/* --- core_messages.c: the message logs of all nodes --- */
#define CORE_MESSAGE_QUESTION_MAX ((size_t)16 << 10) /* bytes of arguments */
struct core_messages *core_messages_new(void);
void core_messages_free(struct core_messages *m); /* those that wait get CLOSED */
void core_messages_tick(struct core *core, uint64_t now);
/* `type` and `args` (raw MessagePack values, `count` of them) are those of smtp/queue_protocol.h after the
 * number of the request; answers [ [ node name str, status u64, text str, raw answer bin ], ... ]. */
void core_messages(struct core *core, uint64_t type, struct slice args, uint64_t count,
                   struct client_request *q);
void core_messages_for_peer(struct core *core, uint64_t type, struct slice args, uint64_t count,
                            struct peer_request *q);

/* --- core_evidence.c: what fetch found about revocations is verified here, then brought in --- */
struct core_evidences *core_evidences_new(struct core *core);
void core_evidences_free(struct core_evidences *e); /* those that wait get CLOSED */
void core_evidence(struct core *core, struct client_request *q, struct msgpack_reader *args);

/* --- core_peer_methods.c --- */
void core_peer_serve(struct core *core, struct peer_request *q, enum peer_method method,
                     struct msgpack_reader *args);

#endif
