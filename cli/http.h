/* One request to a node over https, by libcurl. */
#ifndef SEALPOST_CLI_HTTP_H
#define SEALPOST_CLI_HTTP_H

#include "cli/request.h"

#include <curl/curl.h>

#define CLI_ANSWER_MAX ((size_t)64 << 20) /* bytes */
#define CLI_ENDPOINT   "https://127.0.0.1:2513"
#define CLI_TIMEOUT_S  60L
#define CLI_CONNECT_S  10L

struct cli_connection {
    CURL *curl; /* kept for all requests of a command */
    struct curl_slist *headers;
    bool has_token;
    char endpoint[512];
};

/* Reads endpoint, token and CA from the input and the environment. INVALID or IO with a text. */
enum status cli_connect(const struct cli_input *input, struct cli_connection *c,
                        struct failure *f) MUST_CHECK;
void cli_disconnect(struct cli_connection *c);

struct cli_answer {
    long http_status;
    struct buf text; /* as it came */
    json_t *json;    /* NULL when it is no JSON */
};
/* UNAVAILABLE when no answer came; the HTTP status is not looked at. The caller releases the answer. */
enum status cli_send(struct cli_connection *c, const struct cli_request *r, struct cli_answer *out,
                     struct failure *f) MUST_CHECK;
void cli_answer_release(struct cli_answer *a);

/* "https://HOST:PORT" of what a user writes: HOST:PORT alone is fine, http is refused. */
enum status cli_endpoint_read(const char *text, char out[512], struct failure *f) MUST_CHECK;

#endif
