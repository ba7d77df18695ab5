/*
 * The rules for libraft 0.15 (DESIGN.md section 4) that one real replica on a real disk can show: a full disk
 * ends the process and loses nothing (rule 1), commands of every length mod 8 (rule 2), the log bounded in
 * bytes by snapshots (rule 3), a flipped bit in a closed segment refused at start (rule 4), replay from its
 * own log gives the same tables (rules 5 and 6). Rules 7 and 8 have theirs in test_raft_frame_check and in
 * tests/cluster.
 *
 * Each replica runs in a child process, since the rule of the full disk is that the process ends.
 */
#include "raft_test.h"

#include "crypto/x509.h"
#include "raft/replica.h"
#include "raft/tls_stream.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct run {
    const char *dir;       /* holds raft/ and state/ */
    unsigned first, count; /* commands to propose */
    uint64_t tail_bytes, segment_bytes, reserve;
    unsigned payload; /* extra bytes a command carries */
};

struct member {
    uv_loop_t loop;
    struct replica *replica;
    struct store *store;
    const struct run *run;
    unsigned proposed, done;
};

static bool nobody(void *context, uint64_t id, const uint8_t hash[32])
{
    (void)context;
    (void)id;
    (void)hash;
    return false;
}

static void closed_cb(void *context)
{
    (void)context;
}

static void propose_next(struct member *m);

static void applied_cb(void *context, enum status status, const struct apply_result *result)
{
    struct member *m = context;

    if (status == STATUS_NO_SPACE)
        _exit(42); /* refused in order: the disk's reserve */
    if (status != STATUS_OK || result->status != STATUS_OK)
        _exit(40);
    if (++m->done == m->run->count)
        replica_close(m->replica, closed_cb, m);
    else
        propose_next(m);
}

static void propose_next(struct member *m)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    unsigned number = m->run->first + m->proposed++;

    if (m->run->payload == 0) {
        user_command(number, number, &encoded);
    } else { /* a certificate record of the size that is asked for */
        struct certificate_record record = {.subject = SLICE_LITERAL("CN=x")};
        struct buf value = BUF_INIT(COMMAND_MAX);
        struct command c;
        uint8_t *der = calloc(1, m->run->payload);

        memcpy(der, &number, sizeof(number));
        record.der = slice_of(der, m->run->payload);
        sha256(record.der, record.thumbprint);
        assert_int_equal(certificate_record_encode(&record, &value), STATUS_OK);
        command_init(&c, COMMAND_CERT_ADD, number, SLICE_LITERAL("test"));
        c.values[0].bytes = buf_slice(&value);
        assert_int_equal(command_encode(&c, &encoded), STATUS_OK);
        buf_release(&value);
        free(der);
    }
    replica_propose(m->replica, buf_slice(&encoded), applied_cb, m);
    buf_release(&encoded);
}

static void state_cb(void *context)
{
    struct member *m = context;
    struct replica_info info;

    if (m->replica == NULL || m->proposed > 0)
        return;
    replica_info(m->replica, &info);
    if (info.serving && m->run->count > 0)
        propose_next(m);
    else if (info.serving && m->run->count == 0) {
        m->proposed = 1;
        replica_close(m->replica, closed_cb, m);
    }
}

static int listener(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

/* In a child: opens, proposes, closes. Exit 0; 1: the replica ended itself; 41: it could not start; 42:
 * refused for want of space. */
static int run_child(const struct run *run)
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        struct member m = {.run = run};
        struct replica_options options = {.loop = &m.loop,
                                          .dir = "raft",
                                          .id = 1,
                                          .address = "127.0.0.1:1",
                                          .peer_allowed = nobody,
                                          .state_changed = state_cb,
                                          .context = &m,
                                          .log_tail_bytes = run->tail_bytes,
                                          .segment_bytes = run->segment_bytes,
                                          .disk_reserve = run->reserve != 0 ? run->reserve : 1};
        X509 *ca = NULL, *own = NULL;
        EVP_PKEY *ca_key = NULL, *key = NULL;
        struct failure f = {0};
        int quiet = open("/dev/null", O_WRONLY);

        if (getenv("SEALPOST_TEST_LOG") == NULL)
            (void)dup2(quiet, STDERR_FILENO);
        if (chdir(run->dir) != 0 || store_open_writer("state", BOOT, &m.store, &f) != STATUS_OK)
            _exit(43);
        if (cluster_ca_make(SLICE_LITERAL("test"), clock_wall_ms(), &ca, &ca_key, &f) != STATUS_OK ||
            key_generate_p256(&key) != STATUS_OK ||
            cluster_ca_issue(ca, ca_key, key, 1, SLICE_LITERAL("node1"), SLICE_LITERAL("127.0.0.1"), true,
                             clock_wall_ms(), &own, &f) != STATUS_OK ||
            tls_context_peer(true, own, key, ca, &options.server_tls, &f) != STATUS_OK ||
            tls_context_peer(false, own, key, ca, &options.client_tls, &f) != STATUS_OK)
            _exit(44);
        (void)uv_loop_init(&m.loop);
        options.store = m.store;
        options.listener = listener();
        if (replica_new(&options, &m.replica, &f) != STATUS_OK)
            _exit(41);
        (void)!replica_bootstrap(m.replica, &f);
        if (replica_start(m.replica, &f) != STATUS_OK)
            _exit(41);
        (void)uv_run(&m.loop, UV_RUN_DEFAULT);
        store_close(m.store);
        _exit(m.done == run->count ? 0 : 45);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void state_of(const char *dir, uint64_t *applied, uint8_t hash[STORE_HASH_SIZE])
{
    char path[128];
    int len = snprintf(path, sizeof(path), "%s/state", dir);
    struct store *store;

    assert_true(len > 0);
    store = open_writer(path);
    *applied = store_applied_index(store);
    hash_of(store, hash);
    store_close(store);
}

static void throw_state_away(const char *dir)
{
    char path[128];
    int len = snprintf(path, sizeof(path), "%s/state", dir);

    assert_true(len > 0);
    remove_tree(path);
}

static void every_length_is_replayed_to_the_same_tables(void **state)
{
    char dir[64];
    struct run run = {.count = 64};
    uint64_t applied, again;
    uint8_t before[STORE_HASH_SIZE], after[STORE_HASH_SIZE];

    (void)state;
    temporary_folder(dir);
    run.dir = dir;
    assert_int_equal(run_child(&run), 0);
    state_of(dir, &applied, before);
    assert_true(applied >= 64);
    throw_state_away(dir); /* as after a power cut: rebuilt from the log */
    assert_int_equal(run_child(&(struct run){.dir = dir}), 0);
    state_of(dir, &again, after);
    assert_int_equal(again, applied);
    assert_memory_equal(before, after, STORE_HASH_SIZE);
    remove_tree(dir);
}

static unsigned files(const char *dir, const char *prefix, char last[256])
{
    char path[128];
    int len = snprintf(path, sizeof(path), "%s/raft", dir);
    DIR *folder = opendir(path);
    unsigned count = 0;

    assert_true(len > 0);
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            int n = snprintf(last, 256, "%s/%s", path, entry->d_name);

            assert_true(n > 0);
            count++;
        }
    (void)closedir(folder);
    return count;
}

static void the_log_is_bounded_by_snapshots_and_they_restore(void **state)
{
    char dir[64], last[256];
    struct run run = {.count = 300, .tail_bytes = 256 << 10, .segment_bytes = 512 << 10, .payload = 4000};
    uint64_t applied, again;
    uint8_t before[STORE_HASH_SIZE], after[STORE_HASH_SIZE];

    (void)state;
    temporary_folder(dir);
    run.dir = dir;
    assert_int_equal(run_child(&run), 0);
    assert_true(files(dir, "snapshot-", last) > 0);
    state_of(dir, &applied, before);
    throw_state_away(dir);
    assert_int_equal(
        run_child(&(struct run){.dir = dir, .tail_bytes = 256 << 10, .segment_bytes = 512 << 10}), 0);
    state_of(dir, &again, after);
    assert_int_equal(again, applied);
    assert_memory_equal(before, after, STORE_HASH_SIZE);
    remove_tree(dir);
}

static void a_flipped_bit_in_a_closed_segment_is_refused(void **state)
{
    char dir[64], segment[256] = "";
    struct run run = {.count = 64};
    int fd;
    uint8_t byte;

    (void)state;
    temporary_folder(dir);
    run.dir = dir;
    assert_int_equal(run_child(&run), 0); /* closing in order closes the segment: 0000...-0000... */
    assert_true(files(dir, "0", segment) > 0);
    fd = open(segment, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, 40), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, 40), 1);
    (void)close(fd);
    assert_int_equal(run_child(&(struct run){.dir = dir}), 41);
    remove_tree(dir);
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        _exit(77);
    (void)close(fd);
}

/* Mounts of our own: as root at once, else in a user namespace in which we are root. */
static void own_mounts(void)
{
    char map[64];
    int len = snprintf(map, sizeof(map), "0 %u 1", (unsigned)getuid());

    if (unshare(CLONE_NEWNS) == 0)
        return;
    if (len < 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        _exit(77);
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", map);
}

/* A disk of 24 MB of the test's own, in a mount namespace that ends with the child. */
static void in_small_disk(void (*body)(const char *dir))
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        char dir[64];

        temporary_folder(dir);
        own_mounts();
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", dir, "tmpfs", 0, "size=24m,mode=0700") != 0)
            _exit(77);
        body(dir);
        (void)umount2(dir, MNT_DETACH);
        (void)rmdir(dir);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        fail_msg("a disk of the test's own needs root, or user namespaces");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void fill_without_reserve(const char *dir)
{
    struct run run = {.dir = dir,
                      .count = 100000,
                      .segment_bytes = 2 << 20,
                      .tail_bytes = (uint64_t)1 << 30,
                      .payload = 60000};
    uint64_t applied;
    uint8_t hash[STORE_HASH_SIZE];
    int ended = run_child(&run);

    if (ended != 1) /* by itself, before c-raft went on with an append that had failed */
        _exit(10);
    state_of(dir, &applied, hash);
    if (applied == 0)
        _exit(11);
}

static void fill_with_reserve(const char *dir)
{
    struct run run = {.dir = dir,
                      .count = 100000,
                      .segment_bytes = 2 << 20,
                      .tail_bytes = (uint64_t)1 << 30,
                      .payload = 60000,
                      .reserve = 8 << 20};

    int ended = run_child(&run);

    if (ended != 42) {
        print_error("ended with %d\n", ended);
        _exit(12);
    }
    ended = run_child(&(struct run){.dir = dir, .segment_bytes = 2 << 20, .reserve = 8 << 20});
    if (ended != 0) { /* it starts again */
        print_error("started again, it ended with %d\n", ended);
        _exit(13);
    }
}

static void a_full_disk_ends_the_process_and_loses_nothing(void **state)
{
    (void)state;
    in_small_disk(fill_without_reserve);
}

static void the_reserve_refuses_before_the_disk_is_full(void **state)
{
    (void)state;
    in_small_disk(fill_with_reserve);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_is_replayed_to_the_same_tables),
        cmocka_unit_test(the_log_is_bounded_by_snapshots_and_they_restore),
        cmocka_unit_test(a_flipped_bit_in_a_closed_segment_is_refused),
        cmocka_unit_test(a_full_disk_ends_the_process_and_loses_nothing),
        cmocka_unit_test(the_reserve_refuses_before_the_disk_is_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
