/* What TLS must be: every mode with every state of TLSA and MTA-STS, and what REQUIRETLS adds. */
#include "smtp/tls_settings.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t digest[32] = {1};
static const struct tlsa_record usable = {3, 1, 1, {digest, 32}};
static const struct tlsa_record pkix = {1, 1, 1, {digest, 32}};
static struct sts_policy enforce = {STS_ENFORCE, 1000, {(const uint8_t *)"mx.example", 10}};
static struct sts_policy testing = {STS_TESTING, 1000, {(const uint8_t *)"mx.example", 10}};
static struct sts_policy other = {STS_ENFORCE, 1000, {(const uint8_t *)"other.example", 13}};
static struct sts_policy none = {STS_NONE, 1000, {NULL, 0}};

enum { USE = 1, MUST = 2, NAMED = 4, PINNED = 8, BY_DANE = 16, EXTENSION = 32, TESTED = 64, SKIPPED = 128 };

static int asked(const struct tls_question *q)
{
    struct tls_demand d;
    tls_decide(q, &d);
    return (d.use ? USE : 0) | (d.must ? MUST : 0) | (d.named ? NAMED : 0) | (d.pinned ? PINNED : 0) |
           (d.dane ? BY_DANE : 0) | (d.extension ? EXTENSION : 0) | (d.testing ? TESTED : 0) |
           (d.skip != NULL ? SKIPPED : 0);
}

static void what_is_asked_for(void **state)
{
    const struct {
        const char *mode;
        enum tlsa_state tlsa;
        const struct tlsa_record *record;
        const struct sts_policy *sts;
        int demand;
    } table[] = {
        {"none", TLSA_NOT_ASKED, NULL, NULL, 0},
        {"opportunistic", TLSA_NOT_ASKED, NULL, NULL, USE},
        {"dane", TLSA_NOT_ASKED, NULL, NULL, USE},
        {"encrypt", TLSA_NOT_ASKED, NULL, NULL, USE | MUST},
        {"required", TLSA_NOT_ASKED, NULL, NULL, USE | MUST},
        {"verified", TLSA_NOT_ASKED, NULL, NULL, USE | MUST | NAMED},
        {"fingerprint", TLSA_NOT_ASKED, NULL, NULL, USE | MUST | PINNED},
        {"dane-only", TLSA_NOT_ASKED, NULL, NULL, USE | MUST | SKIPPED},
        /* TLSA */
        {"dane", TLSA_NONE, NULL, NULL, USE},
        {"dane", TLSA_FOUND, &usable, NULL, USE | MUST | BY_DANE},
        {"dane", TLSA_FOUND, &pkix, NULL,
         USE | MUST}, /* RFC 7672 section 2.2: encrypted, not authenticated */
        {"dane", TLSA_FAILED, NULL, NULL, USE | SKIPPED},
        {"dane-only", TLSA_NONE, NULL, NULL, USE | MUST | SKIPPED},
        {"dane-only", TLSA_FOUND, &usable, NULL, USE | MUST | BY_DANE},
        {"dane-only", TLSA_FOUND, &pkix, NULL, USE | MUST | SKIPPED},
        {"dane-only", TLSA_FAILED, NULL, NULL, USE | MUST | SKIPPED},
        /* those that do not look at TLSA records */
        {"opportunistic", TLSA_FOUND, &usable, NULL, USE},
        {"verified", TLSA_FAILED, NULL, NULL, USE | MUST | NAMED},
        {"none", TLSA_FOUND, &usable, NULL, 0},
        /* MTA-STS is never weaker than the setting, nor the setting than it */
        {"none", TLSA_NOT_ASKED, NULL, &enforce, USE | MUST | NAMED},
        {"opportunistic", TLSA_NOT_ASKED, NULL, &enforce, USE | MUST | NAMED},
        {"dane", TLSA_NONE, NULL, &enforce, USE | MUST | NAMED},
        {"encrypt", TLSA_NOT_ASKED, NULL, &enforce, USE | MUST | NAMED},
        {"fingerprint", TLSA_NOT_ASKED, NULL, &enforce, USE | MUST | NAMED | PINNED},
        {"dane", TLSA_NONE, NULL, &other, USE | MUST | NAMED | SKIPPED},
        {"dane", TLSA_NONE, NULL, &testing, USE | TESTED},
        {"none", TLSA_NOT_ASKED, NULL, &testing, USE | TESTED},
        {"encrypt", TLSA_NOT_ASKED, NULL, &testing, USE | MUST | TESTED},
        {"verified", TLSA_NOT_ASKED, NULL, &testing, USE | MUST | NAMED},
        {"dane", TLSA_NONE, NULL, &none, USE},
        /* usable TLSA records stand in for MTA-STS; unusable ones do not; a failure of DANE stays one */
        {"dane", TLSA_FOUND, &usable, &enforce, USE | MUST | BY_DANE},
        {"dane", TLSA_FOUND, &usable, &other, USE | MUST | BY_DANE},
        {"dane", TLSA_FOUND, &pkix, &enforce, USE | MUST | NAMED},
        {"dane", TLSA_FAILED, NULL, &enforce, USE | MUST | NAMED | SKIPPED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct tls_question q = {.host = SLICE_LITERAL("mx.example"),
                                 .tlsa = table[i].tlsa,
                                 .records = table[i].record,
                                 .record_count = table[i].record != NULL,
                                 .sts = table[i].sts};
        assert_true(tls_mode_of(slice_of_text(table[i].mode), &q.mode));
        if (asked(&q) != table[i].demand) {
            fail_msg("row %zu: %d, not %d", i, asked(&q), table[i].demand);
        }
    }
}

/* RFC 8689 section 4.2.1 */
static void require_tls_asks_for_a_name_that_is_known(void **state)
{
    struct tls_question q = {.mode = TLS_MODE_NONE, .require_tls = true, .host = SLICE_LITERAL("mx.example")};
    (void)state;
    assert_int_equal(asked(&q), USE | MUST | NAMED | EXTENSION | SKIPPED);
    q.mx_secure = true;
    assert_int_equal(asked(&q), USE | MUST | NAMED | EXTENSION);
    q.mx_secure = false;
    q.named_by_admin = true;
    assert_int_equal(asked(&q), USE | MUST | NAMED | EXTENSION);
    q.named_by_admin = false;
    q.sts = &enforce;
    assert_int_equal(asked(&q), USE | MUST | NAMED | EXTENSION);
    q.sts = &testing;
    assert_int_equal(asked(&q), USE | MUST | NAMED | EXTENSION | SKIPPED);
    q.sts = NULL;
    q.mode = TLS_MODE_DANE;
    q.tlsa = TLSA_FOUND;
    q.records = &usable;
    q.record_count = 1;
    assert_int_equal(asked(&q), USE | MUST | BY_DANE | EXTENSION);
    q.mode = TLS_MODE_FINGERPRINT;
    assert_int_equal(asked(&q), USE | MUST | PINNED | EXTENSION);
}

static void an_address_fits_no_policy(void **state)
{
    struct tls_question q = {.mode = TLS_MODE_DANE,
                             .is_address = true,
                             .named_by_admin = true,
                             .host = SLICE_LITERAL("mx.example"),
                             .sts = &enforce};
    (void)state;
    assert_int_equal(asked(&q), USE | MUST | NAMED | SKIPPED);
}

static void the_basis_of_reports(void **state)
{
    struct tls_question q = {.mode = TLS_MODE_DANE, .host = SLICE_LITERAL("mx.example"), .sts = &enforce};
    struct tls_demand d;
    (void)state;
    tls_decide(&q, &d);
    assert_int_equal(d.basis, TLS_BASIS_STS);
    q.tlsa = TLSA_FAILED;
    tls_decide(&q, &d);
    assert_int_equal(d.basis, TLS_BASIS_TLSA);
    assert_string_equal(d.skip_result, "dnssec-invalid");
    q = (struct tls_question){.mode = TLS_MODE_DANE, .host = SLICE_LITERAL("mx.example"), .sts = &other};
    tls_decide(&q, &d);
    assert_string_equal(d.skip_result, "validation-failure");
    q.sts = NULL;
    tls_decide(&q, &d);
    assert_int_equal(d.basis, TLS_BASIS_NONE);
}

static void records_are_read_and_judged(void **state)
{
    static const struct {
        uint8_t head[3];
        size_t len;
        bool is, usable;
    } table[] = {
        {{3, 1, 1}, 32, true, true},
        {{3, 0, 1}, 32, true, true},
        {{2, 1, 2}, 64, true, true},
        {{2, 0, 0}, 400, true, true},
        {{0, 0, 1}, 32, true, false},
        {{1, 0, 1}, 32, true, false},
        {{4, 0, 1}, 32, true, false},
        {{3, 2, 1}, 32, true, false},
        {{3, 1, 3}, 32, true, false},
        {{3, 1, 1}, 31, true, false},
        {{3, 1, 1}, 33, true, false},
        {{3, 1, 2}, 32, true, false},
        {{3, 1, 1}, 0, false, false},
        {{3, 1, 0}, TLSA_DATA_MAX, true, true},
        {{3, 1, 0}, TLSA_DATA_MAX + 1, false, false},
    };
    static uint8_t rdata[TLSA_DATA_MAX + 16];
    struct tlsa_record record;
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        memcpy(rdata, table[i].head, 3);
        assert_int_equal(tlsa_record_read(slice_of(rdata, 3 + table[i].len), &record), table[i].is);
        if (table[i].is) {
            assert_int_equal(tlsa_record_usable(&record), table[i].usable);
        }
    }
    assert_false(tlsa_record_read(slice_of(rdata, 2), &record));
}

/* --- settings as one text --- */

#define PRINT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static enum status get(void *context, const char *name, struct slice address, struct setting_value *out)
{
    const char *const *values = context;
    (void)address;
    *out = (struct setting_value){.setting = setting_find(slice_of_text(name))};
    assert_non_null(out->setting);
    out->text = slice_of_text(out->setting->default_text);
    for (; values[0] != NULL; values += 2) {
        if (strcmp(values[0], name) == 0) {
            out->text = slice_of_text(values[1]);
        }
    }
    return STATUS_OK;
}

static void settings_become_a_text_and_back(void **state)
{
    static const char *const values[] = {"delivery.tls",
                                         "fingerprint",
                                         "delivery.tls_trust",
                                         "both",
                                         "delivery.tls_lowest",
                                         "1.3",
                                         "delivery.mta_sts",
                                         "no",
                                         "delivery.fingerprint",
                                         "00" PRINT,
                                         NULL};
    static const char *const defaults[] = {NULL};
    struct settings_source s = {.get = get, .context = (void *)defaults};
    struct tls_settings t;
    struct slice text, more;
    uint8_t print[32];
    struct arena a;
    (void)state;
    arena_init(&a, 1 << 20);
    assert_int_equal(tls_settings_collect(&s, SLICE_LITERAL("b.test"), &a, &text), STATUS_OK);
    tls_settings_read(text, &t);
    assert_true(t.mode == TLS_MODE_DANE && t.anchors == TLS_ANCHORS_SYSTEM && t.lowest == TLS1_2_VERSION);
    assert_true(t.mta_sts && !t.require_tls && t.fingerprints.len == 0);
    assert_int_equal(tls_settings_require(text, &a, &more), STATUS_OK);
    tls_settings_read(more, &t);
    assert_true(t.require_tls && t.mode == TLS_MODE_DANE && t.mta_sts);
    assert_int_equal(tls_settings_relax(text, &a, &more), STATUS_OK);
    tls_settings_read(more, &t);
    assert_true(t.mode == TLS_MODE_OPPORTUNISTIC && !t.mta_sts && !t.require_tls);
    s.context = (void *)values;
    assert_int_equal(tls_settings_collect(&s, SLICE_LITERAL("b.test"), &a, &text), STATUS_OK);
    tls_settings_read(text, &t);
    assert_true(t.mode == TLS_MODE_FINGERPRINT && t.anchors == TLS_ANCHORS_BOTH &&
                t.lowest == TLS1_3_VERSION);
    assert_true(!t.mta_sts && !t.require_tls);
    memset(print, 0xaa, sizeof print);
    assert_false(tls_settings_have(&t, print));
    print[0] = 0;
    assert_true(tls_settings_have(&t, print));
    tls_settings_read(SLICE_LITERAL("of another release"), &t); /* asks for everything */
    assert_true(t.mode == TLS_MODE_VERIFIED && t.mta_sts);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for),
        cmocka_unit_test(require_tls_asks_for_a_name_that_is_known),
        cmocka_unit_test(an_address_fits_no_policy),
        cmocka_unit_test(the_basis_of_reports),
        cmocka_unit_test(records_are_read_and_judged),
        cmocka_unit_test(settings_become_a_text_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
