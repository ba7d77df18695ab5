/* See problem.h. */
#include "api/problem.h"

#include "api/schema.h"

static const struct api_field problem_fields[] = {
    {.name = "type", .type = API_TEXT, .flags = API_REQUIRED, .help = "urn:sealpost:problem: and the code"},
    {.name = "title", .type = API_TEXT, .flags = API_REQUIRED, .help = "what kind of problem it is"},
    {.name = "status", .type = API_NUMBER, .flags = API_REQUIRED, .help = "the HTTP status again"},
    {.name = "code", .type = API_TEXT, .flags = API_REQUIRED, .help = "the kind as one word, for programs"},
    {.name = "detail", .type = API_TEXT, .help = "what is wrong with this request"},
    {.name = "field", .type = API_TEXT, .help = "the field of the body or the query that is wrong"},
    {.name = "retry", .type = API_BOOL, .flags = API_REQUIRED, .help = "whether trying again later can help"},
    {.name = "permission", .type = API_TEXT, .help = "that the token's role does not hold"},
    {.name = "role", .type = API_TEXT, .help = "of the token, when a permission was missing"},
};
const struct api_object problem_object = {
    .name = "Problem", .help = "Why a request failed (RFC 9457).", API_FIELDS(problem_fields)};

json_t *problem_make(enum status status, int http_status, const char *detail, const char *field)
{
    json_t *problem = json_object();
    json_object_set_new(problem, "type", json_sprintf("urn:sealpost:problem:%s", status_name(status)));
    json_object_set_new(problem, "title", json_string(status_text(status)));
    json_object_set_new(problem, "status", json_integer(http_status));
    json_object_set_new(problem, "code", json_string(status_name(status)));
    if (detail != NULL && detail[0] != '\0') {
        json_t *text = json_string(detail); /* NULL when a text was cut within a character */
        json_object_set_new(problem, "detail", text != NULL ? text : json_string("(text not shown)"));
    }
    if (field != NULL && field[0] != '\0') {
        json_object_set_new(problem, "field", json_string(field));
    }
    json_object_set_new(problem, "retry", json_boolean(status_retryable(status)));
    return problem;
}

void problem_add_permission(json_t *problem, const char *permission, const char *role)
{
    json_object_set_new(problem, "permission", json_string(permission));
    json_object_set_new(problem, "role", json_string(role));
}
