/* Rates and counts of clients: the arithmetic, the clock's jumps, and what a flood of addresses can do. */
#include "smtp/client_table.h"
#include "smtp/rate_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t key[SIPHASH_KEY_SIZE] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* The reference's own vectors: key 00..0f, input 00..n-1. */
static void test_siphash(void **state)
{
    (void)state;
    uint8_t in[64];
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)i;
    }
    assert_true(siphash(key, slice_of(in, 0)) == 0x726fdb47dd0e0e31u);
    assert_true(siphash(key, slice_of(in, 1)) == 0x74f839c593dc67fdu);
    assert_true(siphash(key, slice_of(in, 8)) == 0x93f5f5799a932462u);
    assert_true(siphash(key, slice_of(in, 15)) == 0xa129ca6149be45e5u);
    assert_true(siphash(key, slice_of(in, 63)) == 0x958a324ceb064572u);
}

static size_t takes(struct rate_table *t, enum rate_kind kind, const char *who, uint64_t count,
                    uint64_t now_ms, size_t tries)
{
    size_t n = 0;
    for (size_t i = 0; i < tries; i++) {
        n += rate_take(t, kind, slice_of_text(who), count, now_ms);
    }
    return n;
}

static void test_rates(void **state)
{
    (void)state;
    static const struct {
        enum rate_kind kind;
        uint64_t count, period_ms;
    } rows[] = {{RATE_CLIENT_MESSAGES, 1, 60000},          {RATE_CLIENT_MESSAGES, 7, 60000},
                {RATE_CLIENT_ERRORS, 70001, 60000},        {RATE_CLIENT_RECIPIENTS, 1000000, 60000},
                {RATE_SENDER_MESSAGES_HOUR, 60, 3600000},  {RATE_SENDER_MESSAGES_DAY, 500, 86400000},
                {RATE_ACCOUNT_RECIPIENTS_DAY, 1, 86400000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rate_table *t = rate_table_new(1024, key);
        uint64_t n = rows[i].count, now = 1000, period = rows[i].period_ms;
        assert_int_equal(rate_period_ms(rows[i].kind), period);
        assert_int_equal(takes(t, rows[i].kind, "a", n, now, n + 50), n);
        assert_true(rate_is_spent(t, rows[i].kind, slice_of_text("a"), n, now));
        assert_false(rate_is_spent(t, rows[i].kind, slice_of_text("b"), n, now));
        assert_int_equal(takes(t, rows[i].kind, "b", n, now, 1), 1);
        /* another kind and no limit are not touched by it */
        assert_int_equal(takes(t, RATE_CLIENT_TLS, "a", 1, now, 1), 1);
        assert_int_equal(takes(t, rows[i].kind, "a", 0, now, 10), 10);
        /* in the next half period half of them, and a whole period of quiet gives all */
        size_t half = takes(t, rows[i].kind, "a", n, now + period / 2, n + 50);
        assert_true(half <= n / 2 && half + 1 + n / 1000 >= n / 2); /* steps are rounded up */
        assert_int_equal(takes(t, rows[i].kind, "a", n, now + 3 * period, n + 50), n);
        rate_table_free(t);
    }
}

static void test_a_clock_that_jumps(void **state)
{
    (void)state;
    struct rate_table *t = rate_table_new(1024, key);
    uint64_t now = (uint64_t)40 * 86400000;
    assert_int_equal(takes(t, RATE_CLIENT_MESSAGES, "a", 10, now, 20), 10);
    /* forty days back: the debt is of a time that is far ahead, and is a period's at most */
    assert_int_equal(takes(t, RATE_CLIENT_MESSAGES, "a", 10, 1000, 20), 0);
    assert_int_equal(takes(t, RATE_CLIENT_MESSAGES, "a", 10, 1000 + 60000, 20), 10);
    /* forward: forgiven, and no overflow */
    assert_int_equal(takes(t, RATE_CLIENT_MESSAGES, "a", 10, now * 1000, 20), 10);
    rate_table_free(t);
}

static void test_a_flood_frees_nobody(void **state)
{
    (void)state;
    struct rate_table *t = rate_table_new(1024, key);
    char who[32];
    assert_int_equal(takes(t, RATE_CLIENT_MESSAGES, "limited", 20, 1000, 30), 20);
    assert_int_equal(takes(t, RATE_SENDER_MESSAGES_DAY, "limited by the day", 1000, 1000, 1100), 1000);
    for (unsigned i = 0; i < 200000; i++) {
        (void)!snprintf(who, sizeof who, "flood %u", i);
        assert_true(rate_take(t, RATE_CLIENT_MESSAGES, slice_of_text(who), 20, 1001));
    }
    assert_true(rate_evicted(t) > 100000);
    assert_true(rate_is_spent(t, RATE_CLIENT_MESSAGES, slice_of_text("limited"), 20, 1002));
    assert_true(rate_is_spent(t, RATE_SENDER_MESSAGES_DAY, slice_of_text("limited by the day"), 1000, 1002));
    /* when the flood's debts are paid nobody is pushed out any more */
    uint64_t evicted = rate_evicted(t);
    for (unsigned i = 0; i < 100; i++) {
        (void)!snprintf(who, sizeof who, "later %u", i);
        assert_true(rate_take(t, RATE_CLIENT_MESSAGES, slice_of_text(who), 20, 61002));
    }
    assert_int_equal(rate_evicted(t), evicted);
    rate_table_free(t);
}

static bool same_client(const char *a, const char *b)
{
    struct client_key one = client_key_of(a), two = client_key_of(b);
    return memcmp(&one, &two, sizeof one) == 0;
}

static void test_what_a_client_is(void **state)
{
    (void)state;
    assert_true(same_client("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"));
    assert_false(same_client("2001:db8:0:1::1", "2001:db8:0:2::1"));
    assert_false(same_client("192.0.2.1", "192.0.2.2"));
    assert_true(same_client("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(same_client("192.0.2.1", "c000:201::"));
    assert_false(same_client("0.0.0.0", "nonsense"));
}

static void test_sessions_of_a_client(void **state)
{
    (void)state;
    struct client_table *t = calloc(1, sizeof *t);
    struct client_count *rows[3000];
    char ip[64];
    for (unsigned i = 0; i < 3000; i++) { /* a thousand clients, three each */
        (void)!snprintf(ip, sizeof ip, "10.0.%u.%u", i % 1000 / 250, i % 250);
        struct client_key client = client_key_of(ip);
        rows[i] = client_came(t, &client, 3);
        assert_non_null(rows[i]);
    }
    struct client_key client = client_key_of("10.0.0.7");
    assert_null(client_came(t, &client, 3));
    client_left(t, rows[7]);
    rows[7] = client_came(t, &client, 3);
    assert_non_null(rows[7]);
    assert_null(client_came(t, &client, 3));
    for (unsigned i = 0; i < 3000; i++) {
        client_left(t, rows[i]);
    }
    client_left(t, NULL);
    assert_null(client_came(t, &client, 0));
    for (size_t i = 0; i < CLIENT_TABLE_BUCKETS; i++) {
        assert_null(t->buckets[i]);
    }
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_a_clock_that_jumps),
        cmocka_unit_test(test_a_flood_frees_nobody),
        cmocka_unit_test(test_what_a_client_is),
        cmocka_unit_test(test_sessions_of_a_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
