/*
 * A disk that fills up, turns read-only and comes back, and a process without descriptors: new mail gets 4xx,
 * nothing that was accepted is lost, and nobody has to start anything anew. The disk is a tmpfs of its own in
 * a mount namespace of its own, which takes root: without that there is nothing to see here.
 */
#include "rig.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MESSAGE_SIZE ((size_t)200000)

static struct rig rig;
static struct sink sink;
static char *message;

static int setup(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        (void)printf("no mount namespace: nothing is tested\n");
        exit(0);
    }
    message = calloc(1, MESSAGE_SIZE + 1);
    for (size_t i = 0; i < MESSAGE_SIZE; i += 50) {
        (void)!snprintf(message + i, 51, "%-48s\r\n", i == 0 ? "Subject: big" : i == 50 ? "X: y" : "text");
    }
    return 0;
}

static void disk_mount(unsigned long flags)
{
    if (mount("none", rig.dir, "tmpfs", flags, "size=4m") != 0) {
        fail_msg("cannot mount");
    }
}

static int begin(void **state)
{
    (void)state;
    char text[64];
    memset(&rig, 0, sizeof rig);
    memset(&sink, 0, sizeof sink);
    rig.grace_ms = 2000;
    rig.keep_dir = true;
    rig.without_log = true;
    rig.segment_size = 100000;
    (void)!snprintf(rig.dir, sizeof rig.dir, "/tmp/sealpost-smtp-XXXXXX");
    assert_non_null(mkdtemp(rig.dir));
    disk_mount(0);
    sink_start(&sink);
    (void)!snprintf(text, sizeof text, "127.0.0.1:%u", sink.port);
    rig_set(&rig, "delivery.next_hop", text);
    rig_set(&rig, "delivery.retry", "200ms");
    return 0;
}

static int finish(void **state)
{
    (void)state;
    if (rig.thread != 0) {
        rig_stop(&rig);
    }
    sink_stop(&sink);
    (void)umount2(rig.dir, MNT_DETACH);
    rig_remove(&rig);
    return 0;
}

static int deliver(const char *to)
{
    return client_deliver(rig.port, "a@a.test", to, message, NULL, 0);
}

/* Until the service says so: it looks at the disk every second. */
static void wait_for_code(int wanted, size_t *accepted)
{
    int code = 0;
    for (int i = 0; i < 200 && code != wanted; i++) {
        code = client_deliver(rig.port, "a@a.test", "b@b.test", "Subject: x\r\n\r\nx\r\n", NULL, 0);
        *accepted += code == 250;
        (void)usleep(50000);
    }
    assert_int_equal(code, wanted);
}

static void test_full_and_free_again(void **state)
{
    (void)state;
    size_t accepted = 0;
    int code = 250;
    rig_set(&rig, "smtp.disk_reserve", "0");
    atomic_store(&sink.rcpt_code, 450); /* nothing leaves */
    rig_start(&rig);
    for (int i = 0; i < 60 && code == 250; i++) {
        code = deliver("b@b.test");
        accepted += code == 250;
    }
    assert_true(code == 452);
    assert_true(accepted > 5);
    assert_int_equal(deliver("b@b.test"), 452); /* and again, the service still there */
    atomic_store(&sink.rcpt_code, 0);
    assert_true(sink_wait(&sink, accepted, 20000)); /* what was accepted leaves, each once */
    wait_for_code(250, &accepted);
    assert_true(sink_wait(&sink, accepted, 20000));
    assert_int_equal(sink.count, accepted);
}

static void test_reserve(void **state)
{
    (void)state;
    size_t accepted = 0;
    char path[128];
    rig_set(&rig, "smtp.disk_reserve", "1M");
    rig_start(&rig);
    assert_int_equal(deliver("b@b.test"), 250);
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "EHLO x.test"), 250);
    assert_int_equal(client_command(fd, "MAIL FROM:<a@a.test> SIZE=3500000"), 452); /* it would not fit */
    assert_int_equal(client_command(fd, "MAIL FROM:<a@a.test> SIZE=1000"), 250);
    (void)close(fd);
    (void)!snprintf(path, sizeof path, "%s/ballast", rig.dir); /* somebody else's */
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(posix_fallocate(fd, 0, 3 << 20), 0);
    wait_for_code(452, &accepted);
    assert_int_equal(unlink(path), 0);
    (void)close(fd);
    wait_for_code(250, &accepted);
    assert_true(sink_wait(&sink, accepted + 1, 20000));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_full_and_free_again),
        CASE(test_reserve),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
