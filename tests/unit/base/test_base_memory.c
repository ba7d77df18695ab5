/* Slices, buffers, arenas and secrets: limits hold, failures leave things as they were. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/secret.h"

#include "base_test.h"

static void slices_compare_by_their_bytes(void **state)
{
    static const struct {
        const char *a, *b;
        int order;
        bool nocase;
    } table[] = {{"", "", 0, true},           {"a", "", 1, false},     {"", "a", -1, false},
                 {"abc", "abd", -1, false},   {"abc", "ab", 1, false}, {"AbC", "aBc", -1, true},
                 {"\x7f", "\x80", -1, false}, {"[", "{", -1, false},   {"@a", "`a", -1, false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct slice a = slice_of_text(table[i].a), b = slice_of_text(table[i].b);
        int order = slice_compare(a, b);

        assert_int_equal((order > 0) - (order < 0), table[i].order);
        assert_int_equal(slice_equal(a, b), table[i].order == 0);
        assert_int_equal(slice_equal_nocase(a, b), table[i].nocase);
    }
    assert_true(slice_starts_with(SLICE_LITERAL("*.x"), SLICE_LITERAL("*.")));
    assert_false(slice_starts_with(SLICE_LITERAL("*"), SLICE_LITERAL("*.")));
    assert_true(slice_starts_with_nocase(SLICE_LITERAL("SEALPOST-x"), SLICE_LITERAL("SealPost-")));
    assert_int_equal(slice_find_byte(SLICE_LITERAL("abc"), 'c'), 2);
    assert_int_equal(slice_find_byte((struct slice){0}, 'c'), 0);
    assert_true(slice_equal(slice_trim(SLICE_LITERAL(" \t a b \t")), SLICE_LITERAL("a b")));
    assert_int_equal(slice_trim(SLICE_LITERAL(" \t ")).len, 0);
}

static void a_part_is_found_in_any_case(void **state)
{
    static const struct {
        const char *text, *part;
        size_t at;
    } table[] = {{"", "", 0},         {"abc", "", 0},
                 {"", "a", 0},        {"abc", "abcd", 3},
                 {"xAbc", "aBC", 1},  {"aaab", "AAB", 1},
                 {"aAaAb", "aab", 2}, {"[x] [y]", "[Y", 4},
                 {"abab", "ba", 1},   {"@abc", "`abc", 4},
                 {"AxaxAy", "ay", 4}, {"abc", "C", 2},
                 {"abc", "d", 3},     {"\xc3\x84", "\xc3\xa4", 2}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(slice_find_nocase(slice_of_text(table[i].text), slice_of_text(table[i].part)),
                         table[i].at);
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } table[] = {{"0", true, 0},
                 {"007", true, 7},
                 {"18446744073709551615", true, UINT64_MAX},
                 {"18446744073709551616", false, 0},
                 {"99999999999999999999999", false, 0},
                 {"", false, 0},
                 {"-1", false, 0},
                 {"+1", false, 0},
                 {" 1", false, 0},
                 {"1 ", false, 0},
                 {"1a", false, 0},
                 {"0x10", false, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint64_t value = 42;

        assert_int_equal(slice_parse_u64(slice_of_text(table[i].text), &value), table[i].good);
        assert_true(value == (table[i].good ? table[i].value : 42));
    }
}

static void text_is_well_formed_utf8_without_controls(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } table[] = {{"", true},
                 {"plain", true},
                 {"M\xc3\xbcller", true},
                 {"\xe2\x82\xac", true},
                 {"\xf0\x9f\x94\x92", true},
                 {"\xf4\x8f\xbf\xbf", true},
                 {"tab\t", false},
                 {"line\n", false},
                 {"\x7f", false},
                 {"\xc2\x85", false}, /* C1: NEL */
                 {"\xc2\xa0", true},  /* the first after C1 */
                 {"\x80", false},     /* continuation without a start */
                 {"\xc3", false},     /* cut */
                 {"\xc3(", false},
                 {"\xc0\xaf", false},         /* overlong */
                 {"\xe0\x9f\xbf", false},     /* overlong */
                 {"\xed\xa0\x80", false},     /* surrogate */
                 {"\xf0\x8f\xbf\xbf", false}, /* overlong */
                 {"\xf4\x90\x80\x80", false}, /* beyond U+10FFFF */
                 {"\xf5\x80\x80\x80", false},
                 {"\xe2\x82", false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (slice_is_text(slice_of_text(table[i].text)) != table[i].good)
            fail_msg("row %zu", i);
    assert_false(slice_is_text(slice_of("a\0b", 3)));
}

static void a_buffer_never_passes_its_maximum(void **state)
{
    struct buf b = BUF_INIT(1000);
    char block[300];

    (void)state;
    memset(block, 'x', sizeof(block));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(buf_append(&b, block, sizeof(block)), STATUS_OK);
    assert_int_equal(buf_append(&b, block, 101), STATUS_TOO_LARGE);
    assert_int_equal(b.len, 900); /* as it was */
    assert_int_equal(buf_append(&b, block, 100), STATUS_OK);
    assert_int_equal(buf_append_byte(&b, 'y'), STATUS_TOO_LARGE);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), STATUS_TOO_LARGE);
    assert_null(buf_text(&b)); /* no room for its NUL */
    buf_consume(&b, 999);
    assert_int_equal(b.len, 1);
    assert_string_equal(buf_text(&b), "x");
    buf_consume(&b, 5);
    assert_int_equal(b.len, 0);
    buf_release(&b);
    assert_int_equal(b.max, 1000);
    assert_int_equal(buf_append_slice(&b, (struct slice){0}), STATUS_OK);
    buf_release(&b);
}

static void formatting_fills_to_the_last_byte(void **state)
{
    struct buf b = BUF_INIT(10);

    (void)state;
    assert_int_equal(buf_printf(&b, "%s-%04d", "abcde", 42), STATUS_OK); /* exactly 10 */
    assert_true(slice_equal(buf_slice(&b), SLICE_LITERAL("abcde-0042")));
    assert_int_equal(buf_printf(&b, "%c", 'x'), STATUS_TOO_LARGE);
    assert_int_equal(b.len, 10);
    buf_release(&b);
}

static void a_wiping_buffer_grows_and_keeps_its_content(void **state)
{
    struct buf b = BUF_INIT(1 << 20);
    uint8_t byte = 0;

    (void)state;
    b.wipe = true;
    for (unsigned i = 0; i < 5000; i++, byte++)
        assert_int_equal(buf_append_byte(&b, byte), STATUS_OK);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(b.data[i], (uint8_t)i);
    buf_reset(&b);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(b.data[i], 0);
    buf_release(&b);
}

static void an_arena_hands_out_aligned_zeros_up_to_its_maximum(void **state)
{
    struct arena a;
    struct slice copy;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t size = 0; size < 600; size++) {
        uint8_t *memory = arena_alloc(&a, size);

        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, size); /* a neighbour that is touched shows in the next round */
    }
    assert_non_null(arena_alloc(&a, 300000)); /* larger than the next block would be */
    assert_null(arena_alloc(&a, 1 << 20));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc_array(&a, SIZE_MAX / 2, 3));
    assert_string_equal(arena_printf(&a, "%s/%d", "x", 7), "x/7");
    assert_string_equal(arena_text(&a, SLICE_LITERAL("text")), "text");
    assert_true(arena_copy(&a, SLICE_LITERAL("copy"), &copy));
    assert_true(slice_equal(copy, SLICE_LITERAL("copy")));
    arena_release(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 16));
    arena_release(&a);
    arena_init(&a, SIZE_MAX);
    assert_null(arena_alloc(&a, SIZE_MAX - 15)); /* no sum of sizes wraps */
    arena_release(&a);
}

static void secrets_end_with_a_nul_and_are_wiped(void **state)
{
    struct secret s;

    (void)state;
    assert_int_equal(secret_copy(&s, SLICE_LITERAL("hunter2")), STATUS_OK);
    assert_string_equal((const char *)s.data, "hunter2");
    assert_true(secret_equal(secret_slice(&s), SLICE_LITERAL("hunter2")));
    assert_false(secret_equal(secret_slice(&s), SLICE_LITERAL("hunter3")));
    assert_false(secret_equal(secret_slice(&s), SLICE_LITERAL("hunter")));
    secret_release(&s);
    assert_null(s.data);
    secret_release(&s);
    assert_int_equal(secret_alloc(&s, SECRET_MAX + 1), STATUS_TOO_LARGE);
    assert_null(s.data);
    assert_int_equal(secret_alloc(&s, 0), STATUS_OK);
    assert_int_equal(s.len, 0);
    secret_release(&s);
    assert_int_equal(secret_alloc(&s, 4096), STATUS_OK); /* a whole page of content still has its NUL */
    assert_int_equal(s.data[4096], 0);
    secret_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_by_their_bytes),
        cmocka_unit_test(a_part_is_found_in_any_case),
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(text_is_well_formed_utf8_without_controls),
        cmocka_unit_test(a_buffer_never_passes_its_maximum),
        cmocka_unit_test(formatting_fills_to_the_last_byte),
        cmocka_unit_test(a_wiping_buffer_grows_and_keeps_its_content),
        cmocka_unit_test(an_arena_hands_out_aligned_zeros_up_to_its_maximum),
        cmocka_unit_test(secrets_end_with_a_nul_and_are_wiped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
