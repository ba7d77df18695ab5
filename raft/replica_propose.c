/*
 * Proposals, barriers and waiting for an index.
 *
 * All proposals of one loop turn go to c-raft in one call, so that they share a write. c-raft's callback for
 * such a batch fires after its first entry (rule 5), so each proposal is answered by itself: by its index, in
 * the term in which it was appended. When this node stops leading, what is still open has an unknown outcome:
 * the proposer sends the same command id again.
 *
 * Nobody is answered before the store's batch is committed (docs/decisions/0006). Runs on the loop's thread.
 */
#include "raft/replica_internal.h"

#include "base/clock.h"

#define BATCH_MAX 256

static void queue_init(struct proposal_queue *q)
{
    q->first = NULL;
    q->last = &q->first;
    q->count = 0;
}

static void queue_push(struct proposal_queue *q, struct proposal *p)
{
    p->next = NULL;
    *q->last = p;
    q->last = &p->next;
    q->count++;
}

static struct proposal *queue_pop(struct proposal_queue *q)
{
    struct proposal *p = q->first;

    if (p == NULL)
        return NULL;
    q->first = p->next;
    if (q->first == NULL)
        q->last = &q->first;
    q->count--;
    return p;
}

void proposals_init(struct replica *r)
{
    queue_init(&r->queued);
    queue_init(&r->appended);
    queue_init(&r->applied);
}

static void answer(struct proposal *p, enum status status)
{
    p->cb(p->context, status, p->result);
    free(p->result);
    free(p);
}

void replica_propose(struct replica *r, struct slice encoded, replica_apply_cb cb, void *context)
{
    struct proposal *p;
    enum status status = STATUS_OK;

    r->unchecked_bytes += encoded.len;
    guard_check_space(r, clock_monotonic_ms());
    if (r->closing)
        status = STATUS_UNAVAILABLE;
    else if (raft_state(&r->raft) != RAFT_LEADER)
        status = STATUS_NOT_LEADER;
    else if (r->space_low)
        status = STATUS_NO_SPACE;
    else if (encoded.len > COMMAND_MAX)
        status = STATUS_TOO_LARGE;
    p = status == STATUS_OK ? calloc(1, sizeof(*p)) : NULL;
    if (p != NULL) {
        p->entry_size = command_entry_size(encoded.len);
        p->entry = raft_malloc(p->entry_size);
    }
    if (p == NULL || p->entry == NULL) {
        free(p);
        cb(context, status == STATUS_OK ? STATUS_NO_MEMORY : status, NULL);
        return;
    }
    command_entry_write(encoded, p->entry);
    p->cb = cb;
    p->context = context;
    queue_push(&r->queued, p);
}

static void batch_cb(struct raft_apply *request, int status, void *result)
{
    struct replica *r = request->data;

    (void)result;
    free(request);
    if (status != 0)
        proposals_lost(r);
}

static void refuse_queued(struct replica *r, enum status status)
{
    struct proposal *p;

    while ((p = queue_pop(&r->queued)) != NULL) {
        raft_free(p->entry);
        answer(p, status);
    }
}

void proposals_flush(struct replica *r)
{
    struct raft_buffer bufs[BATCH_MAX];

    while (r->queued.first != NULL) {
        struct raft_apply *request = malloc(sizeof(*request));
        uint64_t index = raft_last_index(&r->raft) + 1;
        unsigned n = 0;
        int error;

        for (struct proposal *p = r->queued.first; p != NULL && n < BATCH_MAX; p = p->next)
            bufs[n++] = (struct raft_buffer){.base = p->entry, .len = p->entry_size};
        if (request == NULL) {
            refuse_queued(r, STATUS_NO_MEMORY);
            return;
        }
        request->data = r;
        error = raft_apply(&r->raft, request, bufs, n, batch_cb);
        if (error != 0) {
            free(request);
            refuse_queued(r, replica_status_of(error));
            return;
        }
        for (unsigned i = 0; i < n; i++) {
            struct proposal *p = queue_pop(&r->queued);

            p->entry = NULL; /* c-raft's now */
            p->index = index + i;
            queue_push(&r->appended, p);
        }
    }
}

void proposals_applied(struct replica *r, uint64_t index, const struct apply_result *result)
{
    struct proposal *p = r->appended.first;

    if (p == NULL || p->index != index || raft_state(&r->raft) != RAFT_LEADER)
        return;
    p = queue_pop(&r->appended);
    p->result = malloc(sizeof(*p->result));
    if (p->result != NULL)
        *p->result = *result;
    queue_push(&r->applied, p);
}

void proposals_lost(struct replica *r)
{
    struct proposal *p;

    while ((p = queue_pop(&r->appended)) != NULL)
        answer(p, STATUS_UNAVAILABLE);
}

/* --- barriers and indexes --- */

static void push_waiter(struct waiter **list, struct waiter *w)
{
    while (*list != NULL)
        list = &(*list)->next;
    w->next = NULL;
    *list = w;
}

static struct waiter *waiter_new(uint64_t index, replica_barrier_cb cb, void *context)
{
    struct waiter *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->index = index;
    w->cb = cb;
    w->context = context;
    return w;
}

static void answer_waiters(struct waiter **list, enum status status, uint64_t index)
{
    struct waiter *w = *list;

    *list = NULL; /* a callback may wait anew */
    while (w != NULL) {
        struct waiter *next = w->next;

        w->cb(w->context, status, index);
        free(w);
        w = next;
    }
}

void replica_barrier(struct replica *r, replica_barrier_cb cb, void *context)
{
    struct waiter *w;

    if (r->closing || raft_state(&r->raft) != RAFT_LEADER) {
        cb(context, r->closing ? STATUS_UNAVAILABLE : STATUS_NOT_LEADER, 0);
        return;
    }
    w = waiter_new(0, cb, context);
    if (w == NULL)
        cb(context, STATUS_NO_MEMORY, 0);
    else
        push_waiter(&r->barrier_waiting, w);
}

static void barrier_cb(struct raft_barrier *request, int status)
{
    struct replica *r = request->data;

    free(request);
    if (status != 0) {
        answer_waiters(&r->barrier_under_way, STATUS_UNAVAILABLE, 0);
        return;
    }
    if (raft_state(&r->raft) == RAFT_LEADER && r->barrier_term == r->raft.current_term) {
        r->serving = true;
        r->serving_term = r->raft.current_term;
    }
    r->barrier_done = r->barrier_under_way;
    r->barrier_under_way = NULL;
}

/* Those who came while one was under way share the next: theirs must begin after they asked. */
static void start_barrier(struct replica *r)
{
    bool first = raft_state(&r->raft) == RAFT_LEADER &&
                 (!r->first_barrier_sent || r->barrier_term != r->raft.current_term);
    struct raft_barrier *request;

    if (r->barrier_under_way != NULL || r->barrier_done != NULL || (r->barrier_waiting == NULL && !first))
        return;
    request = malloc(sizeof(*request));
    if (request != NULL) {
        request->data = r;
        if (raft_barrier(&r->raft, request, barrier_cb) == 0) {
            r->first_barrier_sent = true;
            r->barrier_term = r->raft.current_term;
            r->barrier_under_way = r->barrier_waiting;
            r->barrier_waiting = NULL;
            return;
        }
        free(request);
    }
    answer_waiters(&r->barrier_waiting, STATUS_UNAVAILABLE, 0);
}

void replica_wait_applied(struct replica *r, uint64_t index, replica_barrier_cb cb, void *context)
{
    struct waiter *w;

    if (!r->batch_open && replica_local_index(r) >= index) {
        cb(context, STATUS_OK, replica_local_index(r));
        return;
    }
    w = r->closing ? NULL : waiter_new(index, cb, context);
    if (w == NULL)
        cb(context, r->closing ? STATUS_UNAVAILABLE : STATUS_NO_MEMORY, 0);
    else
        push_waiter(&r->index_waiting, w);
}

static void answer_reached(struct replica *r)
{
    uint64_t reached = replica_local_index(r);
    struct waiter *waiting = r->index_waiting;

    r->index_waiting = NULL;
    while (waiting != NULL) {
        struct waiter *next = waiting->next;

        if (waiting->index <= reached) {
            waiting->cb(waiting->context, STATUS_OK, reached);
            free(waiting);
        } else {
            push_waiter(&r->index_waiting, waiting);
        }
        waiting = next;
    }
}

void proposals_answer(struct replica *r)
{
    struct proposal *p;

    while ((p = queue_pop(&r->applied)) != NULL)
        answer(p, p->result != NULL ? STATUS_OK : STATUS_UNAVAILABLE);
    answer_waiters(&r->barrier_done, STATUS_OK, replica_local_index(r));
    answer_reached(r);
    start_barrier(r);
}

void proposals_close(struct replica *r)
{
    refuse_queued(r, STATUS_UNAVAILABLE);
    proposals_lost(r);
    proposals_answer(r);
    answer_waiters(&r->barrier_waiting, STATUS_UNAVAILABLE, 0);
    answer_waiters(&r->barrier_under_way, STATUS_UNAVAILABLE, 0);
    answer_waiters(&r->index_waiting, STATUS_UNAVAILABLE, 0);
}
