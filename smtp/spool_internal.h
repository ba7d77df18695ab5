/*
 * The inside of the spool (smtp/spool.h): segments, the table of places, and what its files share.
 * `lock` guards the table, the list of segments with their counts and references, and the queue of requests;
 * the writer's own fields are touched by the writer thread alone (and by recovery, before there is one).
 */
#ifndef SEALPOST_SMTP_SPOOL_INTERNAL_H
#define SEALPOST_SMTP_SPOOL_INTERNAL_H

#include "smtp/spool.h"
#include "smtp/spool_format.h"

#include <pthread.h>

struct spool_segment {
    struct spool_segment *next; /* newer */
    uint64_t number;
    uint64_t size;       /* bytes that are good */
    uint64_t live;       /* messages whose records are here */
    uint64_t live_bytes; /* of their records */
    unsigned refs;       /* the list's one, and one a reader */
    int fd;
};

/* Where a live message is. */
struct spool_place {
    uint8_t id[ID_SIZE];
    struct spool_segment *segment;       /* NULL: an empty slot of the table */
    uint64_t offset, length;             /* ENVELOPE to COMMIT */
    struct spool_segment *state_segment; /* newest STATE record; NULL if none */
    uint64_t state_offset;
    uint32_t state_length;
    uint8_t commit_flags;
    bool damaged;
    uint16_t states_pending; /* noted, not yet written: whoever loads waits for them */
};

/* Open addressing by the id's random bytes; a removed slot is filled by moving its followers. */
struct spool_table {
    struct spool_place *slots;
    size_t capacity, count; /* capacity: power of 2 */
};
void spool_table_release(struct spool_table *t);
struct spool_place *spool_table_find(const struct spool_table *t, const uint8_t id[ID_SIZE]);
/* The slot of this id, new or old; NULL when memory is short. */
struct spool_place *spool_table_put(struct spool_table *t, const uint8_t id[ID_SIZE]);
void spool_table_remove(struct spool_table *t, struct spool_place *place);

enum spool_note_type { SPOOL_NOTE_STATE, SPOOL_NOTE_DELETE };

/* A state or deletion that waits to be written. */
struct spool_note {
    struct spool_note *next;
    enum spool_note_type type;
    uint8_t id[ID_SIZE];
    struct buf payload;
};

struct spool {
    uv_loop_t *loop;
    uv_async_t wake; /* results for the loop */
    char dir[512];
    int dir_fd;
    struct secret key;
    uint64_t node_id, segment_size;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, published;
    bool stopping, stopped, thread_started;
    void (*closed)(void *context);
    void *closed_context;

    /* under the lock */
    struct spool_add *adds, **adds_tail;
    struct spool_note *notes, **notes_tail;
    struct spool_add *done, **done_tail;
    struct spool_table table;
    struct spool_segment *oldest, *newest;
    struct spool_counts counts;

    /* the writer's own */
    struct spool_segment *current; /* NULL: the next write begins a new one */
    uint64_t good;             /* what a failure cuts `current` back to: its size before the present group */
    struct buf batch;          /* records not yet written */
    struct secret message_key; /* of the message that is being written */
    uint8_t *plain;            /* CHUNK_PLAIN_SIZE bytes of it */
    bool unsynced_notes;
    uint64_t unsynced_since_ms;
};

/* spool_segment.c */
void spool_segment_name(uint64_t number, char name[32]);
enum status spool_segment_create(struct spool *s, struct failure *f) MUST_CHECK; /* a new `current` */
struct spool_segment *spool_segment_append(struct spool *s, uint64_t number, int fd,
                                           uint64_t size);                /* NULL: no memory */
void spool_segment_unref(struct spool *s, struct spool_segment *segment); /* under the lock */
void spool_segments_collect(
    struct spool *s); /* under the lock: unlink the oldest ones in which nothing lives */
void spool_live_add(struct spool *s, struct spool_place *place);    /* under the lock */
void spool_live_remove(struct spool *s, struct spool_place *place); /* under the lock */

/* spool_writer.c: the thread */
void *spool_writer_main(void *spool);
void spool_segments_list_reset(struct spool *s);

/* spool_batch.c: records into `batch`, `batch` into the segment */
struct spool_placed { /* where the records of one message came to lie */
    struct spool_segment *segment;
    uint64_t offset, length;
};
/* Flush happens in between when much has gathered. */
enum status spool_write_message(struct spool *s, struct spool_add *add, struct spool_placed *placed,
                                struct failure *f) MUST_CHECK;
enum status spool_write_note(struct spool *s, const struct spool_note *note, uint64_t *offset,
                             uint32_t *length, struct failure *f) MUST_CHECK;
enum status spool_batch_flush(struct spool *s, struct failure *f) MUST_CHECK;
enum status spool_batch_sync(struct spool *s, struct failure *f) MUST_CHECK; /* flush and fdatasync */
uint64_t spool_batch_offset(const struct spool *s); /* where the next record will lie */
/* After a failure: cut the segment back to `good` bytes and leave it; the next write begins a new one. */
void spool_batch_abandon(struct spool *s, uint64_t good);

/* spool_compact.c: one step; false when there is nothing worth doing */
bool spool_compact_step(struct spool *s);

/* spool_cipher.c */
enum status spool_key_wrap(struct slice spool_key, const uint8_t id[ID_SIZE], struct slice key,
                           struct buf *out) MUST_CHECK;
enum status spool_key_unwrap(struct slice spool_key, const uint8_t id[ID_SIZE], struct slice wrapped,
                             struct secret *key, struct failure *f) MUST_CHECK;
enum status spool_seal_for(const char *what, struct slice key, const uint8_t id[ID_SIZE], struct slice plain,
                           struct buf *out) MUST_CHECK;
enum status spool_unseal_for(const char *what, struct slice key, const uint8_t id[ID_SIZE],
                             struct slice sealed, struct secret *out, struct failure *f) MUST_CHECK;

/* spool_recover.c */
enum status spool_recover(struct spool *s, spool_found_cb found, void *context, struct failure *f) MUST_CHECK;

#endif
