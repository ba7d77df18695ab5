/*
 * Looking into the message log: one message, or the newest that fit a query (smtp/message_log.h). On any
 * thread; a view of LMDB for the time of one call.
 *
 * A search goes from the newest to the oldest, for no longer than LOOK_MS a call; it tells where to go on. A
 * record that does not open (damaged, or of a later release) is left out, and of the others the most is made.
 */
#include "smtp/message_log_internal.h"

#include "base/msgpack_write.h"

#define LOOK_MS    1500                /* of one call */
#define ANSWER_MAX ((size_t)640 << 10) /* bytes: goes between nodes, whose frames have a megabyte */
#define ENTRY_MAX  ((size_t)600 << 10)
#define ARENA_MAX  ((size_t)64 << 20)

struct look {
    struct message_log *log;
    MDB_txn *txn;
    MDB_cursor *cursor;
};

static enum status look_begin(struct look *l, struct message_log *log, struct failure *f)
{
    *l = (struct look){.log = log};
    if (log == NULL) {
        return failure_set(f, STATUS_UNAVAILABLE, "this node's message log could not be opened: see its log");
    }
    message_log_flush(log);
    (void)pthread_rwlock_rdlock(&log->env_lock);
    int rc = log->env == NULL ? MDB_PANIC : mdb_txn_begin(log->env, NULL, MDB_RDONLY, &l->txn);
    if (rc == 0) {
        rc = mdb_cursor_open(l->txn, log->dbi, &l->cursor);
        if (rc != 0) {
            mdb_txn_abort(l->txn);
        }
    }
    if (rc != 0) {
        (void)pthread_rwlock_unlock(&log->env_lock);
        return failure_set(f, STATUS_IO, "the message log cannot be read: %s", mdb_strerror(rc));
    }
    return STATUS_OK;
}

static void look_end(struct look *l)
{
    mdb_cursor_close(l->cursor);
    mdb_txn_abort(l->txn);
    (void)pthread_rwlock_unlock(&l->log->env_lock);
}

static bool is_of(const MDB_val *key, const uint8_t id[ID_SIZE], enum log_kind kind)
{
    return key->mv_size == LOG_KEY_SIZE && memcmp(key->mv_data, id, ID_SIZE) == 0 &&
           ((const uint8_t *)key->mv_data)[ID_SIZE] == (uint8_t)kind;
}

/* The first record of this kind, plain and in the arena; NOT_FOUND. The cursor stays at it. */
static enum status record_first(struct look *l, const uint8_t id[ID_SIZE], enum log_kind kind, MDB_val *key,
                                MDB_val *value)
{
    uint8_t from[LOG_KEY_SIZE];
    log_key_make(id, kind, 0, from);
    *key = (MDB_val){sizeof from, from};
    return mdb_cursor_get(l->cursor, key, value, MDB_SET_RANGE) == 0 && is_of(key, id, kind)
               ? STATUS_OK
               : STATUS_NOT_FOUND;
}

static enum status record_plain(struct look *l, const MDB_val *key, const MDB_val *value, struct arena *a,
                                struct slice *out, struct failure *f)
{
    struct buf plain = BUF_INIT(LOG_RECORD_MAX);
    plain.wipe = true;
    enum status status = log_record_open(l->log, slice_of(key->mv_data, key->mv_size),
                                         slice_of(value->mv_data, value->mv_size), &plain, f);
    if (status == STATUS_OK && !arena_copy(a, buf_slice(&plain), out)) {
        status = failure_set(f, STATUS_NO_MEMORY, "no memory for a record of the message log");
    }
    buf_release(&plain);
    return status;
}

static enum status events_read(struct look *l, const uint8_t id[ID_SIZE], struct arena *a,
                               struct message_entry *e)
{
    MDB_val key, value;
    size_t room = 0;
    enum status status = record_first(l, id, LOG_KIND_EVENT, &key, &value);
    while (status == STATUS_OK) {
        struct failure ignored = {0};
        struct slice plain;
        struct message_event event;
        if (e->event_count == room) {
            size_t more = room == 0 ? 8 : 2 * room;
            struct message_event *grown = arena_alloc_array(a, more, sizeof *grown);
            if (grown == NULL) {
                return STATUS_NO_MEMORY;
            }
            if (room > 0) {
                memcpy(grown, e->events, room * sizeof *grown);
            }
            e->events = grown;
            room = more;
        }
        if (record_plain(l, &key, &value, a, &plain, &ignored) == STATUS_OK &&
            message_event_decode(plain, a, &event) == STATUS_OK) {
            e->events[e->event_count++] = event;
        }
        status = mdb_cursor_get(l->cursor, &key, &value, MDB_NEXT) == 0 && is_of(&key, id, LOG_KIND_EVENT)
                     ? STATUS_OK
                     : STATUS_NOT_FOUND;
    }
    return STATUS_OK;
}

static enum status entry_read(struct look *l, const uint8_t id[ID_SIZE], struct arena *a,
                              struct message_entry *e, struct failure *f)
{
    MDB_val key, value;
    struct slice plain;
    *e = (struct message_entry){0};
    enum status status = record_first(l, id, LOG_KIND_TAKEN, &key, &value);
    if (status != STATUS_OK) {
        return failure_set(f, status, "there is no such message in this node's log");
    }
    status = record_plain(l, &key, &value, a, &plain, f);
    if (status == STATUS_OK && message_taken_decode(plain, a, &e->taken) != STATUS_OK) {
        status = failure_set(f, STATUS_CORRUPT, "the message's record in the log cannot be read");
    }
    if (status == STATUS_OK) {
        status = events_read(l, id, a, e);
    }
    return status == STATUS_OK ? message_entry_make(e, a) : status;
}

enum status message_log_show(struct message_log *log, const uint8_t id[ID_SIZE], struct buf *entry,
                             struct buf *trace, struct failure *f)
{
    struct look l;
    struct arena a;
    struct message_entry e;
    enum status status = look_begin(&l, log, f);
    if (status != STATUS_OK) {
        return status;
    }
    arena_init(&a, ARENA_MAX);
    status = entry_read(&l, id, &a, &e, f);
    if (status == STATUS_OK) {
        status = message_entry_json(&e, id, log->node, true, entry);
    }
    MDB_val key, value;
    if (status == STATUS_OK && record_first(&l, id, LOG_KIND_TRACE, &key, &value) == STATUS_OK) {
        status = log_record_open(log, slice_of(key.mv_data, key.mv_size),
                                 slice_of(value.mv_data, value.mv_size), trace, f);
    }
    arena_release(&a);
    look_end(&l);
    return status == STATUS_OK || f->status != STATUS_OK ? status
                                                         : failure_set(f, status, "%s", status_text(status));
}

bool message_log_took(struct message_log *log, const uint8_t id[ID_SIZE])
{
    struct look l;
    struct arena a;
    struct message_entry e;
    struct failure f = {0};
    if (look_begin(&l, log, &f) != STATUS_OK) {
        return false;
    }
    arena_init(&a, ARENA_MAX);
    bool took =
        entry_read(&l, id, &a, &e, &f) == STATUS_OK && e.state != NULL && strcmp(e.state, "refused") != 0;
    arena_release(&a);
    look_end(&l);
    return took;
}

/* --- lists --- */

static bool address_fits(struct slice address, struct slice wanted)
{
    if (wanted.len == 0) {
        return true;
    }
    if (wanted.data[0] == '@') {
        return address.len >= wanted.len &&
               slice_equal_nocase(slice_of(address.data + address.len - wanted.len, wanted.len), wanted);
    }
    return slice_equal_nocase(address, wanted);
}

static bool entry_fits(const struct message_entry *e, const struct message_query *q)
{
    bool to = q->to.len == 0;
    for (size_t i = 0; i < e->taken.people_count && !to; i++) {
        to = address_fits(e->taken.people[i].address, q->to);
    }
    return to && address_fits(e->taken.sender, q->from) &&
           (q->status.len == 0 || slice_equal(q->status, slice_of_text(e->state)));
}

static uint64_t arrival_of(const uint8_t id[ID_SIZE])
{
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++) {
        ms = ms << 8 | id[i];
    }
    return ms;
}

/* The newest message that is older than `id`. */
static bool step_back(struct look *l, uint8_t id[ID_SIZE])
{
    uint8_t from[LOG_KEY_SIZE];
    MDB_val key = {sizeof from, from}, value;
    log_key_make(id, LOG_KIND_TAKEN, 0, from);
    int rc = mdb_cursor_get(l->cursor, &key, &value, MDB_SET_RANGE);
    rc = mdb_cursor_get(l->cursor, &key, &value, rc == 0 ? MDB_PREV : MDB_LAST);
    if (rc != 0 || key.mv_size != LOG_KEY_SIZE) {
        return false;
    }
    memcpy(id, key.mv_data, ID_SIZE);
    return true;
}

static enum status entry_append(struct look *l, const uint8_t id[ID_SIZE], const struct message_query *q,
                                struct buf *out, size_t *count)
{
    struct arena a;
    struct message_entry e;
    struct failure ignored = {0};
    struct buf json = BUF_INIT(ENTRY_MAX);
    arena_init(&a, ARENA_MAX);
    enum status status = entry_read(l, id, &a, &e, &ignored);
    if (status == STATUS_OK && entry_fits(&e, q)) {
        status = message_entry_json(&e, id, l->log->node, false, &json);
        if (status == STATUS_OK && out->len + json.len > ANSWER_MAX) {
            status = STATUS_TOO_LARGE;
        } else if (status == STATUS_OK) {
            struct msgpack_writer w;
            msgpack_writer_init(&w, out);
            write_text(&w, buf_slice(&json));
            status = msgpack_writer_status(&w);
            *count += status == STATUS_OK;
        }
    }
    buf_release(&json);
    arena_release(&a);
    return status == STATUS_NO_MEMORY || status == STATUS_TOO_LARGE ? status : STATUS_OK;
}

enum status message_log_list(struct message_log *log, const struct message_query *q, struct buf *out,
                             size_t *count, bool *more, uint8_t next[ID_SIZE], struct failure *f)
{
    struct look l;
    uint8_t id[ID_SIZE];
    size_t limit = q->limit > 0 && q->limit < MESSAGE_LOG_PAGE_MAX ? q->limit : MESSAGE_LOG_PAGE_MAX;
    *count = 0;
    *more = false;
    enum status status = look_begin(&l, log, f);
    if (status != STATUS_OK) {
        return status;
    }
    memset(id, 0xff, sizeof id);
    if (q->has_before) {
        memcpy(id, q->before, ID_SIZE);
    }
    memcpy(next, id, ID_SIZE);
    if (q->until_ms > 0 && q->until_ms < arrival_of(id)) {
        static const uint8_t zeros[10];
        id_make(id, q->until_ms, zeros);
    }
    uint64_t end = clock_monotonic_ms() + LOOK_MS;
    while (step_back(&l, id)) {
        if (arrival_of(id) < q->since_ms) {
            break;
        }
        if (*count == limit || clock_monotonic_ms() >= end) {
            *more = true;
            break;
        }
        status = entry_append(&l, id, q, out, count);
        if (status == STATUS_TOO_LARGE) {
            *more = true;
            status = STATUS_OK;
            break;
        }
        if (status != STATUS_OK) {
            (void)failure_set(f, status, "%s", status_text(status));
            break;
        }
        memcpy(next, id, ID_SIZE);
    }
    look_end(&l);
    return status;
}
