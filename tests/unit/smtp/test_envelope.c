/* Envelopes, and states of delivery, as bytes: what release 0.1 and 0.2 wrote, and what this one writes, byte
 * by byte. */
#include "smtp/spool_envelope.h"
#include "smtp/spool_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ID "0123456789abcdef"

/* Up to the list of recipients: arrived 5, node 1, epoch 1, flags 0, sender "s", client "i", HELO "h". */
#define HEAD "\xc4\x10" ID "\x05\x01\x01\x00\xa1s\xa1i\xa1h"
/* Recipients "r" and "q", one variant of 10 bytes for both, trace "{}", no refusal. */
#define LISTS "\x92\xa1r\xa1q\x91\x96\x0a\x01\xa4none\x92\x00\x01\xa0\xa0\xa2{}\x90"

#define BYTES(text) slice_of(text, sizeof(text) - 1)

static struct arena arena;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, (size_t)1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static void test_version_2_asks_for_nothing(void **state)
{
    (void)state;
    struct spool_envelope e;
    assert_int_equal(spool_envelope_decode(BYTES("\x9d\x02" HEAD LISTS), &arena, &e), STATUS_OK);
    assert_int_equal(e.recipient_count, 2);
    assert_int_equal(e.variants[0].size, 10);
    assert_int_equal(e.promises, 0);
    assert_int_equal(e.envid.len, 0);
    assert_null(e.wishes);
    assert_int_equal(spool_envelope_wish(&e, 1).notify, 0);
}

/* SMTPUTF8, REQUIRETLS, RET=HDRS, ENVID=QQ; the second recipient: SUCCESS, DELAY, ORCPT. */
static const char version_3[] = "\xdc\x00\x10\x03" HEAD LISTS "\x16\xa2QQ\x91\x93\x01\x0a\xacrfc822;q+2Bx";

static void test_version_3_there_and_back(void **state)
{
    (void)state;
    struct spool_envelope e;
    struct buf out = BUF_INIT(4096);
    assert_int_equal(spool_envelope_decode(BYTES(version_3), &arena, &e), STATUS_OK);
    assert_int_equal(e.promises, SPOOL_SMTPUTF8 | SPOOL_REQUIRETLS | SPOOL_RET_HDRS);
    assert_true(slice_equal(e.envid, SLICE_LITERAL("QQ")));
    assert_int_equal(spool_envelope_wish(&e, 0).notify, 0);
    assert_int_equal(spool_envelope_wish(&e, 1).notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
    assert_true(slice_equal(spool_envelope_wish(&e, 1).orcpt, SLICE_LITERAL("rfc822;q+2Bx")));
    assert_int_equal(spool_envelope_encode(&e, &out), STATUS_OK);
    assert_true(slice_equal(buf_slice(&out), BYTES(version_3)));
    for (size_t len = 0; len < out.len; len++) {
        assert_int_not_equal(spool_envelope_decode(slice_of(out.data, len), &arena, &e), STATUS_OK);
    }
    buf_release(&out);
}

static void test_what_is_none(void **state)
{
    (void)state;
    struct spool_envelope e;
#define IS(status, bytes) assert_int_equal(spool_envelope_decode(BYTES(bytes), &arena, &e), STATUS_##status)
    IS(OK, "\xdc\x00\x10\x03" HEAD LISTS "\x00\xa0\x90");
    IS(VERSION, "\xdc\x00\x10\x04" HEAD LISTS "\x00\xa0\x90");
    IS(CORRUPT, "\xdc\x00\x10\x03" HEAD LISTS "\x00\xa0\x91\x93\x02\x01\xa0"); /* nobody's wish */
    IS(CORRUPT, "\xdc\x00\x10\x03" HEAD LISTS "\x00\xa0\x92\x93\x01\x01\xa0\x93\x01\x01\xa0"); /* twice */
    IS(CORRUPT, "\xdc\x00\x10\x03" HEAD LISTS "\x00\xa0\x92\x93\x01\x01\xa0\x93\x00\x01\xa0"); /* no order */
    IS(CORRUPT, "\xdc\x00\x10\x02" HEAD LISTS "\x00\xa0\x90"); /* version 2 has no promises */
#undef IS
}

static void test_promises_are_copied(void **state)
{
    (void)state;
    struct spool_envelope from, to = {0};
    char bytes[sizeof version_3];
    memcpy(bytes, version_3, sizeof bytes);
    assert_int_equal(spool_envelope_decode(slice_of(bytes, sizeof bytes - 1), &arena, &from), STATUS_OK);
    assert_true(spool_envelope_copy_promises(&from, &arena, &to));
    memset(bytes, 0, sizeof bytes);
    to.recipient_count = from.recipient_count;
    assert_int_equal(to.promises, SPOOL_SMTPUTF8 | SPOOL_REQUIRETLS | SPOOL_RET_HDRS);
    assert_true(slice_equal(to.envid, SLICE_LITERAL("QQ")));
    assert_true(slice_equal(spool_envelope_wish(&to, 1).orcpt, SLICE_LITERAL("rfc822;q+2Bx")));
    from.wishes = NULL;
    assert_true(spool_envelope_copy_promises(&from, &arena, &to));
    assert_null(to.wishes);
}

/* Without a flag it is what release 0.1 wrote and reads. */
static void test_what_is_told_is_in_the_state(void **state)
{
    (void)state;
    struct spool_recipient people[] = {
        {.state = RECIPIENT_WAITING}, {.state = RECIPIENT_DELIVERED}, {.state = RECIPIENT_FAILED}};
    struct spool_state s = {.recipients = people, .recipient_count = 3}, got;
    struct slice sealed;
    struct buf out = BUF_INIT(4096);
    assert_int_equal(spool_state_encode(&s, slice_of(NULL, 0), &out), STATUS_OK);
    assert_int_equal(out.data[0], 1);
    assert_memory_equal(out.data + SPOOL_STATE_FIXED, "\x00\x01\x02", 3);
    out.data[SPOOL_STATE_FIXED] = 16; /* a flag, and the version that has none */
    assert_int_equal(spool_state_decode(buf_slice(&out), &arena, &got, &sealed), STATUS_CORRUPT);
    people[0].delay_told = people[1].tell = true;
    buf_reset(&out);
    assert_int_equal(spool_state_encode(&s, slice_of(NULL, 0), &out), STATUS_OK);
    assert_int_equal(out.data[0], 2);
    assert_memory_equal(out.data + SPOOL_STATE_FIXED, "\x10\x21\x02", 3);
    assert_int_equal(spool_state_decode(buf_slice(&out), &arena, &got, &sealed), STATUS_OK);
    assert_true(got.recipients[0].delay_told && !got.recipients[0].tell);
    assert_true(got.recipients[1].tell && got.recipients[1].state == RECIPIENT_DELIVERED);
    assert_false(got.recipients[2].tell || got.recipients[2].delay_told);
    out.data[SPOOL_STATE_FIXED] = 64;
    assert_int_equal(spool_state_decode(buf_slice(&out), &arena, &got, &sealed), STATUS_CORRUPT);
    buf_release(&out);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(test_version_2_asks_for_nothing),
        CASE(test_version_3_there_and_back),
        CASE(test_what_is_none),
        CASE(test_promises_are_copied),
        CASE(test_what_is_told_is_in_the_state),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
