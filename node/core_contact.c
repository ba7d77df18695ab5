/*
 * Until when this node may act on what it knows: the time of the last proof that its store holds all that was
 * acknowledged before. smtp defers mail when the proof is older than cluster.stale_after.
 *
 * A word from the leader is no such proof. It may have lain in a socket's buffer while this process stood
 * still or the network was cut, and it comes before the entries that this node has missed. So the proof is a
 * question (INFO, twice a second): who answers as a serving leader had committed so much *after* the question
 * was sent; once this store holds that much, the time of the question is proven. A leader proves itself by
 * answers of a majority that knew of no later term. Pure bookkeeping on core's loop.
 */
#include "node/core_internal.h"

void core_contact_answered(struct core *core, const struct peer_state *p)
{
    struct core_contact *c = &core->contact;
    if (p->role == REPLICA_LEADER && p->term >= core->info.term && c->asked_ms == 0) {
        c->asked_ms = p->asked_ms;
        c->commit_index = p->commit_index;
    }
}

/* When the question was sent that the last one of a majority has answered; 0: no majority has. */
static uint64_t majority_asked_ms(const struct core *core, uint64_t now)
{
    uint64_t times[CORE_NODES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < core->info.member_count && count < CORE_NODES_MAX; i++) {
        const struct replica_member *m = &core->info.members[i];
        const struct peer_state *p = core_peer_state(core, m->id);
        uint64_t when = m->id == core->identity.node_id           ? now
                        : p != NULL && p->term <= core->info.term ? p->asked_ms
                                                                  : 0;
        if (!m->voter) {
            continue;
        }
        size_t at = count++;
        for (; at > 0 && times[at - 1] < when; at--) {
            times[at] = times[at - 1];
        }
        times[at] = when;
    }
    return count > 0 ? times[count / 2] : 0; /* the latest first: that of the one who makes the majority */
}

uint64_t core_contact_ms(struct core *core, uint64_t now)
{
    struct core_contact *c = &core->contact;
    uint64_t proven = 0;
    if (core->info.role == REPLICA_LEADER) {
        proven = core->info.serving ? majority_asked_ms(core, now) : 0;
    } else if (c->asked_ms != 0 && core->info.applied_index >= c->commit_index) {
        proven = c->asked_ms;
        c->asked_ms = 0;
    }
    c->proven_ms = proven > c->proven_ms ? proven : c->proven_ms;
    return c->proven_ms;
}
