/* Where the fetch role may go: URLs, and the addresses to which they resolve. */
#include "node_test.h"

#include "node/fetch_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static enum status check(const char *ip, const char *allowed)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct failure f;
    if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1) {
        return fetch_guard_address((const struct sockaddr *)&v4, slice_of_text(allowed), &f);
    }
    assert_int_equal(inet_pton(AF_INET6, ip, &v6.sin6_addr), 1);
    return fetch_guard_address((const struct sockaddr *)&v6, slice_of_text(allowed), &f);
}

static void closed_networks_are_refused(void **state)
{
    static const char *const closed[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.0.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001::1",
        "2001:db8::1",
        "2002:0a00:0001::1",
        "2002:7f00:0001::1",
        "100::1",
        "4000::1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++) {
        if (check(closed[i], "") != STATUS_DENIED) {
            fail_msg("%s was let through", closed[i]);
        }
    }
}

static void the_world_is_open(void **state)
{
    static const char *const open[] = {
        "1.1.1.1",         "8.8.8.8",         "9.255.255.255",  "11.0.0.0",        "100.63.255.255",
        "100.128.0.0",     "126.0.0.1",       "128.0.0.1",      "172.15.255.255",  "172.32.0.0",
        "192.167.0.1",     "192.169.0.1",     "198.17.255.255", "198.20.0.0",      "223.255.255.1",
        "2606:4700::1111", "2001:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"};
    (void)state;
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        if (check(open[i], "") != STATUS_OK) {
            fail_msg("%s was refused", open[i]);
        }
    }
}

static void a_setting_names_what_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(check("127.0.0.1", "127.0.0.0/8"), STATUS_OK);
    assert_int_equal(check("::ffff:127.0.0.1", "127.0.0.0/8"), STATUS_OK);
    assert_int_equal(check("10.1.2.3", "127.0.0.0/8,10.1.2.3"), STATUS_OK);
    assert_int_equal(check("10.1.2.4", "127.0.0.0/8,10.1.2.3"), STATUS_DENIED);
    assert_int_equal(check("fd00::5", "fd00::/8"), STATUS_OK);
    assert_int_equal(check("::1", "127.0.0.0/8"), STATUS_DENIED);
}

static void other_families_are_refused(void **state)
{
    struct sockaddr_storage other = {.ss_family = AF_UNIX};
    struct failure f;
    (void)state;
    assert_int_equal(fetch_guard_address((const struct sockaddr *)&other, slice_of_text("0.0.0.0/0"), &f),
                     STATUS_DENIED);
}

static void urls_are_judged(void **state)
{
    static const struct {
        const char *url, *host; /* NULL: refused */
    } table[] = {
        {"http://crl.example.org/a.crl", "crl.example.org"},
        {"HTTPS://CRL.Example.ORG:8080", "crl.example.org"},
        {"http://[2001:db8::1]:80/x", "2001:db8::1"},
        {"http://h?x", "h"},
        {"http://127.0.0.1/", "127.0.0.1"}, /* the address is judged when it is known */
        {"ftp://h/", NULL},
        {"file:///etc/passwd", NULL},
        {"ldap://h/x", NULL},
        {"gopher://h/", NULL},
        {"http://", NULL},
        {"http:///x", NULL},
        {"http://user@h/", NULL},
        {"http://good.example@10.0.0.1/", NULL},
        {"http://h:0/", NULL},
        {"http://h:99999/", NULL},
        {"http://h h/", NULL},
        {"http://h\r\nX: y/", NULL},
        {"http://h\\@evil/", NULL},
        {"http://h%00/", NULL},
        {"http://\xc3\xa4/", NULL},
        {"", NULL},
    };
    char host[FETCH_HOST_MAX + 1], longest[FETCH_URL_MAX + 2] = "http://h/";
    struct failure f;
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        enum status status = fetch_guard_url(slice_of_text(table[i].url), host, &f);
        if ((status == STATUS_OK) != (table[i].host != NULL) ||
            (table[i].host != NULL && strcmp(host, table[i].host) != 0)) {
            fail_msg("%s: %s", table[i].url, host);
        }
    }
    memset(longest + 9, 'a', FETCH_URL_MAX - 9 + 1);
    assert_int_equal(fetch_guard_url(slice_of(longest, FETCH_URL_MAX), host, &f), STATUS_OK);
    assert_int_equal(fetch_guard_url(slice_of(longest, FETCH_URL_MAX + 1), host, &f), STATUS_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_networks_are_refused), cmocka_unit_test(the_world_is_open),
        cmocka_unit_test(a_setting_names_what_is_allowed), cmocka_unit_test(other_families_are_refused),
        cmocka_unit_test(urls_are_judged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
