/* DKIM keys in the store: a key signs from when it is activated, and one of each algorithm at a time. */
#include "store_world.h"

#include "store/records_dkim.h"

#define OURS SLICE_LITERAL("ours.example")

static const uint8_t id[DKIM_KEY_ID_SIZE] = {7};

static enum status add(struct world *w, const char *domain, const char *selector, enum dkim_algorithm how)
{
    struct command c = simple_command(COMMAND_DKIM_ADD, 10, slice_of_text(domain));

    c.values[1].bytes = slice_of_text(selector);
    c.values[2].number = how;
    c.values[3].number = 2048;
    c.values[4].bytes = slice_of(id, sizeof(id));
    c.values[5].bytes = SLICE_LITERAL("public");
    c.values[6].bytes = SLICE_LITERAL("sealed");
    return run(w, &c);
}

static enum status become(struct world *w, const char *selector, uint64_t state)
{
    struct command c = simple_command(COMMAND_DKIM_STATE, 20, OURS);

    c.values[1].bytes = slice_of_text(selector);
    c.values[2].number = state;
    return run(w, &c);
}

static enum status drop(struct world *w, const char *selector)
{
    struct command c = simple_command(COMMAND_DKIM_REMOVE, 30, OURS);

    c.values[1].bytes = slice_of_text(selector);
    return run(w, &c);
}

static enum dkim_state state_of(struct world *w, const char *selector, size_t *sealed)
{
    struct store_view *view;
    struct dkim_key_record record;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_dkim_key_get(view, OURS, slice_of_text(selector), &record), STATUS_OK);
    assert_true(slice_equal(record.domain, OURS));
    assert_true(slice_equal(record.selector, slice_of_text(selector)));
    *sealed = record.sealed_key.len;
    store_view_end(view);
    return record.state;
}

/* The selectors that sign, with a space between them. */
static const char *signers(struct world *w, struct slice domain)
{
    static char text[200];
    struct store_view *view;
    struct dkim_key_record records[DKIM_ALGORITHM_END];
    size_t count, len = 0;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_dkim_active(view, domain, records, &count), STATUS_OK);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", i > 0 ? " " : "",
                                SLICE_ARGS(records[i].selector));
    store_view_end(view);
    return text;
}

static void a_key_signs_from_when_it_is_activated(void **state)
{
    struct world *w = *state;
    size_t sealed;

    assert_string_equal(signers(w, OURS), "");
    assert_int_equal(add(w, "ours.example", "ed", DKIM_ED25519_SHA256), STATUS_OK);
    assert_int_equal(add(w, "ours.example", "one", DKIM_RSA_SHA256), STATUS_OK);
    assert_int_equal(add(w, "ours.example", "two", DKIM_RSA_SHA256), STATUS_OK);
    assert_int_equal(add(w, "ours.example", "two", DKIM_RSA_SHA256), STATUS_EXISTS);
    assert_int_equal(add(w, "ours.example.net", "one", DKIM_RSA_SHA256), STATUS_OK);
    assert_string_equal(signers(w, OURS), "");
    assert_int_equal(become(w, "one", DKIM_RESTING), STATUS_CONFLICT); /* it never signed */
    assert_int_equal(become(w, "ed", DKIM_ACTIVE), STATUS_OK);
    assert_int_equal(become(w, "one", DKIM_ACTIVE), STATUS_OK);
    assert_string_equal(signers(w, OURS), "one ed");
    assert_string_equal(signers(w, SLICE_LITERAL("ours.exampl")), "");
    assert_string_equal(signers(w, SLICE_LITERAL("ours.example.net")), "");
    assert_int_equal(become(w, "two", DKIM_ACTIVE), STATUS_OK); /* of the same algorithm: one rests */
    assert_string_equal(signers(w, OURS), "two ed");
    assert_int_equal(state_of(w, "one", &sealed), DKIM_RESTING);
    assert_int_equal(sealed, strlen("sealed"));
    assert_int_equal(drop(w, "two"), STATUS_CONFLICT);          /* it signs */
    assert_int_equal(become(w, "one", DKIM_ACTIVE), STATUS_OK); /* back */
    assert_string_equal(signers(w, OURS), "one ed");
    assert_int_equal(become(w, "one", DKIM_RETIRED), STATUS_OK);
    assert_string_equal(signers(w, OURS), "ed");
    assert_int_equal(state_of(w, "one", &sealed), DKIM_RETIRED);
    assert_int_equal(sealed, 0); /* the private key is gone */
    assert_int_equal(become(w, "one", DKIM_RETIRED), STATUS_OK);
    assert_int_equal(become(w, "one", DKIM_ACTIVE), STATUS_CONFLICT);
    assert_int_equal(drop(w, "one"), STATUS_OK);
    assert_int_equal(drop(w, "one"), STATUS_NOT_FOUND);
    assert_int_equal(become(w, "one", DKIM_ACTIVE), STATUS_NOT_FOUND);
}

static void a_domain_has_a_bounded_number_of_keys(void **state)
{
    char selector[16];

    for (int i = 0; i < DKIM_DOMAIN_KEYS; i++) {
        assert_in_range(snprintf(selector, sizeof(selector), "s%d", i), 2, 3);
        assert_int_equal(add(*state, "ours.example", selector, DKIM_RSA_SHA256), STATUS_OK);
    }
    assert_int_equal(add(*state, "ours.example", "more", DKIM_RSA_SHA256), STATUS_TOO_LARGE);
    assert_int_equal(add(*state, "other.example", "more", DKIM_RSA_SHA256), STATUS_OK);
}

static void selectors_are_names_in_dns(void **state)
{
    static const struct {
        const char *text, *normal; /* NULL: it is none */
    } table[] = {
        {"sealpost", "sealpost"},
        {"S2026-11", "s2026-11"},
        {"a.b", "a.b"},
        {"", NULL},
        {"a.", NULL},
        {".a", NULL},
        {"a..b", NULL},
        {"-a", NULL},
        {"a-", NULL},
        {"a-.b", NULL},
        {"a.-b", NULL},
        {"a_b", NULL},
        {"a b", NULL},
        {"a;b=c", NULL},
        {"\xc3\xa4", NULL},
    };
    char out[DKIM_SELECTOR_MAX + 1], longest[DKIM_SELECTOR_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct failure f = {.status = STATUS_OK};
        enum status status = dkim_selector_normalise(slice_of_text(table[i].text), out, &f);

        assert_int_equal(status, table[i].normal == NULL ? STATUS_INVALID : STATUS_OK);
        if (table[i].normal != NULL)
            assert_string_equal(out, table[i].normal);
    }
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(dkim_selector_normalise(slice_of(longest, DKIM_SELECTOR_MAX), out, NULL), STATUS_OK);
    assert_int_equal(dkim_selector_normalise(slice_of(longest, DKIM_SELECTOR_MAX + 1), out, NULL),
                     STATUS_INVALID);
}

static void what_does_not_fit_is_no_command(void **state)
{
    static const struct {
        const char *domain, *selector;
        uint64_t algorithm;
    } table[] = {
        {"Ours.example", "a", 1}, {"*.ours.example", "a", 1}, {"[192.0.2.1]", "a", 1},
        {"ours.example", "A", 1}, {"ours.example", "", 1},    {"ours.example", "a", 0},
        {"ours.example", "a", 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct command c = simple_command(COMMAND_DKIM_ADD, 1, slice_of_text(table[i].domain));

        c.values[1].bytes = slice_of_text(table[i].selector);
        c.values[2].number = table[i].algorithm;
        c.values[4].bytes = slice_of(id, sizeof(id));
        c.values[5].bytes = c.values[6].bytes = SLICE_LITERAL("key");
        assert_int_not_equal(command_check(&c, NULL), STATUS_OK);
    }
    assert_int_not_equal(become(*state, "a", DKIM_PREPARED), STATUS_OK);
    assert_int_not_equal(become(*state, "a", DKIM_STATE_END), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_signs_from_when_it_is_activated, world_make, world_end),
        cmocka_unit_test_setup_teardown(a_domain_has_a_bounded_number_of_keys, world_make, world_end),
        cmocka_unit_test(selectors_are_names_in_dns),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_no_command, world_make, world_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
