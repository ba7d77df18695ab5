/* The schedule: order, states, listing; and the codec of queue entries. */
#include "base/msgpack_read.h"
#include "smtp/queue_protocol.h"
#include "smtp/schedule.h"
#include "smtp/spool_envelope.h"
#include "smtp/spool_state.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void id_of(uint64_t n, uint8_t id[ID_SIZE])
{
    uint8_t random[10] = {0};
    /* spread over the buckets */
    uint64_t mixed = n * 0x9e3779b97f4a7c15u;
    memcpy(random + 2, &mixed, sizeof mixed);
    id_make(id, 1000 + n, random);
}

static void test_order(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct schedule s = {0};
    for (uint64_t i = 0; i < COUNT; i++) {
        uint8_t id[ID_SIZE];
        id_of(i, id);
        assert_non_null(schedule_add(&s, id, 10, SCHEDULE_WAITING, 0, (i * 7919) % COUNT));
    }
    /* some go, some change */
    for (uint64_t i = 0; i < COUNT; i += 3) {
        uint8_t id[ID_SIZE];
        id_of(i, id);
        struct schedule_entry *e = schedule_find(&s, id);
        assert_non_null(e);
        if (i % 2 == 0) {
            schedule_remove(&s, e);
            assert_null(schedule_find(&s, id));
        } else {
            schedule_wait(&s, e, COUNT + i);
        }
    }
    assert_int_equal(s.bytes, s.count * 10);
    uint64_t last = 0;
    size_t taken = 0;
    for (struct schedule_entry *e; (e = schedule_take_due(&s, UINT64_MAX)) != NULL; taken++) {
        assert_true(e->next_ms >= last);
        last = e->next_ms;
    }
    assert_int_equal(taken, s.count);
    assert_int_equal(s.active, s.count);
    assert_int_equal(schedule_next(&s), UINT64_MAX);
    schedule_release(&s);
}

static void test_due(void **state)
{
    (void)state;
    struct schedule s = {0};
    uint8_t id[ID_SIZE];
    assert_null(schedule_take_due(&s, 1000));
    id_of(1, id);
    assert_non_null(schedule_add(&s, id, 1, SCHEDULE_WAITING, 0, 500));
    assert_int_equal(schedule_next(&s), 500);
    assert_null(schedule_take_due(&s, 499));
    struct schedule_entry *e = schedule_take_due(&s, 500);
    assert_non_null(e);
    assert_null(schedule_take_due(&s, 500));
    schedule_quarantine(&s, e);
    assert_int_equal(s.quarantined, 1);
    assert_int_equal(schedule_next(&s), UINT64_MAX);
    schedule_wait(&s, e, 600);
    assert_int_equal(s.quarantined, 0);
    assert_int_equal(schedule_next(&s), 600);
    schedule_release(&s);
}

static void test_list(void **state)
{
    (void)state;
    enum { COUNT = 1000, PAGE = 37 };
    struct schedule s = {0};
    struct schedule_entry *page[PAGE];
    const uint8_t *after = NULL;
    for (uint64_t i = 0; i < COUNT; i++) {
        uint8_t id[ID_SIZE];
        id_of((i * 7919) % COUNT, id);
        assert_non_null(schedule_add(&s, id, 1, i % 2 == 0 ? SCHEDULE_WAITING : SCHEDULE_HELD, 0, i));
    }
    size_t seen = 0;
    for (size_t n; (n = id_order_after(&s.order, after, page, PAGE)) > 0; after = page[n - 1]->id) {
        for (size_t i = 0; i < n; i++) {
            uint8_t id[ID_SIZE];
            id_of(seen++, id);
            assert_memory_equal(page[i]->id, id, ID_SIZE);
        }
    }
    assert_int_equal(seen, COUNT);
    after = NULL;
    for (size_t n; (n = id_order_before(&s.order, after, page, PAGE)) > 0; after = page[n - 1]->id) {
        for (size_t i = 0; i < n; i++) {
            uint8_t id[ID_SIZE];
            id_of(--seen, id);
            assert_memory_equal(page[i]->id, id, ID_SIZE);
        }
    }
    assert_int_equal(seen, 0);
    /* Most go, in another order; those that are left are found from places that are gone. */
    for (uint64_t i = 0; i < COUNT; i++) {
        uint8_t id[ID_SIZE];
        id_of((i * 331) % COUNT, id);
        if ((i * 331) % COUNT % 50 != 7) {
            schedule_remove(&s, schedule_find(&s, id));
        }
    }
    assert_int_equal(s.held + s.heap_count, COUNT / 50);
    uint8_t gone[ID_SIZE], next[ID_SIZE];
    id_of(500, gone);
    assert_int_equal(id_order_after(&s.order, gone, page, PAGE), 10);
    id_of(507, next);
    assert_memory_equal(page[0]->id, next, ID_SIZE);
    assert_int_equal(id_order_before(&s.order, gone, page, PAGE), 10);
    id_of(457, next);
    assert_memory_equal(page[0]->id, next, ID_SIZE);
    schedule_release(&s);
}

static void test_a_clock_that_is_set_back(void **state)
{
    (void)state;
    struct schedule s = {0};
    for (uint64_t i = 0; i < 100; i++) {
        uint8_t id[ID_SIZE];
        id_of(i, id);
        assert_non_null(schedule_add(&s, id, 1, SCHEDULE_WAITING, 0, 1000 + (i * 37) % 100));
    }
    schedule_move_earlier(&s, 990);
    assert_int_equal(schedule_next(&s), 10);
    for (uint64_t due = 10; due < 110; due++) {
        assert_null(schedule_take_due(&s, due - 1));
        assert_non_null(schedule_take_due(&s, due));
    }
    schedule_release(&s);
}

static void test_jitter(void **state)
{
    (void)state;
    assert_int_equal(schedule_jitter(1000, 0), 900);
    assert_int_equal(schedule_jitter(1000, 65535), 1099);
    assert_int_equal(schedule_jitter(0, 12345), 0);
    assert_in_range(schedule_jitter((uint64_t)5 * 24 * 3600 * 1000, 65535), 0,
                    (uint64_t)6 * 24 * 3600 * 1000);
}

static void test_entry_codec(void **state)
{
    (void)state;
    struct queue_recipient recipients[] = {
        {.address = SLICE_LITERAL("a@b.test"),
         .state = SLICE_LITERAL("waiting"),
         .protection = SLICE_LITERAL("none"),
         .last_reply = SLICE_LITERAL("450 later"),
         .next_hop = SLICE_LITERAL("h:25")},
        {.address = SLICE_LITERAL("c@b.test"), .state = SLICE_LITERAL("delivered")},
    };
    struct queue_entry in = {.id = SLICE_LITERAL("01m86mkj37aqfxjdd0hh1aaj2s"),
                             .sender = SLICE_LITERAL("s@a.test"),
                             .state = SLICE_LITERAL("deferred"),
                             .arrived_ms = 1,
                             .next_attempt_ms = 2,
                             .expires_ms = 3,
                             .size = 4,
                             .attempts = 5,
                             .recipients = recipients,
                             .recipient_count = 2,
                             .trace = SLICE_LITERAL("{}")};
    struct queue_entry out;
    struct buf b = BUF_INIT(4096);
    struct arena a;
    arena_init(&a, 65536);
    assert_int_equal(queue_entry_encode(&in, &b), STATUS_OK);
    for (size_t len = 0; len <= b.len; len++) {
        struct msgpack_reader r;
        msgpack_reader_init(&r, slice_of(b.data, len));
        queue_entry_read(&r, &a, &out);
        assert_int_equal(msgpack_reader_status(&r, true) == STATUS_OK, len == b.len);
    }
    assert_true(slice_equal(out.id, in.id) && slice_equal(out.sender, in.sender) &&
                slice_equal(out.trace, in.trace));
    assert_int_equal(out.attempts, 5);
    assert_int_equal(out.recipient_count, 2);
    assert_true(slice_equal(out.recipients[0].last_reply, recipients[0].last_reply));
    arena_release(&a);
    buf_release(&b);
}

static void test_envelope_codec(void **state)
{
    (void)state;
    struct slice recipients[] = {SLICE_LITERAL("a@b.test"), SLICE_LITERAL("b@b.test")};
    size_t first[] = {1}, second[] = {0}, twice[] = {1, 1};
    struct spool_variant variants[] = {
        {.size = 5, .protection = SLICE_LITERAL("none"), .recipients = first, .recipient_count = 1},
        {.size = 6, .needs_8bit = true, .recipients = second, .recipient_count = 1}};
    struct spool_envelope e = {.arrived_ms = 9,
                               .sender = SLICE_LITERAL("s@a.test"),
                               .recipients = recipients,
                               .recipient_count = 2,
                               .variants = variants,
                               .variant_count = 2,
                               .trace = SLICE_LITERAL("{}")};
    struct spool_envelope out;
    struct buf b = BUF_INIT(4096);
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_int_equal(spool_envelope_encode(&e, &b), STATUS_OK);
    for (size_t len = 0; len <= b.len; len++) {
        assert_int_equal(spool_envelope_decode(slice_of(b.data, len), &a, &out) == STATUS_OK, len == b.len);
    }
    assert_int_equal(out.variants[1].recipients[0], 0);
    assert_int_equal(spool_envelope_size(&out), 11);
    /* a recipient twice, or in no variant */
    variants[0].recipients = twice;
    variants[0].recipient_count = 2;
    buf_reset(&b);
    assert_int_equal(spool_envelope_encode(&e, &b), STATUS_OK);
    assert_int_equal(spool_envelope_decode(buf_slice(&b), &a, &out), STATUS_CORRUPT);
    e.variant_count = 0;
    buf_reset(&b);
    assert_int_equal(spool_envelope_encode(&e, &b), STATUS_OK);
    assert_int_equal(spool_envelope_decode(buf_slice(&b), &a, &out), STATUS_CORRUPT);
    arena_release(&a);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),          cmocka_unit_test(test_due),
        cmocka_unit_test(test_list),           cmocka_unit_test(test_a_clock_that_is_set_back),
        cmocka_unit_test(test_jitter),         cmocka_unit_test(test_entry_codec),
        cmocka_unit_test(test_envelope_codec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
