/*
 * OCSP answers that have ended are taken away: on the leader's node, when it begins to lead and once an hour
 * after, by commands that take some each, until none is left. An hour's grace, so that an answer that is just
 * being renewed is not taken away and put back. Runs on core's loop.
 */
#include "node/core_internal.h"

#include "base/log.h"
#include "base/msgpack_read.h"
#include "store/records_trust.h"

#define ROUND_MS ((uint64_t)3600 * 1000)
#define GRACE_MS ((uint64_t)3600 * 1000)

struct ended_search {
    uint64_t before_ms;
    bool found;
};

static bool find_ended(void *context, const uint8_t *issuer, struct slice serial,
                       const struct ocsp_record *answer)
{
    struct ended_search *search = context;
    (void)issuer;
    (void)serial;
    search->found = ocsp_has_ended(answer, search->before_ms);
    return !search->found;
}

/* Nothing enters the log for nothing. */
static bool has_ended(struct core *core, uint64_t before_ms)
{
    struct ended_search search = {.before_ms = before_ms};
    struct store_view *view = NULL;
    struct failure f = {.status = STATUS_OK};
    enum status status = store_view_begin(core->store, &view, &f);
    if (status == STATUS_OK) {
        status = store_ocsp_all(view, find_ended, &search);
    }
    store_view_end(view);
    if (status != STATUS_OK) {
        log_event(LOG_WARN, "OCSP answers that have ended could not be looked for",
                  LOG_TEXT("reason", status_text(status)));
    }
    return status == STATUS_OK && search.found;
}

static void swept_cb(void *context, const struct core_outcome *outcome)
{
    struct core *core = context;
    struct msgpack_reader r;
    core->sweep.under_way = false;
    if (outcome->status != STATUS_OK || outcome->result->status != STATUS_OK) {
        return; /* in an hour again */
    }
    msgpack_reader_init(&r, slice_of(outcome->result->value, outcome->result->value_len));
    uint64_t swept = read_u64(&r);
    log_event(LOG_INFO, "OCSP answers that have ended were taken away", LOG_NUMBER("count", swept));
    if (swept == OCSP_SWEEP_MAX) {
        core->sweep.next_ms = 0; /* there may be more */
    }
}

void core_sweep_tick(struct core *core, uint64_t now_ms)
{
    struct core_sweep *s = &core->sweep;
    struct command c;
    if (!core_is_leader(core)) {
        s->next_ms = 0;
        return;
    }
    if (s->under_way || now_ms < s->next_ms || !core->initialised) {
        return;
    }
    s->next_ms = now_ms + ROUND_MS;
    uint64_t before_ms = clock_wall_ms() - GRACE_MS;
    if (has_ended(core, before_ms)) {
        s->under_way = true;
        command_init(&c, COMMAND_OCSP_SWEEP, clock_wall_ms(), SLICE_LITERAL("core"));
        c.values[0].number = before_ms;
        core_propose_command(core, &c, swept_cb, core);
    }
}
