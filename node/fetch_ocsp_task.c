/*
 * Asking one responder about one certificate. On a thread. What it says is judged by crypto/ocsp.h before
 * anything is handed to core, which judges it again.
 */
#include "node/fetch_http.h"
#include "node/fetch_ocsp.h"

#define ASK_CONNECT_MS 5000
#define ASK_TIMEOUT_MS 10000

void ocsp_task_free(struct fetch_task *task)
{
    struct ocsp_task *t = (struct ocsp_task *)((char *)task - offsetof(struct ocsp_task, task));
    buf_release(&t->allowed);
    buf_release(&t->content);
    free(t);
}

static X509 *stored(struct store_view *view, const uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct certificate_record record;
    return store_certificate_get(view, thumbprint, &record) == STATUS_OK ? certificate_from_der(record.der)
                                                                         : NULL;
}

static enum status ask(struct ocsp_task *t, X509 *x, X509 *issuer, struct buf *content)
{
    struct buf question = BUF_INIT(4096);
    enum status status = ocsp_question(x, issuer, &question, &t->why);
    if (status == STATUS_OK) {
        struct fetch_http request = {.url = slice_of_text(t->url),
                                     .allowed = buf_slice(&t->allowed),
                                     .body = buf_slice(&question),
                                     .content_type = "application/ocsp-request",
                                     .connect_timeout_ms = ASK_CONNECT_MS,
                                     .timeout_ms = ASK_TIMEOUT_MS};
        status = fetch_http(&request, content, &t->why);
    }
    buf_release(&question);
    return status;
}

/* In a view of its own: the question may have taken long. */
static enum status judge(struct ocsp_task *t, struct slice content)
{
    struct store_view *view = NULL;
    enum status status = store_view_begin(t->shared->store, &view, &t->why);
    if (status != STATUS_OK) {
        return status;
    }
    status = ocsp_find(content, t->thumbprint, t->issuer, view, clock_wall_ms(), &t->finding, &t->why);
    t->answered = status != STATUS_MALFORMED && status != STATUS_UNAVAILABLE;
    store_view_end(view);
    return status;
}

void ocsp_task_run(struct fetch_task *task)
{
    struct ocsp_task *t = (struct ocsp_task *)((char *)task - offsetof(struct ocsp_task, task));
    struct store_view *view = NULL;
    X509 *x = NULL, *issuer = NULL;
    t->status = store_view_begin(t->shared->store, &view, &t->why);
    if (t->status == STATUS_OK) {
        x = stored(view, t->thumbprint);
        issuer = stored(view, t->issuer);
        store_view_end(view);
        t->answered = true; /* until it is asked */
        t->status = x != NULL && issuer != NULL
                        ? STATUS_OK
                        : failure_set(&t->why, STATUS_NOT_FOUND, "the certificate is stored no more");
    }
    if (t->status == STATUS_OK) {
        t->answered = false;
        t->status = ask(t, x, issuer, &t->content);
    }
    if (t->status == STATUS_OK) {
        t->status = judge(t, buf_slice(&t->content));
    }
    X509_free(x);
    X509_free(issuer);
}
