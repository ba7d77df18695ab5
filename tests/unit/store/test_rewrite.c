/* What addresses are rewritten to, in the store: patterns have one form, and nothing becomes itself. */
#include "store_world.h"

#include "store/records_rewrite.h"

static struct command set(uint64_t kind, const char *pattern, const char *target, uint64_t flags)
{
    struct command c = simple_command(COMMAND_REWRITE_SET, 10, (struct slice){0});

    c.values[0].number = kind;
    c.values[1].bytes = slice_of_text(pattern);
    c.values[2].bytes = slice_of_text(target);
    c.values[3].number = flags;
    return c;
}

static void rows_are_set_replaced_and_removed(void **state)
{
    struct world *w = *state;
    struct command c = set(REWRITE_CANONICAL, "@old.example", "@new.example", REWRITE_ALL);
    struct store_view *view;
    struct rewrite_record record;
    bool any;

    assert_int_equal(run(w, &c), STATUS_OK);
    c = set(REWRITE_CANONICAL, "@old.example", "all@new.example", REWRITE_OF_SENDER | REWRITE_IN_HEADER);
    assert_int_equal(run(w, &c), STATUS_OK);
    c = set(REWRITE_MASQUERADE, "old.example", "", REWRITE_OF_SENDER | REWRITE_IN_HEADER);
    assert_int_equal(run(w, &c), STATUS_OK);
    c = set(REWRITE_EXCEPTION, "root@", "", 0);
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_rewrite_get(view, REWRITE_CANONICAL, SLICE_LITERAL("@old.example"), &record),
                     STATUS_OK);
    assert_true(slice_equal(record.target, SLICE_LITERAL("all@new.example")));
    assert_int_equal(record.flags, REWRITE_OF_SENDER | REWRITE_IN_HEADER);
    assert_int_equal(store_rewrite_get(view, REWRITE_MASQUERADE, SLICE_LITERAL("root@"), &record),
                     STATUS_NOT_FOUND);
    assert_int_equal(store_rewrite_any(view, &any), STATUS_OK);
    assert_true(any);
    store_view_end(view);
    c = simple_command(COMMAND_REWRITE_REMOVE, 20, (struct slice){0});
    c.values[0].number = REWRITE_EXCEPTION;
    c.values[1].bytes = SLICE_LITERAL("root@");
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_rewrite_get(view, REWRITE_EXCEPTION, SLICE_LITERAL("root@"), &record),
                     STATUS_NOT_FOUND);
    store_view_end(view);
    command_init(&c, COMMAND_REWRITE_REMOVE, 30, SLICE_LITERAL("token:test"));
    random_bytes(c.id, sizeof(c.id));
    c.values[0].number = REWRITE_EXCEPTION;
    c.values[1].bytes = SLICE_LITERAL("root@");
    assert_int_equal(run(w, &c), STATUS_NOT_FOUND);
}

static void patterns_have_one_form(void **state)
{
    static const struct {
        enum rewrite_kind kind;
        const char *text, *normal; /* NULL: it is none */
    } table[] = {
        {REWRITE_CANONICAL, "Bob@Old.Example", "bob@old.example"},
        {REWRITE_CANONICAL, "@Old.Example", "@old.example"},
        {REWRITE_CANONICAL, "old.example", NULL},
        {REWRITE_CANONICAL, "@*.old.example", NULL},
        {REWRITE_CANONICAL, "@", NULL},
        {REWRITE_CANONICAL, "bob@", NULL},
        {REWRITE_CANONICAL, "", NULL},
        {REWRITE_MASQUERADE, "Old.example", "old.example"},
        {REWRITE_MASQUERADE, "*.old.example", NULL},
        {REWRITE_MASQUERADE, "[192.0.2.1]", NULL},
        {REWRITE_MASQUERADE, "@old.example", NULL},
        {REWRITE_EXCEPTION, "Root@", "root@"},
        {REWRITE_EXCEPTION, "root@old.example", "root@old.example"},
        {REWRITE_EXCEPTION, "lab.old.example", "lab.old.example"},
        {REWRITE_EXCEPTION, "@", NULL},
        {REWRITE_EXCEPTION, "a b@", NULL},
        {REWRITE_EXCEPTION, "a@b@", NULL},
    };
    char out[ADDRESS_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        enum status status =
            rewrite_pattern_normalise(table[i].kind, slice_of_text(table[i].text), out, NULL);

        assert_int_equal(status == STATUS_OK, table[i].normal != NULL);
        if (table[i].normal != NULL)
            assert_string_equal(out, table[i].normal);
    }
}

static void what_does_not_fit_is_no_command(void **state)
{
    static const struct {
        uint64_t kind;
        const char *pattern, *target;
        uint64_t flags;
    } table[] = {
        {REWRITE_CANONICAL, "bob@old.example", "@new.example", REWRITE_ALL},    /* whose local part? */
        {REWRITE_CANONICAL, "bob@old.example", "bob@old.example", REWRITE_ALL}, /* itself */
        {REWRITE_CANONICAL, "@old.example", "@old.example", REWRITE_ALL},
        {REWRITE_CANONICAL, "@old.example", "", REWRITE_ALL},
        {REWRITE_CANONICAL, "@Old.example", "@new.example", REWRITE_ALL},
        {REWRITE_CANONICAL, "@old.example", "@New.example", REWRITE_ALL},
        {REWRITE_CANONICAL, "@old.example", "@new.example", REWRITE_OF_SENDER},
        {REWRITE_CANONICAL, "@old.example", "@new.example", REWRITE_IN_HEADER},
        {REWRITE_CANONICAL, "@old.example", "@new.example", REWRITE_ALL + 1},
        {REWRITE_MASQUERADE, "old.example", "new.example", REWRITE_OF_SENDER | REWRITE_IN_HEADER},
        {REWRITE_MASQUERADE, "old.example", "", REWRITE_ALL},
        {REWRITE_EXCEPTION, "root@", "", REWRITE_ALL},
        {REWRITE_KIND_END, "root@", "", 0},
        {0, "root@", "", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct command c = set(table[i].kind, table[i].pattern, table[i].target, table[i].flags);

        assert_int_not_equal(command_check(&c, NULL), STATUS_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_set_replaced_and_removed, world_make, world_end),
        cmocka_unit_test(patterns_have_one_form),
        cmocka_unit_test(what_does_not_fit_is_no_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
