/*
 * The replicated state as LMDB holds it: a materialised view of the Raft log. `core` is the only writer;
 * every other role opens the same map for reading. The folder is `state/` below the node's data folder.
 *
 * The tables (named databases), their keys and values are described in store/tables.h.
 *
 * Power loss: the writer opens LMDB without sync. A marker file `open` with the boot id lies beside it while
 * it is open; found with another boot id at start, the map is thrown away and rebuilt by Raft from snapshot
 * and log.
 */
#ifndef SEALPOST_STORE_STORE_H
#define SEALPOST_STORE_STORE_H

#include "base/buf.h"
#include "store/command.h"

#define STORE_FORMAT_VERSION 1
#define STORE_MAP_SIZE       ((size_t)16 << 30) /* bytes of address space: a million certificates take 4 GB */
#define STORE_HASH_SIZE      32

struct store;
struct store_view;

/* --- the writer (core only; one thread) --- */

/* `dir` is made if missing. VERSION if a newer release wrote it. `boot_id` is the kernel's (36 characters).
 */
enum status store_open_writer(const char *dir, struct slice boot_id, struct store **store,
                              struct failure *f) MUST_CHECK;
/* Index of the last applied command, 0 in an empty store. Within a batch: with what the batch applied. */
uint64_t store_applied_index(struct store *store);
/* A batch is one LMDB write transaction: one a loop turn. begin is idempotent. Commit makes it visible to
 * readers. */
enum status store_batch_begin(struct store *store, struct failure *f) MUST_CHECK;
enum status store_batch_commit(struct store *store, struct failure *f) MUST_CHECK;

struct apply_result {
    enum status status;     /* of the command: NOT that of the store */
    uint64_t index;         /* where it was first applied */
    bool repeated;          /* this id had been applied before */
    struct failure failure; /* text when status is not OK (empty when repeated) */
    uint8_t value[64];      /* MessagePack of what the command gives back */
    size_t value_len;
};
/* Apply one log entry (padded form) at `index` inside the batch. The return value is the store's own health:
 * anything but OK means that this node cannot go on; the batch must not be committed. A bad command is OK
 * with result->status set. An index that was applied already (a replay of the log) changes nothing; CONFLICT
 * if the store has another command there. */
enum status store_apply_entry(struct store *store, uint64_t index, struct slice entry,
                              struct apply_result *result, struct failure *f) MUST_CHECK;

/* Snapshot: write a consistent copy of the map, as of the last commit, into a new file at `path`; safe on
 * another thread. The copy's applied index goes to *index. */
enum status store_snapshot_write(struct store *store, const char *path, uint64_t *index,
                                 struct failure *f) MUST_CHECK;
/* Replace the whole content by a snapshot's bytes in one transaction, which readers see at once and whole.
 * CORRUPT (and nothing changed) if a bit of it is not as it was written; VERSION if a newer release wrote it.
 */
enum status store_snapshot_restore(struct store *store, struct slice snapshot, struct failure *f) MUST_CHECK;
void store_close(struct store *store); /* commits nothing; removes the marker after a sync */

/* --- readers (any other role; the writer's process takes views of its own store, on any thread: LMDB's locks
 * do not bear one process opening a folder twice) --- */
enum status store_open_reader(const char *dir, struct store **store, struct failure *f) MUST_CHECK;
/* A view is a consistent snapshot; slices from it live until it ends. Keep it short: it holds back the reuse
 * of pages. One thread. */
enum status store_view_begin(struct store *store, struct store_view **view, struct failure *f) MUST_CHECK;
void store_view_end(struct store_view *view); /* NULL is fine */
uint64_t store_view_index(struct store_view *view);
/* SHA-256 over every table's name, keys and values in order: equal on all nodes at the same index. */
enum status store_view_hash(struct store_view *view, uint8_t hash[STORE_HASH_SIZE],
                            struct failure *f) MUST_CHECK;

#endif
