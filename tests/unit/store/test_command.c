/* Commands in bytes: round trips of every row of the table, padding for every length, and hostile bytes. */
#include "test_support.h"

#include "base/msgpack_read.h"

static void fill(struct command *c, const struct command_type *type)
{
    static const uint8_t bytes[4096] = {1, 2, 3};
    static char text[128];

    memset(text, 'a', sizeof(text) - 1);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct command_field *field = &type->fields[i];
        size_t len = field->min > 0 ? field->min : 1;

        if (field->type == FIELD_U64)
            c->values[i].number = 1234567890123;
        else
            c->values[i].bytes = field->type == FIELD_BYTES ? slice_of(bytes, len) : slice_of(text, len);
    }
}

static void every_command_survives_its_encoding(void **state)
{
    const struct command_type *type;

    (void)state;
    for (size_t i = 0; (type = command_type_at(i)) != NULL; i++) {
        struct command out, back;
        struct buf encoded = BUF_INIT(COMMAND_MAX);
        struct failure f = {0};

        command_init(&out, type->number, 42, SLICE_LITERAL("token:test"));
        fill(&out, type);
        assert_int_equal(command_encode(&out, &encoded), STATUS_OK);
        if (command_decode(buf_slice(&encoded), &back, &f) != STATUS_OK)
            fail_msg("%s: %s", type->name, f.text);
        assert_int_equal(back.number, out.number);
        assert_int_equal(back.time_ms, 42);
        assert_memory_equal(back.id, out.id, ID_SIZE);
        for (size_t v = 0; v < type->field_count; v++) {
            assert_int_equal(back.values[v].number, out.values[v].number);
            assert_true(slice_equal(back.values[v].bytes, out.values[v].bytes));
        }
        buf_release(&encoded);
    }
}

static void entries_are_padded_to_eight_at_every_length(void **state)
{
    uint8_t content[40], entry[64];
    struct slice back;

    (void)state;
    memset(content, 0xff, sizeof(content));
    for (size_t len = 0; len < sizeof(content); len++) {
        size_t size = command_entry_size(len);

        assert_int_equal(size % 8, 0);
        assert_true(size >= len + 4 && size < len + 12);
        memset(entry, 0xee, sizeof(entry));
        command_entry_write(slice_of(content, len), entry);
        assert_int_equal(entry[size], 0xee);
        assert_int_equal(command_entry_read(slice_of(entry, size), &back), STATUS_OK);
        assert_true(slice_equal(back, slice_of(content, len)));
        assert_int_equal(command_entry_read(slice_of(entry, size - 1), &back), STATUS_MALFORMED);
        assert_int_equal(command_entry_read(slice_of(entry, size + 8), &back), STATUS_MALFORMED);
    }
}

static void cut_and_flipped_bytes_are_refused_or_harmless(void **state)
{
    struct command out = setting_command(SETTING_GLOBAL, "", "encrypt.mode", "none"), back;
    struct buf encoded = BUF_INIT(COMMAND_MAX);

    (void)state;
    assert_int_equal(command_encode(&out, &encoded), STATUS_OK);
    for (size_t len = 0; len < encoded.len; len++)
        assert_int_not_equal(command_decode(slice_of(encoded.data, len), &back, NULL), STATUS_OK);
    for (size_t i = 0; i < encoded.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            encoded.data[i] ^= (uint8_t)(1U << bit);
            (void)!command_decode(buf_slice(&encoded), &back, NULL);
            encoded.data[i] ^= (uint8_t)(1U << bit);
        }
    assert_int_equal(command_decode(buf_slice(&encoded), &back, NULL), STATUS_OK);
    buf_release(&encoded);
}

static void a_claimed_count_allocates_nothing(void **state)
{
    static const uint8_t huge[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
    struct msgpack_reader r;

    (void)state;
    msgpack_reader_init(&r, slice_of(huge, sizeof(huge)));
    assert_int_equal(read_array(&r, SIZE_MAX), 0);
    assert_int_equal(msgpack_reader_status(&r, true), STATUS_MALFORMED);
}

static void a_field_out_of_range_is_named(void **state)
{
    struct command c;
    struct failure f = {0};

    (void)state;
    command_init(&c, COMMAND_TRUST_ADD, 1, SLICE_LITERAL("test"));
    c.values[0].bytes = SLICE_LITERAL("short");
    assert_int_equal(command_check(&c, &f), STATUS_INVALID);
    assert_non_null(strstr(f.text, "thumbprint"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_survives_its_encoding),
        cmocka_unit_test(entries_are_padded_to_eight_at_every_length),
        cmocka_unit_test(cut_and_flipped_bytes_are_refused_or_harmless),
        cmocka_unit_test(a_claimed_count_allocates_nothing),
        cmocka_unit_test(a_field_out_of_range_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
