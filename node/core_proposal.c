/*
 * Proposals: from a role of this node, or of core's own, to the replicated log.
 *
 * The way when all goes well: the leader hands the command to its replica and is called back when it is
 * applied and committed; another node forwards it to the leader and then waits until its own store has
 * applied that index too, so that whoever is told "done" finds it here (docs/decisions/0006). The command
 * carries its id, so an outcome that nobody knows (the leader changed, the connection broke) is answered by
 * sending it again, until CORE_WAIT_MS have passed: then UNAVAILABLE, which still means "unknown".
 *
 * A forwarded proposal is never forwarded again: a node that is not the leader says so.
 *
 * What changes how mail is treated is answered when it is in force on every node (node/core_everywhere.c).
 */
#include "node/core_internal.h"

#include "base/msgpack_write.h"

#define RETRY_MS      25
#define APPLY_WAIT_MS 3000 /* a follower that lags answers after this all the same: the command is done */

enum proposal_state { PROPOSAL_WAITING, PROPOSAL_UNDER_WAY, PROPOSAL_APPLYING, PROPOSAL_SPREADING };

struct proposal {
    struct proposal *next, **place;
    struct core *core;
    struct buf command;
    enum command_number number;
    uint64_t deadline_ms, retry_at_ms;
    enum proposal_state state;
    bool answered;
    core_outcome_cb cb;
    void *context;
    struct apply_result result; /* APPLYING, SPREADING */
};

struct core_proposals {
    struct core *core;
    struct proposal *list;
};

struct core_proposals *core_proposals_new(struct core *core)
{
    struct core_proposals *p = calloc(1, sizeof(*p));
    if (p != NULL) {
        p->core = core;
    }
    return p;
}

static void proposal_free(struct proposal *p)
{
    *p->place = p->next;
    if (p->next != NULL) {
        p->next->place = p->place;
    }
    buf_release(&p->command);
    free(p);
}

static void proposal_answer(struct proposal *p, enum status status, const char *text,
                            const struct apply_result *result)
{
    struct core_outcome outcome = {.status = status, .text = text != NULL ? text : "", .result = result};
    if (!p->answered) {
        p->answered = true;
        p->cb(p->context, &outcome);
    }
}

static bool outcome_unknown(enum status status)
{
    return status == STATUS_NOT_LEADER || status == STATUS_UNAVAILABLE || status == STATUS_TIMEOUT ||
           status == STATUS_CLOSED || status == STATUS_UNTRUSTED;
}

static void proposal_failed(struct proposal *p, enum status status, const char *text)
{
    uint64_t now = clock_monotonic_ms();
    if (outcome_unknown(status) && now + RETRY_MS < p->deadline_ms && !p->core->closing) {
        p->state = PROPOSAL_WAITING;
        p->retry_at_ms = now + RETRY_MS;
        return;
    }
    if (outcome_unknown(status)) {
        status = STATUS_UNAVAILABLE;
        text = "no leader could be reached in time; whether it was done is not known";
    }
    proposal_answer(p, status, text, NULL);
    proposal_free(p);
}

static bool must_spread(enum command_number number, const struct apply_result *result)
{
    return result->status == STATUS_OK && core_acts_at_once(number);
}

static void spread_cb(void *context, enum status status)
{
    struct proposal *p = context;
    if (status != STATUS_OK) {
        proposal_failed(p, status, status_text(status));
        return;
    }
    proposal_answer(p, STATUS_OK, "", &p->result);
    proposal_free(p);
}

static void local_cb(void *context, enum status status, const struct apply_result *result)
{
    struct proposal *p = context;
    if (status != STATUS_OK) {
        proposal_failed(p, status, status_text(status));
    } else if (must_spread(p->number, result)) {
        p->result = *result;
        p->state = PROPOSAL_SPREADING;
        core_everywhere(p->core, result->index, spread_cb, p);
    } else {
        proposal_answer(p, STATUS_OK, "", result);
        proposal_free(p);
    }
}

static void applied_cb(void *context, enum status status, uint64_t index)
{
    struct proposal *p = context;
    (void)status; /* closing: it is done all the same */
    (void)index;
    proposal_answer(p, STATUS_OK, "", &p->result);
    proposal_free(p);
}

static enum status result_read(struct msgpack_reader *r, struct apply_result *result)
{
    *result = (struct apply_result){0};
    result->index = read_u64(r);
    result->status = status_from_number(read_u64(r));
    struct slice text = read_text(r, FAILURE_TEXT_MAX - 1);
    struct slice value = read_bytes(r, sizeof(result->value));
    enum status status = msgpack_reader_status(r, true);
    if (status == STATUS_OK) {
        result->failure.status = result->status;
        memcpy(result->failure.text, text.data != NULL ? text.data : (const uint8_t *)"", text.len);
        memcpy(result->value, value.data != NULL ? value.data : (const uint8_t *)"", value.len);
        result->value_len = value.len;
    }
    return status;
}

static void forwarded_cb(void *context, enum status status, const char *text, struct msgpack_reader *results)
{
    struct proposal *p = context;
    if (status == STATUS_OK) {
        status = result_read(results, &p->result);
    }
    if (status != STATUS_OK) {
        proposal_failed(p, status, text);
        return;
    }
    if (p->result.index == 0) { /* refused before it was applied anywhere */
        proposal_answer(p, STATUS_OK, "", &p->result);
        proposal_free(p);
        return;
    }
    p->state = PROPOSAL_APPLYING;
    p->deadline_ms = clock_monotonic_ms() + APPLY_WAIT_MS;
    replica_wait_applied(p->core->replica, p->result.index, applied_cb, p);
}

static void proposal_attempt(struct proposal *p, uint64_t now)
{
    struct core *core = p->core;
    struct buf args = BUF_INIT(PEER_FRAME_MAX);
    struct msgpack_writer w;
    if (core_is_leader(core)) {
        p->state = PROPOSAL_UNDER_WAY;
        replica_propose(core->replica, buf_slice(&p->command), local_cb, p);
        return;
    }
    uint64_t leader = core_leader_guess(core);
    if (leader == 0 || leader == core->identity.node_id) {
        p->state = PROPOSAL_WAITING;
        p->retry_at_ms = now + RETRY_MS;
        return;
    }
    p->state = PROPOSAL_UNDER_WAY;
    msgpack_writer_init(&w, &args);
    write_bytes(&w, buf_slice(&p->command));
    if (msgpack_writer_status(&w) != STATUS_OK) {
        proposal_failed(p, msgpack_writer_status(&w), "the command is too large");
    } else {
        unsigned left = p->deadline_ms > now ? (unsigned)(p->deadline_ms - now) : 1;
        peer_call(core->links, leader, PEER_PROPOSE, buf_slice(&args), 1,
                  left < CORE_PEER_CALL_MS ? left : CORE_PEER_CALL_MS, forwarded_cb, p);
    }
    buf_release(&args);
}

/* A command or a setting that not every node knows must not enter the log. */
static enum status version_check(struct core *core, const struct command *c, struct failure *f)
{
    struct store_view *view;
    if (command_supported(c, 1, NULL) == STATUS_OK) {
        return STATUS_OK;
    }
    enum status status = store_view_begin(core->store, &view, f);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t version = store_cluster_version(view);
    store_view_end(view);
    return command_supported(c, version, f);
}

void core_propose(struct core *core, struct slice command, core_outcome_cb cb, void *context)
{
    struct command decoded;
    struct failure f = {0};
    uint64_t now = clock_monotonic_ms();
    enum status status = command_decode(command, &decoded, &f);
    if (status == STATUS_OK) {
        status = version_check(core, &decoded, &f);
    }
    if (status == STATUS_OK && core->closing) {
        status = failure_set(&f, STATUS_UNAVAILABLE, "this node is stopping");
    }
    struct proposal *p = status == STATUS_OK ? calloc(1, sizeof(*p)) : NULL;
    if (p != NULL) {
        p->command = BUF_INIT(COMMAND_MAX);
        if (buf_append_slice(&p->command, command) != STATUS_OK) {
            free(p);
            p = NULL;
        }
    }
    if (p == NULL) {
        struct core_outcome outcome = {
            .status = status != STATUS_OK ? status : STATUS_NO_MEMORY,
            .text = status != STATUS_OK ? f.text : status_text(STATUS_NO_MEMORY),
        };
        cb(context, &outcome);
        return;
    }
    p->core = core;
    p->number = decoded.number;
    p->deadline_ms = now + CORE_WAIT_MS;
    p->cb = cb;
    p->context = context;
    p->next = core->proposals->list;
    p->place = &core->proposals->list;
    if (p->next != NULL) {
        p->next->place = &p->next;
    }
    core->proposals->list = p;
    proposal_attempt(p, now);
}

void core_propose_command(struct core *core, const struct command *c, core_outcome_cb cb, void *context)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct failure f = {0};
    enum status status = command_check(c, &f);
    if (status == STATUS_OK) {
        status = command_encode(c, &encoded);
    }
    if (status != STATUS_OK) {
        struct core_outcome outcome = {.status = status, .text = f.text};
        cb(context, &outcome);
    } else {
        core_propose(core, buf_slice(&encoded), cb, context);
    }
    buf_release(&encoded);
}

/* An attempt may free its proposal, and an answer may bring new ones: begin again after each. */
static void waiting_retry(struct core_proposals *l, uint64_t now, bool all)
{
    for (struct proposal *p = l->list, *next; p != NULL; p = next) {
        next = p->next;
        if (p->state == PROPOSAL_WAITING && (all || p->retry_at_ms <= now)) {
            if (now >= p->deadline_ms) {
                proposal_failed(p, STATUS_UNAVAILABLE, NULL);
            } else {
                proposal_attempt(p, now);
            }
        } else if (p->state == PROPOSAL_APPLYING && now >= p->deadline_ms) {
            proposal_answer(p, STATUS_OK, "", &p->result); /* freed by applied_cb */
        }
    }
}

void core_proposals_tick(struct core *core, uint64_t now)
{
    waiting_retry(core->proposals, now, false);
}

void core_proposals_leader_changed(struct core *core)
{
    waiting_retry(core->proposals, clock_monotonic_ms(), true);
}

void core_proposals_free(struct core_proposals *l)
{
    for (struct proposal *p = l->list, *next; p != NULL; p = next) {
        next = p->next;
        if (p->state == PROPOSAL_WAITING) {
            proposal_answer(p, STATUS_CLOSED, "this node is stopping", NULL);
            proposal_free(p);
        }
    }
    if (l->list == NULL) {
        free(l);
    }
}

struct for_peer {
    struct core *core;
    struct peer_request *request;
    enum command_number number;
    struct apply_result result;
};

static void for_peer_answer(struct for_peer *p, enum status status)
{
    struct peer_request *q = p->request;
    const struct apply_result *result = &p->result;
    struct buf out = BUF_INIT(4096);
    struct msgpack_writer w;
    if (status == STATUS_OK) {
        msgpack_writer_init(&w, &out);
        write_u64(&w, result->index);
        write_u64(&w, result->status);
        write_text(&w, slice_of_text(result->status != STATUS_OK ? result->failure.text : ""));
        write_bytes(&w, slice_of(result->value, result->value_len));
        status = msgpack_writer_status(&w);
    }
    if (status == STATUS_OK) {
        core_peer_waits(p->core, peer_request_node(q));
    }
    peer_request_answer(q, status, status_text(status), buf_slice(&out), status == STATUS_OK ? 4 : 0);
    buf_release(&out);
    free(p);
}

static void for_peer_spread_cb(void *context, enum status status)
{
    for_peer_answer(context, status);
}

static void for_peer_cb(void *context, enum status status, const struct apply_result *result)
{
    struct for_peer *p = context;
    if (status == STATUS_OK) {
        p->result = *result;
    }
    if (status == STATUS_OK && must_spread(p->number, result)) {
        core_everywhere(p->core, result->index, for_peer_spread_cb, p);
    } else {
        for_peer_answer(p, status);
    }
}

void core_propose_for_peer(struct core *core, struct slice command, struct peer_request *q)
{
    struct command decoded;
    struct failure f = {0};
    enum status status = command_decode(command, &decoded, &f);
    if (status == STATUS_OK && (!core_is_leader(core) || core->closing)) {
        status = failure_set(&f, STATUS_NOT_LEADER, "%s", status_text(STATUS_NOT_LEADER));
    }
    struct for_peer *p = status == STATUS_OK ? calloc(1, sizeof(*p)) : NULL;
    if (p == NULL) {
        status = status == STATUS_OK ? failure_set(&f, STATUS_NO_MEMORY, "%s", status_text(STATUS_NO_MEMORY))
                                     : status;
        peer_request_answer(q, status, f.text, SLICE_LITERAL(""), 0);
        return;
    }
    *p = (struct for_peer){.core = core, .request = q, .number = decoded.number};
    replica_propose(core->replica, command, for_peer_cb, p);
}
