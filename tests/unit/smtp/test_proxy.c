/* The PROXY header and XCLIENT: the grammar, and over sockets who may use them and what they change. */
#include "rig.h"
#include "smtp/crc32c.h"
#include "smtp/proxy_header.h"
#include "smtp/xclient_command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BODY      "Subject: one\r\n\r\ntext\r\n"
#define TCP4_25   "\xc0\x00\x02\x07\xc0\x00\x02\x01\x04\xd2\x00\x19"

#define ROW(text) SLICE_LITERAL(text)

static void test_header(void **state)
{
    (void)state;
    static const struct {
        struct slice in;
        enum proxy_result result;
        const char *client;
        unsigned port;
    } rows[] = {
        {ROW("PROXY TCP4 192.0.2.7 192.0.2.1 1234 25\r\n"), PROXY_ADDRESS, "192.0.2.7", 1234},
        {ROW("PROXY TCP6 2001:DB8::7 2001:db8::1 65535 25\r\n"), PROXY_ADDRESS, "2001:db8::7", 65535},
        {ROW("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 25\r\n"), PROXY_ADDRESS, "192.0.2.7", 1},
        {ROW("PROXY UNKNOWN\r\n"), PROXY_LOCAL, "", 0},
        {ROW("PROXY UNKNOWN what ever 1 2\r\n"), PROXY_LOCAL, "", 0},
        {ROW("PROXY UNKNOWNS\r\n"), PROXY_BAD, "", 0},
        {ROW("PROXY TCP4 192.0.2.7 192.0.2.1 1234 65536\r\n"), PROXY_BAD, "", 0},
        {ROW("PROXY TCP4 192.0.2.7 192.0.2.1 01 25\r\n"), PROXY_BAD, "", 0},
        {ROW("PROXY TCP4 192.0.2.7 192.0.2.1 1234\r\n"), PROXY_BAD, "", 0},
        {ROW("PROXY TCP4 192.0.2.7 192.0.2.1 1234 25 \r\n"), PROXY_BAD, "", 0},
        {ROW("PROXY TCP4  192.0.2.7 192.0.2.1 1234 25\r\n"), PROXY_BAD, "", 0},
        {ROW("PROXY TCP4 ::1 ::1 1234 25\r\n"), PROXY_BAD, "", 0},
        {ROW("PROXY TCP6 192.0.2.7 ::1 1234 25\r\n"), PROXY_BAD, "", 0},
        {ROW("PROXY TCP4 192.0.2.7 192.0.2.1 1234 25\n"), PROXY_BAD, "", 0},
        {ROW("PROXY TCP4 192.0.2.7\r 192.0.2.1 1234 25\r\n"), PROXY_BAD, "", 0},
        {ROW("PROXY TCP4 192.0.2.7\0 192.0.2.1 1234 25\r\n"), PROXY_BAD, "", 0},
        {ROW("proxy TCP4 192.0.2.7 192.0.2.1 1234 25\r\n"), PROXY_BAD, "", 0},
        {ROW("EHLO x.test\r\n"), PROXY_BAD, "", 0},
        {ROW("\n"), PROXY_BAD, "", 0},
        {ROW(SIGNATURE "\x21\x11\x00\x0c" TCP4_25), PROXY_ADDRESS, "192.0.2.7", 1234},
        {ROW(SIGNATURE "\x20\x11\x00\x0c" TCP4_25), PROXY_LOCAL, "", 0},
        {ROW(SIGNATURE "\x20\x00\x00\x00"), PROXY_LOCAL, "", 0},
        {ROW(SIGNATURE "\x21\x00\x00\x00"), PROXY_LOCAL, "", 0},
        {ROW(SIGNATURE "\x21\x11\x00\x10" TCP4_25 "\x04\x00\x01z"), PROXY_ADDRESS, "192.0.2.7", 1234},
        {ROW(SIGNATURE "\x21\x11\x00\x10" TCP4_25 "\x04\x00\x02z"), PROXY_BAD, "", 0},
        {ROW(SIGNATURE "\x21\x11\x00\x0e" TCP4_25 "\x04\x00"), PROXY_BAD, "", 0},
        {ROW(SIGNATURE "\x21\x11\x00\x13" TCP4_25 "\x03\x00\x04\0\0\0\0"), PROXY_BAD, "", 0},
        {ROW(SIGNATURE "\x21\x11\x00\x0b\xc0\x00\x02\x07\xc0\x00\x02\x01\x04\xd2\x00"), PROXY_BAD, "", 0},
        {ROW(SIGNATURE "\x21\x12\x00\x0c" TCP4_25), PROXY_BAD, "", 0}, /* a datagram */
        {ROW(SIGNATURE "\x21\x41\x00\x0c" TCP4_25), PROXY_BAD, "", 0},
        {ROW(SIGNATURE "\x22\x11\x00\x0c" TCP4_25), PROXY_BAD, "", 0},
        {ROW(SIGNATURE "\x11\x11\x00\x0c" TCP4_25), PROXY_BAD, "", 0},
        {ROW(SIGNATURE "\x21\x11\xff\xff"), PROXY_BAD, "", 0}, /* more than we read */
        {ROW("\r\n\r\n\0\r\nQUIX"), PROXY_BAD, "", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct proxy_header h;
        size_t used = 0;
        if (proxy_header_parse(rows[i].in, &h, &used) != rows[i].result) {
            fail_msg("row %zu", i);
        }
        assert_string_equal(rows[i].result == PROXY_ADDRESS ? h.client : "", rows[i].client);
        assert_int_equal(rows[i].result == PROXY_ADDRESS ? h.client_port : 0, rows[i].port);
        assert_int_equal(used, rows[i].result == PROXY_BAD ? 0 : rows[i].in.len);
        for (size_t cut = 0; cut < rows[i].in.len && rows[i].result != PROXY_BAD; cut++) {
            assert_int_equal(proxy_header_parse(slice_of(rows[i].in.data, cut), &h, &used), PROXY_MORE);
        }
    }
}

static void test_header_lengths(void **state)
{
    (void)state;
    char line[200] = "PROXY UNKNOWN ";
    struct proxy_header h;
    size_t used = 0;
    memset(line + 14, 'x', sizeof line - 14);
    line[105] = '\r';
    line[106] = '\n';
    assert_int_equal(proxy_header_parse(slice_of(line, 107), &h, &used), PROXY_LOCAL);
    assert_int_equal(used, 107);
    line[105] = 'x';
    line[106] = '\r';
    line[107] = '\n';
    assert_int_equal(proxy_header_parse(slice_of(line, 106), &h, &used), PROXY_MORE);
    assert_int_equal(proxy_header_parse(slice_of(line, 107), &h, &used), PROXY_BAD);
    assert_int_equal(proxy_header_parse(slice_of(line, 108), &h, &used), PROXY_BAD);
}

/* As proxy v2 with a checksum, before and behind other TLVs. */
static void test_header_checksum(void **state)
{
    (void)state;
    uint8_t in[] = SIGNATURE "\x21\x21\x00\x32"
                             "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                             "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                             "\x04\xd2\x00\x19"
                             "\x04\x00\x01z"
                             "\x03\x00\x04\0\0\0\0"
                             "\x04\x00\x00";
    size_t len = sizeof in - 1, at = 16 + 36 + 4 + 3, used = 0;
    struct proxy_header h;
    assert_int_equal(proxy_header_parse(slice_of(in, len), &h, &used), PROXY_BAD);
    uint32_t crc = crc32c(0, slice_of(in, len));
    for (int i = 0; i < 4; i++) {
        in[at + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    assert_int_equal(proxy_header_parse(slice_of(in, len), &h, &used), PROXY_ADDRESS);
    assert_string_equal(h.client, "2001:db8::7");
    for (size_t i = 16; i < len; i++) { /* each byte; but another type makes it no checksum */
        if (i == at - 3) {
            continue;
        }
        in[i] ^= 1;
        assert_int_not_equal(proxy_header_parse(slice_of(in, len), &h, &used), PROXY_ADDRESS);
        in[i] ^= 1;
    }
}

static void test_xclient_words(void **state)
{
    (void)state;
    struct xclient x;
    assert_true(xclient_parse(
        SLICE_LITERAL("NAME=spike.example ADDR=IPV6:2001:DB8::7 PORT=1234 PROTO=ESMTP HELO=a+2Eb login=u+40x "
                      "DESTADDR=192.0.2.1 DESTPORT=25"),
        &x));
    assert_string_equal(x.name, "spike.example");
    assert_string_equal(x.address, "2001:db8::7");
    assert_string_equal(x.helo, "a.b");
    assert_string_equal(x.login, "u@x");
    assert_true(x.esmtp && x.port == 1234 && x.destination_port == 25 && x.known[XCLIENT_ADDR]);
    assert_true(xclient_parse(SLICE_LITERAL("NAME=[UNAVAILABLE] ADDR=[tempunavail]"), &x));
    assert_true(x.given[XCLIENT_NAME] && !x.known[XCLIENT_NAME] && !x.known[XCLIENT_ADDR]);
    static const char *const bad[] = {"",
                                      "NAME",
                                      "FOO=bar",
                                      "ADDR=",
                                      "ADDR=::1",
                                      "ADDR=IPV6:192.0.2.1",
                                      "PORT=x",
                                      "PORT=65536",
                                      "PROTO=QMTP",
                                      "NAME=a+0D+0Ab",
                                      "NAME=a+00b",
                                      "NAME=a+20b",
                                      "HELO=a+2",
                                      "HELO=a(b)",
                                      "LOGIN=a+0Ab",
                                      "ADDR=1.2.3.4 ADDR=1.2.3.4",
                                      "LOGIN=\xc3\xa4",
                                      "NAME=[UNKNOWN]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (xclient_parse(slice_of_text(bad[i]), &x)) {
            fail_msg("%s", bad[i]);
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
    rig_set(&rig, "relay.networks", "192.0.2.0/24");
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

static void answers(int fd, const char *line, const char *wanted)
{
    char reply[1024];
    client_send(fd, line);
    client_send(fd, "\r\n");
    (void)client_reply(fd, reply, sizeof reply);
    if (strncmp(reply, wanted, strlen(wanted)) != 0) {
        fail_msg("%s: %s, not %s", line, reply, wanted);
    }
}

static void send_bytes(int fd, struct slice bytes)
{
    assert_int_equal(send(fd, bytes.data, bytes.len, MSG_NOSIGNAL), bytes.len);
}

static void deliver(int fd)
{
    answers(fd, "EHLO x.test", "250");
    answers(fd, "MAIL FROM:<a@a.test>", "250");
    answers(fd, "RCPT TO:<b@b.test>", "250");
    answers(fd, "DATA", "354");
    answers(fd, BODY ".", "250");
    answers(fd, "QUIT", "221");
    (void)close(fd);
}

static void test_proxy_in(void **state)
{
    (void)state;
    rig_set(&rig, "smtp.proxy_networks", "127.0.0.0/8");
    rig_start(&rig);
    int fd = rig_connect(rig.port);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1); /* nothing is said before the header */
    client_send(fd, "PROXY TCP4 192.0.2.7 192.0.2.1 1234 25\r\n");
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    deliver(fd);
    assert_true(sink_wait(&sink, 1, 5000));
    assert_non_null(strstr(sink.messages[0], "Received: from x.test ([192.0.2.7])"));

    struct slice v2 = SLICE_LITERAL(SIGNATURE "\x21\x11\x00\x0c" TCP4_25);
    fd = rig_connect(rig.port);
    for (size_t i = 0; i < v2.len; i++) { /* byte by byte */
        send_bytes(fd, slice_of(v2.data + i, 1));
    }
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    deliver(fd);
    assert_true(sink_wait(&sink, 2, 5000));
    assert_non_null(strstr(sink.messages[1], "Received: from x.test ([192.0.2.7])"));

    fd = rig_connect(rig.port); /* LOCAL: the balancer's own address, which may not relay here */
    send_bytes(fd, SLICE_LITERAL(SIGNATURE "\x20\x00\x00\x00"));
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    answers(fd, "EHLO x.test", "250");
    answers(fd, "MAIL FROM:<a@a.test>", "250");
    answers(fd, "RCPT TO:<b@b.test>", "550");
    (void)close(fd);
}

static void test_proxy_is_a_must_and_only_for_some(void **state)
{
    (void)state;
    rig_set(&rig, "smtp.proxy_networks", "127.0.0.0/8");
    rig_set(&rig, "smtp.command_timeout", "1s");
    rig_start(&rig);
    int fd = rig_connect(rig.port);
    client_send(fd, "EHLO x.test\r\n");
    assert_int_not_equal(client_reply(fd, NULL, 0), 220);
    assert_true(client_closed(fd));
    (void)close(fd);
    fd = rig_connect(rig.port); /* nothing at all: the timeout */
    assert_int_not_equal(client_reply(fd, NULL, 0), 220);
    assert_true(client_closed(fd));
    (void)close(fd);
    rig_set(&rig, "smtp.proxy_networks", "10.0.0.0/8");
    static const char *const lines[] = {"PROXY TCP4 192.0.2.7 192.0.2.1 1234 25\r\n", "\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        fd = rig_connect(rig.port);
        assert_int_equal(client_reply(fd, NULL, 0), 220);
        client_send(fd, lines[i]);
        if (i == 1) {
            send_bytes(fd, SLICE_LITERAL("\0\r\nQUIT\n\x21\x11\x00\x0c" TCP4_25));
        }
        while (client_reply(fd, NULL, 0) >= 500) {
        }
        assert_true(client_closed(fd));
        (void)close(fd);
    }
}

/* Limits are by the client that the header names, not by the balancer. */
static void test_proxy_and_limits(void **state)
{
    (void)state;
    char reply[256];
    int fds[3];
    rig_set(&rig, "smtp.proxy_networks", "127.0.0.0/8");
    rig_set(&rig, "smtp.max_sessions_per_client", "1");
    rig_start(&rig);
    static const char *const clients[] = {"192.0.2.1", "192.0.2.2"};
    for (size_t i = 0; i < 2; i++) {
        fds[i] = rig_connect(rig.port);
        (void)!snprintf(reply, sizeof reply, "PROXY TCP4 %s 192.0.2.1 1234 25\r\n", clients[i]);
        client_send(fds[i], reply);
        assert_int_equal(client_reply(fds[i], NULL, 0), 220);
    }
    fds[2] = rig_connect(rig.port);
    client_send(fds[2], "PROXY TCP6 ::ffff:192.0.2.2 ::1 1234 25\r\n");
    assert_int_equal(client_reply(fds[2], reply, sizeof reply), 421);
    assert_non_null(strstr(reply, "too many sessions from your address"));
    for (size_t i = 0; i < 3; i++) {
        (void)close(fds[i]);
    }
}

static void test_xclient_in(void **state)
{
    (void)state;
    char reply[1024];
    rig_set(&rig, "smtp.xclient_networks", "127.0.0.0/8");
    rig_start(&rig);
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    client_send(fd, "EHLO x.test\r\n");
    assert_int_equal(client_reply(fd, reply, sizeof reply), 250);
    assert_non_null(strstr(reply, "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"));
    answers(fd, "MAIL FROM:<a@a.test>", "250");
    answers(fd, "XCLIENT ADDR=192.0.2.7", "503");
    answers(fd, "RCPT TO:<b@b.test>", "550");
    answers(fd, "RSET", "250");
    answers(fd, "XCLIENT ADDR=192.0.2.7 NAME=evil+0D+0Abcc", "501");
    answers(fd, "XCLIENT ADDR=192.0.2.7 NAME=spike.test HELO=from.test PROTO=ESMTP", "220");
    answers(fd, "MAIL FROM:<a@a.test>", "503"); /* the session is as new */
    answers(fd, "EHLO filter.test", "250");
    answers(fd, "XCLIENT HELO=again.test", "220"); /* still the filter that speaks */
    deliver(fd);
    assert_true(sink_wait(&sink, 1, 5000));
    assert_non_null(strstr(sink.messages[0], "Received: from again.test (spike.test [192.0.2.7])"));
}

static void test_xclient_is_for_some(void **state)
{
    (void)state;
    char reply[1024];
    rig_set(&rig, "smtp.xclient_networks", "10.0.0.0/8");
    rig_start(&rig);
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    client_send(fd, "EHLO x.test\r\n");
    assert_int_equal(client_reply(fd, reply, sizeof reply), 250);
    assert_null(strstr(reply, "XCLIENT"));
    answers(fd, "XCLIENT ADDR=192.0.2.7", "550 5.7.0");
    answers(fd, "MAIL FROM:<a@a.test>", "250");
    answers(fd, "RCPT TO:<b@b.test>", "550");
    (void)close(fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_lengths),
        cmocka_unit_test(test_header_checksum),
        cmocka_unit_test(test_xclient_words),
        CASE(test_proxy_in),
        CASE(test_proxy_is_a_must_and_only_for_some),
        CASE(test_proxy_and_limits),
        CASE(test_xclient_in),
        CASE(test_xclient_is_for_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
