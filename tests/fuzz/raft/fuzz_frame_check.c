/* What a peer sends, cut anywhere: the first byte says how the rest is cut. The verdict may not depend on the
 * cuts. */
#include "raft/frame_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status feed(struct slice bytes, size_t piece)
{
    struct frame_check check;
    struct failure f;
    enum status status = STATUS_OK;

    frame_check_init(&check);
    while (bytes.len > 0 && status == STATUS_OK) {
        size_t take = bytes.len < piece ? bytes.len : piece;

        status = frame_check_feed(&check, slice_of(bytes.data, take), &f);
        bytes = slice_of(bytes.data + take, bytes.len - take);
    }
    frame_check_release(&check);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (feed(slice_of(data + 1, size - 1), size) != feed(slice_of(data + 1, size - 1), (size_t)data[0] + 1))
        abort();
    return 0;
}
