/*
 * A pull reader for MessagePack (the format specification of msgpack.org, without ext and float, which we
 * never write). Every length is compared with what is left before it is used. Pure, any thread.
 */
#include "base/msgpack_read.h"

#define NESTING_MAX 16

void msgpack_reader_init(struct msgpack_reader *r, struct slice in)
{
    r->at = in.data;
    r->end = in.len == 0 ? in.data : in.data + in.len;
    r->status = STATUS_OK;
}

void read_fail(struct msgpack_reader *r, enum status status)
{
    if (r->status == STATUS_OK)
        r->status = status;
    r->at = r->end;
}

static size_t left(const struct msgpack_reader *r)
{
    return (size_t)(r->end - r->at);
}

static uint8_t take_byte(struct msgpack_reader *r)
{
    if (left(r) == 0) {
        read_fail(r, STATUS_MALFORMED);
        return 0xc1; /* "never used" in the format: no reader takes it */
    }
    return *r->at++;
}

/* `size` bytes, big endian. */
static uint64_t take_number(struct msgpack_reader *r, size_t size)
{
    uint64_t value = 0;

    if (left(r) < size) {
        read_fail(r, STATUS_MALFORMED);
        return 0;
    }
    for (size_t i = 0; i < size; i++)
        value = value << 8 | *r->at++;
    return value;
}

static size_t checked_count(struct msgpack_reader *r, uint64_t count, uint64_t bytes_each, size_t max)
{
    if (r->status != STATUS_OK)
        return 0;
    if (count > left(r) / bytes_each) {
        read_fail(r, STATUS_MALFORMED);
        return 0;
    }
    if (count > max) {
        read_fail(r, STATUS_TOO_LARGE);
        return 0;
    }
    return (size_t)count;
}

size_t read_array(struct msgpack_reader *r, size_t max)
{
    uint8_t head = take_byte(r);

    if ((head & 0xf0) == 0x90)
        return checked_count(r, head & 0x0f, 1, max);
    if (head == 0xdc)
        return checked_count(r, take_number(r, 2), 1, max);
    if (head == 0xdd)
        return checked_count(r, take_number(r, 4), 1, max);
    read_fail(r, STATUS_MALFORMED);
    return 0;
}

size_t read_map(struct msgpack_reader *r, size_t max)
{
    uint8_t head = take_byte(r);

    if ((head & 0xf0) == 0x80)
        return checked_count(r, head & 0x0f, 2, max);
    if (head == 0xde)
        return checked_count(r, take_number(r, 2), 2, max);
    if (head == 0xdf)
        return checked_count(r, take_number(r, 4), 2, max);
    read_fail(r, STATUS_MALFORMED);
    return 0;
}

bool read_nil(struct msgpack_reader *r)
{
    if (left(r) == 0 || *r->at != 0xc0)
        return false;
    r->at++;
    return true;
}

bool read_bool(struct msgpack_reader *r)
{
    uint8_t head = take_byte(r);

    if (head == 0xc2 || head == 0xc3)
        return head == 0xc3;
    read_fail(r, STATUS_MALFORMED);
    return false;
}

uint64_t read_u64(struct msgpack_reader *r)
{
    uint8_t head = take_byte(r);

    if (head < 0x80)
        return head;
    if (head >= 0xcc && head <= 0xcf)
        return take_number(r, (size_t)1 << (head - 0xcc));
    read_fail(r, STATUS_MALFORMED);
    return 0;
}

int64_t read_i64(struct msgpack_reader *r)
{
    uint8_t head = take_byte(r);
    uint64_t value;

    if (head < 0x80)
        return head;
    if (head >= 0xe0)
        return (int8_t)head;
    switch (head) {
    case 0xd0:
        return (int8_t)take_number(r, 1);
    case 0xd1:
        return (int16_t)take_number(r, 2);
    case 0xd2:
        return (int32_t)take_number(r, 4);
    case 0xd3:
        return (int64_t)take_number(r, 8);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        value = take_number(r, (size_t)1 << (head - 0xcc));
        if (value <= INT64_MAX)
            return (int64_t)value;
        break;
    default:
        break;
    }
    read_fail(r, STATUS_MALFORMED);
    return 0;
}

static struct slice take_slice(struct msgpack_reader *r, uint64_t len, size_t max)
{
    struct slice out = {0};

    out.len = checked_count(r, len, 1, max);
    if (r->status != STATUS_OK)
        return (struct slice){0};
    out.data = r->at;
    r->at += out.len;
    return out;
}

struct slice read_bytes(struct msgpack_reader *r, size_t max)
{
    uint8_t head = take_byte(r);

    if (head >= 0xc4 && head <= 0xc6)
        return take_slice(r, take_number(r, (size_t)1 << (head - 0xc4)), max);
    read_fail(r, STATUS_MALFORMED);
    return (struct slice){0};
}

struct slice read_text(struct msgpack_reader *r, size_t max)
{
    uint8_t head = take_byte(r);

    if ((head & 0xe0) == 0xa0)
        return take_slice(r, head & 0x1f, max);
    if (head >= 0xd9 && head <= 0xdb)
        return take_slice(r, take_number(r, (size_t)1 << (head - 0xd9)), max);
    read_fail(r, STATUS_MALFORMED);
    return (struct slice){0};
}

static void skip(struct msgpack_reader *r, unsigned depth)
{
    uint8_t head = left(r) > 0 ? *r->at : 0xc1;
    size_t values = 0;

    if (depth > NESTING_MAX) {
        read_fail(r, STATUS_TOO_LARGE);
        return;
    }
    if (head < 0x80 || head >= 0xe0 || (head >= 0xcc && head <= 0xd3)) {
        if (head >= 0xcc && head <= 0xcf)
            (void)read_u64(r);
        else
            (void)read_i64(r);
    } else if ((head & 0xf0) == 0x90 || head == 0xdc || head == 0xdd) {
        values = read_array(r, SIZE_MAX);
    } else if ((head & 0xf0) == 0x80 || head == 0xde || head == 0xdf) {
        values = 2 * read_map(r, SIZE_MAX / 2);
    } else if ((head & 0xe0) == 0xa0 || (head >= 0xd9 && head <= 0xdb)) {
        (void)read_text(r, SIZE_MAX);
    } else if (head >= 0xc4 && head <= 0xc6) {
        (void)read_bytes(r, SIZE_MAX);
    } else if (head == 0xc0 || head == 0xc2 || head == 0xc3) {
        r->at++;
    } else {
        read_fail(r, STATUS_MALFORMED);
    }
    while (values-- > 0 && r->status == STATUS_OK)
        skip(r, depth + 1);
}

void read_skip(struct msgpack_reader *r)
{
    skip(r, 0);
}

struct slice read_raw(struct msgpack_reader *r)
{
    const uint8_t *start = r->at;

    skip(r, 0);
    if (r->status != STATUS_OK)
        return (struct slice){0};
    return slice_of(start, (size_t)(r->at - start));
}

enum status msgpack_reader_status(const struct msgpack_reader *r, bool whole)
{
    if (r->status != STATUS_OK)
        return r->status;
    return whole && left(r) > 0 ? STATUS_MALFORMED : STATUS_OK;
}
