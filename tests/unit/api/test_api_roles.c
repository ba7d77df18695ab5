/*
 * Who may do what, seen from outside: each route with a token of each role, against the table in
 * docs/roles.md, which is checked in and compared with the program's own. `test_api_roles --tables` prints
 * what belongs there.
 */
#include "api_world.h"

#include "store/permission.h"
#include "store/setting.h"

static struct api_world w;
static char bearers[ROLE_COUNT][128];

#define MARK "<!-- tables -->\n"

/* --- the tables --- */

static void append(struct buf *out, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_true(n >= 0 && n < (int)sizeof(text));
    assert_int_equal(buf_append_text(out, text), STATUS_OK);
}

static void cells_append(struct buf *out, const char *permission)
{
    const struct token_role_info *role;
    for (size_t i = 0; (role = token_role_at(i)) != NULL; i++) {
        append(out, role_permits(slice_of_text(role->name), permission) ? " yes |" : "  |");
    }
    append(out, "\n");
}

static void head_append(struct buf *out, const char *first)
{
    const struct token_role_info *role;
    append(out, "%s", first);
    for (size_t i = 0; (role = token_role_at(i)) != NULL; i++) {
        append(out, " `%s` |", role->name);
    }
    append(out, "\n|---|---|");
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        append(out, "---|");
    }
    append(out, "\n");
}

static void tables_append(struct buf *out)
{
    const struct permission *p;
    const struct api_route *r;
    append(out, "\n## Permissions\n\n");
    head_append(out, "| permission | one may |");
    for (size_t i = 0; (p = permission_at(i)) != NULL; i++) {
        append(out, "| `%s` | %s |", p->name, p->help);
        cells_append(out, p->name);
    }
    append(out, "\n## Routes\n\n");
    head_append(out, "| route | permission |");
    for (size_t i = 0; (r = api_route_at(i)) != NULL; i++) {
        const char *area = (r->flags & ROUTE_SETTING) != 0 ? ", and that of the setting" : "";
        if (r->permission == NULL) {
            continue;
        }
        append(out, "| `%s %s` | `%s`%s |", api_method_name(r->method), r->path, r->permission, area);
        cells_append(out, r->permission);
    }
}

/* docs/roles.md, ended by a NUL. */
static const char *page(void)
{
    static char text[1 << 16];
    FILE *file = fopen(ROLES_PAGE, "r");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    assert_true(n < sizeof(text) - 1);
    text[n] = '\0';
    return text;
}

static void the_page_has_the_tables(void **state)
{
    struct buf made = BUF_INIT(1 << 16);
    const char *stored = strstr(page(), MARK);
    (void)state;
    assert_non_null(stored);
    tables_append(&made);
    if (!slice_equal(slice_of_text(stored + strlen(MARK)), buf_slice(&made))) {
        fail_msg("docs/roles.md is old: keep it up to its line %.*s and let "
                 "build/dev/bin/test_api_roles --tables follow",
                 (int)strlen(MARK) - 1, MARK);
    }
    buf_release(&made);
}

/* --- each route with each role --- */

/* The path with "x" in place of each {name}. */
static void path_fill(const char *from, const char *end, char *out, size_t size)
{
    size_t n = 0;
    for (; from < end; from++) {
        assert_true(n + 2 < size);
        if (*from == '{') {
            out[n++] = 'x';
            from = strchr(from, '}');
            assert_non_null(from);
        } else {
            out[n++] = *from;
        }
    }
    out[n] = '\0';
}

static void must_be(bool permitted, unsigned role, const char *method, const char *path,
                    const char *permission)
{
    int status = world_ask_as(&w, bearers[role], method, path, slice_of(NULL, 0));
    if ((status == 403) == permitted) {
        fail_msg("%s %s as %s: %d", method, path, token_role_at(role)->name, status);
    }
    assert_int_not_equal(status, 401);
    assert_int_not_equal(status, 405);
    if (!permitted) {
        assert_string_equal(world_text(&w, "code"), "DENIED");
        assert_string_equal(world_text(&w, "permission"), permission);
        assert_string_equal(world_text(&w, "role"), token_role_at(role)->name);
        assert_non_null(strstr(world_text(&w, "detail"), permission));
    }
}

/* One row of the page: | `GET /v1/x/{y}` | `x.read`... | yes | ... */
static void row_check(const char *line)
{
    char method[8], path[128], permission[64];
    const char *slash = strchr(line, '/'), *end = strchr(line + 3, '`');
    assert_int_equal(sscanf(line, "| `%7s ", method), 1);
    path_fill(slash, end, path, sizeof(path));
    assert_int_equal(sscanf(end, "` | `%63[^`]", permission), 1);
    const char *cell = strchr(end + 3, '|') + 1;
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        must_be(strncmp(cell, " yes |", 6) == 0, role, method, path, permission);
        cell = strchr(cell, '|') + 1;
    }
    assert_int_equal(*cell, '\n');
}

static void every_route_answers_every_role_as_the_page_says(void **state)
{
    const char *line = strstr(page(), "## Routes");
    size_t rows = 0;
    (void)state;
    assert_non_null(line);
    size_t before = w.proposals;
    for (line = strstr(line, "\n| `"); line != NULL; line = strstr(line + 1, "\n| `"), rows++) {
        row_check(line + 1);
    }
    assert_true(rows > 60);
    assert_true(w.proposals >= before);
}

static void a_refused_request_changes_nothing(void **state)
{
    (void)state;
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        size_t before = w.proposals;
        int status = world_ask_as(&w, bearers[role], "POST", "/v1/tokens",
                                  SLICE_LITERAL("{\"name\": \"mine\", \"role\": \"admin\"}"));
        assert_int_equal(status, role == ROLE_ADMIN ? 201 : 403);
        assert_int_equal(w.proposals - before, role == ROLE_ADMIN);
    }
    assert_int_equal(world_ask(&w, "DELETE", "/v1/tokens/mine", NULL), 200);
    /* Not even what is wrong with the request, or that there is no such thing. */
    assert_int_equal(
        world_ask_as(&w, bearers[ROLE_AUDITOR], "POST", "/v1/keys", SLICE_LITERAL("{\"data\": 1}")), 403);
    assert_int_equal(world_ask_as(&w, bearers[ROLE_HELPDESK], "DELETE", "/v1/keys/00", slice_of(NULL, 0)),
                     403);
}

/* --- settings --- */

static void settings_ask_for_their_area(void **state)
{
    static const struct {
        const char *setting, *value, *permission;
        unsigned roles;
    } cases[] = {
        {"encrypt.mode", "mandatory", "setting.write.policy", 1u << ROLE_ADMIN | 1u << ROLE_SECURITY},
        {"encrypt.also_to", "", "setting.write.trust", 1u << ROLE_ADMIN | 1u << ROLE_SECURITY},
        {"smime.digest", "sha384", "setting.write.format", 1u << ROLE_ADMIN | 1u << ROLE_SECURITY},
        {"smime.aia", "no", "setting.write.trust", 1u << ROLE_ADMIN | 1u << ROLE_SECURITY},
        {"relay.unknown_sender", "pass", "setting.write.policy", 1u << ROLE_ADMIN | 1u << ROLE_SECURITY},
        {"smtp.max_size", "10M", "setting.write.transport", 1u << ROLE_ADMIN | 1u << ROLE_OPERATOR},
        {"trace.max_size", "2G", "setting.write.operation", 1u << ROLE_ADMIN | 1u << ROLE_OPERATOR},
        {"log.subjects", "no", "setting.write.policy", 1u << ROLE_ADMIN | 1u << ROLE_SECURITY},
        {"cluster.when_stale", "defer", "setting.write.policy", 1u << ROLE_ADMIN | 1u << ROLE_SECURITY},
    };
    char path[128], body[64];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned role = 0; role < ROLE_COUNT; role++) {
            bool permitted = (cases[i].roles & 1u << role) != 0;
            bool writes = role <= ROLE_OPERATOR; /* some area at least */
            const char *missing = writes ? cases[i].permission : "setting.write";
            size_t before = w.proposals;
            assert_true(snprintf(path, sizeof(path), "/v1/settings/%s", cases[i].setting) > 0);
            assert_true(snprintf(body, sizeof(body), "{\"value\": \"%s\"}", cases[i].value) > 0);
            int status = world_ask_as(&w, bearers[role], "PUT", path, slice_of_text(body));
            if (status != (permitted ? 200 : 403)) {
                fail_msg("%s as %s: %d %s", path, token_role_at(role)->name, status, w.text);
            }
            must_be(permitted, role, "DELETE", path, missing);
            assert_int_equal(w.proposals - before, permitted ? 2 : 0);
        }
    }
    /* Who may write some settings learns that there is none of that name. */
    assert_int_equal(
        world_ask_as(&w, bearers[ROLE_OPERATOR], "DELETE", "/v1/settings/encrypt.mod", slice_of(NULL, 0)),
        404);
}

static void every_setting_has_one_role_beside_admin(void **state)
{
    const struct setting *s;
    (void)state;
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        const struct permission *p = permission_find(s->permission);
        assert_non_null(p);
        assert_true(p->roles == 1u << ROLE_SECURITY || p->roles == 1u << ROLE_OPERATOR);
    }
}

/* --- tokens --- */

static void tokens_are_told_without_what_signs_in(void **state)
{
    char secret[128];
    (void)state;
    assert_int_equal(world_ask(&w, "POST", "/v1/tokens", "{\"name\": \"desk 2\", \"role\": \"helpdesk\"}"),
                     201);
    assert_string_equal(world_text(&w, "role"), "helpdesk");
    assert_true(snprintf(secret, sizeof(secret), "%s", world_text(&w, "token")) > 20);
    assert_int_equal(world_ask(&w, "GET", "/v1/tokens", NULL), 200);
    assert_null(strstr(w.text, secret));
    assert_null(strstr(w.text, "hash"));
    assert_int_equal(json_array_size(world_json(&w, "items")), ROLE_COUNT + 2);
    assert_string_equal(world_text(&w, "items.0.name"), "admin"); /* by name */
    assert_string_equal(world_text(&w, "items.2.name"), "desk 2");
    assert_string_equal(world_text(&w, "items.2.role"), "helpdesk");
    assert_string_equal(world_text(&w, "items.2.added_by"), "token:tester");
    assert_true(json_is_string(world_json(&w, "items.2.added")));
    assert_true(json_is_null(world_json(&w, "items.2.expires")));
    assert_true(json_is_false(world_json(&w, "items.2.expired")));
    assert_int_equal(world_ask(&w, "POST", "/v1/tokens", "{\"name\": \"desk 2\", \"role\": \"auditor\"}"),
                     409);
    assert_int_equal(world_ask(&w, "DELETE", "/v1/tokens/desk%202", NULL), 200);
}

static void the_last_administrator_stays(void **state)
{
    (void)state;
    assert_int_equal(world_ask(&w, "DELETE", "/v1/tokens/admin", NULL), 200);
    assert_int_equal(world_ask(&w, "POST", "/v1/tokens",
                               "{\"name\": \"guest\", \"role\": \"admin\", \"lifetime_days\": 1}"),
                     201);
    assert_int_equal(world_ask(&w, "DELETE", "/v1/tokens/tester", NULL), 409);
    assert_non_null(strstr(world_text(&w, "detail"), "never expires"));
    assert_int_equal(world_ask(&w, "DELETE", "/v1/tokens/guest", NULL), 200);
    assert_int_equal(world_ask(&w, "DELETE", "/v1/tokens/tester", NULL), 409);
    assert_int_equal(world_ask(&w, "GET", "/v1/tokens", NULL), 200); /* it still signs in */
}

static void roles_sign_in(void)
{
    char body[96];
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        const char *name = token_role_at(role)->name;
        assert_true(snprintf(body, sizeof(body), "{\"name\": \"%s\", \"role\": \"%s\"}", name, name) > 0);
        assert_int_equal(world_ask(&w, "POST", "/v1/tokens", body), 201);
        assert_true(snprintf(bearers[role], sizeof(bearers[role]), "Bearer %s", world_text(&w, "token")) > 0);
    }
}

static int begin(void **state)
{
    (void)state;
    api_world_begin(&w);
    roles_sign_in();
    return 0;
}

static int end(void **state)
{
    (void)state;
    api_world_end(&w);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_has_the_tables),
        TEST(every_route_answers_every_role_as_the_page_says),
        TEST(a_refused_request_changes_nothing),
        TEST(settings_ask_for_their_area),
        cmocka_unit_test(every_setting_has_one_role_beside_admin),
        TEST(tokens_are_told_without_what_signs_in),
        TEST(the_last_administrator_stays),
    };
    if (argc == 2 && strcmp(argv[1], "--tables") == 0) {
        struct buf out = BUF_INIT(1 << 16);
        tables_append(&out);
        printf("%.*s", SLICE_ARGS(buf_slice(&out)));
        buf_release(&out);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
