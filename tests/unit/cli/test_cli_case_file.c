/* The table of `policy test`: what it becomes, and that what is wrong is named with its line. */
#include "cli_test.h"

#include "cli/case_file.h"

#include <unistd.h>

static enum status read_table(const char *text, size_t len, json_t **cases, struct failure *f)
{
    char path[] = "/tmp/sealpost-case-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, len) == (ssize_t)len && close(fd) == 0);
    enum status status = cli_case_file_read(path, cases, f);
    assert_int_equal(unlink(path), 0);
    return status;
}

static void tables_become_cases(void **state)
{
    static const struct {
        const char *table, *json;
    } rows[] = {
        {"from,to,expect\na@b,c@d,plain\n",
         "[{\"line\":2,\"from\":\"a@b\",\"to\":[\"c@d\"],\"expect\":\"plain\"}]"},
        {"expect, TO ,from\r\nplain, c@d  e@f ,\r\n",
         "[{\"line\":2,\"from\":\"\",\"expect\":\"plain\",\"to\":[\"c@d\",\"e@f\"]}]"},
        {"# a comment\n\nfrom,to,expect,subject\n#\na,b,sign,\"x, \"\"y\"\"\n z\"\nc,d,plain",
         "[{\"line\":5,\"from\":\"a\",\"to\":[\"b\"],\"expect\":\"sign\",\"subject\":\"x, \\\"y\\\"\\n z\"},"
         "{\"line\":7,\"from\":\"c\",\"to\":[\"d\"],\"expect\":\"plain\"}]"},
        {"from,to,expect,header,header,tls,auth\na,b,plain,X: 1,Y: 2,yes,No\nc,d,plain,,Z: 3,,\n",
         "[{\"line\":2,\"from\":\"a\",\"to\":[\"b\"],\"expect\":\"plain\",\"headers\":[\"X: 1\",\"Y: "
         "2\"],\"tls\":true,"
         "\"auth\":false},"
         "{\"line\":3,\"from\":\"c\",\"to\":[\"d\"],\"expect\":\"plain\",\"headers\":[\"Z: 3\"]}]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct failure f = {.status = STATUS_OK};
        json_t *cases = NULL;
        if (read_table(rows[i].table, strlen(rows[i].table), &cases, &f) != STATUS_OK) {
            fail_msg("%s", f.text);
        }
        char *text = json_dumps(cases, JSON_COMPACT);
        assert_string_equal(text, rows[i].json);
        free(text);
        json_decref(cases);
    }
}

static void what_is_wrong_has_a_line(void **state)
{
    static const struct {
        const char *table;
        const char *says;
    } rows[] = {
        {"#\n", "the table is empty"},
        {"from,to,expect\n", "has no case"},
        {"from,to\n", "line 1: the column expect is missing"},
        {"from,to,expect,from\n", "line 1: the column from is there twice"},
        {"from,to,expect,x\n", "line 1: there is no column \"x\""},
        {"from,to,expect\n\na,b,plain,more\n", "line 3: it has 4 cells, and there are 3 columns"},
        {"from,to,expect\na,b\n", "line 2: it needs to and expect"},
        {"from,to,expect\na,\"b,plain\n", "line 2: a closing quote is missing"},
        {"from,to,expect\na,b,pl\xff\n", "line 2: a cell is not UTF-8"},
        {"from,to,expect\na,b\xff,plain\n", "line 2: a cell is not UTF-8"},
        {"from,to,expect,tls\na,b,plain,1\n", "line 2: tls is yes or no, not \"1\""},
        {"from,to,expect,message\na,b,plain,/none/such\n", "line 2: cannot open /none/such"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct failure f = {.status = STATUS_OK};
        json_t *cases = NULL;
        assert_int_not_equal(read_table(rows[i].table, strlen(rows[i].table), &cases, &f), STATUS_OK);
        assert_null(cases);
        if (strstr(f.text, rows[i].says) == NULL) {
            fail_msg("[%s] is not in [%s]", rows[i].says, f.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_become_cases),
        cmocka_unit_test(what_is_wrong_has_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
