/*
 * Snapshots and the hash of the state.
 *
 * A snapshot is a copy of the map in one file (mdb_env_copyfd2, compacted), and behind it:
 *   bytes 0..7: "SPSNAP01"    bytes 8..39: SHA-256 of all that is before
 * LMDB reads what lies in a page as it is, and c-raft checks no snapshot's content: a flipped bit or a cut
 * must be found before the file is opened. Snapshots come from this node's disk and from peers that were
 * authenticated.
 *
 * To restore one, its bytes are put into a file beside the map, opened as an environment of their own, and
 * all tables are copied into the live map in one transaction: readers see the old state, then the new one.
 * docs/decisions/0005. Runs on core's loop, but store_snapshot_write on any thread.
 */
#include "store/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE    4096
#define TRAILER_MARK "SPSNAP01"
#define MARK_SIZE    (sizeof(TRAILER_MARK) - 1)
#define TRAILER_SIZE (MARK_SIZE + STORE_HASH_SIZE)

static bool hash_bytes(struct slice bytes, uint8_t hash[STORE_HASH_SIZE])
{
    return EVP_Digest(bytes.data, bytes.len, hash, NULL, EVP_sha256(), NULL) == 1;
}

/* Is the snapshot whole? `content` becomes what lies before the trailer. */
static enum status check_trailer(struct slice snapshot, struct slice *content, struct failure *f)
{
    uint8_t hash[STORE_HASH_SIZE];
    const uint8_t *trailer;

    if (snapshot.len <= TRAILER_SIZE)
        return failure_set(f, STATUS_CORRUPT, "the snapshot is cut short");
    *content = slice_of(snapshot.data, snapshot.len - TRAILER_SIZE);
    trailer = content->data + content->len;
    if (memcmp(trailer, TRAILER_MARK, MARK_SIZE) != 0)
        return failure_set(f, STATUS_CORRUPT, "the snapshot is cut short or none of ours");
    if (!hash_bytes(*content, hash))
        return failure_set(f, STATUS_CRYPTO, "cannot hash the snapshot");
    if (memcmp(trailer + MARK_SIZE, hash, STORE_HASH_SIZE) != 0)
        return failure_set(f, STATUS_CORRUPT, "the snapshot is damaged: its checksum is another");
    return STATUS_OK;
}

static enum status append_trailer(int fd, struct failure *f)
{
    uint8_t trailer[TRAILER_SIZE];
    struct stat info;
    void *content;
    bool hashed;

    if (fstat(fd, &info) != 0)
        return failure_errno(f, errno, "cannot read the snapshot");
    content = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (content == MAP_FAILED)
        return failure_errno(f, errno, "cannot map the snapshot");
    memcpy(trailer, TRAILER_MARK, MARK_SIZE);
    hashed = hash_bytes(slice_of(content, (size_t)info.st_size), trailer + MARK_SIZE);
    (void)munmap(content, (size_t)info.st_size);
    if (!hashed)
        return failure_set(f, STATUS_CRYPTO, "cannot hash the snapshot");
    if (pwrite(fd, trailer, sizeof(trailer), info.st_size) != (ssize_t)sizeof(trailer))
        return failure_errno(f, errno, "cannot write the snapshot");
    return STATUS_OK;
}

static enum status open_file(const char *path, struct store *file, struct failure *f)
{
    MDB_txn *txn;
    enum status status;
    int rc = mdb_env_create(&file->env);

    if (rc == 0)
        rc = mdb_env_set_maxdbs(file->env, TABLE_COUNT);
    if (rc == 0)
        rc = mdb_env_set_mapsize(file->env, STORE_MAP_SIZE);
    if (rc == 0)
        rc = mdb_env_open(file->env, path, MDB_RDONLY | MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS, 0640);
    if (rc == 0)
        rc = mdb_txn_begin(file->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        status = tables_failure(f, rc, "cannot open the snapshot");
        goto out;
    }
    status = tables_open(file, txn, TABLES_SOME, f);
    if (status == STATUS_OK)
        (void)mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
out:
    if (status != STATUS_OK && file->env != NULL) {
        mdb_env_close(file->env);
        file->env = NULL;
    }
    return status;
}

enum status store_snapshot_write(struct store *store, const char *path, uint64_t *index, struct failure *f)
{
    struct store file = {0};
    struct store_view *view;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    enum status status;
    int rc;

    if (fd < 0)
        return failure_errno(f, errno, "cannot write the snapshot %s", path);
    rc = mdb_env_copyfd2(store->env, fd, MDB_CP_COMPACT);
    if (rc != 0)
        status = tables_failure(f, rc, "cannot write the snapshot");
    else
        status = append_trailer(fd, f);
    if (status == STATUS_OK && fsync(fd) != 0)
        status = failure_errno(f, errno, "cannot sync the snapshot %s", path);
    (void)close(fd);
    if (status == STATUS_OK)
        status = open_file(path, &file, f);
    if (status != STATUS_OK)
        goto err_after_open;
    status = store_view_begin(&file, &view, f);
    if (status == STATUS_OK) {
        *index = store_view_index(view);
        store_view_end(view);
    }
    mdb_env_close(file.env);
    if (status == STATUS_OK)
        return STATUS_OK;
err_after_open:
    (void)unlink(path);
    return status;
}

static enum status write_bytes_to(const char *path, struct slice bytes, struct failure *f)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    enum status status = STATUS_OK;

    if (fd < 0)
        return failure_errno(f, errno, "cannot write %s", path);
    while (bytes.len > 0 && status == STATUS_OK) {
        ssize_t written = write(fd, bytes.data, bytes.len);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            status = failure_errno(f, errno, "cannot write %s", path);
        } else {
            bytes.data += written;
            bytes.len -= (size_t)written;
        }
    }
    (void)close(fd);
    return status;
}

struct copy {
    struct store *store;
    enum table table;
    int rc;
};

static bool copy_pair(void *context, struct slice key, struct slice value)
{
    struct copy *copy = context;
    MDB_val k = {.mv_size = key.len, .mv_data = (void *)(uintptr_t)key.data};
    MDB_val v = {.mv_size = value.len, .mv_data = (void *)(uintptr_t)value.data};

    copy->rc = mdb_put(copy->store->batch, copy->store->tables[copy->table], &k, &v, MDB_APPEND);
    return copy->rc == 0;
}

static enum status copy_tables(struct store *store, struct store_view *from, struct failure *f)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        struct copy copy = {.store = store, .table = (enum table)i};
        enum status status;

        copy.rc = mdb_drop(store->batch, store->tables[i], 0);
        if (copy.rc != 0)
            return tables_failure(f, copy.rc, "cannot clear a table");
        if (from->store->tables[i] == TABLE_ABSENT)
            continue;
        status = table_walk(from->store, from->txn, (enum table)i, (struct slice){0}, copy_pair, &copy);
        if (copy.rc != 0)
            return tables_failure(f, copy.rc, "cannot fill a table from the snapshot");
        if (status != STATUS_OK)
            return failure_set(f, status, "cannot read the snapshot's table %s", table_names[i]);
    }
    return STATUS_OK;
}

enum status store_snapshot_restore(struct store *store, struct slice snapshot, struct failure *f)
{
    struct store file = {0};
    struct store_view *view = NULL;
    struct slice content = {0}, format;
    uint64_t number;
    char path[PATH_SIZE];
    int len = snprintf(path, sizeof(path), "%s/" RESTORE_FILE, store->dir);
    enum status status = check_trailer(snapshot, &content, f);

    if (status != STATUS_OK)
        return status;
    if (len < 0 || len >= (int)sizeof(path))
        return failure_set(f, STATUS_INVALID, "the path of the store is too long");
    status = write_bytes_to(path, content, f);
    if (status == STATUS_OK)
        status = open_file(path, &file, f);
    if (status != STATUS_OK)
        goto out_after_file;
    status = store_view_begin(&file, &view, f);
    if (status != STATUS_OK)
        goto out_after_env;
    if (table_get(&file, view->txn, TABLE_META, SLICE_LITERAL("format"), &format) != STATUS_OK ||
        !key_u64_read(format, &number))
        status = failure_set(f, STATUS_CORRUPT, "the snapshot's format number cannot be read");
    else if (number > STORE_FORMAT_VERSION)
        status = failure_set(f, STATUS_VERSION, "the snapshot has format %llu, made by a newer release",
                             (unsigned long long)number);
    if (status == STATUS_OK)
        status = store_batch_begin(store, f);
    if (status == STATUS_OK)
        status = copy_tables(store, view, f);
    if (status == STATUS_OK) {
        status = store_batch_commit(store, f);
    } else if (store->batch != NULL) {
        mdb_txn_abort(store->batch);
        store->batch = NULL;
    }
    store_view_end(view);
out_after_env:
    mdb_env_close(file.env);
out_after_file:
    (void)unlink(path);
    return status;
}

struct hashing {
    EVP_MD_CTX *md;
    bool ok;
};

static void hash_slice(struct hashing *h, struct slice s)
{
    uint8_t len[KEY_U64_SIZE];

    key_u64_write(s.len, len);
    h->ok = h->ok && EVP_DigestUpdate(h->md, len, sizeof(len)) == 1 &&
            (s.len == 0 || EVP_DigestUpdate(h->md, s.data, s.len) == 1);
}

static bool hash_pair(void *context, struct slice key, struct slice value)
{
    hash_slice(context, key);
    hash_slice(context, value);
    return true;
}

enum status store_view_hash(struct store_view *view, uint8_t hash[STORE_HASH_SIZE], struct failure *f)
{
    struct hashing h = {.md = EVP_MD_CTX_new()};
    enum status status = STATUS_OK;

    h.ok = h.md != NULL && EVP_DigestInit_ex(h.md, EVP_sha256(), NULL) == 1;
    for (int i = 0; i < TABLE_COUNT && h.ok && status == STATUS_OK; i++) {
        hash_slice(&h, slice_of_text(table_names[i]));
        status = table_walk(view->store, view->txn, (enum table)i, (struct slice){0}, hash_pair, &h);
    }
    if (status != STATUS_OK)
        status = failure_set(f, status, "cannot read the store");
    else if (!h.ok || EVP_DigestFinal_ex(h.md, hash, NULL) != 1)
        status = failure_set(f, STATUS_CRYPTO, "cannot hash the store");
    EVP_MD_CTX_free(h.md);
    return status;
}
