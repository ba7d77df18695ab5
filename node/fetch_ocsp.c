/*
 * The schedule of OCSP answers (node/fetch_ocsp.h), with `ocsp.enabled`.
 *
 * When all goes well: on the leader's node, a thread finds which certificates name a responder, after any
 * change of the state. Of those that are due, each responder is asked about one at a time; what it answers is
 * checked on the thread and handed to core, which checks it itself, proposes it, and answers when it is in
 * force everywhere. The next time is before the answer ends.
 *
 * What can go wrong: a responder does not answer: the next one that the certificate names is asked, and this
 * one again later, at growing distances, as a whole, whatever number of certificates names it. It answers,
 * and the answer is not good: only this certificate waits. What is stored stays until it is too old for
 * `smime.revocation`. On the loop.
 */
#include "node/fetch_ocsp.h"

#include "base/log.h"
#include "base/msgpack_write.h"
#include "node/fetch_lists.h"

#define TICK_MS          200
#define AT_ONCE_MAX      4
#define PROOF_TIMEOUT_MS 60000 /* behind a long list */
#define PLAN_PAUSE_MS    1500
#define PLAN_SHARE       20 /* planning takes at most one part of the time in so many */

struct fetch_ocsp {
    struct ocsp_sources sources;
    uint64_t index; /* of the state that was planned for; UINT64_MAX: none yet */
    uint64_t next_tick_ms, next_plan_ms;
    bool planning;
    unsigned under_way;
};

struct fetch_ocsp *fetch_ocsp_new(void)
{
    struct fetch_ocsp *o = calloc(1, sizeof *o);
    if (o != NULL) {
        o->index = UINT64_MAX;
    }
    return o;
}

void fetch_ocsp_free(struct fetch_ocsp *o)
{
    free(o);
}

size_t fetch_ocsp_responders(const struct fetch_ocsp *o)
{
    return o->sources.responder_count;
}

const struct ocsp_responder *fetch_ocsp_responder_at(const struct fetch_ocsp *o, size_t i)
{
    return &o->sources.responders[i];
}

static bool names(const struct ocsp_source *s, size_t responder)
{
    for (size_t i = 0; i < s->responder_count; i++) {
        if (s->responders[i] == responder) {
            return true;
        }
    }
    return false;
}

uint64_t fetch_ocsp_next(const struct fetch_ocsp *o, size_t responder)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < o->sources.count; i++) {
        const struct ocsp_source *s = &o->sources.of[i];
        next = names(s, responder) && s->next_ms < next ? s->next_ms : next;
    }
    uint64_t not_before = o->sources.responders[responder].next_ms;
    return next == UINT64_MAX || next < not_before ? not_before : next;
}

size_t fetch_ocsp_now(struct fetch *r, struct slice url)
{
    struct ocsp_sources *s = &r->ocsp->sources;
    size_t due = 0;
    for (size_t i = 0; i < s->responder_count; i++) {
        bool wanted = url.len == 0 || slice_equal(url, slice_of_text(s->responders[i].url));
        if (!wanted) {
            continue;
        }
        s->responders[i].next_ms = 0;
        due++;
        for (size_t k = 0; k < s->count; k++) {
            if (names(&s->of[k], i)) {
                s->of[k].next_ms = 0;
            }
        }
    }
    return due;
}

static struct ocsp_responder *responder_of(struct ocsp_sources *s, const char *url)
{
    for (size_t i = 0; i < s->responder_count; i++) {
        if (strcmp(s->responders[i].url, url) == 0) {
            return &s->responders[i];
        }
    }
    return NULL;
}

static struct ocsp_source *source_of(struct ocsp_sources *s, const uint8_t thumbprint[THUMBPRINT_SIZE])
{
    for (size_t i = 0; i < s->count; i++) {
        if (memcmp(s->of[i].thumbprint, thumbprint, THUMBPRINT_SIZE) == 0) {
            return &s->of[i];
        }
    }
    return NULL;
}

/* --- what became of one --- */

static void responder_note(struct ocsp_responder *p, const struct ocsp_task *t, bool good,
                           struct list_times *times)
{
    p->busy = false;
    p->failures = good || t->answered ? 0 : p->failures + 1;
    p->next_ms = 0;
    if (good) {
        p->answered_ms = times->now_ms;
        return;
    }
    p->failed_ms = times->now_ms;
    struct failure text;
    (void)failure_set(&text, t->status, "%s", t->why.text[0] != '\0' ? t->why.text : status_text(t->status));
    memcpy(p->error, text.text, sizeof p->error);
    if (!t->answered) {
        times->failures = p->failures;
        p->next_ms = list_time_after_failure(times);
    }
}

static void source_note(struct ocsp_source *s, const struct ocsp_task *t, bool good, struct list_times *times)
{
    if (good) {
        s->failures = 0;
        times->list_this_ms = t->finding.answer.this_ms;
        times->list_next_ms = t->finding.answer.next_ms;
        s->next_ms = list_time_after_success(times);
    } else if (t->answered) {
        times->failures = ++s->failures;
        s->next_ms = list_time_after_failure(times);
    }
}

static void finished(struct fetch *r, struct ocsp_task *t)
{
    struct ocsp_responder *p = responder_of(&r->ocsp->sources, t->url);
    struct ocsp_source *s = source_of(&r->ocsp->sources, t->thumbprint);
    struct list_times times = {.now_ms = clock_wall_ms(), .refresh_ms = fetch_refresh_ms(r)};
    bool good = t->status == STATUS_OK || t->status == STATUS_EXISTS;
    random_bytes(&times.random, sizeof times.random);
    r->ocsp->under_way--;
    if (good) {
        r->counts.ocsp_fetched++;
    } else {
        r->counts.ocsp_failed++;
        log_event(LOG_WARN, "an OCSP answer could not be had", LOG_TEXT("url", t->url),
                  LOG_TEXT("reason", t->why.text[0] != '\0' ? t->why.text : status_text(t->status)));
    }
    if (p != NULL) {
        responder_note(p, t, good, &times);
    }
    if (s != NULL) {
        source_note(s, t, good, &times);
    }
    ocsp_task_free(&t->task);
}

static void proved_cb(void *context, const struct core_answer *answer)
{
    struct ocsp_task *t = context;
    if (answer->status != STATUS_OK && answer->status != STATUS_EXISTS) {
        t->status = failure_set(&t->why, answer->status, "it could not be stored: %s",
                                answer->text[0] != '\0' ? answer->text : status_text(answer->status));
    } else if (t->finding.answer.status == OCSP_REVOKED) {
        log_event(LOG_INFO, "an OCSP responder says that a certificate is revoked", LOG_TEXT("url", t->url));
    }
    finished(t->fetch, t);
}

/* Core judges the very bytes itself (node/evidence.h): this process reads what strangers send. */
static enum status prove(struct fetch *r, struct ocsp_task *t)
{
    struct buf args = BUF_INIT(OCSP_ANSWER_MAX + 256);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &args);
    write_bytes(&w, slice_of(t->thumbprint, sizeof t->thumbprint));
    write_bytes(&w, slice_of(t->issuer, sizeof t->issuer));
    write_bytes(&w, buf_slice(&t->content));
    enum status status = msgpack_writer_status(&w);
    if (status == STATUS_OK) {
        core_client_ask(r->core, CORE_OCSP_ANSWER, buf_slice(&args), 3, PROOF_TIMEOUT_MS, proved_cb, t);
    }
    buf_release(&args);
    return status;
}

static void asked(void *context, struct fetch_task *task)
{
    struct ocsp_task *t = (struct ocsp_task *)((char *)task - offsetof(struct ocsp_task, task));
    struct fetch *r = context;
    if (t->status == STATUS_OK) {
        enum status status = prove(r, t);
        if (status == STATUS_OK) {
            return;
        }
        t->status = status;
    }
    finished(r, t);
}

/* --- the plan --- */

static void planned(void *context, struct fetch_task *task)
{
    struct ocsp_plan *p = (struct ocsp_plan *)((char *)task - offsetof(struct ocsp_plan, task));
    struct fetch *r = context;
    struct fetch_ocsp *o = r->ocsp;
    o->planning = false;
    o->next_plan_ms = clock_monotonic_ms() + PLAN_PAUSE_MS + PLAN_SHARE * p->took_ms;
    if (p->status == STATUS_OK) {
        ocsp_sources_take_over(p->sources, &o->sources);
        o->sources = *p->sources;
        o->index = p->index;
    } else {
        log_event(LOG_ERROR, "it cannot be found out which certificates name an OCSP responder",
                  LOG_TEXT("reason", status_text(p->status)));
    }
    ocsp_plan_free(task);
}

static void plan(struct fetch *r)
{
    struct ocsp_plan *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return;
    }
    p->task = (struct fetch_task){.run = ocsp_plan_run, .done = planned, .free = ocsp_plan_free};
    p->shared = &r->shared;
    p->refresh_ms = fetch_refresh_ms(r);
    if (fetch_threads_submit(r->responders, &p->task) == STATUS_OK) {
        r->ocsp->planning = true;
    } else {
        ocsp_plan_free(&p->task);
    }
}

/* --- what is due --- */

static void source_ask(struct fetch *r, struct ocsp_source *s, struct ocsp_responder *p,
                       struct store_view *view)
{
    struct ocsp_task *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return;
    }
    t->task = (struct fetch_task){.run = ocsp_task_run, .done = asked, .free = ocsp_task_free};
    t->fetch = r;
    t->shared = &r->shared;
    t->allowed = BUF_INIT(SETTING_VALUE_MAX);
    t->content = BUF_INIT(OCSP_ANSWER_MAX);
    memcpy(t->url, p->url, sizeof t->url);
    memcpy(t->thumbprint, s->thumbprint, sizeof t->thumbprint);
    memcpy(t->issuer, s->issuer, sizeof t->issuer);
    if (fetch_setting(view, SETTING_FETCH_ALLOW_NETWORKS, SLICE_LITERAL(""), &t->allowed) != STATUS_OK ||
        fetch_threads_submit(r->responders, &t->task) != STATUS_OK) {
        ocsp_task_free(&t->task);
        return;
    }
    p->busy = true;
    r->ocsp->under_way++;
}

static bool is_enabled(struct store_view *view)
{
    struct setting_value value;
    return setting_get(view, setting_at(SETTING_OCSP_ENABLED), SLICE_LITERAL(""), &value) == STATUS_OK &&
           setting_bool(&value);
}

static void tick(struct fetch *r, struct store_view *view, uint64_t now_monotonic)
{
    struct fetch_ocsp *o = r->ocsp;
    uint64_t now = clock_wall_ms();
    if (!is_enabled(view)) {
        o->sources.count = o->sources.responder_count = 0;
        o->index = UINT64_MAX;
        return;
    }
    if (!o->planning && store_view_index(view) != o->index && now_monotonic >= o->next_plan_ms) {
        plan(r);
    }
    for (size_t i = 0; i < o->sources.count && o->under_way < AT_ONCE_MAX; i++) {
        struct ocsp_source *s = &o->sources.of[i];
        size_t responder;
        if (s->next_ms <= now && ocsp_source_responder(&o->sources, s, now, &responder)) {
            source_ask(r, s, &o->sources.responders[responder], view);
        }
    }
}

void fetch_ocsp_tick(struct fetch *r)
{
    struct store_view *view = NULL;
    struct failure f;
    uint64_t now = clock_monotonic_ms();
    if (now < r->ocsp->next_tick_ms || r->shared.store == NULL || !fetch_leads(r) ||
        store_view_begin(r->shared.store, &view, &f) != STATUS_OK) {
        return;
    }
    r->ocsp->next_tick_ms = now + TICK_MS;
    tick(r, view, now);
    store_view_end(view);
}
