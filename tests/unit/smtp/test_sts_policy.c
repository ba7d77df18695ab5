/* MTA-STS: policy files, TXT records, and which hosts a policy names. */
#include "smtp/sts_policy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct buf patterns = {.max = STS_MX_MAX};

static void files_are_read_or_refused(void **state)
{
    static const struct {
        const char *file;
        bool good;
        enum sts_mode mode;
        uint64_t max_age;
        const char *mx;
    } table[] = {
        {"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmax_age: "
         "604800\r\n",
         true, STS_ENFORCE, 604800, "mail.example.com *.example.net"},
        {"version: STSv1\nmode: testing\nmx: a.b\nmax_age: 1", true, STS_TESTING, 1, "a.b"},
        {"version:STSv1\nmode:none\nmax_age:86400\n", true, STS_NONE, 86400, ""},
        {"mode: none\nmax_age: 86400\nversion: STSv1\n", true, STS_NONE, 86400, ""},
        /* of fields that repeat the first counts; those that are not known are passed over */
        {"version: STSv1\nmode: enforce\nmode: none\nmax_age: 5\nmax_age: 9\nlater: x\nmx: a.b\n", true,
         STS_ENFORCE, 5, "a.b"},
        {"version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 9999999999\n", true, STS_ENFORCE, STS_MAX_AGE_MAX,
         "a.b"},
        {"version: STSv1 \nmode: enforce \t\nmx: a.b \nmax_age: 7 \n", true, STS_ENFORCE, 7, "a.b"},
        {"", false, 0, 0, NULL},
        {"version: STSv2\nmode: enforce\nmx: a.b\nmax_age: 5\n", false, 0, 0, NULL},
        {"mode: enforce\nmx: a.b\nmax_age: 5\n", false, 0, 0, NULL},
        {"version: STSv1\nmx: a.b\nmax_age: 5\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmx: a.b\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmax_age: 5\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: Enforce\nmx: a.b\nmax_age: 5\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmx: a.b\nmax_age: -5\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 12345678901\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmx: *\nmax_age: 5\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmx: *.*.b\nmax_age: 5\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 5\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmx: a b\nmax_age: 5\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmx: .b\nmax_age: 5\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 5\n<html>\n", false, 0, 0, NULL},
        {"version: STSv1\n\nmode: enforce\nmx: a.b\nmax_age: 5\n", false, 0, 0, NULL},
        {"version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 5\nx: \x01\n", false, 0, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct sts_policy p;
        struct failure f = {0};
        enum status status = sts_policy_parse(slice_of_text(table[i].file), &patterns, &p, &f);
        assert_int_equal(status, table[i].good ? STATUS_OK : STATUS_MALFORMED);
        if (table[i].good) {
            assert_int_equal(p.mode, table[i].mode);
            assert_int_equal(p.max_age_s, table[i].max_age);
            assert_true(slice_equal(p.mx, slice_of_text(table[i].mx)));
        } else {
            assert_true(f.text[0] != '\0');
        }
    }
    buf_release(&patterns);
}

static void too_much_is_refused(void **state)
{
    static char file[STS_FILE_MAX + 200];
    struct sts_policy p;
    struct failure f = {0};
    (void)state;
    static const char head[] = "version: STSv1\nmode: enforce\nmax_age: 5\n";
    static const char line[] = "mx: a.very-long-name-of-a-host.example\n";
    size_t len = sizeof head - 1;
    memcpy(file, head, len);
    for (; len < STS_MX_MAX + 1000; len += sizeof line - 1) {
        memcpy(file + len, line, sizeof line - 1);
    }
    assert_int_equal(sts_policy_parse(slice_of_text(file), &patterns, &p, &f), STATUS_MALFORMED);
    memset(file, 'x', sizeof file - 1);
    assert_int_equal(sts_policy_parse(slice_of(file, sizeof file - 1), &patterns, &p, &f), STATUS_MALFORMED);
    buf_release(&patterns);
}

static void hosts_match_by_the_leftmost_label(void **state)
{
    static const struct {
        const char *mx, *host;
        bool matches;
    } table[] = {
        {"mail.example.com", "mail.example.com", true},
        {"mail.example.com", "MAIL.example.com", true},
        {"mail.example.com", "x.mail.example.com", false},
        {"*.example.com", "mail.example.com", true},
        {"*.example.com", "a.mail.example.com", false},
        {"*.example.com", "example.com", false},
        {"*.example.com", ".example.com", false},
        {"a.b *.c.d", "x.c.d", true},
        {"a.b *.c.d", "a.b", true},
        {"a.b *.c.d", "c.d", false},
        {"*.com", "com", false},
        {"", "a.b", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct sts_policy p = {.mx = slice_of_text(table[i].mx)};
        assert_int_equal(sts_mx_matches(&p, slice_of_text(table[i].host)), table[i].matches);
    }
}

static void texts_are_read_or_passed_over(void **state)
{
    static const struct {
        const char *text;
        enum sts_text result;
        const char *id;
    } table[] = {
        {"v=STSv1; id=20160831085700Z;", STS_TEXT_GOOD, "20160831085700Z"},
        {"v=STSv1;id=a", STS_TEXT_GOOD, "a"},
        {"v=STSv1 ; later=x ; id=a1", STS_TEXT_GOOD, "a1"},
        {"v=STSv1; id=a; id=b", STS_TEXT_GOOD, "a"},
        {"v=STSv1; id=12345678901234567890123456789012", STS_TEXT_GOOD, "12345678901234567890123456789012"},
        {"v=STSv1; id=123456789012345678901234567890123", STS_TEXT_MALFORMED, ""},
        {"v=STSv1; id=a-b", STS_TEXT_MALFORMED, ""},
        {"v=STSv1; id=", STS_TEXT_MALFORMED, ""},
        {"v=STSv1;", STS_TEXT_MALFORMED, ""},
        {"v=STSv1; ; id=a", STS_TEXT_MALFORMED, ""},
        {"v=STSv1; id", STS_TEXT_MALFORMED, ""},
        {"v=STSv1", STS_TEXT_OTHER, ""},
        {"v=STSv10; id=a", STS_TEXT_OTHER, ""},
        {"v=stsv1; id=a", STS_TEXT_OTHER, ""},
        {"v=spf1 -all", STS_TEXT_OTHER, ""},
        {"", STS_TEXT_OTHER, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t bytes[256];
        char id[STS_ID_MAX + 1];
        size_t len = strlen(table[i].text), half = len / 2;
        bytes[0] = (uint8_t)half; /* in two strings */
        memcpy(bytes + 1, table[i].text, half);
        bytes[1 + half] = (uint8_t)(len - half);
        memcpy(bytes + 2 + half, table[i].text + half, len - half);
        assert_int_equal(sts_text_read(slice_of(bytes, len + 2), id), table[i].result);
        if (table[i].result == STS_TEXT_GOOD) {
            assert_string_equal(id, table[i].id);
        }
        assert_int_equal(sts_text_read(slice_of(bytes, len + 1), id), STS_TEXT_OTHER); /* cut off */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_or_refused),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(hosts_match_by_the_leftmost_label),
        cmocka_unit_test(texts_are_read_or_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
