/*
 * GET and POST over HTTP for the fetch role, by libcurl: within node/fetch_guard.h, bounded in size, time and
 * redirects; no cookies, no proxy of the environment, no credentials. Blocks; one call a thread at a time.
 */
#ifndef SEALPOST_NODE_FETCH_HTTP_H
#define SEALPOST_NODE_FETCH_HTTP_H

#include "base/buf.h"

#define FETCH_REDIRECTS_MAX 3

struct fetch_http {
    struct slice url;
    struct slice allowed;                    /* fetch.allow_networks, canonical */
    struct slice body;                       /* of a POST; data NULL: GET */
    const char *content_type;                /* of the body */
    unsigned connect_timeout_ms, timeout_ms; /* the latter for all, redirects too */
    bool no_redirects;                       /* an answer that points elsewhere is none */
    const char *expected;                    /* media type of the answer, without parameters; NULL: any */
    const char *address;                     /* "HOST:PORT:IP,IP": not to be looked up; NULL: it is */
    struct slice anchors; /* CAs that are trusted beside the machine's, DER one after another */
    bool only_those;      /* instead of the machine's */
};

/* Once in the process, before threads. */
enum status fetch_http_start(void) MUST_CHECK;
/* Ends all requests, also later ones, with CLOSED: the process stops. Any thread. */
void fetch_http_stop(void);
/* The content into `out`, whose maximum is the limit (TOO_LARGE). DENIED or INVALID: the guard said no.
 * TIMEOUT, UNAVAILABLE, NOT_FOUND (404, 410) and other answers than 2xx: the text says which.
 * UNTRUSTED: the server's certificate does not hold. */
enum status fetch_http(const struct fetch_http *request, struct buf *out, struct failure *f) MUST_CHECK;

#endif
