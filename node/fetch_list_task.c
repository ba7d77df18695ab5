/*
 * Fetching one revocation list: download, read, verify against the stored issuer. On a thread: a list may
 * have tens of megabytes. What is brought in is decided by crypto/crl.h, here and by core again; nothing of a
 * list whose signature does not hold is used.
 */
#include "node/fetch_http.h"
#include "node/fetch_lists.h"

#define LIST_CONNECT_MS 10000
#define LIST_TIMEOUT_MS 120000

void list_task_free(struct fetch_task *task)
{
    struct list_task *t = (struct list_task *)((char *)task - offsetof(struct list_task, task));
    crl_free(t->crl);
    buf_release(&t->allowed);
    buf_release(&t->content);
    free(t);
}

static enum status verify(struct list_task *t)
{
    struct store_view *view = NULL;
    enum status status = store_view_begin(t->shared->store, &view, &t->why);
    uint64_t now = clock_wall_ms();
    if (status != STATUS_OK) {
        return status;
    }
    status = crl_verify(t->crl, view, now, &t->why);
    store_view_end(view);
    const struct crl_record *record =
        status == STATUS_OK || status == STATUS_EXISTS ? crl_record_of(t->crl) : NULL;
    if (record != NULL && t->delta != (record->base_number.len > 0)) {
        return failure_set(&t->why, STATUS_INVALID,
                           t->delta ? "this is no delta list" : "this is a delta list");
    }
    if (record != NULL && record->next_ms != 0 && record->next_ms < now && status == STATUS_EXISTS) {
        char text[TIME_RFC3339_SIZE];
        time_format_rfc3339(record->next_ms, text);
        return failure_set(&t->why, STATUS_EXPIRED, "the server has no newer list than that which ended %s",
                           text);
    }
    return status;
}

void list_task_run(struct fetch_task *task)
{
    struct list_task *t = (struct list_task *)((char *)task - offsetof(struct list_task, task));
    struct fetch_http request = {.url = slice_of_text(t->url),
                                 .allowed = buf_slice(&t->allowed),
                                 .connect_timeout_ms = LIST_CONNECT_MS,
                                 .timeout_ms = LIST_TIMEOUT_MS};
    t->status = fetch_http(&request, &t->content, &t->why);
    if (t->status == STATUS_OK) {
        t->status = crl_read(buf_slice(&t->content), &t->crl, &t->why);
    }
    if (t->status == STATUS_OK) {
        t->status = verify(t);
    }
}
