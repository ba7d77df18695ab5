/* See mail/printable.h. Pure; any thread. */
#include "mail/printable.h"

enum status printable_line_append(struct buf *out, struct slice s, size_t max)
{
    enum status status = STATUS_OK;
    bool blank = false;
    for (size_t i = 0; i < s.len && i < max && status == STATUS_OK; i++) {
        uint8_t c = s.data[i];
        bool space = c == '\r' || c == '\n' || c == '\t' || c == ' ';
        if (space && blank) {
            continue;
        }
        blank = space;
        status = buf_append_byte(out, space ? ' ' : c < 0x21 || c > 0x7e ? '?' : c);
    }
    return status;
}
