/*
 * MessagePack in, pulled value by value from untrusted bytes. Lengths and counts are checked against what is
 * left before anything is done with them, nothing is allocated, and slices point into the input. The first
 * failure sticks: later reads return zero values, so a decoder reads all its fields and checks
 * msgpack_reader_status() once. (msgpack-c's own unpacker allocates an array for the count that a header
 * claims before it has seen one element.)
 */
#ifndef SEALPOST_BASE_MSGPACK_READ_H
#define SEALPOST_BASE_MSGPACK_READ_H

#include "base/slice.h"
#include "base/status.h"

struct msgpack_reader {
    const uint8_t *at, *end;
    enum status status; /* OK, MALFORMED or TOO_LARGE */
};

void msgpack_reader_init(struct msgpack_reader *r, struct slice in);
/* Count of elements (read_map: of pairs); fails with TOO_LARGE above max and MALFORMED when more than bytes
 * left. */
size_t read_array(struct msgpack_reader *r, size_t max);
size_t read_map(struct msgpack_reader *r, size_t max);
bool read_nil(struct msgpack_reader *r); /* true and consumed if the next value is nil; else untouched */
bool read_bool(struct msgpack_reader *r);
uint64_t read_u64(struct msgpack_reader *r);
int64_t read_i64(struct msgpack_reader *r);
struct slice read_bytes(struct msgpack_reader *r, size_t max); /* bin */
struct slice read_text(struct msgpack_reader *r, size_t max);  /* str */
void read_skip(struct msgpack_reader *r); /* one value with all it holds, nesting at most 16 */
/* The raw encoding of the next value, which is skipped. */
struct slice read_raw(struct msgpack_reader *r);
/* OK only if nothing failed and, with `whole`, no byte is left. */
enum status msgpack_reader_status(const struct msgpack_reader *r, bool whole) MUST_CHECK;
void read_fail(struct msgpack_reader *r, enum status status); /* a decoder's own complaint */

#endif
