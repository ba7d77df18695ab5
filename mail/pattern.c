/*
 * Regular expressions by PCRE2 (mail/pattern.h), so that neither an administrator's pattern nor a sender's
 * text can hold a worker up.
 *
 * The pattern is bounded in length, nesting and compiled size. The text is bounded in length. PCRE2 counts
 * its steps anew at each position of the text: the limit of steps grows with the text only so far that a
 * plain ".*" fits, and the limits of depth and heap bound the memory. One that hits a limit has no answer,
 * and the message is refused by whoever asked. UTF mode takes any bytes: what is not well-formed
 * is never matched. No JIT: it saves less than a microsecond a message and takes writable code.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "mail/pattern.h"

#include <pcre2.h>
#include <stdlib.h>

#define STEPS_MIN       10000 /* for each position of a text, and STEPS_PER_BYTE more */
#define STEPS_PER_BYTE  10
#define DEPTH_MAX       20000
#define HEAP_KIB_MAX    8192
#define PARENTHESES_MAX 50

struct pattern {
    pcre2_code *code;
    uint8_t needed, needed_too; /* an ASCII byte that each match has, and its other case; 0: there is none */
};

struct pattern_space {
    pcre2_match_context *context;
    pcre2_match_data *data;
};

static enum status compile_failure(struct failure *f, int error, size_t offset)
{
    PCRE2_UCHAR text[160];
    if (error == PCRE2_ERROR_HEAP_FAILED) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for a regular expression");
    }
    if (pcre2_get_error_message(error, text, sizeof text) < 0) {
        text[0] = '\0';
    }
    return failure_set(f, STATUS_INVALID, "the regular expression is wrong at its byte %zu: %s", offset + 1,
                       (const char *)text);
}

/* What PCRE2 found while it compiled: the last byte that each match must have, but for its first. */
static void find_needed(struct pattern *regex)
{
    uint32_t known = 0, unit = 0;
    if (pcre2_pattern_info(regex->code, PCRE2_INFO_LASTCODETYPE, &known) != 0 || known != 1 ||
        pcre2_pattern_info(regex->code, PCRE2_INFO_LASTCODEUNIT, &unit) != 0 || unit >= 0x80) {
        return;
    }
    bool letter = (unit | 0x20) >= 'a' && (unit | 0x20) <= 'z';
    regex->needed = (uint8_t)unit;
    regex->needed_too = (uint8_t)(letter ? unit ^ 0x20 : unit);
}

/* A text without the byte is told from one that may match in a tenth of the time. */
static bool lacks_needed(const struct pattern *regex, struct slice text)
{
    return regex->needed != 0 && slice_find_byte(text, regex->needed) == text.len &&
           slice_find_byte(text, regex->needed_too) == text.len;
}

enum status pattern_compile(struct slice pattern, bool any_case, struct pattern **out, struct failure *f)
{
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
    int error = PCRE2_ERROR_HEAP_FAILED;
    PCRE2_SIZE offset = 0;
    *out = NULL;
    if (pattern.len == 0 || pattern.len > PATTERN_MAX) {
        return failure_set(f, STATUS_INVALID, "a regular expression has 1 to %d bytes", PATTERN_MAX);
    }
    struct pattern *regex = calloc(1, sizeof *regex);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (regex != NULL && context != NULL) {
        (void)pcre2_set_parens_nest_limit(context, PARENTHESES_MAX);
        regex->code = pcre2_compile(pattern.data, pattern.len, options | (any_case ? PCRE2_CASELESS : 0),
                                    &error, &offset, context);
    }
    pcre2_compile_context_free(context);
    if (regex == NULL || regex->code == NULL) {
        free(regex);
        return compile_failure(f, error, offset);
    }
    find_needed(regex);
    *out = regex;
    return STATUS_OK;
}

size_t pattern_size(const struct pattern *regex)
{
    size_t size = 0;
    return pcre2_pattern_info(regex->code, PCRE2_INFO_SIZE, &size) == 0 ? size : SIZE_MAX;
}

void pattern_free(struct pattern *regex)
{
    if (regex != NULL) {
        pcre2_code_free(regex->code);
        free(regex);
    }
}

struct pattern_space *pattern_space_new(void)
{
    struct pattern_space *space = calloc(1, sizeof *space);
    if (space == NULL) {
        return NULL;
    }
    space->context = pcre2_match_context_create(NULL);
    space->data = pcre2_match_data_create(1, NULL);
    if (space->context == NULL || space->data == NULL) {
        pattern_space_free(space);
        return NULL;
    }
    (void)pcre2_set_depth_limit(space->context, DEPTH_MAX);
    (void)pcre2_set_heap_limit(space->context, HEAP_KIB_MAX);
    return space;
}

void pattern_space_free(struct pattern_space *space)
{
    if (space != NULL) {
        pcre2_match_data_free(space->data);
        pcre2_match_context_free(space->context);
        free(space);
    }
}

enum status pattern_match(struct pattern *regex, struct pattern_space *space, struct slice text,
                          struct pattern_hit *hit, const char **why)
{
    if (text.len > PATTERN_TEXT_MAX) {
        *why = "the text is too long for a regular expression";
        return STATUS_TOO_LARGE;
    }
    if (lacks_needed(regex, text)) {
        return STATUS_NOT_FOUND;
    }
    (void)pcre2_set_match_limit(space->context, (uint32_t)(STEPS_MIN + STEPS_PER_BYTE * text.len));
    const uint8_t *data = text.data != NULL ? text.data : (const uint8_t *)"";
    int rc = pcre2_match(regex->code, data, text.len, 0, 0, space->data, space->context);
    if (rc == PCRE2_ERROR_NOMATCH) {
        return STATUS_NOT_FOUND;
    }
    if (rc < 0) {
        *why = rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT
                   ? "the regular expression takes too long on this text"
                   : "the regular expression cannot be matched against this text";
        return STATUS_TOO_LARGE;
    }
    if (hit != NULL) {
        const size_t *found = pcre2_get_ovector_pointer(space->data);
        *hit = (struct pattern_hit){.start = found[0],
                                    .len = found[1] > found[0] ? found[1] - found[0]
                                                               : 0}; /* \K turns them round */
    }
    return STATUS_OK;
}
