/*
 * A variant's bytes, piece by piece, for a client session: from its memfd (memory: read at once), or from the
 * spool (disk: read and decrypted on the thread pool, one chunk ahead of what is being sent).
 */
#include "smtp/delivery_internal.h"

#include "crypto/chunk_cipher.h"

#include <errno.h>
#include <unistd.h>

#define PIECE     ((size_t)64 << 10)
#define PIECE_MAX ((size_t)256 << 10)

struct body *body_new(struct group *g, void (*ready)(void *context, enum status status), void *context)
{
    struct body *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return NULL;
    }
    struct dispatch *x = g->dispatch;
    b->dispatch = x;
    b->variant = g->variant;
    b->fd = g->seven_bit >= 0 ? g->seven_bit : x->hot != NULL ? x->hot->variants[g->variant] : -1;
    b->size = g->seven_bit >= 0 ? g->seven_bit_size : x->envelope->variants[g->variant].size;
    b->piece = BUF_INIT(PIECE_MAX);
    b->piece.wipe = true;
    b->ready = ready;
    b->context = context;
    b->work.data = b;
    return b;
}

static void read_chunk(uv_work_t *work)
{
    struct body *b = work->data;
    struct failure f = {0};
    b->status = spool_read_chunk(&b->dispatch->loaded, b->variant, b->at, &b->piece, &f);
}

static void after_chunk(uv_work_t *work, int error)
{
    struct body *b = work->data;
    dispatch_unpin(b->dispatch);
    b->reading = false;
    if (b->orphan) {
        body_free(b);
        return;
    }
    b->at++;
    b->ready(b->context, error != 0 ? STATUS_INTERNAL : b->status);
}

static enum status next_of_file(struct body *b)
{
    if (b->at >= b->size) {
        return STATUS_NOT_FOUND;
    }
    size_t want = b->size - b->at < PIECE ? (size_t)(b->size - b->at) : PIECE;
    enum status status = buf_reserve(&b->piece, want);
    if (status != STATUS_OK) {
        return status;
    }
    ssize_t n = 0;
    do {
        n = pread(b->fd, b->piece.data, want, (off_t)b->at);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return STATUS_IO;
    }
    b->piece.len = (size_t)n;
    b->at += (uint64_t)n;
    return STATUS_OK;
}

enum status body_next(struct body *b)
{
    buf_reset(&b->piece);
    if (b->fd >= 0) {
        return next_of_file(b);
    }
    if (b->at * CHUNK_PLAIN_SIZE >= b->size) {
        return STATUS_NOT_FOUND;
    }
    dispatch_pin(b->dispatch);
    if (uv_queue_work(b->dispatch->delivery->options.loop, &b->work, read_chunk, after_chunk) != 0) {
        dispatch_unpin(b->dispatch);
        return STATUS_NO_MEMORY;
    }
    b->reading = true;
    return STATUS_BUSY;
}

void body_free(struct body *b)
{
    if (b == NULL) {
        return;
    }
    if (b->reading) {
        b->orphan = true;
        return;
    }
    buf_release(&b->piece);
    free(b);
}
