/* A request's way to its exchange: route, permission, parameters. Knows no h2o, so tests go the same way. */
#ifndef SEALPOST_API_REQUEST_H
#define SEALPOST_API_REQUEST_H

#include "api/exchange.h"

struct api_request {
    struct slice method, target; /* target: path and query, as sent */
    struct slice authorization;  /* the field's value; "" if there is none */
    struct slice body;
    struct route_match match; /* filled by api_request_begin() */
};

/* The exchange for it, whether or not there is a route. */
struct exchange *api_request_begin(struct api *api, struct api_request *r);
/* Answers, now or later; x may be gone afterwards. */
void api_request_serve(struct exchange *x, const struct api_request *r);

#endif
