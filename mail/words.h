/*
 * Words of header fields: decoding what mail programs encode (RFC 2047, RFC 2231), and encoding a text for a
 * field. GMime does it; only bounded pieces are given to it. One thread.
 */
#ifndef SEALPOST_MAIL_WORDS_H
#define SEALPOST_MAIL_WORDS_H

#include "base/arena.h"
#include "base/status.h"

#define WORDS_RAW_MAX                                                                                        \
    ((size_t)8 << 10) /* bytes of a field that are decoded: the rest of a longer one is not */

/* A field's value as one line of UTF-8 without control characters; what cannot be decoded becomes U+FFFD. Cut
 * at `max` bytes, between characters. NO_MEMORY. */
enum status words_decode(struct slice raw, size_t max, struct arena *a, struct slice *out) MUST_CHECK;
/* The parameter `name` of a Content-Type or Content-Disposition (`parameters`: what follows the first word),
 * decoded in the same way; also where RFC 2047 words stand in it, as many programs write. "" if there is
 * none. */
enum status words_parameter(struct slice parameters, const char *name, size_t max, struct arena *a,
                            struct slice *out) MUST_CHECK;
/* UTF-8 as the value of an unstructured field: ASCII, with encoded words where needed, not folded. */
enum status words_encode(struct slice text, struct arena *a, struct slice *out) MUST_CHECK;

#endif
