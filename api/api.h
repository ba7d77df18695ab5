/*
 * The API of a node: HTTP/1.1 over TLS on one loop (h2o), with the bus (api/bus.h) and the job thread beside
 * it. It writes nothing itself: it proposes to core, and reads the store.
 */
#ifndef SEALPOST_API_API_H
#define SEALPOST_API_API_H

#include "base/slice.h"
#include "base/status.h"

#define API_LISTENERS_MAX 16

struct api_options {
    int listeners[API_LISTENERS_MAX]; /* listening TCP sockets, non-blocking; borrowed */
    size_t listener_count;
    int stop_fd; /* readable: stop in order; borrowed */
    const char
        *certificate; /* path of the service certificate and its chain (PEM); NULL: no TLS, for tests only */
    struct slice tls_key;       /* its key, PKCS#8 DER */
    struct slice kek;           /* opens the data key */
    struct slice transport_key; /* seals what the smtp role opens: crypto/transport_secret.h */
    const char *store;          /* folder of the store */
    const char *core_socket, *queue_socket, *fetch_socket;
};

/* Serves until stop_fd is readable, and then for at most 2 seconds those who are in the middle of a request.
 */
enum status api_run(const struct api_options *options, struct failure *f) MUST_CHECK;

#endif
