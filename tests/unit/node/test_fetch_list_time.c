/* When a revocation list is fetched again: before it ends, never in a tight loop, at growing distances after
 * failures. */
#include "node_test.h"

#include "node/fetch_lists.h"

#define MINUTE ((uint64_t)60000)
#define HOUR   (60 * MINUTE)

static void failures_grow_and_end(void **state)
{
    uint64_t before = 0;
    (void)state;
    for (uint64_t failures = 1; failures < 40; failures++) {
        struct list_times t = {
            .now_ms = 1000 * HOUR, .refresh_ms = 12 * HOUR, .failures = failures, .random = 0};
        uint64_t least = list_time_after_failure(&t) - t.now_ms;
        t.random = UINT32_MAX;
        uint64_t other = list_time_after_failure(&t) - t.now_ms;
        assert_true(least >= before && least >= MINUTE * 9 / 10);
        assert_true(other <= 12 * HOUR * 11 / 10);
        before = least;
    }
    assert_int_equal(before, 12 * HOUR - 12 * HOUR / 10);
}

static void a_list_is_fetched_before_it_ends(void **state)
{
    struct list_times t = {
        .now_ms = 100 * HOUR, .refresh_ms = 12 * HOUR, .list_this_ms = 99 * HOUR, .list_next_ms = 109 * HOUR};
    (void)state;
    assert_int_equal(list_time_after_success(&t), 108 * HOUR);
    t.list_next_ms = 1000 * HOUR;
    assert_true(list_time_after_success(&t) <= t.now_ms + 14 * HOUR);
    t.list_next_ms = 0;
    assert_true(list_time_after_success(&t) >= t.now_ms + 10 * HOUR);
}

static void never_a_tight_loop(void **state)
{
    struct list_times t = {
        .now_ms = 100 * HOUR, .refresh_ms = 12 * HOUR, .list_this_ms = 1, .list_next_ms = 2};
    (void)state;
    assert_int_equal(list_time_after_success(&t), t.now_ms + MINUTE);
    t.list_this_ms = UINT64_MAX - 1;
    t.list_next_ms = UINT64_MAX;
    assert_true(list_time_after_success(&t) >= t.now_ms + MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(failures_grow_and_end),
                                       cmocka_unit_test(a_list_is_fetched_before_it_ends),
                                       cmocka_unit_test(never_a_tight_loop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
