/*
 * h2o answers some requests before any handler sees them (a body that is too large, broken chunks) with a
 * line of text. This filter, on the path that such answers go out by, makes problem details of it.
 */
#include "api/problem.h"
#include "api/server_internal.h"

struct problem_stream {
    h2o_ostream_t super;
    h2o_iovec_t body;
};

static void problem_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
                         h2o_send_state_t state)
{
    struct problem_stream *s = (struct problem_stream *)self;
    (void)bufs;
    (void)count;
    if (h2o_send_state_is_in_progress(state)) {
        return;
    }
    h2o_ostream_send_next(self, req, &s->body, 1, H2O_SEND_STATE_FINAL);
}

static enum status status_of_http(int http_status)
{
    switch (http_status) {
    case 413:
        return STATUS_TOO_LARGE;
    case 400:
        return STATUS_MALFORMED;
    default:
        return http_status >= 500 ? STATUS_INTERNAL : STATUS_INVALID;
    }
}

static void on_setup_ostream(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
    char detail[128] = "the request is not well formed";
    (void)self;
    if (req->res.status < 400) {
        h2o_setup_next_ostream(req, slot);
        return;
    }
    enum status status = status_of_http(req->res.status);
    if (status == STATUS_TOO_LARGE &&
        snprintf(detail, sizeof(detail), "the body is too large: at most %zu bytes", API_BODY_MAX) < 0) {
        detail[0] = '\0';
    }
    if (status == STATUS_TOO_LARGE) {
        http_linger(req);
    }
    json_t *problem = problem_make(status, req->res.status, detail, NULL);
    char *text = json_dumps(problem, JSON_COMPACT);
    struct problem_stream *s = (void *)h2o_add_ostream(req, sizeof(*s), slot);
    s->super.do_send = problem_send;
    s->body = h2o_strdup(&req->pool, text, SIZE_MAX);
    free(text);
    json_decref(problem);
    req->res.content_length = s->body.len;
    h2o_set_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, H2O_STRLIT(PROBLEM_TYPE), 1);
    slot = &s->super.next;
    h2o_setup_next_ostream(req, slot);
}

void http_error_filter_register(h2o_pathconf_t *path)
{
    h2o_filter_t *filter = h2o_create_filter(path, sizeof(*filter));
    filter->on_setup_ostream = on_setup_ostream;
}
