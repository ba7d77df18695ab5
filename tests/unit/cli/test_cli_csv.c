/* Files of comma-separated values: what they become, and that what is wrong is named with its line. */
#include "cli_test.h"

#include "base/buf.h"
#include "cli/csv.h"

static enum status read_rows(struct slice text, struct arena *a, struct cli_rows *rows, struct failure *f)
{
    arena_init(a, (size_t)64 << 20);
    return cli_csv_read(text, "address|name", a, rows, f);
}

static void same(const char *value, const char *expected)
{
    assert_int_equal(value == NULL, expected == NULL);
    if (expected != NULL) {
        assert_string_equal(value, expected);
    }
}

static void files_become_rows(void **state)
{
    static const struct {
        const char *text;
        size_t count, line;         /* of the last row, */
        const char *first, *second; /* and its values */
    } rows[] = {
        {"a@b", 1, 1, "a@b", NULL},
        {"a@b,Ada\r\n", 1, 1, "a@b", "Ada"},
        {"\xef\xbb\xbf"
         "a@b, Ada ",
         1, 1, "a@b", "Ada"},
        {"x@y\n\n\r\n,\na@b,\n", 2, 5, "a@b", NULL},
        {"address,name\na@b,Ada\n", 1, 2, "a@b", "Ada"},
        {"Name,ADDRESS\nAda,a@b\n", 1, 2, "a@b", "Ada"},
        {"name,other,address\nAda,3,a@b", 1, 2, "a@b", "Ada"},
        {"address\na@b,Ada\n", 1, 2, "a@b", NULL}, /* the heading names no other column */
        {"a@b,\"Lovelace, \"\"Ada\"\"\nCountess\"\nc@d,e\n", 2, 3, "c@d", "e"},
        {"a@b,\"Lovelace, \"\"Ada\"\"\r\nCountess\"", 1, 1, "a@b", "Lovelace, \"Ada\"\r\nCountess"},
        {"\"\",\"a\"", 1, 1, NULL, "a"},
        {"a\rb,c", 1, 1, "ab", "c"},
        {"a@b,\"x\",y,z", 1, 1, "a@b", "x"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena a;
        struct cli_rows out;
        struct failure f = {0};
        if (read_rows(slice_of_text(rows[i].text), &a, &out, &f) != STATUS_OK) {
            fail_msg("row %zu: %s", i, f.text);
        }
        assert_int_equal(out.count, rows[i].count);
        const struct cli_row *last = &out.rows[out.count - 1];
        assert_int_equal(last->line, rows[i].line);
        same(last->values[0], rows[i].first);
        same(last->values[1], rows[i].second);
        arena_release(&a);
    }
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
    static const struct {
        struct slice text;
        const char *reason;
    } rows[] = {
        {SLICE_LITERAL(""), "the file has no rows"},
        {SLICE_LITERAL("\n\n"), "the file has no rows"},
        {SLICE_LITERAL("address,name\n"), "the file has no rows"},
        {SLICE_LITERAL("a@b\n\"c\n\n"), "line 2: a quote is not closed"},
        {SLICE_LITERAL("a@b\n\"c\"d,e"), "line 2: something follows a closing quote"},
        {SLICE_LITERAL("a,b,c,d,e"), "line 1 has more than 4 values"},
        {SLICE_LITERAL("x@y\na\0b"), "line 2: there is a NUL in it"},
        {SLICE_LITERAL("x@y\n\"a\0b\""), "line 2: there is a NUL in it"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena a;
        struct cli_rows out;
        struct failure f = {0};
        assert_int_equal(read_rows(rows[i].text, &a, &out, &f), STATUS_INVALID);
        assert_string_equal(f.text, rows[i].reason);
        arena_release(&a);
    }
}

static void what_is_too_much_is_refused(void **state)
{
    static char text[CLI_ROWS_MAX + 1];
    struct arena a;
    struct cli_rows out;
    struct failure f = {0};
    (void)state;
    memset(text, '\n', sizeof text);
    assert_int_equal(read_rows(slice_of(text, sizeof text), &a, &out, &f), STATUS_TOO_LARGE);
    arena_release(&a);
    memset(text, 'a', 5000);
    assert_int_equal(read_rows(slice_of(text, 5000), &a, &out, &f), STATUS_INVALID);
    assert_string_equal(f.text, "line 1: a value is too long");
    arena_release(&a);
    text[0] = '"';
    assert_int_equal(read_rows(slice_of(text, 5000), &a, &out, &f), STATUS_INVALID);
    assert_string_equal(f.text, "line 1: a value is too long");
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_become_rows),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
        cmocka_unit_test(what_is_too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
