/* See schema.h. */
#include "api/schema.h"

#include "base/nearest.h"

#include <string.h>

const char *api_shown(struct slice text, char out[API_SHOWN_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < text.len && n < API_SHOWN_MAX - 4; i++) {
        uint8_t byte = text.data[i];
        out[n++] = (char)(byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\' ? '?' : byte);
    }
    if (n < text.len) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n] = '\0';
    return out;
}

const struct api_field *api_object_field(const struct api_object *o, struct slice name)
{
    for (size_t i = 0; o != NULL && i < o->field_count; i++) {
        if (slice_equal(name, slice_of_text(o->fields[i].name))) {
            return &o->fields[i];
        }
    }
    return NULL;
}

static bool is_choice(const char *choices, struct slice text)
{
    struct slice rest = slice_of_text(choices);
    while (rest.len > 0) {
        size_t end = slice_find_byte(rest, '|');
        if (slice_equal(slice_of(rest.data, end), text)) {
            return true;
        }
        size_t step = end < rest.len ? end + 1 : end;
        rest = slice_of(rest.data + step, rest.len - step);
    }
    return false;
}

static enum status text_check(const struct api_field *field, const json_t *value, struct failure *f)
{
    char shown[API_SHOWN_MAX];
    if (!json_is_string(value)) {
        return failure_set(f, STATUS_INVALID, "%s: must be a text", field->name);
    }
    struct slice text = slice_of(json_string_value(value), json_string_length(value));
    /* Base64 takes 4 characters for 3 bytes, and may be broken into lines. */
    size_t max =
        field->type == API_BASE64 ? ((size_t)field->max / 3 + 1) * 4 + field->max / 32 + 64 : field->max;
    if (text.len > max) {
        return failure_set(f, STATUS_TOO_LARGE, "%s: is too long: at most %u bytes", field->name, field->max);
    }
    if (text.len < field->min) {
        return text.len == 0 ? failure_set(f, STATUS_INVALID, "%s: must not be empty", field->name)
                             : failure_set(f, STATUS_INVALID, "%s: is too short: at least %u bytes",
                                           field->name, field->min);
    }
    if (field->choices != NULL && !is_choice(field->choices, text)) {
        return failure_set(f, STATUS_INVALID, "%s: must be one of %s, not \"%s\"", field->name,
                           field->choices, api_shown(text, shown));
    }
    return STATUS_OK;
}

static enum status texts_check(const struct api_field *field, const json_t *value, struct failure *f)
{
    size_t i;
    json_t *entry;
    if (!json_is_array(value)) {
        return failure_set(f, STATUS_INVALID, "%s: must be a list of texts", field->name);
    }
    if (json_array_size(value) < field->min) {
        return failure_set(f, STATUS_INVALID, "%s: at least %u must be given", field->name, field->min);
    }
    if (json_array_size(value) > API_TEXTS_MAX) {
        return failure_set(f, STATUS_TOO_LARGE, "%s: at most %d can be given", field->name, API_TEXTS_MAX);
    }
    json_array_foreach(value, i, entry)
    {
        if (!json_is_string(entry) || json_string_length(entry) > field->max) {
            return failure_set(f, STATUS_INVALID, "%s: each entry must be a text of at most %u bytes",
                               field->name, field->max);
        }
    }
    return STATUS_OK;
}

static enum status number_check(const struct api_field *field, const json_t *value, struct failure *f)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return failure_set(f, STATUS_INVALID, "%s: must be a whole number", field->name);
    }
    uint64_t number = (uint64_t)json_integer_value(value);
    if (number < field->min || (field->max != 0 && number > field->max)) {
        return failure_set(f, STATUS_INVALID, "%s: must be between %u and %u", field->name, field->min,
                           field->max);
    }
    return STATUS_OK;
}

/* How deep objects nest is a matter of our tables. */
static enum status objects_check(const struct api_field *field, const json_t *value, struct failure *f)
{
    const char *culprit;
    if (!json_is_array(value) || json_array_size(value) > API_TEXTS_MAX) {
        return failure_set(f, STATUS_INVALID, "%s: must be a list of at most %d objects", field->name,
                           API_TEXTS_MAX);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        enum status status = api_body_check(field->object, json_array_get(value, i), &culprit, f);
        if (status != STATUS_OK) {
            return failure_wrap(f, status, "%s: entry %zu", field->name, i + 1);
        }
    }
    return STATUS_OK;
}

enum status api_value_check(const struct api_field *field, const json_t *value, struct failure *f)
{
    switch (field->type) {
    case API_TEXT:
    case API_BASE64:
        return text_check(field, value, f);
    case API_TEXTS:
        return texts_check(field, value, f);
    case API_NUMBER:
        return number_check(field, value, f);
    case API_BOOL:
        return json_is_boolean(value)
                   ? STATUS_OK
                   : failure_set(f, STATUS_INVALID, "%s: must be true or false", field->name);
    case API_OBJECTS:
        return objects_check(field, value, f);
    case API_TIME:
    case API_OBJECT:
    case API_MAP:
    case API_ANY:
        break;
    }
    return failure_set(f, STATUS_INVALID, "%s: cannot be given", field->name);
}

static enum status unknown_field(const struct api_object *o, const char *name, struct failure *f)
{
    char shown[API_SHOWN_MAX];
    struct nearest nearest = {.name = slice_of_text(name)};
    for (size_t i = 0; i < o->field_count; i++) {
        nearest_offer(&nearest, o->fields[i].name);
    }
    api_shown(nearest.name, shown);
    return nearest.best != NULL
               ? failure_set(f, STATUS_UNKNOWN_FIELD, "there is no field \"%s\"; did you mean \"%s\"?", shown,
                             nearest.best)
               : failure_set(f, STATUS_UNKNOWN_FIELD, "there is no field \"%s\"", shown);
}

enum status api_body_check(const struct api_object *o, const json_t *body, const char **field,
                           struct failure *f)
{
    const char *name;
    json_t *value;
    *field = "";
    if (o == NULL || o->field_count == 0) {
        return body == NULL || (json_is_object(body) && json_object_size(body) == 0)
                   ? STATUS_OK
                   : failure_set(f, STATUS_INVALID, "this request takes no body");
    }
    if (body != NULL && !json_is_object(body)) {
        return failure_set(f, STATUS_INVALID, "the body must be a JSON object");
    }
    json_object_foreach((json_t *)body, name, value)
    {
        const struct api_field *known = api_object_field(o, slice_of_text(name));
        *field = name;
        enum status status = known == NULL ? unknown_field(o, name, f) : api_value_check(known, value, f);
        if (status != STATUS_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < o->field_count; i++) {
        if ((o->fields[i].flags & API_REQUIRED) != 0 && json_object_get(body, o->fields[i].name) == NULL) {
            *field = o->fields[i].name;
            return failure_set(f, STATUS_INVALID, "%s: is missing", o->fields[i].name);
        }
    }
    *field = "";
    return STATUS_OK;
}

enum status api_json_parse(struct slice text, json_t **out, struct failure *f)
{
    json_error_t error;
    *out = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (*out != NULL) {
        return STATUS_OK;
    }
    switch (json_error_code(&error)) {
    case json_error_out_of_memory:
        return failure_set(f, STATUS_NO_MEMORY, "there is no memory for the body");
    case json_error_duplicate_key:
        return failure_set(f, STATUS_MALFORMED, "the body names a field twice (line %d, column %d)",
                           error.line, error.column);
    case json_error_stack_overflow:
        return failure_set(f, STATUS_MALFORMED, "the body is nested too deeply");
    case json_error_invalid_utf8:
        return failure_set(f, STATUS_MALFORMED, "the body is not UTF-8 (line %d, column %d)", error.line,
                           error.column);
    default:
        return failure_set(f, STATUS_MALFORMED, "the body is not JSON (line %d, column %d)", error.line,
                           error.column);
    }
}

struct slice api_body_text(const json_t *body, const char *name)
{
    const json_t *value = json_object_get(body, name);
    return slice_of(json_string_value(value), json_string_length(value));
}

bool api_body_bool(const json_t *body, const char *name)
{
    return json_is_true(json_object_get(body, name));
}

uint64_t api_body_number(const json_t *body, const char *name, uint64_t when_absent)
{
    const json_t *value = json_object_get(body, name);
    return json_is_integer(value) ? (uint64_t)json_integer_value(value) : when_absent;
}
