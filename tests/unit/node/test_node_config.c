/* The node's configuration: what a file may say, what the environment changes, and the text of each
 * complaint. */
#include "node_test.h"

#include "base/channel.h"
#include "node/config_table.h"

#include <unistd.h>

#define MINIMAL "[node]\nname = node1\n"

static enum status read_text_config(const char *text, struct node_config *config, struct failure *f)
{
    int fd = -1;
    assert_int_equal(memory_file_of("config", slice_of_text(text), &fd, f), STATUS_OK);
    enum status status = node_config_read_fd(fd, "node.conf", config, f);
    close(fd);
    return status;
}

static void test_complaints(void **state)
{
    static const struct {
        const char *text, *complaint;
    } rows[] = {
        {"", "node.conf: [node] name is missing"},
        {"[node]\nname = node1\n[smtp]\n\n# a comment\n; another\nlistne = 127.0.0.1:25\n",
         "node.conf:7: unknown key 'listne' in [smtp]; did you mean 'listen'?"},
        {"[smpt]\n", "node.conf:1: unknown section [smpt]; did you mean [smtp]?"},
        {"[node]\nxyzzyplugh = 1\n", "node.conf:2: unknown key 'xyzzyplugh' in [node]"},
        {"name = node1\n", "node.conf:1: key 'name' stands before the first [section]"},
        {"[node\n", "node.conf:1: a section ends with ']'"},
        {"[node]\nname\n", "node.conf:2: neither a [section] nor key = value"},
        {"[node]\nname = a\nname = b\n", "node.conf:3: key 'name' in [node] was given already in line 2"},
        {"[node]\nname = -a\n",
         "node.conf:2: '-a' for 'name' is not a DNS label (letters, digits and hyphens, at most 63)"},
        {"[node]\nname =\n", "node.conf:2: 'name' needs a value: name of this node, unique in the cluster"},
        {MINIMAL "[smtp]\nworkers = many\n", "node.conf:4: 'many' for 'workers' is not a whole number"},
        {MINIMAL "[smtp]\nworkers = 257\n", "node.conf:4: 257 for 'workers' is out of range: 0 to 256"},
        {MINIMAL "[smtp]\nlisten = 127.0.0.1\n",
         "node.conf:4: '127.0.0.1' is not HOST:PORT for 'listen' (as in 127.0.0.1:2511)"},
        {MINIMAL "[smtp]\nlisten = 127.0.0.1:0\n",
         "node.conf:4: the port '0' for 'listen' is not a number from 1 to 65535"},
        {MINIMAL "[smtp]\nlisten = 127.0.0.1:25, 127.0.0.1:65536\n",
         "node.conf:4: the port '65536' for 'listen' is not a number from 1 to 65535"},
        {MINIMAL "[smtp]\nlisten = ::1:25\n",
         "node.conf:4: '::1' for 'listen' is not a host name or IP address (IPv6 as [::1]:PORT)"},
        {MINIMAL "[master_key]\nsource = master.key\n",
         "node.conf:4: 'master.key' for 'source' is neither file:PATH nor credential:NAME"},
        {MINIMAL "[log]\nlevel = loud\n",
         "node.conf:4: 'loud' for 'level' is none of error, warn, info, debug"},
        {MINIMAL "[limits]\ndisk_reserve = 5T\n",
         "node.conf:4: '5T' for 'disk_reserve' is not a size (4096, 512K, 64M, 1G)"},
        {MINIMAL "[cluster]\nlisten = 0.0.0.0:2514\n",
         "node.conf: [cluster] advertise is missing: the other nodes cannot connect to 0.0.0.0:2514"},
        {MINIMAL "[users]\ncore = 7\n",
         "node.conf: [users] group is missing: the roles need a group in common"},
        {MINIMAL "[smtp]\nlisten = \x01\n", "node.conf:4: a control character does not belong here"},
    };
    struct node_config config;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct failure f = {0};
        assert_int_not_equal(read_text_config(rows[i].text, &config, &f), STATUS_OK);
        assert_string_equal(f.text, rows[i].complaint);
    }
}

static void test_values(void **state)
{
    struct node_config config;
    struct failure f = {0};
    (void)state;
    assert_int_equal(
        read_text_config("[node]\r\nname = node1\r\n hostname = mx.example.org\r\n[smtp]\n"
                         "listen = 0.0.0.0:25, [::]:25\nworkers = 3\ntls_names = a.example, ::1\n"
                         "[api]\nlisten=[::1]:8443\n[limits]\ndisk_reserve = 128M\n[log]\nlevel = debug\n",
                         &config, &f),
        STATUS_OK);
    assert_string_equal(config.name, "node1");
    assert_string_equal(config.data, "/var/lib/sealpost");
    assert_string_equal(config.smtp_listen, "0.0.0.0:25, [::]:25");
    assert_string_equal(config.smtp_advertise, "mx.example.org:25");
    assert_string_equal(config.api_advertise, "[::1]:8443");
    assert_string_equal(config.cluster_advertise, "127.0.0.1:2514");
    assert_int_equal(config.workers, 3);
    assert_int_equal(config.disk_reserve, 128 << 20);
    assert_int_equal(config.log_tail_bytes, 16 << 20);
    assert_int_equal(config.log_level, LOG_DEBUG);
}

static void test_environment_wins(void **state)
{
    struct node_config config;
    struct failure f = {0};
    (void)state;
    setenv("SEALPOST_SMTP_WORKERS", "9", 1);
    setenv("SEALPOST_MASTER_KEY_SOURCE", "credential:key", 1);
    assert_int_equal(read_text_config(MINIMAL "[smtp]\nworkers = 3\n", &config, &f), STATUS_OK);
    assert_int_equal(config.workers, 9);
    assert_string_equal(config.master_key_source, "credential:key");
    setenv("SEALPOST_SMTP_WORKERS", "x", 1);
    assert_int_not_equal(read_text_config(MINIMAL, &config, &f), STATUS_OK);
    assert_string_equal(f.text, "environment SEALPOST_SMTP_WORKERS: 'x' for 'workers' is not a whole number");
    unsetenv("SEALPOST_SMTP_WORKERS");
    unsetenv("SEALPOST_MASTER_KEY_SOURCE");
}

/* What is written for the roles reads back as the same. */
static void test_written_reads_back(void **state)
{
    static struct node_config config, again;
    struct buf text = BUF_INIT(65536);
    struct failure f = {0};
    (void)state;
    assert_int_equal(
        read_text_config(MINIMAL
                         "[users]\ngroup = 5\ncore = 6\n[smtp]\nlisten = 127.0.0.1:25\n"
                         "tls_names = x.example\n[limits]\nsegment_bytes = 32M\n[log]\nlevel = warn\n",
                         &config, &f),
        STATUS_OK);
    assert_int_equal(node_config_write(&config, &text), STATUS_OK);
    assert_int_equal(read_text_config(buf_text(&text), &again, &f), STATUS_OK);
    assert_memory_equal(&config, &again, sizeof(config));
    buf_release(&text);
}

static void test_too_long(void **state)
{
    static char text[300 << 10];
    struct node_config config;
    struct failure f = {0};
    (void)state;
    memset(text, '\n', sizeof(text) - 1);
    assert_int_equal(read_text_config(text, &config, &f), STATUS_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complaints),       cmocka_unit_test(test_values),
        cmocka_unit_test(test_environment_wins), cmocka_unit_test(test_written_reads_back),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
