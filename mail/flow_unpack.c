/*
 * Compressed content (RFC 3274, RFC 8551 section 3.6), inside or outside of what is encrypted and signed.
 *
 * When all goes well, what is compressed is replaced by what is in it, again and again, to a small depth.
 * What is no zlib, is broken, or would become larger than a variant may be (a bomb) stays as it is: it is
 * delivered compressed, and nothing is lost. Pure; one thread. What comes out is wiped when it is released.
 */
#include "mail/flow_internal.h"

#define LAYERS_MAX 3

enum status unpack(struct flow *fl, struct entity *e, struct shape *shape, struct buf *bytes,
                   struct failure *f)
{
    enum status status = STATUS_OK;
    for (int layer = 0; layer < LAYERS_MAX && shape->kind == SHAPE_SMIME_COMPRESSED; layer++) {
        struct buf out = {.max = fl->content_max / 2, .wipe = true}; /* half: line ends and 7bit need room */
        struct entity inner;
        struct shape inner_shape = {.kind = SHAPE_PLAIN};
        status = smime_decompress(buf_slice(&shape->cms), &out, f);
        if (status == STATUS_OK) {
            status = entity_read(buf_slice(&out), fl->arena, &inner, f);
        }
        if (status == STATUS_OK) {
            status = shape_of(&inner, fl->arena, &inner_shape, f);
        }
        if (status != STATUS_OK) {
            shape_release(&inner_shape);
            buf_release(&out);
            return status == STATUS_NO_MEMORY ? status : STATUS_OK;
        }
        shape_release(shape);
        buf_release(bytes);
        *shape = inner_shape;
        *bytes = out;
        *e = inner;
    }
    return STATUS_OK;
}
