/* The table of routes: finding, permissions, and the document made of it. */
#include "api_test.h"

#include "api/json_out.h"
#include "api/route.h"
#include "store/permission.h"

static const char *found(const char *method, const char *path, unsigned *allowed)
{
    struct route_match match;
    api_route_find(slice_of_text(method), slice_of_text(path), &match);
    if (allowed != NULL) {
        *allowed = match.allowed;
    }
    return match.route != NULL ? match.route->operation : "";
}

static void routes_are_found(void **state)
{
    static const struct {
        const char *method, *path, *operation;
    } cases[] = {
        {"GET", "/livez", "livez"},
        {"HEAD", "/livez", "livez"},
        {"GET", "/v1/settings", "listSettings"},
        {"GET", "/v1/settings/encrypt.mode", "getSetting"},
        {"PUT", "/v1/settings/encrypt.mode", "setSetting"},
        {"DELETE", "/v1/users/a@b.example", "removeUser"},
        {"POST", "/v1/queue/retry", "retryQueue"},
        {"POST", "/v1/queue/abc/retry", "retryQueueEntry"},
        {"POST", "/v1/nodes/token", "addNodeToken"},
        {"GET", "/v1/settings/", ""},
        {"GET", "/v1/settings/a/b", ""},
        {"GET", "/v1/users/a%2fb", "getUser"},
        {"GET", "/v1//users", ""},
        {"GET", "/V1/users", ""},
        {"GET", "", ""},
        {"GET", "*", ""},
        {"get", "/livez", ""},
        {"PATCH", "/v1/settings/x", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(found(cases[i].method, cases[i].path, NULL), cases[i].operation);
    }
}

static void a_wrong_method_is_told_from_a_wrong_path(void **state)
{
    unsigned allowed;
    (void)state;
    assert_string_equal(found("PATCH", "/v1/settings/x", &allowed), "");
    assert_int_equal(allowed, 1u << API_GET | 1u << API_PUT | 1u << API_DELETE);
    assert_string_equal(found("GET", "/v1/nothing", &allowed), "");
    assert_int_equal(allowed, 0);
}

static void only_what_tells_nothing_is_open(void **state)
{
    const struct api_route *r;
    (void)state;
    for (size_t i = 0; (r = api_route_at(i)) != NULL; i++) {
        bool open = strcmp(r->path, "/livez") == 0 || strcmp(r->path, "/readyz") == 0 ||
                    strcmp(r->path, "/metrics") == 0 || strcmp(r->path, "/v1/openapi.json") == 0 ||
                    strcmp(r->path, "/crl/{file}") == 0; /* lists of our CAs are for everybody */
        assert_int_equal(r->permission == NULL, open);
        assert_true(open || (r->flags & ROUTE_NO_STORE) == 0);
        /* What writes a setting asks for its area too; the path must say which. */
        assert_int_equal(!open && strcmp(r->permission, "setting.write") == 0,
                         (r->flags & ROUTE_SETTING) != 0);
        assert_true((r->flags & ROUTE_SETTING) == 0 || strcmp(r->path, "/v1/settings/{name}") == 0);
        assert_true(open || permission_find(r->permission) != NULL);
        assert_int_equal(role_permits(SLICE_LITERAL("admin"), r->permission), true);
        assert_int_equal(role_permits(SLICE_LITERAL("somebody"), r->permission), open);
    }
}

static void routes_are_whole(void **state)
{
    const struct api_route *r, *other;
    (void)state;
    for (size_t i = 0; (r = api_route_at(i)) != NULL; i++) {
        assert_non_null(r->serve);
        assert_non_null(r->operation);
        assert_non_null(r->help);
        assert_true(r->success >= 200 && r->success < 300);
        assert_true((r->response != NULL) != (r->response_type != NULL));
        assert_true(r->request == NULL || r->method == API_POST || r->method == API_PUT);
        for (size_t k = i + 1; (other = api_route_at(k)) != NULL; k++) {
            assert_false(r->method == other->method && strcmp(r->path, other->path) == 0);
            assert_string_not_equal(r->operation, other->operation);
        }
    }
}

/* Each "$ref" must lead to a schema or parameter of the document. */
static void references_check(json_t *value, json_t *document)
{
    const char *name;
    json_t *member;
    size_t i;
    if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            references_check(member, document);
        }
        return;
    }
    json_object_foreach(value, name, member)
    {
        if (strcmp(name, "$ref") == 0) {
            char kind[32], target[64];
            assert_int_equal(sscanf(json_string_value(member), "#/components/%31[^/]/%63s", kind, target), 2);
            json_t *components = json_object_get(document, "components");
            assert_non_null(json_object_get(json_object_get(components, kind), target));
        } else {
            references_check(member, document);
        }
    }
}

static void the_document_has_every_route(void **state)
{
    static const char *const keys[] = {"get", "post", "put", "delete"};
    const struct api_route *r;
    json_t *document = api_openapi();
    size_t count = 0, in_table = 0;
    const char *path;
    json_t *operations;
    (void)state;
    assert_non_null(document);
    assert_string_equal(json_string_value(json_object_get(document, "openapi")), "3.1.0");
    for (; (r = api_route_at(in_table)) != NULL; in_table++) {
        json_t *item = json_object_get(json_object_get(document, "paths"), r->path);
        json_t *operation = json_object_get(item, keys[r->method]);
        assert_string_equal(json_string_value(json_object_get(operation, "operationId")), r->operation);
        assert_true(json_object_size(json_object_get(operation, "responses")) == 2);
        assert_int_equal(json_object_get(operation, "requestBody") != NULL, r->request != NULL);
    }
    json_object_foreach(json_object_get(document, "paths"), path, operations)
    {
        count += json_object_size(operations);
    }
    assert_int_equal(count, in_table);
    references_check(document, document);
    char *text = json_dumps(document, 0);
    assert_non_null(text);
    free(text);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_found),
        cmocka_unit_test(a_wrong_method_is_told_from_a_wrong_path),
        cmocka_unit_test(only_what_tells_nothing_is_open),
        cmocka_unit_test(routes_are_whole),
        cmocka_unit_test(the_document_has_every_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
