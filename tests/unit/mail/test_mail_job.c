/* Frames between smtp and a worker: what goes in comes out, and nothing that is broken is taken. */
#include "mail_test.h"

#include "mail/job.h"

static struct slice recipients[] = {SLICE_LITERAL("a@x.example"), SLICE_LITERAL("B@y.example"),
                                    SLICE_LITERAL("\xff@z")};

static struct job_message sample_message(void)
{
    struct job_message m = {
        .job = 77,
        .now_ms = 1800000000000,
        .sender = SLICE_LITERAL("s@x.example"),
        .client_ip = SLICE_LITERAL("127.0.0.1"),
        .helo = SLICE_LITERAL("h"),
        .listener = SLICE_LITERAL("smtp"),
        .flags = JOB_TLS,
        .recipients = recipients,
        .recipient_count = 3,
    };
    memcpy(m.message_id, "0123456789abcdefghjkmnpqrs", 26);
    return m;
}

static void message_goes_round(void **state)
{
    (void)state;
    struct job_message m = sample_message(), got;
    struct buf frame = BUF_INIT(65536);
    struct arena a;
    arena_init(&a, 65536);
    OK(job_message_encode(&m, &frame));
    assert_int_equal(job_frame_type(buf_slice(&frame)), JOB_MESSAGE);
    OK(job_message_decode(buf_slice(&frame), &a, &got));
    assert_int_equal(got.job, 77);
    assert_string_equal(got.message_id, "0123456789abcdefghjkmnpqrs");
    assert_int_equal(got.now_ms, 1800000000000);
    assert_slice(got.sender, "s@x.example");
    assert_int_equal(got.flags, JOB_TLS);
    assert_int_equal(got.recipient_count, 3);
    assert_slice(got.recipients[2], "\xff@z");
    for (size_t len = 0; len < frame.len; len++) { /* every cut */
        assert_int_not_equal(job_message_decode(slice_of(frame.data, len), &a, &got), STATUS_OK);
    }
    arena_release(&a);
    buf_release(&frame);
}

static void small_frames_go_round(void **state)
{
    (void)state;
    struct buf frame = BUF_INIT(64);
    uint64_t number = 0;
    OK(job_to_7bit_encode(9, &frame));
    assert_int_equal(job_frame_type(buf_slice(&frame)), JOB_TO_7BIT);
    OK(job_to_7bit_decode(buf_slice(&frame), &number));
    assert_int_equal(number, 9);
    assert_int_not_equal(job_ready_decode(buf_slice(&frame), &number), STATUS_OK);
    buf_reset(&frame);
    OK(job_ready_encode(4711, &frame));
    OK(job_ready_decode(buf_slice(&frame), &number));
    assert_int_equal(number, 4711);
    assert_int_equal(job_frame_type(SLICE_LITERAL("\x92\x09\x01")), 0);
    assert_int_equal(job_frame_type(SLICE_LITERAL("")), 0);
    buf_release(&frame);
}

/* The frame lives in the arena, as long as what was read from it. */
static enum status decode(const struct job_result *r, size_t count, size_t fds, struct job_result *got,
                          struct arena *a)
{
    struct buf frame = BUF_INIT(65536);
    struct slice kept;
    OK(job_result_encode(r, &frame));
    assert_true(arena_copy(a, buf_slice(&frame), &kept));
    buf_release(&frame);
    return job_result_decode(kept, count, fds, a, got);
}

static void results_are_checked(void **state)
{
    (void)state;
    struct arena a;
    struct job_result got;
    size_t first[] = {0, 2}, second[] = {1}, again[] = {2};
    struct job_variant variants[] = {
        {.recipients = first, .recipient_count = 2, .protection = SLICE_LITERAL("smime-encrypted")},
        {.recipients = second,
         .recipient_count = 1,
         .unchanged = true,
         .needs_8bit = true,
         .protection = SLICE_LITERAL("none")},
    };
    struct job_result r = {.job = 5, .variants = variants, .variant_count = 2, .trace = SLICE_LITERAL("{}")};
    arena_init(&a, 1 << 20);
    OK(decode(&r, 3, 2, &got, &a));
    assert_int_equal(got.variant_count, 2);
    assert_int_equal(got.variants[0].recipients[1], 2);
    assert_true(got.variants[1].unchanged && got.variants[1].needs_8bit);

    assert_int_equal(decode(&r, 3, 1, &got, &a), STATUS_MALFORMED); /* a descriptor is missing */
    assert_int_equal(decode(&r, 4, 2, &got, &a), STATUS_MALFORMED); /* one recipient would get nothing */
    assert_int_equal(decode(&r, 2, 2, &got, &a), STATUS_MALFORMED); /* a position beyond the job */
    variants[1].recipients = again;
    assert_int_equal(decode(&r, 3, 2, &got, &a), STATUS_MALFORMED); /* somebody twice, somebody never */
    variants[1].recipients = second;
    variants[1].protection = SLICE_LITERAL("smime\r\n250");
    assert_int_equal(decode(&r, 3, 2, &got, &a), STATUS_MALFORMED);

    struct job_refusal refusals[] = {
        {.recipient = 1, .status = STATUS_NO_KEY, .reason = SLICE_LITERAL("b@y: no key")}};
    struct job_result no = {.job = 5, .status = STATUS_NO_KEY, .refusals = refusals, .refusal_count = 1};
    OK(decode(&no, 3, 0, &got, &a));
    assert_slice(got.refusals[0].reason, "b@y: no key");
    refusals[0].reason = SLICE_LITERAL("x\r\n250 2.0.0 queued");
    assert_int_equal(decode(&no, 3, 0, &got, &a), STATUS_MALFORMED); /* a forged reply */
    refusals[0].reason = SLICE_LITERAL("");
    refusals[0].status = STATUS_OK;
    assert_int_equal(decode(&no, 3, 0, &got, &a), STATUS_MALFORMED);
    no.status = STATUS_OK;
    no.refusal_count = 0;
    assert_int_equal(decode(&no, 3, 0, &got, &a), STATUS_MALFORMED); /* success for nobody */

    /* Some are served, some refused: each is in one of the two. */
    variants[1].protection = SLICE_LITERAL("none");
    variants[1].quarantine = true;
    variants[1].quarantine_reason = SLICE_LITERAL("a rule");
    variants[1].next_hop = SLICE_LITERAL("h.example:25");
    struct job_refusal one[] = {{.recipient = 0, .status = STATUS_NO_KEY, .reason = SLICE_LITERAL("no key")}};
    struct job_result split = {.job = 5,
                               .variants = &variants[1],
                               .variant_count = 1,
                               .refusals = one,
                               .refusal_count = 1,
                               .subject = SLICE_LITERAL("s")};
    OK(decode(&split, 2, 1, &got, &a));
    assert_true(got.variants[0].quarantine);
    assert_slice(got.variants[0].next_hop, "h.example:25");
    assert_slice(got.subject, "s");
    assert_int_equal(decode(&split, 3, 1, &got, &a), STATUS_MALFORMED); /* one is forgotten */
    one[0].recipient = 1;
    assert_int_equal(decode(&split, 2, 1, &got, &a), STATUS_MALFORMED); /* one is served and refused */
    one[0].recipient = 0;
    variants[1].quarantine_reason = SLICE_LITERAL("x\r\n250 ok");
    assert_int_equal(decode(&split, 2, 1, &got, &a), STATUS_MALFORMED);

    /* Put aside as it came: for all, with nothing else. */
    struct job_result aside = {.job = 5, .put_aside = true, .text = SLICE_LITERAL("b@y: no key")};
    OK(decode(&aside, 3, 0, &got, &a));
    assert_true(got.put_aside && got.variant_count == 0);
    assert_slice(got.text, "b@y: no key");
    assert_int_equal(decode(&aside, 0, 0, &got, &a), STATUS_MALFORMED); /* no answer to TO_7BIT */
    aside.status = STATUS_NO_KEY;
    assert_int_equal(decode(&aside, 3, 0, &got, &a), STATUS_MALFORMED); /* and refused */
    aside.status = STATUS_OK;
    aside.refusals = one;
    aside.refusal_count = 1;
    assert_int_equal(decode(&aside, 3, 0, &got, &a), STATUS_MALFORMED); /* one is refused */
    aside.refusal_count = 0;
    aside.variants = &variants[0];
    aside.variant_count = 1;
    assert_int_equal(decode(&aside, 3, 1, &got, &a), STATUS_MALFORMED); /* some leave */
    aside.variant_count = 0;
    aside.text = SLICE_LITERAL("x\r\n250 ok");
    assert_int_equal(decode(&aside, 3, 0, &got, &a), STATUS_MALFORMED);

    struct job_variant alone = {.unchanged = true, .protection = SLICE_LITERAL("none")};
    struct job_result seven = {.job = 6, .variants = &alone, .variant_count = 1};
    OK(decode(&seven, 0, 1, &got, &a)); /* the answer to TO_7BIT */
    arena_release(&a);
}

static void hostile_results_do_no_harm(void **state)
{
    (void)state;
    struct arena a;
    struct job_result got;
    size_t all[] = {0, 1, 2};
    struct job_variant variant = {
        .recipients = all, .recipient_count = 3, .protection = SLICE_LITERAL("none")};
    struct job_result r = {
        .job = 5, .variants = &variant, .variant_count = 1, .trace = SLICE_LITERAL("{\"a\":1}")};
    struct buf frame = BUF_INIT(65536);
    arena_init(&a, 1 << 20);
    OK(job_result_encode(&r, &frame));
    for (size_t i = 0; i < frame.len; i++) {
        assert_int_not_equal(job_result_decode(slice_of(frame.data, i), 3, 1, &a, &got), STATUS_OK);
        for (unsigned bit = 0; bit < 8; bit++) {
            frame.data[i] ^= (uint8_t)(1u << bit);
            (void)!job_result_decode(buf_slice(&frame), 3, 1, &a, &got);
            (void)!job_message_decode(buf_slice(&frame), &a, &(struct job_message){0});
            frame.data[i] ^= (uint8_t)(1u << bit);
        }
        arena_release(&a);
    }
    buf_release(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_goes_round),
        cmocka_unit_test(small_frames_go_round),
        cmocka_unit_test(results_are_checked),
        cmocka_unit_test(hostile_results_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
