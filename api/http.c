/*
 * Between h2o and the exchanges: one handler for every path. A request's framing is checked first
 * (request_head.h), then its route, who asks, and what comes in; then the exchange goes its way and comes
 * back through http_answered(), perhaps much later.
 *
 * h2o notices that a client has gone only when it writes, and frees the request then. So the exchange and the
 * request know each other through a slot in the request's pool, whose dispose function cuts the tie: an
 * exchange whose client has gone still ends what it began (a run of writes, say), and its answer is dropped.
 */
#include "api/server_internal.h"

#include "api/request.h"
#include "api/request_head.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"

struct slot {
    h2o_req_t *req;
    struct exchange *x; /* NULL: answered */
};

struct http_handler {
    h2o_handler_t super;
    struct server *server;
};

static void slot_dispose(void *memory)
{
    struct slot *slot = memory;
    if (slot->x != NULL) {
        slot->x->server = NULL;
    }
}

/* --- the answer --- */

struct wiped_body {
    size_t len;
    char bytes[];
};

static void body_dispose(void *memory)
{
    struct wiped_body *body = memory;
    secret_wipe(body->bytes, body->len);
}

static const char *reason_of(int http_status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Unsupported"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == http_status) {
            return reasons[i].reason;
        }
    }
    return "Error";
}

static void header_add(h2o_req_t *req, const char *name, const char *value)
{
    h2o_iovec_t copy = h2o_strdup(&req->pool, value, SIZE_MAX);
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 0, NULL, copy.base, copy.len);
}

static void headers_add(h2o_req_t *req, const struct exchange *x)
{
    char text[64];
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, x->content_type,
                   strlen(x->content_type));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL, H2O_STRLIT("no-store"));
    header_add(req, "x-content-type-options", "nosniff");
    if (x->sign_in) {
        header_add(req, "www-authenticate", "Bearer realm=\"sealpost\"");
    }
    if (x->index > 0 && snprintf(text, sizeof(text), "%llu", (unsigned long long)x->index) > 0) {
        header_add(req, "sealpost-index", text);
    }
    if (x->http_status == 503 && snprintf(text, sizeof(text), "1") > 0) {
        header_add(req, "retry-after", text);
    }
    if (x->allowed != 0) {
        struct buf list = BUF_INIT(128);
        enum status status = STATUS_OK;
        for (unsigned m = 0; m < API_METHOD_COUNT && status == STATUS_OK; m++) {
            if ((x->allowed & (1u << m)) != 0) {
                status =
                    buf_printf(&list, "%s%s", list.len > 0 ? ", " : "", api_method_name((enum api_method)m));
            }
        }
        if (status == STATUS_OK && buf_text(&list) != NULL) {
            header_add(req, "allow", (const char *)list.data);
        }
        buf_release(&list);
    }
}

static void answer_send(h2o_req_t *req, const struct exchange *x)
{
    static h2o_generator_t generator; /* all is sent at once: nothing to proceed with */
    struct wiped_body *body = h2o_mem_alloc_shared(&req->pool, sizeof(*body) + x->answer.len, body_dispose);
    body->len = x->answer.len;
    memcpy(body->bytes, x->answer.data, x->answer.len);
    req->res.status = x->http_status;
    req->res.reason = reason_of(x->http_status);
    req->res.content_length = body->len;
    headers_add(req, x);
    h2o_start_response(req, &generator);
    h2o_iovec_t bytes = h2o_iovec_init(body->bytes, body->len);
    bool no_body =
        h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD")) || body->len == 0;
    h2o_send(req, &bytes, no_body ? 0 : 1, H2O_SEND_STATE_FINAL);
}

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* Who did what to what: no path and no query holds anything secret. */
static void note(const struct exchange *x)
{
    bool change = x->route->method != API_GET;
    const char *domain = query_get(&x->query, "domain"), *user = query_get(&x->query, "user");
    log_event(change ? LOG_INFO : LOG_DEBUG, "API request", LOG_TEXT("operation", x->route->operation),
              LOG_TEXT("actor", x->actor), LOG_TEXT("role", x->role),
              LOG_TEXT("object", text_or_empty(x->parameters[0])),
              LOG_TEXT("scope", text_or_empty(domain != NULL ? domain : user)),
              LOG_TEXT("missing", text_or_empty(x->missing_permission)), LOG_NUMBER("status", x->http_status),
              LOG_NUMBER("index", x->index), LOG_NUMBER("ms", clock_monotonic_ms() - x->started_ms));
}

void http_answered(struct api *api, struct exchange *x)
{
    struct slot *slot = x->server;
    unsigned digit = (unsigned)x->http_status / 100;
    api->counters.answers[digit < 6 ? digit : 5]++;
    note(x);
    if (slot != NULL) {
        slot->x = NULL;
        answer_send(slot->req, x);
    }
    exchange_free(x);
}

/* --- the request --- */

static struct slice slice_of_iovec(h2o_iovec_t v)
{
    return slice_of(v.base, v.len);
}

static struct slice header_of(h2o_req_t *req, const h2o_token_t *token)
{
    ssize_t at = h2o_find_header(&req->headers, token, -1);
    return at < 0 ? slice_of(NULL, 0) : slice_of_iovec(req->headers.entries[at].value);
}

static bool head_is_clear(struct exchange *x, h2o_req_t *req)
{
    struct failure f = {.status = STATUS_OK};
    h2o_socket_t *sock = req->conn->callbacks->get_socket(req->conn);
    if (request_head_check(slice_of(sock->input->bytes, sock->input->size), &f) == STATUS_OK) {
        return true;
    }
    req->http1_is_persistent = 0; /* nobody knows where the next request begins */
    x->api->counters.refused_heads++;
    exchange_refuse(x, f.status, f.text);
    return false;
}

static void serve(struct server *server, h2o_req_t *req)
{
    struct slot *slot = h2o_mem_alloc_shared(&req->pool, sizeof(*slot), slot_dispose);
    struct api_request r = {.method = slice_of_iovec(req->input.method),
                            .target = slice_of_iovec(req->input.path),
                            .authorization = header_of(req, H2O_TOKEN_AUTHORIZATION),
                            .body = slice_of_iovec(req->entity)};
    struct exchange *x = api_request_begin(&server->api, &r);
    *slot = (struct slot){req, x};
    x->server = slot;
    if (head_is_clear(x, req)) {
        api_request_serve(x, &r);
    }
}

static int on_req(h2o_handler_t *self, h2o_req_t *req)
{
    struct http_handler *handler = (struct http_handler *)self;
    h2o_iovec_t entity = req->entity;
    /* The pool keeps the entity's buffer until the request is disposed of, which is never within this call.
     */
    serve(handler->server, req);
    if (entity.base != NULL) {
        secret_wipe(entity.base, entity.len); /* it was parsed; it may have held a password */
    }
    return 0;
}

void http_handler_register(h2o_pathconf_t *path, struct server *server)
{
    struct http_handler *handler = (struct http_handler *)h2o_create_handler(path, sizeof(*handler));
    handler->super.on_req = on_req;
    handler->server = server;
}
