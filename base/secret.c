/*
 * Secrets live in anonymous pages of their own: locked where the limit allows (a failure to lock is not
 * fatal: swap is the host's choice), left out of core dumps and of forks, wiped before they go back to the
 * kernel. Any thread.
 */
#include "base/secret.h"

#include <sys/mman.h>
#include <unistd.h>

enum status secret_alloc(struct secret *s, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped;
    void *memory;

    *s = (struct secret){0};
    if (len > SECRET_MAX)
        return STATUS_TOO_LARGE;
    mapped = (len + page) / page * page; /* at least one byte more: there is always a NUL behind */
    memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return STATUS_NO_MEMORY;
    (void)mlock(memory, mapped);
    (void)madvise(memory, mapped, MADV_DONTDUMP);
    (void)madvise(memory, mapped, MADV_WIPEONFORK);
    s->data = memory;
    s->len = len;
    s->mapped = mapped;
    return STATUS_OK;
}

enum status secret_copy(struct secret *s, struct slice from)
{
    enum status status = secret_alloc(s, from.len);

    if (status == STATUS_OK && from.len > 0)
        memcpy(s->data, from.data, from.len);
    return status;
}

void secret_release(struct secret *s)
{
    if (s->data != NULL) {
        secret_wipe(s->data, s->mapped);
        (void)munmap(s->data, s->mapped);
    }
    *s = (struct secret){0};
}

struct slice secret_slice(const struct secret *s)
{
    return slice_of(s->data, s->len);
}

void secret_wipe(void *data, size_t len)
{
    explicit_bzero(data, len);
}

bool secret_equal(struct slice a, struct slice b)
{
    uint8_t difference = 0;

    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        difference = (uint8_t)(difference | (a.data[i] ^ b.data[i]));
    return difference == 0;
}
