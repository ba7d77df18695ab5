/* No open relay: every kind of client against every form of address. */
#include "smtp/command_parser.h"
#include "smtp/relay_policy.h"
#include "store/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TEXT(s) slice_of_text(s)

static const struct slice alice_senders[] = {{(const uint8_t *)"alice@ours.example", 18}};
static const struct slice domain_senders[] = {{(const uint8_t *)"ours.example", 12}};
static const struct slice below_senders[] = {{(const uint8_t *)"*.ours.example", 14}};
static const struct slice any_senders[] = {{(const uint8_t *)"*", 1}};
static const struct relay_account alice = {{(const uint8_t *)"alice", 5}, alice_senders, 1};
static const struct relay_account whole = {{(const uint8_t *)"whole", 5}, domain_senders, 1};
static const struct relay_account below = {{(const uint8_t *)"below", 5}, below_senders, 1};
static const struct relay_account any = {{(const uint8_t *)"any", 3}, any_senders, 1};
static const struct relay_account nobody = {{(const uint8_t *)"nobody", 6}, NULL, 0};

/* As the session asks: what the parser refuses never comes to policy. */
static enum smtp_reply rcpt(const struct relay_client *client, const char *path)
{
    char line[1200];
    struct smtp_command c;
    (void)!snprintf(line, sizeof line, "RCPT TO:<%s>", path);
    enum smtp_reply reply = command_parse(TEXT(line), &c);
    if (reply != REPLY_NONE) {
        return reply;
    }
    char domain[DOMAIN_MAX + 1] = "";
    struct failure f;
    if (c.domain.len > 0) {
        assert_int_equal(domain_normalise(c.domain, domain, &f), STATUS_OK);
    }
    return relay_policy_recipient(client, c.path, strcmp(domain, "ours.example") == 0);
}

static const struct {
    const char *recipient;
    enum smtp_reply inbound; /* of a stranger */
} forms[] = {
    {"bob@ours.example", REPLY_NONE},
    {"BOB@OURS.EXAMPLE", REPLY_NONE},
    {"Bob@Ours.Example", REPLY_NONE},
    {"\"bob\"@ours.example", REPLY_NONE},
    {"\"a b\"@ours.example", REPLY_NONE},
    {"postmaster", REPLY_NONE},
    {"PostMaster", REPLY_NONE},
    {"bob+tag@ours.example", REPLY_NONE},
    {"prvs=1234=bob@ours.example", REPLY_NONE}, /* BATV, SRS and VERP are no routes */
    {"SRS0=HHH=TT=theirs.example=bob@ours.example", REPLY_NONE},
    {"list-bounces+bob=theirs.example@ours.example", REPLY_NONE},
    /* others' domains, and what looks like ours */
    {"bob@theirs.example", REPLY_NOT_OURS},
    {"bob@sub.ours.example", REPLY_NOT_OURS},
    {"bob@notours.example", REPLY_NOT_OURS},
    {"bob@ours.example.theirs.example", REPLY_NOT_OURS},
    {"bob@example", REPLY_NOT_OURS},
    {"postmaster@theirs.example", REPLY_NOT_OURS},
    /* literals, also of this host */
    {"bob@[127.0.0.1]", REPLY_NOT_OURS},
    {"bob@[10.0.0.1]", REPLY_NOT_OURS},
    {"bob@[IPv6:::1]", REPLY_NOT_OURS},
    {"bob@[IPv6:::ffff:127.0.0.1]", REPLY_NOT_OURS},
    {"bob@127.0.0.1", REPLY_NOT_OURS},
    {"bob@[ours.example]", REPLY_BAD_RECIPIENT},
    /* routes into the local part */
    {"bob%theirs.example@ours.example", REPLY_ROUTE_DENIED},
    {"bob%theirs.example%ours.example@ours.example", REPLY_ROUTE_DENIED},
    {"\"bob%theirs.example\"@ours.example", REPLY_ROUTE_DENIED},
    {"theirs.example!bob@ours.example", REPLY_ROUTE_DENIED},
    {"\"theirs.example!bob\"@ours.example", REPLY_ROUTE_DENIED},
    {"a!b!c@ours.example", REPLY_ROUTE_DENIED},
    {"\"bob@theirs.example\"@ours.example", REPLY_ROUTE_DENIED},
    {"\"bob\\@theirs.example\"@ours.example", REPLY_ROUTE_DENIED},
    {"\"@theirs.example:bob\"@ours.example", REPLY_ROUTE_DENIED},
    {"\"bob@theirs.example\"", REPLY_BAD_RECIPIENT},
    {"bob%theirs.example", REPLY_BAD_RECIPIENT},
    {"theirs.example!bob", REPLY_BAD_RECIPIENT},
    /* source routes */
    {"@ours.example:bob@theirs.example", REPLY_SOURCE_ROUTE},
    {"@theirs.example,@ours.example:bob@theirs.example", REPLY_SOURCE_ROUTE},
    {"@ours.example:bob@ours.example", REPLY_SOURCE_ROUTE},
    /* what is no address */
    {"bob@ours.example.", REPLY_BAD_RECIPIENT},
    {"bob@theirs.example.", REPLY_BAD_RECIPIENT},
    {"bob@.ours.example", REPLY_BAD_RECIPIENT},
    {"bob@theirs.example@ours.example", REPLY_BAD_RECIPIENT},
    {"bob@ours.example@theirs.example", REPLY_BAD_RECIPIENT},
    {"bob@theirs.example,bob@ours.example", REPLY_BAD_RECIPIENT},
    {"bob@theirs.example bob@ours.example", REPLY_BAD_RECIPIENT},
    {"bob", REPLY_BAD_RECIPIENT},
    {"@ours.example", REPLY_SOURCE_ROUTE},
    {"\"\\\"@theirs.example\"@ours.example", REPLY_ROUTE_DENIED},
    {"|\"/bin/sh\"@ours.example", REPLY_BAD_RECIPIENT},
};

static void a_stranger_reaches_ours_alone(void **state)
{
    struct relay_client stranger = {.role = LISTENER_IS_INBOUND, .in_networks = true};
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        enum smtp_reply reply = rcpt(&stranger, forms[i].recipient);
        if (reply != forms[i].inbound) {
            fail_msg("<%s>: %d %s", forms[i].recipient, reply_code(reply), reply_text(reply));
        }
    }
    /* a verified certificate, or one of ours as client, gives no right to relay here */
    stranger.certificate_verified = true;
    assert_int_equal(rcpt(&stranger, "bob@theirs.example"), REPLY_NOT_OURS);
    assert_int_equal(rcpt(&stranger, "bob%theirs.example@ours.example"), REPLY_ROUTE_DENIED);
}

/* Whatever the address: who may not relay is refused before it is looked at, who may is not. */
static void a_relay_is_for_its_networks_and_certificates(void **state)
{
    static const struct {
        bool in_networks, verified;
        enum smtp_reply wanted;
    } clients[] = {{false, false, REPLY_RELAY_DENIED},
                   {true, false, REPLY_NONE},
                   {false, true, REPLY_NONE},
                   {true, true, REPLY_NONE}};
    (void)state;
    for (size_t c = 0; c < 4; c++) {
        struct relay_client client = {.role = LISTENER_IS_RELAY,
                                      .in_networks = clients[c].in_networks,
                                      .certificate_verified = clients[c].verified};
        assert_int_equal(relay_policy_sender(&client, TEXT("x@any.example")), REPLY_NONE);
        assert_int_equal(relay_policy_sender(&client, TEXT("")), REPLY_NONE);
        for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
            enum smtp_reply reply = rcpt(&client, forms[i].recipient);
            bool is_address = forms[i].inbound == REPLY_NONE || forms[i].inbound == REPLY_NOT_OURS ||
                              forms[i].inbound == REPLY_ROUTE_DENIED;
            assert_int_equal(reply, is_address ? clients[c].wanted : forms[i].inbound);
        }
    }
}

static void submission_is_for_accounts(void **state)
{
    struct relay_client client = {
        .role = LISTENER_IS_SUBMISSION, .auth = LISTENER_AUTH_REQUIRED, .in_networks = true};
    (void)state;
    /* our networks and a certificate are no account */
    for (int verified = 0; verified < 2; verified++) {
        client.certificate_verified = verified == 1;
        assert_int_equal(relay_policy_sender(&client, TEXT("alice@ours.example")), REPLY_AUTH_FIRST);
        assert_int_equal(relay_policy_sender(&client, TEXT("")), REPLY_AUTH_FIRST);
        assert_int_equal(rcpt(&client, "bob@ours.example"), REPLY_RELAY_DENIED);
        assert_int_equal(rcpt(&client, "postmaster"), REPLY_RELAY_DENIED);
    }
    /* nor when AUTH was switched off by a row */
    client.auth = LISTENER_AUTH_OFF;
    assert_int_equal(relay_policy_sender(&client, TEXT("alice@ours.example")), REPLY_AUTH_FIRST);
    client.account = &alice;
    assert_int_equal(relay_policy_sender(&client, TEXT("alice@ours.example")), REPLY_NONE);
    assert_int_equal(rcpt(&client, "bob@theirs.example"), REPLY_NONE);
    assert_int_equal(rcpt(&client, "bob@ours.example"), REPLY_NONE);
    client.in_networks = false; /* the listener names networks, and she is elsewhere */
    assert_int_equal(relay_policy_sender(&client, TEXT("alice@ours.example")), REPLY_RELAY_DENIED);
}

static void an_account_sends_as_its_own_senders(void **state)
{
    static const struct {
        const struct relay_account *account;
        const char *sender;
        bool may;
    } table[] = {
        {&alice, "alice@ours.example", true},
        {&alice, "ALICE@Ours.Example", true},
        {&alice, "", true}, /* RFC 8098: a notification of her own client */
        {&alice, "bob@ours.example", false},
        {&alice, "alice@theirs.example", false},
        {&alice, "alice@sub.ours.example", false},
        {&alice, "xalice@ours.example", false},
        {&alice, "alice@ours.example.theirs.example", false},
        {&alice, "\"alice@ours.example\"@theirs.example", false},
        {&alice, "\"alice\"@ours.example", false}, /* not in its normal form: closed */
        {&alice, "alice%ours.example@theirs.example", false},
        {&alice, "alice@[127.0.0.1]", false},
        {&whole, "alice@ours.example", true},
        {&whole, "\"any body\"@ours.example", false},
        {&whole, "\"a@theirs.example\"@ours.example", true},
        {&whole, "\"a@ours.example\"@theirs.example", false},
        {&whole, "a@sub.ours.example", false},
        {&whole, "a@notours.example", false},
        {&whole, "a@theirs.example", false},
        {&below, "a@sub.ours.example", true},
        {&below, "a@b.sub.OURS.example", true},
        {&below, "a@ours.example", false},
        {&below, "a@notours.example", false},
        {&any, "a@theirs.example", true},
        {&any, "", true},
        {&nobody, "a@theirs.example", false},
        {&nobody, "", true},
    };
    static const enum listener_role roles[] = {LISTENER_IS_RELAY, LISTENER_IS_SUBMISSION,
                                               LISTENER_IS_INBOUND};
    (void)state;
    for (size_t r = 0; r < 3; r++) {
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
            struct relay_client client = {.role = roles[r],
                                          .auth = LISTENER_AUTH_OFFERED,
                                          .in_networks = true,
                                          .account = table[i].account};
            enum smtp_reply reply = relay_policy_sender(&client, TEXT(table[i].sender));
            if (reply != (table[i].may ? REPLY_NONE : REPLY_SENDER_DENIED)) {
                fail_msg("%.*s as <%s>: %s", SLICE_ARGS(table[i].account->name), table[i].sender,
                         reply_text(reply));
            }
        }
    }
}

static void what_is_refused_is_told_by_the_book(void **state)
{
    (void)state;
    assert_int_equal(reply_code(REPLY_AUTH_FIRST), 530); /* RFC 4954 section 6 */
    assert_string_equal(reply_enhanced(REPLY_AUTH_FIRST), "5.7.0");
    assert_int_equal(reply_code(REPLY_SENDER_DENIED), 553);
    assert_string_equal(reply_enhanced(REPLY_SENDER_DENIED), "5.7.1");
    assert_int_equal(reply_code(REPLY_NOT_OURS), 550);
    assert_string_equal(reply_enhanced(REPLY_NOT_OURS), "5.7.1");
    assert_int_equal(reply_code(REPLY_ROUTE_DENIED), 550);
    assert_int_equal(reply_code(REPLY_RELAY_DENIED), 550);
    assert_string_equal(reply_enhanced(REPLY_RELAY_DENIED), "5.7.1");
    /* AUTH that a row requires binds a relay's networks too */
    struct relay_client client = {
        .role = LISTENER_IS_RELAY, .auth = LISTENER_AUTH_REQUIRED, .in_networks = true};
    assert_int_equal(relay_policy_sender(&client, TEXT("a@ours.example")), REPLY_AUTH_FIRST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_reaches_ours_alone),
        cmocka_unit_test(a_relay_is_for_its_networks_and_certificates),
        cmocka_unit_test(submission_is_for_accounts),
        cmocka_unit_test(an_account_sends_as_its_own_senders),
        cmocka_unit_test(what_is_refused_is_told_by_the_book),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
