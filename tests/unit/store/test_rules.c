/*
 * Rules keep their order through every change, also when the numbers between two of them are used up; groups
 * hold whom they say, and both indexes agree. The same commands give the same tables.
 */
#include "test_support.h"

static struct store *store;
static char dir[64];
static uint64_t applied;

static int begin(void **state)
{
    (void)state;
    temporary_folder(dir);
    store = open_writer(dir);
    applied = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    store_close(store);
    remove_tree(dir);
    return 0;
}

static struct apply_result apply(const struct command *c)
{
    struct apply_result result;
    struct failure f = {0};

    assert_int_equal(command_check(c, &f), STATUS_OK);
    assert_int_equal(store_batch_begin(store, &f), STATUS_OK);
    result = apply_at(store, ++applied, c);
    commit(store);
    return result;
}

static struct apply_result set(const char *name, const char *when, uint64_t place, const char *other)
{
    struct command c = simple_command(COMMAND_RULE_SET, 1000 + applied, slice_of_text(name));

    c.values[1].number = 1;
    c.values[2].bytes = slice_of_text(when);
    c.values[3].bytes = SLICE_LITERAL("stop");
    c.values[5].number = place;
    c.values[6].bytes = slice_of_text(other);
    return apply(&c);
}

static struct apply_result move(const char *name, uint64_t place, const char *other)
{
    struct command c = simple_command(COMMAND_RULE_MOVE, 1000, slice_of_text(name));

    c.values[1].number = place;
    c.values[2].bytes = slice_of_text(other);
    return apply(&c);
}

static struct apply_result group(enum command_number number, const char *name, const char *member)
{
    struct command c = simple_command(number, 1000, slice_of_text(name));

    c.values[1].bytes = slice_of_text(member);
    return apply(&c);
}

static bool append_name(void *context, const struct rule_record *record)
{
    struct buf *out = context;

    assert_int_equal(buf_printf(out, "%.*s=%.*s ", SLICE_ARGS(record->name), SLICE_ARGS(record->when)),
                     STATUS_OK);
    return true;
}

static void assert_order(const char *want)
{
    struct buf got = BUF_INIT(1 << 20);
    struct store_view *view;

    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_rules_all(view, append_name, &got), STATUS_OK);
    store_view_end(view);
    assert_string_equal(buf_text(&got), want);
    buf_release(&got);
}

static void rules_keep_their_order(void **state)
{
    (void)state;
    assert_int_equal(set("a", "1", RULE_PLACE_KEEP, "").status, STATUS_OK);
    assert_int_equal(set("b", "1", RULE_PLACE_LAST, "").status, STATUS_OK);
    assert_int_equal(set("c", "1", RULE_PLACE_BEFORE, "b").status, STATUS_OK);
    assert_int_equal(set("d", "1", RULE_PLACE_AFTER, "a").status, STATUS_OK);
    assert_int_equal(set("e", "1", RULE_PLACE_FIRST, "").status, STATUS_OK);
    assert_order("e=1 a=1 d=1 c=1 b=1 ");
    assert_int_equal(set("d", "2", RULE_PLACE_KEEP, "").status, STATUS_OK);
    assert_order("e=1 a=1 d=2 c=1 b=1 ");
    assert_int_equal(set("d", "3", RULE_PLACE_AFTER, "b").status, STATUS_OK);
    assert_order("e=1 a=1 c=1 b=1 d=3 ");
    assert_int_equal(set("d", "4", RULE_PLACE_AFTER, "b").status, STATUS_OK);
    assert_int_equal(move("d", RULE_PLACE_BEFORE, "d").status, STATUS_OK);
    assert_int_equal(move("d", RULE_PLACE_LAST, "").status, STATUS_OK);
    assert_order("e=1 a=1 c=1 b=1 d=4 ");
    assert_int_equal(move("e", RULE_PLACE_AFTER, "a").status, STATUS_OK);
    assert_order("a=1 e=1 c=1 b=1 d=4 ");
    assert_int_equal(move("d", RULE_PLACE_FIRST, "").status, STATUS_OK);
    assert_order("d=4 a=1 e=1 c=1 b=1 ");
    assert_int_equal(move("x", RULE_PLACE_FIRST, "").status, STATUS_NOT_FOUND);
    assert_int_equal(move("a", RULE_PLACE_AFTER, "x").status, STATUS_NOT_FOUND);
    assert_int_equal(set("new", "1", RULE_PLACE_AFTER, "x").status, STATUS_NOT_FOUND);
    {
        struct command c = simple_command(COMMAND_RULE_REMOVE, 1000, SLICE_LITERAL("a"));

        assert_int_equal(apply(&c).status, STATUS_OK);
        command_init(&c, COMMAND_RULE_REMOVE, 1000, SLICE_LITERAL("test"));
        c.values[0].bytes = SLICE_LITERAL("a");
        assert_int_equal(apply(&c).status, STATUS_NOT_FOUND);
    }
    assert_order("d=4 e=1 c=1 b=1 ");
}

/* Each goes between the same two: a gap of a million is used up after twenty. */
static void a_gap_that_is_used_up(void **state)
{
    struct buf want = BUF_INIT(1 << 20);
    char name[8];

    (void)state;
    assert_int_equal(set("first", "x", RULE_PLACE_KEEP, "").status, STATUS_OK);
    assert_int_equal(set("last", "y", RULE_PLACE_KEEP, "").status, STATUS_OK);
    for (int i = 0; i < 60; i++) {
        assert_true(snprintf(name, sizeof(name), "n%d", i) > 0);
        assert_int_equal(set(name, name, RULE_PLACE_BEFORE, "last").status, STATUS_OK);
    }
    for (int i = 0; i < 60; i++) { /* moves use it up as well */
        assert_true(snprintf(name, sizeof(name), "n%d", i) > 0);
        assert_int_equal(move(name, RULE_PLACE_BEFORE, "last").status, STATUS_OK);
    }
    assert_int_equal(buf_append_text(&want, "first=x "), STATUS_OK);
    for (int i = 0; i < 60; i++)
        assert_int_equal(buf_printf(&want, "n%d=n%d ", i, i), STATUS_OK);
    assert_int_equal(buf_append_text(&want, "last=y "), STATUS_OK);
    assert_order(buf_text(&want));
    buf_release(&want);
}

static void at_most_a_thousand(void **state)
{
    char name[8];

    (void)state;
    for (int i = 0; i < RULES_MAX; i++) {
        assert_true(snprintf(name, sizeof(name), "r%d", i) > 0);
        assert_int_equal(set(name, "x", RULE_PLACE_FIRST, "").status, STATUS_OK);
    }
    assert_int_equal(set("more", "x", RULE_PLACE_FIRST, "").status, STATUS_TOO_LARGE);
    assert_int_equal(set("r7", "y", RULE_PLACE_FIRST, "").status, STATUS_OK);
}

static void bad_commands_are_refused(void **state)
{
    static const struct {
        const char *name, *when, *then, *comment;
        uint64_t enabled, place;
        const char *other;
    } table[] = {
        {"-a", "x", "stop", "", 1, 0, ""},    {"a b", "x", "stop", "", 1, 0, ""},
        {"a/b", "x", "stop", "", 1, 0, ""},   {"a", "x\x01", "stop", "", 1, 0, ""},
        {"a", "x", "st\x7fop", "", 1, 0, ""}, {"a", "x", "stop", "a\nb", 1, 0, ""},
        {"a", "x", "stop", "", 2, 0, ""},     {"a", "x", "stop", "", 1, 5, ""},
        {"a", "x", "stop", "", 1, 1, ""},     {"a", "x", "stop", "", 1, 0, "b"},
        {"a", "x", "stop", "", 1, 3, "b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct command c = simple_command(COMMAND_RULE_SET, 1, slice_of_text(table[i].name));
        struct failure f = {0};

        c.values[1].number = table[i].enabled;
        c.values[2].bytes = slice_of_text(table[i].when);
        c.values[3].bytes = slice_of_text(table[i].then);
        c.values[4].bytes = slice_of_text(table[i].comment);
        c.values[5].number = table[i].place;
        c.values[6].bytes = slice_of_text(table[i].other);
        assert_int_equal(command_check(&c, &f), STATUS_INVALID);
        assert_true(f.text[0] != '\0');
    }
}

static bool holds(const char *name, const char *address)
{
    struct store_view *view;
    bool found = false;

    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_group_holds(view, slice_of_text(name), slice_of_text(address), &found), STATUS_OK);
    store_view_end(view);
    return found;
}

static bool append_member(void *context, struct slice name)
{
    return buf_printf(context, "%.*s ", SLICE_ARGS(name)) == STATUS_OK;
}

static void assert_members(const char *name, const char *want)
{
    struct buf got = BUF_INIT(1 << 16);
    struct store_view *view;

    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_group_members(view, slice_of_text(name), (struct slice){0}, append_member, &got),
                     STATUS_OK);
    store_view_end(view);
    assert_string_equal(buf_text(&got), want);
    buf_release(&got);
}

static void groups_hold_whom_they_say(void **state)
{
    (void)state;
    assert_int_equal(group(COMMAND_GROUP_ADD, "g", "").status, STATUS_OK);
    assert_int_equal(group(COMMAND_GROUP_ADD, "g", "").status, STATUS_EXISTS);
    assert_int_equal(group(COMMAND_GROUP_ADD, "g", "Alice@Ours.Example").status, STATUS_OK);
    assert_int_equal(group(COMMAND_GROUP_ADD, "g", "alice@ours.example whole.example *.below.example").status,
                     STATUS_OK);
    assert_int_equal(group(COMMAND_GROUP_ADD, "gg", "bob@ours.example").status, STATUS_OK); /* made with it */
    assert_members("g", "*.below.example alice@ours.example whole.example ");
    assert_members("gg", "bob@ours.example ");
    assert_true(holds("g", "alice@ours.example"));
    assert_true(holds("g", "anybody@whole.example"));
    assert_true(holds("g", "a@x.y.below.example"));
    assert_false(holds("g", "a@below.example"));
    assert_false(holds("g", "a@sub.whole.example"));
    assert_false(holds("g", "bob@ours.example"));
    assert_false(holds("gg", "alice@ours.example"));
    assert_false(holds("none", "alice@ours.example"));
    assert_int_equal(group(COMMAND_GROUP_MEMBER_REMOVE, "g", "bob@ours.example").status, STATUS_NOT_FOUND);
    assert_int_equal(group(COMMAND_GROUP_MEMBER_REMOVE, "g", "WHOLE.example").status, STATUS_OK);
    assert_false(holds("g", "anybody@whole.example"));
    {
        struct command c = simple_command(COMMAND_GROUP_REMOVE, 1000, SLICE_LITERAL("g"));

        assert_int_equal(apply(&c).status, STATUS_OK);
    }
    assert_members("g", "");
    assert_members("gg", "bob@ours.example ");
    assert_false(holds("g", "alice@ours.example"));
    assert_true(holds("gg", "bob@ours.example"));
    assert_int_equal(group(COMMAND_GROUP_ADD, "g", "").status, STATUS_OK); /* comes back empty */
    assert_false(holds("g", "alice@ours.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rules_keep_their_order, begin, end),
        cmocka_unit_test_setup_teardown(a_gap_that_is_used_up, begin, end),
        cmocka_unit_test_setup_teardown(at_most_a_thousand, begin, end),
        cmocka_unit_test_setup_teardown(bad_commands_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(groups_hold_whom_they_say, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
