/* Settings: what is accepted and what it becomes, inheritance, and the nearest name. */
#include "test_support.h"

#include "store/permission.h"

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
        {"delivery.next_hop", "", ""},
        {"cert.lookup", "", ""},
        {"cert.lookup",
         " ldap://d.example/o=X?userCertificate;binary?sub?(mail=%s)   ldaps://[::1]:9/?c?one?(m=%s) ",
         "ldap://d.example/o=X?userCertificate;binary?sub?(mail=%s) ldaps://[::1]:9/?c?one?(m=%s)"},
        {"cert.lookup", "ldap://d.example/o=X?userCertificate;binary?sub?(mail=a@b.c)", NULL},
        {"cert.lookup", "ldap://d.example/o=X?userCertificate;binary?sub?(|(mail=%s)(mail=%s))", NULL},
        {"cert.lookup", "ldap://d.example/o=X?userCertificate;binary?sub?(mail=%s)?bindname=x", NULL},
        {"cert.lookup", "ldap://d.example/o=%s?userCertificate;binary?sub?(mail=%s)", NULL},
        {"cert.lookup", "ldap://d.example/o=X??sub?(mail=%s)", NULL},
        {"cert.lookup", "ldap://d.example/o=X?c?tree?(mail=%s)", NULL},
        {"cert.lookup", "ldap://user:secret@d.example/o=X?c?sub?(mail=%s)", NULL},
        {"cert.lookup", "ldap:///o=X?c?sub?(mail=%s)", NULL},
        {"cert.lookup", "http://d.example/?c?sub?(mail=%s)", NULL},
        {"cert.lookup", "ldap://d.example/o=X?c?sub?(mail=%s%)", NULL},
        {"fetch.allow_networks", "10.0.0.0/8", "10.0.0.0/8"},
        {"smime.aia", "off", "no"},
        {"delivery.next_hop", " , ", ""},
        {"delivery.next_hop", "[mail]:25", NULL},
        {"relay.networks", "", ""},
        {"relay.networks", "::/0", "::/0"},
        {"relay.networks", "10.0.0.0/", NULL},
        {"relay.networks", "10.0.0/8", NULL},
        {"relay.networks", "10.0.0.0/08x", NULL},
        {"smtp.max_size", "  64k ", "65536"},
        {"smtp.max_size", "18014398509481984G", NULL},
        {"smtp.max_recipients", "0", NULL},
        {"smtp.max_recipients", "10001", NULL},
        {"smtp.command_timeout", "500ms", NULL},
        {"smtp.command_timeout", "90", NULL},
        {"delivery.expire", "1s", "1s"},
        {"delivery.expire", "31d", NULL},
        {"smime.enabled", "on", "yes"},
        {"encrypt.methods", "SMIME-domain, smime", "smime-domain,smime"},
        {"encrypt.methods", "smime,smime", NULL},
        {"encrypt.methods", "smime,fax", NULL},
        {"encrypt.methods", "", ""},
        {"trigger.subject.encrypt", " [encrypt] ,  secret mail", "[encrypt],secret mail"},
        {"trigger.subject.encrypt", "/a, b\\/c/, [x]", "/a, b\\/c/,[x]"},
        {"trigger.subject.encrypt", "/open", NULL},
        {"trigger.subject.encrypt", "//", NULL},
        {"trigger.subject.encrypt", "/a/i", NULL},
        {"trigger.subject.encrypt", ", ,", ""},
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

/* Resolving all settings at once finds each as the look-up of one does. */
static void resolves_alike(struct store_view *view, struct slice address, const struct setting_values *base)
{
    static struct setting_values all;
    struct setting_value one;

    assert_int_equal(settings_resolve(view, address, base, &all), STATUS_OK);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        assert_int_equal(setting_get(view, setting_at(i), address, &one), STATUS_OK);
        if (all.of[i].setting != one.setting || all.of[i].level != one.level ||
            !slice_equal(all.of[i].text, one.text) || !slice_equal(all.of[i].scope, one.scope))
            fail_msg("%s for %.*s: %.*s from %s %.*s", one.setting->name, SLICE_ARGS(address),
                     SLICE_ARGS(all.of[i].text), setting_level_name(all.of[i].level),
                     SLICE_ARGS(all.of[i].scope));
    }
}

static void check(struct store *store, const char *name, const char *address, const char *value,
                  enum setting_level level, const char *scope)
{
    static struct setting_values base;
    struct store_view *view;
    struct setting_value found;

    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    resolves_alike(view, slice_of_text(address), NULL);
    assert_int_equal(settings_resolve(view, (struct slice){0}, NULL, &base), STATUS_OK);
    resolves_alike(view, slice_of_text(address), &base);
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
    struct failure f = {0};

    (void)state;
    assert_string_equal(setting_nearest(SLICE_LITERAL("encrypt.mod")), "encrypt.mode");
    assert_null(setting_nearest(SLICE_LITERAL("something.else.altogether")));
    assert_null(setting_named(SLICE_LITERAL("encrypt.mod"), &f));
    assert_string_equal(f.text, "there is no setting encrypt.mod; did you mean encrypt.mode?");
    assert_null(setting_named(SLICE_LITERAL("something.else"), &f));
    assert_string_equal(f.text, "there is no setting something.else");
}

static void the_table_is_sound(void **state)
{
    const struct setting *s, *other;

    (void)state;
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        assert_true(strlen(s->name) < 64 && strchr(s->name, '.') != NULL);
        assert_true(s->levels != 0 && s->permission != NULL && strlen(s->help) > 20);
        assert_true(s->cost != NULL && strlen(s->cost) >= 20 && strlen(s->cost) < 250);
        assert_true(strncmp(s->permission, "setting.write.", 14) == 0 &&
                    permission_find(s->permission) != NULL);
        assert_true(s->since >= 1 && s->since <= COMMAND_SET_VERSION);
        assert_true(s->side != SETTING_OF_NODE || s->levels == SETTING_AT_GLOBAL); /* a node has no domain */
        if (s->type == SETTING_CHOICE || s->type == SETTING_BOOL || s->type == SETTING_CHOICES)
            assert_non_null(strchr(s->choices, '|'));
        else
            assert_true(s->choices == NULL && s->min <= s->max);
        for (size_t j = 0; (other = setting_at(j)) != s; j++)
            assert_string_not_equal(other->name, s->name);
    }
}

static void an_older_node_is_not_told_what_it_does_not_know(void **state)
{
    static const struct {
        const char *name;
        uint64_t cluster_set;
        enum status status;
    } cases[] = {
        {"encrypt.mode", 1, STATUS_OK},       {"encrypt.mode", 2, STATUS_OK},
        {"smime.aia", 1, STATUS_UNSUPPORTED}, {"smime.aia", 2, STATUS_OK},
        {"no.such.setting", 1, STATUS_OK}, /* refused elsewhere, with a better text */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct command c = setting_command(SETTING_GLOBAL, "", cases[i].name, "no");
        struct failure f = {0};

        assert_int_equal(command_supported(&c, cases[i].cluster_set, &f), cases[i].status);
        c.number = COMMAND_SETTING_UNSET;
        assert_int_equal(command_supported(&c, cases[i].cluster_set, NULL), cases[i].status);
        if (cases[i].status != STATUS_OK)
            assert_non_null(strstr(f.text, "do not know the setting smime.aia: update them first"));
    }
    struct command c = {.number = COMMAND_CERT_STATE, .version = 2};
    assert_int_equal(command_supported(&c, 1, NULL), STATUS_UNSUPPORTED);
    assert_int_equal(command_supported(&c, 2, NULL), STATUS_OK);
}

/* What is set for a domain holds for every way of writing an address there. */
static void odd_writing_does_not_get_round_a_domain(void **state)
{
    static const char *const addresses[] = {
        "a@bank.example",       "A@BANK.EXAMPLE",   "a@bank.example.", "\"a b\"@bank.example",
        "\"x@y\"@bank.example", "a\t@bank.example", "bank.example",    "Bank.Example."};
    struct command c = setting_command(SETTING_DOMAIN, "bank.example.", "encrypt.mode", "mandatory");
    char dir[64];
    struct store *store;

    (void)state;
    temporary_folder(dir);
    store = open_writer(dir);
    assert_int_equal(apply_at(store, 1, &c).status, STATUS_OK);
    commit(store);
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
        check(store, "encrypt.mode", addresses[i], "mandatory", SETTING_DOMAIN, "bank.example");
    check(store, "encrypt.mode", "a@notbank.example", "opportunistic", SETTING_FACTORY, "");
    check(store, "encrypt.mode", "a@sub.bank.example", "opportunistic", SETTING_FACTORY, "");
    check(store, "encrypt.mode", "bank.example@x", "opportunistic", SETTING_FACTORY, "");
    store_close(store);
    remove_tree(dir);
}

static bool count_setting(void *context, const struct setting_value *value)
{
    assert_non_null(value->setting);
    ++*(size_t *)context;
    return true;
}

static void a_domain_takes_its_settings_with_it(void **state)
{
    char dir[64];
    struct store *store;
    struct store_view *view;
    struct command c;
    struct setting_value value;
    struct domain_record domain;
    struct user_record user;
    size_t count = 0;
    const struct setting *mode = setting_find(SLICE_LITERAL("encrypt.mode"));

    (void)state;
    temporary_folder(dir);
    store = open_writer(dir);
    c = setting_command(SETTING_DOMAIN, "Example.org", "encrypt.mode",
                        "none"); /* the domain appears by itself */
    assert_int_equal(apply_at(store, 1, &c).status, STATUS_OK);
    c = setting_command(SETTING_DOMAIN, "example.org", "sign.mode", "always");
    assert_int_equal(apply_at(store, 2, &c).status, STATUS_OK);
    c = setting_command(SETTING_DOMAIN, "example.orga", "encrypt.mode", "none");
    assert_int_equal(apply_at(store, 3, &c).status, STATUS_OK);
    c = setting_command(SETTING_USER, "A@example.org", "encrypt.mode", "request");
    assert_int_equal(apply_at(store, 4, &c).status, STATUS_OK);
    c = simple_command(COMMAND_DOMAIN_ADD, 7, SLICE_LITERAL("example.org"));
    assert_int_equal(apply_at(store, 5, &c).status, STATUS_EXISTS);
    commit(store);
    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_domain_get(view, SLICE_LITERAL("EXAMPLE.org"), &domain), STATUS_OK);
    assert_true(slice_equal(domain.name,
                            SLICE_LITERAL("example.org"))); /* as it is stored, not as it was asked for */
    assert_int_equal(domain.added_ms, 1000);
    assert_int_equal(store_user_get(view, SLICE_LITERAL("a@EXAMPLE.org"), &user), STATUS_OK);
    assert_true(slice_equal(user.address, SLICE_LITERAL("a@example.org")));
    assert_int_equal(setting_get_exact(view, mode, SETTING_DOMAIN, SLICE_LITERAL("EXAMPLE.ORG"), &value),
                     STATUS_OK);
    assert_true(slice_equal(value.scope, SLICE_LITERAL("example.org")));
    assert_int_equal(setting_get_exact(view, mode, SETTING_GLOBAL, (struct slice){0}, &value),
                     STATUS_NOT_FOUND);
    assert_int_equal(settings_all(view, count_setting, &count), STATUS_OK);
    assert_int_equal(count, 4);
    store_view_end(view);

    c = simple_command(COMMAND_DOMAIN_REMOVE, 8, SLICE_LITERAL("example.org"));
    assert_int_equal(apply_at(store, 6, &c).status, STATUS_OK);
    commit(store);
    check(store, "encrypt.mode", "x@example.org", "opportunistic", SETTING_FACTORY, "");
    check(store, "sign.mode", "x@example.org", "with-encryption", SETTING_FACTORY, "");
    check(store, "encrypt.mode", "x@example.orga", "none", SETTING_DOMAIN,
          "example.orga"); /* a neighbour stays */
    check(store, "encrypt.mode", "a@example.org", "request", SETTING_USER,
          "a@example.org"); /* and so does the user */
    c = simple_command(COMMAND_USER_REMOVE, 9, SLICE_LITERAL("a@example.org"));
    assert_int_equal(apply_at(store, 7, &c).status, STATUS_OK);
    commit(store);
    check(store, "encrypt.mode", "a@example.org", "opportunistic", SETTING_FACTORY, "");

    c = simple_command(COMMAND_DOMAIN_ADD, 10, SLICE_LITERAL("example.org"));
    c.values[1].bytes = SLICE_LITERAL("internal");
    assert_int_equal(apply_at(store, 8, &c).status, STATUS_OK);
    commit(store);
    check(store, "domain.locality", "x@example.org", "internal", SETTING_DOMAIN, "example.org");
    c = setting_command(SETTING_DOMAIN, "example.org", "domain.locality", "external");
    c.number = COMMAND_SETTING_UNSET;
    assert_int_equal(apply_at(store, 9, &c).status, STATUS_OK);
    command_init(&c, COMMAND_SETTING_UNSET, 11, SLICE_LITERAL("test"));
    c.values[0].number = SETTING_DOMAIN;
    c.values[1].bytes = SLICE_LITERAL("example.org");
    c.values[2].bytes = SLICE_LITERAL("domain.locality");
    assert_int_equal(apply_at(store, 10, &c).status, STATUS_NOT_FOUND); /* it is inherited already */
    commit(store);
    check(store, "domain.locality", "x@example.org", "external", SETTING_FACTORY, "");
    store_close(store);
    remove_tree(dir);
}

static struct setting_value value_of(const char *name, const char *text)
{
    return (struct setting_value){.setting = setting_find(slice_of_text(name)), .text = slice_of_text(text)};
}

static void canonical_texts_are_read_by_type(void **state)
{
    struct setting_value v = value_of("delivery.next_hop", "mx1.example.org:2525,[2001:db8::1],mx2");
    struct slice host;
    uint16_t port = 1;

    (void)state;
    assert_true(setting_host_at(&v, 0, &host, &port));
    assert_true(slice_equal(host, SLICE_LITERAL("mx1.example.org")) && port == 2525);
    assert_true(setting_host_at(&v, 1, &host, &port));
    assert_true(slice_equal(host, SLICE_LITERAL("2001:db8::1")) && port == 0);
    assert_true(setting_host_at(&v, 2, &host, &port));
    assert_false(setting_host_at(&v, 3, &host, &port));
    v = value_of("delivery.next_hop", "");
    assert_false(setting_host_at(&v, 0, &host, &port));
    v = value_of("delivery.retry", "500ms,30s,10m,4h,5d");
    assert_int_equal(setting_duration_at(&v, 0), 500);
    assert_int_equal(setting_duration_at(&v, 2), 600000);
    assert_int_equal(setting_duration_at(&v, 4), 432000000);
    assert_int_equal(setting_duration_at(&v, 1000000), 432000000); /* the last one repeats */
    v = value_of("trigger.subject.encrypt", "[encrypt],/a,b/,two words");
    assert_true(setting_text_at(&v, 1, &host) && slice_equal(host, SLICE_LITERAL("/a,b/")));
    assert_true(setting_text_at(&v, 2, &host) && slice_equal(host, SLICE_LITERAL("two words")));
    assert_false(setting_text_at(&v, 3, &host));
    v = value_of("encrypt.methods", "smime-domain,smime");
    assert_true(setting_text_at(&v, 1, &host) && slice_equal(host, SLICE_LITERAL("smime")));
    assert_false(setting_text_at(&v, 2, &host));
    v = value_of("smtp.max_size", "52428800");
    assert_int_equal(setting_number(&v), 52428800);
    v = value_of("smtp.command_timeout", "5m");
    assert_int_equal(setting_number(&v), 300000);
    v = value_of("smtp.max_recipients", "17");
    assert_int_equal(setting_number(&v), 17);
    v = value_of("smime.enabled", "yes");
    assert_true(setting_bool(&v));
    assert_int_equal(setting_choice(&v), 1);
    v = value_of("encrypt.mode", "none");
    assert_int_equal(setting_choice(&v), 0);
    v = value_of("encrypt.mode", "mandatory");
    assert_int_equal(setting_choice(&v), 3);
    v = value_of("encrypt.mode", "of-a-newer-release"); /* what is not known counts as the strictest */
    assert_int_equal(setting_choice(&v), 3);
}

static void lists_have_an_end(void **state)
{
    struct buf list = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    const struct setting *networks = setting_find(SLICE_LITERAL("relay.networks"));
    struct failure f = {0};

    (void)state;
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(buf_printf(&list, "10.%u.0.0/16 ", i), STATUS_OK);
    assert_int_equal(setting_canonical(networks, buf_slice(&list), &out, &f), STATUS_OK);
    assert_int_equal(buf_append_text(&list, "::1"), STATUS_OK);
    assert_int_equal(setting_canonical(networks, buf_slice(&list), &out, &f), STATUS_INVALID);
    while (list.len <= SETTING_VALUE_MAX)
        assert_int_equal(buf_append_text(&list, ",::1"), STATUS_OK);
    assert_int_equal(setting_canonical(networks, buf_slice(&list), &out, &f), STATUS_TOO_LARGE);
    buf_release(&list);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_canonical_in_itself),
        cmocka_unit_test(values_are_judged),
        cmocka_unit_test(the_most_specific_level_wins),
        cmocka_unit_test(networks_hold_addresses),
        cmocka_unit_test(a_slip_of_the_finger_is_recognised),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(an_older_node_is_not_told_what_it_does_not_know),
        cmocka_unit_test(odd_writing_does_not_get_round_a_domain),
        cmocka_unit_test(a_domain_takes_its_settings_with_it),
        cmocka_unit_test(canonical_texts_are_read_by_type),
        cmocka_unit_test(lists_have_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
