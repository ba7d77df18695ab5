/*
 * The question PEOPLE: mail is to be encrypted to these addresses, and no certificate that can be used is
 * stored.
 *
 * When all goes well: for each address the directories of its `cert.lookup` are asked in order, on a thread,
 * until one gives certificates that name the address and are made for encryption. Those are proposed to the
 * store with the source "ldap"; when they are there, the worker is told how many, and decides anew. Whether
 * they are trusted is for the decision to say.
 *
 * What can go wrong: none knows the address: then the count is 0 and the message is decided with what is
 * stored. A directory fails: the answer says of whom nothing is known, and `cert.lookup_on_failure` says what
 * becomes of their mail. An address that was looked up is not looked up again for ten minutes, whatever came
 * of it; after an error for one minute, in which the answer is the same.
 */
#include "node/fetch_internal.h"

#include "base/log.h"
#include "base/msgpack_write.h"
#include "node/fetch_directory.h"
#include "store/setting_lookup.h"

#define FINISH_BEFORE_MS 800 /* for the proposal, which follows */
#define AGAIN_MS         ((uint64_t)10 * 60 * 1000)
#define AFTER_ERROR_MS   ((uint64_t)60 * 1000)
#define FOUND_MAX        64
#define MEMORY_MAX       ((size_t)16 << 20)

struct people_task {
    struct fetch_task task;
    struct fetch_shared *shared;
    struct fetch_asker from;
    struct arena arena;
    uint64_t deadline_ms;
    struct slice allowed;
    struct person {
        struct slice address, lookups; /* lookups: its cert.lookup */
        size_t position;               /* in the question */
        bool failed;                   /* it is not known whether there is a certificate */
    } people[FETCH_PEOPLE_MAX];
    size_t count;
    struct slice found[FOUND_MAX];
    size_t found_count;
};

static struct people_task *task_of(struct fetch_task *t)
{
    return (struct people_task *)((char *)t - offsetof(struct people_task, task));
}

static void task_free(struct fetch_task *t)
{
    struct people_task *task = task_of(t);
    arena_release(&task->arena);
    free(task);
}

/* The directory is not asked for this address anew if it, or the setting, is the same. */
static void person_key(const char *kind, const struct person *p, uint8_t key[FETCH_KEY_SIZE])
{
    struct buf text = BUF_INIT(SETTING_VALUE_MAX + ADDRESS_MAX + 16);
    memset(key, 0, FETCH_KEY_SIZE);
    if (buf_append_text(&text, kind) == STATUS_OK && buf_append_slice(&text, p->address) == STATUS_OK &&
        buf_append_byte(&text, ' ') == STATUS_OK && buf_append_slice(&text, p->lookups) == STATUS_OK) {
        sha256(buf_slice(&text), key);
    }
    buf_release(&text);
}

static bool is_for(struct slice der, struct slice address)
{
    struct arena a;
    struct certificate_record record;
    bool named = false;
    arena_init(&a, (size_t)1 << 20);
    if (certificate_describe(der, SLICE_LITERAL("ldap"), clock_wall_ms(), &a, &record, NULL) == STATUS_OK &&
        (record.uses & CERT_USE_ENCRYPT) != 0 && record.not_after_ms > clock_wall_ms()) {
        for (size_t i = 0; i < record.address_count; i++) {
            named = named || slice_equal(record.addresses[i], address);
        }
    }
    arena_release(&a);
    return named;
}

/* One directory; how many certificates it gave that are good for something. */
static enum status ask(struct people_task *t, struct slice lookup, struct slice address, size_t *good)
{
    struct slice values[DIRECTORY_CERTIFICATES_MAX];
    struct buf url = BUF_INIT(SETTING_VALUE_MAX + 6 * ADDRESS_MAX);
    struct failure f = {.status = STATUS_OK};
    size_t count = 0;
    uint64_t now = clock_monotonic_ms();
    enum status status = now < t->deadline_ms ? directory_url(lookup, address, &url) : STATUS_TIMEOUT;
    if (status == STATUS_OK) {
        status = directory_ask(buf_text(&url), t->allowed, (unsigned)(t->deadline_ms - now), &t->arena,
                               values, &count, &f);
    }
    if (status != STATUS_OK) {
        log_event(LOG_WARN, "a directory could not be asked", LOG_SLICE("directory", lookup),
                  LOG_TEXT("reason", f.text[0] != '\0' ? f.text : status_text(status)));
    }
    for (size_t i = 0; i < count && t->found_count < FOUND_MAX; i++) {
        if (is_for(values[i], address)) {
            t->found[t->found_count++] = values[i];
            (*good)++;
        }
    }
    buf_release(&url);
    return status;
}

static void look_up(struct people_task *t, struct person *p)
{
    uint8_t asked[FETCH_KEY_SIZE], failed[FETCH_KEY_SIZE];
    struct slice rest = p->lookups, lookup;
    size_t good = 0;
    person_key("person ", p, asked);
    person_key("person failed ", p, failed);
    if (fetch_has_failed(t->shared, failed)) {
        p->failed = true;
        return;
    }
    if (fetch_has_failed(t->shared, asked)) {
        return;
    }
    while (good == 0 && lookup_next(&rest, &lookup)) {
        p->failed = ask(t, lookup, p->address, &good) != STATUS_OK || p->failed;
    }
    p->failed = p->failed && good == 0;
    fetch_failed(t->shared, p->failed ? failed : asked, p->failed ? AFTER_ERROR_MS : AGAIN_MS);
}

static void task_run(struct fetch_task *base)
{
    struct people_task *t = task_of(base);
    for (size_t i = 0; i < t->count; i++) {
        look_up(t, &t->people[i]);
    }
}

static void stored_cb(struct fetch *r, void *context, size_t stored)
{
    struct people_task *t = context;
    struct buf result = BUF_INIT(16 + 9 * FETCH_PEOPLE_MAX);
    struct msgpack_writer w;
    size_t failed = 0;
    for (size_t i = 0; i < t->count; i++) {
        /* What was found and could not be stored is as good as not asked for. */
        t->people[i].failed = t->people[i].failed || stored < t->found_count;
        failed += t->people[i].failed;
    }
    msgpack_writer_init(&w, &result);
    write_u64(&w, stored);
    write_array(&w, failed);
    for (size_t i = 0; i < t->count; i++) {
        if (t->people[i].failed) {
            write_u64(&w, t->people[i].position);
        }
    }
    r->counts.people_found += stored;
    r->counts.people_failed += failed;
    enum status status = msgpack_writer_status(&w);
    fetch_reply(r, &t->from, status, status_text(status), buf_slice(&result), status == STATUS_OK ? 2 : 0);
    buf_release(&result);
    task_free(&t->task);
}

static void task_done(void *context, struct fetch_task *base)
{
    struct people_task *t = task_of(base);
    fetch_propose_certificates(context, t->found, t->found_count, "ldap", stored_cb, t);
}

static enum status text_copy(struct people_task *t, struct store_view *view, enum setting_id id,
                             struct slice address, struct slice *out)
{
    struct buf text = BUF_INIT(SETTING_VALUE_MAX);
    enum status status = fetch_setting(view, id, address, &text);
    if (status == STATUS_OK && !arena_copy(&t->arena, buf_slice(&text), out)) {
        status = STATUS_NO_MEMORY;
    }
    buf_release(&text);
    return status;
}

static enum status task_fill(struct people_task *t, struct store *store, const struct fetch_question *q)
{
    struct store_view *view = NULL;
    struct failure f;
    if (store == NULL || store_view_begin(store, &view, &f) != STATUS_OK) {
        return STATUS_UNAVAILABLE;
    }
    enum status status = text_copy(t, view, SETTING_FETCH_ALLOW_NETWORKS, SLICE_LITERAL(""), &t->allowed);
    for (size_t i = 0; i < q->count && status == STATUS_OK; i++) {
        char address[ADDRESS_MAX + 1];
        if (address_normalise(q->list[i], address, &f) != STATUS_OK) {
            continue;
        }
        struct slice text = slice_of_text(address);
        struct person *p = &t->people[t->count];
        *p = (struct person){.position = i};
        status = text_copy(t, view, SETTING_CERT_LOOKUP, text, &p->lookups);
        if (status == STATUS_OK && p->lookups.len > 0) {
            status = arena_copy(&t->arena, text, &p->address) ? STATUS_OK : STATUS_NO_MEMORY;
            t->count++;
        }
    }
    store_view_end(view);
    return status;
}

void fetch_people(struct fetch *r, const struct fetch_asker *from, const struct fetch_question *q)
{
    struct people_task *t = calloc(1, sizeof *t);
    enum status status = STATUS_NO_MEMORY;
    r->counts.people_asked += q->count;
    if (t != NULL) {
        t->task = (struct fetch_task){.run = task_run, .done = task_done, .free = task_free};
        t->shared = &r->shared;
        t->from = *from;
        t->deadline_ms = clock_monotonic_ms() + FETCH_PEOPLE_WAIT_MS - FINISH_BEFORE_MS;
        arena_init(&t->arena, MEMORY_MAX);
        status = task_fill(t, r->shared.store, q);
        if (status == STATUS_OK) {
            status = fetch_threads_submit(r->askers, &t->task);
        }
        if (status != STATUS_OK) {
            task_free(&t->task);
        }
    }
    if (status != STATUS_OK) {
        fetch_reply(r, from, status, status_text(status), SLICE_LITERAL(""), 0);
    }
}
