/* TLSA records and MTA-STS records looked up at a real NSD with signed zones: what is found, and what is not.
 */
#include "smtp/tls_search.h"

#include "name_server.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define D32 "0000000000000000000000000000000000000000000000000000000000000001"

static const struct name_zone zones[] = {
    {.name = "signed.example",
     .is_signed = true,
     .records = "mx IN A 127.0.0.7\n_25._tcp.mx IN TLSA 3 1 1 " D32 "\n_25._tcp.mx IN TLSA 2 0 1 " D32 "\n"
                "six IN AAAA ::1\n_25._tcp.six IN TLSA 3 1 1 " D32 "\n"
                "bare IN A 127.0.0.7\nalias IN CNAME mx\nout IN CNAME mx.open.example.\n"
                "own IN CNAME bare\n_25._tcp.own IN TLSA 3 1 1 " D32 "\n"
                "_mta-sts.one IN TXT \"v=STSv1; id=a1\"\n"
                "_mta-sts.two IN TXT \"v=STSv1; id=a1\"\n_mta-sts.two IN TXT \"v=STSv1; id=a2\"\n"
                "_mta-sts.bad IN TXT \"v=STSv1; id=\"\n"},
    {.name = "forged.example",
     .is_signed = true,
     .records = "mx IN A 127.0.0.8\n_25._tcp.mx IN TLSA 3 1 1 " D32 "\n",
     .forge_from = "TLSA\t3 1 1 0000",
     .forge_to = "TLSA\t3 1 1 1111"},
    {.name = "open.example", .records = "mx IN A 127.0.0.10\n_25._tcp.mx IN TLSA 3 1 1 " D32 "\n"},
};

static struct name_server names;
static uv_loop_t loop;
static struct resolver *resolver;
static bool done;

static enum status get(void *context, const char *name, struct slice address, struct setting_value *out)
{
    (void)context;
    (void)address;
    *out = (struct setting_value){.setting = setting_find(slice_of_text(name))};
    out->text = slice_of_text(strcmp(name, "dns.resolvers") == 0 ? names.resolvers : names.anchors);
    return STATUS_OK;
}

static void on_found(void *context)
{
    (void)context;
    done = true;
    uv_stop(&loop);
}

static struct tls_search *search(const char *host, const char *domain, bool named)
{
    struct tls_search_question q = {.resolver = resolver,
                                    .host = host,
                                    .port = 25,
                                    .domain = slice_of_text(domain),
                                    .tlsa = true,
                                    .named = named};
    struct tls_search *s = tls_search_new(&q, on_found, NULL);
    assert_non_null(s);
    done = false;
    tls_search_start(s);
    while (!done) {
        (void)uv_run(&loop, UV_RUN_DEFAULT);
    }
    return s;
}

/* RFC 7672 section 2.2 */
static void records_are_found_where_dnssec_vouches_for_all(void **state)
{
    static const struct {
        const char *host;
        bool named;
        enum tlsa_state state;
        size_t count;
        const char *base;
    } rows[] = {
        {"mx.signed.example", false, TLSA_FOUND, 2, "mx.signed.example"},
        {"six.signed.example", false, TLSA_FOUND, 1, "six.signed.example"},
        {"alias.signed.example", false, TLSA_FOUND, 2, "mx.signed.example"}, /* where CNAMEs lead to, first */
        {"own.signed.example", false, TLSA_FOUND, 1, "own.signed.example"},  /* then the name itself */
        {"bare.signed.example", false, TLSA_NONE, 0, NULL},
        {"none.signed.example", false, TLSA_NOT_ASKED, 0, NULL},
        {"out.signed.example", false, TLSA_NOT_ASKED, 0, NULL}, /* the address is not signed */
        {"mx.open.example", false, TLSA_NOT_ASKED, 0, NULL},
        {"mx.forged.example", false, TLSA_FAILED, 0, NULL},
        {"mx.forged.example", true, TLSA_FAILED, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls_search *s = search(rows[i].host, "", rows[i].named);
        if (s->tlsa != rows[i].state || s->record_count != rows[i].count) {
            fail_msg("%s: state %d, %zu records", rows[i].host, s->tlsa, s->record_count);
        }
        if (rows[i].base != NULL) {
            assert_string_equal(s->base, rows[i].base);
            assert_true(tlsa_record_usable(&s->records[0]));
            assert_int_equal(s->records[0].data.data[31], 1);
        }
        assert_false(s->has_sts);
        tls_search_free(s);
    }
}

/* RFC 8461 section 3.1: without one good record nothing is fetched; without fetch, none is there. */
static void only_one_good_text_record_names_a_policy(void **state)
{
    static const struct {
        const char *domain, *problem;
    } rows[] = {
        {"one.signed.example", "sts-policy-fetch-error"},
        {"two.signed.example", NULL},
        {"bad.signed.example", NULL},
        {"none.signed.example", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tls_search *s = search("mx.open.example", rows[i].domain, false);
        assert_true((s->sts_problem == NULL) == (rows[i].problem == NULL));
        if (rows[i].problem != NULL) {
            assert_string_equal(s->sts_problem, rows[i].problem);
            assert_string_equal(s->sts_id, "a1");
        }
        assert_false(s->has_sts);
        tls_search_free(s);
    }
}

static void one_that_is_given_up_calls_nobody(void **state)
{
    struct tls_search_question q = {
        .resolver = resolver, .host = "mx.signed.example", .port = 25, .tlsa = true};
    struct tls_search *s = tls_search_new(&q, on_found, NULL);
    (void)state;
    done = false;
    tls_search_start(s);
    tls_search_free(s);
    tls_search_free(search("six.signed.example", "", false));
}

static int set_up(void **state)
{
    struct settings_source source = {.get = get};
    (void)state;
    name_server_start(&names, zones, sizeof zones / sizeof zones[0]);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(resolver_new(&loop, RESOLVER_TIMEOUT_MS, &resolver), STATUS_OK);
    resolver_configure(resolver, &source);
    return 0;
}

static void on_closed(void *context)
{
    (void)context;
}

static int tear_down(void **state)
{
    (void)state;
    resolver_close(resolver, on_closed, NULL);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    name_server_stop(&names);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_found_where_dnssec_vouches_for_all),
        cmocka_unit_test(only_one_good_text_record_names_a_policy),
        cmocka_unit_test(one_that_is_given_up_calls_nobody),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
