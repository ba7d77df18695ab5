/* The join token: what is written reads back, and damage is told apart from a token. */
#include "node_test.h"

#include "node/join_token.h"

static void make(struct join_token *t, struct buf *text)
{
    *t = (struct join_token){.expires_ms = 1234567890123, .address_count = 2};
    memset(t->ca_fingerprint, 0xab, sizeof(t->ca_fingerprint));
    memset(t->secret, 0xcd, sizeof(t->secret));
    memcpy(t->addresses[0], "127.0.0.1:2514", 15);
    memcpy(t->addresses[1], "[::1]:2514", 11);
    assert_int_equal(join_token_encode(t, text), STATUS_OK);
}

static void test_reads_back(void **state)
{
    struct join_token t, again;
    struct buf text = BUF_INIT(JOIN_TOKEN_TEXT_MAX);
    struct failure f = {0};
    (void)state;
    make(&t, &text);
    assert_int_equal(buf_append_text(&text, " \r\n"), STATUS_OK);
    assert_int_equal(join_token_decode(buf_slice(&text), &again, &f), STATUS_OK);
    assert_memory_equal(&t, &again, sizeof(t));
    buf_release(&text);
}

static void test_most_addresses_fit(void **state)
{
    struct join_token t, again;
    struct buf text = BUF_INIT(JOIN_TOKEN_TEXT_MAX);
    struct failure f = {0};
    (void)state;
    t = (struct join_token){.address_count = CORE_NODES_MAX};
    for (size_t i = 0; i < CORE_NODES_MAX; i++) {
        memset(t.addresses[i], 'a', JOIN_ADDRESS_MAX);
    }
    assert_int_equal(join_token_encode(&t, &text), STATUS_OK);
    assert_int_equal(join_token_decode(buf_slice(&text), &again, &f), STATUS_OK);
    assert_memory_equal(&t, &again, sizeof(t));
    buf_release(&text);
}

/* Cut anywhere, or another kind of text: no token, and no crash. */
static void test_damage(void **state)
{
    struct join_token t, again;
    struct buf text = BUF_INIT(JOIN_TOKEN_TEXT_MAX);
    struct failure f = {0};
    (void)state;
    make(&t, &text);
    for (size_t len = 0; len < text.len; len++) {
        assert_int_equal(join_token_decode(slice_of(text.data, len), &again, &f), STATUS_MALFORMED);
    }
    assert_int_equal(join_token_decode(SLICE_LITERAL("sealpost-join-2.AAAA"), &again, &f), STATUS_MALFORMED);
    assert_string_equal(f.text, "this is no join token: it begins with sealpost-join-1.");
    assert_int_equal(join_token_decode(SLICE_LITERAL("sealpost-join-1.!!!!"), &again, &f), STATUS_MALFORMED);
    assert_string_equal(f.text, "the join token is damaged: copy it whole");
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_back),
        cmocka_unit_test(test_most_addresses_fit),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
