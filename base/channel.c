/*
 * Packets with descriptors between roles. Nothing here waits but channel_wait_*; the callers' loops do. The
 * peer is another role of this node, which may have been taken over by hostile mail: every frame is checked,
 * and descriptors that nobody asked for are closed. Any thread; one thread a socket at a time.
 */
#include "base/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum frame_kind { FRAME_INLINE = 0, FRAME_IN_MEMORY_FILE = 1 };

#define SOCKET_BUFFER    (256 << 10)         /* bytes: several packets of the largest size */
#define PAYLOAD_KEPT_MAX ((size_t)256 << 10) /* bytes: the memory of larger payloads is not kept */

void channel_frame_init(struct channel_frame *frame)
{
    frame->payload = BUF_INIT(CHANNEL_PAYLOAD_MAX);
    frame->fd_count = 0;
}

static void close_fds(struct channel_frame *frame)
{
    for (size_t i = 0; i < frame->fd_count; i++)
        if (frame->fds[i] >= 0)
            (void)close(frame->fds[i]);
    frame->fd_count = 0;
}

void channel_frame_release(struct channel_frame *frame)
{
    close_fds(frame);
    buf_release(&frame->payload);
}

static enum status address_of(const char *path, struct sockaddr_un *address, struct failure *f)
{
    size_t len = strlen(path);

    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (len >= sizeof(address->sun_path))
        return failure_set(f, STATUS_INVALID, "the socket path %s is longer than %zu bytes", path,
                           sizeof(address->sun_path) - 1);
    memcpy(address->sun_path, path, len);
    return STATUS_OK;
}

static void size_buffers(int fd)
{
    int size = SOCKET_BUFFER;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

enum status channel_listen(const char *path, int *fd, struct failure *f)
{
    struct sockaddr_un address;
    enum status status = address_of(path, &address, f);
    int made;

    if (status != STATUS_OK)
        return status;
    made = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return failure_errno(f, errno, "cannot make a socket");
    size_buffers(made);
    if (unlink(path) != 0 && errno != ENOENT) {
        status = failure_errno(f, errno, "cannot replace the socket %s", path);
        goto err_after_socket;
    }
    if (bind(made, (struct sockaddr *)&address, sizeof(address)) != 0 || chmod(path, 0660) != 0 ||
        listen(made, 128) != 0) {
        status = failure_errno(f, errno, "cannot listen on %s", path);
        goto err_after_socket;
    }
    *fd = made;
    return STATUS_OK;

err_after_socket:
    (void)close(made);
    return status;
}

enum status channel_accept(int listener, int *fd)
{
    int made = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (made < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ECONNABORTED)
            return STATUS_BUSY;
        return STATUS_IO;
    }
    size_buffers(made);
    *fd = made;
    return STATUS_OK;
}

enum status channel_connect(const char *path, int *fd, struct failure *f)
{
    struct sockaddr_un address;
    enum status status = address_of(path, &address, f);
    int made;

    if (status != STATUS_OK)
        return status;
    made = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return failure_errno(f, errno, "cannot make a socket");
    size_buffers(made);
    if (connect(made, (struct sockaddr *)&address, sizeof(address)) != 0) {
        int reason = errno;

        status = failure_errno(f, reason, "cannot connect to %s", path);
        if (reason == ENOENT || reason == ECONNREFUSED || reason == EAGAIN)
            status = STATUS_UNAVAILABLE;
        if (f != NULL)
            f->status = status;
        (void)close(made);
        return status;
    }
    *fd = made;
    return STATUS_OK;
}

static enum status send_packet(int fd, uint8_t kind, struct slice payload, const int *fds, size_t fd_count)
{
    struct iovec parts[2] = {{.iov_base = &kind, .iov_len = 1},
                             {.iov_base = (void *)(uintptr_t)payload.data, .iov_len = payload.len}};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * (CHANNEL_FDS_MAX + 1))];
    } control;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = payload.len > 0 ? 2 : 1};
    ssize_t sent;

    if (fd_count > 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
    }
    do {
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return STATUS_OK;
    switch (errno) {
    case EAGAIN:
    case ENOBUFS:
    case ETOOMANYREFS:
        return STATUS_BUSY;
    case EMSGSIZE:
        return STATUS_TOO_LARGE;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return STATUS_CLOSED;
    default:
        return STATUS_IO;
    }
}

enum status channel_send(int fd, struct slice payload, const int *fds, size_t fd_count)
{
    int all[CHANNEL_FDS_MAX + 1];
    enum status status;

    if (fd_count > CHANNEL_FDS_MAX || payload.len > CHANNEL_PAYLOAD_MAX)
        return STATUS_TOO_LARGE;
    if (payload.len <= CHANNEL_INLINE_MAX)
        return send_packet(fd, FRAME_INLINE, payload, fds, fd_count);
    status = memory_file_of("frame", payload, &all[0], NULL);
    if (status != STATUS_OK)
        return status;
    if (fd_count > 0)
        memcpy(all + 1, fds, sizeof(int) * fd_count);
    status = send_packet(fd, FRAME_IN_MEMORY_FILE, (struct slice){0}, all, fd_count + 1);
    (void)close(all[0]);
    return status;
}

/* Takes all descriptors of the packet; false if there were more than a frame may have. */
static bool take_fds(struct msghdr *message, struct channel_frame *frame, int *first, bool payload_first)
{
    bool fits = true;

    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = CMSG_NXTHDR(message, h)) {
        size_t count;

        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
            if (payload_first && *first < 0) {
                *first = fd;
            } else if (frame->fd_count < CHANNEL_FDS_MAX) {
                frame->fds[frame->fd_count++] = fd;
            } else {
                (void)close(fd);
                fits = false;
            }
        }
    }
    return fits;
}

static enum status read_payload_file(int fd, struct buf *payload)
{
    struct mapping mapping;
    enum status status = mapping_open(fd, CHANNEL_PAYLOAD_MAX, &mapping);

    if (status != STATUS_OK)
        return status;
    status = buf_append_slice(payload, mapping_slice(&mapping));
    mapping_close(&mapping);
    return status;
}

enum status channel_receive(int fd, struct channel_frame *frame)
{
    uint8_t kind = 0;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * (CHANNEL_FDS_MAX + 1))];
    } control;
    struct iovec parts[2];
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got;
    int payload_fd = -1;
    enum status status;

    close_fds(frame);
    if (frame->payload.cap > PAYLOAD_KEPT_MAX)
        buf_release(&frame->payload);
    buf_reset(&frame->payload);
    status = buf_reserve(&frame->payload, CHANNEL_INLINE_MAX);
    if (status != STATUS_OK)
        return status;
    parts[0] = (struct iovec){.iov_base = &kind, .iov_len = 1};
    parts[1] = (struct iovec){.iov_base = frame->payload.data, .iov_len = CHANNEL_INLINE_MAX};
    do {
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? STATUS_BUSY : STATUS_CLOSED;
    if (!take_fds(&message, frame, &payload_fd, kind == FRAME_IN_MEMORY_FILE))
        status = STATUS_MALFORMED;
    else if (got == 0)
        status =
            STATUS_CLOSED; /* or an empty packet, which no peer of ours sends; its descriptors are closed */
    else if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || kind > FRAME_IN_MEMORY_FILE)
        status = STATUS_MALFORMED;
    else if (kind == FRAME_INLINE)
        frame->payload.len = (size_t)got - 1;
    else if (payload_fd < 0 || got != 1)
        status = STATUS_MALFORMED;
    else
        status = read_payload_file(payload_fd, &frame->payload);
    if (payload_fd >= 0)
        (void)close(payload_fd);
    if (status != STATUS_OK) {
        close_fds(frame);
        frame->payload.len = 0;
    }
    return status == STATUS_OK || status == STATUS_CLOSED || status == STATUS_NO_MEMORY ? status
                                                                                        : STATUS_MALFORMED;
}

static enum status wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int ready;

    do {
        ready = poll(&p, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return STATUS_IO;
    return ready == 0 ? STATUS_TIMEOUT : STATUS_OK;
}

enum status channel_wait_readable(int fd, int timeout_ms)
{
    return wait_for(fd, POLLIN, timeout_ms);
}

enum status channel_wait_writable(int fd, int timeout_ms)
{
    return wait_for(fd, POLLOUT, timeout_ms);
}

enum status channel_peer_uid(int fd, unsigned *uid)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return STATUS_IO;
    *uid = peer.uid;
    return STATUS_OK;
}
