/*
 * Policies of MTA-STS on the fetch role's loop (node/fetch_sts.h).
 *
 * When all goes well: smtp asks about a domain, a thread fetches its policy, it is proposed, and smtp has it
 * in the answer. The leading node looks through the rows now and then and fetches those again that are due
 * (sts_due_ms), so that an attacker who stops a look-up later finds a policy in force.
 *
 * What can go wrong: nothing is fetched: the row stays in force until its end, and its note says why; one
 * that is over and fails is taken away. A policy that failed is not tried again for some minutes.
 */
#include "node/fetch_sts.h"

#include "base/log.h"
#include "base/msgpack_write.h"
#include "node/fetch_http.h"
#include "store/command.h"

#define THREADS             4
#define WAITING_MAX         60
#define TICK_MS             1000
#define SCHEDULED_MAX       2 /* under way on schedule */
#define PROPOSAL_TIMEOUT_MS 5000
#define FAILURE_MS          ((uint64_t)5 * 60 * 1000)
#define ANCHORS_MAX         ((size_t)4 << 20)
#define REPORT_MS           30000
#define ANSWER_MAX          ((size_t)64 << 10)

struct fetch_sts {
    struct fetch_threads *threads;
    char busy[SCHEDULED_MAX][DOMAIN_MAX + 1]; /* "": free */
    uint64_t index;                           /* of the state that was looked through last */
    uint64_t next_tick_ms, next_due_ms;       /* monotonic; wall clock */
};

enum status fetch_sts_new(struct fetch *r, struct fetch_sts **out)
{
    struct fetch_sts *s = calloc(1, sizeof *s);
    enum status status =
        s == NULL ? STATUS_NO_MEMORY : fetch_threads_start(THREADS, WAITING_MAX, r, &s->threads);
    if (status != STATUS_OK) {
        free(s);
        return status;
    }
    s->index = UINT64_MAX;
    *out = s;
    return STATUS_OK;
}

void fetch_sts_free(struct fetch_sts *s)
{
    if (s != NULL) {
        fetch_threads_stop(s->threads);
        free(s);
    }
}

static void key_of(const struct sts_task *t, uint8_t key[FETCH_KEY_SIZE])
{
    char text[DOMAIN_MAX + STS_ID_MAX + 16];
    (void)!snprintf(text, sizeof text, "mta-sts %s %s", t->domain, t->id);
    sha256(slice_of_text(text), key);
}

/* --- what became of one --- */

static void reply(struct sts_task *t)
{
    struct buf result = BUF_INIT(ANSWER_MAX);
    struct msgpack_writer w;
    if (!t->asked) {
        return;
    }
    msgpack_writer_init(&w, &result);
    write_u64(&w, t->policy.mode);
    write_u64(&w, t->policy.max_age_s);
    write_text(&w, t->policy.mx);
    bool good = t->status == STATUS_OK && msgpack_writer_status(&w) == STATUS_OK;
    fetch_reply(t->fetch, &t->asker, t->status, t->why.text[0] != '\0' ? t->why.text : status_text(t->status),
                good ? buf_slice(&result) : slice_of(NULL, 0), good ? 3 : 0);
    buf_release(&result);
}

static void finished(struct sts_task *t)
{
    struct fetch_sts *s = t->fetch->sts;
    for (size_t i = 0; !t->asked && i < SCHEDULED_MAX; i++) {
        if (strcmp(s->busy[i], t->domain) == 0) {
            s->busy[i][0] = '\0';
        }
    }
    s->index = UINT64_MAX;
    sts_task_free(&t->task);
}

static void proposed_cb(void *context, const struct core_answer *answer)
{
    struct sts_task *t = context;
    if (answer->status != STATUS_OK && answer->status != STATUS_NOT_FOUND) {
        log_event(LOG_INFO, "what was learned of an MTA-STS policy could not be stored",
                  LOG_TEXT("domain", t->domain), LOG_TEXT("reason", answer->text));
        t->fetch->sts->next_tick_ms = clock_monotonic_ms() + PROPOSAL_TIMEOUT_MS;
    }
    reply(t); /* it holds for the mail that waits, stored or not */
    finished(t);
}

static void propose(struct sts_task *t, struct command *c)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    enum status status = command_encode(c, &encoded);
    if (status == STATUS_OK) {
        core_client_propose(t->fetch->core, buf_slice(&encoded), PROPOSAL_TIMEOUT_MS, proposed_cb, t);
    } else {
        reply(t);
        finished(t);
    }
    buf_release(&encoded);
}

/* A row that is there says why; one whose time is over goes. */
static bool failure_command(struct sts_task *t, struct command *c, uint64_t now, const char *actor)
{
    struct store_view *view = NULL;
    struct sts_record record;
    struct failure f;
    if (store_view_begin(t->fetch->shared.store, &view, &f) != STATUS_OK) {
        return false;
    }
    enum status status = store_sts_get(view, slice_of_text(t->domain), &record);
    if (status == STATUS_OK) {
        bool over = !sts_in_force(&record, now) && (record.fetched_ms != 0 || record.failed_ms != 0);
        command_init(c, over ? COMMAND_STS_REMOVE : COMMAND_STS_FAILED, now, slice_of_text(actor));
        c->values[0].bytes = slice_of_text(t->domain);
        if (!over) {
            c->values[1].bytes = slice_of(t->why.text, strnlen(t->why.text, STS_NOTE_MAX));
        }
    }
    store_view_end(view);
    return status == STATUS_OK;
}

static void fetched(void *context, struct fetch_task *task)
{
    struct sts_task *t = (struct sts_task *)((char *)task - offsetof(struct sts_task, task));
    struct fetch *r = context;
    struct command c;
    char actor[COMMAND_ACTOR_MAX];
    uint64_t now = clock_wall_ms();
    (void)!snprintf(actor, sizeof actor, "node:%s", core_client_node_name(r->core));
    if (t->status == STATUS_OK) {
        log_event(LOG_INFO, "an MTA-STS policy was fetched", LOG_TEXT("domain", t->domain),
                  LOG_TEXT("id", t->id), LOG_TEXT("mode", sts_mode_name(t->policy.mode)),
                  LOG_NUMBER("max_age", t->policy.max_age_s));
        command_init(&c, COMMAND_STS_PUT, now, slice_of_text(actor));
        c.values[0].bytes = slice_of_text(t->domain);
        c.values[1].bytes = slice_of_text(t->id);
        c.values[2].number = t->policy.mode;
        c.values[3].number = t->policy.max_age_s;
        c.values[4].bytes = t->policy.mx;
        propose(t, &c);
        return;
    }
    uint8_t key[FETCH_KEY_SIZE];
    key_of(t, key);
    fetch_failed(&r->shared, key, FAILURE_MS);
    log_event(LOG_WARN, "an MTA-STS policy could not be fetched", LOG_TEXT("domain", t->domain),
              LOG_TEXT("reason", t->why.text[0] != '\0' ? t->why.text : status_text(t->status)));
    if (failure_command(t, &c, now, actor)) {
        propose(t, &c);
        return;
    }
    reply(t);
    finished(t);
}

/* --- starting one --- */

static bool copy_setting(struct store_view *view, enum setting_id id, char text[SETTING_VALUE_MAX],
                         struct setting_value *value)
{
    if (setting_get(view, setting_at(id), SLICE_LITERAL(""), value) != STATUS_OK ||
        value->text.len > SETTING_VALUE_MAX) {
        return false;
    }
    memcpy(text, value->text.data, value->text.len);
    value->text = slice_of(text, value->text.len);
    return true;
}

static bool add_anchor(void *context, const struct certificate_record *record)
{
    return buf_append_slice(context, record->der) == STATUS_OK;
}

static bool fill(struct sts_task *t, struct store_view *view)
{
    struct setting_value trust;
    bool good =
        copy_setting(view, SETTING_DNS_RESOLVERS, t->resolvers, &t->resolvers_value) &&
        copy_setting(view, SETTING_DNS_TRUST_ANCHORS, t->trust_anchors, &t->trust_anchors_value) &&
        fetch_setting(view, SETTING_FETCH_ALLOW_NETWORKS, SLICE_LITERAL(""), &t->allowed) == STATUS_OK &&
        setting_get(view, setting_at(SETTING_DELIVERY_TLS_TRUST), slice_of_text(t->domain), &trust) ==
            STATUS_OK;
    if (good && !slice_equal(trust.text, SLICE_LITERAL("system"))) {
        t->only_those = slice_equal(trust.text, SLICE_LITERAL("store"));
        good = store_anchors_all(view, add_anchor, &t->anchors) == STATUS_OK;
    }
    return good;
}

/* NULL: it cannot be started now. */
static struct sts_task *task_new(struct fetch *r, struct store_view *view, struct slice domain,
                                 struct slice id)
{
    struct sts_task *t = calloc(1, sizeof *t);
    if (t == NULL || domain.len > DOMAIN_MAX || id.len > STS_ID_MAX) {
        free(t);
        return NULL;
    }
    t->task = (struct fetch_task){.run = sts_task_run, .done = fetched, .free = sts_task_free};
    t->fetch = r;
    t->allowed = BUF_INIT(SETTING_VALUE_MAX);
    t->anchors = BUF_INIT(ANCHORS_MAX);
    t->patterns = BUF_INIT(STS_MX_MAX);
    memcpy(t->domain, domain.data, domain.len);
    if (id.len > 0) {
        memcpy(t->id, id.data, id.len);
    }
    if (!fill(t, view)) {
        sts_task_free(&t->task);
        return NULL;
    }
    return t;
}

void fetch_sts_ask(struct fetch *r, const struct fetch_asker *from, const struct fetch_question *q)
{
    char domain[DOMAIN_MAX + 1];
    uint8_t key[FETCH_KEY_SIZE];
    struct store_view *view = NULL;
    struct failure f = {0};
    struct sts_task *t = NULL;
    enum status status = domain_normalise(q->url, domain, &f);
    if (status == STATUS_OK && domain[0] == '*') {
        status = failure_set(&f, STATUS_INVALID, "name one domain");
    }
    if (status == STATUS_OK) {
        status = r->shared.store == NULL ? STATUS_UNAVAILABLE : store_view_begin(r->shared.store, &view, &f);
    }
    if (status == STATUS_OK) {
        t = task_new(r, view, slice_of_text(domain), q->bytes);
        status = t == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    store_view_end(view);
    if (status == STATUS_OK) {
        key_of(t, key);
        status = fetch_has_failed(&r->shared, key)
                     ? failure_set(&f, STATUS_UNAVAILABLE, "it failed a short while ago")
                     : STATUS_OK;
    }
    if (status == STATUS_OK) {
        t->asker = *from;
        t->asked = true;
        status = fetch_threads_submit(r->sts->threads, &t->task);
    }
    if (status != STATUS_OK) {
        if (t != NULL) {
            sts_task_free(&t->task);
        }
        fetch_reply(r, from, status, f.text[0] != '\0' ? f.text : status_text(status), slice_of(NULL, 0), 0);
    }
}

/* --- on schedule --- */

struct due_walk {
    struct fetch *fetch;
    struct store_view *view;
    uint64_t now_ms, next_due_ms;
};

/* The place of the domain, or a free one; NULL: neither. */
static char *place_of(struct fetch_sts *s, struct slice domain)
{
    char *free_place = NULL;
    for (size_t i = 0; i < SCHEDULED_MAX; i++) {
        if (slice_equal(slice_of_text(s->busy[i]), domain)) {
            return s->busy[i];
        }
        if (s->busy[i][0] == '\0') {
            free_place = s->busy[i];
        }
    }
    return free_place;
}

static bool visit(void *context, const struct sts_record *record)
{
    struct due_walk *w = context;
    uint64_t due = sts_due_ms(record);
    if (due > w->now_ms) {
        w->next_due_ms = due < w->next_due_ms ? due : w->next_due_ms;
        return true;
    }
    char *place = place_of(w->fetch->sts, record->domain);
    if (place == NULL) {
        return false; /* when one of those is done, all are looked at anew */
    }
    struct sts_task *t =
        place[0] == '\0' ? task_new(w->fetch, w->view, record->domain, SLICE_LITERAL("")) : NULL;
    if (t == NULL) {
        return true;
    }
    if (fetch_threads_submit(w->fetch->sts->threads, &t->task) != STATUS_OK) {
        sts_task_free(&t->task);
        return false;
    }
    memcpy(place, t->domain, sizeof t->domain);
    return true;
}

void fetch_sts_tick(struct fetch *r)
{
    struct fetch_sts *s = r->sts;
    struct store_view *view = NULL;
    struct failure f;
    uint64_t now = clock_monotonic_ms();
    fetch_threads_collect(s->threads);
    if (now < s->next_tick_ms || r->shared.store == NULL || !fetch_leads(r) ||
        store_view_begin(r->shared.store, &view, &f) != STATUS_OK) {
        return;
    }
    struct due_walk walk = {.fetch = r, .view = view, .now_ms = clock_wall_ms(), .next_due_ms = UINT64_MAX};
    s->next_tick_ms = now + TICK_MS;
    if (store_view_index(view) != s->index || walk.now_ms >= s->next_due_ms) {
        if (store_sts_all(view, visit, &walk) != STATUS_OK) {
            log_event(LOG_ERROR, "the MTA-STS policies cannot be read");
        }
        s->index = store_view_index(view);
        s->next_due_ms = walk.next_due_ms;
    }
    store_view_end(view);
}

/* --- reports --- */

struct report_task {
    struct fetch_task task;
    struct fetch *fetch;
    struct fetch_asker asker;
    char url[FETCH_URL_MAX + 1];
    struct buf report, allowed;
    enum status status;
    struct failure why;
};

static void report_free(struct fetch_task *task)
{
    struct report_task *t = (struct report_task *)((char *)task - offsetof(struct report_task, task));
    buf_release(&t->report);
    buf_release(&t->allowed);
    free(t);
}

static void report_run(struct fetch_task *task)
{
    struct report_task *t = (struct report_task *)((char *)task - offsetof(struct report_task, task));
    struct buf answer = BUF_INIT((size_t)64 << 10);
    struct fetch_http request = {.url = slice_of_text(t->url),
                                 .allowed = buf_slice(&t->allowed),
                                 .body = buf_slice(&t->report),
                                 .content_type = "application/tlsrpt+gzip",
                                 .connect_timeout_ms = REPORT_MS / 3,
                                 .timeout_ms = REPORT_MS,
                                 .no_redirects = true};
    t->status = fetch_http(&request, &answer, &t->why);
    buf_release(&answer);
}

static void reported(void *context, struct fetch_task *task)
{
    struct report_task *t = (struct report_task *)((char *)task - offsetof(struct report_task, task));
    fetch_reply(context, &t->asker, t->status, t->status == STATUS_OK ? "" : t->why.text, slice_of(NULL, 0),
                0);
    report_free(task);
}

void fetch_report_ask(struct fetch *r, const struct fetch_asker *from, const struct fetch_question *q)
{
    struct store_view *view = NULL;
    struct failure f = {0};
    struct report_task *t = calloc(1, sizeof *t);
    enum status status = t == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (status == STATUS_OK && !slice_starts_with_nocase(q->url, SLICE_LITERAL("https://"))) {
        status = failure_set(&f, STATUS_INVALID, "reports are posted by https alone");
    }
    if (status == STATUS_OK) {
        status = r->shared.store == NULL ? STATUS_UNAVAILABLE : store_view_begin(r->shared.store, &view, &f);
    }
    if (status == STATUS_OK) {
        t->task = (struct fetch_task){.run = report_run, .done = reported, .free = report_free};
        t->fetch = r;
        t->asker = *from;
        t->report = BUF_INIT(FETCH_REPORT_MAX);
        t->allowed = BUF_INIT(SETTING_VALUE_MAX);
        memcpy(t->url, q->url.data, q->url.len);
        status = fetch_setting(view, SETTING_FETCH_ALLOW_NETWORKS, SLICE_LITERAL(""), &t->allowed);
    }
    store_view_end(view);
    if (status == STATUS_OK) {
        status = buf_append_slice(&t->report, q->bytes);
    }
    if (status == STATUS_OK) {
        status = fetch_threads_submit(r->sts->threads, &t->task);
    }
    if (status != STATUS_OK) {
        if (t != NULL) {
            report_free(&t->task);
        }
        fetch_reply(r, from, status, f.text[0] != '\0' ? f.text : status_text(status), slice_of(NULL, 0), 0);
    }
}
