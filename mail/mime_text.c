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
    return c > 0x20 && c < 0x7f && memchr("()<>@,;:\\\"/[]?=", c, 15) == NULL;
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
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] > 127) {
            return true;
        }
    }
    return false;
}

bool mime_has_bare_line_end(struct slice text)
{
    const uint8_t *at = text.data, *end = text.data + text.len;
    const uint8_t *from = at;
    if (text.len == 0) {
        return false;
    }
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (at == from || at[-1] != '\r') {
            return true;
        }
        at++;
        if (at == end) {
            break;
        }
    }
    at = from;
    while (at < end && (at = memchr(at, '\r', (size_t)(end - at))) != NULL) {
        if (at + 1 == end || at[1] != '\n') {
            return true;
        }
        at++;
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
