/* The queue's tools over the socket: filters, orders, summaries, operations, events, what is in a message;
 * and what of it outlives a start. */
#include "rig.h"

#include "base/channel.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "smtp/queue_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY     "From: a@a.test\r\nTo: b@b.test\r\nSubject: secret one\r\n\r\nthe body\r\n"
#define WHO(...) ((struct queue_selection){__VA_ARGS__})

static struct rig rig;
static struct sink sink;
static struct arena arena;

static int begin(void **state)
{
    (void)state;
    char text[64];
    memset(&rig, 0, sizeof rig);
    memset(&sink, 0, sizeof sink);
    arena_init(&arena, (size_t)4 << 20);
    rig.grace_ms = 2000;
    sink_start(&sink);
    (void)!snprintf(text, sizeof text, "127.0.0.1:%u", sink.port);
    rig_set(&rig, "delivery.next_hop", text);
    rig_set(&rig, "delivery.retry", "1h");
    return 0;
}

static int finish(void **state)
{
    (void)state;
    if (rig.thread != 0) {
        rig_stop(&rig);
    }
    sink_stop(&sink);
    rig_remove(&rig);
    arena_release(&arena);
    return 0;
}

/* The body of the answer, copied; its status. */
static enum status ask(enum queue_request type, const struct buf *args, size_t count, struct slice *body)
{
    struct channel_frame frame;
    struct msgpack_reader r;
    struct buf none = BUF_INIT(8);
    rig_queue_question(&rig, type, args != NULL ? args : &none, count, &frame);
    msgpack_reader_init(&r, buf_slice(&frame.payload));
    size_t fields = read_array(&r, 5);
    assert_int_equal(read_u64(&r), type);
    (void)read_u64(&r);
    enum status status = status_from_number(read_u64(&r));
    (void)read_text(&r, FAILURE_TEXT_MAX);
    assert_int_equal(msgpack_reader_status(&r, false), STATUS_OK);
    assert_int_equal(fields, status == STATUS_OK ? 5 : 4);
    if (body != NULL) {
        assert_true(arena_copy(&arena, slice_of(r.at, (size_t)(r.end - r.at)), body));
    }
    channel_frame_release(&frame);
    return status;
}

static enum status of_one(enum queue_request type, const char *id)
{
    struct buf args = BUF_INIT(128);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &args);
    write_text(&w, slice_of_text(id));
    assert_int_equal(msgpack_writer_status(&w), STATUS_OK);
    enum status status = ask(type, &args, 1, NULL);
    buf_release(&args);
    return status;
}

static struct queue_entry found[64];
static char cursors[64][QUEUE_CURSOR_SIZE];

static enum status find_status(const struct queue_selection *s, const char *sort, bool descending,
                               size_t limit, const char *after, size_t *count, bool *more)
{
    struct buf args = BUF_INIT(8192);
    struct msgpack_writer w;
    struct msgpack_reader r;
    struct slice body;
    assert_int_equal(queue_selection_encode(s, &args), STATUS_OK);
    msgpack_writer_init(&w, &args);
    write_text(&w, slice_of_text(sort));
    write_bool(&w, descending);
    write_u64(&w, limit);
    write_text(&w, slice_of_text(after));
    assert_int_equal(msgpack_writer_status(&w), STATUS_OK);
    enum status status = ask(QUEUE_FIND, &args, 5, &body);
    buf_release(&args);
    if (status != STATUS_OK) {
        return status;
    }
    msgpack_reader_init(&r, body);
    (void)read_array(&r, 2);
    *more = read_bool(&r);
    *count = read_array(&r, 64);
    for (size_t i = 0; i < *count; i++) {
        (void)read_array(&r, 2);
        struct slice cursor = read_text(&r, QUEUE_CURSOR_SIZE - 1);
        (void)!snprintf(cursors[i], sizeof cursors[i], "%.*s", SLICE_ARGS(cursor));
        queue_entry_read(&r, &arena, &found[i]);
    }
    assert_int_equal(msgpack_reader_status(&r, true), STATUS_OK);
    return STATUS_OK;
}

static size_t find(struct queue_selection s)
{
    size_t count = 0;
    bool more = false;
    assert_int_equal(find_status(&s, "arrived", false, 0, "", &count, &more), STATUS_OK);
    assert_false(more);
    return count;
}

static char *id_of(size_t i)
{
    return arena_text(&arena, found[i].id);
}

static void deliver(const char *from, const char *to, const char *body)
{
    assert_int_equal(client_deliver(rig.port, from, to, body, NULL, 0), 250);
}

static void wait_stat(const char *name, uint64_t value)
{
    for (int i = 0; i < 2000 && rig_stat(&rig, name) != value; i++) {
        (void)usleep(5000);
    }
    assert_int_equal(rig_stat(&rig, name), value);
}

/* Six messages, each tried once and deferred. */
static void six(void)
{
    atomic_store(&sink.rcpt_code, 450);
    rig_start(&rig);
    deliver("ann@a.test", "x@One.test", BODY);
    deliver("ben@a.test", "y@one.test,z@two.test", BODY);
    deliver("", "p@two.test", BODY);
    deliver("ann@b.test", "q@three.test", BODY "and more of it\r\n");
    deliver("ann@b.test", "q.r@three.test", BODY);
    deliver("cat@c.test", "s@sub.three.test", BODY);
    wait_stat("deferred", 6);
    wait_stat("queue_active", 0);
}

static void test_filters(void **state)
{
    (void)state;
    six();
    assert_int_equal(find(WHO(0)), 6);
    assert_int_equal(find(WHO(.sender = SLICE_LITERAL("ANN@a.test"))), 1);
    assert_int_equal(find(WHO(.sender = SLICE_LITERAL("ann@*"))), 3);
    assert_int_equal(find(WHO(.sender = SLICE_LITERAL("@a.test"))), 2);
    assert_int_equal(find(WHO(.sender = SLICE_LITERAL("nn@a.test"))), 0); /* no part of an address */
    assert_int_equal(find(WHO(.sender = SLICE_LITERAL("<>"))), 1);
    assert_true(slice_equal(found[0].recipients[0].address, SLICE_LITERAL("p@two.test")));
    assert_int_equal(find(WHO(.recipient = SLICE_LITERAL("z@two.test"))), 1);
    assert_int_equal(find(WHO(.domain = SLICE_LITERAL("one.test"))), 2);
    assert_int_equal(find(WHO(.domain = SLICE_LITERAL("*three.test"))), 3);
    assert_int_equal(find(WHO(.domain = SLICE_LITERAL("one.test"), .sender = SLICE_LITERAL("@b.test"))), 0);
    /* both of one recipient, not one of each */
    assert_int_equal(find(WHO(.domain = SLICE_LITERAL("one.test"), .recipient = SLICE_LITERAL("z@*"))), 0);
    assert_int_equal(find(WHO(.reason = SLICE_LITERAL("told so"))), 6);
    assert_int_equal(find(WHO(.reason = SLICE_LITERAL("450*test"))), 6);
    assert_int_equal(find(WHO(.reason = SLICE_LITERAL("550"))), 0);
    assert_int_equal(find(WHO(.next_hop = SLICE_LITERAL("127.0.0.1:"))), 6);
    assert_int_equal(find(WHO(.next_hop = SLICE_LITERAL("127.0.0.2:"))), 0);
    assert_int_equal(find(WHO(.state = SLICE_LITERAL("deferred"))), 6);
    assert_int_equal(find(WHO(.state = SLICE_LITERAL("held"))), 0);
    assert_int_equal(find(WHO(.node = SLICE_LITERAL("elsewhere"))), 0);
    uint64_t now = clock_wall_ms();
    assert_int_equal(find(WHO(.until_ms = now - 3600000)), 0);
    assert_int_equal(find(WHO(.since_ms = now - 3600000)), 6);
    size_t count;
    bool more;
    assert_int_equal(
        find_status(&WHO(.state = SLICE_LITERAL("lost")), "arrived", false, 0, "", &count, &more),
        STATUS_INVALID);
    assert_int_equal(find_status(&WHO(0), "colour", false, 0, "", &count, &more), STATUS_INVALID);
    assert_int_equal(find_status(&WHO(0), "arrived", false, 0, "nowhere", &count, &more), STATUS_INVALID);
}

static void test_orders_and_pages(void **state)
{
    (void)state;
    static const char *const sorts[] = {"arrived", "next", "size", "attempts"};
    six();
    for (size_t s = 0; s < 8; s++) {
        size_t seen = 0, count = 0;
        bool more = true;
        char after[QUEUE_CURSOR_SIZE] = "";
        while (more) {
            assert_int_equal(find_status(&WHO(0), sorts[s / 2], s % 2 == 1, 4, after, &count, &more),
                             STATUS_OK);
            for (size_t i = 0; i < count; i++) {
                int order = strcmp(after, cursors[i]);
                assert_true(after[0] == '\0' || (s % 2 == 0 ? order < 0 : order > 0));
                memcpy(after, cursors[i], sizeof after);
                seen++;
            }
        }
        assert_int_equal(seen, 6);
    }
    size_t count;
    bool more;
    assert_int_equal(find_status(&WHO(0), "size", true, 1, "", &count, &more), STATUS_OK);
    assert_true(more);
    assert_true(slice_equal(found[0].recipients[0].address, SLICE_LITERAL("y@one.test")) ||
                slice_equal(found[0].recipients[0].address, SLICE_LITERAL("q@three.test")));
}

/* "name=total name=total", the most first. */
static const char *summary(struct queue_selection s, const char *by)
{
    static char text[1024];
    struct buf args = BUF_INIT(8192);
    struct msgpack_writer w;
    struct msgpack_reader r;
    struct slice body;
    assert_int_equal(queue_selection_encode(&s, &args), STATUS_OK);
    msgpack_writer_init(&w, &args);
    write_text(&w, slice_of_text(by));
    assert_int_equal(msgpack_writer_status(&w), STATUS_OK);
    assert_int_equal(ask(QUEUE_SUMMARY, &args, 2, &body), STATUS_OK);
    buf_release(&args);
    msgpack_reader_init(&r, body);
    size_t rows = read_array(&r, 100);
    text[0] = '\0';
    for (size_t i = 0; i < rows; i++) {
        (void)read_array(&r, 2);
        struct slice name = read_text(&r, 400);
        size_t ages = read_array(&r, QUEUE_AGES);
        uint64_t total = 0;
        for (size_t k = 0; k < ages; k++) {
            uint64_t n = read_u64(&r);
            assert_true(k == 0 || n == 0); /* all are young */
            total += n;
        }
        size_t len = strlen(text);
        (void)!snprintf(text + len, sizeof text - len, "%s%.*s=%d", i > 0 ? " " : "", SLICE_ARGS(name),
                        (int)total);
    }
    assert_int_equal(msgpack_reader_status(&r, true), STATUS_OK);
    return text;
}

static void test_summary(void **state)
{
    (void)state;
    six();
    assert_string_equal(summary(WHO(0), "recipient-domain"),
                        "one.test=2 three.test=2 two.test=2 sub.three.test=1");
    assert_string_equal(summary(WHO(0), "sender-domain"), "a.test=2 b.test=2 =1 c.test=1");
    assert_string_equal(summary(WHO(0), "reason"), "450 4.1.1 told so by the test=7");
    /* of the message that is meant, only those recipients */
    assert_string_equal(summary(WHO(.domain = SLICE_LITERAL("two.test")), "recipient-domain"), "two.test=2");
}

static void test_hold_and_release(void **state)
{
    (void)state;
    six();
    assert_int_equal(find(WHO(.domain = SLICE_LITERAL("one.test"))), 2);
    const char *first = id_of(0), *second = id_of(1);
    assert_int_equal(of_one(QUEUE_HOLD, first), STATUS_OK);
    assert_int_equal(of_one(QUEUE_HOLD, second), STATUS_OK);
    assert_int_equal(of_one(QUEUE_HOLD, second), STATUS_OK);
    assert_int_equal(of_one(QUEUE_RETRY, second), STATUS_CONFLICT);
    assert_int_equal(rig_stat(&rig, "queue_held"), 2);
    assert_int_equal(find(WHO(.state = SLICE_LITERAL("held"))), 2);
    /* held survives a start, with what was answered before; the rest is delivered, those are not */
    rig_stop(&rig);
    rig.keep_dir = true;
    atomic_store(&sink.rcpt_code, 0);
    rig_start(&rig);
    wait_stat("queue_index_unread", 0);
    assert_int_equal(rig_operate(&rig, "retry", &WHO(0)), 4);
    assert_true(sink_wait(&sink, 4, 10000));
    wait_stat("queue_messages", 2);
    assert_int_equal(find(WHO(.state = SLICE_LITERAL("held"), .reason = SLICE_LITERAL("told so"))), 2);
    assert_int_equal(rig_stat(&rig, "queue_quarantined"), 0);
    assert_int_equal(of_one(QUEUE_RELEASE, first), STATUS_OK);
    assert_true(sink_wait(&sink, 5, 10000));
    assert_int_equal(of_one(QUEUE_RELEASE, second), STATUS_OK);
    assert_true(sink_wait(&sink, 6, 10000));
    wait_stat("queue_messages", 0);
    assert_int_equal(of_one(QUEUE_RELEASE, second), STATUS_NOT_FOUND);
}

static void test_held_before_it_was_tried(void **state)
{
    (void)state;
    rig_set(&rig, "delivery.next_hop", "127.0.0.1:1"); /* nobody is there: it waits */
    rig_start(&rig);
    deliver("ann@a.test", "x@one.test", BODY);
    wait_stat("deferred", 1);
    assert_int_equal(rig_operate(&rig, "hold", &WHO(.sender = SLICE_LITERAL("ann@a.test"))), 1);
    wait_stat("queue_held", 1);
    assert_int_equal(rig_operate(&rig, "release", &WHO(.state = SLICE_LITERAL("held"))), 1);
    wait_stat("queue_held", 0);
}

static void test_bounce(void **state)
{
    (void)state;
    six();
    assert_int_equal(find(WHO(.recipient = SLICE_LITERAL("q@three.test"))), 1);
    const char *id = id_of(0);
    atomic_store(&sink.rcpt_code, 0); /* the notification is taken; the message itself is not tried */
    assert_int_equal(of_one(QUEUE_BOUNCE, id), STATUS_OK);
    assert_true(sink_wait(&sink, 1, 10000));
    assert_non_null(strstr(sink.envelopes[0], "MAIL FROM:<>"));
    assert_non_null(strstr(sink.envelopes[0], "RCPT TO:<ann@b.test>"));
    assert_non_null(strstr(sink.messages[0], "Status: 5.4.7"));
    assert_non_null(strstr(sink.messages[0], "returned by an administrator; the last answer was: 450 4.1.1"));
    assert_null(strstr(sink.messages[0], "the body"));
    wait_stat("queue_messages", 5);
    /* a null sender is told nothing: it is just over */
    assert_int_equal(rig_operate(&rig, "bounce", &WHO(.sender = SLICE_LITERAL("<>"))), 1);
    wait_stat("queue_messages", 4);
    /* held ones can be given up, too */
    assert_int_equal(find(WHO(.recipient = SLICE_LITERAL("s@*"))), 1);
    id = id_of(0);
    assert_int_equal(of_one(QUEUE_HOLD, id), STATUS_OK);
    assert_int_equal(of_one(QUEUE_BOUNCE, id), STATUS_OK);
    assert_true(sink_wait(&sink, 2, 10000));
    assert_non_null(strstr(sink.envelopes[1], "RCPT TO:<cat@c.test>"));
    wait_stat("queue_messages", 3);
    assert_int_equal(sink.count, 2);
}

static void test_operations(void **state)
{
    (void)state;
    six();
    struct buf args = BUF_INIT(8192);
    struct msgpack_writer w;
    struct msgpack_reader r;
    struct slice body;
    /* unconfirmed: counted */
    assert_int_equal(queue_selection_encode(&WHO(.domain = SLICE_LITERAL("*three.test")), &args), STATUS_OK);
    msgpack_writer_init(&w, &args);
    write_text(&w, SLICE_LITERAL("delete"));
    write_text(&w, SLICE_LITERAL("00000000000000000000000001"));
    write_text(&w, SLICE_LITERAL("me"));
    write_bool(&w, false);
    assert_int_equal(msgpack_writer_status(&w), STATUS_OK);
    assert_int_equal(ask(QUEUE_OPERATE, &args, 5, &body), STATUS_OK);
    msgpack_reader_init(&r, body);
    assert_int_equal(read_u64(&r), 3);
    assert_int_equal(rig_stat(&rig, "queue_messages"), 6);
    assert_int_equal(of_one(QUEUE_CANCEL, "00000000000000000000000001"), STATUS_NOT_FOUND);
    buf_release(&args);
    /* done */
    assert_int_equal(rig_operate(&rig, "delete", &WHO(.domain = SLICE_LITERAL("*three.test"))), 3);
    assert_int_equal(rig_stat(&rig, "queue_messages"), 3);
    assert_int_equal(rig_operate(&rig, "hold", &WHO(0)), 3);
    wait_stat("queue_held", 3);
    assert_int_equal(rig_operate(&rig, "retry", &WHO(0)), 0); /* held ones are none of them */
    assert_int_equal(rig_operate(&rig, "delete", &WHO(.state = SLICE_LITERAL("held"))), 3);
    assert_int_equal(rig_stat(&rig, "queue_messages"), 0);
    assert_int_equal(
        ask(QUEUE_OPERATIONS, &(struct buf){.data = (uint8_t *)"\xa0", .len = 1, .max = 1}, 1, &body),
        STATUS_OK);
    msgpack_reader_init(&r, body);
    assert_int_equal(read_array(&r, 100), 4);
}

static size_t follow(char *place, size_t size, const char **first)
{
    struct buf args = BUF_INIT(256);
    struct msgpack_writer w;
    struct msgpack_reader r;
    struct slice body;
    msgpack_writer_init(&w, &args);
    write_text(&w, slice_of_text(place));
    assert_int_equal(msgpack_writer_status(&w), STATUS_OK);
    assert_int_equal(ask(QUEUE_FOLLOW, &args, 1, &body), STATUS_OK);
    buf_release(&args);
    msgpack_reader_init(&r, body);
    (void)read_array(&r, 3);
    (void)!snprintf(place, size, "other=9 node1=%llu", (unsigned long long)read_u64(&r));
    assert_int_equal(read_u64(&r), 0);
    size_t count = read_array(&r, 100);
    for (size_t i = 0; i < count; i++) {
        struct queue_event e;
        queue_event_read(&r, &e);
        if (i == 0) {
            *first = arena_text(&arena, e.event);
        }
    }
    assert_int_equal(msgpack_reader_status(&r, true), STATUS_OK);
    return count;
}

static void test_follow(void **state)
{
    (void)state;
    char place[128] = "";
    const char *first = NULL;
    rig_start(&rig);
    deliver("ann@a.test", "x@one.test", BODY); /* nobody looks */
    assert_true(sink_wait(&sink, 1, 10000));
    assert_int_equal(follow(place, sizeof place, &first), 0);
    assert_int_equal(follow(place, sizeof place, &first), 0); /* waits a second, in vain */
    deliver("ann@a.test", "x@one.test", BODY);
    assert_true(sink_wait(&sink, 2, 10000));
    size_t events = 0;
    while (events < 2) {
        size_t now = follow(place, sizeof place, &first);
        if (events == 0 && now > 0) {
            assert_string_equal(first, "accepted");
        }
        events += now;
    }
    assert_int_equal(events, 2); /* and delivered */
}

static void test_content(void **state)
{
    (void)state;
    six();
    assert_int_equal(find(WHO(.recipient = SLICE_LITERAL("p@two.test"))), 1);
    for (int whole = 0; whole < 2; whole++) {
        struct buf args = BUF_INIT(256);
        struct msgpack_writer w;
        struct msgpack_reader r;
        struct slice body;
        msgpack_writer_init(&w, &args);
        write_text(&w, found[0].id);
        write_u64(&w, 0);
        write_bool(&w, whole == 1);
        assert_int_equal(msgpack_writer_status(&w), STATUS_OK);
        assert_int_equal(ask(QUEUE_CONTENT, &args, 3, &body), STATUS_OK);
        buf_release(&args);
        msgpack_reader_init(&r, body);
        assert_int_equal(read_array(&r, 6), 6);
        assert_int_equal(read_u64(&r), 1);
        (void)read_text(&r, 64);
        assert_int_equal(read_array(&r, 10), 1);
        assert_true(slice_equal(read_text(&r, 100), SLICE_LITERAL("p@two.test")));
        struct slice bytes = read_bytes(&r, 100000);
        uint64_t size = read_u64(&r);
        assert_false(read_bool(&r));
        assert_int_equal(msgpack_reader_status(&r, true), STATUS_OK);
        assert_non_null(memmem(bytes.data, bytes.len, "Subject: secret one\r\n", 21));
        assert_int_equal(memmem(bytes.data, bytes.len, "the body", 8) != NULL, whole);
        assert_int_equal(bytes.len == size, whole);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        CASE(test_filters),
        CASE(test_orders_and_pages),
        CASE(test_summary),
        CASE(test_hold_and_release),
        CASE(test_held_before_it_was_tried),
        CASE(test_bounce),
        CASE(test_operations),
        CASE(test_follow),
        CASE(test_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
