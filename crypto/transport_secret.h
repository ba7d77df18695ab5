/*
 * Secrets that carrying mail needs, in the store: keys of TLS certificates, credentials for next hops, SCRAM
 * verifiers. They are sealed (crypto/seal.h) by the transport key, which is derived from the master key for
 * this purpose alone: the api role seals, the smtp role opens, and neither reaches a user's private key by
 * it.
 *
 * A sealed blob is bound to its place: the authenticated context is "transport:KIND:NAME". The kind is a word
 * of lower-case letters, digits and hyphens, so that no two places have one context.
 */
#ifndef SEALPOST_CRYPTO_TRANSPORT_SECRET_H
#define SEALPOST_CRYPTO_TRANSPORT_SECRET_H

#include "crypto/seal.h"

#define TRANSPORT_KEY_PURPOSE       "sealpost transport"
#define TRANSPORT_SECRET_NAME_MAX   512                /* bytes */
#define TRANSPORT_SECRET_MAX        ((size_t)64 << 10) /* bytes of the plain secret */
#define TRANSPORT_SECRET_SEALED_MAX (TRANSPORT_SECRET_MAX + SEAL_OVERHEAD)
#define TRANSPORT_KIND_TLS_KEY      "tls-key"  /* name: the TLS certificate's; plain: PKCS#8 DER */
#define TRANSPORT_KIND_ACCOUNT      "account"  /* name: the account's */
#define TRANSPORT_KIND_NEXT_HOP     "next-hop" /* name: of the credentials */

/* Appends to `out`. UNAVAILABLE when this process was given no transport key. */
enum status transport_secret_seal(struct slice transport_key, const char *kind, struct slice name,
                                  struct slice plain, struct buf *out, struct failure *f) MUST_CHECK;
/* Into `out`, which the caller releases; empty after a failure. CRYPTO when key, kind, name or bytes do not
 * fit. */
enum status transport_secret_open(struct slice transport_key, const char *kind, struct slice name,
                                  struct slice sealed, struct secret *out, struct failure *f) MUST_CHECK;

#endif
