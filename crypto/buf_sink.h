/* A BIO of OpenSSL that appends to a struct buf: what CMS writes lands where it stays, and is wiped where the
 * buffer says so. Internal to crypto/. */
#ifndef SEALPOST_CRYPTO_BUF_SINK_H
#define SEALPOST_CRYPTO_BUF_SINK_H

#include "base/buf.h"

#include <openssl/bio.h>

/* `out` is borrowed until BIO_free(). A write beyond its maximum, or without memory, fails. NULL: no memory.
 */
BIO *buf_sink_new(struct buf *out);

#endif
