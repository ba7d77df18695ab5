/* The frames between smtp and a worker: what is taken must come out the same when it is written again. */
#include "mail/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice frame = slice_of(data, size);
    struct job_message message, again;
    struct job_result result;
    struct arena a;
    uint64_t number;
    arena_init(&a, (size_t)16 << 20);
    (void)job_frame_type(frame);
    (void)!job_ready_decode(frame, &number);
    (void)!job_to_7bit_decode(frame, &number);
    if (job_message_decode(frame, &a, &message) == STATUS_OK) {
        struct buf out = BUF_INIT(size * 2 + 4096);
        require(job_message_encode(&message, &out) == STATUS_OK);
        require(job_message_decode(buf_slice(&out), &a, &again) == STATUS_OK);
        require(again.recipient_count == message.recipient_count && again.job == message.job);
        buf_release(&out);
    }
    for (size_t recipients = 0; recipients < 4; recipients++) {
        for (size_t fds = 0; fds < 3; fds++) {
            if (job_result_decode(frame, recipients, fds, &a, &result) == STATUS_OK) {
                require(result.variant_count == fds);
            }
        }
    }
    arena_release(&a);
    return 0;
}
