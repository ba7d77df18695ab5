/*
 * Writing: a message or a note becomes records in `batch`, and `batch` goes to the end of the current segment
 * with as few writes as can be. On the writer thread only.
 *
 * A body is read from its memfd in pieces of CHUNK_PLAIN_SIZE, sealed piece by piece, and what has gathered
 * is written whenever it passes BATCH_WRITE: memory is bounded whatever the message's size.
 */
#include "smtp/spool_internal.h"

#include "base/log.h"
#include "crypto/chunk_cipher.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define BATCH_WRITE ((size_t)1 << 20)

uint64_t spool_batch_offset(const struct spool *s)
{
    return s->current->size + s->batch.len;
}

enum status spool_batch_flush(struct spool *s, struct failure *f)
{
    size_t done = 0;
    while (done < s->batch.len) {
        ssize_t n = pwrite(s->current->fd, s->batch.data + done, s->batch.len - done,
                           (off_t)(s->current->size + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return failure_errno(f, n < 0 ? errno : ENOSPC, "cannot write to the spool");
        }
        done += (size_t)n;
    }
    /* Readers look at sizes only through places, which are set after this. */
    s->current->size += s->batch.len;
    buf_reset(&s->batch);
    return STATUS_OK;
}

enum status spool_batch_sync(struct spool *s, struct failure *f)
{
    enum status status = spool_batch_flush(s, f);
    if (status != STATUS_OK) {
        return status;
    }
    if (fdatasync(s->current->fd) != 0) {
        return failure_errno(f, errno, "cannot sync the spool");
    }
    s->unsynced_notes = false;
    pthread_mutex_lock(&s->lock);
    s->counts.syncs++;
    pthread_mutex_unlock(&s->lock);
    return STATUS_OK;
}

void spool_batch_abandon(struct spool *s, uint64_t good)
{
    buf_reset(&s->batch);
    if (s->current == NULL) {
        return;
    }
    if (ftruncate(s->current->fd, (off_t)good) != 0) {
        /* What lies beyond has no COMMIT that was acknowledged; at worst it is delivered although its sender
         * was told to try again. */
        log_event(LOG_ERROR, "a spool segment cannot be cut back", LOG_TEXT("error", strerror(errno)));
    }
    s->current->size = good;
    s->current = NULL;
}

static enum status write_envelope(struct spool *s, const struct spool_envelope *e, struct slice key)
{
    struct buf plain = BUF_INIT(SPOOL_ENVELOPE_MAX);
    struct buf wrapped = BUF_INIT(256);
    plain.wipe = true;
    size_t at = 0;
    enum status status = spool_envelope_encode(e, &plain);
    if (status == STATUS_OK) {
        status = spool_key_wrap(secret_slice(&s->key), e->id, key, &wrapped);
    }
    if (status == STATUS_OK) {
        status = spool_record_begin(&s->batch, &at);
    }
    if (status == STATUS_OK) {
        uint8_t length[2] = {(uint8_t)wrapped.len, (uint8_t)(wrapped.len >> 8)};
        status = buf_append(&s->batch, length, sizeof length);
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(&s->batch, buf_slice(&wrapped));
    }
    if (status == STATUS_OK) {
        status = spool_seal_for("envelope:", key, e->id, buf_slice(&plain), &s->batch);
    }
    if (status == STATUS_OK) {
        struct spool_record record = {.type = SPOOL_RECORD_ENVELOPE};
        memcpy(record.id, e->id, ID_SIZE);
        status = spool_record_finish(&s->batch, at, &record);
    }
    buf_release(&plain);
    buf_release(&wrapped);
    return status;
}

static enum status read_whole(int fd, uint8_t *out, size_t len, uint64_t offset, struct failure *f)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, out + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return failure_set(f, STATUS_INTERNAL, "a message is shorter than it was");
        }
        done += (size_t)n;
    }
    return STATUS_OK;
}

static enum status write_variant(struct spool *s, const struct spool_envelope *e, size_t variant, int fd,
                                 struct chunk_cipher *cipher, uint32_t *records, struct failure *f)
{
    uint64_t size = e->variants[variant].size;
    uint8_t *plain = s->plain;
    uint32_t chunk = 0;
    for (uint64_t offset = 0; offset < size; offset += CHUNK_PLAIN_SIZE, chunk++) {
        size_t len = size - offset < CHUNK_PLAIN_SIZE ? (size_t)(size - offset) : CHUNK_PLAIN_SIZE;
        enum status status = read_whole(fd, plain, len, offset, f);
        size_t at = 0;
        if (status == STATUS_OK) {
            status = spool_record_begin(&s->batch, &at);
        }
        if (status == STATUS_OK) {
            bool last = offset + len == size;
            status = chunk_seal(cipher, (uint32_t)variant, chunk, last, slice_of(plain, len), &s->batch);
        }
        if (status == STATUS_OK) {
            struct spool_record record = {
                .type = SPOOL_RECORD_CHUNK, .variant = (uint32_t)variant, .chunk = chunk};
            memcpy(record.id, e->id, ID_SIZE);
            status = spool_record_finish(&s->batch, at, &record);
        }
        if (status == STATUS_OK && s->batch.len >= BATCH_WRITE) {
            status = spool_batch_flush(s, f);
        }
        if (status != STATUS_OK) {
            return status;
        }
        (*records)++;
    }
    return STATUS_OK;
}

enum status spool_write_message(struct spool *s, struct spool_add *add, struct spool_placed *placed,
                                struct failure *f)
{
    const struct spool_envelope *e = add->envelope;
    struct chunk_cipher *cipher = NULL;
    struct slice key = secret_slice(&s->message_key); /* one locked page for all: a new key a message */
    random_bytes(s->message_key.data, s->message_key.len);
    enum status status = chunk_cipher_new(key, slice_of(e->id, ID_SIZE), &cipher);
    if (status != STATUS_OK) {
        goto out;
    }
    placed->segment = s->current;
    placed->offset = spool_batch_offset(s);
    status = write_envelope(s, e, key);
    uint32_t records = 1;
    for (size_t i = 0; i < e->variant_count && status == STATUS_OK; i++) {
        status = write_variant(s, e, i, add->fds[i], cipher, &records, f);
    }
    if (status == STATUS_OK) {
        uint8_t payload[SPOOL_COMMIT_PAYLOAD] = {(uint8_t)add->commit_flags};
        spool_put_u64(payload + 8, spool_batch_offset(s) - placed->offset);
        struct spool_record record = {.type = SPOOL_RECORD_COMMIT, .variant = records};
        memcpy(record.id, e->id, ID_SIZE);
        status = spool_record_append(&s->batch, &record, slice_of(payload, sizeof payload));
        placed->length = spool_batch_offset(s) - placed->offset;
    }
out:
    chunk_cipher_free(cipher);
    secret_wipe(s->message_key.data, s->message_key.len);
    return status == STATUS_OK || f->status != STATUS_OK ? status
                                                         : failure_set(f, status, "%s", status_text(status));
}

enum status spool_write_note(struct spool *s, const struct spool_note *note, uint64_t *offset,
                             uint32_t *length, struct failure *f)
{
    struct spool_record record = {.type = note->type == SPOOL_NOTE_STATE ? SPOOL_RECORD_STATE
                                                                         : SPOOL_RECORD_DELETED};
    memcpy(record.id, note->id, ID_SIZE);
    *offset = spool_batch_offset(s);
    enum status status = spool_record_append(&s->batch, &record, buf_slice(&note->payload));
    *length = (uint32_t)(spool_batch_offset(s) - *offset);
    return status == STATUS_OK ? status : failure_set(f, status, "%s", status_text(status));
}
