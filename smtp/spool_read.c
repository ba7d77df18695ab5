/* Reading a spooled message back (smtp/spool.h): envelope, newest state, chunk by chunk. On any thread; never
 * the loop's. */
#include "smtp/spool_internal.h"

#include "crypto/chunk_cipher.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define STATE_WAIT_S 2

static enum status read_at(int fd, uint64_t offset, uint8_t *out, size_t len, struct failure *f)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, out + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return failure_errno(f, errno, "cannot read the spool");
        }
        if (n == 0) {
            return failure_set(f, STATUS_CORRUPT, "a spool segment is shorter than it was");
        }
        done += (size_t)n;
    }
    return STATUS_OK;
}

/* The record at `offset`, which must be of this type and message; its payload goes to `payload`. */
static enum status record_at(int fd, uint64_t offset, enum spool_record_type type, const uint8_t id[ID_SIZE],
                             struct spool_record *record, struct buf *payload, struct failure *f)
{
    uint8_t header[SPOOL_RECORD_HEADER];
    enum status status = read_at(fd, offset, header, sizeof header, f);
    if (status != STATUS_OK) {
        return status;
    }
    if (spool_record_read(header, record) != STATUS_OK || record->type != type ||
        memcmp(record->id, id, ID_SIZE) != 0) {
        return failure_set(f, STATUS_CORRUPT, "a spool record is damaged");
    }
    buf_reset(payload);
    status = buf_reserve(payload, record->payload_len);
    if (status != STATUS_OK) {
        return failure_set(f, status, "no memory to read the spool");
    }
    status = read_at(fd, offset + SPOOL_RECORD_HEADER, payload->data, record->payload_len, f);
    payload->len = record->payload_len;
    if (status == STATUS_OK && !spool_record_payload_good(record, buf_slice(payload))) {
        return failure_set(f, STATUS_CORRUPT, "a spool record is damaged");
    }
    return status;
}

static enum status load_envelope(struct spool_loaded *l, uint64_t offset, const uint8_t id[ID_SIZE],
                                 struct failure *f)
{
    struct buf payload = BUF_INIT(SPOOL_PAYLOAD_MAX);
    struct spool_record record;
    enum status status = record_at(l->segment->fd, offset, SPOOL_RECORD_ENVELOPE, id, &record, &payload, f);
    if (status != STATUS_OK) {
        goto out;
    }
    size_t wrapped = payload.len >= 2 ? (size_t)(payload.data[0] | payload.data[1] << 8) : SIZE_MAX;
    if (wrapped > payload.len - 2) {
        status = failure_set(f, STATUS_CORRUPT, "a spool record is damaged");
        goto out;
    }
    status =
        spool_key_unwrap(secret_slice(&l->spool->key), id, slice_of(payload.data + 2, wrapped), &l->key, f);
    if (status != STATUS_OK) {
        goto out;
    }
    struct slice sealed = slice_of(payload.data + 2 + wrapped, payload.len - 2 - wrapped);
    status = spool_unseal_for("envelope:", secret_slice(&l->key), id, sealed, &l->plain_envelope, f);
    if (status != STATUS_OK) {
        goto out;
    }
    status = spool_envelope_decode(secret_slice(&l->plain_envelope), &l->arena, &l->envelope);
    if (status != STATUS_OK) {
        (void)failure_set(f, status, "a spooled envelope cannot be read: %s", status_text(status));
        goto out;
    }
    l->chunks_at = offset + spool_record_size(record.payload_len);
out:
    buf_release(&payload);
    return status;
}

static enum status load_state(struct spool_loaded *l, const struct spool_segment *segment, uint64_t offset,
                              const uint8_t id[ID_SIZE], struct failure *f)
{
    struct buf payload = BUF_INIT(SPOOL_PAYLOAD_MAX);
    struct spool_record record;
    struct slice sealed = {0};
    enum status status = record_at(segment->fd, offset, SPOOL_RECORD_STATE, id, &record, &payload, f);
    if (status == STATUS_OK) {
        status = spool_state_decode(buf_slice(&payload), &l->arena, &l->state, &sealed);
    }
    if (status == STATUS_OK && l->state.recipient_count != l->envelope.recipient_count) {
        status = failure_set(f, STATUS_CORRUPT, "a spooled state does not fit its envelope");
    }
    if (status == STATUS_OK && sealed.len > 0) {
        status = spool_unseal_for("state:", secret_slice(&l->spool->key), id, sealed, &l->plain_texts, f);
        if (status == STATUS_OK) {
            status = spool_state_decode_texts(secret_slice(&l->plain_texts), &l->state);
        }
    }
    buf_release(&payload);
    return status;
}

/* The newest state may be noted and not written yet: what was delivered would be forgotten. The lock is held;
 * NULL: it is gone. BUSY in *status: the disk takes no writes. */
static const struct spool_place *settled_place(struct spool *s, const uint8_t id[ID_SIZE],
                                               enum status *status)
{
    struct timespec until;
    const struct spool_place *place = spool_table_find(&s->table, id);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STATE_WAIT_S;
    *status = STATUS_OK;
    while (place != NULL && place->states_pending > 0 && *status == STATUS_OK) {
        if (pthread_cond_timedwait(&s->published, &s->lock, &until) != 0) {
            *status = STATUS_BUSY;
        }
        place = spool_table_find(&s->table, id);
    }
    return place;
}

enum status spool_load(struct spool *s, const uint8_t id[ID_SIZE], struct spool_loaded *out,
                       struct failure *f)
{
    *out = (struct spool_loaded){.spool = s};
    arena_init(&out->arena, (size_t)64 << 20);
    pthread_mutex_lock(&s->lock);
    enum status status = STATUS_OK;
    const struct spool_place *found = settled_place(s, id, &status);
    struct spool_place place = {0};
    struct spool_segment *state_segment = NULL;
    if (found != NULL && status == STATUS_OK) {
        place = *found;
        out->segment = place.segment;
        place.segment->refs++;
        state_segment = place.state_segment;
        if (state_segment != NULL) {
            state_segment->refs++;
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (found == NULL) {
        return failure_set(f, STATUS_NOT_FOUND, "there is no such message in the queue");
    }
    if (status != STATUS_OK) {
        return failure_set(f, status, "the spool cannot be written, and the newest state waits for it");
    }
    status = place.damaged ? failure_set(f, STATUS_CORRUPT, "the message is damaged")
                           : load_envelope(out, place.offset, id, f);
    if (status == STATUS_OK && state_segment != NULL) {
        status = load_state(out, state_segment, place.state_offset, id, f);
    } else if (status == STATUS_OK) {
        size_t count = out->envelope.recipient_count;
        bool quarantined = (place.commit_flags & SPOOL_COMMIT_QUARANTINED) != 0;
        out->state = (struct spool_state){.state = quarantined ? SPOOL_QUARANTINED : SPOOL_ACTIVE,
                                          .recipient_count = count};
        out->state.recipients = arena_alloc_array(&out->arena, count + 1, sizeof(struct spool_recipient));
        if (out->state.recipients == NULL) {
            status = failure_set(f, STATUS_NO_MEMORY, "no memory for a message");
        }
    }
    if (state_segment != NULL) {
        pthread_mutex_lock(&s->lock);
        spool_segment_unref(s, state_segment);
        pthread_mutex_unlock(&s->lock);
    }
    if (status != STATUS_OK) {
        spool_loaded_release(out);
    }
    return status;
}

void spool_loaded_release(struct spool_loaded *l)
{
    if (l->segment != NULL) {
        pthread_mutex_lock(&l->spool->lock);
        spool_segment_unref(l->spool, l->segment);
        pthread_mutex_unlock(&l->spool->lock);
        l->segment = NULL;
    }
    arena_release(&l->arena);
    secret_release(&l->key);
    secret_release(&l->plain_envelope);
    secret_release(&l->plain_texts);
}

/* On-disk bytes of all chunks of a variant of this size: all but the last are full. */
static uint64_t chunks_size(uint64_t size, uint64_t chunks)
{
    uint64_t full = spool_record_size(CHUNK_PLAIN_SIZE + CHUNK_OVERHEAD);
    uint64_t count = (size + CHUNK_PLAIN_SIZE - 1) / CHUNK_PLAIN_SIZE;
    if (chunks < count) {
        return chunks * full;
    }
    return count == 0 ? 0
                      : (count - 1) * full +
                            spool_record_size(size - (count - 1) * CHUNK_PLAIN_SIZE + CHUNK_OVERHEAD);
}

enum status spool_read_chunk(struct spool_loaded *l, size_t variant, uint64_t chunk, struct buf *out,
                             struct failure *f)
{
    uint64_t offset = l->chunks_at;
    for (size_t i = 0; i < variant; i++) {
        offset += chunks_size(l->envelope.variants[i].size, UINT64_MAX);
    }
    uint64_t size = l->envelope.variants[variant].size;
    uint64_t count = (size + CHUNK_PLAIN_SIZE - 1) / CHUNK_PLAIN_SIZE;
    if (chunk >= count) {
        return STATUS_NOT_FOUND;
    }
    offset += chunks_size(size, chunk);
    struct buf sealed = BUF_INIT(CHUNK_PLAIN_SIZE + CHUNK_OVERHEAD);
    struct spool_record record;
    struct chunk_cipher *cipher = NULL;
    size_t want = chunk + 1 < count ? CHUNK_PLAIN_SIZE : (size_t)(size - (count - 1) * CHUNK_PLAIN_SIZE);
    size_t before = out->len;
    enum status status =
        record_at(l->segment->fd, offset, SPOOL_RECORD_CHUNK, l->envelope.id, &record, &sealed, f);
    if (status == STATUS_OK && (record.variant != variant || record.chunk != chunk)) {
        status = failure_set(f, STATUS_CORRUPT, "a spool record is not where it should be");
    }
    if (status == STATUS_OK) {
        status = chunk_cipher_new(secret_slice(&l->key), slice_of(l->envelope.id, ID_SIZE), &cipher);
    }
    if (status == STATUS_OK) {
        status = chunk_open(cipher, (uint32_t)variant, (uint32_t)chunk, chunk + 1 == count,
                            buf_slice(&sealed), out);
    }
    if (status == STATUS_OK && out->len - before != want) {
        status = failure_set(f, STATUS_CORRUPT, "a chunk has not its size");
    }
    chunk_cipher_free(cipher);
    buf_release(&sealed);
    return status == STATUS_OK || (f != NULL && f->status != STATUS_OK)
               ? status
               : failure_set(f, status, "a chunk cannot be opened: %s", status_text(status));
}
