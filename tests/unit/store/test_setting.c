/* Settings: what is accepted and what it becomes, inheritance, and the nearest name. */
#include "test_support.h"

static void every_default_is_canonical_in_itself(void **state)
{
    const struct setting *s;

    (void)state;
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        struct buf out = BUF_INIT(SETTING_VALUE_MAX);
        struct failure f = {0};

        if (setting_canonical(s, slice_of_text(s->default_text), &out, &f) != STATUS_OK)
            fail_msg("%s: %s", s->name, f.text);
        assert_true(setting_find(slice_of_text(s->name)) == s);
        buf_release(&out);
    }
}

static void values_are_judged(void **state)
{
    static const struct {
        const char *name, *value, *canonical; /* NULL: refused */
    } table[] = {
        {"encrypt.mode", "Mandatory", "mandatory"},
        {"encrypt.mode", "always", NULL},
        {"smtp.max_size", "50M", "52428800"},
        {"smtp.max_size", "12", NULL},
        {"smtp.max_size", "99999999999999999999G", NULL},
        {"smtp.max_size", "-1", NULL},
        {"delivery.retry", "1m, 5m 2h", "1m,5m,2h"},
        {"delivery.retry", "", NULL},
        {"delivery.retry", "5", NULL},
        {"relay.networks", "127.0.0.0/8 2001:db8::/32", "127.0.0.0/8,2001:db8::/32"},
        {"relay.networks", "127.0.0.0/33", NULL},
        {"relay.networks", "localhost", NULL},
        {"delivery.next_hop", "mail.example.org:25,[::1]:2525", "mail.example.org:25,[::1]:2525"},
        {"delivery.next_hop", "mail example:99999", NULL},
        {"smime.enabled", "on", "yes"},
        {"smime.enabled", "perhaps", NULL},
        {"smtp.max_recipients", "10\r\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct buf out = BUF_INIT(SETTING_VALUE_MAX);
        struct failure f = {0};
        enum status status = setting_canonical(setting_find(slice_of_text(table[i].name)),
                                               slice_of_text(table[i].value), &out, &f);

        if (table[i].canonical == NULL) {
            assert_int_not_equal(status, STATUS_OK);
            assert_non_null(strstr(f.text, table[i].name));
        } else if (status != STATUS_OK || !slice_equal(buf_slice(&out), slice_of_text(table[i].canonical))) {
            fail_msg("%s = %s: %s", table[i].name, table[i].value, f.text);
        }
        buf_release(&out);
    }
}

static void check(struct store *store, const char *name, const char *address, const char *value,
                  enum setting_level level, const char *scope)
{
    struct store_view *view;
    struct setting_value found;

    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(setting_get(view, setting_find(slice_of_text(name)), slice_of_text(address), &found),
                     STATUS_OK);
    if (!slice_equal(found.text, slice_of_text(value)) || found.level != level ||
        !slice_equal(found.scope, slice_of_text(scope)))
        fail_msg("%s for %s: %.*s from %s %.*s", name, address, SLICE_ARGS(found.text),
                 setting_level_name(found.level), SLICE_ARGS(found.scope));
    store_view_end(view);
}

static void the_most_specific_level_wins(void **state)
{
    char dir[64];
    struct store *store;
    const struct {
        uint64_t level;
        const char *scope, *value;
    } set[] = {
        {SETTING_GLOBAL, "", "none"},
        {SETTING_DOMAIN, "*.example.org", "opportunistic"},
        {SETTING_DOMAIN, "sub.example.org", "mandatory"},
        {SETTING_USER, "Eve@Sub.Example.org", "request"},
    };

    (void)state;
    temporary_folder(dir);
    store = open_writer(dir);
    check(store, "encrypt.mode", "a@b.c", "opportunistic", SETTING_FACTORY, "");
    for (unsigned i = 0; i < 4; i++) {
        struct command c = setting_command(set[i].level, set[i].scope, "encrypt.mode", set[i].value);

        assert_int_equal(apply_at(store, i + 1, &c).status, STATUS_OK);
    }
    commit(store);
    check(store, "encrypt.mode", "", "none", SETTING_GLOBAL, "");
    check(store, "encrypt.mode", "a@example.org", "none", SETTING_GLOBAL, "");
    check(store, "encrypt.mode", "a@x.y.example.org", "opportunistic", SETTING_DOMAIN, "*.example.org");
    check(store, "encrypt.mode", "a@SUB.example.org", "mandatory", SETTING_DOMAIN, "sub.example.org");
    check(store, "encrypt.mode", "sub.example.org", "mandatory", SETTING_DOMAIN, "sub.example.org");
    check(store, "encrypt.mode", "eve@sub.example.org", "request", SETTING_USER, "eve@sub.example.org");
    store_close(store);
    remove_tree(dir);
}

static void networks_hold_addresses(void **state)
{
    struct setting_value v = {.setting = setting_find(SLICE_LITERAL("relay.networks")),
                              .text = SLICE_LITERAL("127.0.0.0/8,10.1.2.128/25,2001:db8::/32")};

    (void)state;
    assert_true(setting_networks_hold(&v, SLICE_LITERAL("127.3.2.1")));
    assert_true(setting_networks_hold(&v, SLICE_LITERAL("::ffff:127.3.2.1")));
    assert_true(setting_networks_hold(&v, SLICE_LITERAL("10.1.2.200")));
    assert_false(setting_networks_hold(&v, SLICE_LITERAL("10.1.2.1")));
    assert_true(setting_networks_hold(&v, SLICE_LITERAL("2001:db8:1::1")));
    assert_false(setting_networks_hold(&v, SLICE_LITERAL("2001:db9::1")));
    assert_false(setting_networks_hold(&v, SLICE_LITERAL("nonsense")));
}

static void a_slip_of_the_finger_is_recognised(void **state)
{
    (void)state;
    assert_string_equal(setting_nearest(SLICE_LITERAL("encrypt.mod")), "encrypt.mode");
    assert_null(setting_nearest(SLICE_LITERAL("something.else.altogether")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_canonical_in_itself), cmocka_unit_test(values_are_judged),
        cmocka_unit_test(the_most_specific_level_wins),         cmocka_unit_test(networks_hold_addresses),
        cmocka_unit_test(a_slip_of_the_finger_is_recognised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
