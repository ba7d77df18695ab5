/* The OpenAPI 3.1 document, made of the table of routes and the objects it names. Pure. */
#include "api/json_out.h"
#include "api/problem.h"
#include "api/resources.h"

static json_t *reference(const char *name)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%s", name));
}

static json_t *typed(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static json_t *list_of(json_t *items)
{
    return json_pack("{s:s, s:o}", "type", "array", "items", items);
}

static json_t *choices_of(const char *choices)
{
    json_t *list = json_array();
    struct slice rest = slice_of_text(choices);
    while (rest.len > 0) {
        size_t end = slice_find_byte(rest, '|');
        json_array_append_new(list, json_of_slice(slice_of(rest.data, end)));
        size_t step = end < rest.len ? end + 1 : end;
        rest = slice_of(rest.data + step, rest.len - step);
    }
    return list;
}

static json_t *text_schema(const struct api_field *f)
{
    json_t *schema = typed("string");
    if (f->min > 0) {
        json_put(schema, "minLength", json_integer(f->min));
    }
    if (f->max > 0) {
        json_put(schema, "maxLength", json_integer(f->max));
    }
    if (f->choices != NULL) {
        json_put(schema, "enum", choices_of(f->choices));
    }
    return schema;
}

static json_t *number_schema(const struct api_field *f)
{
    json_t *schema = typed("integer");
    json_put(schema, "minimum", json_integer(f->min));
    if (f->max > 0) {
        json_put(schema, "maximum", json_integer(f->max));
    }
    return schema;
}

static json_t *field_type(const struct api_field *f)
{
    json_t *schema;
    switch (f->type) {
    case API_TEXT:
        return text_schema(f);
    case API_NUMBER:
        return number_schema(f);
    case API_BOOL:
        return typed("boolean");
    case API_BASE64: /* PEM text is taken too where the help says so: no contentEncoding */
        return typed("string");
    case API_TIME:
        return json_pack("{s:[s,s], s:s}", "type", "string", "null", "format", "date-time");
    case API_TEXTS:
        schema = list_of(typed("string"));
        if (f->min > 0) {
            json_put(schema, "minItems", json_integer(f->min));
        }
        return schema;
    case API_OBJECT:
        return reference(f->object->name);
    case API_OBJECTS:
        return list_of(reference(f->object->name));
    case API_MAP:
        return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", typed("integer"));
    case API_ANY:
        break;
    }
    return json_object();
}

static json_t *field_schema(const struct api_field *f)
{
    json_t *schema = field_type(f);
    if (f->help != NULL) {
        json_put(schema, "description", json_string(f->help));
    }
    if ((f->flags & API_SECRET) != 0) {
        json_put(schema, "format", json_string("password"));
    }
    return schema;
}

static void object_add(json_t *schemas, const struct api_object *o);

static void objects_within_add(json_t *schemas, const struct api_object *o)
{
    for (size_t i = 0; i < o->field_count; i++) {
        object_add(schemas, o->fields[i].object);
    }
}

static void object_add(json_t *schemas, const struct api_object *o)
{
    if (o == NULL || json_object_get(schemas, o->name) != NULL) {
        return;
    }
    json_t *schema = typed("object"), *properties = json_object(), *required = json_array();
    if (o->help != NULL) {
        json_put(schema, "description", json_string(o->help));
    }
    for (size_t i = 0; i < o->field_count; i++) {
        json_put(properties, o->fields[i].name, field_schema(&o->fields[i]));
        if ((o->fields[i].flags & API_REQUIRED) != 0) {
            json_array_append_new(required, json_string(o->fields[i].name));
        }
    }
    json_put(schema, "properties", properties);
    json_put(schema, "required", required);
    json_put(schemas, o->name, schema);
    objects_within_add(schemas, o);
}

/* --- operations --- */

static void path_parameters_add(json_t *parameters, const char *path)
{
    for (const char *open = strchr(path, '{'); open != NULL; open = strchr(open + 1, '{')) {
        const char *close = strchr(open, '}');
        struct slice name = slice_of(open + 1, (size_t)(close - open - 1));
        json_array_append_new(parameters, json_pack("{s:o, s:s, s:b, s:o}", "name", json_of_slice(name), "in",
                                                    "path", "required", 1, "schema", typed("string")));
    }
}

static json_t *parameters_of(const struct api_route *r)
{
    json_t *parameters = json_array();
    path_parameters_add(parameters, r->path);
    for (size_t i = 0; r->query != NULL && i < r->query->field_count; i++) {
        const struct api_field *f = &r->query->fields[i];
        json_array_append_new(parameters, json_pack("{s:s, s:s, s:o}", "name", f->name, "in", "query",
                                                    "schema", field_schema(f)));
    }
    if (r->permission != NULL) {
        json_array_append_new(parameters, json_pack("{s:s}", "$ref", "#/components/parameters/barrier"));
    }
    return parameters;
}

static json_t *content_of(const char *type, json_t *schema)
{
    json_t *content = json_object();
    json_put(content, type, json_pack("{s:o}", "schema", schema));
    return content;
}

static json_t *responses_of(const struct api_route *r)
{
    char status[16];
    json_t *responses = json_object();
    json_t *schema = r->response != NULL ? reference(r->response->name) : json_object();
    json_t *success = json_pack("{s:s}", "description", "done");
    json_put(success, "content",
             content_of(r->response != NULL ? "application/json" : r->response_type, schema));
    if ((r->flags & ROUTE_WRITES) != 0) {
        json_put(success, "headers",
                 json_pack("{s:{s:s, s:o}}", "Sealpost-Index", "description",
                           "index of the change in the log", "schema", typed("integer")));
    }
    if (snprintf(status, sizeof(status), "%d", r->success) < (int)sizeof(status)) {
        json_put(responses, status, success);
    }
    json_t *problem = json_pack("{s:s}", "description", "why it failed");
    json_put(problem, "content", content_of(PROBLEM_TYPE, reference(problem_object.name)));
    json_put(responses, "default", problem);
    return responses;
}

/* Those that hold it. */
static json_t *roles_of(const char *permission)
{
    const struct token_role_info *role;
    json_t *roles = json_array();
    for (size_t i = 0; (role = token_role_at(i)) != NULL; i++) {
        if (role_permits(slice_of_text(role->name), permission)) {
            json_array_append_new(roles, json_string(role->name));
        }
    }
    return roles;
}

static json_t *operation_of(const struct api_route *r)
{
    json_t *operation = json_pack("{s:s, s:s}", "operationId", r->operation, "summary", r->help);
    json_put(operation, "parameters", parameters_of(r));
    if (r->request != NULL) {
        json_t *body = json_object();
        json_put(body, "content", content_of("application/json", reference(r->request->name)));
        json_put(operation, "requestBody", body);
    }
    json_put(operation, "responses", responses_of(r));
    if (r->permission == NULL) {
        json_put(operation, "security", json_array());
    } else {
        json_put(operation, "x-sealpost-permission", json_string(r->permission));
        json_put(operation, "x-sealpost-roles", roles_of(r->permission));
    }
    return operation;
}

static const char *operation_key(enum api_method method)
{
    static const char *const keys[API_METHOD_COUNT] = {"get", "post", "put", "delete"};
    return keys[method];
}

json_t *api_openapi(void)
{
    json_t *paths = json_object(), *schemas = json_object();
    const struct api_route *r;
    for (size_t i = 0; (r = api_route_at(i)) != NULL; i++) {
        json_t *path = json_object_get(paths, r->path);
        if (path == NULL) {
            path = json_object();
            json_put(paths, r->path, path);
        }
        json_put(path, operation_key(r->method), operation_of(r));
        object_add(schemas, r->request);
        object_add(schemas, r->response);
    }
    object_add(schemas, &problem_object);
    json_t *barrier = json_pack("{s:s, s:s, s:s, s:o}", "name", "barrier", "in", "query", "description",
                                "true: read what was acknowledged anywhere before this request", "schema",
                                typed("boolean"));
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:[]}], s:o, s:{s:o, s:{s:o}, s:{s:{s:s, s:s}}}}",
                     "openapi", "3.1.0", "info", "title", "Sealpost", "version", SEALPOST_VERSION,
                     "description", "Administration of a Sealpost cluster.", "security", "token", "paths",
                     paths, "components", "schemas", schemas, "parameters", "barrier", barrier,
                     "securitySchemes", "token", "type", "http", "scheme", "bearer");
}
