/*
 * Regular expressions of administrators, run on bytes of strangers: PCRE2 with limits, so that neither an
 * expression nor a text can hold a worker. A text need not be UTF-8. Pure; one thread a space.
 */
#ifndef SEALPOST_MAIL_PATTERN_H
#define SEALPOST_MAIL_PATTERN_H

#include "base/slice.h"
#include "base/status.h"

#define PATTERN_MAX      1000 /* bytes of an expression */
#define PATTERN_TEXT_MAX 8192 /* bytes of a text that is matched; a longer one cannot be evaluated */

struct pattern;
struct pattern_space; /* what matching needs; for any number of patterns, for one thread */

/* INVALID with the position within the expression and what PCRE2 says. */
enum status pattern_compile(struct slice expression, bool any_case, struct pattern **out,
                            struct failure *f) MUST_CHECK;
size_t pattern_size(const struct pattern *p);  /* bytes */
void pattern_free(struct pattern *p);          /* NULL is fine */
struct pattern_space *pattern_space_new(void); /* NULL: no memory */
void pattern_space_free(struct pattern_space *space);

struct pattern_hit {
    size_t start, len; /* bytes */
};
/* OK; NOT_FOUND: no match; TOO_LARGE: the text is too long or a limit was hit, so nobody knows: *why is a
 * static text, and the caller fails closed. Any bytes: what is not UTF-8 matches nothing. `hit` may be NULL.
 */
enum status pattern_match(struct pattern *p, struct pattern_space *space, struct slice text,
                          struct pattern_hit *hit, const char **why) MUST_CHECK;

#endif
