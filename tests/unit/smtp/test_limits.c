/* What a client may take of the service, over sockets: rates, sessions, errors. */
#include "rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY "Subject: one\r\n\r\ntext\r\n"

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

static int greeted(void)
{
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "EHLO x.test"), 250);
    return fd;
}

static void answers(int fd, const char *line, const char *wanted)
{
    char reply[512];
    client_send(fd, line);
    client_send(fd, "\r\n");
    (void)client_reply(fd, reply, sizeof reply);
    if (strncmp(reply, wanted, strlen(wanted)) != 0) {
        fail_msg("%s: %s, not %s", line, reply, wanted);
    }
}

static void test_messages_and_recipients(void **state)
{
    (void)state;
    rig_set(&rig, "smtp.client_rate", "3");
    rig_set(&rig, "smtp.client_recipient_rate", "4");
    rig_start(&rig);
    int fd = greeted();
    for (int i = 0; i < 3; i++) {
        answers(fd, "MAIL FROM:<a@a.test>", "250");
        answers(fd, "RCPT TO:<b@b.test>", "250");
        answers(fd, "RSET", "250");
    }
    answers(fd, "MAIL FROM:<a@a.test>", "450 4.7.1 too many messages from your address");
    (void)close(fd);
    fd = greeted(); /* a new session changes nothing */
    answers(fd, "MAIL FROM:<other@a.test>", "450 4.7.1");
    rig_set(&rig, "smtp.client_rate", "0");
    (void)close(fd);
    fd = greeted();
    answers(fd, "MAIL FROM:<a@a.test>", "250");
    answers(fd, "RCPT TO:<b@b.test>", "250");
    answers(fd, "RCPT TO:<c@b.test>", "450 4.7.1 too many recipients from your address");
    answers(fd, "RCPT TO:<b@b.test>", "250"); /* who is there already counts once */
    (void)close(fd);
    assert_int_equal(rig_stat(&rig, "rate_limited"), 3);
    rig_set(&rig, "smtp.rate_exempt", "127.0.0.0/8");
    fd = greeted();
    answers(fd, "MAIL FROM:<a@a.test>", "250");
    answers(fd, "RCPT TO:<c@b.test>", "250");
    (void)close(fd);
}

static void test_senders(void **state)
{
    (void)state;
    rig_set(&rig, "smtp.sender_hourly_messages", "2");
    rig_set(&rig, "smtp.sender_daily_recipients@busy.test", "3");
    rig_set(&rig, "smtp.sender_hourly_messages@busy.test", "0");
    rig_start(&rig);
    int fd = greeted();
    for (int i = 0; i < 2; i++) {
        answers(fd, "MAIL FROM:<a@a.test>", "250");
        answers(fd, "RSET", "250");
    }
    answers(fd, "MAIL FROM:<a@a.test>", "450 4.7.1 this sender has sent too much");
    answers(fd, "MAIL FROM:<b@a.test>", "250"); /* each sender for itself */
    answers(fd, "RSET", "250");
    for (int i = 0; i < 5; i++) { /* the null sender is nobody */
        answers(fd, "MAIL FROM:<>", "250");
        answers(fd, "RSET", "250");
    }
    answers(fd, "MAIL FROM:<a@busy.test>", "250");
    answers(fd, "RCPT TO:<b1@b.test>", "250");
    answers(fd, "RCPT TO:<b2@b.test>", "250");
    answers(fd, "RSET", "250");
    answers(fd, "MAIL FROM:<a@busy.test>", "250");
    answers(fd, "RCPT TO:<b3@b.test>", "250");
    answers(fd, "RCPT TO:<b4@b.test>", "450 4.7.1 this sender has sent too much");
    (void)close(fd);
}

static void test_connections(void **state)
{
    (void)state;
    char reply[256];
    rig_set(&rig, "smtp.client_connection_rate", "2");
    rig_start(&rig);
    (void)close(greeted());
    (void)close(greeted());
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, reply, sizeof reply), 421);
    assert_non_null(strstr(reply, "421 4.7.0 too many connections from your address"));
    assert_true(client_closed(fd));
    (void)close(fd);
}

static void test_errors(void **state)
{
    (void)state;
    char reply[256];
    rig_set(&rig, "smtp.client_error_rate", "5");
    rig_set(&rig, "relay.networks", "10.0.0.0/8");
    rig_start(&rig);
    int fd = greeted();
    answers(fd, "MAIL FROM:<a@a.test>", "250");
    for (int i = 0; i < 3; i++) {
        answers(fd, "RCPT TO:<b@b.test>", "550"); /* also what the envelope refuses is an error */
    }
    (void)close(fd);
    fd = greeted();
    answers(fd, "NONSENSE", "500");
    answers(fd, "NONSENSE", "500");
    answers(fd, "NONSENSE", "500");
    assert_int_equal(client_reply(fd, reply, sizeof reply), 421);
    assert_non_null(strstr(reply, "421 4.7.0 too many errors from your address"));
    assert_true(client_closed(fd));
    (void)close(fd);
    fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, reply, sizeof reply), 421);
    assert_non_null(strstr(reply, "too many errors from your address"));
    (void)close(fd);
}

/* Guessing at recipients is an error each, whatever the command's form. */
static void test_refused_recipients_end_the_session(void **state)
{
    (void)state;
    rig_set(&rig, "smtp.max_errors", "3");
    rig_set(&rig, "relay.networks", "10.0.0.0/8");
    rig_start(&rig);
    int fd = greeted();
    answers(fd, "MAIL FROM:<a@a.test>", "250");
    answers(fd, "RCPT TO:<b@b.test>", "550");
    answers(fd, "RCPT TO:<c@b.test>", "550");
    answers(fd, "RCPT TO:<d@b.test>", "550");
    assert_int_equal(client_reply(fd, NULL, 0), 421);
    assert_true(client_closed(fd));
    (void)close(fd);
}

static void test_sessions_of_one_client(void **state)
{
    (void)state;
    int fds[3];
    rig_set(&rig, "smtp.max_sessions_per_client", "3");
    rig_start(&rig);
    for (int i = 0; i < 3; i++) {
        fds[i] = greeted();
    }
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 421);
    assert_true(client_closed(fd));
    (void)close(fd);
    assert_int_equal(client_command(fds[1], "QUIT"), 221);
    assert_true(client_closed(fds[1]));
    (void)close(fds[1]);
    fds[1] = greeted();
    for (int i = 0; i < 3; i++) {
        (void)close(fds[i]);
    }
}

/* A byte now and then is no message. */
static void test_slow_senders(void **state)
{
    (void)state;
    char reply[256] = "";
    int code = 0;
    rig_set(&rig, "smtp.data_timeout", "1s");
    rig_set(&rig, "smtp.min_data_rate", "1M");
    rig_start(&rig);
    int fd = greeted();
    answers(fd, "MAIL FROM:<a@a.test>", "250");
    answers(fd, "RCPT TO:<b@b.test>", "250");
    answers(fd, "DATA", "354");
    struct timeval limit = {.tv_usec = 100000}; /* well within the timeout of a piece */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (int i = 0; i < 300 && code != 421; i++) {
        client_send(fd, "x\r\n");
        code = client_reply(fd, reply, sizeof reply);
    }
    assert_non_null(strstr(reply, "421 4.4.2 the message comes too slowly"));
    (void)close(fd);
}

static char many[8000]; /* commands of 8 bytes */

static void many_fill(void)
{
    for (size_t i = 0; i < sizeof many; i++) {
        many[i] = "EHLO a\r\n"[i % 8];
    }
}

/* More replies than any buffer between us holds: commands wait until they are read, and none is lost. */
static void test_slow_readers_are_served(void **state)
{
    (void)state;
    static char text[65536];
    const size_t wanted = 60000;
    size_t sent = 0, got = 0, lines = 0;
    char before = ' ';
    rig_start(&rig);
    many_fill();
    int fd = greeted();
    while (sent < wanted * 8 && rig_stat(&rig, "sessions_held") == 0) {
        size_t at = sent % sizeof many, left = wanted * 8 - sent;
        ssize_t n = send(fd, many + at, sizeof many - at < left ? sizeof many - at : left, MSG_NOSIGNAL);
        assert_true(n > 0);
        sent += (size_t)n;
    }
    for (int i = 0; i < 400 && rig_stat(&rig, "sessions_held") == 0; i++) {
        (void)usleep(50000);
    }
    assert_int_equal(rig_stat(&rig, "sessions_held"), 1);
    while (lines < sent / 8) {
        ssize_t n = recv(fd, text, sizeof text, 0);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++) { /* "250 HELP" ends each reply, and no P is elsewhere before a CR */
            lines += before == 'P' && text[i] == '\r';
            before = text[i];
        }
        got += (size_t)n;
    }
    assert_true(got > ((size_t)64 << 10));
    answers(fd, "NOOP", "250");
    (void)close(fd);
}

static void test_who_never_reads_is_cut_off(void **state)
{
    (void)state;
    rig_set(&rig, "smtp.command_timeout", "1s");
    rig_start(&rig);
    many_fill();
    int fd = greeted();
    size_t sent = 0;
    struct timeval limit = {.tv_sec = 20};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    for (;;) { /* until nothing goes any more, and then until we are cut off */
        ssize_t n = send(fd, many, sizeof many, MSG_NOSIGNAL);
        if (n <= 0) {
            assert_true(errno == ECONNRESET || errno == EPIPE);
            break;
        }
        sent += (size_t)n;
        assert_true(sent < ((size_t)64 << 20));
    }
    (void)close(fd);
    for (int i = 0; i < 200 && rig_stat(&rig, "sessions_open") > 0; i++) {
        (void)usleep(50000);
    }
    assert_int_equal(rig_stat(&rig, "sessions_open"), 0);
}

static int deliver_received(unsigned received, const char *field)
{
    struct buf body = BUF_INIT(1 << 20);
    for (unsigned i = 0; i < received; i++) {
        assert_int_equal(buf_append_text(&body, field), STATUS_OK);
    }
    assert_int_equal(buf_append_text(&body, BODY), STATUS_OK);
    assert_int_equal(buf_append_byte(&body, '\0'), STATUS_OK);
    int code = client_deliver(rig.port, "a@a.test", "b@b.test", (const char *)body.data, NULL, 0);
    buf_release(&body);
    return code;
}

static void test_loops(void **state)
{
    (void)state;
    static const char foreign[] =
        "Received: from x by y (Other/0123456789abcdef)\r\n\twith ESMTP; a date\r\n";
    static const uint8_t id[ID_SIZE] = "a cluster's own";
    char own[128];
    (void)!snprintf(own, sizeof own, "Received: from x\r\n\tby y (Sealpost/%016llx) with ESMTP; a date\r\n",
                    (unsigned long long)siphash(id, SLICE_LITERAL("trace mark")));
    rig.cluster_id = id;
    rig_set(&rig, "smtp.max_received", "10");
    rig_set(&rig, "smtp.max_passes", "2");
    rig_start(&rig);
    assert_int_equal(deliver_received(10, foreign), 250);
    assert_int_equal(deliver_received(11, foreign), 554);
    assert_int_equal(deliver_received(2, own), 250);
    assert_int_equal(deliver_received(3, own), 554);
    assert_int_equal(deliver_received(9, "X-Received: a\r\n b (Sealpost/0123456789abcdee)\r\n"), 250);
    assert_true(sink_wait(&sink, 3, 5000));
    assert_non_null(strstr(sink.messages[0], "by mx.test.example (Sealpost/"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_messages_and_recipients),
        CASE(test_senders),
        CASE(test_connections),
        CASE(test_errors),
        CASE(test_refused_recipients_end_the_session),
        CASE(test_sessions_of_one_client),
        CASE(test_slow_senders),
        CASE(test_slow_readers_are_served),
        CASE(test_who_never_reads_is_cut_off),
        CASE(test_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
