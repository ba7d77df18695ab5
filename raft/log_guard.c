/*
 * Between c-raft and its disk and network.
 *
 * Rule 1 of DESIGN.md section 4: after a failed append a libraft 0.15 leader stays leader and uses the index
 * again, and states part. So the first write that fails ends the process, before c-raft hears of it: the log
 * on disk is what it was, and the supervisor starts anew. So that it does not come to that on a full disk, a
 * reserve is kept: below it this node takes no proposals and hands leadership over.
 *
 * On the way in it notes who was heard from. Runs on the loop's thread.
 */
#include "raft/replica_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <sys/statvfs.h>

#define SPACE_CHECK_MS  1000
#define HAND_OVER_MS    5000
#define DEFAULT_RESERVE ((uint64_t)64 << 20)

struct guarded_append {
    struct raft_io_append request; /* c-raft's disk sees this one */
    struct raft_io_append *own;    /* c-raft's */
    raft_io_append_cb cb;
    struct replica *replica;
};

static struct replica *replica_of(struct raft_io *io)
{
    return (struct replica *)((char *)io - offsetof(struct replica, io));
}

static void appended_cb(struct raft_io_append *request, int status)
{
    struct guarded_append *g =
        (struct guarded_append *)((char *)request - offsetof(struct guarded_append, request));

    if (status != 0 && status != RAFT_CANCELED && !g->replica->closing)
        replica_die(g->replica, "cannot append to the log", raft_strerror(status));
    g->cb(g->own, status);
    free(g);
}

static int guard_append(struct raft_io *io, struct raft_io_append *request, const struct raft_entry entries[],
                        unsigned n, raft_io_append_cb cb)
{
    struct replica *r = replica_of(io);
    struct guarded_append *g = malloc(sizeof(*g));
    int error;

    if (g == NULL)
        replica_die(r, "cannot append to the log", "out of memory");
    g->own = request;
    g->cb = cb;
    g->replica = r;
    error = r->guarded.append(io, &g->request, entries, n, appended_cb);
    if (error != 0)
        replica_die(r, "cannot append to the log", raft_strerror(error));
    return 0;
}

static int checked(struct raft_io *io, int error, const char *what)
{
    struct replica *r = replica_of(io);

    if (error != 0 && !r->closing)
        replica_die(r, what, raft_strerror(error));
    return error;
}

static int guard_truncate(struct raft_io *io, raft_index index)
{
    return checked(io, replica_of(io)->guarded.truncate(io, index), "cannot cut the log");
}

static int guard_set_term(struct raft_io *io, raft_term term)
{
    return checked(io, replica_of(io)->guarded.set_term(io, term), "cannot write the term");
}

static int guard_set_vote(struct raft_io *io, raft_id id)
{
    return checked(io, replica_of(io)->guarded.set_vote(io, id), "cannot write the vote");
}

static void note_heard(struct replica *r, uint64_t id, uint64_t now)
{
    struct heard *oldest = &r->heard[0];

    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        if (r->heard[i].id == id) {
            r->heard[i].when_ms = now;
            return;
        }
        if (r->heard[i].when_ms < oldest->when_ms)
            oldest = &r->heard[i];
    }
    *oldest = (struct heard){.id = id, .when_ms = now};
}

uint64_t guard_heard_ms(const struct replica *r, uint64_t id)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++)
        if (r->heard[i].id == id)
            return r->heard[i].when_ms;
    return 0;
}

static void guard_recv(struct raft_io *io, struct raft_message *message)
{
    struct replica *r = replica_of(io);

    note_heard(r, message->server_id, clock_monotonic_ms());
    r->recv_cb(io, message);
}

static int guard_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct replica *r = replica_of(io);

    r->recv_cb = recv;
    return r->guarded.start(io, msecs, tick, guard_recv);
}

/* On a full disk raft_uv of 0.15 reports its end twice, and c-raft frees twice: the second time is kept from
 * it. */
static void closed_cb(struct raft_io *io)
{
    struct replica *r = replica_of(io);
    raft_io_close_cb cb = r->io_close_cb;

    r->io_close_cb = NULL;
    if (cb != NULL)
        cb(io);
}

static void guard_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct replica *r = replica_of(io);

    r->io_close_cb = cb;
    r->guarded.close(io, closed_cb);
}

void guard_install(struct replica *r)
{
    r->guarded = r->io;
    r->io.close = guard_close;
    r->io.append = guard_append;
    r->io.truncate = guard_truncate;
    r->io.set_term = guard_set_term;
    r->io.set_vote = guard_set_vote;
    r->io.start = guard_start;
}

void guard_check_space(struct replica *r, uint64_t now)
{
    uint64_t reserve = r->options.disk_reserve != 0 ? r->options.disk_reserve : DEFAULT_RESERVE;
    struct statvfs info;
    bool low;

    if (now - r->space_checked_ms < SPACE_CHECK_MS && r->unchecked_bytes < reserve / 16)
        return;
    r->space_checked_ms = now;
    r->unchecked_bytes = 0;
    if (statvfs(r->dir, &info) != 0)
        return;
    low = (uint64_t)info.f_bavail * info.f_frsize < reserve;
    if (low != r->space_low)
        log_event(low ? LOG_ERROR : LOG_INFO,
                  low ? "disk space is low: no changes are taken here" : "disk space is enough again",
                  LOG_NUMBER("free_bytes", (uint64_t)info.f_bavail * info.f_frsize),
                  LOG_NUMBER("reserve_bytes", reserve));
    r->space_low = low;
    if (low && raft_state(&r->raft) == RAFT_LEADER && now - r->handed_over_ms > HAND_OVER_MS) {
        r->handed_over_ms = now;
        replica_transfer(r, 0, NULL, NULL);
    }
}
