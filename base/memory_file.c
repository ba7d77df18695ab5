/*
 * Memory files: how bodies travel between roles without touching a disk. The receiver maps only what is
 * sealed against shrinking, since a mapping of a file that another process cuts short would raise SIGBUS. Any
 * thread.
 */
#include "base/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

enum status memory_file_create(const char *name, int *fd, struct failure *f)
{
    int made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (made < 0)
        return failure_errno(f, errno, "cannot make a memory file");
    *fd = made;
    return STATUS_OK;
}

enum status memory_file_of(const char *name, struct slice content, int *fd, struct failure *f)
{
    int made = -1;
    enum status status = memory_file_create(name, &made, f);

    while (status == STATUS_OK && content.len > 0) {
        ssize_t written = write(made, content.data, content.len);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            status = failure_errno(f, errno, "cannot fill a memory file");
            break;
        }
        content.data += written;
        content.len -= (size_t)written;
    }
    /* The offset travels with the descriptor: who reads instead of mapping begins at the first byte. */
    if (status == STATUS_OK && lseek(made, 0, SEEK_SET) != 0)
        status = failure_errno(f, errno, "cannot rewind a memory file");
    if (status == STATUS_OK)
        status = memory_file_seal(made);
    if (status != STATUS_OK && made >= 0)
        (void)close(made);
    if (status == STATUS_OK)
        *fd = made;
    return status;
}

enum status memory_file_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, SEALS) == 0 ? STATUS_OK : STATUS_IO;
}

enum status mapping_open(int fd, size_t max, struct mapping *m)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat info;
    void *address;

    *m = (struct mapping){0};
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || (seals & F_SEAL_WRITE) == 0)
        return STATUS_INVALID;
    if (fstat(fd, &info) != 0)
        return STATUS_IO;
    if (info.st_size < 0 || (uint64_t)info.st_size > max)
        return STATUS_TOO_LARGE;
    if (info.st_size == 0)
        return STATUS_OK;
    address = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (address == MAP_FAILED)
        return STATUS_NO_MEMORY;
    m->address = address;
    m->len = (size_t)info.st_size;
    return STATUS_OK;
}

void mapping_close(struct mapping *m)
{
    if (m->address != NULL)
        (void)munmap(m->address, m->len);
    *m = (struct mapping){0};
}

struct slice mapping_slice(const struct mapping *m)
{
    return slice_of(m->address, m->len);
}
