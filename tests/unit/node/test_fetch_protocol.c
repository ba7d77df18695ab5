/* Questions to the fetch role and its answers: what was written is read, and nothing else is. */
#include "node_test.h"

#include "base/msgpack_write.h"
#include "mail/fetch_protocol.h"

static void questions_come_back(void **state)
{
    struct fetch_question q = {.type = FETCH_ISSUERS,
                               .number = 7,
                               .signer = SLICE_LITERAL("signer"),
                               .list = {SLICE_LITERAL("one"), SLICE_LITERAL("two")},
                               .count = 2},
                          back;
    struct buf frame = BUF_INIT(65536);
    (void)state;
    assert_int_equal(fetch_question_encode(&q, &frame), STATUS_OK);
    assert_int_equal(fetch_question_decode(buf_slice(&frame), &back), STATUS_OK);
    assert_int_equal(back.number, 7);
    assert_int_equal(back.count, 2);
    assert_true(slice_equal(back.signer, q.signer) && slice_equal(back.list[1], q.list[1]));
    for (size_t cut = 0; cut < frame.len; cut++) {
        assert_int_not_equal(fetch_question_decode(slice_of(frame.data, cut), &back), STATUS_OK);
    }
    buf_reset(&frame);
    q = (struct fetch_question){.type = FETCH_PEOPLE, .list = {SLICE_LITERAL("a@b.c")}, .count = 1};
    assert_int_equal(fetch_question_encode(&q, &frame), STATUS_OK);
    assert_int_equal(fetch_question_decode(buf_slice(&frame), &back), STATUS_OK);
    assert_true(slice_equal(back.list[0], q.list[0]));
    buf_reset(&frame);
    q = (struct fetch_question){.type = FETCH_NOW, .url = SLICE_LITERAL("http://x/1.crl")};
    assert_int_equal(fetch_question_encode(&q, &frame), STATUS_OK);
    assert_int_equal(fetch_question_decode(buf_slice(&frame), &back), STATUS_OK);
    assert_true(slice_equal(back.url, q.url));
    for (enum fetch_request_type type = FETCH_STS; type <= FETCH_REPORT; type++) {
        buf_reset(&frame);
        q = (struct fetch_question){.type = type, .url = SLICE_LITERAL("b.c"), .bytes = SLICE_LITERAL("id1")};
        assert_int_equal(fetch_question_encode(&q, &frame), STATUS_OK);
        assert_int_equal(fetch_question_decode(buf_slice(&frame), &back), STATUS_OK);
        assert_true(slice_equal(back.url, q.url) && slice_equal(back.bytes, q.bytes));
    }
    q.type = FETCH_STS;
    q.bytes = SLICE_LITERAL("123456789012345678901234567890123");
    assert_int_equal(fetch_question_encode(&q, &frame), STATUS_TOO_LARGE);
    buf_release(&frame);
}

static void sources_come_back(void **state)
{
    const struct fetch_source source = {.kind = SLICE_LITERAL("crl"),
                                        .url = SLICE_LITERAL("http://x/1.crl"),
                                        .about = SLICE_LITERAL("CN=ca"),
                                        .state = SLICE_LITERAL("failed"),
                                        .error = SLICE_LITERAL("404"),
                                        .fetched_ms = 1,
                                        .failed_ms = 2,
                                        .next_ms = 3,
                                        .failures = 4};
    struct fetch_source back;
    struct buf frame = BUF_INIT(4096);
    struct msgpack_writer w;
    struct msgpack_reader r;
    (void)state;
    msgpack_writer_init(&w, &frame);
    fetch_source_write(&w, &source);
    msgpack_reader_init(&r, buf_slice(&frame));
    fetch_source_read(&r, &back);
    assert_int_equal(msgpack_reader_status(&r, true), STATUS_OK);
    assert_true(slice_equal(back.url, source.url) && slice_equal(back.error, source.error));
    assert_int_equal(back.fetched_ms, 1);
    assert_int_equal(back.failed_ms, 2);
    assert_int_equal(back.next_ms, 3);
    assert_int_equal(back.failures, 4);
    msgpack_reader_init(&r, SLICE_LITERAL("\x91\x01"));
    fetch_source_read(&r, &back);
    assert_int_not_equal(msgpack_reader_status(&r, true), STATUS_OK);
    buf_release(&frame);
}

static void too_many_are_refused(void **state)
{
    struct fetch_question q = {.type = FETCH_ISSUERS, .count = FETCH_CERTIFICATES_MAX + 1};
    struct buf frame = BUF_INIT(65536);
    (void)state;
    assert_int_equal(fetch_question_encode(&q, &frame), STATUS_TOO_LARGE);
    assert_int_not_equal(fetch_question_decode(SLICE_LITERAL("\x92\x63\x01"), &q), STATUS_OK);
    assert_int_not_equal(fetch_question_decode(SLICE_LITERAL("\x93\x02\x01\xdc\xff\xff"), &q), STATUS_OK);
    buf_release(&frame);
}

static void answers_come_back(void **state)
{
    struct fetch_answer a = {.type = FETCH_PEOPLE,
                             .number = 9,
                             .status = STATUS_BUSY,
                             .text = SLICE_LITERAL("no")},
                        back;
    struct buf frame = BUF_INIT(4096), result = BUF_INIT(16);
    struct msgpack_writer w;
    struct msgpack_reader r;
    (void)state;
    msgpack_writer_init(&w, &result);
    write_u64(&w, 3);
    assert_int_equal(fetch_answer_encode(&a, buf_slice(&result), 1, &frame), STATUS_OK);
    assert_int_equal(fetch_answer_decode(buf_slice(&frame), &back, &r), STATUS_OK);
    assert_int_equal(back.status, STATUS_BUSY);
    assert_int_equal(back.number, 9);
    assert_true(slice_equal(back.text, a.text));
    assert_int_equal(read_u64(&r), 3);
    assert_int_equal(msgpack_reader_status(&r, true), STATUS_OK);
    buf_release(&frame);
    buf_release(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_come_back), cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(sources_come_back), cmocka_unit_test(answers_come_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
