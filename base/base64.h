/* Reading base64 on one line (RFC 4648 section 4), strict: as SASL (RFC 4954 section 4) and SCRAM (RFC 5802)
 * use it. Pure. */
#ifndef SEALPOST_BASE_BASE64_H
#define SEALPOST_BASE_BASE64_H

#include "base/hex.h"

/* MALFORMED for anything but whole groups of four of the alphabet with right padding whose spare bits are
 * zero; `out` is then as it was. Appends; nothing is "". */
enum status base64_decode(struct slice in, struct buf *out) MUST_CHECK;

#endif
