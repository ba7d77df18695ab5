/*
 * One member of the Raft cluster: c-raft, its log on disk, the store that it feeds, and the TLS transport to
 * the peers, on the caller's libuv loop. It knows nothing of roles, tokens or HTTP: node/core does. DESIGN.md
 * section 4 lists the faults of libraft 0.15 and the rules that answer them; each rule is named where it is
 * kept.
 */
#ifndef SEALPOST_RAFT_REPLICA_H
#define SEALPOST_RAFT_REPLICA_H

#include "base/buf.h"
#include "store/store.h"

#include <openssl/ssl.h>
#include <uv.h>

struct replica;

struct replica_options {
    uv_loop_t *loop;
    const char *dir;     /* "raft": the log, metadata and snapshots */
    struct store *store; /* the writer; outlives the replica */
    uint64_t id;         /* node id, > 0 */
    const char *address; /* advertised HOST:PORT */
    int listener;        /* listening TCP descriptor, taken */
    SSL_CTX *server_tls,
        *client_tls; /* TLS 1.3, own certificate, the cluster CA as the only trust; borrowed */
    /* Is this authenticated peer key that of the node with this id? (its SPKI hash is in the store, or came
     * with the join) */
    bool (*peer_allowed)(void *context, uint64_t id, const uint8_t spki_hash[32]);
    /* A connection with another ALPN than "sealpost-raft/1": the handshake is done, the callee takes the
     * stream. */
    struct tls_stream_accept *accept;               /* see raft/tls_stream.h; may be NULL */
    void (*state_changed)(void *context);           /* leader, term, membership, role: look again */
    void (*applied)(void *context, uint64_t index); /* a batch was committed to the store: readers see it */
    /* Called while applying COMMAND_CHECKPOINT, after the batch was committed exactly at this index */
    void (*checkpoint)(void *context, uint64_t index);
    void *context;
    unsigned election_timeout_ms, heartbeat_ms; /* 1000 and 100 */
    uint64_t log_tail_bytes;                    /* snapshot after this many bytes of log; 0 = 16 MB */
    uint64_t
        disk_reserve; /* bytes: below it proposals are refused and leadership is handed over; 0 = 64 MB */
    uint64_t segment_bytes; /* of a file of the log; 0 = 32 MB */
};

enum status replica_new(const struct replica_options *options, struct replica **out,
                        struct failure *f) MUST_CHECK;
/* The founding node, once, before start: a cluster of this one voter. */
enum status replica_bootstrap(struct replica *r, struct failure *f) MUST_CHECK;
enum status replica_start(struct replica *r, struct failure *f) MUST_CHECK;
void replica_close(struct replica *r, void (*closed)(void *context),
                   void *context); /* hands leadership over first if it can */
void replica_free(struct replica *r);

typedef void (*replica_apply_cb)(void *context, enum status status, const struct apply_result *result);
/* Leader only (else NOT_LEADER at once, by the callback). `encoded` is copied and padded. The callback fires
 * when the command is in the committed store batch: LEADERSHIPLOST and I/O errors give UNAVAILABLE ("unknown:
 * send again with the same id"). result is NULL unless OK. */
void replica_propose(struct replica *r, struct slice encoded, replica_apply_cb cb, void *context);
typedef void (*replica_barrier_cb)(void *context, enum status status, uint64_t index);
/* Leader only: confirmed leadership (a barrier entry; concurrent barriers share one), and the index up to
 * which this node has applied and committed. */
void replica_barrier(struct replica *r, replica_barrier_cb cb, void *context);
/* Calls back once the local store has committed an index >= `index` (UNAVAILABLE when closing). */
void replica_wait_applied(struct replica *r, uint64_t index, replica_barrier_cb cb, void *context);

/* Leader: let this follower know the commit index now, not at the next heartbeat. False: it has not
 * acknowledged that much yet, try again in a later turn of the loop. */
bool replica_tell_commit(struct replica *r, uint64_t id);

typedef void (*replica_change_cb)(void *context, enum status status, const char *text);
void replica_add(struct replica *r, uint64_t id, const char *address, replica_change_cb cb,
                 void *context);                                                           /* as spare */
void replica_promote(struct replica *r, uint64_t id, replica_change_cb cb, void *context); /* to voter */
void replica_remove(struct replica *r, uint64_t id, replica_change_cb cb, void *context);
void replica_transfer(struct replica *r, uint64_t id, replica_change_cb cb, void *context); /* 0 = any */

enum replica_role { REPLICA_FOLLOWER, REPLICA_CANDIDATE, REPLICA_LEADER };
struct replica_member {
    uint64_t id;
    char address[80];
    bool voter, standby;  /* neither: spare */
    uint64_t match_index; /* on the leader; else 0 */
    bool recently_heard;  /* on the leader */
};
struct replica_info {
    enum replica_role role;
    bool serving;       /* leader, and its first barrier is applied */
    uint64_t leader_id; /* 0 if unknown */
    uint64_t term, commit_index, applied_index, last_index;
    bool change_under_way, space_low;
    struct replica_member members[32];
    size_t member_count;
};
void replica_info(struct replica *r, struct replica_info *info);

#endif
