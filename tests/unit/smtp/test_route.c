/*
 * Where mail goes, in the whole smtp service: by MX at a real NSD, smart hosts, sender's next hops, LMTP,
 * source addresses, pauses and rates, many destinations with dead and silent ones among them.
 */
#include "name_server.h"
#include "rig.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY    "From: a@a.example\r\nTo: b@b.example\r\nSubject: one\r\n\r\nbody\r\n"
#define MX_PORT 15325

static struct name_server names;
static struct rig rig;
static struct sink one, two;
static char address_one[16], address_two[16];

static int names_begin(void **state)
{
    static char records[4000];
    (void)state;
    loopback_address(1, address_one);
    loopback_address(2, address_two);
    (void)!snprintf(records, sizeof records,
                    "one IN A %s\ntwo IN A %s\nsix IN AAAA ::1\nwe IN A 127.0.0.1\n"
                    "alias IN CNAME one\n"
                    "first IN MX 10 one\nfirst IN MX 20 two\n"
                    "dead IN A 127.255.255.254\n"
                    "failing IN MX 10 dead\nfailing IN MX 20 two\n"
                    "cname IN MX 10 alias\n"
                    "null IN MX 0 .\n"
                    "loop IN MX 10 we\nloop IN MX 20 two\n"
                    "broken IN MX 10 one.elsewhere.org.\n"
                    "v6 IN MX 10 six\n",
                    address_one, address_two);
    struct name_zone zones[] = {{.name = "d.example", .records = records},
                                {.name = "forged.example",
                                 .is_signed = true,
                                 .records = "@ IN MX 10 one.d.example.\n",
                                 .forge_from = "MX\t10",
                                 .forge_to = "MX\t11"}};
    name_server_start(&names, zones, 2);
    return 0;
}

static int names_end(void **state)
{
    (void)state;
    name_server_stop(&names);
    return 0;
}

static int begin(void **state)
{
    char port[8];
    (void)state;
    memset(&rig, 0, sizeof rig);
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    rig.grace_ms = 2000;
    one.address = address_one;
    one.port = MX_PORT;
    two.address = address_two;
    two.port = MX_PORT;
    sink_start(&one);
    sink_start(&two);
    (void)!snprintf(port, sizeof port, "%d", MX_PORT);
    rig_set(&rig, "delivery.mx_port", port);
    rig_set(&rig, "dns.resolvers", names.resolvers);
    rig_set(&rig, "dns.trust_anchors", names.anchors);
    rig_set(&rig, "delivery.retry", "300ms");
    return 0;
}

static int finish(void **state)
{
    (void)state;
    if (rig.thread != 0) {
        rig_stop(&rig);
    }
    sink_stop(&one);
    sink_stop(&two);
    rig_remove(&rig);
    return 0;
}

static void deliver(const char *from, const char *to)
{
    assert_int_equal(client_deliver(rig.port, from, to, BODY, NULL, 0), 250);
}

static void wait_for(const char *name, uint64_t least)
{
    for (int i = 0; i < 2000 && rig_stat(&rig, name) < least; i++) {
        (void)usleep(10000);
    }
    assert_in_range(rig_stat(&rig, name), least, UINT64_MAX);
}

/* Does a message of the sink hold the text? */
static bool sink_has(struct sink *s, const char *text)
{
    bool found = false;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++) {
        found = found || strstr(s->messages[i], text) != NULL || strstr(s->envelopes[i], text) != NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

static void by_mx(void **state)
{
    (void)state;
    rig_start(&rig);
    deliver("a@a.example", "b@first.d.example"); /* the best */
    deliver("a@a.example", "b@CNAME.d.example"); /* RFC 5321 forbids an alias there, and all tolerate it */
    deliver("a@a.example", "b@one.d.example");   /* no MX: the host itself */
    assert_true(sink_wait(&one, 3, 20000));
    deliver("a@a.example", "b@failing.d.example"); /* the best is dead: the next */
    assert_true(sink_wait(&two, 1, 20000));
    wait_for("delivered", 4);
}

static void literals(void **state)
{
    char to[64];
    (void)state;
    rig_start(&rig);
    (void)!snprintf(to, sizeof to, "b@[%s]", address_two);
    deliver("a@a.example", to);
    assert_true(sink_wait(&two, 1, 20000));
}

static void over_ipv6(void **state)
{
    struct sink six = {.address = "::1", .port = 0};
    char port[8];
    (void)state;
    sink_start(&six);
    (void)!snprintf(port, sizeof port, "%u", six.port);
    rig_set(&rig, "delivery.mx_port", port);
    rig_start(&rig);
    deliver("a@a.example", "b@v6.d.example");
    deliver("a@a.example", "b@[IPv6:::1]");
    assert_true(sink_wait(&six, 2, 20000));
    rig_stop(&rig);
    sink_stop(&six);
}

/* Permanent: the sender is told at once, with the code that the RFCs give. */
static void what_dns_forbids_bounces(void **state)
{
    static const struct {
        const char *to, *status;
    } rows[] = {{"b@null.d.example", "5.1.10"},
                {"b@none.d.example", "5.1.2"},
                {"b@alias.first.d.example", "5.1.2"},
                {"b@[192.0.2.256]", "5.1.2"}};
    char next_hop[64];
    (void)state;
    (void)!snprintf(next_hop, sizeof next_hop, "%s:%d", address_two, MX_PORT);
    rig_set(&rig, "delivery.next_hop@a.example", next_hop);
    rig_start(&rig);
    size_t sent = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char status[64];
        if (client_deliver(rig.port, "a@a.example", rows[i].to, BODY, NULL, 0) != 250) {
            continue; /* the session itself has refused what is no address */
        }
        assert_true(sink_wait(&two, ++sent, 20000));
        (void)!snprintf(status, sizeof status, "Status: %s", rows[i].status);
        if (!sink_has(&two, status)) {
            fail_msg("%s: no %s", rows[i].to, status);
        }
    }
    assert_in_range(sent, 3, 4);
}

static void a_loop_is_seen(void **state)
{
    char next_hop[64], port[8];
    (void)state;
    (void)!snprintf(next_hop, sizeof next_hop, "%s:%d", address_two, MX_PORT);
    rig_set(&rig, "delivery.next_hop@a.example", next_hop);
    rig_start(&rig);
    (void)!snprintf(port, sizeof port, "%u", rig.port);
    rig_set(&rig, "delivery.mx_port", port); /* as if we listened where MX hosts do */
    deliver("a@a.example", "b@loop.d.example");
    assert_true(sink_wait(&two, 1, 20000));
    assert_true(sink_has(&two, "Status: 5.4.6"));
    assert_false(sink_has(&two, "RCPT TO:<b@loop.d.example>"));
}

static void what_dns_cannot_say_now_waits(void **state)
{
    (void)state;
    rig_start(&rig);
    deliver("a@a.example", "b@forged.example"); /* bogus: nothing of it is used */
    wait_for("deferred", 1);
    deliver("a@a.example", "b@broken.d.example"); /* the only host cannot be looked up */
    wait_for("deferred", 3);
    assert_int_equal(rig_stat(&rig, "queue_messages"), 2);
    assert_int_equal(one.count + two.count, 0);
    assert_int_equal(rig_stat(&rig, "failed"), 0);
}

static void which_next_hop_counts(void **state)
{
    char at_one[64], at_two[64];
    (void)state;
    (void)!snprintf(at_one, sizeof at_one, "%s:%d", address_one, MX_PORT);
    (void)!snprintf(at_two, sizeof at_two, "%s:%d", address_two, MX_PORT);
    rig_set(&rig, "sender.next_hop@s.example", at_two);
    rig_set(&rig, "delivery.next_hop@own.example", at_one);
    rig_start(&rig);
    deliver("a@s.example", "b@first.d.example"); /* the sender's, not MX (which says one) */
    assert_true(sink_wait(&two, 1, 20000));
    deliver("a@s.example", "b@own.example"); /* the recipient's domain has its own */
    assert_true(sink_wait(&one, 1, 20000));
    rig_set(&rig, "delivery.next_hop", at_one);
    deliver("a@s.example", "c@first.d.example"); /* the sender's, not the one for all */
    assert_true(sink_wait(&two, 2, 20000));
    deliver("a@other.example", "b@else.example"); /* the one for all */
    assert_true(sink_wait(&one, 2, 20000));
}

static void lmtp_answers_for_each(void **state)
{
    char next_hop[64];
    (void)state;
    one.lmtp = true;
    one.refuse_recipient = "bad@";
    (void)!snprintf(next_hop, sizeof next_hop, "%s:%d", address_one, MX_PORT);
    rig_set(&rig, "delivery.next_hop@box.example", next_hop);
    rig_set(&rig, "delivery.protocol@box.example", "lmtp");
    (void)!snprintf(next_hop, sizeof next_hop, "%s:%d", address_two, MX_PORT);
    rig_set(&rig, "delivery.next_hop@a.example", next_hop);
    rig_set(&rig, "delivery.retry", "1h");
    rig_start(&rig);
    deliver("a@a.example", "x@box.example,bad@box.example,full@box.example,y@box.example");
    assert_true(sink_wait(&one, 1, 20000));
    assert_true(sink_wait(&two, 1, 20000)); /* the failure is told, the other one waits */
    wait_for("delivered", 2);
    assert_true(sink_has(&two, "bad@box.example"));
    assert_false(sink_has(&two, "Final-Recipient: rfc822; full@box.example"));
    for (int i = 0; i < 2000 && rig_stat(&rig, "queue_messages") != 1; i++) {
        (void)usleep(10000); /* the sink has the bounce; what it said of it has to arrive as well */
    }
    assert_int_equal(rig_stat(&rig, "queue_messages"), 1);
    deliver("a@a.example", "z@box.example"); /* the same connection, or a new one: in step again */
    assert_true(sink_wait(&one, 2, 20000));
    assert_non_null(strstr(one.hello, " LHLO mx.test.example"));
}

static void who_we_say_we_are(void **state)
{
    char next_hop[64], source[100], own[16], expected[100];
    (void)state;
    loopback_address(9, own);
    (void)!snprintf(next_hop, sizeof next_hop, "%s:%d", address_one, MX_PORT);
    (void)!snprintf(source, sizeof source, "192.0.2.1,2001:db8::1,%s", own); /* other nodes' are skipped */
    rig_set(&rig, "delivery.next_hop", next_hop);
    rig_set(&rig, "delivery.source_address", source);
    rig_set(&rig, "delivery.helo_name", "out.example.org");
    rig_start(&rig);
    deliver("a@a.example", "b@b.example");
    assert_true(sink_wait(&one, 1, 20000));
    (void)!snprintf(expected, sizeof expected, "%s EHLO out.example.org", own);
    assert_string_equal(one.hello, expected);
    rig_set(&rig, "delivery.source_address", "192.0.2.1"); /* none of ours: nothing leaves from another */
    deliver("a@a.example", "b@b.example");
    wait_for("deferred", 1);
    assert_int_equal(one.count, 1);
}

static void paused_and_slow(void **state)
{
    char next_hop[64];
    (void)state;
    (void)!snprintf(next_hop, sizeof next_hop, "%s:%d", address_one, MX_PORT);
    rig_set(&rig, "delivery.next_hop", next_hop);
    rig_set(&rig, "delivery.paused@b.example", "yes");
    rig_start(&rig);
    deliver("a@a.example", "b@b.example");
    wait_for("deferred", 1);
    assert_int_equal(one.count, 0);
    rig_set(&rig, "delivery.paused@b.example", "no");
    assert_true(sink_wait(&one, 1, 20000));
    /* 600 a minute: a second's worth at once, and then no faster */
    rig_set(&rig, "delivery.max_rate@c.example", "600");
    struct timespec from, to;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 25; i++) {
        deliver("a@a.example", "b@c.example");
    }
    assert_true(sink_wait(&one, 26, 30000));
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    assert_in_range((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000, 1300, 60000);
}

/* Several that say nothing, more than a few that are dead, and those that live get all of theirs. */
static void others_are_not_held_up(void **state)
{
    char silent[16], next_hop[64], domain[100];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(MX_PORT)};
    (void)state;
    (void)!snprintf(next_hop, sizeof next_hop, "%s:%d", address_one, MX_PORT);
    rig_set(&rig, "delivery.next_hop", next_hop);
    loopback_address(3, silent);
    assert_int_equal(inet_pton(AF_INET, silent, &at.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 200), 0);
    for (int i = 0; i < 3; i++) {
        (void)!snprintf(domain, sizeof domain, "delivery.next_hop@silent%d.example", i);
        (void)!snprintf(next_hop, sizeof next_hop, "%s:%d", silent, MX_PORT);
        rig_set(&rig, domain, next_hop);
        (void)!snprintf(domain, sizeof domain, "delivery.helo_name@silent%d.example", i);
        (void)!snprintf(next_hop, sizeof next_hop, "h%d.example", i); /* destinations of their own */
        rig_set(&rig, domain, next_hop);
    }
    rig_set(&rig, "delivery.next_hop@dead.example", "127.255.255.254:1");
    rig_start(&rig);
    for (int i = 0; i < 60; i++) {
        (void)!snprintf(domain, sizeof domain, "b@silent%d.example", i % 3);
        deliver("a@a.example", domain);
        deliver("a@a.example", "b@dead.example");
        (void)!snprintf(domain, sizeof domain, "b@live%d.example", i);
        deliver("a@a.example", domain);
    }
    assert_true(sink_wait(&one, 60, 30000));
    assert_int_equal(one.count, 60);
    rig_stop(&rig);
    (void)close(fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(by_mx),
        CASE(literals),
        CASE(over_ipv6),
        CASE(what_dns_forbids_bounces),
        CASE(a_loop_is_seen),
        CASE(what_dns_cannot_say_now_waits),
        CASE(which_next_hop_counts),
        CASE(lmtp_answers_for_each),
        CASE(who_we_say_we_are),
        CASE(paused_and_slow),
        CASE(others_are_not_held_up),
    };
    return cmocka_run_group_tests(tests, names_begin, names_end);
}
