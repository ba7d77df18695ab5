/*
 * The canonical forms of DKIM (RFC 6376 section 3.4): a walk over the mapped bytes that hands on pieces of
 * them, so that 50 MB cost no more memory than one line does: none. Pure; any thread.
 */
#include "mail/dkim.h"

#define CRLF SLICE_LITERAL("\r\n")

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Bytes before the next CRLF, or all of it. */
static size_t line_length(struct slice s)
{
    const uint8_t *at = s.data, *end = s.data + s.len;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (at > s.data && at[-1] == '\r') {
            return (size_t)(at - s.data) - 1;
        }
        at++;
    }
    return s.len;
}

static struct slice trim_end(struct slice s)
{
    while (s.len > 0 && is_blank(s.data[s.len - 1])) {
        s.len--;
    }
    return s;
}

/* Each run of blanks as one space. */
static void emit_reduced(struct slice s, dkim_emit_cb emit, void *context)
{
    size_t from = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_blank(s.data[i])) {
            continue;
        }
        size_t end = i + 1;
        while (end < s.len && is_blank(s.data[end])) {
            end++;
        }
        if (end > i + 1 || s.data[i] == '\t') {
            emit(context, slice_of(s.data + from, i - from));
            emit(context, SLICE_LITERAL(" "));
            from = end;
        }
        i = end - 1;
    }
    emit(context, slice_of(s.data + from, s.len - from));
}

static void body_relaxed(struct slice body, dkim_emit_cb emit, void *context)
{
    size_t empty = 0; /* lines that count only when another follows */
    while (body.len > 0) {
        size_t len = line_length(body);
        struct slice line = trim_end(slice_of(body.data, len));
        size_t step = len < body.len ? len + 2 : len;
        body = slice_of(body.data + step, body.len - step);
        if (line.len == 0) {
            empty++;
            continue;
        }
        for (; empty > 0; empty--) {
            emit(context, CRLF);
        }
        emit_reduced(line, emit, context);
        emit(context, CRLF);
    }
}

void dkim_body_canonical(struct slice body, enum dkim_form form, dkim_emit_cb emit, void *context)
{
    if (form == DKIM_RELAXED) {
        body_relaxed(body, emit, context);
        return;
    }
    while (body.len >= 2 && body.data[body.len - 2] == '\r' && body.data[body.len - 1] == '\n') {
        body.len -= 2;
    }
    emit(context, body);
    emit(context, CRLF);
}

/* Unfolded: every CRLF goes, then blanks are reduced, those at the ends taken away. */
static void value_relaxed(struct slice value, dkim_emit_cb emit, void *context)
{
    bool blank = false, any = false;
    for (size_t i = 0; i < value.len;) {
        size_t end = i;
        while (end < value.len && !is_blank(value.data[end]) &&
               !(value.data[end] == '\r' && end + 1 < value.len && value.data[end + 1] == '\n')) {
            end++;
        }
        if (end > i) {
            if (blank && any) {
                emit(context, SLICE_LITERAL(" "));
            }
            emit(context, slice_of(value.data + i, end - i));
            any = true;
            blank = false;
            i = end;
        } else if (is_blank(value.data[i])) {
            blank = true;
            i++;
        } else {
            i += 2;
        }
    }
}

void dkim_field_canonical(struct slice field, enum dkim_form form, dkim_emit_cb emit, void *context)
{
    if (field.len >= 2 && field.data[field.len - 2] == '\r' && field.data[field.len - 1] == '\n') {
        field.len -= 2;
    }
    size_t colon = slice_find_byte(field, ':');
    if (form == DKIM_SIMPLE || colon == field.len) {
        emit(context, field);
        return;
    }
    struct slice name = trim_end(slice_of(field.data, colon));
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
        emit(context, slice_of(&c, 1));
    }
    emit(context, SLICE_LITERAL(":"));
    value_relaxed(slice_of(field.data + colon + 1, field.len - colon - 1), emit, context);
}
