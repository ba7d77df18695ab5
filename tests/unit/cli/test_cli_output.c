/* Tables, help, and the manual page that is kept in docs/man. */
#include "cli_test.h"

#include "cli/help.h"
#include "cli/table.h"

static const struct cli_column columns[] = {{"NAME", "name", SHOW_TEXT},
                                            {"SIZE", "size", SHOW_BYTES},
                                            {"UNTIL", "until", SHOW_TIME},
                                            {"ID", "id", SHOW_SHORT},
                                            {"TO", "to", SHOW_LIST},
                                            {"KEY", "key", SHOW_YES},
                                            {.title = NULL}};

static void tables_are_aligned(void **state)
{
    json_t *list =
        json_loads("[{\"name\": \"\xc3\xa4pfel\", \"size\": 1536, \"until\": \"2026-11-24T10:05:04Z\","
                   "  \"id\": \"0123456789abcdef0123\", \"to\": [\"a\", \"b\"], \"key\": true},"
                   " {\"name\": \"x\", \"size\": 12, \"until\": null, \"to\": [], \"key\": false}]",
                   0, NULL);
    struct buf out = BUF_INIT(4096);
    (void)state;
    assert_non_null(list);
    assert_int_equal(cli_table_format(list, columns, &out), STATUS_OK);
    assert_string_equal(buf_text(&out), "NAME   SIZE  UNTIL             ID                TO    KEY\n"
                                        "\xc3\xa4pfel  1.5K  2026-11-24 10:05  0123456789abcdef  a, b  yes\n"
                                        "x      12\n");
    json_decref(list);
    buf_release(&out);
}

/* 60 bytes are shown whole; of 61 three dots take the place of what is over, and no character is cut in two.
 */
static void a_long_value_is_clipped_between_characters(void **state)
{
    static const struct cli_column value[] = {{"V", "v", SHOW_CLIPPED}, {.title = NULL}};
    struct buf out = BUF_INIT(4096);
    char text[64], shown[80];
    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t len = 60; len <= 61; len++) {
        memcpy(text + 56, "\xc3\xa4", 2); /* bytes 57 and 58 */
        text[len] = '\0';
        json_t *list = json_pack("[{s:s}]", "v", text);
        assert_non_null(list);
        buf_reset(&out);
        assert_int_equal(cli_table_format(list, value, &out), STATUS_OK);
        text[60] = 'x';
        (void)!snprintf(shown, sizeof shown, "V\n%.*s%s\n", len == 60 ? 60 : 56, text,
                        len == 60 ? "" : "...");
        assert_string_equal(buf_text(&out), shown);
        json_decref(list);
    }
    buf_release(&out);
}

static void nothing_steers_the_terminal(void **state)
{
    struct buf out = BUF_INIT(4096);
    (void)state;
    assert_int_equal(cli_append_clean(&out, "a\x1b[31mb\r\nc\x7f\xc2\x9b\t", false), STATUS_OK);
    assert_string_equal(buf_text(&out), "a?[31mb??c???");
    buf_release(&out);
}

static void views_show_fields_and_lists(void **state)
{
    static const struct cli_column fields[] = {{"leader", "leader", SHOW_TEXT},
                                               {"check", "check.status", SHOW_TEXT},
                                               {"gone", "gone", SHOW_TEXT},
                                               {.title = NULL}};
    static const struct cli_column names[] = {{"NAME", "name", SHOW_TEXT}, {.title = NULL}};
    static const struct cli_view view = {fields, "nodes", names, "no nodes"};
    json_t *answer =
        json_loads("{\"leader\": \"n1\", \"check\": {\"status\": \"OK\"}, \"nodes\": []}", 0, NULL);
    struct buf out = BUF_INIT(4096);
    (void)state;
    assert_int_equal(cli_view_format(&view, answer, &out), STATUS_OK);
    assert_string_equal(buf_text(&out), "leader:  n1\ncheck:   OK\n\n(no nodes)\n");
    json_decref(answer);
    buf_release(&out);
}

static void every_command_can_be_shown_and_explained(void **state)
{
    const struct cli_command *c;
    (void)state;
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
        struct buf out = BUF_INIT(CLI_HELP_MAX);
        assert_non_null(cli_noun_help(c->noun));
        assert_true((c->view != NULL) != (c->show != NULL));
        assert_int_equal(cli_help_format(c->noun, c, &out), STATUS_OK);
        assert_non_null(strstr(buf_text(&out), c->help));
        buf_reset(&out);
        assert_int_equal(cli_help_format(c->noun, NULL, &out), STATUS_OK);
        assert_non_null(strstr(buf_text(&out), c->verb));
        buf_release(&out);
        for (size_t k = 0; k < c->parameter_count; k++) {
            const struct cli_parameter *p = &c->parameters[k];
            assert_non_null(p->help);
            assert_true(p->kind != CLI_OPTION || p->value != NULL);
            /* no secret can be given on the command line */
            assert_true(strstr(p->name, "password") == NULL || p->place == PLACE_BODY_SECRET);
        }
    }
}

static void the_manual_page_is_current(void **state)
{
    static char stored[CLI_HELP_MAX];
    struct buf made = BUF_INIT(CLI_HELP_MAX);
    FILE *file = fopen(MAN_PAGE, "r");
    (void)state;
    assert_non_null(file);
    size_t n = fread(stored, 1, sizeof(stored), file);
    fclose(file);
    assert_int_equal(cli_man_format(&made), STATUS_OK);
    if (!slice_equal(slice_of(stored, n), buf_slice(&made))) {
        fail_msg("docs/man/sealpostctl.1 is old: sealpostctl help --man > docs/man/sealpostctl.1");
    }
    buf_release(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_aligned),
        cmocka_unit_test(a_long_value_is_clipped_between_characters),
        cmocka_unit_test(nothing_steers_the_terminal),
        cmocka_unit_test(views_show_fields_and_lists),
        cmocka_unit_test(every_command_can_be_shown_and_explained),
        cmocka_unit_test(the_manual_page_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
