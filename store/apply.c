/*
 * From a log entry to a changed state: decode, look whether this id was applied before, apply, remember the
 * result, move the applied index, all in the batch's one transaction. Runs on core's loop.
 *
 * Remembered results are part of the replicated state: they are dropped by index, the same on every node,
 * COMMAND_MEMORY entries after they were made. A client that sends the same command again does so within
 * seconds.
 */
#include "store/apply_internal.h"

#include "base/msgpack_read.h"

#include <stdarg.h>

#define COMMAND_MEMORY 65536

static void broke(struct store_apply *a, int lmdb_error, const char *doing)
{
    if (a->broken == STATUS_OK)
        a->broken = tables_failure(&a->broken_text, lmdb_error, doing);
}

static MDB_val val_of(struct slice s)
{
    return (MDB_val){.mv_size = s.len, .mv_data = (void *)(uintptr_t)s.data};
}

enum status apply_get(struct store_apply *a, enum table table, struct slice key, struct slice *value)
{
    enum status status = table_get(a->store, a->txn, table, key, value);

    if (status != STATUS_OK && status != STATUS_NOT_FOUND && a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, status, "cannot read the table %s", table_names[table]);
    return status;
}

bool apply_has(struct store_apply *a, enum table table, struct slice key)
{
    struct slice value;

    return apply_get(a, table, key, &value) == STATUS_OK;
}

void apply_put(struct store_apply *a, enum table table, struct slice key, struct slice value)
{
    MDB_val k = val_of(key), v = val_of(value);
    int rc = mdb_put(a->txn, a->store->tables[table], &k, &v, 0);

    if (rc != 0)
        broke(a, rc, "cannot write to the store");
}

void apply_delete(struct store_apply *a, enum table table, struct slice key)
{
    MDB_val k = val_of(key);
    int rc = mdb_del(a->txn, a->store->tables[table], &k, NULL);

    if (rc != 0 && rc != MDB_NOTFOUND)
        broke(a, rc, "cannot delete from the store");
}

void apply_delete_prefix(struct store_apply *a, enum table table, struct slice prefix)
{
    MDB_cursor *cursor;
    MDB_val k = val_of(prefix), v;
    int rc = mdb_cursor_open(a->txn, a->store->tables[table], &cursor);

    if (rc != 0) {
        broke(a, rc, "cannot walk the store");
        return;
    }
    do {
        k = val_of(prefix);
        rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
        if (rc == 0 && !slice_starts_with(slice_of(k.mv_data, k.mv_size), prefix))
            break;
        if (rc == 0)
            rc = mdb_cursor_del(cursor, 0);
    } while (rc == 0);
    if (rc != 0 && rc != MDB_NOTFOUND)
        broke(a, rc, "cannot delete from the store");
    mdb_cursor_close(cursor);
}

uint64_t apply_meta_number(struct store_apply *a, const char *name, uint64_t absent)
{
    struct slice value;
    uint64_t number;

    if (apply_get(a, TABLE_META, slice_of_text(name), &value) != STATUS_OK || !key_u64_read(value, &number))
        return absent;
    return number;
}

void apply_meta_set(struct store_apply *a, const char *name, uint64_t number)
{
    uint8_t value[KEY_U64_SIZE];

    key_u64_write(number, value);
    apply_put(a, TABLE_META, slice_of_text(name), slice_of(value, sizeof(value)));
}

enum status apply_refuse(struct store_apply *a, enum status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above starts it */
    if (vsnprintf(a->result->failure.text, sizeof(a->result->failure.text), format, args) < 0)
        a->result->failure.text[0] = '\0';
    va_end(args);
    a->result->failure.status = status;
    return status;
}

struct slice apply_bytes(const struct store_apply *a, size_t i)
{
    return a->command->values[i].bytes;
}

uint64_t apply_number(const struct store_apply *a, size_t i)
{
    return a->command->values[i].number;
}

enum status apply_checkpoint(struct store_apply *a)
{
    (void)a;
    return STATUS_OK;
}

/* The result of an earlier application of this id; false if there is none. */
static bool recall(struct store_apply *a)
{
    struct msgpack_reader r;
    struct slice value, text, result;

    if (apply_get(a, TABLE_COMMANDS, slice_of(a->command->id, ID_SIZE), &value) != STATUS_OK)
        return false;
    msgpack_reader_init(&r, value);
    (void)read_array(&r, 4);
    a->result->index = read_u64(&r);
    a->result->status = status_from_number(read_u64(&r));
    text = read_text(&r, FAILURE_TEXT_MAX - 1);
    result = read_bytes(&r, sizeof(a->result->value));
    if (msgpack_reader_status(&r, true) != STATUS_OK) {
        a->broken = failure_set(&a->broken_text, STATUS_CORRUPT, "a remembered command cannot be read");
        return false;
    }
    a->result->repeated = true;
    a->result->failure.status = a->result->status;
    if (text.len > 0)
        memcpy(a->result->failure.text, text.data, text.len);
    a->result->failure.text[text.len] = '\0';
    if (result.len > 0)
        memcpy(a->result->value, result.data, result.len);
    a->result->value_len = result.len;
    return true;
}

static void remember(struct store_apply *a, uint64_t index)
{
    uint8_t index_key[KEY_U64_SIZE];
    struct buf value = BUF_INIT(1024);
    struct msgpack_writer w;

    msgpack_writer_init(&w, &value);
    write_array(&w, 4);
    write_u64(&w, index);
    write_u64(&w, a->result->status);
    write_text(&w, slice_of_text(a->result->failure.text));
    write_bytes(&w, slice_of(a->result->value, a->result->value_len));
    if (msgpack_writer_status(&w) != STATUS_OK) {
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot remember a command");
    } else {
        key_u64_write(index, index_key);
        apply_put(a, TABLE_COMMANDS, slice_of(a->command->id, ID_SIZE), buf_slice(&value));
        apply_put(a, TABLE_COMMAND_INDEX, slice_of(index_key, sizeof(index_key)),
                  slice_of(a->command->id, ID_SIZE));
    }
    buf_release(&value);
}

static void forget_old(struct store_apply *a, uint64_t index)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc;

    if (index <= COMMAND_MEMORY)
        return;
    rc = mdb_cursor_open(a->txn, a->store->tables[TABLE_COMMAND_INDEX], &cursor);
    if (rc != 0) {
        broke(a, rc, "cannot walk the store");
        return;
    }
    while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST)) == 0) {
        uint64_t at;
        uint8_t id[ID_SIZE];

        if (!key_u64_read(slice_of(k.mv_data, k.mv_size), &at) || at > index - COMMAND_MEMORY ||
            v.mv_size != ID_SIZE)
            break;
        memcpy(id, v.mv_data, sizeof(id));
        rc = mdb_cursor_del(cursor, 0);
        if (rc != 0)
            break;
        apply_delete(a, TABLE_COMMANDS, slice_of(id, sizeof(id)));
    }
    if (rc != 0 && rc != MDB_NOTFOUND)
        broke(a, rc, "cannot delete from the store");
    mdb_cursor_close(cursor);
}

/* An entry that the state holds already: the log is replayed from a snapshot that is older than the map. Its
 * result is looked up; nothing is written. Another id at this index means that log and map are of two
 * histories (a map that was kept while the log was cut): going on would fork the state. */
static void look_back(struct store_apply *a, uint64_t index, uint64_t applied)
{
    uint8_t key[KEY_U64_SIZE];
    struct slice id;

    a->result->repeated = true;
    key_u64_write(index, key);
    if (apply_get(a, TABLE_COMMAND_INDEX, slice_of(key, sizeof(key)), &id) != STATUS_OK) {
        if (a->result->status == STATUS_OK) /* sent a second time, or long ago; else refused as malformed */
            (void)recall(a);
        return;
    }
    if (a->result->status == STATUS_OK && slice_equal(id, slice_of(a->command->id, ID_SIZE)))
        (void)recall(a);
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_CONFLICT,
                                "the store is at index %llu and holds another command there: it does not "
                                "belong to this log",
                                (unsigned long long)applied);
}

/* Statuses that tell of this node's state, not of the command: they must not become its answer, since other
 * nodes will answer otherwise. */
static bool is_of_the_node(enum status status)
{
    return status == STATUS_NO_MEMORY || status == STATUS_NO_SPACE || status == STATUS_IO ||
           status == STATUS_CRYPTO || status == STATUS_CORRUPT || status == STATUS_INTERNAL;
}

enum status store_apply_entry(struct store *store, uint64_t index, struct slice entry,
                              struct apply_result *result, struct failure *f)
{
    struct command command;
    struct slice encoded;
    struct store_apply a = {.store = store, .command = &command, .result = result};
    enum status status = store_batch_begin(store, f);
    uint64_t applied;

    memset(result, 0, sizeof(*result));
    result->index = index;
    if (status != STATUS_OK)
        return status;
    a.txn = store->batch;
    applied = apply_meta_number(&a, "applied", 0);
    result->status = command_entry_read(entry, &encoded);
    if (result->status == STATUS_OK) /* if not: the same on every node, and the entry is passed over */
        result->status = command_decode(encoded, &command, &result->failure);
    if (index <= applied) {
        look_back(&a, index, applied);
    } else {
        if (result->status == STATUS_OK && a.broken == STATUS_OK && !recall(&a) && a.broken == STATUS_OK) {
            result->status = command_type_of(command.number)->apply(&a);
            if (a.broken == STATUS_OK && !is_of_the_node(result->status))
                remember(&a, index);
        }
        forget_old(&a, index);
        apply_meta_set(&a, "applied", index);
    }
    if (a.broken == STATUS_OK && !result->repeated && is_of_the_node(result->status))
        a.broken =
            failure_set(&a.broken_text, result->status, "%s",
                        result->failure.text[0] != '\0' ? result->failure.text : status_text(result->status));
    if (a.broken != STATUS_OK)
        return failure_set(f, a.broken, "cannot apply command %llu: %s", (unsigned long long)index,
                           a.broken_text.text);
    return STATUS_OK;
}
