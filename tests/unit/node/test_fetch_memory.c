/* Failed look-ups are not tried again for a while, and no host gets more requests a minute than it should. */
#include "node_test.h"

#include "node/fetch_memory.h"

static void key_make(uint8_t key[FETCH_KEY_SIZE], unsigned n)
{
    memset(key, 0, FETCH_KEY_SIZE);
    key[0] = (uint8_t)(n >> 8);
    key[1] = (uint8_t)n;
    key[2] = (uint8_t)(n >> 16);
}

static void a_failure_lasts_its_time(void **state)
{
    static struct fetch_memory m;
    uint8_t key[FETCH_KEY_SIZE], other[FETCH_KEY_SIZE];
    (void)state;
    key_make(key, 7);
    key_make(other, 7 | 1 << 16); /* the same place in the table */
    assert_false(fetch_memory_has_failed(&m, key, 1000));
    fetch_memory_failed(&m, key, 1000, 600000);
    assert_true(fetch_memory_has_failed(&m, key, 1000));
    assert_true(fetch_memory_has_failed(&m, key, 600999));
    assert_false(fetch_memory_has_failed(&m, key, 601000));
    assert_false(fetch_memory_has_failed(&m, other, 1000));
    fetch_memory_forget_failures(&m);
    assert_false(fetch_memory_has_failed(&m, key, 1000));
}

static void a_host_has_its_share(void **state)
{
    static struct fetch_memory m;
    uint8_t host[FETCH_KEY_SIZE], other[FETCH_KEY_SIZE];
    (void)state;
    key_make(host, 1);
    key_make(other, 2);
    for (unsigned i = 0; i < FETCH_HOST_A_MINUTE; i++) {
        assert_true(fetch_memory_may_ask(&m, host, 5000 + i));
    }
    assert_false(fetch_memory_may_ask(&m, host, 64999));
    assert_true(fetch_memory_may_ask(&m, other, 64999));
    assert_true(fetch_memory_may_ask(&m, host, 65000));
}

static void all_hosts_together_have_one_too(void **state)
{
    static struct fetch_memory m;
    uint8_t host[FETCH_KEY_SIZE];
    unsigned let_through = 0;
    (void)state;
    for (unsigned i = 0; i < 4 * FETCH_ALL_A_MINUTE; i++) {
        key_make(host, i);
        let_through += fetch_memory_may_ask(&m, host, 1000);
    }
    assert_int_equal(let_through, FETCH_ALL_A_MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_failure_lasts_its_time),
                                       cmocka_unit_test(a_host_has_its_share),
                                       cmocka_unit_test(all_hosts_together_have_one_too)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
