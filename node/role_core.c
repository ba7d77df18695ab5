/*
 * The role core: the replicated state of this node. It opens the store as its only writer, runs the replica
 * (raft/), and serves the other roles (core_sessions.c) and the other nodes (peer_sessions.c, core_join.c).
 * It parses no mail and serves no HTTP.
 *
 * The way when all goes well: identity and keys are read, the store is opened, the replica is started with
 * the listening socket of the supervisor, and a tick of CORE_TICK_MS drives what waits: time-outs, retries,
 * asking the peers, reconciling the membership, events to the roles. All on one loop; nothing on it blocks
 * but small files at start.
 *
 * What can go wrong: the log or the store cannot be written or is damaged: core ends (the supervisor starts
 * it again), with 78 when starting again cannot help. SIGTERM: leadership is handed over, the log closed, the
 * store closed last.
 */
#include "node/core_internal.h"

#include "base/log.h"
#include "crypto/x509.h"
#include "node/durable_file.h"
#include "node/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define CLOSE_LONGEST_MS    5000
#define REMOVED_GRACE_MS    5000 /* a removed voter still answers while its removal is committed */
#define ELECTION_TIMEOUT_MS 1000
#define HEARTBEAT_MS        100
#define EVENT_GATHER_MS     5

static const char removed_text[] =
    "this node was removed from its cluster: give it an empty data folder and join again";

bool core_is_leader(const struct core *core)
{
    return core->info.role == REPLICA_LEADER;
}

static void cluster_look(struct core *core)
{
    struct store_view *view;
    struct cluster_record cluster;
    struct node_record own;
    struct failure f;
    if (core->initialised || store_view_begin(core->store, &view, &f) != STATUS_OK) {
        return;
    }
    bool there = store_cluster_get(view, &cluster) == STATUS_OK &&
                 store_node_get(view, core->identity.node_id, &own) == STATUS_OK;
    store_view_end(view);
    if (there) {
        core->initialised = true;
        log_event(LOG_INFO, "the state is here: the other roles may begin",
                  LOG_NUMBER("applied_index", store_applied_index(core->store)));
        core_sessions_initialised(core);
    }
}

static bool node_removed(struct core *core, uint64_t id)
{
    struct store_view *view;
    struct failure f;
    bool removed = false;
    if (store_view_begin(core->store, &view, &f) == STATUS_OK) {
        removed = store_node_was_removed(view, id);
        store_view_end(view);
    }
    return removed;
}

/* Were we removed, or is one connected that was? */
static void removal_look(struct core *core)
{
    if (!core->removed && core->removed_stop_ms == 0 && node_removed(core, core->identity.node_id)) {
        core->removed_stop_ms = clock_monotonic_ms() + REMOVED_GRACE_MS;
        log_event(LOG_WARN, "this node was removed from the cluster and will stop");
    }
    peer_sessions_refuse(core->peer_sessions, node_removed, removed_text);
}

void core_refresh(struct core *core)
{
    static const char *const names[] = {"follower", "candidate", "leader"};
    uint64_t old_leader = core->info.leader_id, old_term = core->info.term;
    enum replica_role old_role = core->info.role;
    bool old_serving = core->info.serving, old_low = core->info.space_low;

    replica_info(core->replica, &core->info);
    if (core->info.leader_id != old_leader || core->info.role != old_role ||
        core->info.serving != old_serving || (core->info.leader_id != 0 && core->leader_name[0] == '\0')) {
        (void)core_node_name(core, core->info.leader_id, core->leader_name);
        core_event_soon(core);
    }
    if (core->info.leader_id != old_leader || core->info.role != old_role || core->info.term != old_term) {
        log_event(LOG_INFO, "raft", LOG_TEXT("role", names[core->info.role]),
                  LOG_NUMBER("term", core->info.term), LOG_TEXT("leader", core->leader_name),
                  LOG_NUMBER("applied_index", core->info.applied_index));
    }
    if (core->info.space_low != old_low) {
        log_event(core->info.space_low ? LOG_ERROR : LOG_INFO, core->info.space_low
                                                                   ? "disk space is low: nothing new is taken"
                                                                   : "disk space is enough again");
    }
}

static void state_changed_cb(void *context)
{
    struct core *core = context;
    if (core->replica == NULL || core->closing) {
        return;
    }
    core_refresh(core);
    core_event_soon(core);
}

static void applied_cb(void *context, uint64_t index)
{
    struct core *core = context;
    (void)index;
    if (core->replica != NULL) {
        core_event_soon(core);
    }
}

/* --- connections of other nodes that are not raft's own --- */

/* It tries again and again: say it once a minute. */
static void turned_away_log(struct core *core, uint64_t id)
{
    uint64_t now = clock_monotonic_ms();
    if (id != core->turned_away_id || now - core->turned_away_ms >= 60000) {
        core->turned_away_id = id;
        core->turned_away_ms = now;
        log_event(LOG_INFO, "a node that this one does not know (yet) was turned away",
                  LOG_NUMBER("node_id", id));
    }
}

static void accept_cb(void *context, struct tls_stream *stream, const struct tls_peer *peer)
{
    struct core *core = context;
    if (core->closing) {
        tls_stream_close(stream);
        return;
    }
    if (strcmp(peer->alpn, ALPN_JOIN) == 0) {
        core_join_accept(core, stream);
        return;
    }
    if (strcmp(peer->alpn, ALPN_RPC) != 0 || !peer->authenticated || peer->node_id == 0) {
        tls_stream_close(stream);
        return;
    }
    if (core_peer_allowed(core, peer->node_id, peer->spki_hash)) {
        peer_session_start(core->peer_sessions, stream);
        return;
    }
    if (node_removed(core, peer->node_id)) {
        peer_session_refuse(core->peer_sessions, stream, removed_text);
        return;
    }
    turned_away_log(core, peer->node_id);
    tls_stream_close(stream);
}

/* --- stopping --- */

static void walk_close_cb(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void replica_closed_cb(void *context)
{
    struct core *core = context;
    core_membership_tick(core, clock_monotonic_ms()); /* ends what waits there */
    peer_links_close(core->links);
    peer_sessions_close(core->peer_sessions);
    core_everywhere_free(core->everywhere);
    core_proposals_free(core->proposals);
    core_joins_free(core->joins); /* after the proposals that they wait for */
    core_barriers_free(core->barriers);
    core_messages_free(core->messages);
    core->messages = NULL;
    core_evidences_free(core->evidences);
    core_hashes_free(core->hashes);
    core_sessions_free(core->sessions);
    core->links = NULL;
    uv_close((uv_handle_t *)&core->tick, NULL);
    uv_close((uv_handle_t *)&core->waits, NULL);
    if (!uv_is_closing((uv_handle_t *)&core->stop_poll)) {
        uv_close((uv_handle_t *)&core->stop_poll, NULL);
    }
}

static void close_timeout_cb(uv_timer_t *timer)
{
    struct core *core = timer->data;
    log_event(LOG_WARN, "the log did not close in time");
    _exit(core->exit_status != 0 ? core->exit_status : 1);
}

void core_stop(struct core *core, int exit_status)
{
    if (core->exit_status == 0) {
        core->exit_status = exit_status;
    }
    core->closing = true; /* the tick does the rest: we may be deep inside of what has to be closed */
}

void core_removed(struct core *core, const char *text)
{
    struct buf note = BUF_INIT(FAILURE_TEXT_MAX);
    struct failure f = {0};
    if (core->removed) {
        return;
    }
    core->removed = true;
    log_event(LOG_ERROR, "this node stops for good", LOG_TEXT("reason", text));
    if (buf_printf(&note, "%s\n", text) != STATUS_OK ||
        durable_file_replace(IDENTITY_REMOVED, 0640, buf_slice(&note), &f) != STATUS_OK) {
        log_event(LOG_WARN, "the removal cannot be noted", LOG_TEXT("reason", f.text));
    }
    buf_release(&note);
    core_stop(core, EXIT_FATAL);
}

static void stop_cb(uv_poll_t *poll, int status, int events)
{
    struct core *core = poll->data;
    (void)status;
    (void)events;
    uv_close((uv_handle_t *)poll, NULL);
    core_stop(core, 0);
}

/* --- events to the other roles --- */

static void event_send(struct core *core, uint64_t now)
{
    core->next_event_ms = now + CORE_EVENT_MS;
    core_sessions_event(core);
}

/* A leader that stopped answering (paused, cut off) would hold what was asked of it until its time is over.
 */
static void leader_look(struct core *core)
{
    if (core->info.leader_id != 0 && core->info.leader_id != core->told_leader_id) {
        core->told_leader_id = core->info.leader_id;
        peer_links_leader_changed(core->links, core->info.leader_id);
    }
}

static void event_cb(uv_timer_t *timer)
{
    struct core *core = timer->data;
    if (core->closing) {
        return;
    }
    core_refresh(core);
    cluster_look(core);
    leader_look(core);
    core_proposals_leader_changed(core);
    event_send(core, clock_monotonic_ms());
}

/* Events are gathered for a few milliseconds: a batch each 2 ms must not become an event each. */
void core_event_soon(struct core *core)
{
    if (core->running && !core->closing && !uv_is_active((uv_handle_t *)&core->event_timer)) {
        uv_timer_start(&core->event_timer, event_cb, EVENT_GATHER_MS, 0);
    }
}

/* --- the tick --- */

static void close_begin(struct core *core)
{
    log_event(LOG_INFO, "core is stopping", LOG_NUMBER("applied_index", core->info.applied_index));
    uv_timer_stop(&core->tick);
    uv_timer_start(&core->event_timer, close_timeout_cb, CLOSE_LONGEST_MS, 0);
    uv_unref((uv_handle_t *)&core->event_timer);
    replica_close(core->replica, replica_closed_cb, core);
}

static void tick_cb(uv_timer_t *timer)
{
    struct core *core = timer->data;
    uint64_t now = clock_monotonic_ms();
    if (core->closing) {
        close_begin(core);
        return;
    }
    core_refresh(core);
    cluster_look(core);
    peer_links_tick(core->links, now);
    core_proposals_tick(core, now);
    core_barriers_tick(core, now);
    core_everywhere_tick(core, now);
    core_hashes_tick(core, now);
    core_messages_tick(core, now);
    core_joins_tick(core, now);
    core_founding_tick(core, now);
    core_membership_tick(core, now);
    core_expiry_tick(core, now);
    core_sweep_tick(core, now);
    if (now >= core->next_event_ms) {
        event_send(core, now);
    }
    if (now >= core->next_period_ms) {
        core->next_period_ms = now + CORE_PERIOD_MS;
        removal_look(core);
        core_peers_remember(core);
        core_peers_ask(core, now);
    }
    if (core->removed_stop_ms != 0 && now >= core->removed_stop_ms) {
        core_removed(core, removed_text);
    }
}

/* --- start --- */

static enum status boot_id_read(char id[37], struct failure *f)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, id, 36) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (n != 36) {
        return failure_set(f, STATUS_IO, "the kernel's boot id cannot be read");
    }
    id[36] = '\0';
    return STATUS_OK;
}

static enum status parts_make(struct core *core, struct failure *f)
{
    core->links = peer_links_new(core);
    core->peer_sessions = peer_sessions_new(core);
    core->proposals = core_proposals_new(core);
    core->barriers = core_barriers_new(core);
    core->everywhere = core_everywhere_new(core);
    core->hashes = core_hashes_new(core);
    core->joins = core_joins_new(core);
    core->membership = core_membership_new(core);
    core->messages = core_messages_new();
    core->evidences = core_evidences_new(core);
    if (core->links == NULL || core->peer_sessions == NULL || core->proposals == NULL ||
        core->barriers == NULL || core->everywhere == NULL || core->hashes == NULL || core->joins == NULL ||
        core->membership == NULL || core->messages == NULL || core->evidences == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the core");
    }
    return STATUS_OK;
}

static enum status keys_open(struct core *core, struct failure *f)
{
    struct slice master = secret_slice(&core->role->master);
    enum status status = identity_load(master, &core->identity, f);
    if (status != STATUS_OK) {
        return status;
    }
    if (key_derive(master, "sealpost kek", &core->keyring.kek) != STATUS_OK) {
        return failure_set(f, STATUS_CRYPTO, "the key-encryption key cannot be derived");
    }
    status = tls_context_peer(true, core->identity.peer_certificate, core->identity.peer_key,
                              core->identity.ca, &core->server_tls, f);
    if (status == STATUS_OK) {
        status = tls_context_peer(false, core->identity.peer_certificate, core->identity.peer_key,
                                  core->identity.ca, &core->client_tls, f);
    }
    return status;
}

static enum status replica_open(struct core *core, struct failure *f)
{
    core->accept = (struct tls_stream_accept){.cb = accept_cb, .context = core};
    struct replica_options options = {
        .loop = &core->loop,
        .dir = "raft",
        .store = core->store,
        .id = core->identity.node_id,
        .address = core->config->cluster_advertise,
        .listener = role_listener_fd(core->role, "peers", 0),
        .server_tls = core->server_tls,
        .client_tls = core->client_tls,
        .peer_allowed = core_peer_allowed,
        .accept = &core->accept,
        .state_changed = state_changed_cb,
        .applied = applied_cb,
        .checkpoint = core_checkpoint,
        .context = core,
        .election_timeout_ms = ELECTION_TIMEOUT_MS,
        .heartbeat_ms = HEARTBEAT_MS,
        .log_tail_bytes = core->config->log_tail_bytes,
        .disk_reserve = core->config->disk_reserve,
        .segment_bytes = core->config->segment_bytes & ~(uint64_t)0xfffff,
    };
    struct replica *replica = NULL;
    enum status status = replica_new(&options, &replica, f);
    if (status != STATUS_OK) {
        return status;
    }
    if (access(IDENTITY_BOOTSTRAP, F_OK) == 0) {
        struct failure ignored = {0};
        status = replica_bootstrap(replica, &ignored);
        if (status != STATUS_OK && status != STATUS_EXISTS && status != STATUS_CONFLICT) {
            *f = ignored;
            return status;
        }
    }
    status = replica_start(replica, f);
    if (status == STATUS_OK) {
        core->replica = replica;
        replica_info(replica, &core->info);
    }
    return status;
}

static enum status core_open(struct core *core, struct failure *f)
{
    char boot_id[37];
    enum status status = boot_id_read(boot_id, f);
    uv_prepare_init(&core->loop, &core->waits);
    status = status == STATUS_OK ? parts_make(core, f) : status;
    status = status == STATUS_OK ? keys_open(core, f) : status;
    status =
        status == STATUS_OK ? store_open_writer("state", slice_of_text(boot_id), &core->store, f) : status;
    status = status == STATUS_OK ? replica_open(core, f) : status;
    if (status != STATUS_OK) {
        return status;
    }
    core->sessions = core_sessions_new(core, role_listener_fd(core->role, "core", 0), f);
    if (core->sessions == NULL) {
        return STATUS_NO_MEMORY;
    }
    uv_timer_init(&core->loop, &core->tick);
    uv_timer_init(&core->loop, &core->event_timer);
    core->tick.data = core->event_timer.data = core;
    uv_timer_start(&core->tick, tick_cb, 0, CORE_TICK_MS);
    if (uv_poll_init(&core->loop, &core->stop_poll, core->role->stop_fd) != 0) {
        return failure_set(f, STATUS_IO, "the signal to stop cannot be awaited");
    }
    core->stop_poll.data = core;
    core->running = true;
    uv_poll_start(&core->stop_poll, UV_READABLE, stop_cb);
    return STATUS_OK;
}

/* Starting again does not make these better. */
static bool hopeless(enum status status)
{
    return status == STATUS_VERSION || status == STATUS_CORRUPT || status == STATUS_CONFLICT ||
           status == STATUS_CRYPTO || status == STATUS_NOT_FOUND || status == STATUS_INVALID;
}

int role_core_run(struct role_context *role)
{
    static struct core core;
    struct failure f = {0};

    core.role = role;
    core.config = role->config;
    if (uv_loop_init(&core.loop) != 0) {
        log_event(LOG_ERROR, "core has no event loop");
        return 1;
    }
    enum status status = core_open(&core, &f);
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "core cannot start", LOG_TEXT("reason", f.text));
        return hopeless(status) ? EXIT_FATAL : 1;
    }
    log_event(LOG_INFO, "core runs", LOG_NUMBER("node_id", core.identity.node_id),
              LOG_NUMBER("applied_index", store_applied_index(core.store)));
    uv_run(&core.loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&core.event_timer, NULL);
    uv_walk(&core.loop, walk_close_cb, NULL);
    uv_run(&core.loop, UV_RUN_DEFAULT);
    replica_free(core.replica);
    core_membership_free(core.membership);
    store_close(core.store);
    SSL_CTX_free(core.server_tls);
    SSL_CTX_free(core.client_tls);
    keyring_release(&core.keyring);
    identity_release(&core.identity);
    log_event(LOG_INFO, "core has stopped", LOG_NUMBER("status", core.exit_status));
    return core.exit_status;
}
