/*
 * MessagePack out of C values, into a struct buf, by msgpack-c's packer. A failure (no memory, beyond the
 * buffer's maximum) is remembered: check once, at the end, with msgpack_writer_status().
 */
#ifndef SEALPOST_BASE_MSGPACK_WRITE_H
#define SEALPOST_BASE_MSGPACK_WRITE_H

#include "base/buf.h"

#include <msgpack/pack.h>

struct msgpack_writer {
    msgpack_packer packer;
    struct buf *out; /* borrowed */
    enum status status;
};

void msgpack_writer_init(struct msgpack_writer *w, struct buf *out);
void write_array(struct msgpack_writer *w, size_t count);
void write_map(struct msgpack_writer *w, size_t count);
void write_nil(struct msgpack_writer *w);
void write_bool(struct msgpack_writer *w, bool value);
void write_u64(struct msgpack_writer *w, uint64_t value);
void write_i64(struct msgpack_writer *w, int64_t value);
void write_bytes(struct msgpack_writer *w, struct slice bytes); /* bin */
void write_text(struct msgpack_writer *w, struct slice text);   /* str */
enum status msgpack_writer_status(const struct msgpack_writer *w) MUST_CHECK;

#endif
