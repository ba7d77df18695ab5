/*
 * The extensions of the dialogue, both sides, on loopback: BDAT, SMTPUTF8, DSN, REQUIRETLS, LIMITS. What a
 * client asks for is promised or refused with the right code, and what was promised reaches the next hop.
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 20000

struct world {
    struct rig rig;
    struct sink sink;
    int client;
};

static struct world *world;

static int begin(void **state)
{
    (void)state;
    char next_hop[64];
    world = calloc(1, sizeof *world);
    assert_non_null(world);
    sink_start(&world->sink);
    (void)!snprintf(next_hop, sizeof next_hop, "127.0.0.1:%u", world->sink.port);
    rig_set(&world->rig, "delivery.next_hop", next_hop);
    rig_set(&world->rig, "relay.networks", "127.0.0.0/8");
    rig_set(&world->rig, "smtp.max_size", "4096");
    rig_start(&world->rig);
    world->client = rig_connect(world->rig.port);
    assert_int_equal(client_reply(world->client, NULL, 0), 220);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    (void)close(world->client);
    rig_stop(&world->rig);
    rig_remove(&world->rig);
    sink_stop(&world->sink);
    free(world);
    return 0;
}

/* A command, its code, and that the enhanced code is in the reply. */
static void expect(const char *line, int code, const char *enhanced)
{
    char reply[1024];
    client_send(world->client, line);
    client_send(world->client, "\r\n");
    int got = client_reply(world->client, reply, sizeof reply);
    if (got != code || strstr(reply, enhanced) == NULL) {
        fail_msg("%s: %s", line, reply);
    }
}

static void expect_reply(int code, const char *enhanced)
{
    char reply[1024];
    int got = client_reply(world->client, reply, sizeof reply);
    if (got != code || strstr(reply, enhanced) == NULL) {
        fail_msg("expected %d %s: %s", code, enhanced, reply);
    }
}

static void start_envelope(void)
{
    expect("MAIL FROM:<a@a.test>", 250, "2.1.0");
    expect("RCPT TO:<b@b.test>", 250, "2.1.5");
}

static void test_offers(void **state)
{
    (void)state;
    char reply[2048];
    client_send(world->client, "EHLO client.test\r\n");
    assert_int_equal(client_reply(world->client, reply, sizeof reply), 250);
    static const char *const offered[] = {"PIPELINING",
                                          "8BITMIME",
                                          "SMTPUTF8",
                                          "DSN",
                                          "CHUNKING",
                                          "SIZE 4096",
                                          "LIMITS MAILMAX=1000 RCPTMAX=1000"};
    for (size_t i = 0; i < sizeof offered / sizeof offered[0]; i++) {
        char line[80];
        (void)!snprintf(line, sizeof line, "250-%s\r\n", offered[i]);
        if (strstr(reply, line) == NULL) {
            fail_msg("%s is not offered: %s", offered[i], reply);
        }
    }
    /* only under TLS; never */
    assert_null(strstr(reply, "REQUIRETLS"));
    assert_null(strstr(reply, "BINARYMIME"));
    assert_null(strstr(reply, "DELIVERBY"));
}

static void test_chunks(void **state)
{
    (void)state;
    expect("EHLO client.test", 250, "");
    start_envelope();
    /* In chunks that part a line end, with dots, everything in one packet with what comes after. */
    client_send(world->client, "BDAT 13\r\nSubject: one\rBDAT 0\r\nBDAT 10\r\n\n\r\n.\r\n..x\r"
                               "BDAT 1 LAST\r\n\nNOOP\r\n");
    expect_reply(250, "chunk taken");
    expect_reply(250, "chunk taken");
    expect_reply(250, "chunk taken");
    expect_reply(250, "queued as");
    expect_reply(250, "2.0.0");
    assert_true(sink_wait(&world->sink, 1, WAIT_MS));
    assert_non_null(strstr(world->sink.messages[0], "Subject: one\r\n\r\n.\r\n..x\r\n"));
    /* An empty last chunk ends it. What has no CRLF at its end gets one. */
    start_envelope();
    client_send(world->client, "BDAT 15\r\nSubject: two\r\n\rBDAT 2\r\n\nxBDAT 0 LAST\r\n");
    expect_reply(250, "chunk taken");
    expect_reply(250, "chunk taken");
    expect_reply(250, "queued as");
    assert_true(sink_wait(&world->sink, 2, WAIT_MS));
    assert_non_null(strstr(world->sink.messages[1], "Subject: two\r\n\r\nx\r\n"));
}

/* Each chunk that is not wanted is read and dropped: what follows it is a command again. */
static void test_chunks_that_are_refused(void **state)
{
    (void)state;
    expect("BDAT 6\r\nQUIT\r\n\r\nNOOP", 503, "5.5.1"); /* 6 bytes: a command that is none */
    expect_reply(500, "5.5.2");
    expect_reply(250, "2.0.0");
    expect("EHLO client.test", 250, "");
    expect("BDAT 6 LAST\r\nQUIT\r\nNOOP", 503, "5.5.1");
    expect_reply(250, "2.0.0");
    expect("MAIL FROM:<a@a.test>", 250, "2.1.0");
    expect("BDAT 6 LAST\r\nQUIT\r\nNOOP", 554, "5.5.1");
    expect_reply(250, "2.0.0");
    /* bare line ends */
    static const char *const bad[] = {"a\nb\r\n", "a\rb\r\n", "\n.\r\n", "a\r\r\n", "ab\r\n\r"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[64];
        start_envelope();
        (void)!snprintf(line, sizeof line, "BDAT %zu LAST\r\n%sNOOP", strlen(bad[i]), bad[i]);
        expect(line, 554, "5.5.2");
        expect_reply(250, "2.0.0");
    }
    /* told too large: at the command, in sum, and the connection lives */
    start_envelope();
    char big[4200];
    (void)memset(big, 'x', sizeof big);
    big[4097] = '\0';
    client_send(world->client, "BDAT 4097 LAST\r\n");
    client_send(world->client, big);
    expect_reply(552, "5.3.4");
    start_envelope();
    expect("BDAT 10\r\n123456\r\n", 250, "chunk taken");
    big[4087] = '\0';
    client_send(world->client, "BDAT 4087 LAST\r\n");
    client_send(world->client, big);
    expect_reply(552, "5.3.4");
    expect("BDAT 3 LAST\r\nabcNOOP", 503, "5.5.1"); /* what follows an error */
    expect_reply(250, "2.0.0");
    /* not both ways, nor other recipients */
    start_envelope();
    expect("BDAT 5\r\nabc", 250, "chunk taken");
    expect("DATA", 503, "5.5.1");
    expect("RCPT TO:<c@b.test>", 503, "5.5.1");
    expect("MAIL FROM:<c@b.test>", 503, "5.5.1");
    expect("NOOP", 250, "2.0.0");
    expect("RSET", 250, "2.0.0");
    start_envelope();
    expect("BDAT 14 LAST\r\nSubject: x\r\n", 250, "queued as");
    assert_true(sink_wait(&world->sink, 1, WAIT_MS));
    assert_null(strstr(world->sink.messages[0], "abc"));
    assert_int_equal(world->sink.count, 1);
    /* where the chunk ends nobody knows */
    expect("BDAT many LAST\r\nQUIT", 501, "5.5.4");
    assert_true(client_closed(world->client));
}

static void test_what_mail_and_rcpt_refuse(void **state)
{
    (void)state;
    expect("EHLO client.test", 250, "");
    expect("MAIL FROM:<\xc3\xa4@a.test>", 550, "5.6.7");
    expect("MAIL FROM:<a@a.test> REQUIRETLS", 530, "5.7.10");
    expect("MAIL FROM:<a@a.test> RET=NONE", 501, "5.5.4");
    expect("MAIL FROM:<a@a.test> BODY=BINARYMIME", 501, "5.5.4");
    expect("MAIL FROM:<a@a.test> BY=1;R", 555, "5.5.4");
    expect("MAIL FROM:<a@a.test> SIZE=4097", 552, "5.3.4");
    expect("MAIL FROM:<a@a.test>", 250, "2.1.0");
    expect("RCPT TO:<\xc3\xa4@b.test>", 553, "5.6.7");
    expect("RCPT TO:<a@b.test> ORCPT=utf-8;\xc3\xa4@b.test", 501, "5.5.4");
    expect("RCPT TO:<a@b.test> NOTIFY=NEVER,DELAY", 501, "5.5.4");
    expect("RCPT TO:<a@b.test> SIZE=1", 555, "5.5.4");
    expect("RSET", 250, "2.0.0");
    expect("MAIL FROM:<a@a.test> SMTPUTF8", 250, "2.1.0");
    expect("RCPT TO:<\xe4@b.test>", 501, "5.1.3");
    expect("RCPT TO:<\xc3\xa4@b.test> ORCPT=utf-8;\xc3\xa4@b.test", 250, "2.1.5");
    expect("VRFY \xc3\xa4", 553, "5.6.7");
    expect("VRFY \xc3\xa4 SMTPUTF8", 252, "2.5.2");
}

/* --- towards the next hop --- */

#define MESSAGE "From: a@a.test\r\nSubject: secret\r\n\r\n.\r\nbody\r\n"

/* One message in this client's session; `mail` and `rcpt` with their parameters. "|" parts recipients. */
static void deliver(const char *mail, const char *rcpt, const char *message)
{
    char line[1024];
    expect("EHLO client.test", 250, "");
    (void)!snprintf(line, sizeof line, "MAIL FROM:%s", mail);
    expect(line, 250, "2.1.0");
    for (const char *at = rcpt; *at != '\0';) {
        size_t len = strcspn(at, "|");
        (void)!snprintf(line, sizeof line, "RCPT TO:%.*s", (int)len, at);
        expect(line, 250, "2.1.5");
        at += len + (at[len] == '|');
    }
    (void)!snprintf(line, sizeof line, "BDAT %zu LAST\r\n", strlen(message));
    client_send(world->client, line);
    client_send(world->client, message);
    expect_reply(250, "queued as");
}

static void offer(const char *lines)
{
    atomic_store(&world->sink.offers, lines);
}

/* Until the sink has `count` messages, and our queue is empty. */
static void wait_for(size_t count)
{
    if (!sink_wait(&world->sink, count, WAIT_MS)) {
        fail_msg("%zu messages came, not %zu", world->sink.count, count);
    }
    for (int i = 0; i < WAIT_MS / 50 && rig_stat(&world->rig, "queue_messages") > 0; i++) {
        (void)usleep(50000);
    }
    assert_int_equal(rig_stat(&world->rig, "queue_messages"), 0);
    assert_int_equal(world->sink.count, count);
}

/* The message whose envelope begins so; the envelope goes to *envelope. */
static const char *message_from(const char *mail, const char **envelope)
{
    for (size_t i = 0; i < world->sink.count; i++) {
        if (strncmp(world->sink.envelopes[i], mail, strlen(mail)) == 0) {
            *envelope = world->sink.envelopes[i];
            return world->sink.messages[i];
        }
    }
    fail_msg("none came with %s", mail);
    return NULL;
}

static void holds(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("%s\nis not in\n%s", part, text);
    }
}

static void holds_not(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) {
        fail_msg("%s\nis in\n%s", part, text);
    }
}

static void test_what_is_asked_for_is_passed_on(void **state)
{
    (void)state;
    const char *envelope = NULL;
    offer("250-DSN\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n");
    deliver(
        "<a@a.test> RET=HDRS ENVID=QQ+2B SMTPUTF8",
        "<\xc3\xa4@b.test> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\xc3\xa4@c.test|<b@b\xc3\xbc.test> NOTIFY=NEVER",
        MESSAGE);
    wait_for(1);
    const char *message = message_from("MAIL FROM:<a@a.test>", &envelope);
    holds(envelope, " SMTPUTF8 RET=HDRS ENVID=QQ+2B|");
    holds(envelope, "RCPT TO:<\xc3\xa4@b.test> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\xc3\xa4@c.test|");
    holds(envelope, "RCPT TO:<b@xn--b-eha.test> NOTIFY=NEVER|");
    holds(message, "\r\n\r\n.\r\nbody\r\n");
    holds(message, "with UTF8SMTP id");
    assert_int_equal(atomic_load(&world->sink.chunks), 1);
}

/* To one that offers nothing, nothing is said; "relayed" is told, in place of what it would have told. */
static void test_relayed_to_one_without_dsn(void **state)
{
    (void)state;
    const char *envelope = NULL;
    deliver("<a@a.test> RET=FULL ENVID=QQ+2B",
            "<b@b.test> NOTIFY=SUCCESS ORCPT=rfc822;x+2By@c.test|<c@b.test>|<d@b.test> NOTIFY=FAILURE",
            MESSAGE);
    wait_for(2);
    (void)message_from("MAIL FROM:<a@a.test>", &envelope);
    holds_not(envelope, "RET=");
    holds_not(envelope, "NOTIFY");
    holds_not(envelope, "ORCPT");
    const char *report = message_from("MAIL FROM:<>", &envelope);
    holds(envelope, "RCPT TO:<a@a.test>|");
    holds(report, "Original-Envelope-Id: QQ+\r\n");
    holds(report, "Original-Recipient: rfc822; x+y@c.test\r\nFinal-Recipient: rfc822; b@b.test\r\n"
                  "Action: relayed\r\nStatus: 2.0.0\r\n");
    holds(report, "Last-Attempt-Date: ");
    holds_not(report, "c@b.test\r\n");
    holds_not(report, "d@b.test");
    holds_not(report, "body");
    assert_int_equal(atomic_load(&world->sink.chunks), 0);
}

static void test_notify_keeps_failures_out(void **state)
{
    (void)state;
    const char *envelope = NULL;
    world->sink.refuse_recipient = "bad";
    deliver("<a@a.test>", "<bad1@b.test> NOTIFY=NEVER|<bad2@b.test> NOTIFY=SUCCESS|<good@b.test>", MESSAGE);
    wait_for(1);
    (void)message_from("MAIL FROM:<a@a.test>", &envelope);
    deliver("<a@a.test>", "<bad3@b.test> NOTIFY=FAILURE|<bad4@b.test>", MESSAGE);
    wait_for(2);
    const char *report = message_from("MAIL FROM:<>", &envelope);
    holds(report, "Final-Recipient: rfc822; bad3@b.test");
    holds(report, "Final-Recipient: rfc822; bad4@b.test");
    holds(report, "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; ");
    holds_not(report, "bad1");
    assert_int_equal(rig_stat(&world->rig, "bounced"), 1);
}

static void test_the_whole_message_comes_back(void **state)
{
    (void)state;
    const char *envelope = NULL;
    world->sink.refuse_recipient = "bad";
    rig_set(&world->rig, "bounce.content", "full");
    deliver("<hdrs@a.test>", "<bad@b.test>", MESSAGE);
    wait_for(1);
    holds_not(message_from("MAIL FROM:<>", &envelope), "body\r\n");
    deliver("<full@a.test> RET=FULL", "<bad@b.test>", MESSAGE);
    wait_for(2);
    const char *report = world->sink.messages[1];
    holds(report, "Content-Type: message/rfc822\r\n");
    holds(report, "\r\n.\r\nbody\r\n");
    rig_set(&world->rig, "bounce.content", "headers");
    deliver("<full@a.test> RET=FULL", "<bad@b.test>", MESSAGE);
    wait_for(3);
    holds_not(world->sink.messages[2], "body\r\n");
    holds(world->sink.messages[2], "Content-Type: text/rfc822-headers\r\n");
}

static void test_a_delay_is_told_once(void **state)
{
    (void)state;
    const char *envelope = NULL;
    rig_set(&world->rig, "delivery.delay_notice@late.test", "1ms");
    rig_set(&world->rig, "delivery.retry", "100ms");
    offer("250-DSN\r\n"); /* so that nobody is told "relayed" */
    world->sink.refuse_recipient = NULL;
    atomic_store(&world->sink.rcpt_code, 0);
    rig_set(&world->rig, "delivery.next_hop@late.test", "127.0.0.1:1");
    deliver("<a@a.test>", "<b@late.test>|<c@late.test> NOTIFY=FAILURE|<d@late.test> NOTIFY=DELAY", MESSAGE);
    assert_true(sink_wait(&world->sink, 1, WAIT_MS));
    const char *report = message_from("MAIL FROM:<>", &envelope);
    holds(report, "Subject: Your message is delayed\r\n");
    holds(report, "Final-Recipient: rfc822; b@late.test\r\nAction: delayed\r\nStatus: 4.");
    holds(report, "Final-Recipient: rfc822; d@late.test");
    holds(report, "Will-Retry-Until: ");
    holds_not(report, "c@late.test");
    /* Several attempts more tell nothing more. */
    uint64_t tried = rig_stat(&world->rig, "deferred");
    for (int i = 0; i < WAIT_MS / 50 && rig_stat(&world->rig, "deferred") < tried + 3; i++) {
        (void)usleep(50000);
    }
    assert_true(rig_stat(&world->rig, "deferred") >= tried + 3);
    assert_int_equal(rig_stat(&world->rig, "bounced"), 1);
    char next_hop[64];
    (void)!snprintf(next_hop, sizeof next_hop, "127.0.0.1:%u", world->sink.port);
    rig_set(&world->rig, "delivery.next_hop@late.test", next_hop);
    wait_for(2);
}

/* The notification cannot be made, then the node starts again: it is made then, and nobody is served twice.
 */
static void test_the_duty_to_tell_survives_a_restart(void **state)
{
    (void)state;
    const char *envelope = NULL;
    rig_set(&world->rig, "delivery.retry", "100ms");
    atomic_store(&world->sink.rcpt_code, 451);
    deliver("<a@a.test>", "<b@b.test> NOTIFY=SUCCESS", MESSAGE);
    atomic_store(&world->rig.workers_stop, true);
    for (size_t i = 0; i < world->rig.worker_count; i++) { /* they look every now and then */
        struct timespec until = {0};
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += WAIT_MS / 1000;
        assert_int_equal(pthread_timedjoin_np(world->rig.workers[i], NULL, &until), 0);
    }
    world->rig.worker_count = 0;
    atomic_store(&world->sink.rcpt_code, 0);
    for (int i = 0; i < WAIT_MS / 50 && rig_stat(&world->rig, "delivered") < 1; i++) {
        (void)usleep(50000);
    }
    assert_int_equal(rig_stat(&world->rig, "delivered"), 1);
    rig_stop(&world->rig);
    assert_int_equal(world->sink.count, 1);
    world->rig.keep_dir = true;
    rig_start(&world->rig);
    wait_for(2);
    holds(message_from("MAIL FROM:<>", &envelope), "Action: relayed");
    (void)message_from("MAIL FROM:<a@a.test>", &envelope);
}

static void test_smtputf8_to_one_without(void **state)
{
    (void)state;
    const char *envelope = NULL;
    /* nothing in it needs it */
    deliver("<a@a.test> SMTPUTF8", "<b@b.test>", MESSAGE);
    wait_for(1);
    (void)message_from("MAIL FROM:<a@a.test>", &envelope);
    holds_not(envelope, "SMTPUTF8");
    /* one recipient does: the other one is served */
    deliver("<c@a.test> SMTPUTF8", "<\xc3\xa4@b.test>|<d@b.test>", MESSAGE);
    wait_for(3);
    (void)message_from("MAIL FROM:<c@a.test>", &envelope);
    holds(envelope, "RCPT TO:<d@b.test>|");
    holds_not(envelope, "\xc3\xa4");
    const char *report = message_from("MAIL FROM:<>", &envelope);
    holds(report, "report-type=global-delivery-status;");
    holds(report,
          "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: quoted-printable");
    holds(report, "Final-Recipient: utf-8; =C3=A4@b.test\r\nAction: failed\r\nStatus: 5.6.7\r\n");
    holds_not(envelope, "SMTPUTF8"); /* she can read it: it is ASCII */
    /* the header does */
    deliver("<e@a.test> SMTPUTF8", "<b@b.test>", "Subject: \xc3\xa4\r\n\r\nx\r\n");
    wait_for(4);
    holds(world->sink.messages[3], "Status: 5.6.9");
    holds(world->sink.messages[3], "Content-Type: message/global-headers\r\n");
}

static void test_limits_of_the_next_hop(void **state)
{
    (void)state;
    offer("250-LIMITS RCPTMAX=2 MAILMAX=1 NEW=x\r\n");
    deliver("<a@a.test>", "<1@b.test>|<2@b.test>|<3@b.test>|<4@b.test>|<5@b.test>", MESSAGE);
    wait_for(3);
    size_t recipients = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t here = 0;
        for (const char *at = world->sink.envelopes[i]; (at = strstr(at, "RCPT")) != NULL; at++) {
            here++;
        }
        assert_true(here <= 2);
        recipients += here;
    }
    assert_int_equal(recipients, 5);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        CASE(test_offers),
        CASE(test_chunks),
        CASE(test_chunks_that_are_refused),
        CASE(test_what_mail_and_rcpt_refuse),
        CASE(test_what_is_asked_for_is_passed_on),
        CASE(test_relayed_to_one_without_dsn),
        CASE(test_notify_keeps_failures_out),
        CASE(test_the_whole_message_comes_back),
        CASE(test_a_delay_is_told_once),
        CASE(test_the_duty_to_tell_survives_a_restart),
        CASE(test_smtputf8_to_one_without),
        CASE(test_limits_of_the_next_hop),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
