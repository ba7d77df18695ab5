/* What a client may take of the service, over sockets: rates, sessions, errors. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
