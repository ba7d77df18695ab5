/*
 * Parsed certificates, kept for the next message: to parse one and decode its key costs OpenSSL 3.0 three
 * times as much as to encrypt to it. A fixed number of places; who comes later takes the place. Internal to
 * crypto/; one thread.
 */
#ifndef SEALPOST_CRYPTO_CERTIFICATE_CACHE_H
#define SEALPOST_CRYPTO_CERTIFICATE_CACHE_H

#include "crypto/x509.h"

struct certificate_cache;

struct certificate_cache *certificate_cache_new(void);    /* NULL: no memory */
void certificate_cache_free(struct certificate_cache *c); /* NULL is fine */
/* As certificate_from_der(): the caller frees what it gets. `c` NULL: without a cache. */
X509 *certificate_cache_get(struct certificate_cache *c, struct slice der);

#endif
