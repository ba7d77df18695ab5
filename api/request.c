/* See request.h. */
#include "api/request.h"

#include "api/authenticate.h"
#include "base/clock.h"
#include "store/setting.h"

/* What requests that have no route are answered as. */
static const struct api_route no_route = {.path = "", .operation = "none", .success = 500};

static struct slice path_of(struct slice target)
{
    return slice_of(target.data, slice_find_byte(target, '?'));
}

static struct slice query_of(struct slice target)
{
    size_t at = slice_find_byte(target, '?');
    return at < target.len ? slice_of(target.data + at + 1, target.len - at - 1) : slice_of(NULL, 0);
}

struct exchange *api_request_begin(struct api *api, struct api_request *r)
{
    api->counters.requests++;
    api_route_find(r->method, path_of(r->target), &r->match);
    return exchange_new(api, r->match.route != NULL ? r->match.route : &no_route);
}

/* Fills actor and role; false: the exchange was refused. */
static bool signed_in(struct exchange *x, struct slice authorization)
{
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = NULL;
    struct api_token_record token;
    if (x->api->store == NULL) {
        exchange_refuse(x, STATUS_UNAVAILABLE, "this node is starting: its store is not open yet");
        return false;
    }
    enum status status = store_view_begin(x->api->store, &view, &f);
    if (status != STATUS_OK) {
        exchange_refuse(x, status, f.text);
        return false;
    }
    status = authenticate(view, authorization, clock_wall_ms(), &token, &f);
    if (status == STATUS_OK &&
        (snprintf(x->actor, sizeof(x->actor), "token:%.*s", SLICE_ARGS(token.name)) < 0 ||
         snprintf(x->role, sizeof(x->role), "%.*s", SLICE_ARGS(token.role)) < 0)) {
        status = failure_set(&f, STATUS_INTERNAL, "the token's name cannot be written");
    }
    store_view_end(view);
    if (status != STATUS_OK) {
        x->api->counters.denied++;
        exchange_refuse(x, status, f.text);
        return false;
    }
    return true;
}

/* Does the token's role hold it? Else the exchange was refused. */
static bool permitted(struct exchange *x, const char *permission)
{
    char text[FAILURE_TEXT_MAX];
    if (role_permits(slice_of_text(x->role), permission)) {
        return true;
    }
    if (snprintf(text, sizeof(text), "the token's role %s does not hold the permission %s", x->role,
                 permission) < 0) {
        text[0] = '\0';
    }
    x->api->counters.denied++;
    x->missing_permission = permission;
    exchange_refuse(x, STATUS_DENIED, text);
    return false;
}

/* What the route asks for beyond its own permission, known once its parameters are read. A setting that does
 * not exist asks for nothing more: who may write settings learns that there is none. */
static const char *narrower_permission(const struct exchange *x)
{
    const struct setting *setting =
        (x->route->flags & ROUTE_SETTING) != 0 ? setting_find(slice_of_text(x->parameters[0])) : NULL;
    return setting != NULL ? setting->permission : NULL;
}

static bool target_read(struct exchange *x, const struct route_match *match, struct slice query)
{
    struct failure f = {.status = STATUS_OK};
    enum status status = query_parse(query, &x->arena, &x->query, &f);
    for (size_t i = 0; i < PATH_PARAMETERS_MAX && status == STATUS_OK; i++) {
        if (match->raw[i].len > 0) {
            status = percent_decode(match->raw[i], false, &x->arena, &x->parameters[i], &f);
        }
    }
    if (status != STATUS_OK) {
        exchange_refuse(x, status, f.text);
    }
    return status == STATUS_OK;
}

void api_request_serve(struct exchange *x, const struct api_request *r)
{
    if (r->match.route == NULL && r->match.allowed == 0) {
        exchange_refuse(x, STATUS_NOT_FOUND,
                        "there is nothing at this path; /v1/openapi.json lists what there is");
        return;
    }
    if (r->match.route == NULL) {
        x->allowed = r->match.allowed;
        x->http_override = 405;
        exchange_refuse(x, STATUS_UNSUPPORTED, "this path does not know that method");
        return;
    }
    const char *permission = x->route->permission;
    if ((permission == NULL || (signed_in(x, r->authorization) && permitted(x, permission))) &&
        target_read(x, &r->match, query_of(r->target)) && permitted(x, narrower_permission(x))) {
        exchange_start(x, r->body);
    }
}
