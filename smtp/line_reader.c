/* Lines with strict ends (smtp/line_reader.h). */
#include "smtp/line_reader.h"

enum line_result line_read(struct slice in, size_t max, struct slice *line, size_t *used)
{
    *used = 0;
    if (in.len == 0) {
        return LINE_MORE;
    }
    size_t newline = slice_find_byte(in, '\n');
    size_t end = newline; /* where CR should stand */
    if (newline < in.len) {
        if (newline == 0 || in.data[newline - 1] != '\r') {
            return LINE_BAD;
        }
        end = newline - 1;
    } else if (in.data[in.len - 1] == '\r') {
        end = in.len - 1; /* the LF may still come */
    }
    struct slice text = slice_of(in.data, end);
    if (slice_find_byte(text, '\r') < text.len || slice_find_byte(text, '\0') < text.len) {
        return LINE_BAD;
    }
    if (newline == in.len) {
        if (in.len < max) {
            return LINE_MORE;
        }
        *used = end; /* a final CR stays: its LF decides */
        return end > 0 ? LINE_TOO_LONG : LINE_MORE;
    }
    *used = newline + 1;
    *line = text;
    return newline + 1 > max ? LINE_TOO_LONG : LINE_OK;
}
