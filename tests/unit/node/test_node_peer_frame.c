/* Frames between nodes: whole, partial, none, and lengths that no peer may claim. */
#include "node_test.h"

#include "node/peer_frame.h"

static void test_take(void **state)
{
    static const uint8_t bytes[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'd'};
    struct slice payload;
    (void)state;
    for (size_t len = 0; len < 7; len++) {
        assert_int_equal(peer_frame_take(slice_of(bytes, len), 100, &payload), 0);
    }
    assert_int_equal(peer_frame_take(slice_of(bytes, sizeof(bytes)), 100, &payload), 1);
    assert_true(slice_equal(payload, SLICE_LITERAL("abc")));
    assert_int_equal(peer_frame_take(slice_of(bytes + 7, 5), 100, &payload), 1);
    assert_true(slice_equal(payload, SLICE_LITERAL("d")));
}

static void test_lengths(void **state)
{
    static const uint8_t zero[] = {0, 0, 0, 0}, much[] = {0xff, 0xff, 0xff, 0xff}, above[] = {0, 0, 0, 101};
    struct slice payload;
    (void)state;
    assert_int_equal(peer_frame_take(slice_of(zero, 4), 100, &payload), -1);
    assert_int_equal(peer_frame_take(slice_of(much, 4), 100, &payload), -1);
    assert_int_equal(peer_frame_take(slice_of(above, 4), 100, &payload), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_take), cmocka_unit_test(test_lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
