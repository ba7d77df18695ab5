/*
 * What can go wrong around the store: torn markers, damaged maps and snapshots, other releases, a full disk,
 * two histories, readers in the middle of a restore. Each is told, and nothing is half changed.
 */
#include "test_support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char *path_in(const char *dir, const char *name)
{
    static char path[128];

    assert_true(snprintf(path, sizeof(path), "%s/%s", dir, name) > 0);
    return path;
}

static void write_file(const char *path, struct slice content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    assert_true(fd >= 0);
    if (content.len > 0)
        assert_int_equal(write(fd, content.data, content.len), content.len);
    (void)close(fd);
}

static struct buf read_file(const char *path)
{
    struct buf content = BUF_INIT((size_t)64 << 20);
    struct stat info = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0 && fstat(fd, &info) == 0);
    assert_int_equal(buf_reserve(&content, (size_t)info.st_size), STATUS_OK);
    assert_int_equal(read(fd, content.data, (size_t)info.st_size), info.st_size);
    content.len = (size_t)info.st_size;
    (void)close(fd);
    return content;
}

/* A store with some settings: `count` of them, from index 1. */
static struct store *filled_store(const char *dir, unsigned count)
{
    struct store *store = open_writer(dir);

    for (unsigned i = 0; i < count; i++) {
        char domain[32];
        struct command c;

        assert_true(snprintf(domain, sizeof(domain), "d%u.example", i) > 0);
        c = setting_command(SETTING_DOMAIN, domain, "encrypt.mode", "mandatory");
        assert_int_equal(apply_at(store, i + 1, &c).status, STATUS_OK);
    }
    commit(store);
    return store;
}

static void only_the_marker_of_this_boot_is_believed(void **state)
{
    static const struct {
        const char *marker; /* NULL: none */
        bool kept;
    } table[] = {
        {"11111111-2222-3333-4444-555555555555", true},
        {NULL, true},                                      /* closed in order */
        {"", false},                                       /* torn */
        {"11111111-2222-3333", false},                     /* torn */
        {"11111111-2222-3333-4444-555555555556", false},   /* another boot: there may have been a power cut */
        {"11111111-2222-3333-4444-555555555555\n", false}, /* not ours */
        {"11111111-2222-3333-4444-55555555555511111111-2222-3333-4444-555555555555", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char dir[64];
        struct store *store;

        temporary_folder(dir);
        store_close(filled_store(dir, 3));
        assert_int_equal(access(path_in(dir, "open"), F_OK), -1);
        if (table[i].marker != NULL)
            write_file(path_in(dir, "open"), slice_of_text(table[i].marker));
        write_file(path_in(dir, "restore.mdb"), SLICE_LITERAL("left over"));
        store = open_writer(dir);
        if (store_applied_index(store) != (table[i].kept ? 3 : 0))
            fail_msg("row %zu", i);
        assert_int_equal(access(path_in(dir, "open"), F_OK), 0); /* while it is open */
        assert_int_equal(access(path_in(dir, "restore.mdb"), F_OK), -1);
        store_close(store);
        remove_tree(dir);
    }
}

static void the_modes_keep_others_from_writing(void **state)
{
    char dir[64];
    struct store *store;
    struct stat info;
    mode_t before = umask(0);

    (void)state;
    temporary_folder(dir);
    assert_int_equal(rmdir(dir), 0);
    store = open_writer(dir);
    assert_int_equal(stat(dir, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0750);
    assert_int_equal(stat(path_in(dir, "data.mdb"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_int_equal(stat(path_in(dir, "lock.mdb"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
    store_close(store);
    remove_tree(dir);
    (void)umask(before);
}

static void a_map_that_cannot_be_read_is_built_again(void **state)
{
    char dir[64], garbage[20000];
    struct store *store, *reader;
    struct failure f = {0};

    (void)state;
    memset(garbage, 0x5a, sizeof(garbage));
    temporary_folder(dir);
    store_close(filled_store(dir, 3));
    write_file(path_in(dir, "data.mdb"), slice_of(garbage, sizeof(garbage)));
    assert_int_equal(store_open_reader(dir, &reader, &f), STATUS_CORRUPT); /* a reader waits for core */
    store = open_writer(dir);
    assert_int_equal(store_applied_index(store), 0);
    store_close(store);
    remove_tree(dir);
    assert_int_not_equal(store_open_reader(dir, &reader, &f), STATUS_OK);
    assert_int_not_equal(store_open_writer("/dev/null/state", BOOT, &store, &f), STATUS_OK);
}

/* Changes the format number in a file of pages: the value follows its key. */
static void make_newer(struct buf *file)
{
    static const uint8_t known[] = {'f', 'o', 'r', 'm', 'a', 't', 0, 0, 0, 0, 0, 0, 0, STORE_FORMAT_VERSION};
    size_t found = 0;

    for (size_t i = 0; i + sizeof(known) <= file->len; i++)
        if (memcmp(file->data + i, known, sizeof(known)) == 0) {
            file->data[i + sizeof(known) - 1]++;
            found++;
        }
    assert_true(found > 0);
}

static void what_a_newer_release_wrote_is_left_alone(void **state)
{
    char dir[64];
    struct store *store = NULL;
    struct buf file, after;
    struct failure f = {0};

    (void)state;
    temporary_folder(dir);
    store_close(filled_store(dir, 3));
    file = read_file(path_in(dir, "data.mdb"));
    make_newer(&file);
    write_file(path_in(dir, "data.mdb"), buf_slice(&file));
    assert_int_equal(store_open_writer(dir, BOOT, &store, &f), STATUS_VERSION);
    assert_non_null(strstr(f.text, "newer release"));
    assert_int_equal(access(path_in(dir, "open"), F_OK),
                     -1); /* else the next boot would throw the map away */
    assert_int_equal(store_open_reader(dir, &store, &f), STATUS_VERSION);
    after = read_file(path_in(dir, "data.mdb"));
    assert_true(slice_equal(buf_slice(&file), buf_slice(&after)));
    buf_release(&file);
    buf_release(&after);
    remove_tree(dir);
}

static void a_damaged_snapshot_changes_nothing(void **state)
{
    char dirs[2][64];
    struct store *from, *to;
    struct buf snapshot;
    struct failure f = {0};
    uint8_t before[STORE_HASH_SIZE], after[STORE_HASH_SIZE], wanted[STORE_HASH_SIZE];
    uint64_t index = 0;

    (void)state;
    temporary_folder(dirs[0]);
    temporary_folder(dirs[1]);
    from = filled_store(dirs[0], 50);
    to = filled_store(dirs[1], 2);
    assert_int_equal(store_snapshot_write(from, path_in(dirs[0], "snapshot"), &index, &f), STATUS_OK);
    assert_int_equal(index, 50);
    snapshot = read_file(path_in(dirs[0], "snapshot"));
    hash_of(to, before);
    for (size_t i = 0; i < snapshot.len; i += 1 + snapshot.len / 97) {
        snapshot.data[i] ^= 0x10;
        assert_int_equal(store_snapshot_restore(to, buf_slice(&snapshot), &f), STATUS_CORRUPT);
        snapshot.data[i] ^= 0x10;
        assert_int_equal(store_snapshot_restore(to, slice_of(snapshot.data, i), &f), STATUS_CORRUPT);
    }
    assert_int_equal(store_snapshot_restore(to, slice_of(snapshot.data, snapshot.len - 1), &f),
                     STATUS_CORRUPT);
    hash_of(to, after);
    assert_memory_equal(before, after, STORE_HASH_SIZE);
    assert_int_equal(store_applied_index(to), 2);
    assert_int_equal(access(path_in(dirs[1], "restore.mdb"), F_OK), -1);
    assert_int_equal(store_snapshot_restore(to, buf_slice(&snapshot), &f), STATUS_OK);
    hash_of(from, wanted);
    hash_of(to, after);
    assert_memory_equal(wanted, after, STORE_HASH_SIZE);
    assert_int_not_equal(store_snapshot_write(from, "/dev/null/snapshot", &index, &f), STATUS_OK);
    buf_release(&snapshot);
    store_close(from);
    store_close(to);
    remove_tree(dirs[0]);
    remove_tree(dirs[1]);
}

/* A file may not grow beyond what it is: as a full disk, without needing one. The limit is the process's own.
 */
static void a_full_disk_ends_the_batch_and_keeps_the_rest(void **state)
{
    static const char *const addresses[] = {"a@example.org"};
    char dir[64], snapshot[96], *der = malloc(100001);
    struct rlimit limit, old;
    struct store *store;
    struct buf record = BUF_INIT(COMMAND_MAX);
    struct command c;
    struct apply_result result;
    struct failure f = {0};
    struct stat info;
    uint8_t before[STORE_HASH_SIZE], after[STORE_HASH_SIZE], thumbprint[THUMBPRINT_SIZE];
    uint64_t index = 3;
    enum status status = STATUS_OK;

    (void)state;
    assert_non_null(der);
    memset(der, 'x', 100000);
    der[100000] = '\0';
    temporary_folder(dir);
    store = filled_store(dir, 3);
    hash_of(store, before);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(stat(path_in(dir, "data.mdb"), &info), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = (rlim_t)info.st_size + 65536;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (unsigned i = 0; i < 30 && status == STATUS_OK; i++) {
        struct buf encoded = BUF_INIT(COMMAND_MAX);

        der[0] = (char)('a' + i);
        buf_reset(&record);
        make_record(der, addresses, 1, &record, thumbprint);
        c = simple_command(COMMAND_CERT_ADD, 1, buf_slice(&record));
        assert_int_equal(command_encode(&c, &encoded), STATUS_OK);
        {
            size_t size = command_entry_size(encoded.len);
            uint8_t *entry = malloc(size);

            assert_non_null(entry);
            command_entry_write(buf_slice(&encoded), entry);
            status = store_apply_entry(store, ++index, slice_of(entry, size), &result, &f);
            free(entry);
        }
        buf_release(&encoded);
    }
    if (status == STATUS_OK)
        status = store_batch_commit(store, &f);
    assert_int_not_equal(status, STATUS_OK);
    assert_true(strlen(f.text) > 0);
    assert_true(snprintf(snapshot, sizeof(snapshot), "%s/snapshot", dir) > 0);
    limit.rlim_cur = 8192;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_not_equal(store_snapshot_write(store, snapshot, &index, &f), STATUS_OK);
    assert_int_equal(access(snapshot, F_OK), -1); /* no half of one is left */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    store_close(store);
    store = open_writer(dir);
    assert_int_equal(store_applied_index(store), 3);
    hash_of(store, after);
    assert_memory_equal(before, after, STORE_HASH_SIZE);
    store_close(store);
    free(der);
    buf_release(&record);
    remove_tree(dir);
}

static enum status apply_raw(struct store *store, uint64_t index, const struct command *c,
                             struct apply_result *result, struct failure *f)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    uint8_t entry[4096];
    size_t size;

    assert_int_equal(command_encode(c, &encoded), STATUS_OK);
    size = command_entry_size(encoded.len);
    assert_true(size <= sizeof(entry));
    command_entry_write(buf_slice(&encoded), entry);
    buf_release(&encoded);
    return store_apply_entry(store, index, slice_of(entry, size), result, f);
}

static void a_map_of_another_history_is_noticed(void **state)
{
    char dir[64];
    struct store *store;
    struct command first = setting_command(SETTING_GLOBAL, "", "encrypt.mode", "none"), other;
    struct apply_result result;
    struct failure f = {0};
    uint8_t before[STORE_HASH_SIZE], after[STORE_HASH_SIZE];

    (void)state;
    temporary_folder(dir);
    store = open_writer(dir);
    (void)apply_at(store, 1, &first);
    other = setting_command(SETTING_GLOBAL, "", "encrypt.mode", "mandatory");
    (void)apply_at(store, 2, &other);
    commit(store);
    hash_of(store, before);
    result = apply_at(store, 1, &first); /* a replay: the first answer, nothing changed */
    assert_true(result.repeated && result.status == STATUS_OK && result.index == 1);
    commit(store);
    hash_of(store, after);
    assert_memory_equal(before, after, STORE_HASH_SIZE);
    assert_int_equal(store_applied_index(store), 2);
    other = setting_command(SETTING_GLOBAL, "", "encrypt.mode", "request");
    assert_int_equal(apply_raw(store, 2, &other, &result, &f), STATUS_CONFLICT);
    assert_non_null(strstr(f.text, "does not belong to this log"));
    store_close(store);
    remove_tree(dir);
}

static void entries_that_are_none_are_passed_over(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } table[] = {{"", 0},
                 {"1234567", 7},
                 {"\0\0\0\0\0\0\0\0", 8},
                 {"\xff\xff\xff\xff\0\0\0\0", 8},
                 {"\4\0\0\0\x96\1\1\1", 8}};
    char dir[64];
    struct store *store;

    (void)state;
    temporary_folder(dir);
    store = filled_store(dir, 1);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct apply_result result;

        assert_int_equal(
            store_apply_entry(store, i + 2, slice_of(table[i].bytes, table[i].len), &result, NULL),
            STATUS_OK);
        assert_int_equal(result.status, STATUS_MALFORMED);
        assert_int_equal(store_applied_index(store), i + 2);
    }
    store_close(store);
    remove_tree(dir);
}

struct shared {
    _Atomic int ready, stop;
    uint8_t hashes[2][STORE_HASH_SIZE]; /* the only two states that may be seen */
};

/* Another process, as a role: every view is whole, and one of the two states. */
static int watch(const char *dir, struct shared *shared)
{
    struct store *reader;
    unsigned seen[2] = {0};

    if (store_open_reader(dir, &reader, NULL) != STATUS_OK)
        return 1;
    shared->ready = 1;
    while (shared->stop == 0) {
        struct store_view *view;
        uint8_t hash[STORE_HASH_SIZE];
        int which;

        if (store_view_begin(reader, &view, NULL) != STATUS_OK ||
            store_view_hash(view, hash, NULL) != STATUS_OK)
            return 2;
        which = memcmp(hash, shared->hashes[1], sizeof(hash)) == 0;
        if (which == 0 && memcmp(hash, shared->hashes[0], sizeof(hash)) != 0)
            return 3;
        seen[which]++;
        store_view_end(view);
    }
    store_close(reader);
    return seen[0] > 0 && seen[1] > 0 ? 0 : 4;
}

static void readers_see_a_restore_whole(void **state)
{
    char dirs[2][64];
    struct store *stores[2];
    struct buf snapshots[2];
    struct failure f = {0};
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t index;
    pid_t child;
    int status;

    (void)state;
    assert_true(shared != MAP_FAILED);
    for (unsigned i = 0; i < 2; i++) {
        temporary_folder(dirs[i]);
        stores[i] = filled_store(dirs[i], 100 + 50 * i);
        hash_of(stores[i], shared->hashes[i]);
        assert_int_equal(store_snapshot_write(stores[i], path_in(dirs[i], "snapshot"), &index, &f),
                         STATUS_OK);
        snapshots[i] = read_file(path_in(dirs[i], "snapshot"));
        if (i == 0)
            store_close(stores[0]); /* before the fork: LMDB's environments do not go through one */
    }
    store_close(stores[1]);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(watch(dirs[0], shared));
    stores[0] = open_writer(dirs[0]);
    while (shared->ready == 0 && waitpid(child, &status, WNOHANG) == 0)
        (void)usleep(1000);
    for (unsigned i = 0; i < 60; i++)
        if (store_snapshot_restore(stores[0], buf_slice(&snapshots[(i + 1) % 2]), &f) != STATUS_OK)
            fail_msg("%s", f.text);
    shared->stop = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    store_close(stores[0]);
    for (unsigned i = 0; i < 2; i++) {
        buf_release(&snapshots[i]);
        remove_tree(dirs[i]);
    }
    (void)munmap(shared, sizeof(*shared));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_marker_of_this_boot_is_believed),
        cmocka_unit_test(the_modes_keep_others_from_writing),
        cmocka_unit_test(a_map_that_cannot_be_read_is_built_again),
        cmocka_unit_test(what_a_newer_release_wrote_is_left_alone),
        cmocka_unit_test(a_damaged_snapshot_changes_nothing),
        cmocka_unit_test(a_full_disk_ends_the_batch_and_keeps_the_rest),
        cmocka_unit_test(a_map_of_another_history_is_noticed),
        cmocka_unit_test(entries_that_are_none_are_passed_over),
        cmocka_unit_test(readers_see_a_restore_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
