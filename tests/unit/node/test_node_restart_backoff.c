/* When a role is started again: at once, then after 100 ms, doubling to 5 s; anew when it lived 2 s. */
#include "node_test.h"

#include "node/restart_backoff.h"

static void test_grows(void **state)
{
    static const unsigned expected[] = {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
    struct restart_backoff b = {0};
    uint64_t now = 1000;
    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        restart_backoff_started(&b, now);
        now += 50;
        assert_int_equal(restart_backoff_ended(&b, now), expected[i]);
    }
}

static void test_begins_anew(void **state)
{
    struct restart_backoff b = {0};
    (void)state;
    restart_backoff_started(&b, 0);
    assert_int_equal(restart_backoff_ended(&b, 10), 0);
    restart_backoff_started(&b, 10);
    assert_int_equal(restart_backoff_ended(&b, 20), 100);
    restart_backoff_started(&b, 200);
    assert_int_equal(restart_backoff_ended(&b, 200 + RESTART_PROVEN_MS - 1), 200);
    restart_backoff_started(&b, 20000);
    assert_int_equal(restart_backoff_ended(&b, 20000 + RESTART_PROVEN_MS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grows), cmocka_unit_test(test_begins_anew)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
