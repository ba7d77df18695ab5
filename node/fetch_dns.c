/*
 * The schedule of look-ups in DNS (node/fetch_dns.h).
 *
 * When all goes well: on the leader's node, each domain that is watched is looked up after dns.refresh, or at
 * once when an administrator asks; what was seen is proposed, and every node shows it. A change is logged. It
 * never touches what is trusted: an administrator confirms.
 *
 * What can go wrong: no answer comes, or a forged one: the row says so, what was seen before stays, and it is
 * tried again after some minutes. The leadership moves: the rows say for the next one what is due. On the
 * loop; look-ups run on threads of their own, since revocation lists must not wait for them.
 */
#include "node/fetch_dns.h"

#include "base/log.h"
#include "store/command.h"

#define TICK_MS             250
#define AT_ONCE_MAX         2
#define LOOK_UP_TIMEOUT_MS  10000
#define AFTER_FAILURE_MS    ((uint64_t)5 * 60 * 1000)
#define PROPOSAL_TIMEOUT_MS 5000
#define AFTER_REFUSAL_MS    5000
#define NAME_MAX_BYTES      (sizeof DNS_NAME_PREFIX + DOMAIN_MAX)

struct dns_task {
    struct fetch_task task;
    struct fetch *fetch;
    char domain[DOMAIN_MAX + 1];
    char resolvers[SETTING_VALUE_MAX], anchors[SETTING_VALUE_MAX];
    struct setting_value resolvers_value, anchors_value;
    struct dns_result result;
};

struct fetch_dns {
    struct fetch_threads *threads;
    char busy[AT_ONCE_MAX][DOMAIN_MAX + 1]; /* "": free */
    uint64_t index;                         /* of the state that was looked at last */
    uint64_t next_tick_ms, next_due_ms;     /* monotonic; wall clock */
};

struct due_walk {
    struct fetch *fetch;
    struct store_view *view;
    uint64_t now_ms, refresh_ms, next_due_ms;
};

enum status fetch_dns_new(struct fetch *r, struct fetch_dns **out)
{
    struct fetch_dns *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = fetch_threads_start(AT_ONCE_MAX, AT_ONCE_MAX, r, &d->threads);
    if (status != STATUS_OK) {
        free(d);
        return status;
    }
    d->index = UINT64_MAX;
    *out = d;
    return STATUS_OK;
}

void fetch_dns_free(struct fetch_dns *d)
{
    if (d != NULL) {
        fetch_threads_stop(d->threads);
        free(d);
    }
}

static void task_free(struct fetch_task *task)
{
    free((char *)task - offsetof(struct dns_task, task));
}

/* --- what became of one --- */

/* Tells the log when what this look-up says is not what the one before said. */
static void tell_change(const struct dns_task *t)
{
    struct store_view *view = NULL;
    struct domain_dns_record record;
    struct domain_dns_review review;
    struct failure f;
    if (store_view_begin(t->fetch->shared.store, &view, &f) != STATUS_OK) {
        return;
    }
    if (store_domain_dns_get(view, slice_of_text(t->domain), &record) == STATUS_OK &&
        store_domain_dns_review(view, &record, &review) == STATUS_OK) {
        enum domain_dns_state before = review.state;
        record.answer = t->result.answer;
        if (t->result.answer != DNS_BOGUS && t->result.answer != DNS_FAILED) {
            record.fingerprints = slice_of(t->result.found.list, t->result.found.count * THUMBPRINT_SIZE);
        }
        domain_dns_judge(&record, &review);
        if (review.state != before) {
            log_event(domain_dns_needs_review(review.state) ? LOG_WARN : LOG_INFO,
                      "what a partner's domain publishes in DNS is another", LOG_TEXT("domain", t->domain),
                      LOG_TEXT("state", domain_dns_state_name(review.state)),
                      LOG_TEXT("before", domain_dns_state_name(before)),
                      LOG_TEXT("note", t->result.note.text));
        }
    }
    store_view_end(view);
}

static void finished(struct dns_task *t, enum status status)
{
    struct fetch_dns *d = t->fetch->dns;
    for (size_t i = 0; i < AT_ONCE_MAX; i++) {
        if (strcmp(d->busy[i], t->domain) == 0) {
            d->busy[i][0] = '\0';
        }
    }
    /* A row that is gone meanwhile is none of our business; anything else is tried again. */
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        d->next_tick_ms = clock_monotonic_ms() + AFTER_REFUSAL_MS;
    }
    d->index = UINT64_MAX;
    task_free(&t->task);
}

static void proposed_cb(void *context, const struct core_answer *answer)
{
    struct dns_task *t = context;
    if (answer->status != STATUS_OK) {
        log_event(LOG_INFO, "what was seen in DNS could not be stored", LOG_TEXT("domain", t->domain),
                  LOG_TEXT("reason", answer->text));
    }
    finished(t, answer->status);
}

static void looked_up(void *context, struct fetch_task *task)
{
    struct dns_task *t = (struct dns_task *)((char *)task - offsetof(struct dns_task, task));
    struct fetch *r = context;
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct command c;
    char actor[COMMAND_ACTOR_MAX];
    size_t note = strnlen(t->result.note.text, DOMAIN_DNS_NOTE_MAX);
    int n = snprintf(actor, sizeof actor, "node:%s", core_client_node_name(r->core));
    tell_change(t);
    command_init(&c, COMMAND_DOMAIN_DNS_SEEN, clock_wall_ms(), slice_of_text(actor));
    c.values[0].bytes = slice_of_text(t->domain);
    c.values[1].number = t->result.answer;
    c.values[2].bytes = slice_of(t->result.found.list, t->result.found.count * THUMBPRINT_SIZE);
    c.values[3].bytes = slice_of(t->result.note.text, note);
    enum status status = n > 0 && (size_t)n < sizeof actor ? command_encode(&c, &encoded) : STATUS_INTERNAL;
    if (status == STATUS_OK) {
        core_client_propose(r->core, buf_slice(&encoded), PROPOSAL_TIMEOUT_MS, proposed_cb, t);
    } else {
        finished(t, status);
    }
    buf_release(&encoded);
}

static void look_up(struct fetch_task *task)
{
    struct dns_task *t = (struct dns_task *)((char *)task - offsetof(struct dns_task, task));
    char name[NAME_MAX_BYTES];
    struct dns_question question = {.name = name,
                                    .resolvers = &t->resolvers_value,
                                    .anchors = &t->anchors_value,
                                    .timeout_ms = LOOK_UP_TIMEOUT_MS};
    if (snprintf(name, sizeof name, DNS_NAME_PREFIX "%s", t->domain) < (int)sizeof name) {
        dns_look_up(&question, &t->result);
    } else {
        t->result.answer = DNS_FAILED;
    }
}

/* --- what is due --- */

uint64_t fetch_dns_due_ms(const struct domain_dns_record *record, uint64_t refresh_ms)
{
    uint64_t pause =
        record->answer == DNS_FAILED && refresh_ms > AFTER_FAILURE_MS ? AFTER_FAILURE_MS : refresh_ms;
    return record->asked_ms != 0 || record->checked_ms == 0 ? 0 : record->checked_ms + pause;
}

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

/* The place of the domain, or a free one; NULL: neither. */
static char *place_of(struct fetch_dns *d, struct slice domain)
{
    char *free_place = NULL;
    for (size_t i = 0; i < AT_ONCE_MAX; i++) {
        if (slice_equal(slice_of_text(d->busy[i]), domain)) {
            return d->busy[i];
        }
        if (d->busy[i][0] == '\0') {
            free_place = d->busy[i];
        }
    }
    return free_place;
}

static bool visit(void *context, const struct domain_dns_record *record)
{
    struct due_walk *w = context;
    struct fetch_dns *d = w->fetch->dns;
    uint64_t due = fetch_dns_due_ms(record, w->refresh_ms);
    if (due > w->now_ms) {
        w->next_due_ms = due < w->next_due_ms ? due : w->next_due_ms;
        return true;
    }
    char *place = place_of(d, record->domain);
    if (place == NULL) {
        return false; /* when one of those is done, all are looked at anew */
    }
    struct dns_task *t = place[0] == '\0' ? calloc(1, sizeof *t) : NULL;
    if (t == NULL) {
        return true;
    }
    t->task = (struct fetch_task){.run = look_up, .done = looked_up, .free = task_free};
    t->fetch = w->fetch;
    memcpy(t->domain, record->domain.data, record->domain.len);
    if (!copy_setting(w->view, SETTING_DNS_RESOLVERS, t->resolvers, &t->resolvers_value) ||
        !copy_setting(w->view, SETTING_DNS_TRUST_ANCHORS, t->anchors, &t->anchors_value) ||
        fetch_threads_submit(d->threads, &t->task) != STATUS_OK) {
        task_free(&t->task);
        return true;
    }
    memcpy(place, t->domain, sizeof t->domain);
    return true;
}

static void start_due(struct fetch *r, struct store_view *view)
{
    struct due_walk walk = {.fetch = r, .view = view, .now_ms = clock_wall_ms(), .next_due_ms = UINT64_MAX};
    struct setting_value refresh;
    if (store_view_index(view) == r->dns->index && walk.now_ms < r->dns->next_due_ms) {
        return;
    }
    if (setting_get(view, setting_at(SETTING_DNS_REFRESH), SLICE_LITERAL(""), &refresh) != STATUS_OK) {
        return;
    }
    walk.refresh_ms = setting_number(&refresh);
    if (store_domain_dns_all(view, visit, &walk) != STATUS_OK) {
        log_event(LOG_ERROR, "what was seen in DNS cannot be read");
    }
    r->dns->index = store_view_index(view);
    r->dns->next_due_ms = walk.next_due_ms;
}

void fetch_dns_tick(struct fetch *r)
{
    struct store_view *view = NULL;
    struct failure f;
    uint64_t now = clock_monotonic_ms();
    fetch_threads_collect(r->dns->threads);
    if (now < r->dns->next_tick_ms || r->shared.store == NULL || !fetch_leads(r) ||
        store_view_begin(r->shared.store, &view, &f) != STATUS_OK) {
        return;
    }
    r->dns->next_tick_ms = now + TICK_MS;
    start_due(r, view);
    store_view_end(view);
}
