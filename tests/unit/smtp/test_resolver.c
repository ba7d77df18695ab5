/* Names looked up through libunbound at a real NSD: what is told apart, shared, kept, cancelled. */
#include "smtp/resolver.h"

#include "base/clock.h"
#include "name_server.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static const struct name_zone zones[] = {
    {.name = "signed.example",
     .is_signed = true,
     .records = "@ IN MX 10 mx\n@ IN MX 5 mx.open.example.\nmx IN A 127.0.0.7\nmx IN AAAA ::1\n"
                "alias IN CNAME mx\nout IN CNAME mx.open.example.\n_25._tcp.mx IN TLSA 3 1 1 "
                "0000000000000000000000000000000000000000000000000000000000000001\n"
                "text IN TXT \"v=STSv1; id=1\" \"more\"\n"},
    {.name = "forged.example",
     .is_signed = true,
     .records = "host IN A 127.0.0.8\n",
     .forge_from = "127.0.0.8",
     .forge_to = "127.0.0.9"},
    {.name = "open.example", .records = "mx IN A 127.0.0.10\nshort 1 IN A 127.0.0.11\n"},
};

struct world {
    struct name_server names;
    uv_loop_t loop;
    struct resolver *resolver;
    struct settings_source source;
    char resolvers[64];
    const char *anchors;
    bool closed;
};

static struct world world;

static enum status get(void *context, const char *name, struct slice address, struct setting_value *out)
{
    struct world *w = context;
    (void)address;
    *out = (struct setting_value){.setting = setting_find(slice_of_text(name))};
    out->text = slice_of_text(strcmp(name, "dns.resolvers") == 0 ? w->resolvers : w->anchors);
    return STATUS_OK;
}

static void on_closed(void *context)
{
    ((struct world *)context)->closed = true;
}

static void resolver_begin(const char *resolvers, uint64_t timeout_ms)
{
    world.closed = false;
    (void)!snprintf(world.resolvers, sizeof world.resolvers, "%s", resolvers);
    world.source = (struct settings_source){.get = get, .context = &world};
    assert_int_equal(uv_loop_init(&world.loop), 0);
    assert_int_equal(resolver_new(&world.loop, timeout_ms, &world.resolver), STATUS_OK);
    resolver_configure(world.resolver, &world.source);
}

static void resolver_end(void)
{
    resolver_close(world.resolver, on_closed, &world);
    assert_int_equal(uv_run(&world.loop, UV_RUN_DEFAULT), 0);
    assert_true(world.closed);
    assert_int_equal(uv_loop_close(&world.loop), 0);
}

/* One answer, as text: "found secure a.b 7f000007,..." */
struct asked {
    struct resolver_request request;
    unsigned calls;
    char text[600];
    struct asked *then_cancel;
};

static void on_answer(void *context, const struct resolved *a)
{
    struct asked *q = context;
    q->calls++;
    uv_stop(&world.loop);
    int n = snprintf(q->text, sizeof q->text, "%s%s %s", resolved_state_name(a->state),
                     a->secure ? " secure" : "", a->name);
    for (size_t i = 0; i < a->count; i++) {
        n += snprintf(q->text + n, sizeof q->text - (size_t)n, " ");
        for (size_t j = 0; j < a->records[i].len && j < 40; j++) {
            n += snprintf(q->text + n, sizeof q->text - (size_t)n, "%02x", a->records[i].data[j]);
        }
    }
    if (q->then_cancel != NULL) {
        resolver_cancel(world.resolver, &q->then_cancel->request);
    }
}

static void ask(struct asked *q, const char *name, enum dns_type type)
{
    q->request.answered = on_answer;
    q->request.context = q;
    assert_int_equal(resolver_ask(world.resolver, &q->request, name, type), STATUS_OK);
    assert_int_equal(q->calls, 0); /* never from within */
}

static void wait_for(const struct asked *q)
{
    while (q->calls == 0) {
        (void)uv_run(&world.loop, UV_RUN_DEFAULT);
    }
}

static void answers_are_told_apart(void **state)
{
    static const struct {
        const char *name;
        enum dns_type type;
        const char *says;
    } rows[] = {
        {"mx.signed.example", DNS_TYPE_A, "found secure mx.signed.example 7f000007"},
        {"MX.Signed.EXAMPLE.", DNS_TYPE_AAAA,
         "found secure mx.signed.example 00000000000000000000000000000001"},
        {"alias.signed.example", DNS_TYPE_A, "found secure mx.signed.example 7f000007"},
        {"out.signed.example", DNS_TYPE_A,
         "found mx.open.example 7f00000a"}, /* the chain leaves what is signed */
        {"_25._tcp.mx.signed.example", DNS_TYPE_TLSA,
         "found secure _25._tcp.mx.signed.example "
         "0301010000000000000000000000000000000000000000000000000000000000000001"},
        {"text.signed.example", DNS_TYPE_TXT,
         "found secure text.signed.example 0d763d53545376313b2069643d31046d6f7265"},
        {"mx.signed.example", DNS_TYPE_TLSA, "no such record secure mx.signed.example"},
        {"none.signed.example", DNS_TYPE_A, "NXDOMAIN secure none.signed.example"},
        {"mx.open.example", DNS_TYPE_A, "found mx.open.example 7f00000a"},
        {"mx.open.example", DNS_TYPE_AAAA, "no such record mx.open.example"},
        {"none.open.example", DNS_TYPE_MX, "NXDOMAIN none.open.example"},
        {"host.forged.example", DNS_TYPE_A, "bogus host.forged.example"},
        {"elsewhere.org", DNS_TYPE_A, "SERVFAIL elsewhere.org"}, /* NSD refuses */
        {"not a name.example", DNS_TYPE_A, "NXDOMAIN "},
        {"a..b", DNS_TYPE_A, "NXDOMAIN "},
    };
    (void)state;
    resolver_begin(world.names.resolvers, RESOLVER_TIMEOUT_MS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct asked q = {0};
        ask(&q, rows[i].name, rows[i].type);
        wait_for(&q);
        assert_int_equal(q.calls, 1);
        if (strncmp(rows[i].says, "bogus", 5) == 0) { /* its data may be shown, its state may not be other */
            q.text[strlen(rows[i].says)] = '\0';
        }
        assert_string_equal(q.text, rows[i].says);
    }
    struct asked mx = {0};
    ask(&mx, "signed.example", DNS_TYPE_MX);
    wait_for(&mx);
    assert_non_null(strstr(mx.text, " 000a026d78067369676e6564076578616d706c6500"));
    assert_non_null(strstr(mx.text, " 0005026d78046f70656e076578616d706c6500"));
    resolver_end();
}

static void equal_questions_are_asked_once_and_kept(void **state)
{
    struct asked q[4] = {0};
    struct resolver_counts counts;
    (void)state;
    resolver_begin(world.names.resolvers, RESOLVER_TIMEOUT_MS);
    ask(&q[0], "mx.open.example", DNS_TYPE_A);
    ask(&q[1], "MX.open.example.", DNS_TYPE_A);
    wait_for(&q[0]);
    assert_int_equal(q[1].calls, 1);
    ask(&q[2], "mx.open.example", DNS_TYPE_A);
    wait_for(&q[2]);
    assert_string_equal(q[2].text, q[0].text);
    resolver_counts_get(world.resolver, &counts);
    assert_int_equal(counts.asked, 1);
    assert_int_equal(counts.joined, 1);
    assert_int_equal(counts.from_cache, 1);
    assert_int_equal(counts.kept, 1);
    /* Other settings: nothing that was kept counts any more. */
    world.anchors = "";
    resolver_configure(world.resolver, &world.source);
    ask(&q[3], "mx.open.example", DNS_TYPE_A);
    wait_for(&q[3]);
    resolver_counts_get(world.resolver, &counts);
    assert_int_equal(counts.asked, 2);
    world.anchors = world.names.anchors;
    resolver_end();
}

static void what_is_cancelled_is_not_called(void **state)
{
    struct asked q[3] = {0};
    (void)state;
    resolver_begin(world.names.resolvers, RESOLVER_TIMEOUT_MS);
    ask(&q[0], "mx.open.example", DNS_TYPE_A);
    ask(&q[1], "mx.open.example", DNS_TYPE_A);
    ask(&q[2], "mx.open.example", DNS_TYPE_A);
    resolver_cancel(world.resolver, &q[1].request);
    resolver_cancel(world.resolver, &q[1].request);
    q[0].then_cancel = &q[2]; /* within a callback, of one that would be the next */
    wait_for(&q[0]);
    ask(&q[1], "mx.open.example", DNS_TYPE_A);
    wait_for(&q[1]);
    assert_int_equal(q[2].calls, 0);
    resolver_end();
}

static void settings_that_change_under_way_ask_anew(void **state)
{
    struct asked q = {0};
    (void)state;
    resolver_begin("127.0.0.1@1", RESOLVER_TIMEOUT_MS); /* nobody */
    ask(&q, "mx.signed.example", DNS_TYPE_A);
    (void)!snprintf(world.resolvers, sizeof world.resolvers, "%s", world.names.resolvers);
    resolver_configure(world.resolver, &world.source);
    wait_for(&q);
    assert_string_equal(q.text, "found secure mx.signed.example 7f000007");
    resolver_end();
}

static void silence_ends(void **state)
{
    char address[16], resolvers[64];
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t len = sizeof own;
    struct asked q = {0}, left = {0};
    (void)state;
    loopback_address(54, address);
    assert_int_equal(inet_pton(AF_INET, address, &own.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    (void)!snprintf(resolvers, sizeof resolvers, "%s@%u", address, ntohs(own.sin_port));
    resolver_begin(resolvers, 100);
    ask(&q, "mx.open.example", DNS_TYPE_A);
    wait_for(&q);
    assert_string_equal(q.text, "timeout mx.open.example");
    ask(&left, "other.open.example", DNS_TYPE_A); /* closed while it is under way */
    resolver_end();
    assert_int_equal(left.calls, 0);
    (void)close(fd);
}

static void settings_that_cannot_be_used_fail_questions(void **state)
{
    struct asked q = {0};
    (void)state;
    resolver_begin("no address", RESOLVER_TIMEOUT_MS);
    ask(&q, "mx.open.example", DNS_TYPE_A);
    wait_for(&q);
    assert_string_equal(q.text, "SERVFAIL mx.open.example");
    resolver_end();
}

static int set_up(void **state)
{
    (void)state;
    name_server_start(&world.names, zones, sizeof zones / sizeof zones[0]);
    world.anchors = world.names.anchors;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    name_server_stop(&world.names);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_told_apart),
        cmocka_unit_test(equal_questions_are_asked_once_and_kept),
        cmocka_unit_test(what_is_cancelled_is_not_called),
        cmocka_unit_test(settings_that_change_under_way_ask_anew),
        cmocka_unit_test(silence_ends),
        cmocka_unit_test(settings_that_cannot_be_used_fail_questions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
