/*
 * Read barriers. When one answers, this node's store holds everything that was acknowledged anywhere before
 * it was asked.
 *
 * Those who ask while a round is under way wait for the next one and share it: a round must begin after the
 * question. A round asks the leader (here or by READ_INDEX) for an index, then waits until the local store
 * has applied it; the next round may begin meanwhile. A round that failed puts its waiters back until their
 * time is over.
 */
#include "node/core_internal.h"

#include "base/msgpack_write.h"

struct waiter {
    struct waiter *next;
    uint64_t deadline_ms;
    core_barrier_cb cb;
    void *context;
};

struct round {
    struct round *next, **place;
    struct core_barriers *barriers;
    struct waiter *waiters;
};

struct core_barriers {
    struct core *core;
    struct waiter *waiting; /* for the next round */
    struct round *rounds;   /* under way */
    struct round *asking;   /* the one whose index is not known yet */
    uint64_t retry_at_ms;
};

struct core_barriers *core_barriers_new(struct core *core)
{
    struct core_barriers *b = calloc(1, sizeof(*b));
    if (b != NULL) {
        b->core = core;
    }
    return b;
}

static void waiters_answer(struct waiter *list, enum status status, const char *text, uint64_t index)
{
    while (list != NULL) {
        struct waiter *w = list;
        list = w->next;
        w->cb(w->context, status, text, index);
        free(w);
    }
}

static void round_begin(struct core_barriers *b);

static struct waiter *round_end(struct round *r)
{
    struct waiter *waiters = r->waiters;
    *r->place = r->next;
    if (r->next != NULL) {
        r->next->place = r->place;
    }
    if (r->barriers->asking == r) {
        r->barriers->asking = NULL;
    }
    free(r);
    return waiters;
}

static void round_failed(struct round *r)
{
    struct core_barriers *b = r->barriers;
    struct waiter *waiters = round_end(r);
    while (waiters != NULL) {
        struct waiter *w = waiters;
        waiters = w->next;
        w->next = b->waiting;
        b->waiting = w;
    }
    b->retry_at_ms = clock_monotonic_ms() + 25; /* the tick begins the next round */
}

static void applied_cb(void *context, enum status status, uint64_t index)
{
    struct round *r = context;
    if (status != STATUS_OK) {
        round_failed(r);
        return;
    }
    waiters_answer(round_end(r), STATUS_OK, "", index);
}

/* The leader's answer: from here on the index is known. */
static void index_known(struct round *r, uint64_t index)
{
    struct core_barriers *b = r->barriers;
    b->asking = NULL;
    replica_wait_applied(b->core->replica, index, applied_cb, r);
    round_begin(b);
}

static void own_cb(void *context, enum status status, uint64_t index)
{
    struct round *r = context;
    if (status != STATUS_OK) {
        round_failed(r);
        return;
    }
    index_known(r, index);
}

static void asked_cb(void *context, enum status status, const char *text, struct msgpack_reader *results)
{
    struct round *r = context;
    uint64_t index = 0;
    (void)text;
    if (status == STATUS_OK) {
        index = read_u64(results);
        status = msgpack_reader_status(results, true);
    }
    if (status != STATUS_OK) {
        round_failed(r);
        return;
    }
    index_known(r, index);
}

static void round_begin(struct core_barriers *b)
{
    struct core *core = b->core;
    uint64_t leader = core_leader_guess(core);
    bool own = core_is_leader(core);
    if (b->asking != NULL || b->waiting == NULL || core->closing ||
        (!own && (leader == 0 || leader == core->identity.node_id))) {
        return;
    }
    struct round *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return; /* the tick tries again */
    }
    *r = (struct round){.next = b->rounds, .place = &b->rounds, .barriers = b, .waiters = b->waiting};
    if (r->next != NULL) {
        r->next->place = &r->next;
    }
    b->rounds = r;
    b->asking = r;
    b->waiting = NULL;
    if (own) {
        replica_barrier(core->replica, own_cb, r);
    } else {
        peer_call(core->links, leader, PEER_READ_INDEX, SLICE_LITERAL(""), 0, CORE_PEER_CALL_MS, asked_cb, r);
    }
}

void core_barrier(struct core *core, core_barrier_cb cb, void *context)
{
    struct core_barriers *b = core->barriers;
    struct waiter *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        cb(context, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), 0);
        return;
    }
    *w = (struct waiter){
        .next = b->waiting, .deadline_ms = clock_monotonic_ms() + CORE_WAIT_MS, .cb = cb, .context = context};
    b->waiting = w;
    round_begin(b);
}

static struct waiter *expired_take(struct waiter **list, uint64_t now)
{
    struct waiter *expired = NULL;
    while (*list != NULL) {
        struct waiter *w = *list;
        if (w->deadline_ms <= now) {
            *list = w->next;
            w->next = expired;
            expired = w;
        } else {
            list = &w->next;
        }
    }
    return expired;
}

void core_barriers_tick(struct core *core, uint64_t now)
{
    struct core_barriers *b = core->barriers;
    const char *text = "no leader could be reached in time";
    for (struct round *r = b->rounds; r != NULL; r = r->next) {
        struct waiter *expired = expired_take(&r->waiters, now);
        waiters_answer(expired, STATUS_UNAVAILABLE, text, 0);
    }
    waiters_answer(expired_take(&b->waiting, now), STATUS_UNAVAILABLE, text, 0);
    if (now >= b->retry_at_ms) {
        round_begin(b);
    }
}

void core_barriers_free(struct core_barriers *b)
{
    struct waiter *waiting = b->waiting;
    b->waiting = NULL;
    waiters_answer(waiting, STATUS_CLOSED, "this node is stopping", 0);
    if (b->rounds == NULL) {
        free(b);
    }
}

struct for_peer {
    struct core *core;
    struct peer_request *request;
};

static void for_peer_cb(void *context, enum status status, uint64_t index)
{
    struct for_peer *p = context;
    struct buf out = BUF_INIT(64);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &out);
    write_u64(&w, index);
    if (status == STATUS_OK) {
        status = msgpack_writer_status(&w);
    }
    if (status == STATUS_OK) {
        core_peer_waits(p->core, peer_request_node(p->request));
    }
    peer_request_answer(p->request, status, status_text(status), buf_slice(&out),
                        status == STATUS_OK ? 1 : 0);
    buf_release(&out);
    free(p);
}

void core_barrier_for_peer(struct core *core, struct peer_request *q)
{
    if (!core_is_leader(core) || core->closing) {
        peer_request_answer(q, STATUS_NOT_LEADER, status_text(STATUS_NOT_LEADER), SLICE_LITERAL(""), 0);
        return;
    }
    struct for_peer *p = malloc(sizeof(*p));
    if (p == NULL) {
        peer_request_answer(q, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), SLICE_LITERAL(""), 0);
        return;
    }
    *p = (struct for_peer){.core = core, .request = q};
    replica_barrier(core->replica, for_peer_cb, p);
}
