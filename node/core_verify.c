/*
 * cluster verify: are the tables of all nodes the same at the same index?
 *
 * A CHECKPOINT command goes through the log. Each node that applies it opens a view at exactly that index
 * (the replica calls from within) and hashes all tables on a thread of libuv's pool; the last RESULTS_MAX
 * hashes are kept. The node that was asked then asks each node for its hash of that index and puts the
 * answers side by side. A node that lags answers when it gets there, or not in time.
 */
#include "node/core_internal.h"

#include "base/log.h"
#include "base/msgpack_write.h"

#define RESULTS_MAX  16
#define HASH_WAIT_MS 20000

enum hash_state { HASH_NONE, HASH_RUNNING, HASH_DONE, HASH_FAILED };

struct hash_result {
    uint64_t index;
    enum hash_state state;
    uint8_t hash[STORE_HASH_SIZE];
};

/* One who waits for a hash: another node's request, or our own verification. */
struct hash_waiter {
    struct hash_waiter *next;
    uint64_t index, deadline_ms;
    struct peer_request *request; /* NULL: our own */
    struct verification *verification;
    size_t node;
};

struct core_hashes {
    struct core *core;
    struct hash_result results[RESULTS_MAX];
    size_t next_result;
    struct hash_waiter *waiters;
    size_t running;
    bool freed;
};

struct hashing {
    uv_work_t work;
    struct core_hashes *hashes;
    struct store_view *view;
    uint64_t index;
    enum status status;
    struct failure failure;
    uint8_t hash[STORE_HASH_SIZE];
};

struct verification {
    struct core *core;
    core_verify_cb cb;
    void *context;
    size_t open; /* nodes that have not answered, and one while asking */
    struct core_verify_result result;
};

struct core_hashes *core_hashes_new(struct core *core)
{
    struct core_hashes *h = calloc(1, sizeof(*h));
    if (h != NULL) {
        h->core = core;
    }
    return h;
}

static struct hash_result *result_find(struct core_hashes *h, uint64_t index)
{
    for (size_t i = 0; i < RESULTS_MAX; i++) {
        if (h->results[i].state != HASH_NONE && h->results[i].index == index) {
            return &h->results[i];
        }
    }
    return NULL;
}

static void verification_step(struct verification *v)
{
    if (--v->open == 0) {
        v->cb(v->context, STATUS_OK, "", &v->result);
        free(v);
    }
}

static void node_answered(struct verification *v, size_t node, enum status status, const uint8_t *hash)
{
    v->result.nodes[node].status = status;
    if (status == STATUS_OK) {
        memcpy(v->result.nodes[node].hash, hash, STORE_HASH_SIZE);
    }
    verification_step(v);
}

static void waiter_answer(struct hash_waiter *w, enum status status, const uint8_t *hash)
{
    struct buf out = BUF_INIT(64);
    struct msgpack_writer writer;
    if (w->request == NULL) {
        node_answered(w->verification, w->node, status, hash);
        free(w);
        return;
    }
    msgpack_writer_init(&writer, &out);
    write_bytes(&writer, status == STATUS_OK ? slice_of(hash, STORE_HASH_SIZE) : SLICE_LITERAL(""));
    if (status == STATUS_OK) {
        status = msgpack_writer_status(&writer);
    }
    peer_request_answer(w->request, status, status_text(status), buf_slice(&out),
                        status == STATUS_OK ? 1 : 0);
    buf_release(&out);
    free(w);
}

static void waiters_look(struct core_hashes *h, uint64_t now, bool all)
{
    struct hash_waiter *ready = NULL;
    for (struct hash_waiter **at = &h->waiters; *at != NULL;) {
        struct hash_waiter *w = *at;
        struct hash_result *r = result_find(h, w->index);
        if (all || w->deadline_ms <= now || (r != NULL && r->state != HASH_RUNNING)) {
            *at = w->next;
            w->next = ready;
            ready = w;
        } else {
            at = &w->next;
        }
    }
    while (ready != NULL) {
        struct hash_waiter *w = ready;
        struct hash_result *r = result_find(h, w->index);
        ready = w->next;
        if (r != NULL && r->state == HASH_DONE) {
            waiter_answer(w, STATUS_OK, r->hash);
        } else {
            waiter_answer(w,
                          r != NULL && r->state == HASH_FAILED ? STATUS_IO
                          : all                                ? STATUS_CLOSED
                                                               : STATUS_TIMEOUT,
                          NULL);
        }
    }
}

static void hash_work_cb(uv_work_t *work)
{
    struct hashing *g = work->data;
    g->status = store_view_hash(g->view, g->hash, &g->failure);
}

static void hash_done_cb(uv_work_t *work, int cancelled)
{
    struct hashing *g = work->data;
    struct core_hashes *h = g->hashes;
    struct hash_result *r = result_find(h, g->index);
    store_view_end(g->view);
    h->running--;
    if (cancelled == 0 && g->status != STATUS_OK) {
        log_event(LOG_ERROR, "the tables could not be hashed", LOG_TEXT("reason", g->failure.text));
    }
    if (r != NULL) {
        r->state = cancelled == 0 && g->status == STATUS_OK ? HASH_DONE : HASH_FAILED;
        memcpy(r->hash, g->hash, sizeof(r->hash));
    }
    free(g);
    if (h->freed) {
        if (h->running == 0) {
            free(h);
        }
        return;
    }
    waiters_look(h, clock_monotonic_ms(), false);
}

void core_checkpoint(void *context, uint64_t index)
{
    struct core *core = context;
    struct core_hashes *h = core->hashes;
    struct hashing *g = calloc(1, sizeof(*g));
    struct failure f = {0};
    if (g == NULL || h == NULL || core->closing || result_find(h, index) != NULL) {
        free(g);
        return;
    }
    struct hash_result *r = &h->results[h->next_result];
    if (r->state == HASH_RUNNING) { /* sixteen at once: this one is not hashed */
        free(g);
        return;
    }
    h->next_result = (h->next_result + 1) % RESULTS_MAX;
    *r = (struct hash_result){.index = index, .state = HASH_RUNNING};
    g->hashes = h;
    g->index = index;
    g->work.data = g;
    enum status status = store_view_begin(core->store, &g->view, &f);
    if (status == STATUS_OK && uv_queue_work(&core->loop, &g->work, hash_work_cb, hash_done_cb) != 0) {
        store_view_end(g->view);
        status = failure_set(&f, STATUS_NO_MEMORY, "no thread for it");
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "the tables could not be hashed", LOG_TEXT("reason", f.text));
        r->state = HASH_FAILED;
        free(g);
        return;
    }
    h->running++;
}

static void hash_wait(struct core *core, uint64_t index, struct peer_request *q, struct verification *v,
                      size_t node)
{
    struct hash_waiter *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        abort(); /* as in peer_call: nothing goes on without memory */
    }
    uint64_t now = clock_monotonic_ms();
    *w = (struct hash_waiter){.next = core->hashes->waiters,
                              .index = index,
                              .deadline_ms = now + HASH_WAIT_MS,
                              .request = q,
                              .verification = v,
                              .node = node};
    core->hashes->waiters = w;
    waiters_look(core->hashes, now, false);
}

void core_hash_for_peer(struct core *core, uint64_t index, struct peer_request *q)
{
    hash_wait(core, index, q, NULL, 0);
}

void core_hashes_tick(struct core *core, uint64_t now)
{
    waiters_look(core->hashes, now, false);
}

void core_hashes_free(struct core_hashes *h)
{
    waiters_look(h, 0, true);
    h->freed = true;
    if (h->running == 0) {
        free(h);
    }
}

/* --- verification --- */

struct hash_call {
    struct verification *verification;
    size_t node;
};

static void hash_answer_cb(void *context, enum status status, const char *text,
                           struct msgpack_reader *results)
{
    struct hash_call *c = context;
    struct slice hash = SLICE_LITERAL("");
    (void)text;
    if (status == STATUS_OK) {
        hash = read_bytes(results, STORE_HASH_SIZE);
        status = msgpack_reader_status(results, true);
        if (status == STATUS_OK && hash.len != STORE_HASH_SIZE) {
            status = STATUS_MALFORMED;
        }
    }
    node_answered(c->verification, c->node, status, hash.data);
    free(c);
}

static void checkpoint_proposed_cb(void *context, const struct core_outcome *outcome)
{
    struct verification *v = context;
    struct core *core = v->core;
    struct known_peer nodes[CORE_NODES_MAX];
    if (outcome->status != STATUS_OK || outcome->result->status != STATUS_OK) {
        bool applied = outcome->status == STATUS_OK;
        v->cb(v->context, applied ? outcome->result->status : outcome->status,
              applied ? outcome->result->failure.text : outcome->text, NULL);
        free(v);
        return;
    }
    v->result.index = outcome->result->index;
    v->result.node_count = core_nodes_list(core, nodes);
    v->open = 1 + v->result.node_count;
    for (size_t i = 0; i < v->result.node_count; i++) {
        struct buf args = BUF_INIT(64);
        struct msgpack_writer w;
        memcpy(v->result.nodes[i].name, nodes[i].name, sizeof(nodes[i].name));
        if (nodes[i].id == core->identity.node_id) {
            hash_wait(core, v->result.index, NULL, v, i);
            continue;
        }
        struct hash_call *c = calloc(1, sizeof(*c));
        msgpack_writer_init(&w, &args);
        write_u64(&w, v->result.index);
        if (c == NULL || msgpack_writer_status(&w) != STATUS_OK) {
            abort(); /* as in peer_call */
        }
        *c = (struct hash_call){.verification = v, .node = i};
        peer_call(core->links, nodes[i].id, PEER_HASH, buf_slice(&args), 1, HASH_WAIT_MS, hash_answer_cb, c);
        buf_release(&args);
    }
    verification_step(v);
}

void core_verify(struct core *core, core_verify_cb cb, void *context)
{
    struct verification *v = calloc(1, sizeof(*v));
    struct command c;
    if (v == NULL) {
        cb(context, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), NULL);
        return;
    }
    *v = (struct verification){.core = core, .cb = cb, .context = context};
    command_init(&c, COMMAND_CHECKPOINT, clock_wall_ms(), SLICE_LITERAL("core"));
    core_propose_command(core, &c, checkpoint_proposed_cb, v);
}
