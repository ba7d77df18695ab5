/* The inside of the message log (smtp/message_log.h): what its files share. */
#ifndef SEALPOST_SMTP_MESSAGE_LOG_INTERNAL_H
#define SEALPOST_SMTP_MESSAGE_LOG_INTERNAL_H

#include "base/secret.h"
#include "smtp/message_log.h"

#include <lmdb.h>
#include <pthread.h>

#define LOG_KEY_SIZE   (ID_SIZE + 1 + 8)
#define LOG_RECORD_MAX ((size_t)8 << 20) /* bytes of one, plain */

enum log_kind { LOG_KIND_TAKEN = 0, LOG_KIND_EVENT = 1, LOG_KIND_TRACE = 2 };

/* A record that waits to be written. */
struct log_pending {
    struct log_pending *next;
    uint8_t id[ID_SIZE];
    enum log_kind kind;
    struct buf plain;
};

struct message_log {
    struct secret key;
    char dir[512], node[256];
    uint64_t spare_bytes;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, written;
    /* under the lock */
    struct log_pending *pending, **pending_tail;
    size_t pending_bytes;
    uint64_t queued, settled; /* records ever queued; of those, written or dropped */
    uint64_t max_bytes, retention_ms;
    bool hurry, stopping;
    struct message_log_counts counts;

    /* Readers hold it shared; to open the environment anew after it has failed it is held alone. */
    pthread_rwlock_t env_lock;
    MDB_env *env; /* NULL: it could not be opened again yet */
    MDB_dbi dbi;

    /* the writer's own */
    uint64_t number;    /* of the next record */
    bool failing;       /* said so already */
    uint64_t tidied_ms; /* clock_monotonic_ms of the last look for what is too old */
};

/* --- message_record.c: a record under its key --- */
void log_key_make(const uint8_t id[ID_SIZE], enum log_kind kind, uint64_t number, uint8_t key[LOG_KEY_SIZE]);
/* Compresses where that helps, seals. */
enum status log_record_seal(const struct message_log *log, const uint8_t key[LOG_KEY_SIZE],
                            struct slice plain, struct buf *out) MUST_CHECK;
enum status log_record_open(const struct message_log *log, struct slice key, struct slice sealed,
                            struct buf *plain, struct failure *f) MUST_CHECK;

/* --- message_log.c --- */
void *message_log_main(void *log); /* message_log_writer.c: the thread */
enum status log_env_open(struct message_log *log, struct failure *f) MUST_CHECK;

/* --- message_entry.c: a message put together from its records. Pure --- */
struct message_entry {
    struct message_taken taken;
    struct message_event *events;
    size_t event_count;
    enum message_state *states; /* of each person, now */
    struct slice *texts, *next_hops, *enhanced;
    const char *state; /* of the message */
};
/* Follows the events. */
enum status message_entry_make(struct message_entry *e, struct arena *a) MUST_CHECK;
/* `whole`: with all recipients and events; else the first few recipients and no events. */
enum status message_entry_json(const struct message_entry *e, const uint8_t id[ID_SIZE], const char *node,
                               bool whole, struct buf *out) MUST_CHECK;

#endif
