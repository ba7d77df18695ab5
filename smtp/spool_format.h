/*
 * The spool on disk, byte by byte: segments spool/NNNNNNNN.seg, numbered from 1, each an append-only run of
 * records. A segment is closed when it has passed SPOOL_SEGMENT_SIZE; a message's records never span two.
 * Numbers are little endian.
 *
 * Record: a header of 48 bytes, the payload, zeros up to a multiple of 8.
 *   0..3    "SPR1"
 *   4       type (enum spool_record_type)
 *   5..7    zero
 *   8..11   length of the payload
 *   12..15  CRC-32C of the payload
 *   16..31  message id (zeros in SEGMENT)
 *   32..35  CHUNK: variant; COMMIT: number of the message's records before it
 *   36..39  CHUNK: number of the chunk in its variant, from 0
 *   40..43  zero
 *   44..47  CRC-32C of bytes 0..43
 *
 * SEGMENT   first record of each segment. Payload: 0..3 SPOOL_FORMAT_VERSION; 4..11 node id; 12..19 created,
 * wall ms. ENVELOPE  begins a message. Payload: 0..1 length n of the wrapped key; n bytes: the message's key
 * (32 bytes), sealed under the spool key with context "spool-key:" + id text; the rest: the envelope
 * (smtp/spool_envelope.h), sealed under the message's key with context "envelope:" + id text. CHUNK     at
 * most CHUNK_PLAIN_SIZE bytes of a variant, sealed by crypto/chunk_cipher.h under the message's key. An empty
 * variant has none. All chunks of variant 0, then those of variant 1, ... COMMIT    makes the message valid:
 * it was acknowledged only if this record is durable. Payload: 0 flags (SPOOL_COMMIT_...); 1..7 zero; 8..15
 * length of the message's records before it. STATE     the whole delivery state of a message
 * (smtp/spool_state.h); the newest counts. DELETED   the message is gone. No payload.
 *
 * A segment is removed only when it is the oldest one and nothing in it lives: so the DELETED and STATE
 * records of a message are never gone before the message itself is. What holds up the oldest segment is
 * copied forward, byte for byte, and the copy counts from then on.
 *
 * Recovery: a header or payload whose CRC does not fit is damage; the scan goes on at the next multiple of 8
 * with a good header. A message without a good COMMIT at the very end of a segment is a torn tail: never
 * acknowledged, ignored. Damage before the end may hide an acknowledged message: what has a whole envelope is
 * quarantined, never delivered.
 */
#ifndef SEALPOST_SMTP_SPOOL_FORMAT_H
#define SEALPOST_SMTP_SPOOL_FORMAT_H

#include "base/buf.h"
#include "base/clock.h"

#define SPOOL_FORMAT_VERSION  1u
#define SPOOL_SEGMENT_SIZE    ((uint64_t)64 << 20)
#define SPOOL_RECORD_HEADER   48u
#define SPOOL_PAYLOAD_MAX     ((size_t)16 << 20)
#define SPOOL_KEY_SIZE        32u
#define SPOOL_SEGMENT_PAYLOAD 20u
#define SPOOL_COMMIT_PAYLOAD  16u

enum spool_record_type {
    SPOOL_RECORD_SEGMENT = 1,
    SPOOL_RECORD_ENVELOPE,
    SPOOL_RECORD_CHUNK,
    SPOOL_RECORD_COMMIT,
    SPOOL_RECORD_STATE,
    SPOOL_RECORD_DELETED,
    SPOOL_RECORD_END
};

enum spool_commit_flags {
    SPOOL_COMMIT_QUARANTINED = 1, /* not to be delivered before somebody releases it */
    SPOOL_COMMIT_UNPROCESSED = 2, /* its only variant is what came in: no policy was applied to it */
    SPOOL_COMMIT_NOTICE = 4       /* with QUARANTINED: its sender is to be sent a notice nevertheless */
};

struct spool_record {
    enum spool_record_type type;
    uint8_t id[ID_SIZE];
    uint32_t variant; /* CHUNK; COMMIT: records before it */
    uint32_t chunk;
    uint32_t payload_len;
    uint32_t payload_crc;
};

static inline uint64_t spool_record_size(uint64_t payload_len)
{
    return (SPOOL_RECORD_HEADER + payload_len + 7) & ~(uint64_t)7;
}

/* Header, payload and padding appended; the CRCs are made here. */
enum status spool_record_append(struct buf *out, const struct spool_record *record,
                                struct slice payload) MUST_CHECK;
/* Reserve a record whose payload the caller builds in place: the header's room is appended; call _finish with
 * the offset given. */
enum status spool_record_begin(struct buf *out, size_t *at) MUST_CHECK;
enum status spool_record_finish(struct buf *out, size_t at, const struct spool_record *record) MUST_CHECK;
/* `header` is SPOOL_RECORD_HEADER bytes. CORRUPT if they are none. */
enum status spool_record_read(const uint8_t *header, struct spool_record *out) MUST_CHECK;
bool spool_record_payload_good(const struct spool_record *record, struct slice payload);

uint32_t spool_get_u32(const uint8_t *p);
uint64_t spool_get_u64(const uint8_t *p);
void spool_put_u32(uint8_t *p, uint32_t value);
void spool_put_u64(uint8_t *p, uint64_t value);

#endif
