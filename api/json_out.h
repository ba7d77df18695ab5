/* Building answers: values of the store as JSON. Memory cannot run short here: see api_memory_set_up(). */
#ifndef SEALPOST_API_JSON_OUT_H
#define SEALPOST_API_JSON_OUT_H

#include "base/buf.h"

#include <jansson.h>

json_t *json_of_slice(struct slice s); /* bytes that are not UTF-8 become '?' */
json_t *json_of_hex(struct slice bytes);
json_t *json_of_time(uint64_t wall_ms); /* null when 0 */
json_t *json_of_number(uint64_t number);
void json_put(json_t *object, const char *name, json_t *value); /* takes it */

/* { "items": list }, and "next" when there are more. Takes the list; `next` may be NULL. */
json_t *json_page(json_t *list, json_t *next);

/* RFC 4648 base64; line breaks and spaces are skipped; MALFORMED. `out` should have its wipe flag set for
 * secrets. */
enum status base64_text_decode(struct slice text, struct buf *out) MUST_CHECK;
/* A file in a JSON text: PEM as it is, anything else in base64. */
enum status file_text_decode(struct slice text, struct buf *out) MUST_CHECK;

/* Call once, before anything uses JSON: memory of JSON values is wiped when it is freed, for a password or a
 * token may have been in it, and running out of memory ends the process (h2o does the same; the supervisor
 * starts another). */
void api_memory_set_up(void);

#endif
