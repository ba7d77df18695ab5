/* The replies of the server as text. Pure. */
#include "smtp/reply.h"

#include "base/slice.h"

struct reply_row {
    int code;
    const char *enhanced;
    const char *text;
};

static const struct reply_row rows[REPLY_COUNT] = {
#define X(name, number, dotted, words)                                                                       \
    [REPLY_##name] = {.code = (number), .enhanced = (dotted), .text = (words)},
    SMTP_REPLY_TABLE(X)
#undef X
};

int reply_code(enum smtp_reply reply)
{
    return rows[reply].code;
}

const char *reply_enhanced(enum smtp_reply reply)
{
    return rows[reply].enhanced;
}

const char *reply_text(enum smtp_reply reply)
{
    return rows[reply].text;
}

enum status reply_append_line(struct buf *out, int code, const char *enhanced, struct slice text, bool last)
{
    char line[REPLY_LINE_MAX + 1];
    int prefix = snprintf(line, sizeof line, "%03d%c%s%s", code, last ? ' ' : '-', enhanced,
                          enhanced[0] != '\0' && text.len > 0 ? " " : "");
    if (prefix < 0 || (size_t)prefix > REPLY_LINE_MAX - 2) {
        return STATUS_INTERNAL;
    }
    size_t len = (size_t)prefix;
    for (size_t i = 0; i < text.len && len < REPLY_LINE_MAX - 2; i++) {
        uint8_t c = text.data[i];
        line[len++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    line[len++] = '\r';
    line[len++] = '\n';
    return buf_append(out, line, len);
}

enum status reply_append(struct buf *out, enum smtp_reply reply)
{
    return reply_append_line(out, rows[reply].code, rows[reply].enhanced, slice_of_text(rows[reply].text),
                             true);
}
