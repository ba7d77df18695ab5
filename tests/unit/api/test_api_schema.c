/* What comes in: JSON, bodies, paths and queries. */
#include "api_test.h"

#include "api/json_out.h"
#include "api/path.h"
#include "api/schema.h"

static const struct api_field inner_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED, .max = 4},
};
static const struct api_object inner = {.name = "Inner", API_FIELDS(inner_fields)};

static const struct api_field fields[] = {
    {.name = "domain", .type = API_TEXT, .flags = API_REQUIRED, .min = 1, .max = 10},
    {.name = "locality", .type = API_TEXT, .max = 16, .choices = "internal|external"},
    {.name = "count", .type = API_NUMBER, .min = 2, .max = 9},
    {.name = "force", .type = API_BOOL},
    {.name = "to", .type = API_TEXTS, .min = 1, .max = 5},
    {.name = "data", .type = API_BASE64, .max = 6},
    {.name = "added", .type = API_TIME},
    {.name = "list", .type = API_OBJECTS, .object = &inner},
};
static const struct api_object object = {.name = "Test", API_FIELDS(fields)};

static void bodies_are_checked(void **state)
{
    static const struct {
        const char *body;
        enum status status;
        const char *field, *says;
    } cases[] = {
        {"{\"domain\": \"x\"}", STATUS_OK, "", ""},
        {"{\"domain\": \"x\", \"locality\": \"internal\", \"count\": 9, \"force\": true, \"to\": [\"a\"]}",
         STATUS_OK, "", ""},
        {"{}", STATUS_INVALID, "domain", "domain: is missing"},
        {"[]", STATUS_INVALID, "", "must be a JSON object"},
        {"{\"domain\": \"\"}", STATUS_INVALID, "domain", "must not be empty"},
        {"{\"domain\": \"12345678901\"}", STATUS_TOO_LARGE, "domain", "at most 10"},
        {"{\"domain\": 5}", STATUS_INVALID, "domain", "must be a text"},
        {"{\"domain\": null}", STATUS_INVALID, "domain", "must be a text"},
        {"{\"domain\": \"x\", \"localty\": \"internal\"}", STATUS_UNKNOWN_FIELD, "localty",
         "did you mean \"locality\""},
        {"{\"domain\": \"x\", \"zzzzzz\": 1}", STATUS_UNKNOWN_FIELD, "zzzzzz", "no field \"zzzzzz\""},
        {"{\"domain\": \"x\", \"a\\\"\\n\": 1}", STATUS_UNKNOWN_FIELD, "a\"\n", "no field \"a??\""},
        {"{\"domain\": \"x\", \"locality\": \"intern\"}", STATUS_INVALID, "locality",
         "one of internal|external"},
        {"{\"domain\": \"x\", \"count\": 1}", STATUS_INVALID, "count", "between 2 and 9"},
        {"{\"domain\": \"x\", \"count\": 10}", STATUS_INVALID, "count", "between 2 and 9"},
        {"{\"domain\": \"x\", \"count\": -3}", STATUS_INVALID, "count", "whole number"},
        {"{\"domain\": \"x\", \"count\": 2.5}", STATUS_INVALID, "count", "whole number"},
        {"{\"domain\": \"x\", \"count\": \"3\"}", STATUS_INVALID, "count", "whole number"},
        {"{\"domain\": \"x\", \"list\": [{\"name\": \"a\"}, {\"name\": \"\"}]}", STATUS_OK, "", ""},
        {"{\"domain\": \"x\", \"list\": {}}", STATUS_INVALID, "list", "list: must be a list of at most"},
        {"{\"domain\": \"x\", \"list\": [{\"name\": \"a\"}, 1]}", STATUS_INVALID, "list", "list: entry 2"},
        {"{\"domain\": \"x\", \"list\": [{}]}", STATUS_INVALID, "list", "list: entry 1: name: is missing"},
        {"{\"domain\": \"x\", \"list\": [{\"name\": \"12345\"}]}", STATUS_TOO_LARGE, "list",
         "list: entry 1: name: "},
        {"{\"domain\": \"x\", \"list\": [{\"nam\": \"1\"}]}", STATUS_UNKNOWN_FIELD, "list",
         "did you mean \"name\""},
        {"{\"domain\": \"x\", \"force\": 1}", STATUS_INVALID, "force", "true or false"},
        {"{\"domain\": \"x\", \"to\": []}", STATUS_INVALID, "to", "at least 1"},
        {"{\"domain\": \"x\", \"to\": \"a\"}", STATUS_INVALID, "to", "list of texts"},
        {"{\"domain\": \"x\", \"to\": [1]}", STATUS_INVALID, "to", "each entry"},
        {"{\"domain\": \"x\", \"to\": [\"123456\"]}", STATUS_INVALID, "to", "each entry"},
        {"{\"domain\": \"x\", \"added\": \"2026-01-01\"}", STATUS_INVALID, "added", "cannot be given"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct failure f = {.status = STATUS_OK};
        const char *field;
        json_t *body = NULL;
        assert_int_equal(api_json_parse(slice_of_text(cases[i].body), &body, &f), STATUS_OK);
        assert_int_equal(api_body_check(&object, body, &field, &f), cases[i].status);
        assert_string_equal(field, cases[i].field);
        if (strstr(f.text, cases[i].says) == NULL) {
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].body, f.text, cases[i].says);
        }
        json_decref(body);
    }
}

static void a_body_where_none_belongs_is_refused(void **state)
{
    struct failure f;
    const char *field;
    json_t *empty = json_object(), *body = json_pack("{s:i}", "x", 1);
    (void)state;
    assert_int_equal(api_body_check(NULL, NULL, &field, &f), STATUS_OK);
    assert_int_equal(api_body_check(NULL, empty, &field, &f), STATUS_OK);
    assert_int_equal(api_body_check(NULL, body, &field, &f), STATUS_INVALID);
    assert_int_equal(api_body_check(&object, NULL, &field, &f), STATUS_INVALID);
    json_decref(empty);
    json_decref(body);
}

static void what_is_no_json_is_refused_without_being_shown(void **state)
{
    static const char *const texts[] = {"hunter2",
                                        "{\"password\": hunter2}",
                                        "{\"a\":1} hunter2",
                                        "{\"a\":1,\"a\":2}",
                                        "\"hunter2\\u0000\"",
                                        "{\"a\": \"\xff\"}",
                                        "{",
                                        "",
                                        "{\"a\": 1e999}"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct failure f = {.status = STATUS_OK};
        json_t *body;
        assert_int_equal(api_json_parse(slice_of_text(texts[i]), &body, &f), STATUS_MALFORMED);
        assert_null(strstr(f.text, "hunter2"));
        assert_true(strlen(f.text) > 10);
    }
}

static void a_deep_body_ends_nothing(void **state)
{
    static char deep[200000];
    struct failure f;
    json_t *body;
    (void)state;
    memset(deep, '[', sizeof(deep));
    assert_int_equal(api_json_parse(slice_of(deep, sizeof(deep)), &body, &f), STATUS_MALFORMED);
}

static void paths_are_decoded_segment_by_segment(void **state)
{
    struct slice raw[PATH_PARAMETERS_MAX] = {0};
    struct arena a;
    struct failure f;
    const char *text = NULL;
    (void)state;
    arena_init(&a, 1 << 20);
    assert_true(path_matches("/v1/users/{address}", SLICE_LITERAL("/v1/users/a%2Fb+c%40d"), raw));
    assert_int_equal(percent_decode(raw[0], false, &a, &text, &f), STATUS_OK);
    assert_string_equal(text, "a/b+c@d");
    assert_false(path_matches("/v1/users/{address}", SLICE_LITERAL("/v1/users/a/b"), raw));
    assert_false(path_matches("/v1/users/{address}", SLICE_LITERAL("/v1/users/"), raw));
    static const char *const broken[] = {"%",   "%4",     "%zz",       "a%00b", "a%0ab",
                                         "%ff", "%c0%80", "%ed%a0%80", "a\x7f"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        assert_int_equal(percent_decode(slice_of_text(broken[i]), false, &a, &text, &f), STATUS_INVALID);
    }
    arena_release(&a);
}

static void queries_are_read(void **state)
{
    struct arena a;
    struct query q;
    struct failure f;
    (void)state;
    arena_init(&a, 1 << 20);
    assert_int_equal(query_parse(SLICE_LITERAL("user=a%2Bb%40c+d&&x=&y"), &a, &q, &f), STATUS_OK);
    assert_int_equal(q.count, 3);
    assert_string_equal(query_get(&q, "user"), "a+b@c d");
    assert_string_equal(query_get(&q, "x"), "");
    assert_string_equal(query_get(&q, "y"), "");
    assert_null(query_get(&q, "z"));
    assert_int_equal(query_parse(SLICE_LITERAL("a=1&a=2"), &a, &q, &f), STATUS_INVALID);
    assert_int_equal(query_parse(SLICE_LITERAL("a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q"), &a, &q, &f),
                     STATUS_INVALID);
    assert_int_equal(query_parse(SLICE_LITERAL("a=%"), &a, &q, &f), STATUS_INVALID);
    arena_release(&a);
}

static void base64_is_strict(void **state)
{
    static const struct {
        const char *text, *bytes; /* NULL: malformed */
    } cases[] = {{"aGFsbG8=", "hallo"},
                 {"aGFs\r\nbG8=\n", "hallo"},
                 {"", ""},
                 {"YQ==", "a"},
                 {"YQ=", NULL},
                 {"YQ", NULL},
                 {"Y", NULL},
                 {"Y===", NULL},
                 {"YQ==YQ==", NULL},
                 {"aG-s", NULL},
                 {"YQ==x", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_INIT(100);
        enum status status = base64_text_decode(slice_of_text(cases[i].text), &out);
        assert_int_equal(status, cases[i].bytes != NULL ? STATUS_OK : STATUS_MALFORMED);
        if (status == STATUS_OK) {
            assert_true(slice_equal(buf_slice(&out), slice_of_text(cases[i].bytes)));
        }
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_checked),
        cmocka_unit_test(a_body_where_none_belongs_is_refused),
        cmocka_unit_test(what_is_no_json_is_refused_without_being_shown),
        cmocka_unit_test(a_deep_body_ends_nothing),
        cmocka_unit_test(paths_are_decoded_segment_by_segment),
        cmocka_unit_test(queries_are_read),
        cmocka_unit_test(base64_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
