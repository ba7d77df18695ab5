/* The spool: what was acknowledged is found again, whatever was cut off, flipped or refused by the disk; and
 * nothing else is. */
#include "base/channel.h"
#include "base/log.h"
#include "smtp/spool.h"
#include "smtp/spool_format.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FOUND_MAX 4096

static const uint8_t key[SPOOL_KEY_SIZE] = "0123456789abcdef0123456789abcde";

static char dir[64];
static uv_loop_t loop;
static struct spool *spool;
static struct spool_found found[FOUND_MAX];
static size_t found_count;
static unsigned pending;
static bool is_closed;

static void on_found(void *context, const struct spool_found *f)
{
    (void)context;
    assert_true(found_count < FOUND_MAX);
    found[found_count++] = *f;
}

static enum status open_spool(uint64_t segment_size)
{
    struct failure f = {0};
    struct spool_options o = {.loop = &loop,
                              .dir = dir,
                              .key = slice_of(key, sizeof key),
                              .node_id = 7,
                              .segment_size = segment_size};
    found_count = 0;
    assert_int_equal(uv_loop_init(&loop), 0);
    enum status status = spool_open(&o, on_found, NULL, &spool, &f);
    if (status != STATUS_OK) {
        assert_true(f.text[0] != '\0');
        assert_int_equal(uv_loop_close(&loop), 0);
    }
    return status;
}

static void on_closed(void *context)
{
    (void)context;
    is_closed = true;
}

static void close_spool(void)
{
    is_closed = false;
    spool_close(spool, on_closed, NULL);
    while (!is_closed) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    spool_free(spool);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void on_added(struct spool_add *add)
{
    (void)add;
    pending--;
}

struct sample {
    struct spool_add add;
    struct spool_envelope envelope;
    struct spool_variant variants[3];
    struct slice recipients[3];
    size_t positions[3];
    int fds[3];
    uint8_t *content[3];
};

/* Recipient i gets variant i. */
static void sample_make(struct sample *s, uint64_t n, const size_t *sizes, size_t count)
{
    static const char *const addresses[] = {"one@b.test", "two@b.test", "three@b.test"};
    uint8_t random[10] = {0};
    *s = (struct sample){0};
    memcpy(random, &n, sizeof n);
    id_make(s->envelope.id, 1000000 + n, random);
    s->envelope.arrived_ms = 1000000 + n;
    s->envelope.owner_node = 7;
    s->envelope.sender = SLICE_LITERAL("a@a.test");
    s->envelope.recipients = s->recipients;
    s->envelope.recipient_count = count;
    s->envelope.variants = s->variants;
    s->envelope.variant_count = count;
    s->envelope.trace = SLICE_LITERAL("{\"why\":[]}");
    for (size_t i = 0; i < count; i++) {
        struct failure f;
        s->recipients[i] = slice_of_text(addresses[i]);
        s->positions[i] = i;
        s->content[i] = malloc(sizes[i] + 1);
        assert_non_null(s->content[i]);
        for (size_t k = 0; k < sizes[i]; k++) {
            s->content[i][k] = (uint8_t)(k * 31 + n + i + (k >> 8));
        }
        s->variants[i] = (struct spool_variant){.size = sizes[i],
                                                .protection = SLICE_LITERAL("smime-signed"),
                                                .needs_8bit = i == 1,
                                                .recipients = &s->positions[i],
                                                .recipient_count = 1};
        assert_int_equal(memory_file_of("variant", slice_of(s->content[i], sizes[i]), &s->fds[i], &f),
                         STATUS_OK);
    }
    s->add = (struct spool_add){.envelope = &s->envelope, .fds = s->fds, .cb = on_added};
}

static void sample_free(struct sample *s)
{
    for (size_t i = 0; i < s->envelope.variant_count; i++) {
        (void)close(s->fds[i]);
        free(s->content[i]);
    }
}

static void wait_added(void)
{
    while (pending > 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
}

static enum status add_now(struct sample *s)
{
    pending++;
    spool_add(spool, &s->add);
    wait_added();
    return s->add.status;
}

/* Whole and equal, or the status that says why not. */
static enum status read_back(const struct sample *s)
{
    struct spool_loaded l;
    struct failure f = {0};
    enum status status = spool_load(spool, s->envelope.id, &l, &f);
    if (status != STATUS_OK) {
        return status;
    }
    assert_int_equal(l.envelope.recipient_count, s->envelope.recipient_count);
    assert_true(slice_equal(l.envelope.sender, s->envelope.sender));
    assert_true(slice_equal(l.envelope.trace, s->envelope.trace));
    assert_int_equal(l.envelope.arrived_ms, s->envelope.arrived_ms);
    for (size_t v = 0; v < s->envelope.variant_count && status == STATUS_OK; v++) {
        struct buf content = BUF_INIT((size_t)16 << 20);
        for (uint64_t chunk = 0; status == STATUS_OK; chunk++) {
            status = spool_read_chunk(&l, v, chunk, &content, &f);
        }
        if (status == STATUS_NOT_FOUND) {
            status = STATUS_OK;
            assert_int_equal(content.len, s->variants[v].size);
            assert_memory_equal(content.data != NULL ? content.data : key, s->content[v], content.len);
            assert_int_equal(l.envelope.variants[v].needs_8bit, s->variants[v].needs_8bit);
            assert_true(slice_equal(l.envelope.variants[v].protection, s->variants[v].protection));
        }
        buf_release(&content);
    }
    spool_loaded_release(&l);
    return status;
}

static const struct spool_found *found_of(const struct sample *s)
{
    for (size_t i = 0; i < found_count; i++) {
        if (memcmp(found[i].id, s->envelope.id, ID_SIZE) == 0) {
            return &found[i];
        }
    }
    return NULL;
}

static int begin(void **state)
{
    (void)state;
    log_open("test", LOG_ERROR);
    /* in memory where there is some: a thousand journals are opened, each with its syncs */
    (void)!snprintf(dir, sizeof dir, "%s/sealpost-spool-XXXXXX",
                    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    char command[128];
    (void)!snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{0, 1, 2}, {65535, 65536, 65537}, {131072, 200000, 0}, {0, 0, 0}};
    struct sample samples[4];
    assert_int_equal(open_spool(0), STATUS_OK);
    for (size_t i = 0; i < 4; i++) {
        sample_make(&samples[i], i, sizes[i], 3);
        assert_int_equal(add_now(&samples[i]), STATUS_OK);
        assert_int_equal(read_back(&samples[i]), STATUS_OK);
    }
    close_spool();
    assert_int_equal(open_spool(0), STATUS_OK);
    assert_int_equal(found_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(read_back(&samples[i]), STATUS_OK);
        sample_free(&samples[i]);
    }
    close_spool();
}

static void test_states(void **state)
{
    (void)state;
    static const size_t sizes[] = {10, 20, 30};
    struct sample s, q, d;
    sample_make(&s, 1, sizes, 3);
    sample_make(&q, 2, sizes, 1);
    sample_make(&d, 3, sizes, 1);
    q.add.commit_flags = SPOOL_COMMIT_QUARANTINED;
    assert_int_equal(open_spool(0), STATUS_OK);
    assert_int_equal(add_now(&s), STATUS_OK);
    assert_int_equal(add_now(&q), STATUS_OK);
    assert_int_equal(add_now(&d), STATUS_OK);
    struct spool_recipient recipients[3] = {
        {.state = RECIPIENT_DELIVERED,
         .reply = SLICE_LITERAL("250 ok"),
         .next_hop = SLICE_LITERAL("h:25"),
         .enhanced = SLICE_LITERAL("2.0.0")},
        {.state = RECIPIENT_WAITING},
        {.state = RECIPIENT_FAILED, .reply = SLICE_LITERAL("550 no")},
    };
    struct spool_state written = {.state = SPOOL_DEFERRED,
                                  .attempts = 3,
                                  .next_attempt_ms = 77,
                                  .recipients = recipients,
                                  .recipient_count = 3};
    spool_put_state(spool, s.envelope.id, &written);
    spool_delete(spool, d.envelope.id);
    close_spool();
    assert_int_equal(open_spool(0), STATUS_OK);
    assert_int_equal(found_count, 2);
    assert_int_equal(found_of(&s)->attempts, 3);
    assert_int_equal(found_of(&s)->next_attempt_ms, 77);
    assert_int_equal(found_of(&s)->state, SPOOL_DEFERRED);
    assert_int_equal(found_of(&q)->state, SPOOL_QUARANTINED);
    struct spool_loaded l;
    struct failure f;
    assert_int_equal(spool_load(spool, s.envelope.id, &l, &f), STATUS_OK);
    assert_int_equal(l.state.recipients[0].state, RECIPIENT_DELIVERED);
    assert_true(slice_equal(l.state.recipients[0].reply, SLICE_LITERAL("250 ok")));
    assert_true(slice_equal(l.state.recipients[0].next_hop, SLICE_LITERAL("h:25")));
    assert_int_equal(l.state.recipients[1].state, RECIPIENT_WAITING);
    assert_int_equal(l.state.recipients[1].reply.len, 0);
    assert_int_equal(l.state.recipients[2].state, RECIPIENT_FAILED);
    spool_loaded_release(&l);
    assert_int_equal(spool_load(spool, q.envelope.id, &l, &f), STATUS_OK);
    assert_int_equal(l.state.state, SPOOL_QUARANTINED);
    spool_loaded_release(&l);
    assert_int_equal(spool_load(spool, d.envelope.id, &l, &f), STATUS_NOT_FOUND);
    close_spool();
    sample_free(&s);
    sample_free(&q);
    sample_free(&d);
}

/* --- a journal that is cut or flipped --- */

static struct sample small[3];
static uint8_t *journal;
static size_t journal_len;
static uint64_t commit_from[3], commit_to[3]; /* each message's records */

static void segment_path(char *out, size_t size, uint64_t number)
{
    (void)!snprintf(out, size, "%s/%08llu.seg", dir, (unsigned long long)number);
}

static void journal_make(void)
{
    static const size_t sizes[][2] = {{5, 9}, {0, 40}, {17, 3}};
    char path[128];
    assert_int_equal(open_spool(0), STATUS_OK);
    for (size_t i = 0; i < 3; i++) {
        sample_make(&small[i], 10 + i, sizes[i], 2);
        assert_int_equal(add_now(&small[i]), STATUS_OK);
    }
    close_spool();
    segment_path(path, sizeof path, 1);
    int fd = open(path, O_RDONLY);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    journal_len = (size_t)st.st_size;
    journal = malloc(journal_len);
    assert_int_equal(read(fd, journal, journal_len), (ssize_t)journal_len);
    (void)close(fd);
    size_t message = 0;
    for (uint64_t at = 0; at < journal_len;) {
        struct spool_record record;
        assert_int_equal(spool_record_read(journal + at, &record), STATUS_OK);
        uint64_t end = at + spool_record_size(record.payload_len);
        if (record.type == SPOOL_RECORD_ENVELOPE) {
            commit_from[message] = at;
        } else if (record.type == SPOOL_RECORD_COMMIT) {
            commit_to[message++] = end;
        }
        at = end;
    }
    assert_int_equal(message, 3);
}

static void journal_free(void)
{
    free(journal);
    for (size_t i = 0; i < 3; i++) {
        sample_free(&small[i]);
    }
}

static void folder_empty(void)
{
    DIR *d = opendir(dir);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] != '.') {
            char path[400];
            (void)!snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
            (void)unlink(path);
        }
    }
    (void)closedir(d);
}

static void journal_write(const uint8_t *bytes, size_t len)
{
    char path[128];
    folder_empty();
    segment_path(path, sizeof path, 1);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    (void)close(fd);
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    journal_make();
    for (size_t len = 0; len <= journal_len; len++) {
        journal_write(journal, len);
        assert_int_equal(open_spool(0), STATUS_OK);
        for (size_t i = 0; i < 3; i++) {
            bool whole = commit_to[i] <= len;
            assert_int_equal(read_back(&small[i]), whole ? STATUS_OK : STATUS_NOT_FOUND);
            assert_int_equal(found_of(&small[i]) != NULL, whole);
        }
        struct spool_counts counts;
        spool_counts_get(spool, &counts);
        assert_int_equal(counts.damaged, 0);
        close_spool();
    }
    /* a tail of zeros, as a file system leaves it after a power cut */
    uint8_t *zeros = calloc(1, journal_len);
    memcpy(zeros, journal, commit_to[1] + 60);
    journal_write(zeros, journal_len);
    assert_int_equal(open_spool(0), STATUS_OK);
    assert_int_equal(found_count, 2);
    close_spool();
    free(zeros);
    journal_free();
}

/* A thousand complaints in the log are what this test wants, and nobody to read them. */
static int hush(void)
{
    int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    (void)dup2(null, STDERR_FILENO);
    (void)close(null);
    return kept;
}

static void speak(int kept)
{
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
}

static void test_flipped_anywhere(void **state)
{
    (void)state;
    size_t quarantined = 0, lost = 0;
    journal_make();
    uint8_t *flipped = malloc(journal_len);
    for (size_t at = 0; at < journal_len; at++) {
        memcpy(flipped, journal, journal_len);
        flipped[at] ^= (uint8_t)(1u << (at % 8));
        journal_write(flipped, journal_len);
        int stderr_fd = hush();
        enum status opened = open_spool(0);
        speak(stderr_fd);
        assert_int_equal(opened, STATUS_OK);
        for (size_t i = 0; i < 3; i++) {
            bool touched = at >= commit_from[i] && at < commit_to[i];
            const struct spool_found *f = found_of(&small[i]);
            enum status status = read_back(&small[i]);
            if (!touched) {
                assert_int_equal(status, STATUS_OK);
            } else if (status != STATUS_OK) { /* else: it was in the padding */
                /* Known to the administrator, or its envelope is gone: counted. Never delivered. */
                struct spool_counts counts;
                spool_counts_get(spool, &counts);
                assert_int_equal(counts.damaged, 1);
                assert_true(f == NULL || (f->damaged && f->state == SPOOL_QUARANTINED));
                quarantined += f != NULL;
                lost += f == NULL;
            }
        }
        close_spool();
    }
    free(flipped);
    journal_free();
    assert_true(quarantined > 0);
    /* only where the envelope's own header was hit is the id not known any more */
    assert_true(lost <= 3 * SPOOL_RECORD_HEADER);
}

static void test_newer_format(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1024);
    uint8_t payload[SPOOL_SEGMENT_PAYLOAD] = {SPOOL_FORMAT_VERSION + 1};
    struct spool_record record = {.type = SPOOL_RECORD_SEGMENT};
    assert_int_equal(spool_record_append(&b, &record, slice_of(payload, sizeof payload)), STATUS_OK);
    journal_write(b.data, b.len);
    assert_int_equal(open_spool(0), STATUS_VERSION);
    buf_release(&b);
}

static void test_disk_full(void **state)
{
    (void)state;
    static const size_t sizes[] = {50000};
    struct rlimit before, small_limit;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (unsigned limit = 100; limit < 220000; limit += 21001) {
        struct sample samples[4];
        bool good[4];
        folder_empty();
        assert_int_equal(open_spool(0), STATUS_OK);
        for (size_t i = 0; i < 4; i++) { /* before the limit: it counts for memory files too */
            sample_make(&samples[i], 100 + i, sizes, 1);
        }
        small_limit = before;
        small_limit.rlim_cur = limit;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small_limit), 0);
        for (size_t i = 0; i < 4; i++) {
            /* together, so that a part of a group fits */
            pending++;
            spool_add(spool, &samples[i].add);
            if (i != 1) {
                wait_added();
            }
        }
        for (size_t i = 0; i < 4; i++) {
            good[i] = samples[i].add.status == STATUS_OK;
            assert_int_equal(read_back(&samples[i]), good[i] ? STATUS_OK : STATUS_NOT_FOUND);
        }
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        struct sample after;
        sample_make(&after, 200, sizes, 1);
        assert_int_equal(add_now(&after), STATUS_OK);
        close_spool();
        assert_int_equal(open_spool(0), STATUS_OK);
        size_t count = 1;
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(read_back(&samples[i]), good[i] ? STATUS_OK : STATUS_NOT_FOUND);
            count += good[i];
            sample_free(&samples[i]);
        }
        assert_int_equal(found_count, count);
        assert_int_equal(read_back(&after), STATUS_OK);
        sample_free(&after);
        close_spool();
    }
}

static void test_one_sync_for_many(void **state)
{
    (void)state;
    static const size_t sizes[] = {1000};
    enum { COUNT = 200 };
    struct sample *samples = calloc(COUNT, sizeof *samples);
    struct spool_counts counts;
    assert_int_equal(open_spool(0), STATUS_OK);
    for (size_t i = 0; i < COUNT; i++) {
        sample_make(&samples[i], i, sizes, 1);
    }
    for (size_t i = 0; i < COUNT; i++) {
        pending++;
        spool_add(spool, &samples[i].add);
    }
    wait_added();
    spool_counts_get(spool, &counts);
    assert_int_equal(counts.messages, COUNT);
    assert_true(counts.syncs < COUNT / 4);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(samples[i].add.status, STATUS_OK);
        assert_int_equal(read_back(&samples[i]), STATUS_OK);
        sample_free(&samples[i]);
    }
    close_spool();
    free(samples);
}

static size_t segments_on_disk(void)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        n += strstr(e->d_name, ".seg") != NULL;
    }
    (void)closedir(d);
    return n;
}

static void test_old_segments_go(void **state)
{
    (void)state;
    static const size_t sizes[] = {3000};
    enum { COUNT = 400, KEPT = 8 };
    struct sample *samples = calloc(COUNT, sizeof *samples);
    assert_int_equal(open_spool(65536), STATUS_OK);
    struct spool_recipient one = {.state = RECIPIENT_WAITING, .reply = SLICE_LITERAL("450 later")};
    for (size_t i = 0; i < COUNT; i++) {
        sample_make(&samples[i], i, sizes, 1);
        assert_int_equal(add_now(&samples[i]), STATUS_OK);
        struct spool_state s = {.state = SPOOL_DEFERRED,
                                .attempts = (uint32_t)i,
                                .next_attempt_ms = i,
                                .recipients = &one,
                                .recipient_count = 1};
        spool_put_state(spool, samples[i].envelope.id, &s);
        if (i >= KEPT) {
            spool_delete(spool, samples[i].envelope.id);
        }
    }
    struct spool_counts counts;
    for (int i = 0; i < 100; i++) {
        (void)usleep(20000);
        spool_counts_get(spool, &counts);
        if (counts.segments <= 3) {
            break;
        }
    }
    assert_int_equal(counts.messages, KEPT);
    assert_true(counts.copied >= KEPT);
    assert_true(counts.segments <= 3);
    assert_true(segments_on_disk() <= 3);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(read_back(&samples[i]), i < KEPT ? STATUS_OK : STATUS_NOT_FOUND);
        }
        close_spool();
        assert_int_equal(open_spool(65536), STATUS_OK);
        assert_int_equal(found_count, KEPT);
        for (size_t i = 0; i < KEPT; i++) {
            assert_int_equal(found_of(&samples[i])->attempts, i);
        }
    }
    close_spool();
    for (size_t i = 0; i < COUNT; i++) {
        sample_free(&samples[i]);
    }
    free(samples);
}

static void test_nothing_is_plain(void **state)
{
    (void)state;
    static const size_t sizes[] = {300};
    struct sample s;
    char path[128];
    static uint8_t bytes[65536];
    sample_make(&s, 1, sizes, 1);
    assert_int_equal(open_spool(0), STATUS_OK);
    assert_int_equal(add_now(&s), STATUS_OK);
    struct spool_recipient one = {.reply = SLICE_LITERAL("450 greylisted")};
    struct spool_state state_of = {.recipients = &one, .recipient_count = 1};
    spool_put_state(spool, s.envelope.id, &state_of);
    close_spool();
    segment_path(path, sizeof path, 1);
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, bytes, sizeof bytes);
    (void)close(fd);
    assert_true(n > 0);
    assert_null(memmem(bytes, (size_t)n, s.content[0], 32));
    assert_null(memmem(bytes, (size_t)n, "a@a.test", 8));
    assert_null(memmem(bytes, (size_t)n, "one@b", 5));
    assert_null(memmem(bytes, (size_t)n, "greylisted", 10));
    sample_free(&s);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        CASE(test_sizes),
        CASE(test_states),
        CASE(test_cut_anywhere),
        CASE(test_newer_format),
        CASE(test_one_sync_for_many),
        CASE(test_old_segments_go),
        CASE(test_nothing_is_plain),
        CASE(test_disk_full),
        CASE(test_flipped_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
