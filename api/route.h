/*
 * The one table of what the API offers (api/routes.c). Routing, permissions, checks of what comes in, the
 * OpenAPI document and the docs come from it.
 */
#ifndef SEALPOST_API_ROUTE_H
#define SEALPOST_API_ROUTE_H

#include "api/path.h"
#include "api/schema.h"

struct exchange;

enum api_method { API_GET, API_POST, API_PUT, API_DELETE, API_METHOD_COUNT };

enum route_flags {
    ROUTE_WRITES = 1,   /* answers with Sealpost-Index */
    ROUTE_NO_STORE = 2, /* may run before the store is open */
    ROUTE_SETTING = 4,  /* asks also for the permission of the setting that the path names */
};

struct api_route {
    enum api_method method;
    const char *path;                  /* "/v1/settings/{name}" */
    const char *permission;            /* of store/permission.h; NULL: open to everyone */
    unsigned flags;                    /* enum route_flags */
    const struct api_object *query;    /* NULL: none */
    const struct api_object *request;  /* NULL: no body */
    const struct api_object *response; /* NULL: see response_type */
    const char *response_type;         /* of an answer that is not JSON */
    int success;                       /* HTTP status when all goes well */
    void (*serve)(struct exchange *x);
    const char *operation; /* OpenAPI's operationId */
    const char *help;
};

#define API_BODY_MAX ((size_t)8 << 20) /* bytes of a request's body: a revocation list of 150,000 entries */

const struct api_route *api_route_at(size_t i); /* i from 0; NULL at the end */
const char *api_method_name(enum api_method method);

struct route_match {
    const struct api_route *route; /* NULL: none */
    struct slice raw[PATH_PARAMETERS_MAX];
    unsigned allowed; /* bit (1 << method) for each method that this path knows */
};
/* HEAD counts as GET. Without a route: `allowed` is 0 when there is no such path at all. */
void api_route_find(struct slice method, struct slice path, struct route_match *out);

/* The document at /v1/openapi.json (OpenAPI 3.1); the caller owns it. */
json_t *api_openapi(void);

#endif
