/* See durable_file.h. Blocking: for start, init and join, and for the core's rare notes; never for the way of
 * a message. */
#include "node/durable_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status write_all(int fd, struct slice content)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return STATUS_IO;
        }
        content = slice_of(content.data + n, content.len - (size_t)n);
    }
    return fsync(fd) == 0 ? STATUS_OK : STATUS_IO;
}

enum status durable_file_create(const char *path, mode_t mode, struct slice content, struct failure *f)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0 && errno == EEXIST) {
        return failure_set(f, STATUS_EXISTS, "%s exists already", path);
    }
    if (fd < 0) {
        return failure_errno(f, errno, "cannot make %s", path);
    }
    /* The umask has no say: who may read is decided here. */
    if (fchmod(fd, mode) != 0 || write_all(fd, content) != STATUS_OK) {
        enum status status = failure_errno(f, errno, "cannot write %s", path);
        close(fd);
        unlink(path);
        return status;
    }
    close(fd);
    return STATUS_OK;
}

enum status durable_file_replace(const char *path, mode_t mode, struct slice content, struct failure *f)
{
    char beside[4200];
    int n = snprintf(beside, sizeof(beside), "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof(beside)) {
        return failure_set(f, STATUS_TOO_LARGE, "the path is too long");
    }
    unlink(beside);
    enum status status = durable_file_create(beside, mode, content, f);
    if (status == STATUS_OK && rename(beside, path) != 0) {
        status = failure_errno(f, errno, "cannot rename %s", beside);
        unlink(beside);
    }
    return status;
}

enum status durable_file_read(const char *path, struct buf *out, struct failure *f)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum status status = STATUS_OK;
    if (fd < 0 && errno == ENOENT) {
        return failure_set(f, STATUS_NOT_FOUND, "there is no %s", path);
    }
    if (fd < 0) {
        return failure_errno(f, errno, "cannot open %s", path);
    }
    for (;;) {
        uint8_t piece[4096];
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            status = failure_errno(f, errno, "cannot read %s", path);
        } else if (n > 0) {
            status = buf_append(out, piece, (size_t)n);
            if (status != STATUS_OK) {
                status = failure_set(f, status, "%s is longer than %zu bytes", path, out->max);
            }
        }
        if (n <= 0 || status != STATUS_OK) {
            break;
        }
    }
    close(fd);
    return status;
}

enum status durable_folder_sync(const char *path, struct failure *f)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        enum status status = failure_errno(f, errno, "cannot sync the folder %s", path);
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    close(fd);
    return STATUS_OK;
}
