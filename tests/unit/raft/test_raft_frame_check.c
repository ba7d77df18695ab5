/* The check of peers' bytes: good messages pass however they are cut, and each way to be bad is found (rules
 * 2 and 7). */
#include "raft/frame_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the ones above */

struct message {
    uint8_t bytes[4096];
    size_t len;
};

static void put(struct message *m, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        m->bytes[m->len++] = (uint8_t)(number >> (8 * i));
}

static void begin(struct message *m, uint64_t type, uint64_t header)
{
    m->len = 0;
    put(m, type, 8);
    put(m, header, 8);
}

/* AppendEntries with one entry; its header says `count` entries, `type` and `len`; `data` bytes follow. */
static void append(struct message *m, uint64_t count, uint8_t type, uint32_t len, size_t data)
{
    begin(m, 1, 40 + 16 + 8);
    for (unsigned i = 0; i < 4; i++)
        put(m, 1, 8);
    put(m, count, 8);
    put(m, 1, 8); /* term */
    put(m, type, 1);
    put(m, 0, 3);
    put(m, len, 4);
    put(m, 0, 8); /* what libraft counts and does not write */
    for (size_t i = 0; i < data; i++)
        put(m, 0x55, 1);
}

static void conf(struct message *m, uint64_t count, const char *address, uint8_t role, size_t total)
{
    size_t start = m->len;

    put(m, 1, 1);
    put(m, count, 8);
    put(m, 7, 8);
    memcpy(m->bytes + m->len, address, strlen(address) + 1);
    m->len += strlen(address) + 1;
    put(m, role, 1);
    while (m->len < start + total)
        put(m, 0, 1);
}

static enum status feed(const struct message *m, size_t piece)
{
    struct frame_check check;
    struct failure f = {0};
    enum status status = STATUS_OK;

    frame_check_init(&check);
    for (size_t at = 0; at < m->len && status == STATUS_OK; at += piece)
        status =
            frame_check_feed(&check, slice_of(m->bytes + at, m->len - at < piece ? m->len - at : piece), &f);
    frame_check_release(&check);
    return status;
}

static void good_messages_pass_however_they_are_cut(void **state)
{
    struct message all = {.len = 0}, m;

    (void)state;
    append(&m, 1, 1, 64, 64);
    memcpy(all.bytes, m.bytes, m.len);
    all.len = m.len;
    begin(&m, 2, 24);
    for (unsigned i = 0; i < 3; i++)
        put(&m, 5, 8);
    memcpy(all.bytes + all.len, m.bytes, m.len);
    all.len += m.len;
    begin(&m, 3, 40);
    for (unsigned i = 0; i < 5; i++)
        put(&m, 5, 8);
    memcpy(all.bytes + all.len, m.bytes, m.len);
    all.len += m.len;
    begin(&m, 5, 40 + 32 + 8 + 8); /* a snapshot of 100 bytes */
    for (unsigned i = 0; i < 4; i++)
        put(&m, 5, 8);
    put(&m, 32, 8);
    conf(&m, 1, "127.0.0.1:1", 1, 32);
    put(&m, 100, 8);
    put(&m, 0, 8);
    for (unsigned i = 0; i < 100; i++)
        put(&m, 0xff, 1);
    memcpy(all.bytes + all.len, m.bytes, m.len);
    all.len += m.len;
    for (size_t piece = 1; piece <= all.len; piece++)
        assert_int_equal(feed(&all, piece), STATUS_OK);
}

static void lengths_that_are_no_multiple_of_eight_are_refused(void **state)
{
    struct message m;

    (void)state;
    for (uint32_t len = 0; len <= 24; len++) {
        append(&m, 1, 1, len, len);
        assert_int_equal(feed(&m, m.len), len > 0 && len % 8 == 0 ? STATUS_OK : STATUS_MALFORMED);
    }
}

static void counts_and_sizes_are_checked_before_they_are_believed(void **state)
{
    static const uint64_t bad_types[] = {0, 7, 255, UINT64_MAX};
    struct message m;

    (void)state;
    append(&m, UINT32_MAX, 1, 8, 8);
    assert_int_equal(feed(&m, m.len), STATUS_MALFORMED);
    append(&m, UINT64_MAX, 1, 8, 8);
    assert_int_equal(feed(&m, m.len), STATUS_MALFORMED);
    append(&m, 1, 1, 0xfffffff8, 8);
    assert_int_equal(feed(&m, m.len), STATUS_MALFORMED);
    append(&m, 1, 4, 8, 8);
    assert_int_equal(feed(&m, m.len), STATUS_MALFORMED);
    for (size_t i = 0; i < sizeof(bad_types) / sizeof(bad_types[0]); i++) {
        begin(&m, bad_types[i], 24);
        assert_int_equal(feed(&m, 1), STATUS_MALFORMED);
    }
    begin(&m, 1, 8); /* a short header */
    assert_int_equal(feed(&m, m.len), STATUS_MALFORMED);
    begin(&m, 6, UINT64_MAX);
    assert_int_equal(feed(&m, m.len), STATUS_MALFORMED);
    begin(&m, 5, 48 + 8);
    for (unsigned i = 0; i < 4; i++)
        put(&m, 1, 8);
    put(&m, UINT64_MAX, 8); /* the membership's length */
    put(&m, 0, 8);
    put(&m, 0, 8);
    assert_int_equal(feed(&m, m.len), STATUS_MALFORMED);
}

static void membership_entries_are_looked_into(void **state)
{
    static const struct {
        uint64_t count;
        const char *address;
        uint8_t role;
        enum status status;
    } table[] = {
        {1, "127.0.0.1:1", 1, STATUS_OK},
        {1, "127.0.0.1:1", 3, STATUS_MALFORMED},
        {2, "127.0.0.1:1", 1, STATUS_MALFORMED},
        {UINT64_MAX, "127.0.0.1:1", 1, STATUS_MALFORMED},
        {1, "", 1, STATUS_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct message m;

        append(&m, 1, 3, 32, 0);
        conf(&m, table[i].count, table[i].address, table[i].role, 32);
        for (size_t piece = 1; piece <= m.len; piece += 7)
            assert_int_equal(feed(&m, piece), table[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_messages_pass_however_they_are_cut),
        cmocka_unit_test(lengths_that_are_no_multiple_of_eight_are_refused),
        cmocka_unit_test(counts_and_sizes_are_checked_before_they_are_believed),
        cmocka_unit_test(membership_entries_are_looked_into),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
