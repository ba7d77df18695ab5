/*
 * The words of a rule: bare words, quoted texts, regular expressions between slashes, signs. White space
 * stands between them. Nothing is guessed: what is no word is an error with its position, counted in bytes
 * from 1. Pure; the text is an administrator's, but any bytes are safe.
 */
#include "mail/rule_internal.h"

#include <stdarg.h>

#define SHOWN_MAX 40 /* bytes of a word in an error */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool ends_bare(uint8_t c)
{
    return is_blank(c) || c == '"' || c == '(' || c == ')' || c == '=' || c == '<' || c == '>';
}

__attribute__((format(printf, 3, 0))) static enum status wrong_at(struct rule_words *w, size_t position,
                                                                  const char *format, va_list args)
{
    char text[FAILURE_TEXT_MAX];
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): its callers start it */
    if (vsnprintf(text, sizeof text, format, args) < 0) {
        text[0] = '\0';
    }
    return failure_set(w->f, STATUS_INVALID, "position %zu: %s", position, text);
}

__attribute__((format(printf, 2, 3))) static enum status wrong_here(struct rule_words *w, const char *format,
                                                                    ...)
{
    va_list args;
    va_start(args, format);
    enum status status = wrong_at(w, w->at + 1, format, args);
    va_end(args);
    return status;
}

enum status rule_words_wrong(struct rule_words *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum status status = wrong_at(w, w->word.position, format, args);
    va_end(args);
    return status;
}

enum status rule_words_expected(struct rule_words *w, const char *what)
{
    struct slice shown = w->word.text;
    if (w->word.type == WORD_END) {
        return rule_words_wrong(w, "expected %s, but the text ends", what);
    }
    /* Not within a character of several bytes. */
    while (shown.len > SHOWN_MAX ||
           (shown.len > 0 && shown.len < w->word.text.len && (w->word.text.data[shown.len] & 0xc0) == 0x80)) {
        shown.len--;
    }
    return rule_words_wrong(w, "expected %s, not \"%.*s\"", what, SLICE_ARGS(shown));
}

bool rule_word_is(const struct rule_words *w, const char *text)
{
    return (w->word.type == WORD_BARE || w->word.type == WORD_SIGN) &&
           slice_equal(w->word.text, slice_of_text(text));
}

/* From the opening `quote` to the closing one. A backslash before a byte of `unescape` goes. */
static enum status take_quoted(struct rule_words *w, uint8_t quote, const char *unescape)
{
    size_t start = w->at, len = 0;
    uint8_t *out = arena_alloc(w->arena, w->text.len - w->at + 1);
    if (out == NULL) {
        return failure_set(w->f, STATUS_NO_MEMORY, "no memory for a rule");
    }
    for (w->at++; w->at < w->text.len && w->text.data[w->at] != quote; w->at++) {
        uint8_t c = w->text.data[w->at];
        if (c < ' ') {
            return wrong_here(w, "a control character stands within %c...%c", quote, quote);
        }
        if (c == '\\' && w->at + 1 < w->text.len) {
            uint8_t next = w->text.data[w->at + 1];
            bool taken = strchr(unescape, next) != NULL && next != '\0';
            if (!taken && quote == '"') {
                return wrong_here(w, "within quotes, a backslash stands before a quote or a backslash only");
            }
            if (!taken) {
                out[len++] = c;
            }
            w->at++;
            c = next;
        }
        out[len++] = c;
    }
    if (w->at == w->text.len) {
        w->at = start;
        return wrong_here(w, "the closing %c is missing", quote);
    }
    w->at++;
    w->word.text = slice_of(out, len);
    return STATUS_OK;
}

static enum status take_regex(struct rule_words *w)
{
    w->word.type = WORD_REGEX;
    enum status status = take_quoted(w, '/', "/");
    if (status != STATUS_OK) {
        return status;
    }
    if (w->word.text.len == 0) {
        w->at = w->word.position - 1;
        return wrong_here(w, "the regular expression is empty");
    }
    if (w->at < w->text.len && w->text.data[w->at] == 'i') {
        w->word.any_case = true;
        w->at++;
    }
    if (w->at < w->text.len && w->text.data[w->at] != ',' && !ends_bare(w->text.data[w->at])) {
        return wrong_here(w, "behind a regular expression, only i (any case) is known");
    }
    return STATUS_OK;
}

static void take_sign(struct rule_words *w)
{
    size_t len = 1;
    uint8_t c = w->text.data[w->at];
    if ((c == '<' || c == '>') && w->at + 1 < w->text.len && w->text.data[w->at + 1] == '=') {
        len = 2;
    }
    w->word.type = WORD_SIGN;
    w->word.text = slice_of(w->text.data + w->at, len);
    w->at += len;
}

static enum status take(struct rule_words *w, bool list)
{
    while (w->at < w->text.len && is_blank(w->text.data[w->at])) {
        w->at++;
    }
    w->word = (struct rule_word){.type = WORD_END, .position = w->at + 1};
    if (w->at == w->text.len) {
        return STATUS_OK;
    }
    uint8_t c = w->text.data[w->at];
    if (c == '"') {
        w->word.type = WORD_TEXT;
        return take_quoted(w, '"', "\"\\");
    }
    if (c == '/') {
        return take_regex(w);
    }
    if (ends_bare(c) || (c == ',' && !list)) {
        take_sign(w);
        return STATUS_OK;
    }
    size_t start = w->at;
    while (w->at < w->text.len && !ends_bare(w->text.data[w->at]) && (list || w->text.data[w->at] != ',')) {
        if (w->text.data[w->at] < ' ') {
            return wrong_here(w, "a control character is no part of a rule");
        }
        w->at++;
    }
    w->word.type = WORD_BARE;
    w->word.text = slice_of(w->text.data + start, w->at - start);
    return STATUS_OK;
}

enum status rule_words_next(struct rule_words *w)
{
    return take(w, false);
}

enum status rule_words_next_list(struct rule_words *w)
{
    enum status status = take(w, true);
    /* A comma at its end parts it from the next action. */
    while (status == STATUS_OK && w->word.type == WORD_BARE && w->word.text.len > 1 &&
           w->word.text.data[w->word.text.len - 1] == ',') {
        w->word.text.len--;
        w->at--;
    }
    return status;
}

enum status rule_words_begin(struct rule_words *w, struct slice text, size_t max, const char *what,
                             struct arena *a, struct failure *f)
{
    *w = (struct rule_words){.arena = a, .f = f};
    if (text.len > max) {
        return failure_set(f, STATUS_INVALID, "%s has %zu bytes; at most %zu are allowed", what, text.len,
                           max);
    }
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_sequence(slice_of(text.data + at, text.len - at));
        if (len == 0 || text.data[at] == 0 || text.data[at] == 0x7f) {
            return failure_set(f, STATUS_INVALID, "position %zu: %s must be text in UTF-8", at + 1, what);
        }
        at += len;
    }
    if (!arena_copy(a, text, &w->text)) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for a rule");
    }
    return rule_words_next(w);
}
