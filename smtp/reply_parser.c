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

/* RFC 9422 section 4: "RCPTMAX=100 MAILMAX=50"; what is no number or not known says nothing. */
static void limits_read(struct slice words, struct ehlo_offers *out)
{
    while (words.len > 0) {
        size_t end = slice_find_byte(words, ' ');
        struct slice word = slice_of(words.data, end);
        size_t equals = slice_find_byte(word, '=');
        uint64_t number = 0;
        if (equals < word.len &&
            slice_parse_u64(slice_of(word.data + equals + 1, word.len - equals - 1), &number)) {
            struct slice name = slice_of(word.data, equals);
            uint64_t *limit = slice_equal_nocase(name, SLICE_LITERAL("MAILMAX"))   ? &out->max_mails
                              : slice_equal_nocase(name, SLICE_LITERAL("RCPTMAX")) ? &out->max_recipients
                              : slice_equal_nocase(name, SLICE_LITERAL("RCPTDOMAINMAX")) ? &out->max_domains
                                                                                         : NULL;
            if (limit != NULL) {
                *limit = number;
            }
        }
        words = end < words.len ? slice_trim(slice_of(words.data + end, words.len - end)) : slice_of(NULL, 0);
    }
}

static bool *flag_of(struct ehlo_offers *out, struct slice word)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"PIPELINING", &out->pipelining},
        {"8BITMIME", &out->eightbitmime},
        {"STARTTLS", &out->starttls},
        {"ENHANCEDSTATUSCODES", &out->enhanced},
        {"SIZE", &out->size},
        {"SMTPUTF8", &out->smtputf8},
        {"DSN", &out->dsn},
        {"CHUNKING", &out->chunking},
        {"REQUIRETLS", &out->requiretls},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (slice_equal_nocase(word, slice_of_text(flags[i].name))) {
            return flags[i].flag;
        }
    }
    return NULL;
}

void ehlo_offers_read(const struct remote_reply *reply, struct ehlo_offers *out)
{
    *out = (struct ehlo_offers){0};
    struct slice line;
    for (size_t i = 1; reply_line_at(reply, i, &line); i++) {
        size_t end = slice_find_byte(line, ' ');
        struct slice word = slice_of(line.data, end);
        struct slice rest =
            end < line.len ? slice_trim(slice_of(line.data + end, line.len - end)) : slice_of(NULL, 0);
        bool *flag = flag_of(out, word);
        if (flag != NULL) {
            *flag = true;
        }
        if (flag == &out->size && rest.len > 0) {
            (void)slice_parse_u64(rest, &out->max_size);
        } else if (slice_equal_nocase(word, SLICE_LITERAL("LIMITS"))) {
            limits_read(rest, out);
        }
    }
}
