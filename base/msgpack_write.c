/* msgpack-c's packer, writing into a struct buf. Pure, any thread. */
#include "base/msgpack_write.h"

static int write_cb(void *data, const char *bytes, size_t len)
{
    struct msgpack_writer *w = data;

    if (w->status == STATUS_OK)
        w->status = buf_append(w->out, bytes, len);
    return w->status == STATUS_OK ? 0 : -1;
}

void msgpack_writer_init(struct msgpack_writer *w, struct buf *out)
{
    msgpack_packer_init(&w->packer, w, write_cb);
    w->out = out;
    w->status = STATUS_OK;
}

void write_array(struct msgpack_writer *w, size_t count)
{
    (void)msgpack_pack_array(&w->packer, count);
}

void write_map(struct msgpack_writer *w, size_t count)
{
    (void)msgpack_pack_map(&w->packer, count);
}

void write_nil(struct msgpack_writer *w)
{
    (void)msgpack_pack_nil(&w->packer);
}

void write_bool(struct msgpack_writer *w, bool value)
{
    (void)(value ? msgpack_pack_true(&w->packer) : msgpack_pack_false(&w->packer));
}

void write_u64(struct msgpack_writer *w, uint64_t value)
{
    (void)msgpack_pack_uint64(&w->packer, value);
}

void write_i64(struct msgpack_writer *w, int64_t value)
{
    (void)msgpack_pack_int64(&w->packer, value);
}

void write_bytes(struct msgpack_writer *w, struct slice bytes)
{
    (void)msgpack_pack_bin(&w->packer, bytes.len);
    if (bytes.len > 0)
        (void)msgpack_pack_bin_body(&w->packer, bytes.data, bytes.len);
}

void write_text(struct msgpack_writer *w, struct slice text)
{
    (void)msgpack_pack_str(&w->packer, text.len);
    if (text.len > 0)
        (void)msgpack_pack_str_body(&w->packer, text.data, text.len);
}

enum status msgpack_writer_status(const struct msgpack_writer *w)
{
    return w->status;
}
