/*
 * Who the other nodes are: the store knows; before it does (a node that has just joined) what the join
 * brought. And what each said of itself last: every node asks every other twice a second, which makes
 * `cluster status` an answer without waiting.
 */
#include "node/core_internal.h"

#include "base/log.h"
#include "base/msgpack_write.h"
#include "node/durable_file.h"

static const struct known_peer *joined_peer(const struct core *core, uint64_t id)
{
    for (size_t i = 0; i < core->identity.peer_count; i++) {
        if (core->identity.peers[i].id == id) {
            return &core->identity.peers[i];
        }
    }
    return NULL;
}

static bool view_open(struct core *core, struct store_view **view)
{
    struct failure f;
    if (store_view_begin(core->store, view, &f) != STATUS_OK) {
        log_event(LOG_ERROR, "the store cannot be read", LOG_TEXT("reason", f.text));
        return false;
    }
    return true;
}

bool core_peer_allowed(void *context, uint64_t id, const uint8_t spki_hash[32])
{
    struct core *core = context;
    struct store_view *view;
    struct node_record node;
    bool allowed = false;
    if (!view_open(core, &view)) {
        return false;
    }
    enum status status = store_node_get(view, id, &node);
    if (status == STATUS_OK) {
        allowed = memcmp(node.spki_hash, spki_hash, sizeof(node.spki_hash)) == 0;
    } else if (status == STATUS_NOT_FOUND && !store_node_was_removed(view, id)) {
        const struct known_peer *peer = joined_peer(core, id);
        allowed = peer != NULL && memcmp(peer->spki_hash, spki_hash, sizeof(peer->spki_hash)) == 0;
    }
    store_view_end(view);
    return allowed;
}

bool core_peer_address(struct core *core, uint64_t id, char address[80])
{
    struct store_view *view;
    struct node_record node;
    int n = -1;
    if (view_open(core, &view)) {
        if (store_node_get(view, id, &node) == STATUS_OK) {
            n = snprintf(address, 80, "%.*s", SLICE_ARGS(node.peer_address));
        }
        store_view_end(view);
    }
    const struct known_peer *peer = n < 0 ? joined_peer(core, id) : NULL;
    if (peer != NULL) {
        n = snprintf(address, 80, "%s", peer->address);
    }
    return n > 0 && n < 80;
}

bool core_node_name(struct core *core, uint64_t id, char name[NODE_NAME_MAX + 1])
{
    struct store_view *view;
    struct node_record node;
    bool found = false;
    name[0] = '\0';
    if (id == 0) {
        return false;
    }
    if (view_open(core, &view)) {
        found = store_node_get(view, id, &node) == STATUS_OK && node.name.len <= NODE_NAME_MAX;
        if (found) {
            memcpy(name, node.name.data, node.name.len);
            name[node.name.len] = '\0';
        }
        store_view_end(view);
    }
    const struct known_peer *peer = found ? NULL : joined_peer(core, id);
    if (peer != NULL) {
        memcpy(name, peer->name, sizeof(peer->name));
        found = true;
    }
    return found;
}

struct listing {
    struct known_peer *nodes;
    size_t count;
};

static bool list_cb(void *context, const struct node_record *record)
{
    struct listing *l = context;
    struct known_peer *p = &l->nodes[l->count];
    *p = (struct known_peer){.id = record->id};
    if (record->name.len < sizeof(p->name) && record->peer_address.len < sizeof(p->address)) {
        memcpy(p->name, record->name.data, record->name.len);
        memcpy(p->address, record->peer_address.data, record->peer_address.len);
        memcpy(p->spki_hash, record->spki_hash, sizeof(p->spki_hash));
        l->count++;
    }
    return l->count < CORE_NODES_MAX;
}

size_t core_nodes_list(struct core *core, struct known_peer nodes[CORE_NODES_MAX])
{
    struct listing l = {.nodes = nodes};
    struct store_view *view;
    if (view_open(core, &view)) {
        if (store_nodes_all(view, list_cb, &l) != STATUS_OK) {
            l.count = 0;
        }
        store_view_end(view);
    }
    if (l.count == 0) {
        memcpy(nodes, core->identity.peers, core->identity.peer_count * sizeof(nodes[0]));
        l.count = core->identity.peer_count;
    }
    return l.count;
}

/*
 * What the store says of the nodes is kept in identity/peers too: after a power cut the store is built anew
 * from the log, for which the nodes must find and admit each other before there is a store.
 */
void core_peers_remember(struct core *core)
{
    struct known_peer nodes[CORE_NODES_MAX];
    struct buf out = BUF_INIT(JOIN_FRAME_MAX);
    struct failure f = {0};
    size_t count = core_nodes_list(core, nodes);
    if (!core->initialised || (count == core->identity.peer_count &&
                               memcmp(nodes, core->identity.peers, count * sizeof(nodes[0])) == 0)) {
        return;
    }
    enum status status = known_peers_encode(nodes, count, &out);
    status = status == STATUS_OK ? durable_file_replace(IDENTITY_PEERS, 0640, buf_slice(&out), &f) : status;
    if (status == STATUS_OK) {
        memcpy(core->identity.peers, nodes, count * sizeof(nodes[0]));
        core->identity.peer_count = count;
    } else {
        log_event(LOG_WARN, "the list of nodes cannot be written", LOG_TEXT("reason", f.text));
    }
    buf_release(&out);
}

/* --- what the others say --- */

const struct peer_state *core_peer_state(const struct core *core, uint64_t id)
{
    for (size_t i = 0; i < core->peer_count; i++) {
        if (core->peers[i].id == id) {
            return &core->peers[i];
        }
    }
    return NULL;
}

static struct peer_state *peer_state_make(struct core *core, uint64_t id)
{
    struct peer_state *p = (struct peer_state *)(uintptr_t)core_peer_state(core, id);
    if (p == NULL && core->peer_count < CORE_NODES_MAX) {
        p = &core->peers[core->peer_count++];
        *p = (struct peer_state){.id = id};
    }
    return p;
}

bool core_peer_reachable(const struct core *core, uint64_t id, uint64_t now)
{
    const struct peer_state *p = core_peer_state(core, id);
    return id == core->identity.node_id ||
           (p != NULL && p->heard_ms != 0 && now - p->heard_ms <= CORE_REACHABLE_MS);
}

uint64_t core_leader_guess(const struct core *core)
{
    uint64_t now = clock_monotonic_ms(), term = 0, leader = core->info.leader_id;
    if (leader != 0) {
        return leader;
    }
    for (size_t i = 0; i < core->peer_count; i++) {
        const struct peer_state *p = &core->peers[i];
        if (p->leader_id != 0 && p->term > term && p->term >= core->info.term &&
            core_peer_reachable(core, p->id, now)) {
            term = p->term;
            leader = p->leader_id;
        }
    }
    return leader;
}

struct asking {
    struct core *core;
    uint64_t id, asked_ms;
};

static void info_read(struct core *core, struct peer_state *p, uint64_t asked_ms, struct msgpack_reader *r)
{
    struct peer_state said = {
        .id = p->id, .heard_ms = clock_monotonic_ms(), .asked_ms = asked_ms, .waits = p->waits};
    uint64_t role = read_u64(r);
    said.role = role <= REPLICA_LEADER ? (enum replica_role)role : REPLICA_FOLLOWER;
    said.term = read_u64(r);
    said.commit_index = read_u64(r);
    said.applied_index = read_u64(r);
    said.last_index = read_u64(r);
    said.leader_id = read_u64(r);
    (void)read_bool(r);
    struct slice release = read_text(r, sizeof(said.release) - 1);
    memcpy(said.release, release.data != NULL ? release.data : (const uint8_t *)"", release.len);
    if (msgpack_reader_status(r, false) == STATUS_OK) {
        *p = said;
        core_contact_answered(core, p);
    }
}

void core_peer_asks(struct core *core, uint64_t id)
{
    struct peer_state *p = peer_state_make(core, id);
    if (p != NULL) {
        p->heard_ms = clock_monotonic_ms();
    }
}

static void asked_cb(void *context, enum status status, const char *text, struct msgpack_reader *results)
{
    struct asking *a = context;
    struct peer_state *p = peer_state_make(a->core, a->id);
    (void)text;
    if (p != NULL) {
        p->asking = false;
        if (status == STATUS_OK) {
            info_read(a->core, p, a->asked_ms, results);
        }
    }
    free(a);
}

void core_peers_ask(struct core *core, uint64_t now)
{
    struct known_peer nodes[CORE_NODES_MAX];
    size_t count = core_nodes_list(core, nodes);
    /* Forget who is gone: an id never comes back. */
    for (size_t i = 0; i < core->peer_count;) {
        bool known = core->peers[i].asking;
        for (size_t j = 0; j < count && !known; j++) {
            known = nodes[j].id == core->peers[i].id;
        }
        if (known) {
            i++;
        } else {
            peer_links_forget(core->links, core->peers[i].id);
            core->peers[i] = core->peers[--core->peer_count];
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct peer_state *p =
            nodes[i].id != core->identity.node_id ? peer_state_make(core, nodes[i].id) : NULL;
        struct asking *a = p != NULL && !p->asking ? calloc(1, sizeof(*a)) : NULL;
        if (a != NULL) {
            *a = (struct asking){.core = core, .id = p->id, .asked_ms = now};
            p->asking = true;
            peer_call(core->links, p->id, PEER_INFO, SLICE_LITERAL(""), 0, CORE_REACHABLE_MS / 2, asked_cb,
                      a);
        }
    }
}

void core_info_write(struct core *core, struct buf *out, size_t *count)
{
    struct msgpack_writer w;
    /* A leader that does not serve yet may not know of all that is committed: it does not count as one. */
    bool not_yet = core->info.role == REPLICA_LEADER && !core->info.serving;
    msgpack_writer_init(&w, out);
    write_u64(&w, not_yet ? REPLICA_CANDIDATE : core->info.role);
    write_u64(&w, core->info.term);
    write_u64(&w, core->info.commit_index);
    write_u64(&w, core->info.applied_index);
    write_u64(&w, core->info.last_index);
    write_u64(&w, core->info.leader_id);
    write_bool(&w, core->info.space_low);
    write_text(&w, SLICE_LITERAL(SEALPOST_VERSION));
    *count = msgpack_writer_status(&w) == STATUS_OK ? 8 : 0;
}

/* --- peers that wait for what we committed --- */

static void waits_cb(uv_prepare_t *prepare)
{
    struct core *core = prepare->data;
    bool left = false;
    for (size_t i = 0; i < core->peer_count; i++) {
        struct peer_state *p = &core->peers[i];
        if (p->waits) {
            p->waits = !replica_tell_commit(core->replica, p->id);
            left = left || p->waits;
        }
    }
    if (!left || core->closing) {
        uv_prepare_stop(prepare);
    }
}

void core_peer_waits(struct core *core, uint64_t id)
{
    struct peer_state *p = peer_state_make(core, id);
    if (p != NULL && !core->closing) {
        p->waits = true;
        core->waits.data = core;
        uv_prepare_start(&core->waits, waits_cb);
    }
}

/* --- cluster status --- */

static const char *role_name(const struct core *core, uint64_t id, uint64_t now)
{
    static const char *const names[] = {"follower", "candidate", "leader"};
    const struct peer_state *p = core_peer_state(core, id);
    if (!core_peer_reachable(core, id, now)) {
        return "unreachable";
    }
    for (size_t i = 0; i < core->info.member_count; i++) {
        const struct replica_member *m = &core->info.members[i];
        if (m->id == id && !m->voter) {
            return m->standby ? "standby" : "spare";
        }
    }
    if (id == core->identity.node_id) {
        return names[core->info.role];
    }
    return p != NULL ? names[p->role] : "follower";
}

struct building {
    struct core *core;
    struct core_status *status;
    uint64_t now;
    bool overflow;
};

static void text_copy(char *to, size_t size, struct slice from)
{
    size_t len = from.len < size ? from.len : size - 1;
    memcpy(to, from.data, len);
    to[len] = '\0';
}

static bool status_cb(void *context, const struct node_record *record)
{
    struct building *b = context;
    struct core *core = b->core;
    struct core_node_status *n = &b->status->nodes[b->status->node_count];
    const struct peer_state *p = core_peer_state(core, record->id);
    *n = (struct core_node_status){.id = record->id,
                                   .reachable = core_peer_reachable(core, record->id, b->now)};
    text_copy(n->name, sizeof(n->name), record->name);
    text_copy(n->role, sizeof(n->role), slice_of_text(role_name(core, record->id, b->now)));
    text_copy(n->peer_address, sizeof(n->peer_address), record->peer_address);
    text_copy(n->api_address, sizeof(n->api_address), record->api_address);
    text_copy(n->smtp_address, sizeof(n->smtp_address), record->smtp_address);
    if (record->id == core->identity.node_id) {
        n->applied_index = core->info.applied_index;
        n->log_index = core->info.last_index;
        text_copy(n->release, sizeof(n->release), SLICE_LITERAL(SEALPOST_VERSION));
    } else if (p != NULL) {
        n->applied_index = p->applied_index;
        n->log_index = p->last_index;
        text_copy(n->release, sizeof(n->release), slice_of_text(p->release));
    }
    b->status->node_count++;
    return b->status->node_count < CORE_NODES_MAX;
}

enum status core_status_build(struct core *core, struct core_status *s, struct failure *f)
{
    struct building b = {.core = core, .status = s, .now = clock_monotonic_ms()};
    struct store_view *view;
    struct cluster_record cluster;

    *s = (struct core_status){0};
    enum status status = store_view_begin(core->store, &view, f);
    if (status != STATUS_OK) {
        return status;
    }
    if (store_cluster_get(view, &cluster) == STATUS_OK) {
        text_copy(s->cluster_name, sizeof(s->cluster_name), cluster.name);
    }
    status = store_nodes_all(view, status_cb, &b);
    store_view_end(view);
    if (status != STATUS_OK) {
        return failure_set(f, status, "the nodes cannot be read from the store");
    }
    text_copy(s->leader, sizeof(s->leader), slice_of_text(core->leader_name));
    text_copy(s->self, sizeof(s->self), slice_of_text(core->config->name));
    s->term = core->info.term;
    s->commit_index = core->info.commit_index;
    s->applied_index = core->info.applied_index;
    return STATUS_OK;
}
