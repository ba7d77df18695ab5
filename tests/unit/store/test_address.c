/* Addresses, domains and endpoints: one normal form each, and no way round it by odd writing. */
#include "test_support.h"

static void domains_have_one_form(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
    } table[] = {
        {"Example.ORG", "example.org"},
        {"example.org.", "example.org"},
        {"*.Example.org", "*.example.org"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"localhost", "localhost"},
        {"_dmarc.example.org", "_dmarc.example.org"},
        {"[192.0.2.1]", "[192.0.2.1]"},
        {"[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"},
        {"", NULL},
        {".", NULL},
        {"*", NULL},
        {"*.", NULL},
        {"*.*.example.org", NULL},
        {"a..b", NULL},
        {".a", NULL},
        {"a..", NULL},
        {"a b.org", NULL},
        {"b\xc3\xbc"
         "cher.example",
         NULL}, /* a U-label */
        {"a/b", NULL},
        {"[]", NULL},
        {"[a]b]", NULL},
        {"[a", NULL},
        {"*.[a]", NULL},
        {"a@b.org", NULL},
    };
    char out[DOMAIN_MAX + 1], longest[300];
    struct failure f = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        enum status status = domain_normalise(slice_of_text(table[i].in), out, &f);

        if ((status == STATUS_OK) != (table[i].out != NULL) ||
            (status == STATUS_OK && strcmp(out, table[i].out) != 0))
            fail_msg("\"%s\" became \"%s\"", table[i].in, status == STATUS_OK ? out : f.text);
    }
    for (size_t i = 0; i < sizeof(longest); i++)
        longest[i] = i % 64 == 63 ? '.' : 'a';
    assert_int_equal(domain_normalise(slice_of(longest, 255), out, NULL), STATUS_OK);
    assert_int_equal(strlen(out), 255);
    assert_int_equal(domain_normalise(slice_of(longest, 257), out, NULL), STATUS_INVALID);
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(domain_normalise(slice_of(longest, 63), out, NULL), STATUS_OK);
    assert_int_equal(domain_normalise(slice_of(longest, 64), out, NULL), STATUS_INVALID);
    assert_int_equal(domain_normalise(slice_of("a\0b", 3), out, NULL), STATUS_INVALID);
}

static void addresses_have_one_form(void **state)
{
    static const struct {
        const char *in, *out;
    } table[] = {
        {"Alice@Example.ORG", "alice@example.org"},
        {"a@b.org.", "a@b.org"},
        {"a+tag@b", "a+tag@b"},
        {"\"x@y\"@b.org", "\"x@y\"@b.org"},
        {"a@[192.0.2.1]", "a@[192.0.2.1]"},
        {"m\xc3\xbcller@b.org", "m\xc3\xbcller@b.org"},
        {"", NULL},
        {"@", NULL},
        {"a@", NULL},
        {"@b.org", NULL},
        {"a", NULL},
        {"a b@c.org", NULL},
        {"\"a b\"@c.org", NULL},
        {"a@b@c.org", NULL},
        {"a@*.b.org", NULL},
        {"a\r\n@b.org", NULL},
        {"a@b.org\n", NULL},
        {"<a@b.org>", NULL},
    };
    char out[ADDRESS_MAX + 1], longest[400];
    struct failure f = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        enum status status = address_normalise(slice_of_text(table[i].in), out, &f);

        if ((status == STATUS_OK) != (table[i].out != NULL) ||
            (status == STATUS_OK && strcmp(out, table[i].out) != 0))
            fail_msg("\"%s\" became \"%s\"", table[i].in, status == STATUS_OK ? out : f.text);
    }
    memset(longest, 'a', sizeof(longest));
    for (size_t local = 1; local < 100; local++) { /* at every length it fits or is refused */
        longest[local] = '@';
        for (size_t len = local + 2; len < sizeof(longest); len += 30)
            (void)!address_normalise(slice_of(longest, len), out, NULL);
        longest[local] = 'a';
    }
    assert_int_equal(address_normalise(slice_of("a\0b@c.org", 9), out, NULL), STATUS_INVALID);
    /* What comes from outside is shown without its control bytes. */
    assert_int_equal(address_normalise(SLICE_LITERAL("a\x1b[31m\r\nb"), out, &f), STATUS_INVALID);
    assert_null(strpbrk(f.text, "\x1b\r\n"));
    assert_true(slice_equal(address_domain(SLICE_LITERAL("\"x@y\"@b.org")), SLICE_LITERAL("b.org")));
    assert_int_equal(address_domain(SLICE_LITERAL("none")).len, 0);
}

static void endpoints_are_cut(void **state)
{
    static const struct {
        const char *in, *host;
        uint16_t port;
    } table[] = {
        {"mail.example.org:25", "mail.example.org", 25},
        {"mail", "mail", 0},
        {"127.0.0.1:65535", "127.0.0.1", 65535},
        {"[2001:db8::1]:25", "2001:db8::1", 25},
        {"[::1]", "::1", 0},
        {"", NULL, 0},
        {":25", NULL, 0},
        {"a:", NULL, 0},
        {"a:0", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:2 5", NULL, 0},
        {"a:+5", NULL, 0},
        {"2001:db8::1", NULL, 0},
        {"[mail]:25", NULL, 0},
        {"[::1", NULL, 0},
        {"[]:25", NULL, 0},
        {"[::1]25", NULL, 0},
        {"a b:25", NULL, 0},
        {"a/b:25", NULL, 0},
        {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1", NULL, 0},
    };
    struct slice host;
    uint16_t port;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        bool good = endpoint_parse(slice_of_text(table[i].in), &host, &port);

        if (good != (table[i].host != NULL) ||
            (good && (!slice_equal(host, slice_of_text(table[i].host)) || port != table[i].port)))
            fail_msg("%s", table[i].in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domains_have_one_form),
        cmocka_unit_test(addresses_have_one_form),
        cmocka_unit_test(endpoints_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
