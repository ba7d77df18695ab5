/* Dot-stuffing of what goes out (smtp/dot_stuffing.h). Messages hold CRLF only, so a line starts after LF. */
#include "smtp/dot_stuffing.h"

void dot_stuffing_init(struct dot_stuffing *d)
{
    d->last[0] = '\r';
    d->last[1] = '\n';
}

enum status dot_stuff(struct dot_stuffing *d, struct slice in, struct buf *out)
{
    if (in.len == 0) {
        return STATUS_OK;
    }
    size_t from = 0; /* what has been appended of `in` */
    size_t at = 0;
    bool line_start = d->last[1] == '\n';
    while (at < in.len) {
        if (line_start && in.data[at] == '.') {
            enum status status = buf_append(out, in.data + from, at - from);
            if (status == STATUS_OK) {
                status = buf_append_byte(out, '.');
            }
            if (status != STATUS_OK) {
                return status;
            }
            from = at;
        }
        const uint8_t *newline = memchr(in.data + at, '\n', in.len - at);
        if (newline == NULL) {
            break;
        }
        at = (size_t)(newline - in.data) + 1;
        line_start = true;
    }
    if (in.len >= 2) {
        memcpy(d->last, in.data + in.len - 2, 2);
    } else {
        d->last[0] = d->last[1];
        d->last[1] = in.data[0];
    }
    return buf_append(out, in.data + from, in.len - from);
}

enum status dot_stuff_end(struct dot_stuffing *d, struct buf *out)
{
    bool ended = d->last[0] == '\r' && d->last[1] == '\n';
    return buf_append_text(out, ended ? ".\r\n" : "\r\n.\r\n");
}
