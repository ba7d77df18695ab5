/*
 * Opening and closing the member, and its turn: once a loop turn, before the loop sleeps, the store's batch
 * is committed, those who wait are answered, queued proposals are appended, and the owner is told when
 * leader, term or membership changed.
 *
 * The way when all goes well: raft_uv reads snapshot and log, the store is found at or behind them, c-raft
 * replays what the store lacks. What can go wrong: the log is damaged (raft_start fails: auto recovery is
 * off, rule 4); the store is ahead of the log (it was cut short): such a node may follow, since the leader
 * still has what the store holds, but it must not lead, for it would give the same indexes to other commands.
 * Runs on the loop's thread.
 */
#include "raft/replica_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS            100
#define DEFAULT_SEGMENT    ((size_t)32 << 20)
#define CONNECT_PAUSE_MS   300
#define INSTALL_TIMEOUT_MS 60000
#define CATCH_UP_ROUND_MS  2000
#define SNAPSHOT_AT_FIRST  (1U << 30)

_Noreturn void replica_die(const struct replica *r, const char *what, const char *why)
{
    log_event(LOG_ERROR, "this node stops before it does harm", LOG_NUMBER("node", r->options.id),
              LOG_TEXT("what", what), LOG_TEXT("reason", why));
    _exit(1);
}

enum status replica_status_of(int raft_error)
{
    switch (raft_error) {
    case 0:
        return STATUS_OK;
    case RAFT_NOMEM:
        return STATUS_NO_MEMORY;
    case RAFT_NOTLEADER:
        return STATUS_NOT_LEADER;
    case RAFT_CANTCHANGE:
    case RAFT_BUSY:
        return STATUS_BUSY;
    case RAFT_DUPLICATEID:
    case RAFT_DUPLICATEADDRESS:
    case RAFT_BADROLE:
        return STATUS_EXISTS;
    case RAFT_NOTFOUND:
    case RAFT_BADID:
        return STATUS_NOT_FOUND;
    case RAFT_CORRUPT:
    case RAFT_MALFORMED:
        return STATUS_CORRUPT;
    case RAFT_NOSPACE:
        return STATUS_NO_SPACE;
    case RAFT_TOOBIG:
        return STATUS_TOO_LARGE;
    default:
        return STATUS_UNAVAILABLE;
    }
}

uint64_t replica_local_index(struct replica *r)
{
    uint64_t index = raft_last_applied(&r->raft);

    return index > r->applied_index ? index : r->applied_index;
}

void replica_commit(struct replica *r)
{
    struct failure f = {0};

    if (!r->batch_open)
        return;
    if (store_batch_commit(r->options.store, &f) != STATUS_OK)
        replica_die(r, "cannot commit to the store", f.text);
    r->batch_open = false;
    if (r->options.applied != NULL && r->started)
        r->options.applied(r->options.context, r->applied_index);
}

/* A cheap sum of the membership, to see that it changed. */
static uint64_t members_sum(const struct raft_configuration *conf)
{
    uint64_t sum = conf->n;

    for (unsigned i = 0; i < conf->n; i++)
        sum = sum * 1000003 + (uint64_t)conf->servers[i].id * 8 + (uint64_t)(unsigned)conf->servers[i].role;
    return sum;
}

static void tell_changes(struct replica *r)
{
    raft_id leader = 0;
    const char *address = NULL;
    int state = raft_state(&r->raft);
    uint64_t term = r->raft.current_term, members = members_sum(&r->raft.configuration);

    raft_leader(&r->raft, &leader, &address);
    if (state != RAFT_LEADER || r->serving_term != term)
        r->serving = false;
    if (state == r->told_state && term == r->told_term && leader == r->told_leader &&
        members == r->told_members && r->serving == r->told_serving)
        return;
    if (state != RAFT_LEADER || term != r->told_term)
        proposals_lost(r);
    if (state == RAFT_LEADER && r->ahead && raft_last_index(&r->raft) < r->applied_index)
        replica_die(r, "the log was cut short, and this node must not lead",
                    "the store holds commands that the log has lost; start it with an empty data folder and "
                    "join anew");
    r->told_state = state;
    r->told_term = term;
    r->told_leader = leader;
    r->told_members = members;
    r->told_serving = r->serving;
    r->options.state_changed(r->options.context);
}

static void turn(struct replica *r)
{
    replica_commit(r);
    proposals_answer(r);
    proposals_flush(r);
    tell_changes(r);
}

static void turn_cb(uv_prepare_t *prepare)
{
    struct replica *r = prepare->data;

    if (!r->closing)
        turn(r);
}

static void tick_cb(uv_timer_t *timer)
{
    struct replica *r = timer->data;

    if (r->closing)
        return;
    guard_check_space(r, clock_monotonic_ms());
    fsm_want_snapshot(r);
}

static enum status open_raft(struct replica *r, struct failure *f)
{
    const struct transport_options transport = {
        .loop = r->options.loop,
        .server_tls = r->options.server_tls,
        .client_tls = r->options.client_tls,
        .listener = r->options.listener,
        .peer_allowed = r->options.peer_allowed,
        .accept = r->options.accept,
        .context = r->options.context,
    };
    enum status status = transport_new(&transport, &r->transport_api, &r->transport);
    int error;

    if (status != STATUS_OK)
        return failure_set(f, status, "cannot open the transport");
    error = raft_uv_init(&r->io, r->options.loop, r->dir, &r->transport_api);
    if (error != 0)
        return failure_set(f, replica_status_of(error), "cannot open the log in %s: %s", r->dir,
                           raft_strerror(error));
    r->io.version = 2; /* rule 6: snapshots off the loop */
    raft_uv_set_auto_recovery(&r->io, false);
    raft_uv_set_segment_size(&r->io, r->options.segment_bytes != 0 ? (size_t)r->options.segment_bytes
                                                                   : DEFAULT_SEGMENT);
    raft_uv_set_connect_retry_delay(&r->io, CONNECT_PAUSE_MS);
    (void)raft_uv_set_snapshot_compression(&r->io, false);
    guard_install(r);
    fsm_init(r);
    error = raft_init(&r->raft, &r->io, &r->fsm, r->options.id, r->address);
    if (error != 0)
        return failure_set(f, replica_status_of(error), "cannot open the log in %s: %s", r->dir,
                           raft_errmsg(&r->raft));
    raft_set_election_timeout(&r->raft,
                              r->options.election_timeout_ms != 0 ? r->options.election_timeout_ms : 1000);
    raft_set_heartbeat_timeout(&r->raft, r->options.heartbeat_ms != 0 ? r->options.heartbeat_ms : 100);
    raft_set_install_snapshot_timeout(&r->raft, INSTALL_TIMEOUT_MS);
    raft_set_max_catch_up_round_duration(&r->raft, CATCH_UP_ROUND_MS);
    raft_set_snapshot_threshold(&r->raft, SNAPSHOT_AT_FIRST);
    raft_set_pre_vote(&r->raft, true);
    return STATUS_OK;
}

enum status replica_new(const struct replica_options *options, struct replica **out, struct failure *f)
{
    struct replica *r = calloc(1, sizeof(*r));
    enum status status;

    if (r == NULL)
        return failure_set(f, STATUS_NO_MEMORY, "cannot open the replica: out of memory");
    r->options = *options;
    r->dir = strdup(options->dir);
    r->address = strdup(options->address);
    proposals_init(r);
    if (r->dir == NULL || r->address == NULL) {
        status = failure_set(f, STATUS_NO_MEMORY, "cannot open the replica: out of memory");
        goto err;
    }
    if (mkdir(r->dir, 0750) != 0 && errno != EEXIST) {
        status = failure_errno(f, errno, "cannot make %s", r->dir);
        goto err;
    }
    status = open_raft(r, f);
    if (status != STATUS_OK)
        goto err;
    r->applied_index = store_applied_index(options->store);
    *out = r;
    return STATUS_OK;
err:
    replica_free(r);
    return status;
}

enum status replica_bootstrap(struct replica *r, struct failure *f)
{
    struct raft_configuration conf;
    int error;

    raft_configuration_init(&conf);
    error = raft_configuration_add(&conf, r->options.id, r->address, RAFT_VOTER);
    if (error == 0)
        error = raft_bootstrap(&r->raft, &conf);
    raft_configuration_close(&conf);
    if (error == RAFT_CANTBOOTSTRAP)
        return failure_set(f, STATUS_EXISTS, "the log in %s has begun already", r->dir);
    return error == 0 ? STATUS_OK
                      : failure_set(f, replica_status_of(error), "cannot begin the log in %s: %s", r->dir,
                                    raft_errmsg(&r->raft));
}

enum status replica_start(struct replica *r, struct failure *f)
{
    int error;

    (void)uv_prepare_init(r->options.loop, &r->turn);
    (void)uv_timer_init(r->options.loop, &r->tick);
    r->turn.data = r->tick.data = r;
    r->handles = 2;
    error = raft_start(&r->raft);
    if (error != 0)
        return failure_set(f, replica_status_of(error), "cannot start from the log in %s: %s", r->dir,
                           raft_errmsg(&r->raft));
    replica_commit(r);
    r->started = true;
    if (raft_last_index(&r->raft) < r->applied_index) {
        r->ahead = true;
        log_event(LOG_WARN, "the store is ahead of the log", LOG_NUMBER("store", r->applied_index),
                  LOG_NUMBER("log", raft_last_index(&r->raft)));
        if (r->raft.configuration.n <= 1)
            return failure_set(
                f, STATUS_CORRUPT, "the log in %s was cut short: it ends at %llu, and the store holds %llu",
                r->dir, (unsigned long long)raft_last_index(&r->raft), (unsigned long long)r->applied_index);
    }
    (void)uv_prepare_start(&r->turn, turn_cb);
    (void)uv_timer_start(&r->tick, tick_cb, TICK_MS, TICK_MS);
    return STATUS_OK;
}

static void handle_closed_cb(uv_handle_t *handle)
{
    struct replica *r = handle->data;

    if (--r->handles > 0)
        return;
    if (r->closed != NULL)
        r->closed(r->closed_context);
}

static void raft_closed_cb(struct raft *raft)
{
    struct replica *r = (struct replica *)((char *)raft - offsetof(struct replica, raft));

    replica_commit(r);
    proposals_close(r);
    uv_close((uv_handle_t *)&r->turn, handle_closed_cb);
    uv_close((uv_handle_t *)&r->tick, handle_closed_cb);
}

static void close_now(struct replica *r)
{
    r->closing = true;
    raft_close(&r->raft, raft_closed_cb);
}

static void handed_over_cb(void *context, enum status status, const char *text)
{
    (void)status;
    (void)text;
    close_now(context);
}

static unsigned voters(const struct raft_configuration *conf)
{
    unsigned count = 0;

    for (unsigned i = 0; i < conf->n; i++)
        count += conf->servers[i].role == RAFT_VOTER;
    return count;
}

void replica_close(struct replica *r, void (*closed)(void *context), void *context)
{
    r->closed = closed;
    r->closed_context = context;
    if (raft_state(&r->raft) == RAFT_LEADER && voters(&r->raft.configuration) > 1 && r->raft.transfer == NULL)
        replica_transfer(r, 0, handed_over_cb, r);
    else
        close_now(r);
}

void replica_free(struct replica *r)
{
    if (r == NULL)
        return;
    if (r->io.impl != NULL)
        raft_uv_close(&r->io);
    transport_free(r->transport);
    free(r->dir);
    free(r->address);
    free(r);
}

void replica_info(struct replica *r, struct replica_info *info)
{
    const struct raft *raft = &r->raft;
    uint64_t now = clock_monotonic_ms();
    raft_id leader = 0;
    const char *address = NULL;
    int state = raft_state(&r->raft);

    memset(info, 0, sizeof(*info));
    raft_leader(&r->raft, &leader, &address);
    info->role = state == RAFT_LEADER      ? REPLICA_LEADER
                 : state == RAFT_CANDIDATE ? REPLICA_CANDIDATE
                                           : REPLICA_FOLLOWER;
    info->serving = state == RAFT_LEADER && r->serving && r->serving_term == raft->current_term;
    info->leader_id = leader;
    info->term = raft->current_term;
    info->commit_index = raft->commit_index;
    info->applied_index = replica_local_index(r);
    info->last_index = raft_last_index(&r->raft);
    info->change_under_way = r->change_under_way;
    info->space_low = r->space_low;
    for (unsigned i = 0; i < raft->configuration.n && i < MEMBERS_MAX; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        struct replica_member *member = &info->members[info->member_count++];
        size_t len = strnlen(server->address, sizeof(member->address) - 1);

        member->id = server->id;
        memcpy(member->address, server->address, len);
        member->voter = server->role == RAFT_VOTER;
        member->standby = server->role == RAFT_STANDBY;
        member->recently_heard = server->id == raft->id || now - guard_heard_ms(r, server->id) < HEARD_MS;
        if (state == RAFT_LEADER && raft->leader_state.progress != NULL)
            member->match_index = raft->leader_state.progress[i].match_index;
    }
}
