/* See der.h. Pure; any thread. */
#include "crypto/der.h"

enum status der_put_head(struct buf *out, uint8_t tag, size_t len)
{
    uint8_t head[2 + sizeof(size_t)];
    size_t octets = 0, n = 0;

    head[n++] = tag;
    if (len < 0x80) {
        head[n++] = (uint8_t)len;
        return buf_append(out, head, n);
    }
    while (octets < sizeof(size_t) && len >> (8 * octets) != 0)
        octets++;
    head[n++] = (uint8_t)(0x80 | octets);
    while (octets > 0)
        head[n++] = (uint8_t)(len >> (8 * --octets));
    return buf_append(out, head, n);
}

enum status der_put(struct buf *out, uint8_t tag, struct slice content)
{
    enum status status = der_put_head(out, tag, content.len);

    return status == STATUS_OK ? buf_append_slice(out, content) : status;
}
