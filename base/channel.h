/*
 * Frames between roles of one node, over Unix sockets of type SOCK_SEQPACKET: one packet is one frame, with
 * the file descriptors that go with it. A body travels as a descriptor, never as bytes in a frame.
 *
 * On the wire:  byte 0: kind (0 = payload inline, 1 = payload in a memfd, which is then the first descriptor)
 *               bytes 1..: the payload if inline (at most CHANNEL_INLINE_MAX)
 * The payload is MessagePack of the protocol in question (raft/core_protocol.h, mail/job.h,
 * smtp/queue_protocol.h). Payloads are at most CHANNEL_PAYLOAD_MAX bytes, descriptors at most
 * CHANNEL_FDS_MAX.
 *
 * All sockets are non-blocking; a frame is sent whole or not at all. The functions do no waiting: the
 * caller's loop (libuv, h2o, poll) does. channel_wait_* are for programs that have no loop.
 */
#ifndef SEALPOST_BASE_CHANNEL_H
#define SEALPOST_BASE_CHANNEL_H

#include "base/buf.h"

#define CHANNEL_INLINE_MAX  ((size_t)32 << 10)
#define CHANNEL_PAYLOAD_MAX ((size_t)64 << 20)
#define CHANNEL_FDS_MAX     200

struct channel_frame {
    struct buf payload;       /* owned */
    int fds[CHANNEL_FDS_MAX]; /* owned: set to -1 what you keep */
    size_t fd_count;
};

void channel_frame_init(struct channel_frame *frame);
void channel_frame_release(struct channel_frame *frame); /* closes what is left, frees */

/* A listening socket at `path` (relative to the working directory; at most 107 bytes), mode 0660. Replaces a
 * dead one. */
enum status channel_listen(const char *path, int *fd, struct failure *f) MUST_CHECK;
enum status channel_accept(int listener, int *fd) MUST_CHECK; /* BUSY when there is none waiting */
enum status channel_connect(const char *path, int *fd,
                            struct failure *f) MUST_CHECK; /* UNAVAILABLE if nobody listens */
/* BUSY: the socket is full, wait until it is writable and send again. CLOSED: the peer is gone. Descriptors
 * stay the caller's. */
enum status channel_send(int fd, struct slice payload, const int *fds, size_t fd_count) MUST_CHECK;
/* BUSY: nothing there. CLOSED: end. MALFORMED: not a frame; close the socket. Replaces what `frame` holds
 * (and releases it first). */
enum status channel_receive(int fd, struct channel_frame *frame) MUST_CHECK;
/* Wait at most timeout_ms; TIMEOUT. */
enum status channel_wait_readable(int fd, int timeout_ms) MUST_CHECK;
enum status channel_wait_writable(int fd, int timeout_ms) MUST_CHECK;
/* User id of the process at the other end (SO_PEERCRED). */
enum status channel_peer_uid(int fd, unsigned *uid) MUST_CHECK;

/* A memfd with close-on-exec, named for debugging. `seal` forbids any further change of it. */
enum status memory_file_create(const char *name, int *fd, struct failure *f) MUST_CHECK;
enum status memory_file_of(const char *name, struct slice content, int *fd,
                           struct failure *f) MUST_CHECK; /* sealed */
enum status memory_file_seal(int fd) MUST_CHECK;
/* Map a whole descriptor read-only; TOO_LARGE beyond max, INVALID if it is not sealed against shrinking. */
struct mapping {
    void *address; /* NULL when empty */
    size_t len;
};
enum status mapping_open(int fd, size_t max, struct mapping *m) MUST_CHECK;
void mapping_close(struct mapping *m);
struct slice mapping_slice(const struct mapping *m);

#endif
