/*
 * Tokens, comments and lines of MIME text. All of it walks forward over borrowed bytes in a loop, never by
 * recursion: a comment nested a million times costs a counter, not the stack. Pure; any thread.
 */
#include "mail/mime_text.h"

static void advance(struct slice *at, size_t n)
{
    at->data += n;
    at->len -= n;
}

void mime_skip_blank(struct slice *at)
{
    size_t depth = 0;
    while (at->len > 0) {
        uint8_t c = at->data[0];
        if (c == '\\' && depth > 0) {
            advance(at, at->len > 1 ? 2 : 1);
            continue;
        }
        if (c == '(') {
            depth++;
        } else if (c == ')' && depth > 0) {
            depth--;
        } else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
            return;
        }
        advance(at, 1);
    }
}

static bool is_token_byte(uint8_t c)
{
    return c > 0x20 && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

struct slice mime_token(struct slice *at)
{
    mime_skip_blank(at);
    size_t len = 0;
    while (len < at->len && is_token_byte(at->data[len])) {
        len++;
    }
    struct slice token = slice_of(at->data, len);
    if (len > 0) {
        advance(at, len);
    }
    return token;
}

bool mime_line(struct slice *at, struct slice *line)
{
    if (at->len == 0) {
        return false;
    }
    const uint8_t *end = memchr(at->data, '\n', at->len);
    size_t len = end == NULL ? at->len : (size_t)(end - at->data);
    *line = slice_of(at->data, len);
    if (end != NULL && len > 0 && at->data[len - 1] == '\r') {
        line->len--;
    }
    advance(at, end == NULL ? len : len + 1);
    return true;
}

/* What bytes and line ends there are, in one pass. */
enum { HAS_8BIT = 1, HAS_NUL = 2, HAS_BARE_LINE_END = 4 };
#define BLOCK 256

/* `count` bytes that have one before them. Without a branch: the compiler makes vectors of it when it knows
 * the count. */
static inline unsigned scan_bytes(const uint8_t *at, size_t count)
{
    uint8_t bits = 0, nul = 0, bare = 0;
    for (size_t i = 0; i < count; i++) {
        bits |= at[i];
        nul |= at[i] == 0;
        bare |= (at[i] == '\n') != (at[(ptrdiff_t)i - 1] == '\r');
    }
    return (bits > 127 ? HAS_8BIT : 0u) | (nul ? HAS_NUL : 0u) | (bare ? HAS_BARE_LINE_END : 0u);
}

/* Of `wanted` those that there are; stops as soon as one is found. */
static unsigned scan(struct slice text, unsigned wanted)
{
    size_t i = 1;
    if (text.len == 0) {
        return 0;
    }
    uint8_t first = text.data[0];
    unsigned found = (first > 127 ? HAS_8BIT : 0u) | (first == 0 ? HAS_NUL : 0u) |
                     (first == '\n' || text.data[text.len - 1] == '\r' ? HAS_BARE_LINE_END : 0u);
    for (; i + BLOCK <= text.len && (found & wanted) == 0; i += BLOCK) {
        found |= scan_bytes(text.data + i, BLOCK);
    }
    if ((found & wanted) == 0) {
        found |= scan_bytes(text.data + i, text.len - i);
    }
    return found & wanted;
}

bool mime_has_8bit(struct slice text)
{
    size_t i = 0;
    for (; i + 4096 <= text.len; i += 4096) { /* as above, with one question only */
        uint8_t bits = 0;
        for (size_t n = 0; n < 4096; n++) {
            bits |= text.data[i + n];
        }
        if (bits > 127) {
            return true;
        }
    }
    for (; i < text.len; i++) {
        if (text.data[i] > 127) {
            return true;
        }
    }
    return false;
}

bool mime_has_bare_line_end(struct slice text)
{
    return scan(text, HAS_BARE_LINE_END) != 0;
}

/* Is no line longer than MIME_LINE_MAX, where each ends with CRLF? From the last line end within reach of a
 * line to the next such. */
static bool lines_fit(struct slice text)
{
    while (text.len > MIME_LINE_MAX) {
        size_t reach = text.len < MIME_LINE_MAX + 2 ? text.len : MIME_LINE_MAX + 2;
        const uint8_t *end = memrchr(text.data, '\n', reach);
        if (end == NULL) {
            return false;
        }
        advance(&text, (size_t)(end - text.data) + 1);
    }
    return true;
}

bool mime_is_plain_8bit(struct slice text)
{
    return scan(text, HAS_NUL | HAS_BARE_LINE_END) == 0 && lines_fit(text);
}

bool mime_is_plain_7bit(struct slice text)
{
    return scan(text, HAS_8BIT | HAS_NUL | HAS_BARE_LINE_END) == 0 && lines_fit(text);
}
