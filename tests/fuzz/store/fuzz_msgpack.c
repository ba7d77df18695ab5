/* The MessagePack reader: every kind of read at every place, in an order that the input itself chooses. */
#include "base/msgpack_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(struct slice s)
{
    volatile uint8_t sum = 0;

    for (size_t i = 0; i < s.len; i++)
        sum = (uint8_t)(sum + s.data[i]);
}

static void read_one(struct msgpack_reader *r, unsigned kind)
{
    switch (kind % 9) {
    case 0:
        (void)read_array(r, 1000);
        break;
    case 1:
        (void)read_map(r, 1000);
        break;
    case 2:
        (void)read_nil(r);
        break;
    case 3:
        (void)read_bool(r);
        break;
    case 4:
        (void)read_u64(r);
        break;
    case 5:
        (void)read_i64(r);
        break;
    case 6:
        touch(read_bytes(r, 1000));
        break;
    case 7:
        touch(read_text(r, 1000));
        break;
    default:
        touch(read_raw(r));
        break;
    }
}

/* Skipping and reading raw agree on where a value ends. */
static void skip_all(struct slice in)
{
    struct msgpack_reader r, raw;

    msgpack_reader_init(&r, in);
    msgpack_reader_init(&raw, in);
    while (msgpack_reader_status(&r, true) != STATUS_OK && r.status == STATUS_OK) {
        const uint8_t *before = r.at;

        read_skip(&r);
        touch(read_raw(&raw));
        if (r.at != raw.at || r.status != raw.status || r.at <= before)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct msgpack_reader r;
    size_t reads = size / 4;

    skip_all(slice_of(data, size));
    msgpack_reader_init(&r, slice_of(data + reads, size - reads));
    for (size_t i = 0; i < reads && r.status == STATUS_OK; i++)
        read_one(&r, data[i]);
    return 0;
}
