/*
 * Revocation lists and OCSP answers that the fetch role of this node found: verified here, then brought in
 * (node/evidence.h).
 *
 * When all goes well: the bytes come in one request; they are judged on a thread of libuv's pool, one request
 * after the other, so that no more than one of the pool's threads is ever busy with it; then its commands are
 * proposed one by one, and the request is answered when the last is in force.
 *
 * What can go wrong: it proves nothing: fetch is told the reason, and the log too, since fetch has judged it
 * before and a refusal is a race with another list, or a fetch that was taken over. A proposal is refused or
 * has no leader: the request ends with that, and fetch tries again later; rows of a generation that nobody
 * completed are swept away with the next. On core's loop.
 */
#include "node/core_internal.h"

#include "base/log.h"
#include "node/evidence.h"

#define WAITING_MAX       16
#define WAITING_BYTES_MAX ((size_t)160 << 20)

struct proving {
    struct proving *next;
    struct core_evidences *owner;
    struct client_request *request;
    struct evidence evidence;
    size_t bytes, step;
    enum status status;
    struct failure why;
};

struct core_evidences {
    struct core *core;
    uv_work_t work;
    struct proving *first, **end; /* to be judged; the first one is under way while `judging` */
    bool judging, freed;
    size_t count, bytes; /* of all, also of those that are being proposed */
};

struct core_evidences *core_evidences_new(struct core *core)
{
    struct core_evidences *l = calloc(1, sizeof *l);
    if (l != NULL) {
        l->core = core;
        l->end = &l->first;
        l->work.data = l;
    }
    return l;
}

static void evidences_maybe_free(struct core_evidences *l)
{
    if (l->freed && l->count == 0) {
        free(l);
    }
}

static void proving_end(struct proving *p, enum status status, const char *text)
{
    struct core_evidences *l = p->owner;
    if (status != STATUS_OK && status != STATUS_EXISTS) {
        log_event(LOG_WARN, "what fetch found about revocations is not brought in",
                  LOG_TEXT("reason", text[0] != '\0' ? text : status_text(status)));
    }
    client_answer(p->request, status, text, SLICE_LITERAL(""), 0);
    l->count--;
    l->bytes -= p->bytes;
    evidence_release(&p->evidence);
    free(p);
    evidences_maybe_free(l);
}

/* --- proposing --- */

static void propose_next(struct proving *p);

static void proposed_cb(void *context, const struct core_outcome *outcome)
{
    struct proving *p = context;
    if (outcome->status != STATUS_OK) {
        proving_end(p, outcome->status, outcome->text);
    } else if (outcome->result->status != STATUS_OK) {
        proving_end(p, outcome->result->status, outcome->result->failure.text);
    } else {
        propose_next(p);
    }
}

static void propose_next(struct proving *p)
{
    struct core *core = p->owner->core;
    struct buf storage = BUF_INIT(COMMAND_MAX);
    struct command c;
    char actor[COMMAND_ACTOR_MAX];
    int n = snprintf(actor, sizeof actor, "node:%s", core->config->name);
    if (p->step == evidence_command_count(&p->evidence)) {
        proving_end(p, STATUS_OK, "");
        return;
    }
    enum status status = n > 0 && (size_t)n < sizeof actor
                             ? evidence_command(&p->evidence, p->step++, clock_wall_ms(),
                                                slice_of_text(actor), &storage, &c, &p->why)
                             : failure_set(&p->why, STATUS_INTERNAL, "this node's name is too long");
    if (status == STATUS_OK) {
        core_propose_command(core, &c, proposed_cb, p);
    } else {
        proving_end(p, status, p->why.text);
    }
    buf_release(&storage);
}

/* --- judging --- */

static void judge_next(struct core_evidences *l);

/* On a thread of the pool: the first of the list is nobody else's meanwhile. */
static void judge_work_cb(uv_work_t *work)
{
    struct core_evidences *l = work->data;
    struct proving *p = l->first;
    struct store_view *view = NULL;
    p->status = store_view_begin(l->core->store, &view, &p->why);
    if (p->status == STATUS_OK) {
        p->status = evidence_judge(&p->evidence, view, clock_wall_ms(), &p->why);
    }
    store_view_end(view);
}

static struct proving *take_first(struct core_evidences *l)
{
    struct proving *p = l->first;
    l->first = p->next;
    if (l->first == NULL) {
        l->end = &l->first;
    }
    return p;
}

static void judge_done_cb(uv_work_t *work, int cancelled)
{
    struct core_evidences *l = work->data;
    struct proving *p = take_first(l);
    bool closing = l->freed || cancelled != 0;
    l->judging = false;
    if (!closing) {
        judge_next(l);
    }
    if (closing) {
        proving_end(p, STATUS_CLOSED, "this node is stopping");
    } else if (p->status != STATUS_OK) {
        proving_end(p, p->status, p->why.text);
    } else {
        propose_next(p);
    }
}

static void judge_next(struct core_evidences *l)
{
    if (l->first == NULL || l->judging) {
        return;
    }
    if (uv_queue_work(&l->core->loop, &l->work, judge_work_cb, judge_done_cb) != 0) {
        proving_end(take_first(l), STATUS_NO_MEMORY, "no thread for it");
        return;
    }
    l->judging = true;
}

void core_evidences_free(struct core_evidences *l)
{
    struct proving **at = l->judging ? &l->first->next : &l->first, *p;
    l->freed = true;
    l->count++; /* not freed while we are in here */
    while ((p = *at) != NULL) {
        *at = p->next;
        proving_end(p, STATUS_CLOSED, "this node is stopping");
    }
    l->count--;
    evidences_maybe_free(l);
}

/* --- what fetch asks --- */

static enum status take_arguments(struct evidence *e, struct msgpack_reader *args)
{
    struct slice about = {0}, issuer = {0}, content;
    if (e->kind == EVIDENCE_ANSWER) {
        about = read_bytes(args, THUMBPRINT_SIZE);
        issuer = read_bytes(args, THUMBPRINT_SIZE);
    }
    content = read_bytes(args, e->content.max);
    enum status status = msgpack_reader_status(args, true);
    if (status != STATUS_OK) {
        return status;
    }
    if (e->kind == EVIDENCE_ANSWER) {
        if (about.len != THUMBPRINT_SIZE || issuer.len != THUMBPRINT_SIZE) {
            return STATUS_MALFORMED;
        }
        memcpy(e->certificate, about.data, THUMBPRINT_SIZE);
        memcpy(e->issuer, issuer.data, THUMBPRINT_SIZE);
    }
    return buf_append_slice(&e->content, content);
}

void core_evidence(struct core *core, struct client_request *q, struct msgpack_reader *args)
{
    struct core_evidences *l = core->evidences;
    bool room = l->count < WAITING_MAX && l->bytes < WAITING_BYTES_MAX;
    struct proving *p = room ? calloc(1, sizeof *p) : NULL;
    if (p == NULL) {
        enum status status = room ? STATUS_NO_MEMORY : STATUS_BUSY;
        client_answer(q, status, status_text(status), SLICE_LITERAL(""), 0);
        return;
    }
    *p = (struct proving){.owner = l, .request = q};
    evidence_init(&p->evidence, q->type == CORE_REVOCATION_LIST ? EVIDENCE_LIST : EVIDENCE_ANSWER);
    l->count++;
    enum status status = take_arguments(&p->evidence, args);
    if (status != STATUS_OK) {
        proving_end(p, status, "the request's arguments are not as they must be");
        return;
    }
    p->bytes = p->evidence.content.len;
    l->bytes += p->bytes;
    *l->end = p;
    l->end = &p->next;
    judge_next(l);
}
