/*
 * Who belongs to the Raft cluster. The store's table of nodes is the truth; a few times a second the leader
 * brings c-raft's configuration to it, one change at a time: a node of the store that is no member is added
 * (as spare), a member that the store does not know is removed, one whose address changed is removed and
 * added anew, and a spare that can be reached becomes a voter, up to VOTERS_MAX. So whatever is interrupted
 * half-way is finished by the next leader.
 *
 * Removing a node: the command NODE_REMOVE is what counts; its raft membership follows at once. The node
 * learns it from the log, or from any member that it talks to (node/peer_rpc.h: notice). A leader hands
 * leadership over before it is removed, and the next leader does the rest.
 */
#include "node/core_internal.h"

#include "base/log.h"
#include "base/msgpack_write.h"

#define VOTERS_MAX      7
#define LOOK_MS         200 /* how often the leader compares */
#define CHANGE_REST_MS  50  /* between two changes */
#define SETTLE_MS       2000
#define PROMOTE_REST_MS 3000 /* after a promotion that did not work: the node may be slow */

struct core_membership {
    struct core *core;
    struct wish *settling; /* leadership was handed over; who has it shows in a moment */
    bool under_way;        /* our own change */
    uint64_t rest_until_ms, next_look_ms;
    uint64_t node_id;
    const char *what;
};

struct core_membership *core_membership_new(struct core *core)
{
    struct core_membership *m = calloc(1, sizeof(*m));
    if (m != NULL) {
        m->core = core;
    }
    return m;
}

void core_membership_free(struct core_membership *m)
{
    free(m);
}

static void changed_cb(void *context, enum status status, const char *text)
{
    struct core_membership *m = context;
    m->under_way = false;
    m->rest_until_ms = clock_monotonic_ms() + (status == STATUS_OK ? CHANGE_REST_MS : PROMOTE_REST_MS);
    log_event(status == STATUS_OK ? LOG_INFO : LOG_WARN,
              status == STATUS_OK ? "membership changed" : "membership change failed",
              LOG_TEXT("change", m->what), LOG_NUMBER("node_id", m->node_id), LOG_TEXT("reason", text));
    core_refresh(m->core);
}

static void change_note(struct core_membership *m, uint64_t id, const char *what)
{
    m->under_way = true;
    m->node_id = id;
    m->what = what;
}

static const struct replica_member *member_find(const struct core *core, uint64_t id)
{
    for (size_t i = 0; i < core->info.member_count; i++) {
        if (core->info.members[i].id == id) {
            return &core->info.members[i];
        }
    }
    return NULL;
}

static const struct known_peer *node_find(const struct known_peer *nodes, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (nodes[i].id == id) {
            return &nodes[i];
        }
    }
    return NULL;
}

static void reconcile(struct core *core, uint64_t now)
{
    struct core_membership *m = core->membership;
    struct known_peer nodes[CORE_NODES_MAX];
    size_t voters = 0;
    if (!core_is_leader(core) || !core->info.serving || !core->initialised || m->under_way ||
        core->info.change_under_way || now < m->rest_until_ms || core->closing) {
        return;
    }
    size_t count = core_nodes_list(core, nodes);
    for (size_t i = 0; i < core->info.member_count; i++) {
        const struct replica_member *member = &core->info.members[i];
        const struct known_peer *node = node_find(nodes, count, member->id);
        voters += member->voter;
        if (member->id != core->identity.node_id &&
            (node == NULL || strcmp(node->address, member->address) != 0)) {
            change_note(m, member->id, node == NULL ? "remove" : "remove (new address)");
            replica_remove(core->replica, member->id, changed_cb, m);
            return;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (member_find(core, nodes[i].id) == NULL) {
            change_note(m, nodes[i].id, "add");
            replica_add(core->replica, nodes[i].id, nodes[i].address, changed_cb, m);
            return;
        }
    }
    for (size_t i = 0; i < count && voters < VOTERS_MAX; i++) {
        const struct replica_member *member = member_find(core, nodes[i].id);
        if (!member->voter && core_peer_reachable(core, nodes[i].id, now)) {
            change_note(m, nodes[i].id, "promote");
            replica_promote(core->replica, nodes[i].id, changed_cb, m);
            return;
        }
    }
}

/* --- an administrator's wish --- */

struct wish {
    struct wish *next; /* settling */
    uint64_t settle_until_ms;
    struct core *core;
    enum peer_method method;
    char name[NODE_NAME_MAX + 1];
    uint64_t node_id;
    core_done_cb cb;
    void *context;
};

static void wish_end(struct wish *w, enum status status, const char *text, uint64_t index, const char *name)
{
    w->cb(w->context, status, text, index, name);
    free(w);
}

static struct wish *wish_new(struct core *core, enum peer_method method, struct slice name, core_done_cb cb,
                             void *context)
{
    struct wish *w = calloc(1, sizeof(*w));
    if (w == NULL || name.len > NODE_NAME_MAX) {
        cb(context, w == NULL ? STATUS_NO_MEMORY : STATUS_INVALID, "there is no node of this name", 0, "");
        free(w);
        return NULL;
    }
    *w = (struct wish){.core = core, .method = method, .cb = cb, .context = context};
    memcpy(w->name, name.data, name.len);
    return w;
}

static void forwarded_cb(void *context, enum status status, const char *text, struct msgpack_reader *results)
{
    struct wish *w = context;
    char name[NODE_NAME_MAX + 1] = "";
    uint64_t index = 0;
    if (status == STATUS_OK && w->method == PEER_TRANSFER) {
        struct slice leader = read_text(results, NODE_NAME_MAX);
        memcpy(name, leader.data != NULL ? leader.data : (const uint8_t *)"", leader.len);
        status = msgpack_reader_status(results, true);
    } else if (status == STATUS_OK) {
        index = read_u64(results);
        status = msgpack_reader_status(results, true);
    }
    wish_end(w, status, text, index, name);
}

/* To the leader, if that is another node and we may: true if the wish is on its way or ended. */
static bool wish_forward(struct wish *w, bool forward)
{
    struct core *core = w->core;
    struct buf args = BUF_INIT(128);
    struct msgpack_writer writer;
    uint64_t leader = core->info.leader_id;
    if (core_is_leader(core)) {
        return false;
    }
    if (!forward || leader == 0 || leader == core->identity.node_id) {
        wish_end(w, forward ? STATUS_UNAVAILABLE : STATUS_NOT_LEADER,
                 forward ? "the cluster has no leader at the moment" : status_text(STATUS_NOT_LEADER), 0, "");
        return true;
    }
    msgpack_writer_init(&writer, &args);
    write_text(&writer, slice_of_text(w->name));
    if (msgpack_writer_status(&writer) != STATUS_OK) {
        wish_end(w, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), 0, "");
    } else {
        peer_call(core->links, leader, w->method, buf_slice(&args), 1, 10000, forwarded_cb, w);
    }
    buf_release(&args);
    return true;
}

/* The id of the node that is wished for; ends the wish if there is none. */
static bool wish_resolve(struct wish *w)
{
    struct known_peer nodes[CORE_NODES_MAX];
    size_t count = core_nodes_list(w->core, nodes);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(nodes[i].name, w->name) == 0) {
            w->node_id = nodes[i].id;
            return true;
        }
    }
    wish_end(w, STATUS_NOT_FOUND, "there is no node of this name", 0, "");
    return false;
}

static void wish_settle(struct wish *w)
{
    struct core_membership *m = w->core->membership;
    w->settle_until_ms = clock_monotonic_ms() + SETTLE_MS;
    w->next = m->settling;
    m->settling = w;
}

/* Leadership was handed over: the transfer is done, a removal goes on at the new leader. */
static void wish_settled(struct wish *w, bool known)
{
    char name[NODE_NAME_MAX + 1] = "";
    if (w->core->closing) {
        wish_end(w, STATUS_UNAVAILABLE, "this node is stopping", 0, "");
    } else if (w->method == PEER_TRANSFER) {
        (void)core_node_name(w->core, known ? w->core->info.leader_id : w->node_id, name);
        wish_end(w, STATUS_OK, "", 0, name);
    } else if (!wish_forward(w, true)) {
        wish_end(w, STATUS_UNAVAILABLE, "leadership could not be handed over", 0, "");
    }
}

static void wishes_look(struct core *core, uint64_t now)
{
    struct wish *list = core->membership->settling;
    bool known = core->info.leader_id != 0 && core->info.leader_id != core->identity.node_id;
    core->membership->settling = NULL;
    while (list != NULL) {
        struct wish *w = list;
        list = w->next;
        if (known || now >= w->settle_until_ms || core->closing) {
            wish_settled(w, known);
        } else {
            w->next = core->membership->settling;
            core->membership->settling = w;
        }
    }
}

static void handed_over_cb(void *context, enum status status, const char *text)
{
    struct wish *w = context;
    if (status != STATUS_OK) {
        wish_end(w, status, text, 0, "");
    } else {
        wish_settle(w);
    }
}

void core_transfer(struct core *core, struct slice name, bool forward, core_done_cb cb, void *context)
{
    struct wish *w = wish_new(core, PEER_TRANSFER, name, cb, context);
    if (w == NULL || wish_forward(w, forward) || (w->name[0] != '\0' && !wish_resolve(w))) {
        return;
    }
    if (w->node_id == core->identity.node_id) {
        wish_end(w, STATUS_OK, "", 0, w->name);
        return;
    }
    const struct replica_member *member = w->node_id != 0 ? member_find(core, w->node_id) : NULL;
    if (w->node_id != 0 && (member == NULL || !member->voter)) {
        wish_end(w, STATUS_CONFLICT, "the node is not a voter", 0, "");
        return;
    }
    replica_transfer(core->replica, w->node_id, handed_over_cb, w);
}

static void remove_proposed_cb(void *context, const struct core_outcome *outcome)
{
    struct wish *w = context;
    struct core *core = w->core;
    if (outcome->status != STATUS_OK) {
        wish_end(w, outcome->status, outcome->text, 0, "");
        return;
    }
    const struct apply_result *result = outcome->result;
    core_refresh(core);
    core->membership->rest_until_ms = 0;
    reconcile(core, clock_monotonic_ms()); /* at once, not in a second */
    wish_end(w, result->status, result->failure.text, result->index, "");
}

void core_node_remove(struct core *core, struct slice name, bool forward, core_done_cb cb, void *context)
{
    struct command c;
    struct known_peer nodes[CORE_NODES_MAX];
    struct wish *w = wish_new(core, PEER_NODE_REMOVE, name, cb, context);
    if (w == NULL || wish_forward(w, forward) || !wish_resolve(w)) {
        return;
    }
    if (core_nodes_list(core, nodes) == 1) {
        wish_end(w, STATUS_CONFLICT, "this is the last node of the cluster", 0, "");
        return;
    }
    if (w->node_id == core->identity.node_id) {
        replica_transfer(core->replica, 0, handed_over_cb, w);
        return;
    }
    command_init(&c, COMMAND_NODE_REMOVE, clock_wall_ms(), SLICE_LITERAL("core"));
    c.values[0].number = w->node_id;
    core_propose_command(core, &c, remove_proposed_cb, w);
}

void core_membership_tick(struct core *core, uint64_t now)
{
    struct core_membership *m = core->membership;
    wishes_look(core, now);
    if (now >= m->next_look_ms) {
        m->next_look_ms = now + LOOK_MS;
        reconcile(core, now);
    }
}
