/* See smtp/concurrency.h. */
#include "smtp/concurrency.h"

#define ONE           ((uint64_t)1000)
#define ONE_MOMENT_MS 1000

void concurrency_init(struct concurrency *c)
{
    *c = (struct concurrency){.window = CONCURRENCY_FIRST * ONE, .threshold = UINT64_MAX};
}

size_t concurrency_limit(const struct concurrency *c, uint64_t max)
{
    uint64_t whole = c->window / ONE;
    return (size_t)(whole > max ? max : whole > 0 ? whole : 1);
}

void concurrency_worked(struct concurrency *c, uint64_t max)
{
    c->window += c->window < c->threshold ? ONE : ONE * ONE / c->window;
    c->window = c->window > max * ONE ? max * ONE : c->window;
}

void concurrency_failed(struct concurrency *c, uint64_t max, uint64_t now_ms)
{
    if (c->failed_ms != 0 && now_ms < c->failed_ms + ONE_MOMENT_MS) {
        return;
    }
    uint64_t window = c->window > max * ONE ? max * ONE : c->window;
    c->failed_ms = now_ms;
    c->window = window / 2 > ONE ? window / 2 : ONE;
    c->threshold = c->window;
}
