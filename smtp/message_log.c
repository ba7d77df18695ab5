/*
 * The message log's side towards the loop: opening, the queue of records, limits, closing
 * (smtp/message_log.h). Nothing here waits for the disk but opening and closing.
 */
#include "smtp/message_log_internal.h"

#include "base/log.h"
#include "crypto/seal.h"

#include <errno.h>
#include <sys/stat.h>

#define MAP_SIZE    ((size_t)64 << 30) /* of addresses; the file is as large as what was ever in it at once */
#define READERS_MAX 64
#define KEY_PURPOSE "sealpost message log"

static enum status mdb_failure(struct failure *f, int rc, const char *what)
{
    enum status status = rc == ENOSPC || rc == EFBIG || rc == MDB_MAP_FULL ? STATUS_NO_SPACE : STATUS_IO;
    return failure_set(f, status, "%s: %s", what, mdb_strerror(rc));
}

/* One process has it open; a commit is synced but for its meta page: after a power loss the newest commit may
 * be missing, and what is there is whole. */
enum status log_env_open(struct message_log *log, struct failure *f)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    int rc = mdb_env_create(&env);
    if (rc == 0) {
        rc = mdb_env_set_mapsize(env, MAP_SIZE);
    }
    if (rc == 0) {
        rc = mdb_env_set_maxreaders(env, READERS_MAX);
    }
    if (rc == 0) {
        rc = mdb_env_open(env, log->dir, MDB_NOTLS | MDB_NOMETASYNC | MDB_NORDAHEAD, 0600);
    }
    if (rc == 0) {
        rc = mdb_txn_begin(env, NULL, 0, &txn);
    }
    if (rc == 0) {
        rc = mdb_dbi_open(txn, NULL, 0, &log->dbi);
    }
    if (rc == 0) {
        rc = mdb_txn_commit(txn);
        txn = NULL;
    }
    if (rc != 0) {
        if (txn != NULL) {
            mdb_txn_abort(txn);
        }
        mdb_env_close(env);
        return mdb_failure(f, rc, "cannot open the message log");
    }
    log->env = env;
    return STATUS_OK;
}

static void log_free(struct message_log *log)
{
    if (log->env != NULL) {
        mdb_env_close(log->env);
    }
    while (log->pending != NULL) {
        struct log_pending *next = log->pending->next;
        buf_release(&log->pending->plain);
        free(log->pending);
        log->pending = next;
    }
    secret_release(&log->key);
    (void)pthread_mutex_destroy(&log->lock);
    (void)pthread_cond_destroy(&log->work);
    (void)pthread_cond_destroy(&log->written);
    (void)pthread_rwlock_destroy(&log->env_lock);
    free(log);
}

enum status message_log_open(const struct message_log_options *options, struct message_log **out,
                             struct failure *f)
{
    struct message_log *log = calloc(1, sizeof *log);
    *out = NULL;
    if (log == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the message log");
    }
    (void)pthread_mutex_init(&log->lock, NULL);
    (void)pthread_cond_init(&log->work, NULL);
    (void)pthread_cond_init(&log->written, NULL);
    (void)pthread_rwlock_init(&log->env_lock, NULL);
    log->pending_tail = &log->pending;
    log->max_bytes = options->max_bytes;
    log->retention_ms = options->retention_ms;
    log->spare_bytes = options->spare_bytes != 0 ? options->spare_bytes : MESSAGE_LOG_SPARE;
    log->number = clock_wall_ms() << 12; /* grows over restarts, unless the clock is put back */
    (void)!snprintf(log->node, sizeof log->node, "%s", options->node);
    int n = snprintf(log->dir, sizeof log->dir, "%s", options->dir);
    enum status status = STATUS_INVALID;
    if (n < 0 || (size_t)n >= sizeof log->dir) {
        (void)failure_set(f, status, "the folder of the message log has too long a name");
        goto err;
    }
    if (mkdir(log->dir, 0700) != 0 && errno != EEXIST) {
        status = failure_errno(f, errno, "cannot make the folder of the message log");
        goto err;
    }
    status = key_derive(options->key, KEY_PURPOSE, &log->key);
    if (status != STATUS_OK) {
        (void)failure_set(f, status, "cannot make the key of the message log");
        goto err;
    }
    status = log_env_open(log, f);
    if (status != STATUS_OK) {
        goto err;
    }
    if (pthread_create(&log->thread, NULL, message_log_main, log) != 0) {
        status = failure_set(f, STATUS_NO_MEMORY, "cannot start the message log's thread");
        goto err;
    }
    *out = log;
    return STATUS_OK;
err:
    log_free(log);
    return status;
}

void message_log_close(struct message_log *log)
{
    if (log == NULL) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    log->stopping = true;
    (void)pthread_cond_signal(&log->work);
    pthread_mutex_unlock(&log->lock);
    (void)pthread_join(log->thread, NULL);
    log_free(log);
}

void message_log_limits(struct message_log *log, uint64_t max_bytes, uint64_t retention_ms)
{
    if (log != NULL) {
        pthread_mutex_lock(&log->lock);
        log->max_bytes = max_bytes;
        log->retention_ms = retention_ms;
        pthread_mutex_unlock(&log->lock);
    }
}

/* --- queueing --- */

static struct log_pending *pending_new(const uint8_t id[ID_SIZE], enum log_kind kind)
{
    struct log_pending *p = calloc(1, sizeof *p);
    if (p != NULL) {
        memcpy(p->id, id, ID_SIZE);
        p->kind = kind;
        p->plain = BUF_INIT(LOG_RECORD_MAX);
        p->plain.wipe = true;
    }
    return p;
}

/* Takes it; `status` is of its making. Too much waits already (the disk is full, or slow): it is dropped. */
static void pending_put(struct message_log *log, struct log_pending *p, enum status status)
{
    if (p == NULL) {
        status = STATUS_NO_MEMORY;
    }
    pthread_mutex_lock(&log->lock);
    log->queued++;
    bool room = status == STATUS_OK && log->pending_bytes + p->plain.len <= MESSAGE_LOG_PENDING_MAX;
    if (room) {
        bool idle = log->pending == NULL;
        log->pending_bytes += p->plain.len;
        *log->pending_tail = p;
        log->pending_tail = &p->next;
        if (idle) {
            (void)pthread_cond_signal(&log->work);
        }
    } else {
        log->settled++;
        log->counts.dropped++;
    }
    pthread_mutex_unlock(&log->lock);
    if (!room && p != NULL) {
        buf_release(&p->plain);
        free(p);
    }
}

void message_log_taken(struct message_log *log, const uint8_t id[ID_SIZE], const struct message_taken *t,
                       struct slice trace)
{
    if (log == NULL) {
        return;
    }
    struct log_pending *p = pending_new(id, LOG_KIND_TAKEN);
    pending_put(log, p, p != NULL ? message_taken_encode(t, &p->plain) : STATUS_NO_MEMORY);
    if (trace.len > 0) {
        p = pending_new(id, LOG_KIND_TRACE);
        pending_put(log, p, p != NULL ? buf_append_slice(&p->plain, trace) : STATUS_NO_MEMORY);
    }
}

void message_log_event(struct message_log *log, const uint8_t id[ID_SIZE], const struct message_event *e)
{
    if (log != NULL) {
        struct log_pending *p = pending_new(id, LOG_KIND_EVENT);
        pending_put(log, p, p != NULL ? message_event_encode(e, &p->plain) : STATUS_NO_MEMORY);
    }
}

void message_log_counts_get(struct message_log *log, struct message_log_counts *out)
{
    *out = (struct message_log_counts){0};
    if (log != NULL) {
        pthread_mutex_lock(&log->lock);
        *out = log->counts;
        pthread_mutex_unlock(&log->lock);
    }
}
