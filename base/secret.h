/*
 * Secrets: keys, passwords, tokens. Their memory is locked (mlock), left out of core dumps (MADV_DONTDUMP)
 * and wiped when released. A secret never goes into a log, a failure text, an argument list or a temporary
 * file.
 */
#ifndef SEALPOST_BASE_SECRET_H
#define SEALPOST_BASE_SECRET_H

#include "base/slice.h"
#include "base/status.h"

struct secret {
    uint8_t *data; /* owned, in pages of its own */
    size_t len;    /* bytes in use */
    size_t mapped; /* bytes mapped */
};

#define SECRET_MAX ((size_t)16 << 20) /* bytes */

enum status secret_alloc(struct secret *s, size_t len) MUST_CHECK; /* zeroed; `s` need not be initialised */
enum status secret_copy(struct secret *s, struct slice from) MUST_CHECK;
void secret_release(struct secret *s); /* wipes; a zeroed struct is fine; leaves it zeroed */
struct slice secret_slice(const struct secret *s);
void secret_wipe(void *data, size_t len);          /* that no compiler removes */
bool secret_equal(struct slice a, struct slice b); /* in constant time for equal lengths */

#endif
