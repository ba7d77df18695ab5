/* The frames of a join: requests, answers and lists of peers read back; each cut of them is refused. */
#include "node_test.h"

#include "node/join_protocol.h"

#define BYTES32 "0123456789abcdef0123456789abcdef"

static void test_request(void **state)
{
    struct join_request q = {.secret = SLICE_LITERAL(BYTES32),
                             .name = SLICE_LITERAL("node2"),
                             .peer_address = SLICE_LITERAL("127.0.0.1:1"),
                             .api_address = SLICE_LITERAL("127.0.0.1:2"),
                             .smtp_address = SLICE_LITERAL("127.0.0.1:3"),
                             .names = SLICE_LITERAL("a,b"),
                             .peer_key = SLICE_LITERAL("key one"),
                             .service_key = SLICE_LITERAL("key two"),
                             .command_set = 3,
                             .master_check = SLICE_LITERAL(BYTES32)};
    struct join_request again;
    struct buf out = BUF_INIT(JOIN_FRAME_MAX);
    (void)state;
    assert_int_equal(join_request_encode(&q, &out), STATUS_OK);
    assert_int_equal(join_request_decode(buf_slice(&out), &again), STATUS_OK);
    assert_true(slice_equal(q.secret, again.secret) && slice_equal(q.name, again.name));
    assert_true(slice_equal(q.peer_key, again.peer_key) && slice_equal(q.service_key, again.service_key));
    assert_int_equal(again.command_set, 3);
    assert_true(slice_equal(q.master_check, again.master_check));
    for (size_t len = 0; len < out.len; len++) {
        assert_int_not_equal(join_request_decode(slice_of(out.data, len), &again), STATUS_OK);
    }
    out.data[1] = 2; /* a later version of the protocol */
    assert_int_equal(join_request_decode(buf_slice(&out), &again), STATUS_VERSION);
    buf_release(&out);
}

static void test_short_secret(void **state)
{
    struct join_request q = {.secret = SLICE_LITERAL("short"), .name = SLICE_LITERAL("node2")}, again;
    struct buf out = BUF_INIT(JOIN_FRAME_MAX);
    (void)state;
    assert_int_equal(join_request_encode(&q, &out), STATUS_OK);
    assert_int_equal(join_request_decode(buf_slice(&out), &again), STATUS_MALFORMED);
    buf_release(&out);
}

static void test_answer(void **state)
{
    struct join_answer a = {.status = STATUS_OK,
                            .node_id = 4,
                            .cluster_name = SLICE_LITERAL("local"),
                            .ca = SLICE_LITERAL("ca"),
                            .master = SLICE_LITERAL(BYTES32)},
                       again;
    struct buf out = BUF_INIT(JOIN_FRAME_MAX);
    (void)state;
    assert_int_equal(join_answer_encode(&a, &out), STATUS_OK);
    assert_int_equal(join_answer_decode(buf_slice(&out), &again), STATUS_OK);
    assert_int_equal(again.node_id, 4);
    assert_true(slice_equal(again.master, a.master));
    for (size_t len = 0; len < out.len; len++) {
        assert_int_not_equal(join_answer_decode(slice_of(out.data, len), &again), STATUS_OK);
    }
    buf_reset(&out);
    a.master = SLICE_LITERAL("");
    assert_int_equal(join_answer_encode(&a, &out), STATUS_OK);
    assert_int_equal(join_answer_decode(buf_slice(&out), &again), STATUS_MALFORMED);
    buf_release(&out);
}

static void test_peers(void **state)
{
    struct known_peer peers[2] = {{.id = 1, .name = "node1", .address = "127.0.0.1:1", .spki_hash = {1}},
                                  {.id = 7, .name = "node7", .address = "127.0.0.1:7", .spki_hash = {7}}};
    struct known_peer again[CORE_NODES_MAX];
    struct buf out = BUF_INIT(JOIN_FRAME_MAX);
    size_t count = 0;
    (void)state;
    assert_int_equal(known_peers_encode(peers, 2, &out), STATUS_OK);
    assert_int_equal(known_peers_decode(buf_slice(&out), again, &count), STATUS_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(peers, again, sizeof(peers));
    for (size_t len = 0; len < out.len; len++) {
        assert_int_not_equal(known_peers_decode(slice_of(out.data, len), again, &count), STATUS_OK);
        assert_int_equal(count, 0);
    }
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_short_secret),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
