/*
 * Editing the parameters of a Content-Type field (RFC 2045 section 5.1).
 *
 * The raw parameters are cut at semicolons that stand in no quoted string and no comment; a piece whose name
 * is to go is left out. A quote or comment that does not end reaches to the end of the field, so an odd piece
 * is kept whole or dropped whole and never glued to what is added: what is added comes first. Pure.
 */
#include "mail/content_type_edit.h"

#include "mail/mime_text.h"

/* The piece at *at up to the next semicolon that separates; *at moves behind that. */
static struct slice piece_next(struct slice *at)
{
    size_t i = 0, depth = 0;
    bool quoted = false;
    for (; i < at->len; i++) {
        uint8_t c = at->data[i];
        if (c == '\\' && (quoted || depth > 0)) {
            i++;
        } else if (c == '"' && depth == 0) {
            quoted = !quoted;
        } else if (c == '(' && !quoted) {
            depth++;
        } else if (c == ')' && !quoted && depth > 0) {
            depth--;
        } else if (c == ';' && !quoted && depth == 0) {
            break;
        }
    }
    i = i < at->len ? i : at->len;
    struct slice piece = slice_of(at->data, i);
    *at = i < at->len ? slice_of(at->data + i + 1, at->len - i - 1) : slice_of(at->data + i, 0);
    return piece;
}

static bool piece_has_name(struct slice piece, const char *name)
{
    struct slice key = mime_token(&piece), wanted = slice_of_text(name);
    return slice_starts_with_nocase(key, wanted) && (key.len == wanted.len || key.data[wanted.len] == '*');
}

static struct slice without_line_end(struct slice piece)
{
    while (piece.len > 0 && strchr("\r\n \t", piece.data[piece.len - 1]) != NULL) {
        piece.len--;
    }
    return piece;
}

bool content_type_has_parameter(const struct content_type *type, const char *name)
{
    struct slice at = type->parameters;
    if (at.len > 0) {
        (void)piece_next(&at); /* what stands before the first semicolon is no parameter */
    }
    while (at.len > 0) {
        if (piece_has_name(piece_next(&at), name)) {
            return true;
        }
    }
    return false;
}

enum status content_type_field_append(const struct content_type *type, const char *const *without,
                                      const char *added, struct buf *out)
{
    struct slice at = type->parameters;
    enum status status = buf_printf(out, "Content-Type: %.*s/%.*s%s", SLICE_ARGS(type->type),
                                    SLICE_ARGS(type->subtype), added);
    if (at.len > 0) {
        (void)piece_next(&at);
    }
    while (at.len > 0 && status == STATUS_OK) {
        struct slice piece = without_line_end(piece_next(&at));
        bool goes = piece.len == 0;
        for (const char *const *name = without; *name != NULL && !goes; name++) {
            goes = piece_has_name(piece, *name);
        }
        if (!goes) {
            status = buf_append_text(out, piece.data[0] == '\r' || piece.data[0] == '\n' ? ";" : ";\r\n");
            if (status == STATUS_OK && strchr("\r\n \t", piece.data[0]) == NULL) {
                status = buf_append_text(out, "\t");
            }
            status = status == STATUS_OK ? buf_append_slice(out, piece) : status;
        }
    }
    return status == STATUS_OK ? buf_append_text(out, "\r\n") : status;
}
