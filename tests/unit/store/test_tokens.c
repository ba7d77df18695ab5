/* API tokens in the store: their rows, old and new, and the administrator who cannot be removed. */
#include "test_support.h"

#include "store/permission.h"
#include "store/records.h"

#define NOW 1000000

static struct command grant(enum command_number number, uint8_t seed, const char *name, const char *role,
                            uint64_t expires_ms, uint8_t hash[32])
{
    struct command c;

    memset(hash, seed, 32);
    command_init(&c, number, NOW, SLICE_LITERAL("token:boss"));
    c.values[0].bytes = slice_of(hash, 32);
    c.values[1].bytes = slice_of_text(name);
    c.values[2].bytes = slice_of_text(role);
    c.values[3].number = expires_ms;
    return c;
}

static bool collect(void *context, const struct api_token_record *record)
{
    char *text = context;
    size_t n = strlen(text);

    assert_true(snprintf(text + n, 512 - n, "%.*s %.*s %lu %lu %.*s;", SLICE_ARGS(record->name),
                         SLICE_ARGS(record->role), (unsigned long)record->expires_ms,
                         (unsigned long)record->added_ms, SLICE_ARGS(record->added_by)) < (int)(512 - n));
    return true;
}

static void rows_tell_who_made_them(void **state)
{
    char dir[64], text[512] = "";
    uint8_t hash[32];
    struct store *store;
    struct command c;
    struct store_view *view;
    struct api_token_record record;

    (void)state;
    temporary_folder(dir);
    store = open_writer(dir);
    c = grant(COMMAND_API_TOKEN_ADD, 1, "first", "admin", 0, hash); /* as older releases wrote it */
    assert_int_equal(apply_at(store, 1, &c).status, STATUS_OK);
    c = grant(COMMAND_API_TOKEN_GRANT, 2, "desk", "helpdesk", NOW + 5, hash);
    assert_int_equal(apply_at(store, 2, &c).status, STATUS_OK);
    c = grant(COMMAND_API_TOKEN_GRANT, 3, "desk", "auditor", 0, hash);
    assert_int_equal(apply_at(store, 3, &c).status, STATUS_EXISTS);
    c = grant(COMMAND_API_TOKEN_GRANT, 2, "other", "auditor", 0, hash);
    assert_int_equal(apply_at(store, 4, &c).status, STATUS_EXISTS);
    commit(store);
    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_api_tokens_all(view, collect, text), STATUS_OK);
    assert_string_equal(text, "first admin 0 0 ;desk helpdesk 1000005 1000000 token:boss;");
    memset(hash, 1, sizeof(hash));
    assert_int_equal(store_api_token_get(view, hash, &record), STATUS_OK);
    assert_true(slice_equal(record.role, SLICE_LITERAL("admin")));
    store_view_end(view);
    store_close(store);
    remove_tree(dir);
}

/* Beside "mine" there is at most one other token; may "mine" be removed? */
static void the_last_administrator_stays(void **state)
{
    static const struct {
        const char *role;
        uint64_t expires_ms;
        const char *other; /* role; NULL: none */
        uint64_t other_expires_ms;
        enum status status;
    } cases[] = {
        {"admin", 0, NULL, 0, STATUS_CONFLICT},
        {"admin", 0, "security", 0, STATUS_CONFLICT},
        {"admin", 0, "admin", 0, STATUS_OK},
        {"admin", 0, "admin", NOW + 1, STATUS_CONFLICT}, /* it will be the last */
        {"admin", 0, "admin", NOW, STATUS_CONFLICT},
        {"admin", NOW + 5, "admin", 0, STATUS_OK},
        {"admin", NOW + 5, "admin", NOW + 1, STATUS_OK},
        {"admin", NOW + 5, "admin", NOW, STATUS_CONFLICT}, /* it has ended */
        {"admin", NOW + 5, "auditor", 0, STATUS_CONFLICT},
        {"security", 0, NULL, 0, STATUS_OK},
        {"auditor", 0, "admin", 0, STATUS_OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char dir[64];
        uint8_t hash[32];
        struct store *store;
        struct command c;
        struct apply_result r;

        temporary_folder(dir);
        store = open_writer(dir);
        c = grant(COMMAND_API_TOKEN_GRANT, 1, "mine", cases[i].role, cases[i].expires_ms, hash);
        assert_int_equal(apply_at(store, 1, &c).status, STATUS_OK);
        if (cases[i].other != NULL) {
            c = grant(COMMAND_API_TOKEN_GRANT, 2, "other", cases[i].other, cases[i].other_expires_ms, hash);
            assert_int_equal(apply_at(store, 2, &c).status, STATUS_OK);
        }
        c = simple_command(COMMAND_API_TOKEN_REVOKE, NOW, SLICE_LITERAL("mine"));
        r = apply_at(store, 3, &c);
        if (r.status != cases[i].status)
            fail_msg("case %zu: %s", i, r.failure.text);
        c = simple_command(COMMAND_API_TOKEN_REVOKE, NOW, SLICE_LITERAL("mine"));
        assert_int_equal(apply_at(store, 4, &c).status,
                         cases[i].status == STATUS_OK ? STATUS_NOT_FOUND : STATUS_CONFLICT);
        store_close(store);
        remove_tree(dir);
    }
}

static void they_are_bounded(void **state)
{
    char dir[64], name[16];
    uint8_t hash[32];
    struct store *store;
    struct command c;

    (void)state;
    temporary_folder(dir);
    store = open_writer(dir);
    for (unsigned i = 0; i <= API_TOKENS_MAX; i++) {
        assert_true(snprintf(name, sizeof(name), "t%u", i) > 0);
        c = grant(COMMAND_API_TOKEN_GRANT, 1, name, "auditor", 0, hash);
        memcpy(hash, &i, sizeof(i));
        assert_int_equal(apply_at(store, i + 1, &c).status,
                         i < API_TOKENS_MAX ? STATUS_OK : STATUS_TOO_LARGE);
    }
    store_close(store);
    remove_tree(dir);
}

/* A node that does not know them would apply them otherwise, or not at all. */
static void older_nodes_do_not_get_them(void **state)
{
    uint8_t hash[32];
    struct failure f = {0};
    struct command c = grant(COMMAND_API_TOKEN_GRANT, 1, "desk", "helpdesk", 0, hash);

    (void)state;
    assert_int_equal(command_supported(&c, 1, &f), STATUS_UNSUPPORTED);
    assert_int_equal(command_supported(&c, 2, &f), STATUS_OK);
    c = simple_command(COMMAND_API_TOKEN_REVOKE, NOW, SLICE_LITERAL("desk"));
    assert_int_equal(command_supported(&c, 1, &f), STATUS_UNSUPPORTED);
}

static void roles_hold_what_the_table_says(void **state)
{
    const struct permission *p, *other;
    size_t count = 0;
    const char *choices = ROLE_NAME_CHOICES;

    (void)state;
    for (; (p = permission_at(count)) != NULL; count++) {
        bool reads = strstr(p->name, ".read") != NULL;

        assert_true(permission_find(p->name) == p);
        assert_true(p->roles < 1u << ROLE_COUNT && role_permits(SLICE_LITERAL("admin"), p->name));
        assert_true(strlen(p->help) > 5 && strchr(p->help, '|') == NULL);
        /* An auditor reads all of it and does nothing else. */
        assert_int_equal((p->roles & 1u << ROLE_AUDITOR) != 0,
                         reads || strcmp(p->name, "policy.explain") == 0);
        for (size_t j = 0; (other = permission_at(j)) != p; j++)
            assert_string_not_equal(other->name, p->name);
    }
    assert_true(count > 20);
    assert_false(role_permits(SLICE_LITERAL("admin"), "no.such"));
    assert_false(role_permits(SLICE_LITERAL(""), "cluster.read"));
    assert_false(role_permits(SLICE_LITERAL("Admin"), "cluster.read"));
    assert_false(role_permits(SLICE_LITERAL("admin "), "cluster.read"));
    assert_true(role_permits(SLICE_LITERAL("helpdesk"), "queue.release"));
    assert_false(role_permits(SLICE_LITERAL("helpdesk"), "queue.write"));
    assert_false(role_permits(SLICE_LITERAL("security"), "token.write"));
    assert_false(role_permits(SLICE_LITERAL("security"), "node.write"));
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        size_t length = strlen(token_role_at(i)->name);

        assert_true(length <= ROLE_NAME_MAX && strncmp(choices, token_role_at(i)->name, length) == 0);
        assert_int_equal(choices[length], i + 1 < ROLE_COUNT ? '|' : '\0');
        choices += length + (i + 1 < ROLE_COUNT);
        assert_non_null(strstr(ROLE_NAME_LIST, token_role_at(i)->name));
    }
    assert_null(token_role_at(ROLE_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_tell_who_made_them),
        cmocka_unit_test(the_last_administrator_stays),
        cmocka_unit_test(they_are_bounded),
        cmocka_unit_test(older_nodes_do_not_get_them),
        cmocka_unit_test(roles_hold_what_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
