/*
 * What a JSON object of the API holds: one declaration serves the check of request bodies, the check of query
 * parameters and the OpenAPI document. Pure.
 */
#ifndef SEALPOST_API_SCHEMA_H
#define SEALPOST_API_SCHEMA_H

#include "base/slice.h"
#include "base/status.h"

#include <jansson.h>

enum api_type {
    API_TEXT,   /* min, max: bytes; choices: one of them */
    API_NUMBER, /* unsigned; min, max: value (max 0: no limit) */
    API_BOOL,
    API_BASE64,  /* text; max: bytes of the decoded content */
    API_TIME,    /* RFC 3339 in UTC; only in answers */
    API_TEXTS,   /* list of text; min: least number of entries; max: bytes of one entry */
    API_OBJECT,  /* `object` */
    API_OBJECTS, /* list of `object`; in a request at most API_TEXTS_MAX */
    API_MAP,     /* of names to numbers; only in answers */
    API_ANY      /* only in answers */
};

enum api_field_flags { API_REQUIRED = 1, API_SECRET = 2 /* only in requests, or shown once */ };

#define API_TEXTS_MAX 1000 /* entries of a list in a request */

struct api_object;

struct api_field {
    const char *name;
    enum api_type type;
    unsigned flags; /* enum api_field_flags */
    uint32_t min, max;
    const char *choices; /* separated by |; NULL: any */
    const struct api_object *object;
    const char *help;
};

struct api_object {
    const char *name; /* in OpenAPI's components/schemas */
    const char *help;
    const struct api_field *fields;
    size_t field_count;
};

#define API_FIELDS(list) .fields = (list), .field_count = sizeof(list) / sizeof((list)[0])

/* NULL if there is none. */
const struct api_field *api_object_field(const struct api_object *o, struct slice name);

/* One value against its field: INVALID with a text that says what would be right. */
enum status api_value_check(const struct api_field *field, const json_t *value, struct failure *f) MUST_CHECK;

/* A whole body. UNKNOWN_FIELD names the field and the nearest known one; INVALID names a field that is
 * missing or wrong. `body` may be NULL (no body was sent). On failure *field names the culprit ("" if there
 * is none); it is borrowed from the body or static. */
enum status api_body_check(const struct api_object *o, const json_t *body, const char **field,
                           struct failure *f) MUST_CHECK;

/* JSON text to a value: MALFORMED with line and column, never with a part of the text (it may hold secrets).
 */
enum status api_json_parse(struct slice text, json_t **out, struct failure *f) MUST_CHECK;

/* Bytes of a member that was checked: empty when it is absent. */
struct slice api_body_text(const json_t *body, const char *name);
bool api_body_bool(const json_t *body, const char *name);
uint64_t api_body_number(const json_t *body, const char *name, uint64_t when_absent);

/* A text that came from outside, for use in a failure: control bytes and quotes are replaced, the length is
 * bounded. */
#define API_SHOWN_MAX 80
const char *api_shown(struct slice text, char out[API_SHOWN_MAX]);

#endif
