/* Hexadecimal and base64 text. */
#ifndef SEALPOST_BASE_HEX_H
#define SEALPOST_BASE_HEX_H

#include "base/buf.h"

void hex_format(struct slice bytes, char *text); /* lower case; text holds 2 * len + 1 bytes */
/* Exactly 2 * len digits of either case, else false. Colons between pairs are allowed. */
bool hex_parse(struct slice text, uint8_t *out, size_t len);
enum status base64_encode(struct slice bytes, struct buf *out) MUST_CHECK;    /* RFC 4648, no line breaks */
enum status base64url_encode(struct slice bytes, struct buf *out) MUST_CHECK; /* no padding */
enum status base64url_decode(struct slice text, struct buf *out) MUST_CHECK;  /* strict; MALFORMED */

#endif
