/*
 * c-raft's state machine: entries go into the store, snapshots come out of it.
 *
 * apply gets no index and may not fail (rule 5): the index is last_applied + 1, and a store that cannot take
 * an entry ends the process. Entries that the store holds already (it survives a restart; the log is
 * replayed) are passed over.
 *
 * A snapshot is SNAPSHOT_HEAD bytes (magic, applied index, big endian) and the map as LMDB copies it, made on
 * another thread and mapped, not read (rule 6). The copy may hold a few commands beyond the snapshot's index:
 * they are committed, and pass as known when the log brings them. On a full disk c-raft would try again at
 * once and for ever: it is told BUSY, and not asked again for a while.
 *
 * The log is bounded in bytes (rule 3): c-raft counts entries, so its threshold is set from the bytes that
 * were applied.
 */
#include "raft/replica_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/msgpack_read.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NEVER_THRESHOLD   (1U << 30) /* entries: c-raft takes no snapshot by itself */
#define DEFAULT_TAIL      ((uint64_t)16 << 20)
#define TRAILING_MIN      8
#define TRAILING_MAX      4096
#define SNAPSHOT_PAUSE_MS 10000
#define PATH_SIZE         4096

static const uint8_t snapshot_magic[8] = {'S', 'P', 'S', 'N', 'A', 'P', '1', 0};

struct snapshot {
    struct raft_buffer bufs[2]; /* head, map */
    uint8_t head[SNAPSHOT_HEAD];
    char path[PATH_SIZE];
};

static bool is_checkpoint(struct slice entry)
{
    struct msgpack_reader reader;
    struct slice encoded;

    if (command_entry_read(entry, &encoded) != STATUS_OK)
        return false;
    msgpack_reader_init(&reader, encoded);
    (void)read_array(&reader, 6);
    return read_u64(&reader) == COMMAND_CHECKPOINT && msgpack_reader_status(&reader, false) == STATUS_OK;
}

static int apply_cb(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct replica *r = fsm->data;
    uint64_t index = raft_last_applied(&r->raft) + 1;
    struct slice entry = slice_of(buf->base, buf->len);
    struct apply_result applied;
    struct failure f = {0};

    *result = NULL;
    r->tail_bytes += buf->len + 64; /* with what c-raft keeps beside it */
    r->tail_entries++;
    fsm_want_snapshot(r);
    if (index <= r->applied_index)
        return 0;
    r->batch_open = true;
    if (store_apply_entry(r->options.store, index, entry, &applied, &f) != STATUS_OK)
        replica_die(r, "cannot apply an entry to the store", f.text);
    r->applied_index = index;
    proposals_applied(r, index, &applied);
    if (r->options.checkpoint != NULL && is_checkpoint(entry)) {
        if (store_batch_commit(r->options.store, &f) != STATUS_OK)
            replica_die(r, "cannot commit to the store", f.text);
        r->options.checkpoint(r->options.context, index);
    }
    return 0;
}

static bool disk_has_room(struct replica *r)
{
    struct statvfs space;
    struct stat map;
    char path[PATH_SIZE];
    int len = snprintf(path, sizeof(path), "%s/../state/data.mdb", r->dir);
    uint64_t need = r->options.disk_reserve;

    if (len > 0 && len < (int)sizeof(path) && stat(path, &map) == 0)
        need += 2 * (uint64_t)map.st_blocks * 512; /* the copy, and c-raft's own file of it */
    return statvfs(r->dir, &space) != 0 || (uint64_t)space.f_bavail * space.f_frsize > need;
}

static int snapshot_cb(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *count)
{
    struct replica *r = fsm->data;
    struct snapshot *s;
    int len;

    if (!disk_has_room(r)) {
        log_event(LOG_WARN, "no room for a snapshot: it is put off");
        goto err;
    }
    replica_commit(r);
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        goto err;
    len = snprintf(s->path, sizeof(s->path), "%s/snapshot.copy", r->dir);
    if (len < 0 || len >= (int)sizeof(s->path)) {
        free(s);
        goto err;
    }
    s->bufs[0] = (struct raft_buffer){.base = s->head, .len = SNAPSHOT_HEAD};
    *bufs = s->bufs;
    *count = 2;
    return 0;
err:
    r->snapshot_after_ms = clock_monotonic_ms() + SNAPSHOT_PAUSE_MS;
    r->snapshot_wanted = false;
    raft_set_snapshot_threshold(&r->raft, NEVER_THRESHOLD);
    return RAFT_BUSY;
}

static void write_index(uint8_t head[SNAPSHOT_HEAD], uint64_t index)
{
    memcpy(head, snapshot_magic, sizeof(snapshot_magic));
    for (unsigned i = 0; i < 8; i++)
        head[8 + i] = (uint8_t)(index >> (56 - 8 * i));
}

/* On a thread of the pool: touches only the snapshot and the store's map. */
static int snapshot_async_cb(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *count)
{
    struct replica *r = fsm->data;
    struct snapshot *s = (struct snapshot *)*bufs;
    struct failure f = {0};
    struct stat info;
    uint64_t index = 0;
    void *address;
    int fd;

    (void)count;
    if (store_snapshot_write(r->options.store, s->path, &index, &f) != STATUS_OK) {
        log_event(LOG_ERROR, "cannot make a snapshot", LOG_TEXT("reason", f.text));
        return RAFT_IOERR;
    }
    fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        if (fd >= 0)
            (void)close(fd);
        return RAFT_IOERR;
    }
    address = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    (void)unlink(s->path);
    if (address == MAP_FAILED)
        return RAFT_NOMEM;
    write_index(s->head, index);
    s->bufs[1] = (struct raft_buffer){.base = address, .len = (size_t)info.st_size};
    return 0;
}

static int snapshot_finalize_cb(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *count)
{
    struct replica *r = fsm->data;
    struct snapshot *s = (struct snapshot *)*bufs;

    if (s == NULL)
        return 0;
    if (s->bufs[1].base == NULL)
        r->snapshot_after_ms = clock_monotonic_ms() + SNAPSHOT_PAUSE_MS;
    else
        (void)munmap(s->bufs[1].base, s->bufs[1].len);
    (void)unlink(s->path);
    free(s);
    *bufs = NULL;
    *count = 0;
    r->tail_bytes = 0;
    r->tail_entries = 0;
    r->snapshot_wanted = false;
    raft_set_snapshot_threshold(&r->raft, NEVER_THRESHOLD);
    return 0;
}

static int restore_cb(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct replica *r = fsm->data;
    struct slice snapshot = slice_of(buf->base, buf->len);
    uint64_t index = 0;
    struct failure f = {0};

    if (snapshot.len <= SNAPSHOT_HEAD || memcmp(snapshot.data, snapshot_magic, sizeof(snapshot_magic)) != 0)
        replica_die(r, "cannot read a snapshot", "it is not one of ours");
    for (unsigned i = 0; i < 8; i++)
        index = index << 8 | snapshot.data[8 + i];
    replica_commit(r);
    if (index > r->applied_index) {
        if (store_snapshot_restore(r->options.store,
                                   slice_of(snapshot.data + SNAPSHOT_HEAD, snapshot.len - SNAPSHOT_HEAD),
                                   &f) != STATUS_OK)
            replica_die(r, "cannot restore a snapshot", f.text);
        r->applied_index = store_applied_index(r->options.store);
        log_event(LOG_INFO, "state restored from a snapshot", LOG_NUMBER("index", r->applied_index));
        if (r->options.applied != NULL && r->started)
            r->options.applied(r->options.context, r->applied_index);
    }
    r->tail_bytes = 0;
    r->tail_entries = 0;
    raft_free(buf->base); /* ours on success */
    return 0;
}

void fsm_want_snapshot(struct replica *r)
{
    uint64_t limit = r->options.log_tail_bytes != 0 ? r->options.log_tail_bytes : DEFAULT_TAIL;
    uint64_t each, trailing;

    if (r->snapshot_wanted || r->tail_bytes < limit || r->tail_entries == 0)
        return;
    if (r->snapshot_after_ms != 0 && clock_monotonic_ms() < r->snapshot_after_ms)
        return;
    each = r->tail_bytes / r->tail_entries + 1;
    trailing = limit / 4 / each; /* what a node that is a little behind still gets from the log */
    trailing = trailing < TRAILING_MIN ? TRAILING_MIN : trailing > TRAILING_MAX ? TRAILING_MAX : trailing;
    r->snapshot_wanted = true;
    raft_set_snapshot_trailing(&r->raft, (unsigned)trailing);
    raft_set_snapshot_threshold(&r->raft, 1);
}

void fsm_init(struct replica *r)
{
    r->fsm = (struct raft_fsm){.version = 3,
                               .data = r,
                               .apply = apply_cb,
                               .snapshot = snapshot_cb,
                               .restore = restore_cb,
                               .snapshot_finalize = snapshot_finalize_cb,
                               .snapshot_async = snapshot_async_cb};
}
