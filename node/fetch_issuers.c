/*
 * The question ISSUERS: a message came whose signer's path to a trust anchor lacks certificates.
 *
 * When all goes well: on a thread, the path is tried with what is stored and what came along; while it ends
 * at a certificate whose issuer is missing, that certificate's caIssuers locations are asked, and what comes
 * counts only if it really signed it. When the path is complete, the worker gets the certificates, and they
 * are proposed to the store with the source "aia".
 *
 * The URLs are a stranger's. So: nothing is given out or stored unless the path ends at an anchor of ours; at
 * most STEPS_MAX certificates and URLS_A_STEP locations each; a look-up that failed is not tried again for
 * ten minutes, neither for that signer nor at that location; a location that several messages wait for is
 * asked once; a host gets so many requests a minute; and a worker never waits beyond its deadline, whatever
 * the other side does.
 */
#include "node/fetch_internal.h"

#include "base/log.h"
#include "base/msgpack_write.h"
#include "crypto/issuer_search.h"
#include "node/fetch_guard.h"
#include "node/fetch_http.h"

#include <openssl/err.h>

#define STEPS_MAX        4
#define URLS_A_STEP      2
#define FINISH_BEFORE_MS 150 /* so that the answer is there before the worker gives up */
#define CONNECT_MS       1000
#define MEMORY_MAX       ((size_t)4 << 20)

struct issuers_task {
    struct fetch_task task;
    struct fetch_shared *shared;
    struct fetch_asker from;
    struct arena arena; /* of all that follows */
    uint64_t deadline_ms;
    struct slice allowed;
    struct slice signer;
    struct slice sent[FETCH_CERTIFICATES_MAX];
    size_t sent_count;
    struct slice found[STEPS_MAX];
    size_t found_count;
    enum status status;
    struct failure why;
};

static struct issuers_task *task_of(struct fetch_task *t)
{
    return (struct issuers_task *)((char *)t - offsetof(struct issuers_task, task));
}

static void task_free(struct fetch_task *t)
{
    struct issuers_task *task = task_of(t);
    arena_release(&task->arena);
    free(task);
}

static void url_key(struct slice url, uint8_t key[FETCH_KEY_SIZE])
{
    sha256(url, key);
    key[0] ^= 0x5a; /* not the key of a certificate with this hash */
}

static enum status download(struct issuers_task *t, struct slice url, const uint8_t key[FETCH_KEY_SIZE],
                            struct buf *content)
{
    char host[FETCH_HOST_MAX + 1];
    uint64_t now = clock_monotonic_ms();
    if (now >= t->deadline_ms) {
        return failure_set(&t->why, STATUS_TIMEOUT, "there was no time left to fetch the issuer");
    }
    enum status status = fetch_guard_url(url, host, &t->why);
    if (status == STATUS_OK && fetch_has_failed(t->shared, key)) {
        status =
            failure_set(&t->why, STATUS_UNAVAILABLE, "the issuer could not be fetched a short while ago");
    }
    if (status == STATUS_OK && !fetch_may_ask(t->shared, host)) {
        return failure_set(&t->why, STATUS_BUSY, "%s was asked too often within this minute", host);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct fetch_http request = {.url = url,
                                 .allowed = t->allowed,
                                 .connect_timeout_ms = CONNECT_MS,
                                 .timeout_ms = (unsigned)(t->deadline_ms - now)};
    status = fetch_http(&request, content, &t->why);
    if (status != STATUS_OK) {
        fetch_failed(t->shared, key, FETCH_FAILURE_MS);
        failure_wrap(&t->why, status, "%s", host);
    }
    return status;
}

/* One location: the issuer of `top`, or why not. */
static enum status ask_url(struct issuers_task *t, struct slice url, X509 *top, X509 **issuer)
{
    uint8_t key[FETCH_KEY_SIZE];
    struct buf content = BUF_INIT(FETCH_SMALL_MAX);
    url_key(url, key);
    enum status status = fetch_once_begin(&t->shared->once, key, t->deadline_ms, &content);
    if (status == STATUS_NOT_FOUND) {
        status = download(t, url, key, &content);
        fetch_once_end(&t->shared->once, key, status == STATUS_OK ? buf_slice(&content) : SLICE_LITERAL(""));
    } else if (status != STATUS_OK) {
        status = failure_set(&t->why, status, "the issuer was not fetched in time");
    }
    if (status == STATUS_OK) {
        status = issuer_search_pick(buf_slice(&content), top, issuer, &t->why);
        if (status != STATUS_OK) {
            fetch_failed(t->shared, key, FETCH_FAILURE_MS);
        }
    }
    buf_release(&content);
    return status;
}

static enum status ask_for_issuer_of(struct issuers_task *t, X509 *top, X509 **issuer)
{
    struct slice urls[ISSUER_URLS_MAX];
    size_t count = issuer_search_urls(top, &t->arena, urls);
    enum status status = STATUS_NOT_FOUND;
    if (count == 0) {
        return failure_set(&t->why, STATUS_NOT_FOUND,
                           "a certificate does not say where its issuer can be had");
    }
    for (size_t i = 0; i < count && i < URLS_A_STEP && status != STATUS_OK; i++) {
        status = ask_url(t, urls[i], top, issuer);
    }
    return status;
}

static enum status keep_found(struct issuers_task *t, X509 *issuer, STACK_OF(X509) * known)
{
    struct buf der = BUF_INIT(FETCH_CERTIFICATE_MAX);
    enum status status = certificate_to_der(issuer, &der);
    if (status == STATUS_OK && !arena_copy(&t->arena, buf_slice(&der), &t->found[t->found_count])) {
        status = STATUS_NO_MEMORY;
    }
    buf_release(&der);
    if (status == STATUS_OK && sk_X509_push(known, issuer) <= 0) {
        status = STATUS_NO_MEMORY;
    }
    if (status != STATUS_OK) {
        X509_free(issuer);
        return failure_set(&t->why, status, "the issuer's certificate cannot be kept");
    }
    t->found_count++;
    return STATUS_OK;
}

static enum status search(struct issuers_task *t, X509 *leaf, STACK_OF(X509) * known)
{
    for (;;) {
        X509 *issuer = NULL;
        struct failure why = {.status = STATUS_OK};
        enum status status = fetch_trust_check(t->shared, t->signer, known, &why);
        if (status != STATUS_UNTRUSTED) { /* found; or what is wrong is not a missing certificate */
            t->why = why;
            return status;
        }
        X509 *top = issuer_search_top(leaf, known);
        if (top == NULL || t->found_count == STEPS_MAX) {
            t->why = why;
            return STATUS_UNTRUSTED;
        }
        if ((status = ask_for_issuer_of(t, top, &issuer)) != STATUS_OK ||
            (status = keep_found(t, issuer, known)) != STATUS_OK) {
            return status;
        }
    }
}

static void task_run(struct fetch_task *base)
{
    struct issuers_task *t = task_of(base);
    uint8_t key[FETCH_KEY_SIZE];
    sha256(t->signer, key);
    if (fetch_has_failed(t->shared, key)) {
        t->status = failure_set(&t->why, STATUS_NOT_FOUND, "it was looked for in vain a short while ago");
        return;
    }
    X509 *leaf = certificate_from_der(t->signer);
    STACK_OF(X509) *known = sk_X509_new_null();
    for (size_t i = 0; known != NULL && i < t->sent_count; i++) {
        X509 *x = certificate_from_der(t->sent[i]);
        if (x != NULL && sk_X509_push(known, x) <= 0) {
            X509_free(x);
        }
    }
    if (leaf == NULL || known == NULL) {
        t->status = failure_set(&t->why, STATUS_MALFORMED, "this is no certificate");
    } else {
        t->status = search(t, leaf, known);
    }
    if (t->status != STATUS_OK && t->status != STATUS_BUSY) {
        fetch_failed(t->shared, key, FETCH_FAILURE_MS);
    }
    sk_X509_pop_free(known, X509_free);
    X509_free(leaf);
    ERR_clear_error();
}

static void task_done(void *context, struct fetch_task *base)
{
    struct fetch *r = context;
    struct issuers_task *t = task_of(base);
    struct buf results = BUF_INIT(STEPS_MAX * FETCH_CERTIFICATE_MAX + 64);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &results);
    write_array(&w, t->status == STATUS_OK ? t->found_count : 0);
    for (size_t i = 0; t->status == STATUS_OK && i < t->found_count; i++) {
        write_bytes(&w, t->found[i]);
    }
    if (t->status == STATUS_OK) {
        t->status = msgpack_writer_status(&w);
    }
    log_event(LOG_DEBUG, "a signer's issuers were looked for", LOG_TEXT("status", status_name(t->status)),
              LOG_NUMBER("found", t->found_count), LOG_TEXT("reason", t->why.text));
    fetch_reply(r, &t->from, t->status, t->why.text, buf_slice(&results), t->status == STATUS_OK ? 1 : 0);
    if (t->status == STATUS_OK && t->found_count > 0) {
        r->counts.issuers_found++;
        fetch_propose_certificates(r, t->found, t->found_count, "aia", NULL, NULL);
    }
    buf_release(&results);
    task_free(base);
}

static enum status task_fill(struct fetch *r, struct issuers_task *t, const struct fetch_question *q)
{
    struct buf allowed = BUF_INIT(SETTING_VALUE_MAX);
    struct store_view *view = NULL;
    struct failure f;
    if (r->shared.store == NULL || store_view_begin(r->shared.store, &view, &f) != STATUS_OK) {
        return STATUS_UNAVAILABLE;
    }
    enum status status = fetch_setting(view, SETTING_FETCH_ALLOW_NETWORKS, SLICE_LITERAL(""), &allowed);
    store_view_end(view);
    if (status == STATUS_OK && (!arena_copy(&t->arena, buf_slice(&allowed), &t->allowed) ||
                                !arena_copy(&t->arena, q->signer, &t->signer))) {
        status = STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < q->count && status == STATUS_OK; i++) {
        if (arena_copy(&t->arena, q->list[i], &t->sent[i])) {
            t->sent_count++;
        } else {
            status = STATUS_NO_MEMORY;
        }
    }
    buf_release(&allowed);
    return status;
}

void fetch_issuers(struct fetch *r, const struct fetch_asker *from, const struct fetch_question *q)
{
    struct issuers_task *t = calloc(1, sizeof *t);
    enum status status = STATUS_NO_MEMORY;
    r->counts.issuers_asked++;
    if (t != NULL) {
        t->task = (struct fetch_task){.run = task_run, .done = task_done, .free = task_free};
        t->shared = &r->shared;
        t->from = *from;
        t->deadline_ms = clock_monotonic_ms() + FETCH_ISSUERS_WAIT_MS - FINISH_BEFORE_MS;
        arena_init(&t->arena, MEMORY_MAX);
        status = task_fill(r, t, q);
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
