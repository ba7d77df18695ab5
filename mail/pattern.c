/*
 * See pattern.h. An expression is compiled in UTF mode where that is possible; an invalid byte of a text
 * matches nothing (PCRE2_MATCH_INVALID_UTF). The limits are on steps of the matcher, on its depth and on its
 * heap: an expression like (a+)+$ on a long text ends after some milliseconds with TOO_LARGE. No compilation
 * to machine code: pages that can be written and run have no place in a process that reads strangers' mail.
 */
#include "mail/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#define STEPS_MAX    200000
#define DEPTH_MAX    1000
#define HEAP_MAX_KIB 1024
#define COMPILED_MAX ((size_t)64 << 10) /* bytes of a compiled expression: (((a{9}){9}){9}){9} grows */

struct pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

static enum status compile_failure(struct slice expression, int error, size_t at, struct failure *f)
{
    char text[120];
    if (pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof text) < 0) {
        text[0] = '\0';
    }
    return failure_set(f, STATUS_INVALID, "the expression /%.*s/ is not well formed at byte %zu: %s",
                       (int)(expression.len < 100 ? expression.len : 100), (const char *)expression.data,
                       at + 1, text);
}

enum status pattern_compile(struct slice expression, struct pattern **out, struct failure *f)
{
    uint32_t options = PCRE2_CASELESS | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C |
                       PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UCP;
    int error = 0;
    size_t at = 0, size = 0;
    *out = NULL;
    if (expression.len == 0 || expression.len > PATTERN_MAX) {
        return failure_set(f, STATUS_INVALID, "an expression has 1 to %d bytes", PATTERN_MAX);
    }
    struct pattern *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for an expression");
    }
    p->code = pcre2_compile(expression.data, expression.len, options, &error, &at, NULL);
    if (p->code == NULL) {
        pattern_free(p);
        return compile_failure(expression, error, at, f);
    }
    if (pcre2_pattern_info(p->code, PCRE2_INFO_SIZE, &size) != 0 || size > COMPILED_MAX) {
        pattern_free(p);
        return failure_set(f, STATUS_INVALID, "the expression is too large once it is compiled");
    }
    p->data = pcre2_match_data_create(1, NULL);
    p->limits = pcre2_match_context_create(NULL);
    if (p->data == NULL || p->limits == NULL) {
        pattern_free(p);
        return failure_set(f, STATUS_NO_MEMORY, "no memory for an expression");
    }
    (void)pcre2_set_match_limit(p->limits, STEPS_MAX);
    (void)pcre2_set_depth_limit(p->limits, DEPTH_MAX);
    (void)pcre2_set_heap_limit(p->limits, HEAP_MAX_KIB);
    *out = p;
    return STATUS_OK;
}

void pattern_free(struct pattern *p)
{
    if (p != NULL) {
        pcre2_match_context_free(p->limits);
        pcre2_match_data_free(p->data);
        pcre2_code_free(p->code);
        free(p);
    }
}

enum status pattern_match(struct pattern *p, struct slice text, size_t *start, size_t *len)
{
    size_t looked_at = text.len < PATTERN_SUBJECT_MAX ? text.len : PATTERN_SUBJECT_MAX;
    const uint8_t *bytes = text.len > 0 ? text.data : (const uint8_t *)"";
    int rc = pcre2_match(p->code, bytes, looked_at, 0, PCRE2_NO_JIT, p->data, p->limits);
    if (rc == PCRE2_ERROR_NOMATCH) {
        return STATUS_NOT_FOUND;
    }
    if (rc < 0) {
        return STATUS_TOO_LARGE;
    }
    const size_t *found = pcre2_get_ovector_pointer(p->data);
    if (start != NULL) {
        *start = found[0];
    }
    if (len != NULL) {
        *len = found[1] > found[0] ? found[1] - found[0] : 0; /* \K in a look-ahead can turn them round */
    }
    return STATUS_OK;
}
