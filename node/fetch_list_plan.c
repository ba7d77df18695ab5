/*
 * Which revocation lists are to be fetched: those that stored certificates name, of CAs first, each URL once.
 * On a thread, since every certificate is parsed.
 */
#include "base/log.h"
#include "node/fetch_guard.h"
#include "node/fetch_lists.h"

#define PLAN_MEMORY_MAX ((size_t)8 << 20)
#define PLAN_SCRATCH    ((size_t)64 << 10)

struct plan_walk {
    struct plan_task *task;
    bool cas; /* those of CAs, else all others */
};

static void plan_add(struct plan_task *t, struct slice url, bool delta)
{
    char host[FETCH_HOST_MAX + 1];
    for (size_t i = 0; i < t->count; i++) {
        if (t->sources[i].delta == delta && slice_equal(t->sources[i].url, url)) {
            return;
        }
    }
    if (fetch_guard_url(url, host, NULL) != STATUS_OK) {
        return;
    }
    if (t->count == LIST_SOURCES_MAX || !arena_copy(&t->arena, url, &t->sources[t->count].url)) {
        t->left_out++;
        return;
    }
    t->sources[t->count++].delta = delta;
}

static bool visit(void *context, const struct certificate_record *record)
{
    struct plan_walk *walk = context;
    struct slice urls[DISTRIBUTION_URLS_MAX];
    struct arena scratch;
    if (((record->uses & CERT_USE_CA) != 0) != walk->cas || record->not_after_ms < clock_wall_ms()) {
        return true;
    }
    arena_init(&scratch, PLAN_SCRATCH);
    for (int kind = DISTRIBUTION_FULL; kind <= DISTRIBUTION_DELTA; kind++) {
        size_t count = distribution_urls(record->der, (enum distribution)kind, &scratch, urls);
        for (size_t i = 0; i < count; i++) {
            plan_add(walk->task, urls[i], kind == DISTRIBUTION_DELTA);
        }
    }
    arena_release(&scratch);
    return true;
}

void plan_task_run(struct fetch_task *task)
{
    struct plan_task *t = (struct plan_task *)((char *)task - offsetof(struct plan_task, task));
    struct store_view *view = NULL;
    struct failure f;
    uint64_t start = clock_monotonic_ms();
    arena_init(&t->arena, PLAN_MEMORY_MAX);
    t->status = store_view_begin(t->shared->store, &view, &f);
    if (t->status != STATUS_OK) {
        return;
    }
    t->index = store_view_index(view);
    for (int pass = 0; pass < 2 && t->status == STATUS_OK; pass++) {
        struct plan_walk walk = {.task = t, .cas = pass == 0};
        t->status = store_certificates_all(view, visit, &walk);
    }
    store_view_end(view);
    t->took_ms = clock_monotonic_ms() - start;
    if (t->left_out > 0) {
        log_event(LOG_WARN, "there are more sources of revocation lists than are fetched",
                  LOG_NUMBER("fetched", t->count), LOG_NUMBER("left_out", t->left_out));
    }
}

void plan_task_free(struct fetch_task *task)
{
    struct plan_task *t = (struct plan_task *)((char *)task - offsetof(struct plan_task, task));
    arena_release(&t->arena);
    free(t);
}
