/*
 * A growable byte buffer with a named maximum. Appending beyond the maximum, or when memory is short, fails
 * and leaves the buffer as it was. A zeroed struct with `max` set is a valid empty buffer. `wipe` makes the
 * buffer clear its memory whenever it moves or is released: for secrets that must be built.
 */
#ifndef SEALPOST_BASE_BUF_H
#define SEALPOST_BASE_BUF_H

#include "base/slice.h"
#include "base/status.h"

#include <stdarg.h>

struct buf {
    uint8_t *data; /* owned; not NUL-terminated unless buf_text() was called */
    size_t len;    /* bytes in use */
    size_t cap;    /* bytes allocated */
    size_t max;    /* the most that len may become */
    bool wipe;
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

void buf_release(struct buf *b); /* frees; the maximum and wipe flag stay */
void buf_reset(struct buf *b);   /* len = 0, memory kept (and wiped if asked) */
enum status buf_reserve(struct buf *b, size_t more) MUST_CHECK; /* room for `more` bytes beyond len */
enum status buf_append(struct buf *b, const void *data, size_t len) MUST_CHECK;
enum status buf_append_slice(struct buf *b, struct slice s) MUST_CHECK;
enum status buf_append_text(struct buf *b, const char *text) MUST_CHECK;
enum status buf_append_byte(struct buf *b, uint8_t byte) MUST_CHECK;
enum status buf_printf(struct buf *b, const char *format, ...) MUST_CHECK
    __attribute__((format(printf, 2, 3)));
enum status buf_vprintf(struct buf *b, const char *format, va_list args) MUST_CHECK
    __attribute__((format(printf, 2, 0)));
/* NUL-terminates (the NUL is not counted in len) and returns the text, or NULL when there is no room. */
const char *buf_text(struct buf *b);
struct slice buf_slice(const struct buf *b);
/* Drop the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

#endif
