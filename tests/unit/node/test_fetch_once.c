/* One location is asked once, however many wait; what fails is asked again; nobody waits beyond the deadline.
 */
#include "node_test.h"

#include "base/clock.h"
#include "node/fetch_once.h"

#define ASKERS 8

static struct fetch_once once;
static const uint8_t key[FETCH_KEY_SIZE] = {1}, other[FETCH_KEY_SIZE] = {2};

static int begin(void **state)
{
    (void)state;
    fetch_once_init(&once);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fetch_once_release(&once);
    return 0;
}

static enum status ask(const uint8_t *of, uint64_t wait_ms, struct buf *content)
{
    return fetch_once_begin(&once, of, clock_monotonic_ms() + wait_ms, content);
}

static void *ask_and_wait(void *context)
{
    struct buf content = BUF_INIT(64);
    (void)context;
    enum status status = ask(key, 20000, &content);
    bool good = status == STATUS_OK && slice_equal(buf_slice(&content), SLICE_LITERAL("issuer"));
    buf_release(&content);
    return good ? &once : NULL;
}

static void what_one_fetches_all_get(void **state)
{
    pthread_t askers[ASKERS];
    struct buf content = BUF_INIT(64);
    void *good;
    (void)state;
    assert_int_equal(ask(key, 0, &content), STATUS_NOT_FOUND);
    for (size_t i = 0; i < ASKERS; i++) {
        assert_int_equal(pthread_create(&askers[i], NULL, ask_and_wait, NULL), 0);
    }
    assert_int_equal(ask(other, 0, &content), STATUS_NOT_FOUND);
    fetch_once_end(&once, other, SLICE_LITERAL("another"));
    fetch_once_end(&once, key, SLICE_LITERAL("issuer"));
    for (size_t i = 0; i < ASKERS; i++) {
        assert_int_equal(pthread_join(askers[i], &good), 0);
        assert_non_null(good);
    }
    buf_release(&content);
}

static void what_failed_is_asked_again(void **state)
{
    struct buf content = BUF_INIT(64);
    (void)state;
    assert_int_equal(ask(key, 0, &content), STATUS_NOT_FOUND);
    assert_int_equal(ask(key, 20, &content), STATUS_TIMEOUT);
    fetch_once_end(&once, key, SLICE_LITERAL(""));
    assert_int_equal(ask(key, 0, &content), STATUS_NOT_FOUND);
    fetch_once_end(&once, key, SLICE_LITERAL("issuer"));
    assert_int_equal(ask(key, 0, &content), STATUS_OK);
    buf_release(&content);
}

static void when_all_places_are_taken_everybody_asks(void **state)
{
    struct buf content = BUF_INIT(64);
    uint8_t many[FETCH_KEY_SIZE] = {9};
    (void)state;
    for (uint8_t i = 0; i < FETCH_ONCE_MAX; i++) {
        many[1] = i;
        assert_int_equal(ask(many, 0, &content), STATUS_NOT_FOUND);
    }
    assert_int_equal(ask(key, 0, &content), STATUS_NOT_FOUND);
    assert_int_equal(ask(key, 0, &content), STATUS_NOT_FOUND);
    fetch_once_end(&once, key, SLICE_LITERAL("issuer"));
    buf_release(&content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_one_fetches_all_get, begin, end),
        cmocka_unit_test_setup_teardown(what_failed_is_asked_again, begin, end),
        cmocka_unit_test_setup_teardown(when_all_places_are_taken_everybody_asks, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
