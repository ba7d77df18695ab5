/* Problem details (RFC 9457). Pure. */
#ifndef SEALPOST_API_PROBLEM_H
#define SEALPOST_API_PROBLEM_H

#include "base/status.h"

#include <jansson.h>

#define PROBLEM_TYPE "application/problem+json"

extern const struct api_object problem_object; /* for OpenAPI */

/* "type" is a URN of the status, "title" its text, "detail" what happened now. `field` and `detail` may be
 * NULL or "". */
json_t *problem_make(enum status status, int http_status, const char *detail, const char *field);
/* Which permission was missing, and the role that does not hold it. */
void problem_add_permission(json_t *problem, const char *permission, const char *role);

#endif
