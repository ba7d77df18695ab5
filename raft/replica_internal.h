/*
 * The replica's state, shared by its files; internal to raft/.
 *
 *   replica.c             open, start, close, the loop's turn, what others may know
 *   replica_propose.c     proposals, barriers, waiting for an index
 *   replica_fsm.c         apply, snapshot, restore: c-raft's state machine interface
 *   replica_membership.c  add, promote, remove, transfer
 *   log_guard.c           c-raft's disk: fail-stop, contact, disk reserve
 *   transport.c           c-raft's network
 */
#ifndef SEALPOST_RAFT_REPLICA_INTERNAL_H
#define SEALPOST_RAFT_REPLICA_INTERNAL_H

#include "raft/replica.h"
#include "raft/transport.h"

#include <raft.h>
#include <raft/uv.h>

#define MEMBERS_MAX   32
#define HEARD_MS      2000 /* a member that was heard from within this time is reachable */
#define SNAPSHOT_HEAD 16   /* bytes before the map in a snapshot: magic, applied index */

/* A proposal from replica_propose() until its answer. */
struct proposal {
    struct proposal *next;
    void *entry; /* from raft_malloc; c-raft's once it is appended */
    size_t entry_size;
    uint64_t index; /* where it was appended; 0 before */
    replica_apply_cb cb;
    void *context;
    struct apply_result *result; /* once applied */
};

struct proposal_queue {
    struct proposal *first, **last;
    size_t count;
};

/* Someone who waits for a barrier, or for an index. */
struct waiter {
    struct waiter *next;
    uint64_t index;
    replica_barrier_cb cb;
    void *context;
};

struct heard {
    uint64_t id, when_ms;
};

struct replica {
    struct replica_options options;
    char *dir, *address; /* owned copies */
    struct raft_uv_transport transport_api;
    struct transport *transport;
    struct raft_io io;
    struct raft_fsm fsm;
    struct raft raft;
    uv_prepare_t turn; /* once a loop turn, before the loop sleeps */
    uv_timer_t tick;
    unsigned handles;
    bool started, closing;

    /* c-raft's own functions, behind the guard */
    struct raft_io guarded;
    raft_io_recv_cb recv_cb;
    raft_io_close_cb io_close_cb;
    struct heard heard[MEMBERS_MAX];

    struct proposal_queue queued;   /* not appended yet */
    struct proposal_queue appended; /* by index */
    struct proposal_queue applied;  /* answered after the batch is committed */
    struct waiter *barrier_waiting, *barrier_under_way, *barrier_done, *index_waiting;
    uint64_t barrier_term;  /* of barrier_under_way */
    uint64_t applied_index; /* last command in the store, committed or in the open batch */
    bool batch_open;

    bool ahead; /* the store holds more than the log: this node must not lead */
    bool first_barrier_sent, serving;
    uint64_t serving_term;

    uint64_t tail_bytes, tail_entries; /* applied since the last snapshot */
    uint64_t snapshot_after_ms;        /* not before: the disk was full */
    bool snapshot_wanted;
    bool space_low;
    uint64_t space_checked_ms, handed_over_ms;
    uint64_t unchecked_bytes; /* proposed since the space was looked at */
    bool change_under_way;

    /* what state_changed was told last */
    int told_state;
    uint64_t told_term, told_leader, told_members;
    bool told_serving;

    void (*closed)(void *context);
    void *closed_context;
};

/* The node cannot go on: say why, and end the process before c-raft acts on a state that is not on disk. */
_Noreturn void replica_die(const struct replica *r, const char *what, const char *why);
enum status replica_status_of(int raft_error);
uint64_t replica_local_index(struct replica *r); /* applied here, with barriers and membership entries */

/* replica_propose.c */
void proposals_init(struct replica *r);
void proposals_flush(struct replica *r);  /* append what is queued */
void proposals_answer(struct replica *r); /* after a commit */
void proposals_lost(struct replica *r);   /* no longer the leader: outcomes are unknown */
void proposals_close(struct replica *r);
/* The command at `index` was applied with this result. */
void proposals_applied(struct replica *r, uint64_t index, const struct apply_result *result);
void replica_commit(struct replica *r); /* the open batch, then who waits for it */

/* replica_fsm.c */
void fsm_init(struct replica *r);
void fsm_want_snapshot(struct replica *r); /* sets c-raft's threshold by the bytes of the tail */

/* log_guard.c */
void guard_install(struct replica *r);
void guard_check_space(struct replica *r, uint64_t now_ms);
uint64_t guard_heard_ms(const struct replica *r, uint64_t id);

#endif
