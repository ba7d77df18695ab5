/*
 * In force everywhere: the leader answers a change of policy, certificates, keys or trust only when every
 * node has applied it, or has lost its right to act on older state (DESIGN.md section 4, Reading). So whoever
 * was told "done" finds it in force on whichever node is asked next.
 *
 * Each peer is asked "tell me when you have applied index N", one question at a time for the highest index
 * that somebody waits for, so that many changes at once share it. A peer that cannot be reached has lost its
 * right once it must have gone without word from a leader for cluster.stale_after: then it defers mail by
 * itself (cluster.when_stale). A node is waited for at most that long.
 */
#include "node/core_internal.h"

#include "base/clock.h"
#include "base/msgpack_write.h"
#include "store/setting.h"

#define MARGIN_MS 1000 /* clocks of two nodes run alike to well below this over stale_after */

struct peer_applied {
    struct core_everywhere *owner;
    uint64_t id, applied_index;
    bool asking;
};

struct everywhere_waiter {
    struct everywhere_waiter *next;
    uint64_t index, since_ms, right_ms; /* right_ms: how long a node may act on what it last heard */
    core_everywhere_cb cb;
    void *context;
};

struct core_everywhere {
    struct core *core;
    struct everywhere_waiter *waiters;
    struct peer_applied peers[CORE_NODES_MAX];
    size_t peer_count;
    unsigned calls; /* under way */
    uint64_t leader_since_ms;
    bool led, closed;
};

bool core_acts_at_once(enum command_number number)
{
    switch (number) {
    case COMMAND_SETTING_SET:
    case COMMAND_SETTING_UNSET:
    case COMMAND_DOMAIN_ADD:
    case COMMAND_DOMAIN_REMOVE:
    case COMMAND_USER_REMOVE:
    case COMMAND_CERT_ADD:
    case COMMAND_CERT_REMOVE:
    case COMMAND_CERT_ADD_MANY:
    case COMMAND_CERT_STATE:
    case COMMAND_CERT_BIND:
    case COMMAND_CERT_UNBIND:
    case COMMAND_KEY_ADD:
    case COMMAND_KEY_REMOVE:
    case COMMAND_TRUST_ADD:
    case COMMAND_TRUST_REMOVE:
    case COMMAND_API_TOKEN_GRANT:
    case COMMAND_API_TOKEN_REMOVE:
    case COMMAND_API_TOKEN_REVOKE:
    case COMMAND_RULE_SET:
    case COMMAND_RULE_REMOVE:
    case COMMAND_RULE_MOVE:
    case COMMAND_GROUP_ADD:
    case COMMAND_GROUP_MEMBER_REMOVE:
    case COMMAND_GROUP_REMOVE:
    case COMMAND_LISTENER_SET:
    case COMMAND_LISTENER_UNSET:
    case COMMAND_TLS_PUT:
    case COMMAND_TLS_REMOVE:
    case COMMAND_CTL_SET:
    case COMMAND_CTL_REMOVE:
    case COMMAND_CRL_FORCE: /* also for the rows of a delta, which count at once: it comes after them */
    case COMMAND_CRL_REMOVE:
    case COMMAND_OCSP_PUT:
    case COMMAND_OCSP_REMOVE:
    case COMMAND_CA_ADD:
    case COMMAND_CA_ISSUE:
    case COMMAND_CA_AUTO_ISSUE:
    case COMMAND_CA_REVOKE:
    case COMMAND_CA_REVOKE_CA:
    case COMMAND_CA_IMPORT:
    case COMMAND_CA_REQUEST_COMPLETE:
    case COMMAND_DKIM_STATE:
    case COMMAND_REWRITE_SET:
    case COMMAND_REWRITE_REMOVE:
        return true;
    default:
        return false;
    }
}

struct core_everywhere *core_everywhere_new(struct core *core)
{
    struct core_everywhere *e = calloc(1, sizeof(*e));
    if (e != NULL) {
        e->core = core;
    }
    return e;
}

static void maybe_free(struct core_everywhere *e)
{
    if (e->closed && e->calls == 0) {
        free(e);
    }
}

static void answer_all(struct core_everywhere *e, enum status status)
{
    while (e->waiters != NULL) {
        struct everywhere_waiter *w = e->waiters;
        e->waiters = w->next;
        w->cb(w->context, status);
        free(w);
    }
}

void core_everywhere_free(struct core_everywhere *e)
{
    if (e == NULL) {
        return;
    }
    e->closed = true;
    answer_all(e, STATUS_UNAVAILABLE);
    maybe_free(e);
}

static struct peer_applied *peer_of(struct core_everywhere *e, uint64_t id)
{
    for (size_t i = 0; i < e->peer_count; i++) {
        if (e->peers[i].id == id) {
            return &e->peers[i];
        }
    }
    if (e->peer_count == CORE_NODES_MAX) {
        return NULL;
    }
    e->peers[e->peer_count] = (struct peer_applied){.owner = e, .id = id};
    return &e->peers[e->peer_count++];
}

/* Members that get the log, and so may act on it; not this node itself. */
static bool may_act(const struct core *core, const struct replica_member *m)
{
    return m->id != core->identity.node_id && (m->voter || m->standby);
}

static bool reached(struct core_everywhere *e, const struct everywhere_waiter *w, uint64_t now)
{
    const struct core *core = e->core;
    if (now >= w->since_ms + w->right_ms) {
        return true;
    }
    for (size_t i = 0; i < core->info.member_count; i++) {
        const struct replica_member *m = &core->info.members[i];
        const struct peer_applied *p = may_act(core, m) ? peer_of(e, m->id) : NULL;
        const struct peer_state *state = core_peer_state(core, m->id);
        uint64_t heard =
            state != NULL && state->heard_ms > e->leader_since_ms ? state->heard_ms : e->leader_since_ms;
        if (p != NULL && p->applied_index < w->index && now < heard + w->right_ms) {
            return false;
        }
    }
    return true;
}

static void answer_reached(struct core_everywhere *e, uint64_t now)
{
    struct everywhere_waiter **at = &e->waiters;
    struct everywhere_waiter *done = NULL, **last = &done;
    while (*at != NULL) {
        struct everywhere_waiter *w = *at;
        if (reached(e, w, now)) {
            *at = w->next;
            w->next = NULL;
            *last = w;
            last = &w->next;
        } else {
            at = &w->next;
        }
    }
    while (done != NULL) { /* taken off the list first: an answer may bring a new waiter */
        struct everywhere_waiter *w = done;
        done = w->next;
        w->cb(w->context, STATUS_OK);
        free(w);
    }
}

static void advance(struct core_everywhere *e);

static void applied_cb(void *context, enum status status, const char *text, struct msgpack_reader *results)
{
    struct peer_applied *p = context;
    struct core_everywhere *e = p->owner;
    (void)text;
    p->asking = false;
    e->calls--;
    if (status == STATUS_OK) {
        uint64_t index = read_u64(results);
        if (msgpack_reader_status(results, true) == STATUS_OK && index > p->applied_index) {
            p->applied_index = index;
        }
    }
    if (e->closed) {
        maybe_free(e);
    } else if (status == STATUS_OK) {
        advance(e);
    } /* else: the tick asks again */
}

static void ask(struct core_everywhere *e, struct peer_applied *p, uint64_t index)
{
    struct buf args = BUF_INIT(16);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &args);
    write_u64(&w, index);
    if (msgpack_writer_status(&w) == STATUS_OK) {
        p->asking = true;
        e->calls++;
        core_peer_waits(e->core, p->id); /* it learns the commit index now, not at the next heartbeat */
        peer_call(e->core->links, p->id, PEER_APPLIED, buf_slice(&args), 1, CORE_PEER_CALL_MS, applied_cb, p);
    }
    buf_release(&args);
}

static void advance(struct core_everywhere *e)
{
    const struct core *core = e->core;
    uint64_t highest = 0;
    answer_reached(e, clock_monotonic_ms());
    for (const struct everywhere_waiter *w = e->waiters; w != NULL; w = w->next) {
        highest = w->index > highest ? w->index : highest;
    }
    for (size_t i = 0; i < core->info.member_count; i++) {
        struct peer_applied *p =
            may_act(core, &core->info.members[i]) ? peer_of(e, core->info.members[i].id) : NULL;
        if (p != NULL && !p->asking && p->applied_index < highest) {
            ask(e, p, highest);
        }
    }
}

static uint64_t right_of_others(struct core *core)
{
    const struct setting *setting = setting_find(SLICE_LITERAL("cluster.stale_after"));
    struct setting_value value;
    struct store_view *view;
    uint64_t ms = 10000;
    if (setting != NULL && store_view_begin(core->store, &view, NULL) == STATUS_OK) {
        if (setting_get(view, setting, SLICE_LITERAL(""), &value) == STATUS_OK) {
            ms = setting_number(&value);
        }
        store_view_end(view);
    }
    return ms + MARGIN_MS;
}

void core_everywhere(struct core *core, uint64_t index, core_everywhere_cb cb, void *context)
{
    struct core_everywhere *e = core->everywhere;
    struct everywhere_waiter *w = core_is_leader(core) && !e->closed ? calloc(1, sizeof(*w)) : NULL;
    struct everywhere_waiter **tail = &e->waiters;
    if (w == NULL) {
        cb(context, STATUS_UNAVAILABLE);
        return;
    }
    *w = (struct everywhere_waiter){.index = index,
                                    .since_ms = clock_monotonic_ms(),
                                    .right_ms = right_of_others(core),
                                    .cb = cb,
                                    .context = context};
    while (*tail != NULL) {
        tail = &(*tail)->next;
    }
    *tail = w;
    advance(e);
}

void core_everywhere_tick(struct core *core, uint64_t now)
{
    struct core_everywhere *e = core->everywhere;
    bool leads = core_is_leader(core);
    if (leads && !e->led) {
        e->leader_since_ms = now;
    }
    e->led = leads;
    if (!leads) {
        answer_all(e, STATUS_UNAVAILABLE); /* the new leader answers for it when the command comes again */
    } else if (e->waiters != NULL) {
        advance(e);
    }
}

static void here_cb(void *context, enum status status, uint64_t index)
{
    struct buf out = BUF_INIT(16);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &out);
    write_u64(&w, index);
    peer_request_answer(context, status, status_text(status), buf_slice(&out), status == STATUS_OK ? 1 : 0);
    buf_release(&out);
}

void core_applied_for_peer(struct core *core, uint64_t index, struct peer_request *q)
{
    replica_wait_applied(core->replica, index, here_cb, q);
}
