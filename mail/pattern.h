/*
 * Regular expressions of administrators, run on bytes of strangers: PCRE2 with limits, so that neither an
 * expression nor a text can hold a worker. Case is ignored; a text need not be UTF-8. Pure; one thread a
 * pattern.
 */
#ifndef SEALPOST_MAIL_PATTERN_H
#define SEALPOST_MAIL_PATTERN_H

#include "base/slice.h"
#include "base/status.h"

#define PATTERN_MAX 1024 /* bytes of an expression */
#define PATTERN_SUBJECT_MAX                                                                                  \
    ((size_t)64 << 10) /* bytes that are looked at: the rest of a longer text is not */

struct pattern;
/* INVALID: the failure says at which byte and what is wrong. */
enum status pattern_compile(struct slice expression, struct pattern **out, struct failure *f) MUST_CHECK;
void pattern_free(struct pattern *p); /* NULL is fine */
/* OK; NOT_FOUND: no match; TOO_LARGE: a limit was passed, so nobody knows: the caller fails closed. `start`
 * and `len` (may be NULL) say where the match lies. */
enum status pattern_match(struct pattern *p, struct slice text, size_t *start, size_t *len) MUST_CHECK;

#endif
