/*
 * Channels between roles: frames arrive whole with their descriptors; what a taken-over role could send is
 * refused and costs no descriptor.
 */
#include "base/channel.h"

#include "base_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

static void make_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
}

static void close_pair(const int pair[2])
{
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void frames_of_every_size_arrive_whole(void **state)
{
    static const size_t sizes[] = {0, 1, CHANNEL_INLINE_MAX, CHANNEL_INLINE_MAX + 1, 1 << 20};
    static uint8_t content[1 << 20];
    struct channel_frame frame;
    size_t before = open_descriptors();
    int pair[2];

    (void)state;
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)(i * 31 >> 3);
    make_pair(pair);
    channel_frame_init(&frame);
    assert_int_equal(channel_receive(pair[1], &frame), STATUS_BUSY);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_int_equal(channel_send(pair[0], slice_of(content, sizes[i]), NULL, 0), STATUS_OK);
        assert_int_equal(channel_wait_readable(pair[1], 1000), STATUS_OK);
        assert_int_equal(channel_receive(pair[1], &frame), STATUS_OK);
        assert_int_equal(frame.fd_count, 0);
        assert_true(slice_equal(buf_slice(&frame.payload), slice_of(content, sizes[i])));
    }
    assert_int_equal(channel_send(pair[0], slice_of(content, CHANNEL_PAYLOAD_MAX + 1), NULL, 0),
                     STATUS_TOO_LARGE);
    channel_frame_release(&frame);
    close_pair(pair);
    assert_int_equal(open_descriptors(), before);
}

static void descriptors_travel_in_order(void **state)
{
    static uint8_t large[CHANNEL_INLINE_MAX * 2];
    struct channel_frame frame;
    size_t before = open_descriptors();
    int pair[2], fds[CHANNEL_FDS_MAX];

    (void)state;
    make_pair(pair);
    channel_frame_init(&frame);
    for (size_t round = 0; round < 2; round++) {
        struct slice payload = round == 0 ? SLICE_LITERAL("x") : slice_of(large, sizeof(large));

        for (size_t i = 0; i < CHANNEL_FDS_MAX; i++) {
            uint8_t byte = (uint8_t)i;

            assert_int_equal(memory_file_of("test", slice_of(&byte, 1), &fds[i], NULL), STATUS_OK);
        }
        assert_int_equal(channel_send(pair[0], payload, fds, CHANNEL_FDS_MAX), STATUS_OK);
        assert_int_equal(channel_send(pair[0], payload, fds, CHANNEL_FDS_MAX + 1), STATUS_TOO_LARGE);
        for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
            (void)close(fds[i]);
        assert_int_equal(channel_receive(pair[1], &frame), STATUS_OK);
        assert_int_equal(frame.payload.len, payload.len);
        assert_int_equal(frame.fd_count, CHANNEL_FDS_MAX);
        for (size_t i = 0; i < CHANNEL_FDS_MAX; i++) {
            uint8_t byte = 0;

            assert_int_equal(read(frame.fds[i], &byte, 1), 1); /* from its first byte */
            assert_int_equal(byte, (uint8_t)i);
            assert_true((fcntl(frame.fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        }
    }
    channel_frame_release(&frame);
    close_pair(pair);
    assert_int_equal(open_descriptors(), before);
}

/* A packet as a hostile role could make it. */
static void send_raw(int fd, const void *bytes, size_t len, const int *fds, size_t fd_count)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * 253)];
    } control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd_count > 0) {
        struct cmsghdr *header;

        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
    }
    assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), len);
}

static void hostile_packets_cost_no_descriptor(void **state)
{
    static uint8_t too_long[CHANNEL_INLINE_MAX + 2];
    struct channel_frame frame;
    int pair[2], sealed, open_file, many[240], pipe_ends[2];
    size_t before;

    (void)state;
    make_pair(pair);
    channel_frame_init(&frame);
    assert_int_equal(buf_reserve(&frame.payload, 1), STATUS_OK);
    assert_int_equal(memory_file_of("sealed", SLICE_LITERAL("payload"), &sealed, NULL), STATUS_OK);
    assert_int_equal(memory_file_create("open", &open_file, NULL), STATUS_OK);
    assert_int_equal(ftruncate(open_file, 1 << 20), 0);
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = sealed;
    before = open_descriptors();

    const struct {
        const void *bytes;
        size_t len;
        const int *fds;
        size_t fd_count;
        enum status status;
    } table[] = {
        {"\x00", 1, &sealed, 1, STATUS_OK},              /* an empty payload with a descriptor is a frame */
        {"\x02", 1, &sealed, 1, STATUS_MALFORMED},       /* no such kind */
        {"\x01", 1, NULL, 0, STATUS_MALFORMED},          /* a payload file that is not there */
        {"\x01x", 2, &sealed, 1, STATUS_MALFORMED},      /* a payload twice */
        {"\x01", 1, &open_file, 1, STATUS_MALFORMED},    /* it could be cut short while it is mapped */
        {"\x01", 1, &pipe_ends[0], 1, STATUS_MALFORMED}, /* no memory file */
        {"\x00", 1, many, 201, STATUS_MALFORMED},        /* one more than a frame has */
        {"\x00", 1, many, 240, STATUS_MALFORMED},        /* more than there is room for */
        {too_long, sizeof(too_long), &sealed, 1, STATUS_MALFORMED},
        {"", 0, &sealed, 1, STATUS_CLOSED}, /* an empty packet looks like the end */
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        send_raw(pair[0], table[i].bytes, table[i].len, table[i].fds, table[i].fd_count);
        if (channel_receive(pair[1], &frame) != table[i].status)
            fail_msg("row %zu", i);
        if (table[i].status == STATUS_OK) {
            assert_int_equal(frame.fd_count, 1);
            (void)close(frame.fds[0]);
            frame.fds[0] = -1; /* kept by the caller: not closed again */
        }
        if (open_descriptors() != before)
            fail_msg("row %zu left descriptors open", i);
    }
    channel_frame_release(&frame);
    (void)close(sealed);
    (void)close(open_file);
    close_pair(pipe_ends);
    close_pair(pair);
}

static void a_full_or_closed_socket_is_told(void **state)
{
    uint8_t block[CHANNEL_INLINE_MAX];
    struct channel_frame frame;
    int pair[2];
    enum status status = STATUS_OK;

    (void)state;
    memset(block, 0, sizeof(block));
    make_pair(pair);
    channel_frame_init(&frame);
    for (unsigned i = 0; i < 1000 && status == STATUS_OK; i++)
        status = channel_send(pair[0], slice_of(block, sizeof(block)), NULL, 0);
    assert_int_equal(status, STATUS_BUSY);
    assert_int_equal(channel_wait_writable(pair[0], 10), STATUS_TIMEOUT);
    while (channel_receive(pair[1], &frame) == STATUS_OK)
        assert_int_equal(frame.payload.len, sizeof(block));
    assert_int_equal(channel_wait_writable(pair[0], 10), STATUS_OK);
    (void)close(pair[1]);
    assert_int_equal(channel_send(pair[0], SLICE_LITERAL("x"), NULL, 0), STATUS_CLOSED);
    assert_int_equal(channel_receive(pair[0], &frame), STATUS_CLOSED);
    channel_frame_release(&frame);
    (void)close(pair[0]);
}

static void listening_replaces_a_dead_socket(void **state)
{
    char folder[] = "/tmp/sealpost-channel-XXXXXX";
    char path[64], too_long[200];
    struct failure f = {0};
    struct channel_frame frame;
    struct stat info;
    int listener, again, client, server;
    unsigned uid = 12345;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_true(snprintf(path, sizeof(path), "%s/sock", folder) > 0);
    assert_int_equal(channel_connect(path, &client, &f), STATUS_UNAVAILABLE);
    assert_int_equal(channel_listen(path, &listener, &f), STATUS_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
    (void)close(listener);
    assert_int_equal(channel_connect(path, &client, &f), STATUS_UNAVAILABLE); /* dead */
    assert_int_equal(f.status, STATUS_UNAVAILABLE);
    assert_int_equal(channel_listen(path, &again, &f), STATUS_OK);
    assert_int_equal(channel_accept(again, &server), STATUS_BUSY);
    assert_int_equal(channel_connect(path, &client, &f), STATUS_OK);
    assert_int_equal(channel_accept(again, &server), STATUS_OK);
    assert_int_equal(channel_peer_uid(server, &uid), STATUS_OK);
    assert_int_equal(uid, getuid());
    channel_frame_init(&frame);
    assert_int_equal(channel_send(client, SLICE_LITERAL("hello"), NULL, 0), STATUS_OK);
    assert_int_equal(channel_receive(server, &frame), STATUS_OK);
    assert_true(slice_equal(buf_slice(&frame.payload), SLICE_LITERAL("hello")));
    channel_frame_release(&frame);
    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    assert_int_equal(channel_listen(too_long, &listener, &f), STATUS_INVALID);
    (void)close(client);
    (void)close(server);
    (void)close(again);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void only_sealed_memory_is_mapped(void **state)
{
    struct mapping mapping;
    int fd;

    (void)state;
    assert_int_equal(memory_file_create("test", &fd, NULL), STATUS_OK);
    assert_int_equal(write(fd, "content", 7), 7);
    assert_int_equal(mapping_open(fd, 100, &mapping), STATUS_INVALID);
    assert_int_equal(memory_file_seal(fd), STATUS_OK);
    assert_int_equal(mapping_open(fd, 6, &mapping), STATUS_TOO_LARGE);
    assert_int_equal(mapping_open(fd, 7, &mapping), STATUS_OK);
    assert_true(slice_equal(mapping_slice(&mapping), SLICE_LITERAL("content")));
    mapping_close(&mapping);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(write(fd, "x", 1), -1);
    (void)close(fd);
    assert_int_equal(memory_file_of("empty", (struct slice){0}, &fd, NULL), STATUS_OK);
    assert_int_equal(mapping_open(fd, 0, &mapping), STATUS_OK);
    assert_int_equal(mapping_slice(&mapping).len, 0);
    mapping_close(&mapping);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_every_size_arrive_whole),
        cmocka_unit_test(descriptors_travel_in_order),
        cmocka_unit_test(hostile_packets_cost_no_descriptor),
        cmocka_unit_test(a_full_or_closed_socket_is_told),
        cmocka_unit_test(listening_replaces_a_dead_socket),
        cmocka_unit_test(only_sealed_memory_is_mapped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
