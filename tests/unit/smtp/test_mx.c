/* From DNS answers to hosts (RFC 5321 section 5.1, RFC 7505): a table of domains; and how many connections.
 */
#include "smtp/concurrency.h"
#include "smtp/mx.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A little zone as text: "MX 10 a.example", "a.example A 192.0.2.1", states "a.example AAAA SERVFAIL". */
struct row {
    const char *about, *domain;
    const char *mx; /* "10 a.example, 20 b.example"; "NODATA", "NXDOMAIN", "SERVFAIL", "BOGUS" */
    const char *addresses;
    enum mx_fate fate;
    const char *hosts; /* "a.example:192.0.2.1 b.example:..." */
};

static struct slice arena_record(uint8_t *memory, size_t *used, const uint8_t *bytes, size_t len)
{
    memcpy(memory + *used, bytes, len);
    *used += len;
    return slice_of(memory + *used - len, len);
}

static size_t put_name(uint8_t *out, const char *name)
{
    size_t n = 0;
    while (*name != '\0' && strcmp(name, ".") != 0) {
        size_t label = strcspn(name, ".");
        out[n++] = (uint8_t)label;
        memcpy(out + n, name, label);
        n += label;
        name += label + (name[label] == '.');
    }
    out[n++] = 0;
    return n;
}

static bool state_of(const char *word, size_t len, struct resolved *out)
{
    static const struct {
        const char *word;
        enum resolved_state state;
    } words[] = {{"NODATA", RESOLVED_NO_DATA},
                 {"NXDOMAIN", RESOLVED_NO_NAME},
                 {"SERVFAIL", RESOLVED_SERVFAIL},
                 {"BOGUS", RESOLVED_BOGUS},
                 {"TIMEOUT", RESOLVED_TIMEOUT}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].word) == len && strncmp(words[i].word, word, len) == 0) {
            out->state = words[i].state;
            return true;
        }
    }
    return false;
}

static struct slice records[64];
static uint8_t memory[8192];

static struct resolved mx_answer(const char *text)
{
    struct resolved out = {.state = RESOLVED_FOUND, .name = "", .note = "", .records = records};
    size_t used = 0;
    if (state_of(text, strlen(text), &out)) {
        return out;
    }
    for (const char *at = text; *at != '\0';) {
        char name[300] = "";
        unsigned preference = 0;
        uint8_t bytes[400];
        (void)sscanf(at, "%u %299[^,]", &preference, name);
        bytes[0] = (uint8_t)(preference >> 8);
        bytes[1] = (uint8_t)preference;
        records[out.count++] = arena_record(memory, &used, bytes, 2 + put_name(bytes + 2, name));
        at += strcspn(at, ",");
        at += *at == ',' ? strspn(at, ", ") : 0;
    }
    return out;
}

static struct resolved address_answer(const char *zone, const char *name, const char *type)
{
    struct resolved out = {.state = RESOLVED_NO_DATA, .name = "", .note = "", .records = records};
    size_t used = 0;
    for (const char *at = zone; *at != '\0';) {
        char owner[100] = "", kind[10] = "", value[100] = "";
        uint8_t bytes[16];
        (void)sscanf(at, "%99s %9s %99[^,]", owner, kind, value);
        if (strcmp(owner, name) == 0 && strcmp(kind, type) == 0) {
            if (!state_of(value, strlen(value), &out)) {
                bool v6 = strcmp(type, "AAAA") == 0;
                assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, value, bytes), 1);
                out.state = RESOLVED_FOUND;
                records[out.count++] = arena_record(memory, &used, bytes, v6 ? 16 : 4);
            }
        }
        at += strcspn(at, ",");
        at += *at == ',' ? strspn(at, ", ") : 0;
    }
    return out;
}

static void plan_make(const struct row *r, struct mx_plan *p, uint64_t random)
{
    union mx_sockaddr own_address = {
        .v4 = {.sin_family = AF_INET, .sin_port = htons(25), .sin_addr.s_addr = inet_addr("192.0.2.99")}};
    struct mx_own own = {.name = "we.example", .addresses = &own_address, .count = 1};
    if (mx_begin(p, slice_of_text(r->domain), 25)) {
        struct resolved answer = mx_answer(r->mx);
        if (!mx_read(p, &answer, random)) {
            return;
        }
        for (size_t i = 0; i < p->count; i++) {
            answer = address_answer(r->addresses, p->hosts[i].name, "A");
            mx_address(p, i, DNS_TYPE_A, &answer);
            answer = address_answer(r->addresses, p->hosts[i].name, "AAAA");
            mx_address(p, i, DNS_TYPE_AAAA, &answer);
        }
    } else if (p->fate != MX_HOSTS) {
        return;
    }
    mx_finish(p, &own, 25, random);
}

static void plan_text(const struct mx_plan *p, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < p->count; i++) {
        n += (size_t)snprintf(out + n, size - n, "%s%s", i > 0 ? " " : "", p->hosts[i].name);
        for (size_t k = 0; k < p->hosts[i].count; k++) {
            const union mx_sockaddr *a = &p->hosts[i].addresses[k];
            char text[64];
            bool v4 = a->any.sa_family == AF_INET;
            assert_non_null(inet_ntop(a->any.sa_family,
                                      v4 ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr,
                                      text, sizeof text));
            assert_int_equal(v4 ? a->v4.sin_port : a->v6.sin6_port, htons(25));
            n += (size_t)snprintf(out + n, size - n, "%c%s", k == 0 ? '=' : '+', text);
        }
    }
}

#define A1 "a.example A 192.0.2.1, "
#define B1 "b.example A 192.0.2.2, "
#define C1 "c.example A 192.0.2.3, "

static const struct row rows[] = {
    {"by preference", "d.example", "20 b.example, 10 a.example, 30 c.example", A1 B1 C1, MX_HOSTS,
     "a.example=192.0.2.1 b.example=192.0.2.2 c.example=192.0.2.3"},
    {"upper case and last dots", "D.Example.", "10 A.EXAMPLE", A1, MX_HOSTS, "a.example=192.0.2.1"},
    {"implicit, only for want of any", "a.example", "NODATA", A1, MX_HOSTS, "a.example=192.0.2.1"},
    {"implicit, IPv6 too", "a.example", "NODATA", A1 "a.example AAAA 2001:db8::1", MX_HOSTS,
     "a.example=2001:db8::1+192.0.2.1"},
    {"implicit without an address", "d.example", "NODATA", "", MX_NO_HOST, ""},
    {"implicit that fails now", "d.example", "NODATA", "d.example A SERVFAIL", MX_LATER, ""},
    {"no fall-back when there are MX records", "a.example", "10 b.example", A1, MX_NO_HOST, ""},
    {"no fall-back when MX fails", "a.example", "SERVFAIL", A1, MX_LATER, ""},
    {"no fall-back when MX is bogus", "a.example", "BOGUS", A1, MX_LATER, ""},
    {"no fall-back without an answer", "a.example", "TIMEOUT", A1, MX_LATER, ""},
    {"no such domain", "a.example", "NXDOMAIN", A1, MX_NO_DOMAIN, ""},
    {"null MX", "a.example", "0 .", A1, MX_NULL, ""},
    {"a null MX among others is nobody", "d.example", "0 ., 10 a.example", A1, MX_HOSTS,
     "a.example=192.0.2.1"},
    {"an address for a name is nobody", "d.example", "5 192.0.2.7, 10 a.example", A1, MX_HOSTS,
     "a.example=192.0.2.1"},
    {"an address for a name alone", "d.example", "5 192.0.2.7", A1, MX_NO_HOST, ""},
    {"a name that no host has", "d.example", "5 b d.example, 10 a.example", A1, MX_HOSTS,
     "a.example=192.0.2.1"},
    {"the same host twice counts once", "d.example", "20 a.example, 10 a.example, 15 b.example", A1 B1,
     MX_HOSTS, "a.example=192.0.2.1 b.example=192.0.2.2"},
    {"a host without address is left out", "d.example", "10 x.example, 20 a.example", A1, MX_HOSTS,
     "a.example=192.0.2.1"},
    {"a host that fails now is left out", "d.example", "10 x.example, 20 a.example",
     A1 "x.example A SERVFAIL", MX_HOSTS, "a.example=192.0.2.1"},
    {"the only host fails now", "d.example", "10 x.example", "x.example A TIMEOUT", MX_LATER, ""},
    {"one family fails, the other is there", "d.example", "10 a.example", A1 "a.example AAAA BOGUS", MX_HOSTS,
     "a.example=192.0.2.1"},
    {"we are the best", "d.example", "10 we.example, 20 a.example", A1 "we.example A 192.0.2.50", MX_LOOP,
     ""},
    {"we are in the middle", "d.example", "10 a.example, 20 we.example, 20 b.example, 30 c.example",
     A1 B1 C1 "we.example A 192.0.2.50", MX_HOSTS, "a.example=192.0.2.1"},
    {"we are the best, by address", "d.example", "10 x.example, 20 a.example", A1 "x.example A 192.0.2.99",
     MX_LOOP, ""},
    {"we are the domain itself", "x.example", "NODATA", "x.example A 192.0.2.99", MX_LOOP, ""},
    {"who is better than we fails now", "d.example", "10 x.example, 20 we.example", "x.example A SERVFAIL",
     MX_LATER, ""},
    {"who is worse than we does not matter", "d.example", "10 we.example, 20 x.example",
     "we.example A 192.0.2.50, x.example A SERVFAIL", MX_LOOP, ""},
    {"addresses where nobody is", "d.example", "10 a.example",
     "a.example A 0.0.0.0, a.example A 224.0.0.1, a.example A 255.255.255.255, a.example AAAA ::, a.example "
     "AAAA "
     "ff02::1, a.example AAAA ::ffff:192.0.2.1",
     MX_NO_HOST, ""},
    {"a literal", "[192.0.2.4]", "", "", MX_HOSTS, "192.0.2.4=192.0.2.4"},
    {"a literal of IPv6", "[IPv6:2001:db8::7]", "", "", MX_HOSTS, "2001:db8::7=2001:db8::7"},
    {"our own address as a literal", "[192.0.2.99]", "", "", MX_LOOP, ""},
    {"a literal that is none", "[192.0.2.256]", "", "", MX_NO_DOMAIN, ""},
    {"a literal with a tag", "[x:y]", "", "", MX_NO_DOMAIN, ""},
    {"no name", "a..example", "", "", MX_NO_DOMAIN, ""},
    {"a name in other letters", "b\303\274cher.example", "10 a.example", A1, MX_HOSTS, "a.example=192.0.2.1"},
};

static void domains(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mx_plan p;
        char text[4000];
        plan_make(&rows[i], &p, i);
        plan_text(&p, text, sizeof text);
        if (p.fate != rows[i].fate || strcmp(text, rows[i].hosts) != 0) {
            fail_msg("%s: fate %d, \"%s\" (%s)", rows[i].about, (int)p.fate, text, p.why);
        }
        assert_int_equal(p.why[0] == '\0', p.fate == MX_HOSTS);
    }
    struct mx_plan p;
    plan_make(&rows[sizeof rows / sizeof rows[0] - 1], &p, 1);
    assert_string_equal(p.domain, "xn--bcher-kva.example");
}

/* Each of equals comes first about as often; IPv6 and IPv4 by turns, each of many addresses gets its turn. */
static void equals_share(void **state)
{
    static const struct row equal = {.domain = "d.example",
                                     .mx = "10 a.example, 10 b.example, 10 c.example, 5 z.example",
                                     .addresses = A1 B1 C1 "z.example A 192.0.2.26"};
    static const struct row many = {
        .domain = "d.example",
        .mx = "10 a.example",
        .addresses =
            "a.example A 192.0.2.1, a.example A 192.0.2.2, a.example AAAA 2001:db8::1, a.example AAAA "
            "2001:db8::2, a.example AAAA 2001:db8::3"};
    unsigned first[3] = {0}, six[3] = {0};
    (void)state;
    for (uint64_t random = 0; random < 3000; random++) {
        struct mx_plan p;
        plan_make(&equal, &p, random * 7919);
        assert_int_equal(p.count, 4);
        assert_string_equal(p.hosts[0].name, "z.example");
        first[p.hosts[1].name[0] - 'a']++;
        plan_make(&many, &p, random * 7919);
        assert_int_equal(p.hosts[0].count, 5);
        for (size_t k = 0; k < 5; k++) {
            assert_int_equal(p.hosts[0].addresses[k].any.sa_family, k % 2 == 0 ? AF_INET6 : AF_INET);
        }
        six[p.hosts[0].addresses[0].v6.sin6_addr.s6_addr[15] - 1]++;
    }
    for (size_t i = 0; i < 3; i++) {
        assert_in_range(first[i], 850, 1150);
        assert_in_range(six[i], 850, 1150);
    }
}

static void too_many_hosts_leave_the_best(void **state)
{
    char mx[4000] = "", zone[4000] = "";
    (void)state;
    for (unsigned i = 40; i > 0; i--) {
        (void)!snprintf(mx + strlen(mx), sizeof mx - strlen(mx), "%u h%u.example, ", i, i);
        (void)!snprintf(zone + strlen(zone), sizeof zone - strlen(zone), "h%u.example A 192.0.2.%u, ", i, i);
    }
    struct row r = {.domain = "d.example", .mx = mx, .addresses = zone};
    struct mx_plan p;
    plan_make(&r, &p, 1);
    assert_int_equal(p.count, MX_HOSTS_MAX);
    for (unsigned i = 0; i < MX_HOSTS_MAX; i++) {
        assert_int_equal(p.hosts[i].preference, i + 1);
    }
}

static void malformed_records_are_nobody(void **state)
{
    static const uint8_t bad[][12] = {
        {0, 5}, {0, 5, 63, 'a'}, {0, 5, 0xc0, 0x0c}, {0, 5, 3, 'a', '.', 'b', 0}, {0, 5, 1, 'a', 1}};
    static const uint8_t lens[] = {2, 4, 4, 7, 5};
    struct mx_plan p;
    (void)state;
    for (size_t i = 0; i < sizeof lens; i++) {
        struct slice record = slice_of(bad[i], lens[i]);
        struct resolved answer = {
            .state = RESOLVED_FOUND, .records = &record, .count = 1, .name = "", .note = ""};
        assert_true(mx_begin(&p, SLICE_LITERAL("d.example"), 25));
        assert_false(mx_read(&p, &answer, 1));
        assert_int_equal(p.fate, MX_NO_HOST);
    }
}

static void concurrency(void **state)
{
    struct concurrency c;
    (void)state;
    concurrency_init(&c);
    assert_int_equal(concurrency_limit(&c, 20), 5);
    assert_int_equal(concurrency_limit(&c, 2), 2);
    for (int i = 0; i < 100; i++) {
        concurrency_worked(&c, 20);
    }
    assert_int_equal(concurrency_limit(&c, 20), 20); /* never beyond */
    for (int i = 0; i < 20; i++) {                   /* twenty that break at once are one failure */
        concurrency_failed(&c, 20, 5000);
    }
    assert_int_equal(concurrency_limit(&c, 20), 10);
    concurrency_worked(&c, 20);
    assert_int_equal(concurrency_limit(&c, 20), 10); /* grows slowly now: one more for a whole round */
    for (int i = 0; i < 10; i++) {
        concurrency_worked(&c, 20);
    }
    assert_int_equal(concurrency_limit(&c, 20), 11);
    for (uint64_t now = 10000; now < 30000; now += 2000) {
        concurrency_failed(&c, 20, now);
    }
    assert_int_equal(concurrency_limit(&c, 20), 1); /* and one is always left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domains),
        cmocka_unit_test(equals_share),
        cmocka_unit_test(too_many_hosts_leave_the_best),
        cmocka_unit_test(malformed_records_are_nobody),
        cmocka_unit_test(concurrency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
