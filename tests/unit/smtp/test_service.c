/* The whole service over sockets: what clients see, what the next hop gets, what survives. */
#include "rig.h"

#include "base/channel.h"
#include "base/msgpack_read.h"
#include "smtp/queue_protocol.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY "From: a@a.test\r\nTo: b@b.test\r\nSubject: one\r\n\r\n..dot\r\nlast\r\n"

static struct rig rig;
static struct sink sink;

static void next_hop_set(void)
{
    char text[64];
    (void)!snprintf(text, sizeof text, "127.0.0.1:%u", sink.port);
    rig_set(&rig, "delivery.next_hop", text);
}

static int begin(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof rig);
    memset(&sink, 0, sizeof sink);
    rig.grace_ms = 2000;
    sink_start(&sink);
    next_hop_set();
    rig_set(&rig, "delivery.retry", "200ms");
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

static void test_through(void **state)
{
    (void)state;
    char reply[256];
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, reply, sizeof reply), 250);
    assert_non_null(strstr(reply, "250 2.0.0 queued as "));
    assert_true(sink_wait(&sink, 1, 5000));
    assert_ptr_equal(strstr(sink.envelopes[0], "MAIL FROM:<a@a.test> SIZE="), sink.envelopes[0]);
    assert_non_null(strstr(sink.envelopes[0], "|RCPT TO:<b@b.test>|"));
    assert_ptr_equal(
        strstr(sink.messages[0],
               "Received: from client.test ([127.0.0.1])\r\n\tby mx.test.example (Sealpost) with ESMTP id "),
        sink.messages[0]);
    assert_non_null(strstr(sink.messages[0], "\r\n\tfor <b@b.test>;\r\n"));
    /* dots came once unstuffed and once stuffed */
    assert_non_null(strstr(sink.messages[0], "Subject: one\r\n\r\n.dot\r\nlast\r\n"));
}

static void test_many_in_one_session(void **state)
{
    (void)state;
    rig.worker_count = 2;
    rig_start(&rig);
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "EHLO x"), 250);
    for (int i = 0; i < 50; i++) {
        /* all but the body pipelined, the next MAIL with the dot */
        client_send(fd, "MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nRCPT TO:<c@b.test>\r\nDATA\r\n");
        assert_int_equal(client_reply(fd, NULL, 0), 250);
        assert_int_equal(client_reply(fd, NULL, 0), 250);
        assert_int_equal(client_reply(fd, NULL, 0), 250);
        assert_int_equal(client_reply(fd, NULL, 0), 354);
        client_send(fd, BODY ".\r\nNOOP\r\n");
        assert_int_equal(client_reply(fd, NULL, 0), 250);
        assert_int_equal(client_reply(fd, NULL, 0), 250);
    }
    assert_int_equal(client_command(fd, "QUIT"), 221);
    assert_true(client_closed(fd));
    (void)close(fd);
    assert_true(sink_wait(&sink, 50, 5000));
}

static void test_refusal_names_each(void **state)
{
    (void)state;
    char reply[512];
    atomic_store(&rig.mode, RIG_REFUSE);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test,c@c.test", BODY, reply, sizeof reply),
                     550);
    assert_string_equal(
        reply,
        "550-5.7.5 <b@b.test>: no usable certificate\r\n550 5.7.5 <c@c.test>: no usable certificate\r\n");
    assert_false(sink_wait(&sink, 1, 100));
}

static void test_worker_dies_once(void **state)
{
    (void)state;
    atomic_store(&rig.mode, RIG_DIE_ONCE);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 1, 5000));
    assert_int_equal(rig.jobs, 2);
}

static void test_killer_is_quarantined(void **state)
{
    (void)state;
    atomic_store(&rig.mode, RIG_DIE);
    rig.worker_count = 2;
    rig_start(&rig);
    char reply[256], quarantined_id[ID_TEXT_SIZE];
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, reply, sizeof reply), 250);
    memcpy(quarantined_id, reply + strlen("250 2.0.0 queued as "), sizeof quarantined_id - 1);
    quarantined_id[sizeof quarantined_id - 1] = '\0';
    assert_int_equal(rig_stat(&rig, "queue_quarantined"), 1);
    atomic_store(&rig.mode, RIG_PASS);
    rig_stop(&rig);
    rig.keep_dir = true;
    rig_start(&rig);
    assert_false(sink_wait(&sink, 1, 500));
    assert_int_equal(rig_stat(&rig, "queue_quarantined"), 1);
    /* all that wait: not what is held */
    struct channel_frame frame;
    rig_operate(&rig, "retry", &(struct queue_selection){0});
    assert_false(sink_wait(&sink, 1, 300));
    /* by name: through a worker again, which refuses it now, and then does not */
    atomic_store(&rig.mode, RIG_REFUSE);
    rig_queue_ask(&rig, quarantined_id, QUEUE_RETRY, &frame);
    channel_frame_release(&frame);
    assert_false(sink_wait(&sink, 1, 300));
    assert_int_equal(rig_stat(&rig, "queue_quarantined"), 1);
    atomic_store(&rig.mode, RIG_PASS);
    rig_queue_ask(&rig, quarantined_id, QUEUE_RETRY, &frame);
    channel_frame_release(&frame);
    assert_true(sink_wait(&sink, 1, 5000));
    (void)usleep(200000);
    assert_int_equal(rig_stat(&rig, "queue_messages"), 0);
}

static void test_relay_denied(void **state)
{
    (void)state;
    rig_set(&rig, "relay.networks", "192.0.2.0/24");
    rig_start(&rig);
    char reply[256];
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, reply, sizeof reply), 550);
    assert_non_null(strstr(reply, "550 5.7.1"));
}

static void test_stale_node_defers(void **state)
{
    (void)state;
    char reply[256];
    rig_set(&rig, "cluster.stale_after", "2s");
    rig_start(&rig);
    atomic_store(&rig.contact_ms, 1);
    atomic_store(&rig.voters, 3);
    (void)uv_async_send(&rig.poke);
    (void)usleep(100000);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, reply, sizeof reply), 451);
    assert_non_null(strstr(reply, "451 4.3.0"));
    atomic_store(&rig.voters, 1);
    (void)uv_async_send(&rig.poke);
    (void)usleep(100000);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, reply, sizeof reply), 250);
}

static void test_retry_until_it_works(void **state)
{
    (void)state;
    atomic_store(&sink.rcpt_code, 451);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_false(sink_wait(&sink, 1, 600));
    atomic_store(&sink.rcpt_code, 0);
    assert_true(sink_wait(&sink, 1, 5000)); /* from the spool now */
    assert_non_null(strstr(sink.messages[0], "Subject: one\r\n\r\n.dot\r\nlast\r\n"));
}

static void test_failure_is_told_to_the_sender(void **state)
{
    (void)state;
    sink.refuse_recipient = "bad@";
    rig_start(&rig);
    assert_int_equal(
        client_deliver(rig.port, "a@a.test", "b@b.test,bad@b.test", BODY "secret body line\r\n", NULL, 0),
        250);
    assert_true(sink_wait(&sink, 2, 5000));
    size_t dsn = strstr(sink.envelopes[0], "MAIL FROM:<>") != NULL ? 0 : 1;
    assert_non_null(strstr(sink.envelopes[dsn], "RCPT TO:<a@a.test>"));
    assert_non_null(strstr(sink.messages[dsn], "bad@b.test"));
    assert_non_null(strstr(sink.messages[dsn], "5.1.1"));
    assert_non_null(strstr(sink.messages[dsn], "Subject: one"));
    assert_null(strstr(sink.messages[dsn], "secret body"));
    assert_null(strstr(sink.envelopes[1 - dsn], "bad@"));
    (void)usleep(200000);
    assert_int_equal(rig_stat(&rig, "queue_messages"), 0);
}

static void test_expiry_is_told_to_the_sender(void **state)
{
    (void)state;
    rig_set(&rig, "delivery.expire", "1s");
    atomic_store(&sink.mail_code, 451);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    (void)usleep(1300000);
    atomic_store(&sink.mail_code, 0);
    assert_true(sink_wait(&sink, 1, 5000));
}

static void test_bounce_of_bounce_ends(void **state)
{
    (void)state;
    atomic_store(&sink.rcpt_code, 550);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    for (int i = 0; i < 50 && (rig_stat(&rig, "failed") < 2 || rig_stat(&rig, "queue_messages") > 0); i++) {
        (void)usleep(100000);
    }
    assert_int_equal(rig_stat(&rig, "failed"), 2);
    assert_int_equal(rig_stat(&rig, "bounced"), 1);
    assert_int_equal(rig_stat(&rig, "queue_messages"), 0);
}

static void test_survives_restart(void **state)
{
    (void)state;
    atomic_store(&sink.mail_code, 451);
    rig_start(&rig);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test,c@c.test", BODY, NULL, 0), 250);
    }
    rig_stop(&rig);
    atomic_store(&sink.mail_code, 0);
    rig.keep_dir = true;
    rig_start(&rig);
    assert_true(sink_wait(&sink, 20, 10000));
    (void)usleep(300000);
    assert_int_equal(sink.count, 20);
    rig_stop(&rig);
    rig_start(&rig);
    assert_int_equal(rig_stat(&rig, "queue_messages"), 0);
}

static void test_dead_next_hop(void **state)
{
    (void)state;
    uint16_t port = sink.port;
    sink_stop(&sink);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    (void)usleep(500000);
    assert_int_equal(rig_stat(&rig, "queue_messages"), 1);
    memset(&sink, 0, sizeof sink);
    sink.port = port;
    sink_start(&sink);
    assert_true(sink_wait(&sink, 1, 5000));
}

/* A next hop that takes connections and never says a word holds up nobody else, not even other recipients of
 * the same message. */
static void test_silent_next_hop(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    char text[64];
    int silent = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(silent, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(silent, 100), 0);
    assert_int_equal(getsockname(silent, (struct sockaddr *)&address, &len), 0);
    (void)!snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(address.sin_port));
    rig_set(&rig, "delivery.next_hop@silent.test", text);
    rig_start(&rig);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(client_deliver(rig.port, "a@a.test", "b@silent.test", BODY, NULL, 0), 250);
    }
    assert_int_equal(client_deliver(rig.port, "a@a.test", "c@silent.test,b@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 1, 10000));
    for (int i = 0; i < 200 && rig_stat(&rig, "delivered") != 1; i++) {
        (void)usleep(50000); /* the sink has it; what it said of it has to arrive as well */
    }
    assert_int_equal(rig_stat(&rig, "delivered"), 1);
    assert_int_equal(rig_stat(&rig, "queue_messages"), 31);
    /* what was delivered is known after a stop in the middle: nothing comes twice */
    rig_stop(&rig);
    rig.keep_dir = true;
    rig_start(&rig);
    assert_false(sink_wait(&sink, 2, 500));
    assert_int_equal(rig_stat(&rig, "queue_messages"), 31);
    rig_stop(&rig);
    (void)close(silent);
    next_hop_set(); /* and the domain's own is the sink now, too */
    rig_set(&rig, "delivery.next_hop@silent.test", rig.settings[0].text);
    rig_start(&rig);
    assert_true(sink_wait(&sink, 32, 8000));
}

static void test_fail_over(void **state)
{
    (void)state;
    char text[64];
    (void)!snprintf(text, sizeof text, "127.0.0.1:1,127.0.0.1:%u", sink.port);
    rig_set(&rig, "delivery.next_hop", text);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 1, 5000));
}

static void test_no_next_hop(void **state)
{
    (void)state;
    rig_set(&rig, "delivery.next_hop", "");
    rig_set(&rig, "dns.resolvers", "127.0.0.1@1"); /* nobody: MX cannot be looked up */
    rig_set(&rig, "delivery.retry", "500ms");
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.example", BODY, NULL, 0), 250);
    for (int i = 0; i < 600 && rig_stat(&rig, "deferred") == 0; i++) {
        (void)usleep(50000);
    }
    assert_int_not_equal(rig_stat(&rig, "deferred"), 0);
    next_hop_set();
    assert_true(sink_wait(&sink, 1, 5000));
}

static void test_without_pipelining(void **state)
{
    (void)state;
    atomic_store(&sink.no_pipelining, true);
    sink.refuse_recipient = "bad@";
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "", "b@b.test,bad@b.test,c@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 1, 5000));
    assert_non_null(strstr(sink.envelopes[0], "MAIL FROM:<> SIZE="));
    assert_non_null(strstr(sink.envelopes[0], "RCPT TO:<b@b.test>|RCPT TO:<c@b.test>|"));
}

static void test_split_variants(void **state)
{
    (void)state;
    atomic_store(&rig.mode, RIG_SPLIT);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test,c@b.test,d@d.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 3, 5000));
}

static void test_to_7bit(void **state)
{
    (void)state;
    atomic_store(&rig.mode, RIG_EIGHT_BIT);
    atomic_store(&sink.no_8bitmime, true);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 1, 5000));
    assert_string_equal(sink.messages[0], "Subject: 7-bit form\r\n\r\n=E4\r\n");
    atomic_store(&sink.no_8bitmime, false);
    atomic_store(&sink.mail_code, 451);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
    (void)usleep(300000);
    atomic_store(&sink.mail_code, 0);
    assert_true(sink_wait(&sink, 2, 5000));
}

static void test_big_message(void **state)
{
    (void)state;
    size_t lines = 100000;
    char *body = malloc(lines * 82 + 100);
    assert_non_null(body);
    int n = snprintf(body, 100, "Subject: big\r\n\r\n");
    size_t at = (size_t)n;
    for (size_t i = 0; i < lines; i++) {
        memset(body + at, i % 7 == 0 ? '.' : 'x', 80);
        memcpy(body + at + 80, "\r\n", 2);
        at += 82;
    }
    body[at] = '\0';
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", body, NULL, 0), 250);
    assert_true(sink_wait(&sink, 1, 20000));
    size_t hot = strlen(sink.messages[0]);
    /* and once more from the spool */
    atomic_store(&sink.mail_code, 451);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", body, NULL, 0), 250);
    (void)usleep(300000);
    atomic_store(&sink.mail_code, 0);
    assert_true(sink_wait(&sink, 2, 20000));
    assert_int_equal(strlen(sink.messages[1]), hot);
    char *one = strstr(sink.messages[0], "Subject: big"), *two = strstr(sink.messages[1], "Subject: big");
    assert_true(one != NULL && two != NULL && strcmp(one, two) == 0);
    free(body);
}

static void test_stop_in_the_middle(void **state)
{
    (void)state;
    rig_start(&rig);
    int idle = rig_connect(rig.port), busy = rig_connect(rig.port);
    assert_int_equal(client_reply(idle, NULL, 0), 220);
    assert_int_equal(client_reply(busy, NULL, 0), 220);
    assert_int_equal(client_command(busy, "EHLO x"), 250);
    assert_int_equal(client_command(busy, "MAIL FROM:<a@a.test>"), 250);
    assert_int_equal(client_command(busy, "RCPT TO:<b@b.test>"), 250);
    assert_int_equal(client_command(busy, "DATA"), 354);
    (void)uv_async_send(&rig.stop);
    char reply[200];
    assert_int_equal(client_reply(idle, reply, sizeof reply), 421);
    client_send(busy, BODY ".\r\n");
    assert_int_equal(client_reply(busy, reply, sizeof reply), 250);
    assert_int_equal(client_reply(busy, reply, sizeof reply), 421);
    (void)close(idle);
    (void)close(busy);
    rig_stop(&rig);
    rig.keep_dir = true;
    rig_start(&rig);
    assert_true(sink_wait(&sink, 1, 5000));
}

static void test_commands(void **state)
{
    (void)state;
    rig_set(&rig, "smtp.max_size", "2K");
    rig_set(&rig, "smtp.max_recipients", "2");
    rig_start(&rig);
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "MAIL FROM:<a@a.test>"), 503);
    assert_int_equal(client_command(fd, "VRFY somebody"), 252);
    assert_int_equal(client_command(fd, "HELP"), 214);
    assert_int_equal(client_command(fd, "HELO x"), 250);
    assert_int_equal(client_command(fd, "RCPT TO:<a@a.test>"), 503);
    assert_int_equal(client_command(fd, "DATA"), 503);
    assert_int_equal(client_command(fd, "STARTTLS"), 454);
    assert_int_equal(client_command(fd, "AUTH PLAIN"), 502);
    assert_int_equal(client_command(fd, "WHAT"), 500);
    assert_int_equal(client_command(fd, "MAIL FROM:<a@a.test> SIZE=4000"), 552);
    assert_int_equal(client_command(fd, "MAIL FROM:<a@a.test> SIZE=1000"), 250);
    assert_int_equal(client_command(fd, "MAIL FROM:<a@a.test>"), 503);
    assert_int_equal(client_command(fd, "DATA"), 554);
    assert_int_equal(client_command(fd, "RCPT TO:<postmaster>"), 250);
    assert_int_equal(client_command(fd, "RCPT TO:<b@a.test>"), 250);
    assert_int_equal(client_command(fd, "RCPT TO:<c@a.test>"), 452);
    assert_int_equal(client_command(fd, "RSET"), 250);
    assert_int_equal(client_command(fd, "RCPT TO:<c@a.test>"), 503);
    assert_int_equal(client_command(fd, "MAIL FROM:<a@a.test>"), 250);
    assert_int_equal(client_command(fd, "RCPT TO:<b@a.test>"), 250);
    assert_int_equal(client_command(fd, "DATA"), 354);
    for (int i = 0; i < 40; i++) {
        client_send(fd, "0123456789012345678901234567890123456789012345678901234567890123456789\r\n");
    }
    assert_int_equal(client_command(fd, "."), 552);
    assert_int_equal(client_command(fd, "NOOP"), 250);
    (void)close(fd);
}

static void test_smuggling_ends_the_session(void **state)
{
    (void)state;
    static const char *const ends[] = {"\n.\n",   "\n.\r\n", "\r\n.\n", "\r.\r",
                                       "\r.\r\n", "\r\n.\r", "x\ry",    "x\ny"};
    rig_start(&rig);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        int fd = rig_connect(rig.port);
        char reply[200];
        assert_int_equal(client_reply(fd, NULL, 0), 220);
        client_send(fd, "EHLO x\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n");
        for (int n = 0; n < 4; n++) {
            (void)client_reply(fd, NULL, 0);
        }
        client_send(fd, "Subject: x\r\n\r\nbody");
        client_send(fd, ends[i]);
        client_send(fd, "MAIL FROM:<evil@a.test>\r\n");
        assert_int_equal(client_reply(fd, reply, sizeof reply), 554);
        assert_true(client_closed(fd));
        (void)close(fd);
    }
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    client_send(fd, "EHLO x\n");
    assert_int_equal(client_reply(fd, NULL, 0), 554);
    assert_true(client_closed(fd));
    (void)close(fd);
    assert_false(sink_wait(&sink, 1, 100));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        CASE(test_through),
        CASE(test_many_in_one_session),
        CASE(test_refusal_names_each),
        CASE(test_worker_dies_once),
        CASE(test_killer_is_quarantined),
        CASE(test_relay_denied),
        CASE(test_stale_node_defers),
        CASE(test_retry_until_it_works),
        CASE(test_failure_is_told_to_the_sender),
        CASE(test_expiry_is_told_to_the_sender),
        CASE(test_bounce_of_bounce_ends),
        CASE(test_survives_restart),
        CASE(test_dead_next_hop),
        CASE(test_silent_next_hop),
        CASE(test_fail_over),
        CASE(test_no_next_hop),
        CASE(test_without_pipelining),
        CASE(test_split_variants),
        CASE(test_to_7bit),
        CASE(test_big_message),
        CASE(test_stop_in_the_middle),
        CASE(test_commands),
        CASE(test_smuggling_ends_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
