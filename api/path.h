/*
 * Request targets (RFC 3986): the path matched against a template with {names}, segment by segment and before
 * anything is decoded, so that an encoded slash stays inside its segment; and the query's parameters. Pure.
 */
#ifndef SEALPOST_API_PATH_H
#define SEALPOST_API_PATH_H

#include "base/arena.h"
#include "base/status.h"

#define PATH_PARAMETERS_MAX  2
#define PATH_SEGMENT_MAX     1024 /* bytes, decoded */
#define QUERY_PARAMETERS_MAX 16

/* `raw` gets the values as they were sent, in the template's order. */
bool path_matches(const char *template, struct slice path, struct slice raw[PATH_PARAMETERS_MAX]);

/* %XX decoded (and '+' as a space with `form`); NUL-terminated copy in the arena. INVALID: a broken escape, a
 * control byte, not UTF-8, too long. */
enum status percent_decode(struct slice raw, bool form, struct arena *a, const char **out,
                           struct failure *f) MUST_CHECK;

struct query {
    struct query_parameter {
        const char *name, *value;
    } parameters[QUERY_PARAMETERS_MAX];
    size_t count;
};
/* `text` is what follows the '?'. INVALID: too many, or a name twice. */
enum status query_parse(struct slice text, struct arena *a, struct query *q, struct failure *f) MUST_CHECK;
const char *query_get(const struct query *q, const char *name); /* NULL if it is not there */

#endif
