/* Growing a buffer up to its maximum; by doubling, so that appending costs amortised constant time. Any
 * thread. */
#include "base/buf.h"

#include "base/secret.h"

#define BUF_FIRST_SIZE 256

static void drop(struct buf *b, uint8_t *data, size_t cap)
{
    if (b->wipe && data != NULL)
        secret_wipe(data, cap);
    free(data);
}

void buf_release(struct buf *b)
{
    drop(b, b->data, b->cap);
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
}

void buf_reset(struct buf *b)
{
    if (b->wipe && b->data != NULL)
        secret_wipe(b->data, b->cap);
    b->len = 0;
}

/* There is not enough room: more, within the maximum. */
static enum status grow(struct buf *b, size_t more)
{
    size_t need;
    size_t cap = b->cap < BUF_FIRST_SIZE ? BUF_FIRST_SIZE : b->cap;
    uint8_t *data;

    if (__builtin_add_overflow(b->len, more, &need) || need > b->max)
        return STATUS_TOO_LARGE;
    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (!b->wipe) {
        data = realloc(b->data, cap);
        if (data == NULL)
            return STATUS_NO_MEMORY;
    } else {
        data = malloc(cap); /* realloc would leave a copy behind */
        if (data == NULL)
            return STATUS_NO_MEMORY;
        if (b->len > 0)
            memcpy(data, b->data, b->len);
        drop(b, b->data, b->cap);
    }
    b->data = data;
    b->cap = cap;
    return STATUS_OK;
}

/* The maximum is asked as well: memory may be larger than it (BUF_FIRST_SIZE). */
static inline bool has_room(const struct buf *b, size_t more)
{
    return more <= b->cap - b->len && more <= b->max - b->len;
}

enum status buf_reserve(struct buf *b, size_t more)
{
    return b->len <= b->max && has_room(b, more) ? STATUS_OK : grow(b, more);
}

static inline enum status append(struct buf *b, const void *data, size_t len)
{
    enum status status = buf_reserve(b, len);

    if (status != STATUS_OK || len == 0)
        return status;
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return STATUS_OK;
}

enum status buf_append(struct buf *b, const void *data, size_t len)
{
    return append(b, data, len);
}

enum status buf_append_slice(struct buf *b, struct slice s)
{
    return append(b, s.data, s.len);
}

enum status buf_append_text(struct buf *b, const char *text)
{
    return append(b, text, strlen(text));
}

enum status buf_append_byte(struct buf *b, uint8_t byte)
{
    return append(b, &byte, 1);
}

enum status buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    int len;
    enum status status;

    va_copy(again, args);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above starts it */
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0)
        return STATUS_INVALID;
    if (b->len + (size_t)len > b->max)
        return STATUS_TOO_LARGE;
    /* vsnprintf writes a NUL, for which the maximum need not have room. */
    char *text = malloc((size_t)len + 1);
    if (text == NULL)
        return STATUS_NO_MEMORY;
    len = vsnprintf(text, (size_t)len + 1, format, args);
    status = len < 0 ? STATUS_INVALID : buf_append(b, text, (size_t)len);
    if (b->wipe && len >= 0)
        secret_wipe(text, (size_t)len);
    free(text);
    return status;
}

enum status buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    enum status status;

    va_start(args, format);
    status = buf_vprintf(b, format, args);
    va_end(args);
    return status;
}

const char *buf_text(struct buf *b)
{
    if (buf_append_byte(b, 0) != STATUS_OK)
        return NULL;
    b->len--;
    return (const char *)b->data;
}

struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->data, b->len);
}

void buf_consume(struct buf *b, size_t n)
{
    if (n > b->len)
        n = b->len;
    b->len -= n;
    if (n > 0 && b->len > 0)
        memmove(b->data, b->data + n, b->len);
}
