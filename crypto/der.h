/* Writing DER (X.690 section 10): an element around bytes that are there already, inside out. Internal to
 * crypto/; for structures that OpenSSL 3.0 does not write. */
#ifndef SEALPOST_CRYPTO_DER_H
#define SEALPOST_CRYPTO_DER_H

#include "crypto/ber.h"

/* Identifier and length octets for `len` bytes that the caller appends. */
enum status der_put_head(struct buf *out, uint8_t tag, size_t len) MUST_CHECK;
/* The whole element. `content` lies outside of `out`. */
enum status der_put(struct buf *out, uint8_t tag, struct slice content) MUST_CHECK;

#endif
