/*
 * Folding: plain text at blanks, anything else as base64 words that do not split a character (mail/words.c
 * decodes, and encodes without folding). Pure; any thread.
 */
#include "mail/words_field.h"

#include "mail/json_write.h"
#include "mail/transfer_encoding.h"

#define LINE_WANTED 76
#define WORD_BYTES  39 /* of text in one encoded word: 52 characters of base64, 12 around them */

static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool opens_word = text.data[i] == '=' && i + 1 < text.len && text.data[i + 1] == '?';
        if (text.data[i] < 0x20 || text.data[i] > 0x7e || opens_word) {
            return false;
        }
    }
    return true;
}

/* Folds before a blank that has a word behind it: a line of nothing but blanks would end the header for some.
 */
static enum status plain_append(struct slice text, size_t column, struct buf *out)
{
    enum status status = STATUS_OK;
    size_t i = 0;
    while (i < text.len && status == STATUS_OK) {
        size_t end = i;
        while (end < text.len && text.data[end] == ' ') {
            end++;
        }
        while (end < text.len && text.data[end] != ' ') {
            end++;
        }
        if (column + (end - i) > LINE_WANTED && text.data[i] == ' ') {
            status = buf_append_text(out, "\r\n");
            column = 0;
        }
        if (status == STATUS_OK) {
            status = buf_append(out, text.data + i, end - i);
        }
        column += end - i;
        i = end;
    }
    return status;
}

static enum status word_append(struct slice piece, bool first, struct buf *out)
{
    struct buf encoded = BUF_INIT(128);
    enum status status = base64_lines_encode(piece, &encoded); /* one line, with its CRLF */
    if (status == STATUS_OK && encoded.len >= 2) {
        encoded.len -= 2;
        status = buf_printf(out, "%s=?utf-8?B?%.*s?=", first ? "" : "\r\n ", SLICE_ARGS(buf_slice(&encoded)));
    }
    buf_release(&encoded);
    return status;
}

static enum status encoded_append(struct slice text, struct buf *out)
{
    uint8_t piece[WORD_BYTES];
    size_t len = 0;
    bool first = true;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < text.len && status == STATUS_OK;) {
        size_t n = utf8_sequence(slice_of(text.data + i, text.len - i));
        if (len + (n == 0 ? 1 : n) > sizeof piece) {
            status = word_append(slice_of(piece, len), first, out);
            first = false;
            len = 0;
        }
        if (n == 0) {
            piece[len++] = '?';
        } else {
            memcpy(piece + len, text.data + i, n);
            len += n;
        }
        i += n == 0 ? 1 : n;
    }
    return status == STATUS_OK ? word_append(slice_of(piece, len), first, out) : status;
}

enum status words_field_append(const char *name, struct slice text, struct buf *out)
{
    text = slice_trim(text);
    enum status status = buf_printf(out, "%s: ", name);
    if (status == STATUS_OK) {
        status = is_plain(text) ? plain_append(text, strlen(name) + 2, out) : encoded_append(text, out);
    }
    return status == STATUS_OK ? buf_append_text(out, "\r\n") : status;
}
