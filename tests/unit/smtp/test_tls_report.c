/* Counts of TLS and reports of them: what is counted, bounds, the file of a day, JSON, where reports go. In
 * TLS_REPORT_DIR a report and its mail are left for other programs to read. */
#include "smtp/tls_report_send.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DAY (20000 * TLS_REPORT_DAY_MS)

static const struct tls_outcome good = {.domain = {(const uint8_t *)"b.example", 9},
                                        .basis = TLS_BASIS_STS,
                                        .policy = {(const uint8_t *)"version: STSv1\nmode: enforce", 28},
                                        .mx = {(const uint8_t *)"mx.b.example *.b.example", 24},
                                        .host = {(const uint8_t *)"mx.b.example", 12}};

static struct tls_reports *filled(void)
{
    struct tls_reports *r = tls_reports_new(DAY + 5000);
    struct tls_outcome bad = good;
    assert_non_null(r);
    tls_reports_count(r, &good);
    tls_reports_count(r, &good);
    bad.result = "certificate-expired";
    bad.our_address = SLICE_LITERAL("192.0.2.1");
    bad.its_address = SLICE_LITERAL("2001:db8::1");
    bad.reason = SLICE_LITERAL("certificate has \"expired\"");
    tls_reports_count(r, &bad);
    tls_reports_count(r, &bad);
    bad.host = SLICE_LITERAL("mx2.b.example");
    tls_reports_count(r, &bad);
    bad = (struct tls_outcome){.domain = SLICE_LITERAL("b.example"), .basis = TLS_BASIS_NONE};
    tls_reports_count(r, &bad);
    bad.domain = SLICE_LITERAL("c.example");
    tls_reports_count(r, &bad);
    return r;
}

static void json_of(const struct tls_reports *r, const char *domain, struct buf *out)
{
    struct tls_report_head head = {.organization = SLICE_LITERAL("gate.a.example"),
                                   .contact = SLICE_LITERAL("p@a.example"),
                                   .id = "id@gate"};
    assert_int_equal(tls_report_json(r, slice_of_text(domain), &head, out), STATUS_OK);
}

static void a_report_says_what_was_counted(void **state)
{
    static const char expected[] =
        "{\"organization-name\":\"gate.a.example\",\"date-range\":{\"start-datetime\":\"2024-10-04T00:00:"
        "00Z\","
        "\"end-datetime\":\"2024-10-04T23:59:59Z\"},\"contact-info\":\"p@a.example\",\"report-id\":\"id@"
        "gate\","
        "\"policies\":[{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[\"version: STSv1\",\"mode: "
        "enforce\"],"
        "\"policy-domain\":\"b.example\",\"mx-host\":[\"mx.b.example\",\"*.b.example\"]},\"summary\":{"
        "\"total-successful-session-count\":2,\"total-failure-session-count\":3},\"failure-details\":[{"
        "\"result-type\":\"certificate-expired\",\"sending-mta-ip\":\"192.0.2.1\",\"receiving-mx-hostname\":"
        "\"mx2.b.example\",\"receiving-ip\":\"2001:db8::1\",\"failed-session-count\":1,\"failure-reason-"
        "code\":"
        "\"certificate has \\\"expired\\\"\"},{\"result-type\":\"certificate-expired\",\"sending-mta-ip\":"
        "\"192.0.2.1\",\"receiving-mx-hostname\":\"mx.b.example\",\"receiving-ip\":\"2001:db8::1\","
        "\"failed-session-count\":2,\"failure-reason-code\":\"certificate has "
        "\\\"expired\\\"\"}]},{\"policy\":{"
        "\"policy-type\":\"no-policy-found\",\"policy-domain\":\"b.example\"},\"summary\":{"
        "\"total-successful-session-count\":1,\"total-failure-session-count\":0}}]}";
    struct buf json = BUF_INIT(65536);
    struct tls_reports *r = filled();
    (void)state;
    assert_true(slice_equal(tls_reports_domain(r, 0), SLICE_LITERAL("b.example")));
    assert_true(slice_equal(tls_reports_domain(r, 1), SLICE_LITERAL("c.example")));
    assert_int_equal(tls_reports_domain(r, 2).len, 0);
    json_of(r, "b.example", &json);
    assert_string_equal(buf_text(&json), expected);
    buf_release(&json);
    tls_reports_free(r);
}

static void a_day_survives_its_file(void **state)
{
    struct buf file = BUF_INIT(65536), before = BUF_INIT(65536), after = BUF_INIT(65536);
    struct tls_reports *r = filled(), *back = NULL;
    (void)state;
    assert_int_equal(tls_reports_encode(r, &file), STATUS_OK);
    for (size_t cut = 0; cut < file.len; cut++) {
        assert_int_equal(tls_reports_decode(slice_of(file.data, cut), &back), STATUS_CORRUPT);
    }
    assert_int_equal(tls_reports_decode(buf_slice(&file), &back), STATUS_OK);
    assert_int_equal(tls_reports_day(back), DAY);
    tls_reports_free(r);
    assert_int_equal(tls_reports_encode(back, &before), STATUS_OK);
    tls_reports_free(back);
    assert_int_equal(tls_reports_decode(buf_slice(&before), &r), STATUS_OK);
    assert_int_equal(before.len, file.len);
    json_of(r, "b.example", &after);
    assert_non_null(strstr(buf_text(&after), "\"total-failure-session-count\":3"));
    tls_reports_free(r);
    buf_release(&file);
    buf_release(&before);
    buf_release(&after);
}

static void it_is_bounded(void **state)
{
    struct tls_reports *r = tls_reports_new(DAY);
    struct tls_outcome o = good;
    char text[64];
    (void)state;
    for (unsigned i = 0; i < TLS_REPORT_FAILURES_MAX + 5; i++) {
        (void)!snprintf(text, sizeof text, "mx%u.b.example", i);
        o.host = slice_of_text(text);
        o.result = "validation-failure";
        tls_reports_count(r, &o);
    }
    assert_int_equal(tls_reports_left_out(r), 5);
    o.result = NULL;
    for (unsigned i = 0; i < TLS_REPORT_ENTRIES_MAX + 6; i++) {
        (void)!snprintf(text, sizeof text, "d%u.example", i);
        o.domain = slice_of_text(text);
        tls_reports_count(r, &o);
    }
    assert_int_equal(tls_reports_left_out(r), 5 + 7);
    tls_reports_free(r);
}

static struct slice rdata_of(const char *text, uint8_t out[300])
{
    out[0] = (uint8_t)strlen(text);
    memcpy(out + 1, text, strlen(text));
    return slice_of(out, strlen(text) + 1);
}

static void records_say_where_reports_go(void **state)
{
    static const struct {
        const char *text, *first, *second;
    } table[] = {
        {"v=TLSRPTv1; rua=mailto:reports@b.example", "mailto:reports@b.example", NULL},
        {"v=TLSRPTv1;rua=https://b.example/r,mailto:r@b.example;x=y", "https://b.example/r",
         "mailto:r@b.example"},
        {"v=TLSRPTv1; rua=http://b.example/r , mailto:r@b.example", "mailto:r@b.example", NULL},
        {"v=TLSRPTv1 ;rua=mailto:r@b.example", "mailto:r@b.example", NULL},
        {"v=TLSRPTv2; rua=mailto:r@b.example", NULL, NULL},
        {"v=TLSRPTv1", NULL, NULL},
        {"v=TLSRPTv1;", NULL, NULL},
        {"rua=mailto:r@b.example", NULL, NULL},
        {"v=spf1 -all", NULL, NULL},
        {"", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t bytes[300];
        char out[1025];
        size_t at = 0;
        struct slice rdata = rdata_of(table[i].text, bytes);
        assert_int_equal(tls_report_rua(rdata, &at, out), table[i].first != NULL);
        if (table[i].first != NULL) {
            assert_string_equal(out, table[i].first);
            assert_int_equal(tls_report_rua(rdata, &at, out), table[i].second != NULL);
            if (table[i].second != NULL) {
                assert_string_equal(out, table[i].second);
            }
        }
        assert_false(tls_report_rua(slice_of(bytes, rdata.len - 1), &at, out));
    }
}

static void write_to(const char *dir, const char *name, const struct buf *content)
{
    char path[300];
    (void)!snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(content->data, 1, content->len, f), content->len);
    (void)fclose(f);
}

static void a_mail_carries_the_report(void **state)
{
    struct buf json = BUF_INIT(65536), zipped = BUF_INIT(65536), mail = BUF_INIT(65536);
    struct tls_reports *r = filled();
    (void)state;
    json_of(r, "b.example", &json);
    assert_int_equal(tls_report_gzip(buf_slice(&json), &zipped), STATUS_OK);
    assert_true(zipped.data[0] == 0x1f && zipped.data[1] == 0x8b);
    struct tls_report_letter letter = {.hostname = "gate.a.example",
                                       .from = SLICE_LITERAL("p@a.example"),
                                       .to = SLICE_LITERAL("r@b.example"),
                                       .domain = SLICE_LITERAL("b.example"),
                                       .message_id = "0123",
                                       .report_id = "id@gate",
                                       .day_ms = DAY,
                                       .now_ms = DAY + TLS_REPORT_DAY_MS,
                                       .report = buf_slice(&zipped)};
    assert_int_equal(tls_report_mail(&letter, &mail), STATUS_OK);
    const char *text = buf_text(&mail);
    assert_non_null(
        strstr(text, "\r\nTLS-Report-Domain: b.example\r\nTLS-Report-Submitter: gate.a.example\r\n"));
    assert_non_null(strstr(
        text, "Subject: Report Domain: b.example Submitter: gate.a.example\r\n Report-ID: <id@gate>\r\n"));
    assert_non_null(strstr(text, "multipart/report; report-type=\"tlsrpt\""));
    assert_non_null(strstr(text, "filename=\"gate.a.example!b.example!1728000000!1728086399.json.gz\""));
    if (getenv("TLS_REPORT_DIR") != NULL) {
        write_to(getenv("TLS_REPORT_DIR"), "report.json", &json);
        write_to(getenv("TLS_REPORT_DIR"), "report.eml", &mail);
    }
    buf_release(&json);
    buf_release(&zipped);
    buf_release(&mail);
    tls_reports_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_says_what_was_counted),
        cmocka_unit_test(a_day_survives_its_file),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(records_say_where_reports_go),
        cmocka_unit_test(a_mail_carries_the_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
