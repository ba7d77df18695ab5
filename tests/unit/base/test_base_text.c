/* Texts: hexadecimal, base64, identifiers, times, statuses and failures, near names. */
#include "base/clock.h"
#include "base/hex.h"
#include "base/nearest.h"

#include "base_test.h"

#include <errno.h>

static void hexadecimal_goes_both_ways(void **state)
{
    static const uint8_t bytes[] = {0x00, 0x0f, 0xa5, 0xff};
    static const struct {
        const char *text;
        bool good;
    } table[] = {{"000fa5ff", true},   {"000FA5FF", true},    {"00:0f:a5:ff", true},
                 {"000fa5f", false},   {"000fa5fff", false},  {"00:0f:a5:ff:", false},
                 {":000fa5ff", false}, {"00::0fa5ff", false}, {"000fa5fg", false},
                 {"", false},          {"0:00fa5ff", false}};
    char text[2 * sizeof(bytes) + 1];
    uint8_t back[sizeof(bytes)];

    (void)state;
    hex_format(slice_of(bytes, sizeof(bytes)), text);
    assert_string_equal(text, "000fa5ff");
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (hex_parse(slice_of_text(table[i].text), back, sizeof(back)) != table[i].good)
            fail_msg("%s", table[i].text);
        if (table[i].good)
            assert_memory_equal(back, bytes, sizeof(bytes));
    }
}

static void base64_has_the_vectors_of_rfc_4648(void **state)
{
    static const struct {
        const char *plain, *padded, *url;
    } table[] = {{"", "", ""},
                 {"f", "Zg==", "Zg"},
                 {"fo", "Zm8=", "Zm8"},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foob", "Zm9vYg==", "Zm9vYg"},
                 {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                 {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                 {"\xfb\xff\xbf", "+/+/", "-_-_"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf padded = BUF_INIT(strlen(table[i].padded)), url = BUF_INIT(strlen(table[i].url));
        struct buf plain = BUF_INIT(strlen(table[i].plain)); /* exactly what is needed is enough */

        assert_int_equal(base64_encode(slice_of_text(table[i].plain), &padded), STATUS_OK);
        assert_true(slice_equal(buf_slice(&padded), slice_of_text(table[i].padded)));
        assert_int_equal(base64url_encode(slice_of_text(table[i].plain), &url), STATUS_OK);
        assert_true(slice_equal(buf_slice(&url), slice_of_text(table[i].url)));
        assert_int_equal(base64url_decode(buf_slice(&url), &plain), STATUS_OK);
        assert_true(slice_equal(buf_slice(&plain), slice_of_text(table[i].plain)));
        buf_release(&padded);
        buf_release(&url);
        buf_release(&plain);
    }
}

static void base64url_is_read_strictly(void **state)
{
    static const char *const bad[] = {"Z", "Zm9vY", "Zg==", "Zm+v", "Zm/v", "Zm 9v", "Zh", "Zm9", "Zm9v\n"};
    struct buf out = BUF_INIT(100);

    (void)state;
    assert_int_equal(buf_append_text(&out, "kept"), STATUS_OK);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (base64url_decode(slice_of_text(bad[i]), &out) != STATUS_MALFORMED)
            fail_msg("%s was taken", bad[i]);
        assert_true(slice_equal(buf_slice(&out), SLICE_LITERAL("kept")));
    }
    buf_release(&out);
}

static void identifiers_sort_by_time_and_survive_their_text(void **state)
{
    uint8_t early[ID_SIZE], late[ID_SIZE], back[ID_SIZE];
    uint8_t random[10];
    char early_text[ID_TEXT_SIZE], late_text[ID_TEXT_SIZE];

    (void)state;
    memset(random, 0xff, sizeof(random));
    id_make(early, 1000, random);
    memset(random, 0, sizeof(random));
    id_make(late, 1001, random);
    id_format(early, early_text);
    id_format(late, late_text);
    assert_int_equal(strlen(early_text), ID_TEXT_SIZE - 1);
    assert_true(strcmp(early_text, late_text) < 0);
    assert_true(id_parse(slice_of_text(early_text), back));
    assert_memory_equal(back, early, ID_SIZE);
    memset(early, 0xff, sizeof(early));
    id_format(early, early_text);
    assert_string_equal(early_text, "7zzzzzzzzzzzzzzzzzzzzzzzzz");
    assert_true(id_parse(slice_of_text(early_text), back));
    assert_memory_equal(back, early, ID_SIZE);
    assert_false(id_parse(SLICE_LITERAL("8zzzzzzzzzzzzzzzzzzzzzzzzz"), back)); /* 129 bits */
    assert_false(id_parse(SLICE_LITERAL("7zzzzzzzzzzzzzzzzzzzzzzzz"), back));
    assert_false(id_parse(SLICE_LITERAL("7zzzzzzzzzzzzzzzzzzzzzzzzu"), back)); /* no such digit */
    assert_false(id_parse(SLICE_LITERAL("0000000000000000000000000\0"), back));
    assert_false(id_parse(SLICE_LITERAL("../../../../etc/passwd/../"), back));
}

static void times_have_their_formats(void **state)
{
    static const struct {
        uint64_t ms;
        const char *rfc3339, *rfc5322;
    } table[] = {
        {0, "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 +0000"},
        {1795514704999, "2026-11-24T10:05:04Z", "Tue, 24 Nov 2026 10:05:04 +0000"},
        {1709208000000, "2024-02-29T12:00:00Z", "Thu, 29 Feb 2024 12:00:00 +0000"},
        {UINT64_MAX, "9999-12-31T23:59:59Z", "Fri, 31 Dec 9999 23:59:59 +0000"},
    };
    char rfc3339[TIME_RFC3339_SIZE], rfc5322[TIME_RFC5322_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        time_format_rfc3339(table[i].ms, rfc3339);
        time_format_rfc5322(table[i].ms, rfc5322);
        assert_string_equal(rfc3339, table[i].rfc3339);
        assert_string_equal(rfc5322, table[i].rfc5322);
    }
}

static void every_status_has_its_facts(void **state)
{
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++) {
        enum status status = (enum status)i;
        int smtp = status_smtp_code(status), http = status_http_code(status);
        const char *enhanced = status_enhanced_code(status);

        assert_true(strlen(status_name(status)) > 0 && strlen(status_text(status)) > 0);
        assert_true(smtp == 250 || (smtp >= 400 && smtp < 600));
        assert_true(http == 200 || (http >= 400 && http < 600));
        assert_int_equal(enhanced[0], '0' + smtp / 100); /* RFC 3463: the classes agree */
        assert_int_equal(status_retryable(status),
                         smtp / 100 == 4 && status != STATUS_CORRUPT && status != STATUS_VERSION);
    }
    assert_string_equal(status_name((enum status)9999), "INTERNAL");
    assert_int_equal(status_from_number(STATUS_COUNT), STATUS_INTERNAL);
    assert_int_equal(status_from_number(UINT64_MAX), STATUS_INTERNAL);
    assert_int_equal(status_from_number(STATUS_BUSY), STATUS_BUSY);
}

static void failures_gather_their_context(void **state)
{
    struct failure f = {0};
    char longer[2 * FAILURE_TEXT_MAX];

    (void)state;
    assert_int_equal(failure_errno(&f, ENOSPC, "cannot write %s", "x"), STATUS_NO_SPACE);
    assert_string_equal(f.text, "cannot write x: No space left on device");
    assert_int_equal(failure_wrap(&f, STATUS_IO, "spool"), STATUS_NO_SPACE); /* the cause's status stays */
    assert_string_equal(f.text, "spool: cannot write x: No space left on device");
    assert_int_equal(failure_errno(&f, ENOMEM, "a"), STATUS_NO_MEMORY);
    assert_int_equal(failure_errno(&f, EACCES, "a"), STATUS_IO);
    assert_int_equal(failure_set(NULL, STATUS_BUSY, "nobody listens"), STATUS_BUSY);
    assert_int_equal(failure_wrap(NULL, STATUS_BUSY, "nobody listens"), STATUS_BUSY);
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(failure_set(&f, STATUS_IO, "%s", longer), STATUS_IO);
    assert_int_equal(strlen(f.text), FAILURE_TEXT_MAX - 1);
    assert_int_equal(failure_wrap(&f, STATUS_IO, "%s", longer), STATUS_IO);
    assert_int_equal(strlen(f.text), FAILURE_TEXT_MAX - 1);
    assert_int_equal(failure_set(&f, STATUS_IO, "cause"), STATUS_IO);
    assert_int_equal(failure_set(&f, STATUS_BUSY, "around: %s", f.text),
                     STATUS_BUSY); /* its own text as an argument */
    assert_string_equal(f.text, "around: cause");
}

/* A callee that failed without filling the failure must not come out as a success. */
static void an_empty_failure_is_none_that_succeeds(void **state)
{
    struct failure f = {0};

    (void)state;
    assert_int_equal(failure_wrap(&f, STATUS_CRYPTO, "signing"), STATUS_CRYPTO);
    assert_int_equal(f.status, STATUS_CRYPTO);
    assert_string_equal(f.text, "signing: a cryptographic operation failed");
}

static void near_names_are_offered(void **state)
{
    static const char *const known[] = {"encrypt.mode", "sign.mode", "smtp.tls"};
    static const struct {
        const char *name, *best;
    } table[] = {{"encrypt.mdoe", "encrypt.mode"}, {"Encrypt.Mode", "encrypt.mode"}, {"smpt.tls", "smtp.tls"},
                 {"sign.modes", "sign.mode"},      {"portal.theme", NULL},           {"", NULL}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct nearest n = {.name = slice_of_text(table[i].name)};

        for (size_t k = 0; k < COUNT_OF(known); k++)
            nearest_offer(&n, known[k]);
        if (table[i].best == NULL)
            assert_null(n.best);
        else
            assert_string_equal(n.best, table[i].best);
    }
}

static void times_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms; /* UINT64_MAX: refused */
    } table[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-24T10:05:04Z", 1795514704000},
        {"2026-11-24", 1795478400000},
        {"2028-02-29", 1835395200000},
        {"2026-02-29", UINT64_MAX},
        {"2026-04-31T00:00:00Z", UINT64_MAX},
        {"2026-11-24T10:05:04", UINT64_MAX},
        {"2026-11-24T10:05:04+01:00", UINT64_MAX},
        {"2026-11-24T25:05:04Z", UINT64_MAX},
        {"1969-12-31", UINT64_MAX},
        {"tomorrow", UINT64_MAX},
        {"", UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint64_t ms = UINT64_MAX;

        assert_int_equal(time_parse_rfc3339(slice_of_text(table[i].text), &ms), table[i].ms != UINT64_MAX);
        assert_int_equal(ms, table[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hexadecimal_goes_both_ways),
        cmocka_unit_test(base64_has_the_vectors_of_rfc_4648),
        cmocka_unit_test(base64url_is_read_strictly),
        cmocka_unit_test(identifiers_sort_by_time_and_survive_their_text),
        cmocka_unit_test(times_have_their_formats),
        cmocka_unit_test(every_status_has_its_facts),
        cmocka_unit_test(failures_gather_their_context),
        cmocka_unit_test(an_empty_failure_is_none_that_succeeds),
        cmocka_unit_test(near_names_are_offered),
        cmocka_unit_test(times_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
