/*
 * Opening the map as its one writer or as a reader, batches and views.
 *
 * The writer runs without sync: the Raft log is what is durable. So the map is only as good as the page
 * cache: after a power cut it may be silently wrong. A marker file with the kernel's boot id lies beside it
 * while it is open; if the marker is of another boot, the map is removed and Raft rebuilds it. After a crash
 * of the process alone, the page cache is whole and so is the map.
 *
 * The map is written by core's user only; readers of the same group need to write to the lock file alone.
 */
#include "store/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READERS_MAX        126
#define READER_CHECK_EVERY 256 /* batches */
#define PATH_SIZE          4096

static enum status path_of(char path[PATH_SIZE], const char *dir, const char *name, struct failure *f)
{
    int len = snprintf(path, PATH_SIZE, "%s/%s", dir, name);

    if (len < 0 || len >= PATH_SIZE)
        return failure_set(f, STATUS_INVALID, "the path of the store is too long");
    return STATUS_OK;
}

static enum status remove_file(const char *dir, const char *name, struct failure *f)
{
    char path[PATH_SIZE];
    enum status status = path_of(path, dir, name, f);

    if (status == STATUS_OK && unlink(path) != 0 && errno != ENOENT)
        status = failure_errno(f, errno, "cannot remove %s", path);
    return status;
}

enum marker { MARKER_NONE, MARKER_OF_THIS_BOOT, MARKER_STALE };

/* A marker that is there and of another boot: the map's content cannot be trusted. So it is with a torn one.
 */
static enum status read_marker(const char *dir, struct slice boot_id, enum marker *marker, struct failure *f)
{
    char path[PATH_SIZE];
    uint8_t found[64];
    ssize_t len;
    int fd;
    enum status status = path_of(path, dir, "open", f);

    if (status != STATUS_OK)
        return status;
    *marker = MARKER_NONE;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? STATUS_OK : failure_errno(f, errno, "cannot read %s", path);
    len = read(fd, found, sizeof(found));
    (void)close(fd);
    *marker =
        len >= 0 && slice_equal(slice_of(found, (size_t)len), boot_id) ? MARKER_OF_THIS_BOOT : MARKER_STALE;
    return STATUS_OK;
}

/* The marker must be on disk before the first unsynced page can be. */
static enum status write_marker(const char *dir, struct slice boot_id, struct failure *f)
{
    char path[PATH_SIZE];
    int fd, dir_fd = -1;
    enum status status = path_of(path, dir, "open", f);

    if (status != STATUS_OK)
        return status;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return failure_errno(f, errno, "cannot write %s", path);
    if (write(fd, boot_id.data, boot_id.len) != (ssize_t)boot_id.len || fsync(fd) != 0)
        status = failure_errno(f, errno, "cannot write %s", path);
    (void)close(fd);
    if (status == STATUS_OK)
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (status == STATUS_OK && (dir_fd < 0 || fsync(dir_fd) != 0))
        status = failure_errno(f, errno, "cannot sync %s", dir);
    if (dir_fd >= 0)
        (void)close(dir_fd);
    return status;
}

static enum status open_env(struct store *store, const char *dir, unsigned flags, struct failure *f)
{
    int rc = mdb_env_create(&store->env);

    if (rc == 0)
        rc = mdb_env_set_maxdbs(store->env, TABLE_COUNT);
    if (rc == 0)
        rc = mdb_env_set_mapsize(store->env, STORE_MAP_SIZE);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(store->env, READERS_MAX);
    if (rc == 0)
        rc = mdb_env_open(store->env, dir, flags | MDB_NOTLS, 0660);
    return rc == 0 ? STATUS_OK : tables_failure(f, rc, "cannot open the store");
}

static enum status check_format(struct store *store, MDB_txn *txn, bool *fresh, struct failure *f)
{
    struct slice value;
    uint64_t format = 0;
    enum status status = table_get(store, txn, TABLE_META, SLICE_LITERAL("format"), &value);

    *fresh = status == STATUS_NOT_FOUND;
    if (*fresh)
        return STATUS_OK;
    if (status != STATUS_OK || !key_u64_read(value, &format))
        return failure_set(f, STATUS_CORRUPT, "the store's format number cannot be read");
    if (format > STORE_FORMAT_VERSION)
        return failure_set(f, STATUS_VERSION,
                           "the store has format %llu, made by a newer release; this one knows %d",
                           (unsigned long long)format, STORE_FORMAT_VERSION);
    return STATUS_OK;
}

static enum status put_format(struct store *store, MDB_txn *txn, struct failure *f)
{
    uint8_t value[KEY_U64_SIZE];
    MDB_val k = {.mv_size = 6, .mv_data = (void *)(uintptr_t) "format"};
    MDB_val v = {.mv_size = sizeof(value), .mv_data = value};
    int rc;

    key_u64_write(STORE_FORMAT_VERSION, value);
    rc = mdb_put(txn, store->tables[TABLE_META], &k, &v, 0);
    return rc == 0 ? STATUS_OK : tables_failure(f, rc, "cannot write to the store");
}

static enum status prepare_tables(struct store *store, struct failure *f)
{
    MDB_txn *txn;
    bool fresh = false;
    enum status status;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);

    if (rc != 0)
        return tables_failure(f, rc, "cannot write to the store");
    status = tables_open(store, txn, TABLES_MAKE, f);
    if (status == STATUS_OK)
        status = check_format(store, txn, &fresh, f);
    if (status == STATUS_OK && fresh)
        status = put_format(store, txn, f);
    if (status != STATUS_OK) {
        mdb_txn_abort(txn);
        return status;
    }
    rc = mdb_txn_commit(txn);
    return rc == 0 ? STATUS_OK : tables_failure(f, rc, "cannot write to the store");
}

static struct store *store_alloc(const char *dir, bool writer)
{
    struct store *store = calloc(1, sizeof(*store));

    if (store == NULL)
        return NULL;
    store->writer = writer;
    store->dir = strdup(dir);
    if (store->dir == NULL) {
        free(store);
        return NULL;
    }
    return store;
}

static void store_free(struct store *store)
{
    if (store->env != NULL)
        mdb_env_close(store->env);
    free(store->dir);
    free(store);
}

/* Only core may change the pages; every role of the group takes a reader's place in the lock file. */
static enum status narrow_modes(const char *dir, struct failure *f)
{
    char path[PATH_SIZE];
    enum status status = path_of(path, dir, "data.mdb", f);

    if (status == STATUS_OK && chmod(path, 0640) != 0)
        return failure_errno(f, errno, "cannot set the mode of %s", path);
    if (status == STATUS_OK)
        status = path_of(path, dir, "lock.mdb", f);
    if (status == STATUS_OK && chmod(path, 0660) != 0)
        return failure_errno(f, errno, "cannot set the mode of %s", path);
    return status;
}

static enum status remove_map(const char *dir, struct failure *f)
{
    enum status status = remove_file(dir, "data.mdb", f);

    return status == STATUS_OK ? remove_file(dir, "lock.mdb", f) : status;
}

static enum status open_map(const char *dir, struct store **out, struct failure *f)
{
    struct store *store = store_alloc(dir, true);
    int dead = 0;
    enum status status;

    if (store == NULL)
        return failure_set(f, STATUS_NO_MEMORY, "cannot open the store: out of memory");
    status = open_env(store, dir, MDB_NOSYNC | MDB_NOMETASYNC, f);
    if (status != STATUS_OK)
        goto err_after_alloc;
    (void)mdb_reader_check(store->env, &dead); /* places of readers that were killed */
    status = prepare_tables(store, f);
    if (status == STATUS_OK)
        status = narrow_modes(dir, f);
    if (status != STATUS_OK)
        goto err_after_alloc;
    *out = store;
    return STATUS_OK;

err_after_alloc:
    store_free(store);
    return status;
}

enum status store_open_writer(const char *dir, struct slice boot_id, struct store **out, struct failure *f)
{
    enum marker marker = MARKER_NONE;
    enum status status;

    if (mkdir(dir, 0750) != 0 && errno != EEXIST)
        return failure_errno(f, errno, "cannot make %s", dir);
    status = read_marker(dir, boot_id, &marker, f);
    if (status == STATUS_OK && marker == MARKER_STALE)
        status = remove_map(dir, f);
    if (status == STATUS_OK)
        status = remove_file(dir, RESTORE_FILE, f); /* of a restore that was cut short */
    if (status == STATUS_OK)
        status = write_marker(dir, boot_id, f);
    if (status == STATUS_OK)
        status = open_map(dir, out, f);
    if (status == STATUS_CORRUPT) { /* a view of the log: rather built again than not at all */
        status = remove_map(dir, f);
        if (status == STATUS_OK)
            status = open_map(dir, out, f);
    }
    if (status != STATUS_OK && marker == MARKER_NONE) /* nothing was written: the map is as good as it was */
        (void)remove_file(dir, "open", NULL);
    return status;
}

enum status store_open_reader(const char *dir, struct store **out, struct failure *f)
{
    struct store *store = store_alloc(dir, false);
    MDB_txn *txn;
    bool fresh;
    enum status status;
    int rc;

    if (store == NULL)
        return failure_set(f, STATUS_NO_MEMORY, "cannot open the store: out of memory");
    status = open_env(store, dir, MDB_RDONLY, f);
    if (status != STATUS_OK)
        goto err_after_alloc;
    rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        status = tables_failure(f, rc, "cannot read the store");
        goto err_after_alloc;
    }
    status = tables_open(store, txn, TABLES_ALL, f);
    if (status != STATUS_OK) {
        mdb_txn_abort(txn);
        goto err_after_alloc;
    }
    status = check_format(store, txn, &fresh, f);
    (void)mdb_txn_commit(txn); /* keeps the table handles; there is nothing to write */
    if (status != STATUS_OK)
        goto err_after_alloc;
    *out = store;
    return STATUS_OK;

err_after_alloc:
    store_free(store);
    return status;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->batch != NULL)
        mdb_txn_abort(store->batch);
    if (store->writer && mdb_env_sync(store->env, 1) == 0)
        (void)remove_file(store->dir, "open", NULL);
    store_free(store);
}

enum status store_batch_begin(struct store *store, struct failure *f)
{
    int rc;

    if (store->batch != NULL)
        return STATUS_OK;
    if (++store->batches % READER_CHECK_EVERY ==
        0) { /* a killed reader's place holds back the reuse of pages */
        int dead = 0;

        (void)mdb_reader_check(store->env, &dead);
    }
    rc = mdb_txn_begin(store->env, NULL, 0, &store->batch);
    if (rc == 0)
        return STATUS_OK;
    store->batch = NULL;
    return tables_failure(f, rc, "cannot write to the store");
}

enum status store_batch_commit(struct store *store, struct failure *f)
{
    int rc;

    if (store->batch == NULL)
        return STATUS_OK;
    rc = mdb_txn_commit(store->batch);
    store->batch = NULL;
    return rc == 0 ? STATUS_OK : tables_failure(f, rc, "cannot commit to the store");
}

static uint64_t applied_in(struct store *store, MDB_txn *txn)
{
    struct slice value;
    uint64_t index;

    if (table_get(store, txn, TABLE_META, SLICE_LITERAL("applied"), &value) != STATUS_OK ||
        !key_u64_read(value, &index))
        return 0;
    return index;
}

uint64_t store_applied_index(struct store *store)
{
    struct store_view *view = NULL;
    uint64_t index;

    if (store->batch != NULL)
        return applied_in(store, store->batch);
    if (store_view_begin(store, &view, NULL) != STATUS_OK || view == NULL)
        return 0;
    index = store_view_index(view);
    store_view_end(view);
    return index;
}

enum status store_view_begin(struct store *store, struct store_view **out, struct failure *f)
{
    struct store_view *view = malloc(sizeof(*view));
    int rc;

    if (view == NULL)
        return failure_set(f, STATUS_NO_MEMORY, "cannot read the store: out of memory");
    view->store = store;
    rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &view->txn);
    if (rc == MDB_READERS_FULL) {
        int dead = 0;

        (void)mdb_reader_check(store->env, &dead);
        rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &view->txn);
    }
    if (rc != 0) {
        free(view);
        return tables_failure(f, rc, "cannot read the store");
    }
    *out = view;
    return STATUS_OK;
}

void store_view_end(struct store_view *view)
{
    if (view == NULL)
        return;
    mdb_txn_abort(view->txn);
    free(view);
}

uint64_t store_view_index(struct store_view *view)
{
    return applied_in(view->store, view->txn);
}
