/* The command line, and the requests that it becomes. */
#include "cli_test.h"

#include "cli/http.h"

#include <unistd.h>

#define WORDS_MAX 16

/* The words of a line, without quotes or escapes; '_' stands for a space within a word. */
static int words_of(char *line, char *words[WORDS_MAX])
{
    int n = 0;
    words[n++] = (char *)(uintptr_t) "sealpostctl";
    for (char *at = strtok_r(line, " ", &line); at != NULL; at = strtok_r(NULL, " ", &line)) {
        for (char *c = at; *c != '\0'; c++) {
            *c = *c == '_' ? ' ' : *c;
        }
        assert_true(n < WORDS_MAX);
        words[n++] = at;
    }
    return n;
}

static enum status read_line(const char *text, struct cli_input *input, struct failure *f)
{
    static char line[1024];
    char *words[WORDS_MAX];
    assert_true(strlen(text) < sizeof(line));
    memcpy(line, text, strlen(text) + 1);
    return cli_arguments_read(words_of(line, words), words, input, f);
}

static void what_is_wrong_is_told(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"", "say what to do"},
        {"settings", "say what to do with it"},
        {"setings list", "did you mean \"settings\""},
        {"settings lits", "did you mean \"list\""},
        {"settings frobnicate", "settings does not know \"frobnicate\""},
        {"settings set encrypt.mode none --domian x", "did you mean --domain"},
        {"settings set encrypt.mode none -x", "no option -x"},
        {"settings set encrypt.mode", "VALUE is missing"},
        {"settings get", "NAME is missing"},
        {"domain list x", "takes no argument \"x\""},
        {"domain add x.example --locality inside", "one of internal|external"},
        {"domain add x.example --locality", "needs a value"},
        {"domain add x.example --locality internal --locality external", "given twice"},
        {"settings list --set=yes", "takes no value"},
        {"cert import", "FILE is missing"},
        {"policy explain --from a@b.example", "--to is missing"},
        {"domain list -o yaml", "one of table|json"},
        {"domain list --token abc", "no option --token"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct cli_input input;
        struct failure f = {.status = STATUS_OK};
        assert_int_equal(read_line(cases[i].line, &input, &f), STATUS_INVALID);
        if (strstr(f.text, cases[i].says) == NULL) {
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].line, f.text, cases[i].says);
        }
    }
}

static void lines_become_requests(void **state)
{
    static const struct {
        const char *line, *method, *target, *body; /* NULL: none */
    } cases[] = {
        {"settings set encrypt.mode mandatory --domain partner.example", "PUT",
         "/v1/settings/encrypt.mode?domain=partner.example", "{\"value\":\"mandatory\"}"},
        {"--consistent settings get encrypt.mode --user=a+b@x.example", "GET",
         "/v1/settings/encrypt.mode?user=a%2Bb@x.example&barrier=true", NULL},
        {"settings set x -- --value", "PUT", "/v1/settings/x", "{\"value\":\"--value\"}"},
        {"settings list --set", "GET", "/v1/settings", NULL},
        {"settings list encrypt --user a@x.example", "GET", "/v1/settings?prefix=encrypt&user=a@x.example",
         NULL},
        {"domain add x.example --locality internal -o json", "POST", "/v1/domains",
         "{\"domain\":\"x.example\",\"locality\":\"internal\"}"},
        {"domain remove *.x.example", "DELETE", "/v1/domains/%2A.x.example", NULL},
        {"user show a/../b@x.example", "GET", "/v1/users/a%2F..%2Fb@x.example", NULL},
        {"cert list --address a@x.example", "GET", "/v1/certificates?address=a@x.example", NULL},
        {"policy explain --from a@x.example --to b@y.example --to c@y.example --subject [encrypt]_hi", "POST",
         "/v1/policy/explain",
         "{\"from\":\"a@x.example\",\"to\":[\"b@y.example\",\"c@y.example\"],\"subject\":\"[encrypt] hi\"}"},
        {"queue retry", "POST", "/v1/queue/retry", NULL},
        {"queue retry abc", "POST", "/v1/queue/abc/retry", NULL},
        {"node token --lifetime 30m", "POST", "/v1/nodes/token", "{\"lifetime_seconds\":1800}"},
        {"token add robot --role auditor --days 7", "POST", "/v1/tokens",
         "{\"name\":\"robot\",\"role\":\"auditor\",\"lifetime_days\":7}"},
        {"token list", "GET", "/v1/tokens", NULL},
        {"cluster transfer --to node2", "POST", "/v1/cluster/transfer", "{\"to\":\"node2\"}"},
        {"cluster status", "GET", "/v1/cluster", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct cli_input input;
        struct failure f = {.status = STATUS_OK};
        struct cli_request r;
        if (read_line(cases[i].line, &input, &f) != STATUS_OK ||
            cli_request_make(&input, 0, NULL, &r, &f) != STATUS_OK) {
            fail_msg("%s: %s", cases[i].line, f.text);
        }
        assert_string_equal(r.method, cases[i].method);
        assert_string_equal((const char *)r.target.data, cases[i].target);
        char *body = r.body != NULL ? json_dumps(r.body, JSON_COMPACT) : NULL;
        assert_int_equal(body != NULL, cases[i].body != NULL);
        if (body != NULL) {
            assert_string_equal(body, cases[i].body);
        }
        free(body);
        cli_request_release(&r);
    }
}

static void files_go_into_bodies(void **state)
{
    static struct cli_input input;
    struct failure f = {.status = STATUS_OK};
    struct cli_request r;
    char folder[] = "/tmp/sealpost-cli-XXXXXX", line[256], a[64], b[64], missing[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_true(snprintf(a, sizeof(a), "%s/a", folder) > 0);
    assert_true(snprintf(b, sizeof(b), "%s/b", folder) > 0);
    assert_true(snprintf(missing, sizeof(missing), "%s/c", folder) > 0);
    FILE *file = fopen(a, "w");
    assert_non_null(file);
    assert_true(fputs("a\xff", file) >= 0 && fclose(file) == 0);
    file = fopen(b, "w");
    assert_non_null(file);
    assert_true(fputs("pass word\r\nrest", file) >= 0 && fclose(file) == 0);

    assert_true(snprintf(line, sizeof(line), "cert import %s %s", a, b) > 0);
    assert_int_equal(read_line(line, &input, &f), STATUS_OK);
    assert_int_equal(cli_request_count(&input), 2);
    assert_int_equal(cli_request_make(&input, 0, NULL, &r, &f), STATUS_OK);
    assert_string_equal(json_string_value(json_object_get(r.body, "data")), "Yf8=");
    cli_request_release(&r);

    assert_true(snprintf(line, sizeof(line), "key import %s --password-file %s", a, b) > 0);
    assert_int_equal(read_line(line, &input, &f), STATUS_OK);
    assert_int_equal(cli_request_make(&input, 0, NULL, &r, &f), STATUS_OK);
    assert_string_equal(json_string_value(json_object_get(r.body, "password")), "pass word");
    cli_request_release(&r);

    assert_true(snprintf(line, sizeof(line), "cert import %s", missing) > 0);
    assert_int_equal(read_line(line, &input, &f), STATUS_OK);
    assert_int_equal(cli_request_make(&input, 0, NULL, &r, &f), STATUS_IO);
    assert_non_null(strstr(f.text, "cannot open"));
    unlink(a);
    unlink(b);
    rmdir(folder);
}

static void endpoints_are_https(void **state)
{
    static const struct {
        const char *text, *endpoint; /* NULL: refused */
    } cases[] = {{"https://node1.example:2513", "https://node1.example:2513"},
                 {"https://node1.example:2513/", "https://node1.example:2513"},
                 {"127.0.0.1:31013", "https://127.0.0.1:31013"},
                 {"[::1]:2513", "https://[::1]:2513"},
                 {"http://127.0.0.1:31013", NULL},
                 {"ftp://127.0.0.1", NULL},
                 {"https://user@host", NULL},
                 {"https://host/path", NULL},
                 {"https://", NULL},
                 {"a b", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[512];
        struct failure f;
        enum status status = cli_endpoint_read(cases[i].text, out, &f);
        assert_int_equal(status, cases[i].endpoint != NULL ? STATUS_OK : STATUS_INVALID);
        if (status == STATUS_OK) {
            assert_string_equal(out, cases[i].endpoint);
        }
    }
}

static void times_are_read(void **state)
{
    uint64_t seconds;
    (void)state;
    assert_true(cli_seconds_parse("90", &seconds) && seconds == 90);
    assert_true(cli_seconds_parse("90s", &seconds) && seconds == 90);
    assert_true(cli_seconds_parse("2d", &seconds) && seconds == 172800);
    assert_false(cli_seconds_parse("", &seconds));
    assert_false(cli_seconds_parse("h", &seconds));
    assert_false(cli_seconds_parse("0h", &seconds));
    assert_false(cli_seconds_parse("1w", &seconds));
    assert_false(cli_seconds_parse("99999999999", &seconds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_told), cmocka_unit_test(lines_become_requests),
        cmocka_unit_test(files_go_into_bodies),  cmocka_unit_test(endpoints_are_https),
        cmocka_unit_test(times_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
