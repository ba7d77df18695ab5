/*
 * The spool: what was answered 250 and is not delivered yet, durable and encrypted (format:
 * smtp/spool_format.h).
 *
 * Threads: everything here is called on the loop's thread, but spool_load() and spool_read_chunk(), which
 * read the disk and may run on any (the uv thread pool). One thread of its own writes: it takes all requests
 * that wait, writes their records, calls fdatasync once for all of them and hands the results back to the
 * loop. States and deletions are written at once and synced with the next message, at the latest after a
 * second: a crash in between can only deliver twice.
 *
 * A write that fails leaves nothing behind: the segment is cut back to its last good length, everything that
 * waited gets NO_SPACE or IO, and the next request tries anew in a fresh segment.
 */
#ifndef SEALPOST_SMTP_SPOOL_H
#define SEALPOST_SMTP_SPOOL_H

#include "base/secret.h"
#include "smtp/spool_envelope.h"
#include "smtp/spool_state.h"

#include <uv.h>

struct spool;

struct spool_options {
    uv_loop_t *loop;
    const char *dir;  /* made if missing */
    struct slice key; /* SPOOL_KEY_SIZE bytes, copied */
    uint64_t node_id;
    uint64_t segment_size; /* 0: SPOOL_SEGMENT_SIZE */
};

struct spool_counts {
    uint64_t syncs, groups, messages,
        bytes; /* fdatasync calls; groups of messages; live messages and their bytes on disk */
    uint64_t segments, damaged, torn, copied;
};

/* What recovery found, in the order of segments: once for each live message. */
struct spool_found {
    uint8_t id[ID_SIZE];
    enum spool_message_state state;
    bool damaged;     /* quarantined for good: its records are not whole */
    bool unprocessed; /* no policy was applied to it */
    bool notice_due;  /* quarantined, and its sender is still to be sent a notice */
    uint32_t attempts;
    uint64_t next_attempt_ms;
    uint64_t bytes; /* of its records */
};
typedef void (*spool_found_cb)(void *context, const struct spool_found *found);

/* Recovers (reads all segments) and starts the writer. Blocks: call before the loop serves anybody. */
enum status spool_open(const struct spool_options *options, spool_found_cb found, void *context,
                       struct spool **out, struct failure *f) MUST_CHECK;
/* Everything asked for so far is written and synced; then the thread ends and `closed` is called on the loop.
 */
void spool_close(struct spool *s, void (*closed)(void *context), void *context);
void spool_free(struct spool *s); /* after `closed` */
void spool_counts_get(struct spool *s, struct spool_counts *out);

/* One message to be made durable. The struct, envelope and descriptors are borrowed until the callback. */
struct spool_add {
    const struct spool_envelope *envelope; /* its variants' sizes are filled in by the caller */
    const int *fds;                        /* one a variant, read by pread */
    unsigned commit_flags;                 /* enum spool_commit_flags */
    enum status status;                    /* the outcome */
    struct failure failure;
    void (*cb)(struct spool_add *add);
    void *context;
    uint64_t bytes; /* out: of its records */
    /* the spool's own */
    struct spool_add *next;
};
void spool_add(struct spool *s, struct spool_add *add);

/* Both are best effort in time (see above) and never refused: a failed write is tried again with the next
 * one. */
void spool_put_state(struct spool *s, const uint8_t id[ID_SIZE], const struct spool_state *state);
void spool_delete(struct spool *s, const uint8_t id[ID_SIZE]);

/* A message read back. */
struct spool_loaded {
    struct arena arena;
    struct spool_envelope envelope;
    struct spool_state state; /* all waiting, if it has none yet */
    /* the spool's own */
    struct spool *spool;
    struct spool_segment *segment;
    uint64_t chunks_at; /* offset of the first CHUNK record */
    struct secret key;
    struct secret plain_envelope, plain_texts;
};
/* NOT_FOUND if it is gone, CORRUPT if it is damaged. On any thread. */
enum status spool_load(struct spool *s, const uint8_t id[ID_SIZE], struct spool_loaded *out,
                       struct failure *f) MUST_CHECK;
void spool_loaded_release(struct spool_loaded *l);
/* Append the chunk's plain bytes; NOT_FOUND after the last. On any thread. */
enum status spool_read_chunk(struct spool_loaded *l, size_t variant, uint64_t chunk, struct buf *out,
                             struct failure *f) MUST_CHECK;

#endif
