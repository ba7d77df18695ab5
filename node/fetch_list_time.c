/* When a revocation list is fetched again (node/fetch_lists.h). Pure. */
#include "node/fetch_lists.h"

#define MINUTE_MS     ((uint64_t)60000)
#define DOUBLINGS_MAX 10

/* A tenth more or less, so that the clusters of the world do not ask at the same moment. */
static uint64_t jitter(uint64_t span_ms, uint32_t random)
{
    uint64_t tenth = span_ms / 10;
    return span_ms - tenth + (tenth == 0 ? 0 : random % (2 * tenth + 1));
}

uint64_t list_time_after_failure(const struct list_times *t)
{
    uint64_t doublings = t->failures == 0 ? 0 : t->failures - 1;
    uint64_t pause = MINUTE_MS << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
    return t->now_ms + jitter(pause < t->refresh_ms ? pause : t->refresh_ms, t->random);
}

uint64_t list_time_after_success(const struct list_times *t)
{
    uint64_t at = t->now_ms + jitter(t->refresh_ms, t->random);
    if (t->list_next_ms > t->list_this_ms) {
        /* A tenth of its life before it ends: time enough for some tries that fail. */
        uint64_t early = t->list_next_ms - (t->list_next_ms - t->list_this_ms) / 10;
        at = early < at ? early : at;
    }
    uint64_t soonest = t->now_ms + MINUTE_MS; /* never a tight loop, whatever the list says */
    return at > soonest ? at : soonest;
}
