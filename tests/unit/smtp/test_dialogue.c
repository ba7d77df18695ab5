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

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        CASE(test_offers),
        CASE(test_chunks),
        CASE(test_chunks_that_are_refused),
        CASE(test_what_mail_and_rcpt_refuse),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
