/*
 * The message log's writer thread: gathers for GATHER_MS, seals and commits what has come in one transaction,
 * and takes away what is too old or too much.
 *
 * What can go wrong: the disk is full, or nearly (then nothing is written, so that the spool has the rest of
 * it): what was to be written is dropped and counted, and said once. LMDB gives its environment up after some
 * failures: it is opened anew, when no reader is in it. The log never asks for anything that mail would have
 * to wait for.
 */
#include "smtp/message_log_internal.h"

#include "base/log.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <time.h>

#define GATHER_MS   500
#define TIDY_MS     5000
#define FLUSH_MS    2000
#define HURRY_BYTES ((size_t)4 << 20) /* waiting: written without gathering more */
#define REMOVE_MAX  5000              /* records in one transaction */

static void wait_for(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(cond, lock, &until);
}

void message_log_flush(struct message_log *log)
{
    if (log == NULL) {
        return;
    }
    uint64_t end = clock_monotonic_ms() + FLUSH_MS;
    pthread_mutex_lock(&log->lock);
    uint64_t wanted = log->queued;
    log->hurry = log->settled < wanted;
    (void)pthread_cond_signal(&log->work);
    while (log->settled < wanted && clock_monotonic_ms() < end) {
        wait_for(&log->written, &log->lock, 100);
    }
    pthread_mutex_unlock(&log->lock);
}

static bool disk_has_room(const struct message_log *log)
{
    struct statvfs v;
    return statvfs(log->dir, &v) != 0 || (uint64_t)v.f_bavail * v.f_frsize > log->spare_bytes;
}

static uint64_t bytes_in_use(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_stat s;
    if (mdb_stat(txn, dbi, &s) != 0) {
        return 0;
    }
    return (uint64_t)s.ms_psize * (s.ms_branch_pages + s.ms_leaf_pages + s.ms_overflow_pages);
}

static int records_put(struct message_log *log, MDB_txn *txn, const struct log_pending *list)
{
    struct buf sealed = BUF_INIT(3 * LOG_RECORD_MAX);
    int rc = 0;
    for (const struct log_pending *p = list; p != NULL && rc == 0; p = p->next) {
        uint8_t key[LOG_KEY_SIZE];
        log_key_make(p->id, p->kind, log->number++, key);
        buf_reset(&sealed);
        if (log_record_seal(log, key, buf_slice(&p->plain), &sealed) != STATUS_OK) {
            continue; /* memory is short: this one is missing */
        }
        MDB_val k = {LOG_KEY_SIZE, key}, v = {sealed.len, sealed.data};
        rc = mdb_put(txn, log->dbi, &k, &v, 0);
    }
    buf_release(&sealed);
    return rc;
}

static uint64_t arrival_of(const MDB_val *key)
{
    const uint8_t *p = key->mv_data;
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++) {
        ms = ms << 8 | p[i];
    }
    return ms;
}

/* The oldest messages, as long as they are too old or there is too much; at most REMOVE_MAX records. */
static int oldest_remove(struct message_log *log, MDB_txn *txn, uint64_t max_bytes, uint64_t retention_ms,
                         uint64_t *removed)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    uint64_t now = clock_wall_ms();
    int rc = mdb_cursor_open(txn, log->dbi, &cursor);
    if (rc != 0) {
        return rc;
    }
    bool full = bytes_in_use(txn, log->dbi) > max_bytes;
    for (unsigned n = 0; n < REMOVE_MAX && rc == 0; n++) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (rc != 0) {
            break;
        }
        if (n % 64 == 63) {
            full = bytes_in_use(txn, log->dbi) > max_bytes;
        }
        if (!full && arrival_of(&key) + retention_ms >= now) {
            break;
        }
        *removed += key.mv_size == LOG_KEY_SIZE && ((const uint8_t *)key.mv_data)[ID_SIZE] == LOG_KIND_TAKEN;
        rc = mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* One transaction. `list` may be empty: then only what is too old goes. */
static int commit(struct message_log *log, const struct log_pending *list, uint64_t max_bytes,
                  uint64_t retention_ms, uint64_t *bytes, uint64_t *removed)
{
    MDB_txn *txn = NULL;
    if (log->env == NULL) {
        return MDB_PANIC;
    }
    int rc = mdb_txn_begin(log->env, NULL, 0, &txn);
    if (rc != 0) {
        return rc;
    }
    rc = oldest_remove(log, txn, max_bytes, retention_ms, removed);
    if (rc == 0) {
        rc = records_put(log, txn, list);
    }
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    *bytes = bytes_in_use(txn, log->dbi);
    return mdb_txn_commit(txn);
}

/* After LMDB has given up on its environment. */
static void env_renew(struct message_log *log)
{
    struct failure f = {0};
    pthread_rwlock_wrlock(&log->env_lock);
    if (log->env != NULL) {
        mdb_env_close(log->env);
        log->env = NULL;
    }
    if (log_env_open(log, &f) != STATUS_OK) {
        log_event(LOG_ERROR, "the message log cannot be opened again", LOG_TEXT("error", f.text));
    }
    pthread_rwlock_unlock(&log->env_lock);
}

static void say(struct message_log *log, int rc)
{
    bool failing = rc != 0;
    if (failing && !log->failing) {
        log_event(LOG_ERROR,
                  "the message log cannot be written: what comes now is missing in it; mail goes on",
                  LOG_TEXT("error", mdb_strerror(rc)));
    } else if (!failing && log->failing) {
        log_event(LOG_INFO, "the message log is written again");
    }
    log->failing = failing;
}

static void list_free(struct log_pending *list)
{
    while (list != NULL) {
        struct log_pending *next = list->next;
        buf_release(&list->plain);
        free(list);
        list = next;
    }
}

/* Called with the lock held; gives it up in between. */
static void write_out(struct message_log *log)
{
    struct log_pending *list = log->pending;
    uint64_t count = log->queued - log->settled, max_bytes = log->max_bytes, retention_ms = log->retention_ms;
    uint64_t bytes = log->counts.bytes, removed = 0;
    log->pending = NULL;
    log->pending_tail = &log->pending;
    log->pending_bytes = 0;
    log->hurry = false;
    pthread_mutex_unlock(&log->lock);

    int rc = disk_has_room(log) ? commit(log, list, max_bytes, retention_ms, &bytes, &removed) : ENOSPC;
    if (rc == MDB_PANIC) {
        env_renew(log);
        rc = commit(log, list, max_bytes, retention_ms, &bytes, &removed);
    }
    say(log, rc);
    list_free(list);
    log->tidied_ms = clock_monotonic_ms();

    pthread_mutex_lock(&log->lock);
    log->settled += count;
    if (rc == 0) {
        log->counts.written += count;
        log->counts.expired += removed;
        log->counts.bytes = bytes;
    } else {
        log->counts.dropped += count;
    }
    (void)pthread_cond_broadcast(&log->written);
}

void *message_log_main(void *context)
{
    struct message_log *log = context;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        uint64_t now = clock_monotonic_ms();
        if (log->pending == NULL && log->stopping) {
            break;
        }
        if (log->pending == NULL && now - log->tidied_ms < TIDY_MS) {
            wait_for(&log->work, &log->lock, TIDY_MS - (now - log->tidied_ms));
            continue;
        }
        uint64_t until = now + GATHER_MS;
        while (log->pending != NULL && !log->hurry && !log->stopping && log->pending_bytes < HURRY_BYTES &&
               (now = clock_monotonic_ms()) < until) {
            wait_for(&log->work, &log->lock, until - now);
        }
        write_out(log);
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}
