/*
 * Telling one follower at once how far the log is committed.
 *
 * c-raft tells a follower with the next entries or the next heartbeat: up to two heartbeats (200 ms) after
 * the leader has committed. A node that forwarded a proposal, or asked for a read index, waits that long for
 * its own store. So the leader sends it an AppendEntries without entries, as a heartbeat is, of its own:
 * previous entry = the commit index.
 *
 * It is sent only when that follower has acknowledged the commit index (so it cannot be refused and move
 * c-raft's progress back) and this leader's first barrier is committed (so the entry at the commit index is
 * of the current term: nothing older is committed after it). Runs on the loop's thread.
 */
#include "raft/replica_internal.h"

static void sent_cb(struct raft_io_send *request, int status)
{
    (void)status; /* lost: the next heartbeat says the same */
    free(request);
}

bool replica_tell_commit(struct replica *r, uint64_t id)
{
    const struct raft *raft = &r->raft;
    struct raft_message message = {.type = RAFT_IO_APPEND_ENTRIES, .server_id = id};
    struct raft_io_send *request;
    unsigned i = 0;

    if (r->closing || raft_state(&r->raft) != RAFT_LEADER || !r->serving ||
        r->serving_term != raft->current_term || raft->leader_state.progress == NULL)
        return true;
    while (i < raft->configuration.n && raft->configuration.servers[i].id != id)
        i++;
    if (i == raft->configuration.n || raft->configuration.servers[i].role == RAFT_SPARE)
        return true;
    if (raft->leader_state.progress[i].match_index < raft->commit_index)
        return false;
    request = malloc(sizeof(*request));
    if (request == NULL)
        return true;
    message.server_address = raft->configuration.servers[i].address;
    message.append_entries = (struct raft_append_entries){.term = raft->current_term,
                                                          .prev_log_index = raft->commit_index,
                                                          .prev_log_term = raft->current_term,
                                                          .leader_commit = raft->commit_index};
    if (r->io.send(&r->io, request, &message, sent_cb) != 0)
        free(request);
    return true;
}
