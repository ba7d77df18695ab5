/* The message log: what is written is found, what is old or too much goes, and mail never waits for it. */
#include "rig.h"

#include "base/msgpack_read.h"
#include "smtp/message_log.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_MS ((uint64_t)86400000)

static char dir[64];
static const uint8_t key[32] = {7};

static int begin(void **state)
{
    (void)state;
    (void)!snprintf(dir, sizeof dir, "/tmp/sealpost-log-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int finish(void **state)
{
    char command[100];
    (void)state;
    (void)!snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static struct message_log *open_log(uint64_t max_bytes, uint64_t retention_ms)
{
    struct message_log *log = NULL;
    struct failure f = {0};
    struct message_log_options options = {.dir = dir,
                                          .key = slice_of(key, sizeof key),
                                          .node = "node1",
                                          .max_bytes = max_bytes,
                                          .retention_ms = retention_ms,
                                          .spare_bytes = 1};
    if (message_log_open(&options, &log, &f) != STATUS_OK) {
        fail_msg("%s", f.text);
    }
    return log;
}

static void id_at(uint64_t ms, uint8_t n, uint8_t id[ID_SIZE])
{
    const uint8_t random[10] = {n, 1, 2};
    id_make(id, ms, random);
}

static void put(struct message_log *log, const uint8_t id[ID_SIZE], const char *sender, const char *to,
                struct slice trace)
{
    struct message_person people[] = {{.address = slice_of_text(to), .protection = SLICE_LITERAL("none")}};
    struct message_taken t = {.arrived_ms = clock_wall_ms(),
                              .size = 100,
                              .sender = slice_of_text(sender),
                              .client_ip = SLICE_LITERAL("192.0.2.1"),
                              .listener = SLICE_LITERAL("smtp"),
                              .reply = SLICE_LITERAL("250 2.0.0 queued"),
                              .people = people,
                              .people_count = 1,
                              .recipient_count = 1};
    message_log_taken(log, id, &t, trace);
}

static void settle(struct message_log *log, const uint8_t id[ID_SIZE], enum message_state state)
{
    struct message_outcome o = {.position = 0,
                                .state = state,
                                .next_hop = SLICE_LITERAL("192.0.2.9:25"),
                                .enhanced = SLICE_LITERAL("2.0.0"),
                                .text = SLICE_LITERAL("250 thanks \xff\"")};
    struct message_event e = {.type = MESSAGE_EVENT_ATTEMPT,
                              .time_ms = clock_wall_ms(),
                              .attempt = 1,
                              .outcomes = &o,
                              .outcome_count = 1};
    message_log_event(log, id, &e);
}

static enum status show(struct message_log *log, const uint8_t id[ID_SIZE], struct buf *entry,
                        struct buf *trace)
{
    struct failure f = {0};
    *entry = BUF_INIT(1 << 20);
    *trace = BUF_INIT(1 << 20);
    return message_log_show(log, id, entry, trace, &f);
}

static void assert_shows(struct message_log *log, const uint8_t id[ID_SIZE], const char *text)
{
    struct buf entry, trace;
    assert_int_equal(show(log, id, &entry, &trace), STATUS_OK);
    assert_non_null(strstr(buf_text(&entry), text));
    buf_release(&entry);
    buf_release(&trace);
}

static bool is_there(struct message_log *log, const uint8_t id[ID_SIZE])
{
    struct buf entry, trace;
    enum status status = show(log, id, &entry, &trace);
    buf_release(&entry);
    buf_release(&trace);
    return status == STATUS_OK;
}

static void what_is_written_is_found(void **state)
{
    (void)state;
    uint8_t id[ID_SIZE], other[ID_SIZE];
    struct buf entry, trace, long_trace = BUF_INIT(1 << 20);
    struct message_log *log = open_log((uint64_t)1 << 30, 30 * DAY_MS);
    id_at(clock_wall_ms(), 1, id);
    id_at(clock_wall_ms(), 2, other);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(buf_append_text(&long_trace, "{\"a\":[1,2,3]},"), STATUS_OK);
    }
    put(log, id, "a@a.test", "b@b.test", buf_slice(&long_trace));
    assert_shows(log, id, "\"state\":\"waiting\"");
    settle(log, id, MESSAGE_DEFERRED);
    assert_shows(log, id, "\"state\":\"deferred\"");
    settle(log, id, MESSAGE_DELIVERED);
    assert_int_equal(show(log, id, &entry, &trace), STATUS_OK);
    assert_non_null(strstr(buf_text(&entry), "\"state\":\"delivered\""));
    assert_non_null(
        strstr(buf_text(&entry), "250 thanks \xef\xbf\xbd\\\"")); /* anybody's bytes are JSON then */
    assert_true(slice_equal(buf_slice(&trace), buf_slice(&long_trace)));
    buf_release(&entry);
    buf_release(&trace);
    assert_false(is_there(log, other));
    message_log_close(log);
    log = open_log((uint64_t)1 << 30, 30 * DAY_MS); /* also after a restart */
    assert_shows(log, id, "\"state\":\"delivered\"");
    settle(log, id, MESSAGE_FAILED); /* later events come later, over restarts */
    assert_shows(log, id, "\"state\":\"bounced\"");
    message_log_close(log);
    buf_release(&long_trace);
}

static void lists_go_page_by_page(void **state)
{
    (void)state;
    struct message_log *log = open_log((uint64_t)1 << 30, 30 * DAY_MS);
    uint64_t now = clock_wall_ms();
    for (uint8_t i = 0; i < 25; i++) {
        uint8_t id[ID_SIZE];
        id_at(now - (uint64_t)(25 - i) * 1000, i, id);
        put(log, id, i % 2 == 0 ? "even@a.test" : "odd@A.test", "b@b.test", SLICE_LITERAL("{}"));
        settle(log, id, i < 5 ? MESSAGE_FAILED : MESSAGE_DELIVERED);
    }
    struct message_query q = {.limit = 10, .from = SLICE_LITERAL("ODD@a.test")};
    struct buf out = BUF_INIT(1 << 20);
    struct failure f = {0};
    size_t count = 0;
    bool more = false;
    uint8_t next[ID_SIZE];
    assert_int_equal(message_log_list(log, &q, &out, &count, &more, next, &f), STATUS_OK);
    assert_int_equal(count, 10);
    assert_true(more);
    memcpy(q.before, next, ID_SIZE);
    q.has_before = true;
    assert_int_equal(message_log_list(log, &q, &out, &count, &more, next, &f), STATUS_OK);
    assert_int_equal(count, 2);
    assert_false(more);
    q = (struct message_query){.limit = 100, .status = SLICE_LITERAL("bounced")};
    assert_int_equal(message_log_list(log, &q, &out, &count, &more, next, &f), STATUS_OK);
    assert_int_equal(count, 5);
    q = (struct message_query){.limit = 100, .since_ms = now - 3500, .until_ms = now - 1500};
    assert_int_equal(message_log_list(log, &q, &out, &count, &more, next, &f), STATUS_OK);
    assert_int_equal(count, 2);
    q = (struct message_query){.limit = 100, .to = SLICE_LITERAL("@b.test")};
    assert_int_equal(message_log_list(log, &q, &out, &count, &more, next, &f), STATUS_OK);
    assert_int_equal(count, 25);
    q.to = SLICE_LITERAL("@else.test");
    assert_int_equal(message_log_list(log, &q, &out, &count, &more, next, &f), STATUS_OK);
    assert_int_equal(count, 0);
    buf_release(&out);
    message_log_close(log);
}

static void what_is_too_old_goes(void **state)
{
    (void)state;
    uint8_t old[ID_SIZE], young[ID_SIZE], trigger[ID_SIZE];
    struct message_log *log = open_log((uint64_t)1 << 30, 2 * DAY_MS);
    id_at(clock_wall_ms() - DAY_MS, 1, old);
    id_at(clock_wall_ms(), 2, young);
    put(log, old, "a@a.test", "b@b.test", SLICE_LITERAL("{}"));
    settle(log, old, MESSAGE_DELIVERED);
    put(log, young, "a@a.test", "b@b.test", SLICE_LITERAL("{}"));
    assert_true(is_there(log, old));
    message_log_limits(log, (uint64_t)1 << 30, DAY_MS / 2);
    id_at(clock_wall_ms(), 3, trigger);
    put(log, trigger, "a@a.test", "b@b.test", SLICE_LITERAL("{}"));
    assert_true(is_there(log, young)); /* which waits for what was put */
    assert_false(is_there(log, old));
    struct message_log_counts counts;
    message_log_counts_get(log, &counts);
    assert_int_equal(counts.expired, 1);
    message_log_close(log);
}

static uint64_t file_size(void)
{
    char path[128];
    struct stat st;
    (void)!snprintf(path, sizeof path, "%s/data.mdb", dir);
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void the_disk_is_bounded_and_the_oldest_go_first(void **state)
{
    (void)state;
    enum { MAX = 1 << 20, COUNT = 3000 };
    uint8_t id[ID_SIZE], first[ID_SIZE], noise[3000];
    struct message_log *log = open_log(MAX, 30 * DAY_MS);
    uint64_t now = clock_wall_ms();
    for (int i = 0; i < COUNT; i++) {
        id_at(now + (uint64_t)i, 0, id);
        if (i == 0) {
            memcpy(first, id, ID_SIZE);
        }
        random_bytes(noise, sizeof noise); /* compression does not help */
        put(log, id, "a@a.test", "b@b.test", slice_of(noise, sizeof noise));
        if (i % 50 == 0) {
            message_log_flush(log);
        }
    }
    assert_true(is_there(log, id));
    assert_false(is_there(log, first));
    struct message_log_counts counts;
    message_log_counts_get(log, &counts);
    assert_int_equal(counts.dropped, 0);
    assert_true(counts.expired > COUNT / 2);
    assert_true(file_size() < 3 * (uint64_t)MAX);
    message_log_close(log);
}

static void a_record_in_another_place_does_not_open(void **state)
{
    (void)state;
    uint8_t id[ID_SIZE];
    char path[128];
    struct message_log *log = open_log((uint64_t)1 << 30, 30 * DAY_MS);
    id_at(clock_wall_ms(), 1, id);
    put(log, id, "alice-in-the-log@a.test", "b@b.test", SLICE_LITERAL("{}"));
    assert_true(is_there(log, id));
    message_log_close(log);
    (void)!snprintf(path, sizeof path, "%s/data.mdb", dir);
    int fd = open(path, O_RDWR);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    uint8_t *all = malloc((size_t)st.st_size);
    assert_int_equal(pread(fd, all, (size_t)st.st_size, 0), st.st_size);
    assert_null(memmem(all, (size_t)st.st_size, "alice-in-the-log", 16));
    for (uint8_t *p = memmem(all, (size_t)st.st_size, id, ID_SIZE); p != NULL;
         p = memmem(p + 1, (size_t)(all + st.st_size - p - 1), id, ID_SIZE)) {
        uint8_t other = (uint8_t)(p[ID_SIZE - 1] ^ 1); /* the same bytes under another id */
        assert_int_equal(pwrite(fd, &other, 1, p + ID_SIZE - 1 - all), 1);
    }
    free(all);
    (void)close(fd);
    log = open_log((uint64_t)1 << 30, 30 * DAY_MS);
    id[ID_SIZE - 1] ^= 1;
    struct buf entry, trace;
    assert_int_equal(show(log, id, &entry, &trace), STATUS_CRYPTO);
    buf_release(&entry);
    buf_release(&trace);
    message_log_close(log);
}

/* --- mail goes on --- */

static void deliver(struct rig *rig, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(
            client_deliver(rig->port, "a@a.test", "b@b.test", "From: a@a.test\r\n\r\nx\r\n", NULL, 0), 250);
    }
}

/* The log meets the end of the disk and mail does not: files may grow to LIMIT, which the spool's segments
 * never do. */
static void a_full_disk_stops_the_log_and_no_mail(void **state)
{
    (void)state;
    enum { LIMIT = 192 << 10 };
    static struct rig rig;
    static struct sink sink;
    char text[64];
    struct rlimit before, small_limit;
    memset(&rig, 0, sizeof rig);
    memset(&sink, 0, sizeof sink);
    (void)signal(SIGXFSZ, SIG_IGN);
    rig.grace_ms = 2000;
    rig.segment_size = 32 << 10;
    sink_start(&sink);
    (void)!snprintf(text, sizeof text, "127.0.0.1:%u", sink.port);
    rig_set(&rig, "delivery.next_hop", text);
    rig_start(&rig);
    deliver(&rig, 5);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small_limit = before;
    small_limit.rlim_cur = LIMIT;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small_limit), 0);
    int sent = 5;
    for (int i = 0; i < 40 && rig_stat(&rig, "message_log_dropped") == 0; i++) {
        deliver(&rig, 50);
        sent += 50;
    }
    assert_true(rig_stat(&rig, "message_log_dropped") > 0); /* the test has met the limit */
    deliver(&rig, 20);
    sent += 20;
    assert_true(sink_wait(&sink, (size_t)sent, 20000));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    uint64_t written = rig_stat(&rig, "message_log_written");
    deliver(&rig, 5); /* there is room again: it is written again */
    for (int i = 0; i < 60 && rig_stat(&rig, "message_log_written") <= written; i++) {
        (void)usleep(50000);
    }
    assert_true(rig_stat(&rig, "message_log_written") > written);
    assert_true(sink_wait(&sink, (size_t)sent + 5, 20000));
    rig_stop(&rig);
    sink_stop(&sink);
    rig_remove(&rig);
}

static void broken_records_are_no_records(void **state)
{
    (void)state;
    struct arena a;
    struct message_taken taken;
    struct message_event event;
    struct message_outcome o = {.position = 3, .state = MESSAGE_FAILED, .text = SLICE_LITERAL("t")};
    struct message_event e = {.type = MESSAGE_EVENT_NOTIFIED, .outcomes = &o, .outcome_count = 1};
    struct buf out = BUF_INIT(4096);
    arena_init(&a, 1 << 20);
    assert_int_equal(message_event_encode(&e, &out), STATUS_OK);
    assert_int_equal(message_event_decode(buf_slice(&out), &a, &event), STATUS_OK);
    assert_int_equal(event.outcomes[0].position, 3);
    for (size_t i = 0; i < out.len; i++) {
        assert_int_not_equal(message_event_decode(slice_of(out.data, i), &a, &event), STATUS_OK);
        for (unsigned bit = 0; bit < 8; bit++) {
            out.data[i] ^= (uint8_t)(1u << bit);
            (void)!message_event_decode(buf_slice(&out), &a, &event);
            (void)!message_taken_decode(buf_slice(&out), &a, &taken);
            out.data[i] ^= (uint8_t)(1u << bit);
        }
        arena_release(&a);
    }
    buf_release(&out);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_found),
        CASE(lists_go_page_by_page),
        CASE(what_is_too_old_goes),
        CASE(the_disk_is_bounded_and_the_oldest_go_first),
        CASE(a_record_in_another_place_does_not_open),
        cmocka_unit_test(a_full_disk_stops_the_log_and_no_mail),
        cmocka_unit_test(broken_records_are_no_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
