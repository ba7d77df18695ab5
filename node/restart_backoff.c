/* See restart_backoff.h. */
#include "node/restart_backoff.h"

void restart_backoff_started(struct restart_backoff *b, uint64_t now_ms)
{
    b->started_ms = now_ms;
}

unsigned restart_backoff_ended(struct restart_backoff *b, uint64_t now_ms)
{
    if (now_ms - b->started_ms >= RESTART_PROVEN_MS) {
        b->next_delay_ms = 0;
    }
    unsigned delay = b->next_delay_ms;
    b->next_delay_ms = delay == 0 ? RESTART_FIRST_MS : delay * 2;
    if (b->next_delay_ms > RESTART_LONGEST_MS) {
        b->next_delay_ms = RESTART_LONGEST_MS;
    }
    return delay;
}
