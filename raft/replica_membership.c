/* Changes of membership and of leadership: c-raft does one at a time. Runs on the loop's thread. */
#include "raft/replica_internal.h"

struct change {
    struct raft_change request;
    struct raft_transfer transfer;
    struct replica *replica;
    replica_change_cb cb;
    void *context;
};

static void report(struct change *c, enum status status, const char *text)
{
    if (c->cb != NULL)
        c->cb(c->context, status, text);
    free(c);
}

static void changed_cb(struct raft_change *request, int error)
{
    struct change *c = request->data;

    c->replica->change_under_way = false;
    report(c, error == 0 ? STATUS_OK : replica_status_of(error), error == 0 ? "" : raft_strerror(error));
}

static struct change *change_new(struct replica *r, replica_change_cb cb, void *context)
{
    struct change *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        if (cb != NULL)
            cb(context, STATUS_NO_MEMORY, "out of memory");
        return NULL;
    }
    c->request.data = c;
    c->transfer.data = c;
    c->replica = r;
    c->cb = cb;
    c->context = context;
    return c;
}

static void started(struct replica *r, struct change *c, int error)
{
    if (error == 0)
        r->change_under_way = true;
    else
        report(c, replica_status_of(error), raft_errmsg(&r->raft));
}

void replica_add(struct replica *r, uint64_t id, const char *address, replica_change_cb cb, void *context)
{
    struct change *c = change_new(r, cb, context);

    if (c != NULL)
        started(r, c, raft_add(&r->raft, &c->request, id, address, changed_cb));
}

void replica_promote(struct replica *r, uint64_t id, replica_change_cb cb, void *context)
{
    struct change *c = change_new(r, cb, context);

    if (c != NULL)
        started(r, c, raft_assign(&r->raft, &c->request, id, RAFT_VOTER, changed_cb));
}

void replica_remove(struct replica *r, uint64_t id, replica_change_cb cb, void *context)
{
    struct change *c = change_new(r, cb, context);

    if (c != NULL)
        started(r, c, raft_remove(&r->raft, &c->request, id, changed_cb));
}

static void transferred_cb(struct raft_transfer *request)
{
    struct change *c = request->data;

    if (raft_state(&c->replica->raft) == RAFT_LEADER)
        report(c, STATUS_TIMEOUT, "this node is still the leader");
    else
        report(c, STATUS_OK, "");
}

void replica_transfer(struct replica *r, uint64_t id, replica_change_cb cb, void *context)
{
    struct change *c = change_new(r, cb, context);
    int error;

    if (c == NULL)
        return;
    error = raft_transfer(&r->raft, &c->transfer, id, transferred_cb);
    if (error != 0)
        report(c, replica_status_of(error), raft_errmsg(&r->raft));
}
