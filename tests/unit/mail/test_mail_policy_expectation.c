/* What is expected of policy, in words: read, compared, told. */
#include "mail_test.h"

#include "mail/policy_expectation.h"

static void expectations(void **state)
{
    (void)state;
    static const struct {
        const char *expect;
        struct policy_recipient got;
        bool meets;
        const char *says; /* of `got` */
    } table[] = {
        {"plain", {.protection = PROTECT_NONE}, true, "plain"},
        {" Plain ", {.protection = PROTECT_SIGN}, false, "sign"},
        {"sign", {.protection = PROTECT_SIGN}, true, "sign"},
        {"encrypt", {.protection = PROTECT_ENCRYPT}, true, "encrypt"},
        {"encrypt", {.protection = PROTECT_ENCRYPT | PROTECT_SIGN}, false, "encrypt+sign"},
        {"encrypt+sign", {.protection = PROTECT_ENCRYPT | PROTECT_SIGN}, true, "encrypt+sign"},
        {"sign+encrypt", {.protection = PROTECT_ENCRYPT | PROTECT_SIGN}, true, "encrypt+sign"},
        {"encrypt smime", {.protection = PROTECT_ENCRYPT}, false, "encrypt"}, /* by no method that is known */
        {"incoming", {.direction = POLICY_INCOMING}, true, "incoming"},
        {"plain", {.direction = POLICY_INCOMING}, false, "incoming"},
        {"incoming", {.direction = POLICY_OUTGOING}, false, "plain"},
        {"quarantine", {.protection = PROTECT_SIGN, .quarantine = true}, true, "quarantine"},
        {"sign", {.protection = PROTECT_SIGN, .quarantine = true}, false, "quarantine"},
        {"refuse",
         {.status = STATUS_NO_KEY, .reason = {(const uint8_t *)"a: no key", 9}},
         true,
         "refuse a: no key"},
        {"refuse NO key",
         {.status = STATUS_NO_KEY, .reason = {(const uint8_t *)"a: no key", 9}},
         true,
         "refuse a: no key"},
        {"refuse scanner",
         {.status = STATUS_NO_KEY, .reason = {(const uint8_t *)"a: no key", 9}},
         false,
         "refuse a: no key"},
        {"plain", {.status = STATUS_NO_KEY}, false, "refuse "},
        {"quarantine", {.status = STATUS_NO_KEY, .quarantine = true}, false, "refuse "},
        {"quarantine", {.status = STATUS_NO_KEY, .put_aside = true}, true, "quarantine"},
        {"refuse", {.status = STATUS_NO_KEY, .put_aside = true}, false, "quarantine"},
        {"plain", {.status = STATUS_NO_KEY, .put_aside = true}, false, "quarantine"},
        {"refuse", {.protection = PROTECT_NONE}, false, "plain"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct expectation e;
        struct failure f;
        struct buf says = BUF_INIT(1000);
        OK(expectation_read(slice_of_text(table[i].expect), &e, &f));
        assert_int_equal(expectation_meets(&e, &table[i].got), table[i].meets);
        OK(expectation_describe(&table[i].got, &says));
        assert_slice(buf_slice(&says), table[i].says);
        buf_release(&says);
    }
}

static void what_is_no_expectation(void **state)
{
    (void)state;
    static const char *const table[] = {"",           " ",         "secret",    "plain text",
                                        "incoming x", "encrypted", "sign smime"};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct expectation e;
        struct failure f = {.status = STATUS_OK};
        assert_int_equal(expectation_read(slice_of_text(table[i]), &e, &f), STATUS_INVALID);
        assert_true(f.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expectations),
        cmocka_unit_test(what_is_no_expectation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
