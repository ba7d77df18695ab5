/* The parser for what a remote server answers (smtp/reply_parser.h). */
#include "smtp/reply_parser.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* One line from `in`, without its end; false when the end has not come. */
static bool next_line(struct slice in, struct slice *line, size_t *used)
{
    size_t newline = slice_find_byte(in, '\n');
    if (newline == in.len) {
        return false;
    }
    size_t len = newline > 0 && in.data[newline - 1] == '\r' ? newline - 1 : newline;
    *line = slice_of(in.data, len);
    *used = newline + 1;
    return true;
}

/* "N.N.N" at the start of the text, of the class that the code has (RFC 2034 section 4). */
static size_t enhanced_length(struct slice text, int code)
{
    size_t at = 0;
    for (int part = 0; part < 3; part++) {
        size_t digits = 0;
        while (at < text.len && is_digit(text.data[at]) && digits < 4) {
            at++;
            digits++;
        }
        if (digits == 0 || digits > 3 || (part == 0 && (digits != 1 || text.data[0] - '0' != code / 100))) {
            return 0;
        }
        if (part < 2) {
            if (at >= text.len || text.data[at] != '.') {
                return 0;
            }
            at++;
        }
    }
    return at == text.len || text.data[at] == ' ' ? at : 0;
}

enum reply_result reply_parse(struct slice in, struct remote_reply *out, size_t *used)
{
    *out = (struct remote_reply){0};
    size_t at = 0;
    for (;;) {
        struct slice line;
        size_t taken = 0;
        if (!next_line(slice_of(in.data + at, in.len - at), &line, &taken)) {
            return in.len > REPLY_BYTES_MAX ? REPLY_MALFORMED : REPLY_MORE;
        }
        if (line.len < 3 || !is_digit(line.data[0]) || !is_digit(line.data[1]) || !is_digit(line.data[2])) {
            return REPLY_MALFORMED;
        }
        int code = (line.data[0] - '0') * 100 + (line.data[1] - '0') * 10 + (line.data[2] - '0');
        bool more = line.len > 3 && line.data[3] == '-';
        if (code < 200 || code > 599 || (line.len > 3 && line.data[3] != ' ' && !more) ||
            (out->line_count > 0 && code != out->code)) {
            return REPLY_MALFORMED;
        }
        out->code = code;
        at += taken;
        if (++out->line_count > REPLY_LINES_MAX || at > REPLY_BYTES_MAX) {
            return REPLY_MALFORMED;
        }
        if (more) {
            continue;
        }
        out->lines = slice_of(in.data, at);
        out->text = line.len > 4 ? slice_of(line.data + 4, line.len - 4) : slice_of(NULL, 0);
        size_t enhanced = enhanced_length(out->text, code);
        if (enhanced > 0 && enhanced < sizeof out->enhanced && out->text.data != NULL) {
            memcpy(out->enhanced, out->text.data, enhanced);
            out->enhanced[enhanced] = '\0';
            out->text = slice_trim(slice_of(out->text.data + enhanced, out->text.len - enhanced));
        }
        *used = at;
        return REPLY_PARSED;
    }
}

bool reply_line_at(const struct remote_reply *reply, size_t i, struct slice *line)
{
    size_t at = 0;
    for (size_t n = 0; n < reply->line_count; n++) {
        struct slice whole;
        size_t taken = 0;
        if (!next_line(slice_of(reply->lines.data + at, reply->lines.len - at), &whole, &taken)) {
            return false;
        }
        if (n == i) {
            *line = whole.len > 4 ? slice_of(whole.data + 4, whole.len - 4) : slice_of(NULL, 0);
            return true;
        }
        at += taken;
    }
    return false;
}

void ehlo_offers_read(const struct remote_reply *reply, struct ehlo_offers *out)
{
    *out = (struct ehlo_offers){0};
    struct slice line;
    for (size_t i = 1; reply_line_at(reply, i, &line); i++) {
        size_t end = slice_find_byte(line, ' ');
        struct slice word = slice_of(line.data, end);
        if (slice_equal_nocase(word, SLICE_LITERAL("PIPELINING"))) {
            out->pipelining = true;
        } else if (slice_equal_nocase(word, SLICE_LITERAL("8BITMIME"))) {
            out->eightbitmime = true;
        } else if (slice_equal_nocase(word, SLICE_LITERAL("STARTTLS"))) {
            out->starttls = true;
        } else if (slice_equal_nocase(word, SLICE_LITERAL("ENHANCEDSTATUSCODES"))) {
            out->enhanced = true;
        } else if (slice_equal_nocase(word, SLICE_LITERAL("SIZE"))) {
            out->size = true;
            if (end < line.len) {
                (void)slice_parse_u64(slice_trim(slice_of(line.data + end, line.len - end)), &out->max_size);
            }
        }
    }
}
