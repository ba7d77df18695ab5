/* What each role may propose: every command of the table, and how many. */
#include "tests/unit/crypto/crypto_test.h"

#include "node/client_permission.h"
#include "store/ca_allowance.h"
#include "store/records_ca.h"

#include <openssl/sha.h>

static bool is_one_of(enum command_number number, const enum command_number *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == number) {
            return true;
        }
    }
    return false;
}

static void only_api_makes_every_change(void **state)
{
    static const enum command_number fetch[] = {COMMAND_CERT_ADD, COMMAND_DOMAIN_DNS_SEEN, COMMAND_STS_PUT,
                                                COMMAND_STS_FAILED, COMMAND_STS_REMOVE};
    static const enum command_number worker[] = {COMMAND_CERT_HARVEST, COMMAND_CA_AUTO_ISSUE,
                                                 COMMAND_CA_REQUEST_AUTO};
    static const enum command_number smtp[] = {COMMAND_NOTICE_CLAIM, COMMAND_NOTICE_END,
                                               COMMAND_NOTICE_FORGET};
    const struct command_type *type;
    (void)state;
    for (size_t i = 0; (type = command_type_at(i)) != NULL; i++) {
        assert_true(client_role_may("api", type->number));
        assert_int_equal(client_role_may("fetch", type->number), is_one_of(type->number, fetch, 5));
        assert_int_equal(client_role_may("worker-1", type->number), is_one_of(type->number, worker, 3));
        assert_int_equal(client_role_may("smtp", type->number), is_one_of(type->number, smtp, 3));
        assert_false(client_role_may("", type->number));
        assert_false(client_role_may("apis", type->number));
    }
}

/* A command that holds by itself, of a worker: its record names the address. */
static void encode(enum command_number number, uint64_t time_ms, uint64_t how, struct buf *out)
{
    struct certificate_record record = {.der = SLICE_LITERAL("DER"),
                                        .subject = SLICE_LITERAL("CN=a"),
                                        .issuer = SLICE_LITERAL("CN=ca"),
                                        .serial = SLICE_LITERAL("01"),
                                        .address_count = 1,
                                        .not_after_ms = 1000000,
                                        .uses = CERT_USE_SIGN | CERT_USE_ENCRYPT,
                                        .source = SLICE_LITERAL("ca")};
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct command c;
    record.addresses[0] = SLICE_LITERAL("a@ours.example");
    (void)SHA256(record.der.data, record.der.len, record.thumbprint);
    assert_int_equal(certificate_record_encode(&record, &encoded), STATUS_OK);
    command_init(&c, number, time_ms, SLICE_LITERAL("worker"));
    if (number == COMMAND_CERT_HARVEST) {
        c.values[0].bytes = buf_slice(&encoded);
        c.values[1].bytes = record.addresses[0];
        c.values[6].number = time_ms;
    } else {
        c.values[0].bytes = SLICE_LITERAL("root");
        c.values[1].bytes = record.addresses[0];
        c.values[2].number = how;
        c.values[5].bytes = buf_slice(&encoded);
        c.values[6].bytes = SLICE_LITERAL("sealed");
    }
    assert_int_equal(command_encode(&c, out), STATUS_OK);
    buf_release(&encoded);
}

static enum status propose(struct client_permission *p, const char *role, enum command_number number,
                           uint64_t time_ms, uint64_t how, uint64_t monotonic_ms)
{
    struct buf command = BUF_INIT(COMMAND_MAX);
    struct failure f = {.status = STATUS_OK};
    encode(number, time_ms, how, &command);
    enum status status = client_may_propose(p, role, buf_slice(&command), NOW_MS, monotonic_ms, &f);
    assert_true(status == STATUS_OK || f.text[0] != '\0');
    buf_release(&command);
    return status;
}

static void a_worker_issues_on_demand_alone(void **state)
{
    struct client_permission p = {0};
    (void)state;
    assert_int_equal(propose(&p, "worker-1", COMMAND_CA_AUTO_ISSUE, NOW_MS, CA_ISSUE_IF_NONE, 0), STATUS_OK);
    assert_int_equal(propose(&p, "worker-1", COMMAND_CA_ISSUE, NOW_MS, CA_ISSUE_IF_NONE, 0), STATUS_DENIED);
    assert_int_equal(propose(&p, "worker-1", COMMAND_CA_ISSUE, NOW_MS, CA_ISSUE_ANOTHER, 0), STATUS_DENIED);
    assert_int_equal(propose(&p, "worker-1", COMMAND_CA_AUTO_ISSUE, NOW_MS, CA_ISSUE_ANOTHER, 0),
                     STATUS_INVALID);
    assert_int_equal(propose(&p, "fetch", COMMAND_CA_AUTO_ISSUE, NOW_MS, CA_ISSUE_IF_NONE, 0), STATUS_DENIED);
    assert_int_equal(propose(&p, "api", COMMAND_CA_ISSUE, NOW_MS, CA_ISSUE_ANOTHER, 0), STATUS_OK);
}

static void a_command_of_another_hour_is_refused(void **state)
{
    static const uint64_t far = CA_ALLOWANCE_CLOCK_MS + 1;
    struct client_permission p = {0};
    (void)state;
    assert_int_equal(propose(&p, "worker-1", COMMAND_CA_AUTO_ISSUE, NOW_MS + far, CA_ISSUE_IF_NONE, 0),
                     STATUS_DENIED);
    assert_int_equal(propose(&p, "worker-1", COMMAND_CA_AUTO_ISSUE, NOW_MS - far, CA_ISSUE_IF_NONE, 0),
                     STATUS_DENIED);
}

static void learned_certificates_are_counted_by_the_minute(void **state)
{
    struct client_permission p = {0};
    (void)state;
    for (unsigned i = 0; i < CLIENT_HARVESTED_A_MINUTE; i++) {
        assert_int_equal(propose(&p, "worker-1", COMMAND_CERT_HARVEST, NOW_MS, 0, 59999), STATUS_OK);
    }
    assert_int_equal(propose(&p, "worker-1", COMMAND_CERT_HARVEST, NOW_MS, 0, 59999), STATUS_BUSY);
    assert_int_equal(propose(&p, "worker-1", COMMAND_CERT_HARVEST, NOW_MS, 0, 60000), STATUS_OK);
}

static enum status propose_found(struct client_permission *p, const struct certificate_record *record)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX), command = BUF_INIT(COMMAND_MAX);
    struct failure f = {.status = STATUS_OK};
    struct command c;
    OK(certificate_record_encode(record, &encoded));
    command_init(&c, COMMAND_CERT_ADD, NOW_MS, SLICE_LITERAL("node:test"));
    c.values[0].bytes = buf_slice(&encoded);
    OK(command_encode(&c, &command));
    enum status status = client_may_propose(p, "fetch", buf_slice(&command), NOW_MS, 0, &f);
    assert_true(status == STATUS_OK || f.text[0] != '\0');
    buf_release(&encoded);
    buf_release(&command);
    return status;
}

static void what_fetch_found_is_what_the_certificate_says(void **state)
{
    struct made made = pki_make(&(struct recipe){.name = "a", .san = "email:a@x.org"}, NULL);
    struct client_permission p = {0};
    struct certificate_record record, lie;
    struct arena a;
    (void)state;
    arena_init(&a, (size_t)1 << 20);
    OK(certificate_describe(made.der, SLICE_LITERAL("ldap"), NOW_MS, &a, &record, NULL));
    assert_int_equal(propose_found(&p, &record), STATUS_OK);
    lie = record;
    lie.addresses[0] = SLICE_LITERAL("victim@x.org");
    assert_int_equal(propose_found(&p, &lie), STATUS_DENIED);
    lie = record;
    lie.uses |= CERT_USE_CA;
    assert_int_equal(propose_found(&p, &lie), STATUS_DENIED);
    lie = record;
    lie.not_after_ms += DAY_MS;
    assert_int_equal(propose_found(&p, &lie), STATUS_DENIED);
    lie = record;
    lie.source = SLICE_LITERAL("import");
    assert_int_equal(propose_found(&p, &lie), STATUS_DENIED);
    p.counted = CLIENT_FETCHED_A_MINUTE;
    assert_int_equal(propose_found(&p, &record), STATUS_BUSY);
    arena_release(&a);
    pki_release(&made);
    pki_forget_keys();
}

static void bytes_that_are_no_command_are_refused(void **state)
{
    struct client_permission p = {0};
    struct failure f;
    (void)state;
    assert_int_not_equal(client_may_propose(&p, "worker-1", SLICE_LITERAL("\x93\x01"), NOW_MS, 0, &f),
                         STATUS_OK);
    assert_int_not_equal(client_may_propose(&p, "fetch", SLICE_LITERAL(""), NOW_MS, 0, &f), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_api_makes_every_change),
        cmocka_unit_test(a_worker_issues_on_demand_alone),
        cmocka_unit_test(a_command_of_another_hour_is_refused),
        cmocka_unit_test(learned_certificates_are_counted_by_the_minute),
        cmocka_unit_test(what_fetch_found_is_what_the_certificate_says),
        cmocka_unit_test(bytes_that_are_no_command_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
