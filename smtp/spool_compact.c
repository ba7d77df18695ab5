/*
 * Compaction: the oldest segment holds old mail that waits while everything after it is dead weight. Its live
 * messages are copied forward, byte for byte, with their newest state, and then it goes. On the writer
 * thread, between groups, a message at a time.
 *
 * When: the spool takes more than twice what lives in it, and two segments. The copy counts only when it is
 * durable: places move after the sync, so a crash in between leaves the message twice in the log, and
 * recovery lets the later one count.
 */
#include "smtp/spool_internal.h"

#include "base/log.h"

#include <errno.h>
#include <unistd.h>

#define COPY_PIECE ((size_t)256 << 10)

/* A live message of the oldest segment; false if it is not worth looking. The lock is held. */
static bool choose(struct spool *s, struct spool_place *out)
{
    if (s->oldest == NULL || s->oldest == s->newest || s->oldest == s->current) {
        return false;
    }
    uint64_t total = 0;
    for (struct spool_segment *g = s->oldest; g != NULL; g = g->next) {
        total += g->size;
    }
    if (total <= 2 * s->counts.bytes + 2 * s->segment_size) {
        return false;
    }
    for (size_t i = 0; i < s->table.capacity; i++) {
        if (s->table.slots[i].segment == s->oldest) {
            *out = s->table.slots[i];
            return true;
        }
    }
    return false;
}

static enum status copy_bytes(struct spool *s, int fd, uint64_t offset, uint64_t length, struct failure *f)
{
    for (uint64_t done = 0; done < length;) {
        size_t want = length - done < COPY_PIECE ? (size_t)(length - done) : COPY_PIECE;
        enum status status = buf_reserve(&s->batch, want);
        if (status != STATUS_OK) {
            return failure_set(f, status, "no memory to copy a message");
        }
        ssize_t n = pread(fd, s->batch.data + s->batch.len, want, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return failure_errno(f, n < 0 ? errno : EIO, "cannot read the spool");
        }
        s->batch.len += (size_t)n;
        done += (uint64_t)n;
        status = spool_batch_flush(s, f);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

bool spool_compact_step(struct spool *s)
{
    struct spool_place old;
    pthread_mutex_lock(&s->lock);
    bool found = choose(s, &old);
    pthread_mutex_unlock(&s->lock);
    if (!found) {
        return false;
    }
    struct failure f = {0};
    enum status status = STATUS_OK;
    s->good = s->current != NULL ? s->current->size : 0;
    if (s->current == NULL || s->current->size >= s->segment_size) {
        status = s->current != NULL && s->unsynced_notes ? spool_batch_sync(s, &f) : STATUS_OK;
        if (status == STATUS_OK) {
            status = spool_segment_create(s, &f);
        }
    }
    uint64_t offset = 0, state_offset = 0;
    if (status == STATUS_OK) {
        s->good = s->current->size;
        offset = spool_batch_offset(s);
        status = copy_bytes(s, old.segment->fd, old.offset, old.length, &f);
    }
    if (status == STATUS_OK && old.state_segment != NULL) {
        state_offset = spool_batch_offset(s);
        status = copy_bytes(s, old.state_segment->fd, old.state_offset, old.state_length, &f);
    }
    if (status == STATUS_OK) {
        status = spool_batch_sync(s, &f);
    }
    if (status != STATUS_OK) {
        log_event(LOG_WARN, "an old spool segment cannot be tidied up", LOG_TEXT("error", f.text));
        spool_batch_abandon(s, s->good);
        return false;
    }
    pthread_mutex_lock(&s->lock);
    struct spool_place *place = spool_table_find(&s->table, old.id);
    if (place != NULL) { /* only this thread removes: it is there */
        spool_live_remove(s, place);
        place->segment = s->current;
        place->offset = offset;
        if (place->state_segment != NULL) {
            place->state_segment = s->current;
            place->state_offset = state_offset;
        }
        spool_live_add(s, place);
        s->counts.copied++;
    }
    spool_segments_collect(s);
    pthread_mutex_unlock(&s->lock);
    return true;
}
