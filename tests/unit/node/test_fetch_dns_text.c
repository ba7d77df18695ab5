/* The TXT record of a domain's fingerprint: what is read, what is passed over, and bytes that are hostile. */
#include "node_test.h"

#include "node/fetch_dns.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* One string for each part of the text that "|" divides. */
static struct slice rdata_of(const char *text, uint8_t out[1024])
{
    size_t len = 0;
    for (;;) {
        size_t part = strcspn(text, "|");
        out[len++] = (uint8_t)part;
        memcpy(out + len, text, part);
        len += part;
        if (text[part] == '\0') {
            return slice_of(out, len);
        }
        text += part + 1;
    }
}

static void records_are_read_or_passed_over(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } table[] = {
        {"v=sp1; sha256=" A32 A32, true},
        {"v=sp1;sha256=" A32 A32, true},
        {" v = sp1 ; sha256 = " A32 A32 " ; ", true},
        {"\tv=sp1\t;\tsha256\t=" A32 A32, true},
        {"x=sp1; sha256=" A32 A32, false},
        {"v=sp1; sha2|56=" A32 "|" A32, true},
        {"v=sp1; later=thing; sha256=" A32 A32 "; more", true},
        {"v=sp2; sha256=" A32 A32, false},
        {"sha256=" A32 A32 "; v=sp1", false}, /* the version comes first */
        {"v=sp1", false},
        {"v=sp1; sha256=", false},
        {"v=sp1; sha256=" A32 A32 "a", false},
        {"v=sp1; sha256=" A32, false},
        {"v=sp1; sha256=" A32 A32 "; sha256=" B32 B32, false},
        {"v=spf1 -all", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t bytes[1024];
        struct dns_fingerprints found = {.count = 0};
        assert_int_equal(dns_text_read(rdata_of(table[i].text, bytes), &found), table[i].good);
        assert_int_equal(found.count, table[i].good ? 1 : 0);
        assert_true(!table[i].good || found.list[0][31] == 0xaa);
    }
}

static void several_are_ascending_and_each_once(void **state)
{
    struct dns_fingerprints found = {.count = 0};
    uint8_t bytes[1024];
    (void)state;
    assert_true(dns_text_read(rdata_of("v=sp1; sha256=" B32 B32, bytes), &found));
    assert_true(dns_text_read(rdata_of("v=sp1; sha256=" A32 A32, bytes), &found));
    assert_true(dns_text_read(rdata_of("v=sp1; sha256=" B32 B32, bytes), &found));
    assert_int_equal(found.count, 2);
    assert_int_equal(found.list[0][0], 0xaa);
    assert_int_equal(found.list[1][0], 0xbb);
    for (unsigned i = 0; i < 40; i++) {
        char text[128];
        assert_true(snprintf(text, sizeof text, "v=sp1; sha256=%02x" A32 "%.30s", i, A32) > 0);
        assert_true(dns_text_read(rdata_of(text, bytes), &found));
    }
    assert_int_equal(found.count, DOMAIN_DNS_FINGERPRINTS_MAX);
    assert_true(found.too_many);
    for (size_t i = 1; i < found.count; i++) {
        assert_true(memcmp(found.list[i - 1], found.list[i], THUMBPRINT_SIZE) < 0);
    }
}

static void lengths_that_lie_are_refused(void **state)
{
    struct dns_fingerprints found = {.count = 0};
    uint8_t bytes[5 * 256];
    (void)state;
    assert_false(dns_text_read(slice_of(NULL, 0), &found));
    assert_false(dns_text_read(slice_of("\x05v=sp", 5), &found));
    assert_false(dns_text_read(slice_of("\xff", 1), &found));
    for (size_t i = 0; i < 5; i++) { /* longer than any of ours */
        memset(bytes + i * 256, ' ', 256);
        bytes[i * 256] = 255;
    }
    assert_false(dns_text_read(slice_of(bytes, sizeof bytes), &found));
}

static void a_look_up_is_due_when_asked_for_and_sooner_after_a_failure(void **state)
{
    const uint64_t hour = 3600000, checked = 1000 * hour;
    struct domain_dns_record record = {.answer = DNS_SIGNED};
    (void)state;
    assert_int_equal(fetch_dns_due_ms(&record, 6 * hour), 0);
    record.checked_ms = checked;
    assert_int_equal(fetch_dns_due_ms(&record, 6 * hour), checked + 6 * hour);
    record.answer = DNS_FAILED;
    assert_int_equal(fetch_dns_due_ms(&record, 6 * hour), checked + hour / 12);
    assert_int_equal(fetch_dns_due_ms(&record, 60000), checked + 60000);
    record.asked_ms = checked + 1;
    assert_int_equal(fetch_dns_due_ms(&record, 6 * hour), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_or_passed_over),
        cmocka_unit_test(several_are_ascending_and_each_once),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(a_look_up_is_due_when_asked_for_and_sooner_after_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
