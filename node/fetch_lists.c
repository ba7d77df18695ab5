/*
 * The schedule (node/fetch_lists.h).
 *
 * When all goes well: on the leader's node, a thread finds which sources the stored certificates name,
 * after any change of the state. A source that is due is fetched on a thread; a list that is new is
 * handed to core, which verifies it itself and brings it in by proposals (docs/decisions/0012). The next time
 * is before its nextUpdate.
 *
 * What can go wrong: a server does not answer, or with something else: the source is tried again later, at
 * growing distances, and the list that is in force stays in force, until it is too old for
 * `smime.revocation`. The leadership moves: the other node's fetch begins; a list that both bring in is the
 * same list, and the rows of a generation that nobody completed are swept away with the next. On the loop.
 */
#include "node/fetch_lists.h"

#include "base/log.h"
#include "base/msgpack_write.h"
#include "node/evidence.h"
#include "node/fetch_guard.h"

#define TICK_MS          200
#define AT_ONCE_MAX      2      /* lists under way: also a bound on memory */
#define PROOF_TIMEOUT_MS 600000 /* of a million entries */
#define FRESHEST_MEMORY  ((size_t)64 << 10)
#define PLAN_PAUSE_MS    1500
#define PLAN_SHARE       20 /* planning takes at most one part of the time in so many */

struct fetch_lists {
    struct list_source sources[LIST_SOURCES_MAX];
    size_t count;
    uint64_t index; /* of the state that was planned for; UINT64_MAX: none yet */
    uint64_t next_tick_ms, next_plan_ms;
    bool planning;
    unsigned under_way;
};

struct fetch_lists *fetch_lists_new(void)
{
    struct fetch_lists *l = calloc(1, sizeof *l);
    if (l != NULL) {
        l->index = UINT64_MAX;
    }
    return l;
}

void fetch_lists_free(struct fetch_lists *l)
{
    free(l);
}

size_t fetch_lists_count(const struct fetch_lists *l)
{
    return l->count;
}

const struct list_source *fetch_lists_at(const struct fetch_lists *l, size_t i)
{
    return &l->sources[i];
}

size_t fetch_lists_now(struct fetch *r, struct slice url)
{
    size_t due = 0;
    for (size_t i = 0; i < r->lists->count; i++) {
        struct list_source *s = &r->lists->sources[i];
        if (url.len == 0 || slice_equal(url, slice_of_text(s->url))) {
            s->next_ms = 0;
            due++;
        }
    }
    r->lists->next_tick_ms = 0;
    return due;
}

/* By what it is, since the table may have been planned anew meanwhile. */
static struct list_source *source_of(struct fetch_lists *l, const char *url, bool delta)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->sources[i].delta == delta && strcmp(l->sources[i].url, url) == 0) {
            return &l->sources[i];
        }
    }
    return NULL;
}

/* --- what became of one --- */

uint64_t fetch_refresh_ms(struct fetch *r)
{
    struct store_view *view = NULL;
    struct setting_value value = {.setting = setting_at(SETTING_CRL_REFRESH)};
    struct failure f;
    value.text = slice_of_text(value.setting->default_text);
    uint64_t ms = setting_number(&value);
    if (store_view_begin(r->shared.store, &view, &f) == STATUS_OK) {
        if (setting_get(view, setting_at(SETTING_CRL_REFRESH), SLICE_LITERAL(""), &value) == STATUS_OK) {
            ms = setting_number(&value);
        }
        store_view_end(view);
    }
    return ms;
}

static struct list_source *source_add(struct fetch_lists *l, const char *url, bool delta)
{
    struct list_source *s = source_of(l, url, delta);
    if (s == NULL && l->count < LIST_SOURCES_MAX) {
        s = &l->sources[l->count++];
        *s = (struct list_source){.delta = delta};
        memcpy(s->url, url, strlen(url) + 1);
    }
    if (s != NULL) {
        s->planned = true;
    }
    return s;
}

/* A list may name its deltas itself, beside what certificates name. */
static void freshest_note(struct fetch_lists *l, struct list_source *s, const struct crl *crl)
{
    struct arena a;
    char host[FETCH_HOST_MAX + 1];
    arena_init(&a, FRESHEST_MEMORY);
    struct slice url = crl_freshest(crl, &a);
    s->freshest[0] = '\0';
    if (url.len > 0 && fetch_guard_url(url, host, NULL) == STATUS_OK) {
        memcpy(s->freshest, url.data, url.len);
        s->freshest[url.len] = '\0';
        (void)source_add(l, s->freshest, true);
    }
    arena_release(&a);
}

static void finished(struct fetch *r, struct list_task *t)
{
    struct list_source *s = source_of(r->lists, t->url, t->delta);
    struct list_times times = {.now_ms = clock_wall_ms(), .refresh_ms = fetch_refresh_ms(r)};
    bool good = t->status == STATUS_OK || t->status == STATUS_EXISTS;
    random_bytes(&times.random, sizeof times.random);
    r->lists->under_way--;
    if (good) {
        r->counts.lists_fetched++;
    } else {
        r->counts.lists_failed++;
        log_event(LOG_WARN, "a revocation list could not be fetched", LOG_TEXT("url", t->url),
                  LOG_TEXT("reason", t->why.text[0] != '\0' ? t->why.text : status_text(t->status)),
                  LOG_NUMBER("failures", s == NULL ? 0 : s->failures + 1));
    }
    if (s != NULL) {
        s->busy = false;
        s->failures = good ? 0 : s->failures + 1;
        times.failures = s->failures;
        if (good) {
            const struct crl_record *record = crl_record_of(t->crl);
            size_t len = record->name.len < sizeof s->issuer - 1 ? record->name.len : sizeof s->issuer - 1;
            memcpy(s->issuer, record->name.data, len);
            s->issuer[len] = '\0';
            s->fetched_ms = times.now_ms;
            times.list_this_ms = record->this_ms;
            times.list_next_ms = record->next_ms;
            s->next_ms = list_time_after_success(&times);
            freshest_note(r->lists, s, t->crl);
        } else {
            struct failure text;
            (void)failure_set(&text, t->status, "%s",
                              t->why.text[0] != '\0' ? t->why.text : status_text(t->status));
            memcpy(s->error, text.text, sizeof s->error);
            s->failed_ms = times.now_ms;
            s->next_ms = list_time_after_failure(&times);
        }
    }
    list_task_free(&t->task);
}

/* --- bringing it in --- */

static void proved_cb(void *context, const struct core_answer *answer)
{
    struct list_task *t = context;
    if (answer->status == STATUS_OK) {
        log_event(LOG_INFO, "a revocation list is in force", LOG_TEXT("url", t->url),
                  LOG_SLICE("issuer", crl_record_of(t->crl)->name),
                  LOG_NUMBER("entries", crl_entry_count(t->crl)));
    } else if (answer->status != STATUS_EXISTS) {
        t->status = failure_set(&t->why, answer->status, "it could not be stored: %s",
                                answer->text[0] != '\0' ? answer->text : status_text(answer->status));
    }
    finished(t->fetch, t);
}

/* Core verifies the very bytes itself (node/evidence.h): this process reads what strangers send. */
static void fetched(void *context, struct fetch_task *task)
{
    struct list_task *t = (struct list_task *)((char *)task - offsetof(struct list_task, task));
    struct fetch *r = context;
    struct buf args = BUF_INIT(EVIDENCE_LIST_MAX + 64);
    struct msgpack_writer w;
    if (t->status == STATUS_OK) {
        msgpack_writer_init(&w, &args);
        write_bytes(&w, buf_slice(&t->content));
        t->status = msgpack_writer_status(&w);
        buf_release(&t->content);
    }
    if (t->status == STATUS_OK) {
        core_client_ask(r->core, CORE_REVOCATION_LIST, buf_slice(&args), 1, PROOF_TIMEOUT_MS, proved_cb, t);
    } else {
        finished(r, t);
    }
    buf_release(&args);
}

/* --- the plan --- */

static void planned(void *context, struct fetch_task *task)
{
    struct plan_task *t = (struct plan_task *)((char *)task - offsetof(struct plan_task, task));
    struct fetch *r = context;
    struct fetch_lists *l = r->lists;
    size_t kept = 0;
    l->planning = false;
    l->next_plan_ms = clock_monotonic_ms() + PLAN_PAUSE_MS + PLAN_SHARE * t->took_ms;
    if (t->status != STATUS_OK) {
        log_event(LOG_ERROR, "it cannot be found out which revocation lists there are",
                  LOG_TEXT("reason", status_text(t->status)));
        plan_task_free(task);
        return;
    }
    for (size_t i = 0; i < l->count; i++) {
        l->sources[i].planned = false;
    }
    for (size_t i = 0; i < t->count; i++) {
        char url[DISTRIBUTION_URL_MAX + 1];
        memcpy(url, t->sources[i].url.data, t->sources[i].url.len);
        url[t->sources[i].url.len] = '\0';
        (void)source_add(l, url, t->sources[i].delta);
    }
    for (size_t i = 0; i < l->count; i++) {
        if (l->sources[i].planned && l->sources[i].freshest[0] != '\0') {
            (void)source_add(l, l->sources[i].freshest, true);
        }
    }
    for (size_t i = 0; i < l->count; i++) { /* what nobody names any more is forgotten */
        if (l->sources[i].planned) {
            if (kept != i) {
                l->sources[kept] = l->sources[i];
            }
            kept++;
        }
    }
    l->count = kept;
    l->index = t->index;
    log_event(LOG_DEBUG, "revocation lists are planned", LOG_NUMBER("sources", l->count),
              LOG_NUMBER("index", t->index), LOG_NUMBER("ms", t->took_ms));
    plan_task_free(task);
}

static void plan(struct fetch *r)
{
    struct plan_task *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return;
    }
    t->task = (struct fetch_task){.run = plan_task_run, .done = planned, .free = plan_task_free};
    t->shared = &r->shared;
    if (fetch_threads_submit(r->listers, &t->task) == STATUS_OK) {
        r->lists->planning = true;
    } else {
        plan_task_free(&t->task);
    }
}

/* --- what is due --- */

static void source_fetch(struct fetch *r, struct list_source *s, struct store_view *view)
{
    struct list_task *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return;
    }
    t->task = (struct fetch_task){.run = list_task_run, .done = fetched, .free = list_task_free};
    t->fetch = r;
    t->shared = &r->shared;
    t->delta = s->delta;
    t->allowed = BUF_INIT(SETTING_VALUE_MAX);
    t->content = BUF_INIT(EVIDENCE_LIST_MAX);
    memcpy(t->url, s->url, sizeof t->url);
    if (fetch_setting(view, SETTING_FETCH_ALLOW_NETWORKS, SLICE_LITERAL(""), &t->allowed) != STATUS_OK ||
        fetch_threads_submit(r->listers, &t->task) != STATUS_OK) {
        list_task_free(&t->task);
        return;
    }
    s->busy = true;
    r->lists->under_way++;
}

/* A delta builds upon its full list: full ones go first. */
static void fetch_due(struct fetch *r, struct store_view *view)
{
    struct fetch_lists *l = r->lists;
    uint64_t now = clock_wall_ms();
    bool full_busy = false;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < l->count && l->under_way < AT_ONCE_MAX; i++) {
            struct list_source *s = &l->sources[i];
            if (s->delta == (pass == 1) && !s->busy && s->next_ms <= now && !(pass == 1 && full_busy)) {
                source_fetch(r, s, view);
            }
            full_busy = full_busy || (!s->delta && s->busy);
        }
    }
}

void fetch_lists_tick(struct fetch *r)
{
    struct fetch_lists *l = r->lists;
    struct store_view *view = NULL;
    struct failure f;
    uint64_t now = clock_monotonic_ms();
    if (now < l->next_tick_ms || r->shared.store == NULL || !fetch_leads(r) ||
        store_view_begin(r->shared.store, &view, &f) != STATUS_OK) {
        return;
    }
    l->next_tick_ms = now + TICK_MS;
    if (!l->planning && store_view_index(view) != l->index && now >= l->next_plan_ms) {
        plan(r);
    }
    fetch_due(r, view);
    store_view_end(view);
}
