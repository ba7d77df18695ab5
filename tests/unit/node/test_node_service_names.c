/* Names for a node's certificates: each once, IPv6 without brackets. */
#include "node_test.h"

#include "node/service_names.h"

static void test_hosts(void **state)
{
    static const struct {
        const char *address, *host;
    } rows[] = {{"127.0.0.1:25", "127.0.0.1"},
                {"[::1]:25", "::1"},
                {"mx.example:25", "mx.example"},
                {"bare", "bare"}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(slice_equal(address_host(slice_of_text(rows[i].address)), slice_of_text(rows[i].host)));
    }
}

static void test_each_once(void **state)
{
    static const struct node_config config = {.name = "node1",
                                              .hostname = "mx.example",
                                              .api_advertise = "127.0.0.1:3",
                                              .smtp_advertise = "127.0.0.1:1",
                                              .tls_names = "MX.example, localhost , ::1"};
    struct buf out = BUF_INIT(1024);
    (void)state;
    assert_int_equal(service_names(&config, &out), STATUS_OK);
    assert_string_equal(buf_text(&out), "mx.example,node1,127.0.0.1,localhost,::1");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts), cmocka_unit_test(test_each_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
