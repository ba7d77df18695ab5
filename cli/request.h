/* From a command line to the requests that it makes: paths, queries and bodies, by the table of commands. */
#ifndef SEALPOST_CLI_REQUEST_H
#define SEALPOST_CLI_REQUEST_H

#include "base/buf.h"
#include "cli/arguments.h"

#define CLI_TARGET_MAX ((size_t)16 << 10)   /* bytes of a path with its query */
#define CLI_FILE_MAX   ((size_t)5900 << 10) /* bytes of a file that is sent: what the API takes, in base64 */

struct cli_request {
    const char *method;
    struct buf target; /* path and query; NUL-terminated */
    json_t *body;      /* NULL: none */
};

/* How many requests the command makes: one, unless an argument that may be repeated makes one each. */
size_t cli_request_count(const struct cli_input *input);
/* The i-th. Reads the files that are named. `after` (may be NULL) asks for the page behind it. The caller
 * releases. */
enum status cli_request_make(const struct cli_input *input, size_t i, const char *after,
                             struct cli_request *out, struct failure *f) MUST_CHECK;
void cli_request_release(struct cli_request *r);

/* A whole file ("-": standard input); TOO_LARGE beyond `max`. */
enum status cli_file_read(const char *path, size_t max, struct buf *out, struct failure *f) MUST_CHECK;
/* "90", "30m", "1h", "2d" in seconds. */
bool cli_seconds_parse(const char *text, uint64_t *seconds);

#endif
