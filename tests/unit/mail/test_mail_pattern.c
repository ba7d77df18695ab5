/* Expressions of administrators: what they match, what is refused, and that none of them holds a worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the ones above */

#include "base/buf.h"
#include "mail/pattern.h"

static struct pattern *compiled(const char *expression)
{
    struct pattern *p = NULL;
    struct failure f = {.status = STATUS_OK};
    if (pattern_compile(slice_of_text(expression), true, &p, &f) != STATUS_OK) {
        fail_msg("/%s/: %s", expression, f.text);
    }
    return p;
}

static void texts_match_without_regard_to_case(void **state)
{
    static const struct {
        const char *expression, *text;
        enum status status;
        size_t start, len;
    } table[] = {
        {"secret|geheim", "Streng GEHEIM!", STATUS_OK, 7, 6},
        {"^secret", "a secret", STATUS_NOT_FOUND, 0, 0},
        {"\\bwort\\b", "vorwort", STATUS_NOT_FOUND, 0, 0},
        {"\xc3\xa4", "\xc3\x84rger", STATUS_OK, 0, 2},
        {"b", "\xff\xfe b", STATUS_OK, 3, 1}, /* no UTF-8, and yet what is well formed in it is found */
        {"^$", "", STATUS_OK, 0, 0},
        /* The byte that each match needs is in the text in one case or the other, or in neither: U+212A is a
         * k, U+017F an s. */
        {"x-[0-9]+k", "a X-17K", STATUS_OK, 2, 5},
        {"X-[0-9]+K", "a x-17k", STATUS_OK, 2, 5},
        {"x-[0-9]+k", "a x-17l", STATUS_NOT_FOUND, 0, 0},
        {"mark", "mar\xe2\x84\xaa", STATUS_OK, 0, 6},
        {"vas", "va\xc5\xbf", STATUS_OK, 0, 4},
        {"a[7]", "b a7", STATUS_OK, 2, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct pattern *p = compiled(table[i].expression);
        struct pattern_space *space = pattern_space_new();
        struct pattern_hit hit = {0};
        const char *why;
        assert_int_equal(pattern_match(p, space, slice_of_text(table[i].text), &hit, &why), table[i].status);
        assert_int_equal(hit.start, table[i].start);
        assert_int_equal(hit.len, table[i].len);
        pattern_space_free(space);
        pattern_free(p);
    }
}

static void bad_expressions_are_named(void **state)
{
    static const char *const table[] = {
        "(", "[a", "a{2,1}", "\\C", "(?<n>a)(?<n>b)", "", "((((a{99}){99}){99}){99})"};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct pattern *p = NULL;
        struct failure f = {.status = STATUS_OK};
        assert_int_equal(pattern_compile(slice_of_text(table[i]), true, &p, &f), STATUS_INVALID);
        assert_null(p);
        assert_true(f.text[0] != '\0');
    }
}

/* Each of these takes a naive matcher longer than the world is old. */
static void no_expression_runs_on(void **state)
{
    static const char *const table[] = {"(a+)+$", "(a|aa)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$",
                                        "(?:(?:a?){30}a{30})+b"};
    struct buf text = BUF_INIT(1 << 20);
    (void)state;
    for (size_t i = 0; i < PATTERN_TEXT_MAX - 1; i++) {
        assert_int_equal(buf_append_byte(&text, 'a'), STATUS_OK);
    }
    assert_int_equal(buf_append_byte(&text, '!'), STATUS_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct pattern *p = compiled(table[i]);
        struct pattern_space *space = pattern_space_new();
        const char *why;
        assert_int_not_equal(pattern_match(p, space, buf_slice(&text), NULL, &why), STATUS_OK);
        pattern_space_free(space);
        pattern_free(p);
    }
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_match_without_regard_to_case),
        cmocka_unit_test(bad_expressions_are_named),
        cmocka_unit_test(no_expression_runs_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
