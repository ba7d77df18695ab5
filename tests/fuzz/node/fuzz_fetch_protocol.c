/* Questions to the fetch role and its answers, of any bytes: what is read is written back as the same, and
 * what core is asked by a fetch role that was taken over is judged, never believed. */
#include "mail/fetch_protocol.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void question(struct slice in)
{
    struct fetch_question q, again;
    struct buf frame = BUF_INIT((size_t)4 << 20);
    if (fetch_question_decode(in, &q) == STATUS_OK &&
        (fetch_question_encode(&q, &frame) != STATUS_OK ||
         fetch_question_decode(buf_slice(&frame), &again) != STATUS_OK || again.type != q.type ||
         again.number != q.number || again.count != q.count || !slice_equal(again.signer, q.signer) ||
         !slice_equal(again.url, q.url) || !slice_equal(again.bytes, q.bytes))) {
        abort();
    }
    buf_release(&frame);
}

static void answer(struct slice in)
{
    struct fetch_answer a;
    struct msgpack_reader results;
    struct fetch_source source;
    if (fetch_answer_decode(in, &a, &results) != STATUS_OK) {
        return;
    }
    size_t count = read_array(&results, FETCH_SOURCES_MAX);
    for (size_t i = 0; i < count && msgpack_reader_status(&results, false) == STATUS_OK; i++) {
        fetch_source_read(&results, &source);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    question(slice_of(data, size));
    answer(slice_of(data, size));
    return 0;
}
