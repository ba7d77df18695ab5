/*
 * SMTP smuggling, exhaustively: every sequence of CR, LF, dot, NUL and a letter up to a length, in content
 * and in commands, with every border between packets, on the way in and on the way out. What is right is told
 * by a few lines of another making (`end_of`), not by the code under test.
 */
#include "rig.h"
#include "smtp/data_reader.h"
#include "smtp/dot_stuffing.h"
#include "smtp/line_reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char alphabet[] = {'\r', '\n', '.', '\0', 'a'};
#define LETTERS sizeof alphabet

/* The n-th sequence of this length. */
static void sequence(size_t n, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = alphabet[n % LETTERS];
        n /= LETTERS;
    }
}

static size_t sequences(size_t len)
{
    size_t n = 1;
    for (size_t i = 0; i < len; i++) {
        n *= LETTERS;
    }
    return n;
}

/* Where content ends, the final dot's CRLF included; 0: not yet; -1: before that there is a byte that ends
 * the session. A CR at the very end may still be right. */
static long end_of(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool cr_before = i > 0 && text[i - 1] == '\r';
        if (text[i] == '\0' || (text[i] == '\n') != cr_before) {
            return -1;
        }
        if (text[i] == '\n' && i >= 2 && text[i - 2] == '.' &&
            (i == 2 || (i >= 4 && text[i - 3] == '\n' && text[i - 4] == '\r'))) {
            return (long)i + 1;
        }
    }
    return 0;
}

static const struct data_limits limits = {
    .max_size = 10000, .max_header = 10000, .max_line = 1000, .max_received = 10};

static void read_as(const char *text, size_t len, size_t first, size_t step, long wanted)
{
    struct data_reader r;
    struct buf out = BUF_INIT(10000);
    enum data_result result = DATA_MORE;
    size_t at = 0, next = first;
    data_reader_init(&r, &limits);
    while (at < len && result == DATA_MORE) {
        size_t used = 0, end = next < len ? next : len;
        result = data_read(&r, slice_of(text + at, end - at), &out, &used);
        at += used;
        next = end + step;
    }
    assert_int_equal(result, wanted < 0 ? DATA_BAD : wanted > 0 ? DATA_END : DATA_MORE);
    if (wanted > 0) {
        assert_int_equal(at, wanted);
    }
    for (size_t i = 0; i < out.len; i++) {
        assert_true(out.data[i] != '\0' && (out.data[i] == '\n') == (i > 0 && out.data[i - 1] == '\r'));
    }
    buf_release(&out);
}

static void test_content(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 6; len++) {
        for (size_t n = 0; n < sequences(len); n++) {
            static const char *const before[] = {"", "a\r\n", "a"};
            for (size_t b = 0; b < 3; b++) {
                char text[32];
                size_t head = strlen(before[b]), whole = head + len + 2;
                memcpy(text, before[b], head);
                sequence(n, len, text + head);
                text[head + len] = 'b'; /* a bare LF is never right: so a CR at the end is decided, too */
                text[head + len + 1] = '\n';
                long wanted = end_of(text, whole);
                read_as(text, whole, whole, 1, wanted);
                read_as(text, whole, 1, 1, wanted);
                for (size_t cut = 1; cut < whole && len <= 5; cut++) {
                    read_as(text, whole, cut, whole, wanted);
                }
            }
        }
    }
}

/* A line comes out whole and right, or not at all; however the bytes come. */
static void test_commands(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 6; len++) {
        for (size_t n = 0; n < sequences(len); n++) {
            char text[16] = "X";
            sequence(n, len, text + 1);
            size_t whole = len + 1, end = 0;
            enum line_result wanted = LINE_MORE;
            while (end < whole && wanted == LINE_MORE) { /* the first byte that decides */
                bool cr_before = text[end - (end > 0)] == '\r' && end > 0;
                wanted = text[end] == '\0' || (text[end] == '\n') != cr_before ? LINE_BAD
                         : text[end] == '\n'                                   ? LINE_OK
                                                                               : LINE_MORE;
                end++;
            }
            for (size_t cut = 1; cut <= whole; cut++) {
                struct slice line;
                size_t used = 0;
                enum line_result result = line_read(slice_of(text, cut), 100, &line, &used);
                if (result == LINE_MORE) {
                    assert_true(cut < end || wanted == LINE_MORE);
                    continue;
                }
                assert_true(result == wanted || (result == LINE_BAD && wanted == LINE_BAD));
                if (result == LINE_OK) {
                    assert_int_equal(used, end);
                    assert_int_equal(line.len, end - 2);
                }
            }
        }
    }
}

/* What leaves: whatever is put in, the next hop sees one message, and CRLF alone. */
static void stuffed_as(const char *text, size_t len, size_t cut)
{
    struct dot_stuffing d;
    struct buf wire = BUF_INIT(1000), once = BUF_INIT(1000);
    dot_stuffing_init(&d);
    assert_int_equal(dot_stuff(&d, slice_of(text, cut), &wire), STATUS_OK);
    assert_int_equal(dot_stuff(&d, slice_of(text + cut, len - cut), &wire), STATUS_OK);
    assert_int_equal(dot_stuff_end(&d, &wire), STATUS_OK);
    if (end_of((const char *)wire.data, wire.len) != (long)wire.len) {
        fail_msg("sequence of %zu, cut at %zu", len, cut);
    }
    dot_stuffing_init(&d);
    assert_int_equal(dot_stuff(&d, slice_of(text, len), &once), STATUS_OK);
    assert_int_equal(dot_stuff_end(&d, &once), STATUS_OK);
    assert_true(slice_equal(buf_slice(&wire), buf_slice(&once)));
    buf_release(&wire);
    buf_release(&once);
}

static void test_out(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 6; len++) {
        for (size_t n = 0; n < sequences(len); n++) {
            char text[8];
            sequence(n, len, text);
            for (size_t cut = 0; cut <= len; cut++) {
                stuffed_as(text, len, cut);
            }
        }
    }
}

/* --- over sockets --- */

static struct rig rig;
static struct sink sink;

static int begin(void **state)
{
    (void)state;
    char text[64];
    memset(&rig, 0, sizeof rig);
    memset(&sink, 0, sizeof sink);
    rig.grace_ms = 2000;
    sink_start(&sink);
    (void)!snprintf(text, sizeof text, "127.0.0.1:%u", sink.port);
    rig_set(&rig, "delivery.next_hop", text);
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
    return 0;
}

static void send_in_pieces(int fd, const char *text, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        if (send(fd, text + at, n, MSG_NOSIGNAL) != (ssize_t)n) {
            return; /* it has had enough */
        }
    }
}

#define SECOND                                                                                               \
    "MAIL FROM:<smuggled@evil.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\nSmuggled: yes\r\n\r\nx\r\n.\r\n"

/* Each sequence in the middle of a message, and behind it what the attacker wants to be a second one. It is
 * one only where CRLF dot CRLF was there, and then the sender's own. */
static void test_sequences_over_sockets(void **state)
{
    (void)state;
    size_t accepted = 0, smuggled = 0;
    rig_set(&rig, "smtp.max_errors", "10000");
    rig_start(&rig);
    for (size_t len = 3; len <= 5; len++) {
        for (size_t n = 0; n < sequences(len); n++) {
            char text[256];
            sequence(n, len, text + 1);
            text[0] = 'a';
            /* those with a dot between line ends of any kind are of interest; the others are tested above */
            if (memchr(text + 1, '.', len) == NULL || memchr(text + 1, 'a', len) != NULL ||
                (len == 5 && text[3] != '.')) {
                continue;
            }
            size_t whole = 1 + len;
            memcpy(text + whole, SECOND, sizeof SECOND - 1);
            whole += sizeof SECOND - 1;
            long end = end_of(text, whole);
            int fd = rig_connect(rig.port);
            assert_int_equal(client_reply(fd, NULL, 0), 220);
            client_send(fd, "EHLO x.test\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n");
            assert_int_equal(client_reply(fd, NULL, 0), 250);
            assert_int_equal(client_reply(fd, NULL, 0), 250);
            assert_int_equal(client_reply(fd, NULL, 0), 250);
            assert_int_equal(client_reply(fd, NULL, 0), 354);
            send_in_pieces(fd, text, whole, n % 2 == 0 ? whole : 1 + n % 3);
            int code = client_reply(fd, NULL, 0);
            assert_int_equal(code, end < 0 ? 554 : 250);
            accepted += code == 250;
            if (code == 250 && (size_t)end < whole) { /* the rest is commands */
                bool whole_dialogue = end_of(text + end, whole - (size_t)end) > 0 && text[end] == 'M';
                client_send(fd, "\r\nQUIT\r\n");
                for (code = 1; code > 0;) {
                    code = client_reply(fd, NULL, 0);
                    smuggled += code == 354;
                }
                accepted += whole_dialogue;
            } else if (code == 554) {
                assert_true(client_closed(fd));
            }
            (void)close(fd);
        }
    }
    assert_true(accepted > 0 && smuggled > 0);
    assert_int_equal(rig_stat(&rig, "accepted"), accepted);
    assert_true(sink_wait(&sink, accepted, 20000));
    for (size_t i = 0; i < accepted; i++) {
        smuggled -= strstr(sink.envelopes[i], "smuggled") != NULL;
    }
    assert_int_equal(smuggled, 0);
}

/* A command with a line end that is none ends the session before what follows is looked at. */
static void test_commands_over_sockets(void **state)
{
    (void)state;
    static const char *const ends[] = {"\r", "\n", "\n\r", "\r\r\n", "\n\n", "\r.\r", "\n.\n"};
    rig_start(&rig);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        for (int split = 0; split < 2; split++) {
            char text[64];
            int fd = rig_connect(rig.port);
            assert_int_equal(client_reply(fd, NULL, 0), 220);
            (void)!snprintf(text, sizeof text, "EHLO x%sMAIL FROM:<a@a.test>\r\n", ends[i]);
            send_in_pieces(fd, text, strlen(text), split ? 1 : strlen(text));
            assert_int_equal(client_reply(fd, NULL, 0), 554);
            assert_true(client_closed(fd));
            (void)close(fd);
        }
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),    cmocka_unit_test(test_commands),  cmocka_unit_test(test_out),
        CASE(test_sequences_over_sockets), CASE(test_commands_over_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
