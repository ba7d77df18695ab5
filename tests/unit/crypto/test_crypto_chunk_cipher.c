/* The spool's chunks: what is moved, cut, swapped or flipped does not open. */
#include "crypto_test.h"

#include "crypto/chunk_cipher.h"

static const uint8_t key_bytes[32] = "0123456789abcdefghijklmnopqrstu", id_a[16] = "message a",
                     id_b[16] = "message b";

static struct chunk_cipher *cipher_for(const uint8_t id[16])
{
    struct chunk_cipher *c = NULL;

    OK(chunk_cipher_new(slice_of(key_bytes, 32), slice_of(id, 16), &c));
    return c;
}

static void chunks_of_all_sizes_open_again(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 65535, 65536};
    static uint8_t plain[CHUNK_PLAIN_SIZE + 1];
    struct chunk_cipher *c = cipher_for(id_a);

    (void)state;
    memset(plain, 'x', sizeof(plain));
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct slice in = slice_of(plain, sizes[i]);
        struct buf sealed = BUF_INIT(CHUNK_PLAIN_SIZE + CHUNK_OVERHEAD), out = BUF_INIT(sizes[i]);

        OK(chunk_seal(c, 7, i, i == 6, in, &sealed));
        assert_int_equal(sealed.len, sizes[i] + CHUNK_OVERHEAD);
        OK(chunk_open(c, 7, i, i == 6, buf_slice(&sealed), &out)); /* `out` has just the room it needs */
        assert_true(slice_equal(buf_slice(&out), in));
        buf_release(&sealed);
        buf_release(&out);
    }
    struct buf sealed = BUF_INIT(200000);
    assert_int_equal(chunk_seal(c, 0, 0, true, slice_of(plain, CHUNK_PLAIN_SIZE + 1), &sealed),
                     STATUS_TOO_LARGE);
    assert_int_equal(sealed.len, 0);
    buf_release(&sealed);
    chunk_cipher_free(c);
}

static void out_of_place_it_does_not_open(void **state)
{
    static const struct {
        const uint8_t *id;
        uint32_t variant, chunk;
        bool last;
    } wrong[] = {
        {id_a, 0, 2, false}, /* reordered */
        {id_a, 1, 1, false}, /* of another variant */
        {id_a, 0, 1, true},  /* cut off behind it */
        {id_b, 0, 1, false}, /* of another message */
    };
    struct chunk_cipher *c = cipher_for(id_a);
    struct buf sealed = BUF_INIT(1000), out = BUF_INIT(1000);

    (void)state;
    OK(chunk_seal(c, 0, 1, false, slice_of_text("the middle of it"), &sealed));
    OK(buf_append_text(&out, "before"));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct chunk_cipher *reader = cipher_for(wrong[i].id);

        assert_int_equal(
            chunk_open(reader, wrong[i].variant, wrong[i].chunk, wrong[i].last, buf_slice(&sealed), &out),
            STATUS_CRYPTO);
        assert_same(buf_slice(&out), slice_of_text("before"));
        chunk_cipher_free(reader);
    }
    OK(chunk_open(c, 0, 1, false, buf_slice(&sealed), &out));
    assert_same(buf_slice(&out), slice_of_text("beforethe middle of it"));
    buf_release(&sealed);
    buf_release(&out);
    chunk_cipher_free(c);
}

/* The last chunk is not the last any more when another takes its place. */
static void the_last_chunk_is_known(void **state)
{
    struct chunk_cipher *c = cipher_for(id_a);
    struct buf sealed = BUF_INIT(1000), out = BUF_INIT(1000);

    (void)state;
    OK(chunk_seal(c, 0, 3, true, slice_of_text("end"), &sealed));
    assert_int_equal(chunk_open(c, 0, 3, false, buf_slice(&sealed), &out), STATUS_CRYPTO);
    OK(chunk_open(c, 0, 3, true, buf_slice(&sealed), &out));
    buf_release(&sealed);
    buf_release(&out);
    chunk_cipher_free(c);
}

static void damaged_it_does_not_open(void **state)
{
    struct chunk_cipher *c = cipher_for(id_a);
    struct buf sealed = BUF_INIT(1000), out = BUF_INIT(1000);

    (void)state;
    OK(chunk_seal(c, 0, 0, true, slice_of_text("some text"), &sealed));
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
        sealed.data[bit / 8] = (uint8_t)(sealed.data[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(chunk_open(c, 0, 0, true, buf_slice(&sealed), &out), STATUS_CRYPTO);
        sealed.data[bit / 8] = (uint8_t)(sealed.data[bit / 8] ^ 1 << bit % 8);
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_int_equal(chunk_open(c, 0, 0, true, slice_of(sealed.data, len), &out), STATUS_CRYPTO);
    assert_int_equal(out.len, 0);
    buf_release(&sealed);
    buf_release(&out);
    chunk_cipher_free(c);
}

static void another_key_does_not_open_it(void **state)
{
    struct chunk_cipher *c = cipher_for(id_a), *d = NULL;
    struct buf sealed = BUF_INIT(1000), out = BUF_INIT(1000);
    uint8_t other[32] = {0};

    (void)state;
    OK(chunk_seal(c, 0, 0, true, slice_of_text("some text"), &sealed));
    OK(chunk_cipher_new(slice_of(other, 32), slice_of(id_a, 16), &d));
    assert_int_equal(chunk_open(d, 0, 0, true, buf_slice(&sealed), &out), STATUS_CRYPTO);
    chunk_cipher_free(d);
    chunk_cipher_free(c);
    assert_int_equal(chunk_cipher_new(slice_of(other, 16), slice_of(id_a, 16), &d), STATUS_INVALID);
    buf_release(&sealed);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_of_all_sizes_open_again), cmocka_unit_test(out_of_place_it_does_not_open),
        cmocka_unit_test(the_last_chunk_is_known),        cmocka_unit_test(damaged_it_does_not_open),
        cmocka_unit_test(another_key_does_not_open_it),
    };

    return cmocka_run_group_tests_name("chunk_cipher", tests, NULL, NULL);
}
