/* MessagePack: what msgpack-c writes is read back; hostile bytes cost nothing and are refused. */
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#include "base_test.h"

static void what_is_written_is_read(void **state)
{
    static const uint64_t unsigned_values[] = {
        0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
    static const int64_t signed_values[] = {0,      -1,        -32,       -33, -128, -129,     -32768,
                                            -32769, INT32_MIN, INT64_MIN, 127, 128,  INT64_MAX};
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
    static char text[70000];
    struct buf out = BUF_INIT(1 << 20);
    struct msgpack_writer w;
    struct msgpack_reader r;

    (void)state;
    memset(text, 'x', sizeof(text));
    msgpack_writer_init(&w, &out);
    write_array(&w, 4);
    write_nil(&w);
    write_bool(&w, true);
    write_bool(&w, false);
    write_map(&w, 1);
    write_text(&w, SLICE_LITERAL("key"));
    write_u64(&w, 1);
    for (size_t i = 0; i < COUNT_OF(unsigned_values); i++)
        write_u64(&w, unsigned_values[i]);
    for (size_t i = 0; i < COUNT_OF(signed_values); i++)
        write_i64(&w, signed_values[i]);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        write_bytes(&w, slice_of(text, lengths[i]));
        write_text(&w, slice_of(text, lengths[i]));
    }
    assert_int_equal(msgpack_writer_status(&w), STATUS_OK);

    msgpack_reader_init(&r, buf_slice(&out));
    assert_int_equal(read_array(&r, 4), 4);
    assert_true(read_nil(&r));
    assert_false(read_nil(&r)); /* not nil: untouched */
    assert_true(read_bool(&r));
    assert_false(read_bool(&r));
    assert_int_equal(read_map(&r, 1), 1);
    assert_true(slice_equal(read_text(&r, 3), SLICE_LITERAL("key")));
    assert_true(read_u64(&r) == 1);
    for (size_t i = 0; i < COUNT_OF(unsigned_values); i++)
        assert_true(read_u64(&r) == unsigned_values[i]);
    for (size_t i = 0; i < COUNT_OF(signed_values); i++)
        assert_true(read_i64(&r) == signed_values[i]);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        assert_int_equal(read_bytes(&r, sizeof(text)).len, lengths[i]);
        assert_int_equal(read_text(&r, sizeof(text)).len, lengths[i]);
    }
    assert_int_equal(msgpack_reader_status(&r, true), STATUS_OK);

    /* The same by skipping. */
    msgpack_reader_init(&r, buf_slice(&out));
    for (size_t i = 0; i < 1 + COUNT_OF(unsigned_values) + COUNT_OF(signed_values) + 2 * COUNT_OF(lengths);
         i++)
        read_skip(&r);
    assert_int_equal(msgpack_reader_status(&r, true), STATUS_OK);
    buf_release(&out);
}

static void a_writer_remembers_that_it_was_full(void **state)
{
    struct buf out = BUF_INIT(8);
    struct msgpack_writer w;

    (void)state;
    msgpack_writer_init(&w, &out);
    write_text(&w, SLICE_LITERAL("far too long"));
    write_nil(&w);
    assert_int_equal(msgpack_writer_status(&w), STATUS_TOO_LARGE);
    buf_release(&out);
}

enum wanted { ARRAY, MAP, BOOL, U64, I64, BYTES, TEXT, SKIP };

static void read_one(struct msgpack_reader *r, enum wanted wanted)
{
    switch (wanted) {
    case ARRAY:
        assert_int_equal(read_array(r, 100), 0);
        break;
    case MAP:
        assert_int_equal(read_map(r, 100), 0);
        break;
    case BOOL:
        assert_false(read_bool(r));
        break;
    case U64:
        assert_int_equal(read_u64(r), 0);
        break;
    case I64:
        assert_int_equal(read_i64(r), 0);
        break;
    case BYTES:
        assert_int_equal(read_bytes(r, 100).len, 0);
        break;
    case TEXT:
        assert_int_equal(read_text(r, 100).len, 0);
        break;
    case SKIP:
        read_skip(r);
        break;
    }
}

static void hostile_bytes_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum wanted wanted;
        enum status status;
    } table[] = {
        {"", 0, U64, STATUS_MALFORMED},
        {"", 0, SKIP, STATUS_MALFORMED},
        {"\xc1", 1, SKIP, STATUS_MALFORMED},                                /* never used */
        {"\xcf\x00\x00\x00", 4, U64, STATUS_MALFORMED},                     /* cut number */
        {"\xd0\xff", 2, U64, STATUS_MALFORMED},                             /* negative */
        {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, I64, STATUS_MALFORMED}, /* beyond INT64_MAX */
        {"\xdd\xff\xff\xff\xff", 5, ARRAY, STATUS_MALFORMED},               /* 4 G elements in no bytes */
        {"\xdc\xff\xff\x01", 4, ARRAY, STATUS_MALFORMED},
        {"\xdf\x7f\xff\xff\xff", 5, MAP, STATUS_MALFORMED},
        {"\x82\x01\x01\x01", 4, MAP, STATUS_MALFORMED}, /* two pairs need four bytes */
        {"\xc6\xff\xff\xff\xff\x00", 6, BYTES, STATUS_MALFORMED},
        {"\xc4\x05half", 6, BYTES, STATUS_MALFORMED},
        {"\xa5half", 5, TEXT, STATUS_MALFORMED},
        {"\xa1x", 2, BYTES, STATUS_MALFORMED}, /* another type */
        {"\xc4\x01x", 3, TEXT, STATUS_MALFORMED},
        {"\x01", 1, BOOL, STATUS_MALFORMED},
        {"\xca\x00\x00\x00\x00", 5, SKIP, STATUS_MALFORMED}, /* float */
        {"\xc7\x01\x00x", 4, SKIP, STATUS_MALFORMED},        /* ext */
        {"\xd4\x00x", 3, SKIP, STATUS_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct msgpack_reader r;

        msgpack_reader_init(&r, slice_of(table[i].bytes, table[i].len));
        read_one(&r, table[i].wanted);
        if (msgpack_reader_status(&r, false) != table[i].status)
            fail_msg("row %zu: %s", i, status_name(r.status));
        read_one(&r, table[i].wanted); /* the failure sticks */
        assert_int_equal(msgpack_reader_status(&r, false), table[i].status);
    }
}

static void limits_are_the_callers(void **state)
{
    uint8_t array[200], text[60];
    struct msgpack_reader r;

    (void)state;
    memset(array, 0, sizeof(array));
    array[0] = 0xdc; /* a list of 101 */
    array[2] = 101;
    msgpack_reader_init(&r, slice_of(array, sizeof(array)));
    assert_int_equal(read_array(&r, 100), 0);
    assert_int_equal(msgpack_reader_status(&r, false), STATUS_TOO_LARGE);
    memset(text, 'x', sizeof(text));
    text[0] = 0xd9; /* a text of 40 bytes */
    text[1] = 40;
    msgpack_reader_init(&r, slice_of(text, sizeof(text)));
    assert_int_equal(read_text(&r, 39).len, 0);
    assert_int_equal(msgpack_reader_status(&r, false), STATUS_TOO_LARGE);
    msgpack_reader_init(&r, slice_of(text, sizeof(text)));
    assert_int_equal(read_text(&r, 40).len, 40);
    assert_int_equal(msgpack_reader_status(&r, false), STATUS_OK);
    assert_int_equal(msgpack_reader_status(&r, true), STATUS_MALFORMED); /* bytes are left */
    read_fail(&r, STATUS_UNKNOWN_FIELD);
    read_fail(&r, STATUS_MALFORMED); /* the first one stays */
    assert_int_equal(msgpack_reader_status(&r, false), STATUS_UNKNOWN_FIELD);
}

static void nesting_is_bounded(void **state)
{
    uint8_t deep[100000];
    struct msgpack_reader r;

    (void)state;
    memset(deep, 0x91, sizeof(deep)); /* arrays of one, one in the other */
    deep[sizeof(deep) - 1] = 0xc0;
    msgpack_reader_init(&r, slice_of(deep, sizeof(deep)));
    read_skip(&r);
    assert_int_equal(msgpack_reader_status(&r, false), STATUS_TOO_LARGE);
    for (size_t depth = 1; depth < 20; depth++) {
        msgpack_reader_init(&r, slice_of(deep + sizeof(deep) - 1 - depth, depth + 1));
        assert_int_equal(read_raw(&r).len, depth <= 16 ? depth + 1 : 0);
        assert_int_equal(msgpack_reader_status(&r, true), depth <= 16 ? STATUS_OK : STATUS_TOO_LARGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),   cmocka_unit_test(a_writer_remembers_that_it_was_full),
        cmocka_unit_test(hostile_bytes_are_refused), cmocka_unit_test(limits_are_the_callers),
        cmocka_unit_test(nesting_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
