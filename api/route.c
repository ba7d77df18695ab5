/* Finding a route, and who may use it. See route.h. Pure. */
#include "api/route.h"

static const char *const method_names[API_METHOD_COUNT] = {"GET", "POST", "PUT", "DELETE"};

const char *api_method_name(enum api_method method)
{
    return method_names[method];
}

static bool is_method(const struct api_route *route, struct slice method)
{
    return slice_equal(method, slice_of_text(method_names[route->method])) ||
           (route->method == API_GET && slice_equal(method, SLICE_LITERAL("HEAD")));
}

/* A template without names is more specific than one with: it counts when both fit. */
static bool is_literal(const struct api_route *route)
{
    return strchr(route->path, '{') == NULL;
}

void api_route_find(struct slice method, struct slice path, struct route_match *out)
{
    const struct api_route *route;
    *out = (struct route_match){0};
    for (size_t i = 0; (route = api_route_at(i)) != NULL; i++) {
        struct slice raw[PATH_PARAMETERS_MAX] = {0};
        if (!path_matches(route->path, path, raw)) {
            continue;
        }
        out->allowed |= 1u << route->method;
        if (is_method(route, method) && (out->route == NULL || is_literal(route))) {
            out->route = route;
            memcpy(out->raw, raw, sizeof(raw));
        }
    }
}
