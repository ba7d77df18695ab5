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

bool mime_has_8bit(struct slice text)
{
    size_t i = 0;
    for (; i + 4096 <= text.len;
         i += 4096) { /* blocks without a branch: the compiler makes vectors of them */
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
    size_t i = 0;
    while (i < text.len) {
        const uint8_t *found = memchr(text.data + i, '\n', text.len - i);
        size_t line_end = found == NULL ? text.len : (size_t)(found - text.data);
        const uint8_t *cr = memchr(text.data + i, '\r', line_end - i);
        if (found == NULL) {
            return cr != NULL;
        }
        if (cr == NULL || cr + 1 != found) {
            return true;
        }
        i = line_end + 1;
    }
    return false;
}

bool mime_is_plain_8bit(struct slice text)
{
    struct slice at = text, line;
    if (mime_has_bare_line_end(text) || (text.len > 0 && memchr(text.data, 0, text.len) != NULL)) {
        return false;
    }
    while (mime_line(&at, &line)) {
        if (line.len > MIME_LINE_MAX) {
            return false;
        }
    }
    return true;
}

bool mime_is_plain_7bit(struct slice text)
{
    return !mime_has_8bit(text) && mime_is_plain_8bit(text);
}
