/* Listeners by name: what holds for each, and that a change holds for the next session. */
#include "rig.h"

#include "smtp/listener_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY    "From: a@a.test\r\nTo: b@b.test\r\nSubject: one\r\n\r\nbody\r\n"
#define TEXT(s) slice_of_text(s)

static struct rig rig;
static struct sink sink;

static int begin(void **state)
{
    char text[64];
    (void)state;
    memset(&rig, 0, sizeof rig);
    memset(&sink, 0, sizeof sink);
    sink_start(&sink);
    (void)!snprintf(text, sizeof text, "127.0.0.1:%u", sink.port);
    rig_set(&rig, "delivery.next_hop", text);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_stop(&rig);
    sink_stop(&sink);
    rig_remove(&rig);
    return 0;
}

/* --- pure --- */

static void names_have_their_defaults(void **state)
{
    static const struct {
        const char *name, *row, *tls_setting;
        enum listener_role role;
        bool lmtp;
        enum listener_tls tls;
        enum listener_auth auth;
        bool admits_strangers;
    } table[] = {
        {"relay", "", "offered", LISTENER_IS_RELAY, false, LISTENER_TLS_OFFERED, LISTENER_AUTH_OFF, false},
        {"relay", "", "off", LISTENER_IS_RELAY, false, LISTENER_TLS_OFF, LISTENER_AUTH_OFF, false},
        {"relay", "", "required", LISTENER_IS_RELAY, false, LISTENER_TLS_REQUIRED, LISTENER_AUTH_OFF, false},
        {"anything", "", "offered", LISTENER_IS_RELAY, false, LISTENER_TLS_OFFERED, LISTENER_AUTH_OFF, false},
        {"lmtp", "", "offered", LISTENER_IS_RELAY, true, LISTENER_TLS_OFFERED, LISTENER_AUTH_OFF, false},
        {"submission", "", "off", LISTENER_IS_SUBMISSION, false, LISTENER_TLS_REQUIRED,
         LISTENER_AUTH_REQUIRED, true},
        {"submissions", "", "off", LISTENER_IS_SUBMISSION, false, LISTENER_TLS_IMPLICIT,
         LISTENER_AUTH_REQUIRED, true},
        {"inbound", "", "offered", LISTENER_IS_INBOUND, false, LISTENER_TLS_OFFERED, LISTENER_AUTH_OFF, true},
        {"relay", "role=inbound\nprotocol=lmtp\ntls=implicit\nauth=offered\n", "off", LISTENER_IS_INBOUND,
         true, LISTENER_TLS_IMPLICIT, LISTENER_AUTH_OFFERED, true},
        {"mx", "role=submission\n", "off", LISTENER_IS_SUBMISSION, false, LISTENER_TLS_REQUIRED,
         LISTENER_AUTH_REQUIRED, true},
        {"inbound", "networks=10.0.0.0/8\n", "offered", LISTENER_IS_INBOUND, false, LISTENER_TLS_OFFERED,
         LISTENER_AUTH_OFF, false},
        {"inbound", "role=relay\n", "offered", LISTENER_IS_RELAY, false, LISTENER_TLS_OFFERED,
         LISTENER_AUTH_OFF, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct listener_record record = {0};
        struct listener_settings settings = {.tls = TEXT(table[i].tls_setting),
                                             .relay_networks = TEXT("10.0.0.0/8"),
                                             .proxy_networks = TEXT("192.0.2.7/32")};
        assert_int_equal(listener_text_read(TEXT(table[i].row), &record, NULL), STATUS_OK);
        struct listener_policy *p =
            listener_policy_new(TEXT(table[i].name), table[i].row[0] != '\0' ? &record : NULL, &settings);
        assert_int_equal(p->role, table[i].role);
        assert_int_equal(p->lmtp, table[i].lmtp);
        assert_int_equal(p->tls, table[i].tls);
        assert_int_equal(p->auth, table[i].auth);
        assert_int_equal(listener_policy_admits(p, TEXT("192.0.2.1")), table[i].admits_strangers);
        assert_true(listener_policy_admits(p, TEXT("10.1.2.3")));
        assert_false(setting_networks_hold(&p->proxy_networks, TEXT("10.1.2.3")));
        assert_true(setting_networks_hold(&p->proxy_networks, TEXT("192.0.2.7")));
        assert_false(setting_networks_hold(&p->xclient_networks, TEXT("10.1.2.3")));
        listener_policy_release(p);
    }
}

/* relay.networks may be empty: that is nobody, on a relay; elsewhere a row without networks is everybody. */
static void a_relay_for_no_network_is_for_nobody(void **state)
{
    struct listener_settings settings = {.tls = TEXT("offered")};
    struct listener_policy *relay = listener_policy_new(TEXT("relay"), NULL, &settings);
    struct listener_policy *inbound = listener_policy_new(TEXT("inbound"), NULL, &settings);
    (void)state;
    assert_false(listener_policy_admits(relay, TEXT("127.0.0.1")));
    assert_false(listener_policy_admits(relay, TEXT("::1")));
    assert_true(listener_policy_admits(inbound, TEXT("127.0.0.1")));
    listener_policy_release(relay);
    listener_policy_release(inbound);
}

static void fields_are_checked(void **state)
{
    static const struct {
        const char *field, *value, *line; /* NULL: refused */
    } table[] = {
        {"role", "inbound", "role=inbound\n"},
        {"role", "default", "role=\n"},
        {"networks", "", "networks=\n"},
        {"networks", "10.0.0.0/8 ::1/128", "networks=10.0.0.0/8,::1/128\n"},
        {"networks", "10.0.0.0/33", NULL},
        {"rolle", "inbound", NULL},
        {"role", "outbound", NULL},
        {"tls", "sometimes", NULL},
        {"tls_version", "1.1", NULL},
        {"certificates", "mx-rsa,mx-ec", "certificates=mx-rsa,mx-ec\n"},
        {"certificates", "MX", NULL},
        {"certificates", "../etc", NULL},
        {"client_trust", "12", NULL},
        {"proxy_networks", "10.0.0.1/32\nrole=relay", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf changes = BUF_INIT(1000);
        struct failure f = {0};
        enum status status = listener_change_append(TEXT(table[i].field), TEXT(table[i].value), &changes, &f);
        if ((status == STATUS_OK) != (table[i].line != NULL)) {
            fail_msg("%s=%s: %s", table[i].field, table[i].value, f.text);
        }
        if (table[i].line != NULL) {
            struct listener_record record = {0};
            assert_true(slice_equal(buf_slice(&changes), TEXT(table[i].line)));
            assert_int_equal(listener_text_read(buf_slice(&changes), &record, &f), STATUS_OK);
        }
        buf_release(&changes);
    }
    static const char *const bad[] = {
        "role=inbound", "role", "role\n", "x=y\n", "role=Inbound\n", "\n", "networks=10.0.0.0/8 ::1/128\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct listener_record record = {0};
        assert_int_equal(listener_text_read(TEXT(bad[i]), &record, NULL), STATUS_INVALID);
    }
}

/* --- in sessions --- */

static void an_inbound_listener_takes_ours_alone(void **state)
{
    char reply[256];
    (void)state;
    rig_listener_set(&rig, "inbound", "");
    rig_set(&rig, "domain.locality@ours.test", "internal");
    rig_start(&rig);
    int fd = rig_connect(rig.listeners[0].port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "EHLO x"), 250);
    assert_int_equal(client_command(fd, "MAIL FROM:<a@theirs.test>"), 250);
    assert_int_equal(client_command(fd, "RCPT TO:<b@ours.test>"), 250);
    assert_int_equal(client_command(fd, "RCPT TO:<b@OURS.TEST>"), 250);
    assert_int_equal(client_command(fd, "RCPT TO:<Postmaster>"), 250);
    client_send(fd, "RCPT TO:<b@theirs.test>\r\n");
    assert_int_equal(client_reply(fd, reply, sizeof reply), 550);
    assert_non_null(strstr(reply, "550 5.7.1 the recipient is not of this site"));
    assert_int_equal(client_command(fd, "RCPT TO:<b%theirs.test@ours.test>"), 550);
    assert_int_equal(client_command(fd, "RCPT TO:<\"b@theirs.test\"@ours.test>"), 550);
    assert_int_equal(client_command(fd, "RCPT TO:<@ours.test:b@theirs.test>"), 553);
    assert_int_equal(client_command(fd, "RCPT TO:<b@[127.0.0.1]>"), 550);
    (void)close(fd);
    assert_int_equal(rig_stat(&rig, "relay_denied"), 4);
    assert_int_equal(client_deliver(rig.listeners[0].port, "a@theirs.test", "b@ours.test", BODY, NULL, 0),
                     250);
}

static void submission_wants_tls_and_an_account(void **state)
{
    (void)state;
    rig_listener_set(&rig, "submission", "");
    rig_start(&rig);
    char reply[256];
    assert_int_equal(
        client_deliver(rig.listeners[0].port, "a@ours.test", "b@b.test", BODY, reply, sizeof reply), 530);
    assert_non_null(strstr(reply, "530 5.7.0 say STARTTLS first"));
    rig_listener_set(&rig, "submission", "tls=off\n");
    int fd = rig_connect(rig.listeners[0].port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "EHLO x"), 250);
    client_send(fd, "MAIL FROM:<a@ours.test>\r\n");
    assert_int_equal(client_reply(fd, reply, sizeof reply), 530);
    assert_non_null(strstr(reply, "530 5.7.0 authenticate first"));
    (void)close(fd);
}

static void a_change_holds_for_the_next_session(void **state)
{
    (void)state;
    rig_start(&rig);
    int old = rig_connect(rig.port);
    assert_int_equal(client_reply(old, NULL, 0), 220);
    rig_listener_set(&rig, "relay", "networks=192.0.2.0/24\n");
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 550);
    /* who is in the middle of a session ends it as she began */
    assert_int_equal(client_command(old, "EHLO x"), 250);
    assert_int_equal(client_command(old, "MAIL FROM:<a@a.test>"), 250);
    assert_int_equal(client_command(old, "RCPT TO:<b@b.test>"), 250);
    (void)close(old);
    rig_listener_set(&rig, "relay", "protocol=lmtp\n");
    int fd = rig_connect(rig.port);
    char greeting[256];
    assert_int_equal(client_reply(fd, greeting, sizeof greeting), 220);
    assert_non_null(strstr(greeting, " LMTP "));
    assert_int_equal(client_command(fd, "LHLO x"), 250);
    (void)close(fd);
    rig_listener_set(&rig, "relay", "");
    assert_int_equal(client_deliver(rig.port, "a@a.test", "b@b.test", BODY, NULL, 0), 250);
}

/* Without a certificate there is no implicit TLS: closed, not plain. */
static void implicit_tls_is_never_plain(void **state)
{
    (void)state;
    rig_listener_set(&rig, "submissions", "");
    rig_start(&rig);
    int fd = rig_connect(rig.listeners[0].port);
    assert_int_equal(client_reply(fd, NULL, 0), 0);
    assert_true(client_closed(fd));
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_their_defaults),
        cmocka_unit_test(a_relay_for_no_network_is_for_nobody),
        cmocka_unit_test(fields_are_checked),
        cmocka_unit_test_setup_teardown(an_inbound_listener_takes_ours_alone, begin, finish),
        cmocka_unit_test_setup_teardown(submission_wants_tls_and_an_account, begin, finish),
        cmocka_unit_test_setup_teardown(a_change_holds_for_the_next_session, begin, finish),
        cmocka_unit_test_setup_teardown(implicit_tls_is_never_plain, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
