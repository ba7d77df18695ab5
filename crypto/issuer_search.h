/*
 * Looking for the certificates between a signer and a trust anchor that did not come along: which one is
 * missing, where it can be had (Authority Information Access, RFC 5280 section 4.2.2.1), and whether what
 * came is the right one. Asks nobody: that is the fetch role's part. All bytes are hostile. Any thread.
 */
#ifndef SEALPOST_CRYPTO_ISSUER_SEARCH_H
#define SEALPOST_CRYPTO_ISSUER_SEARCH_H

#include "crypto/x509.h"

#define ISSUER_URLS_MAX 4

/* From `leaf` upwards through `known` as far as signatures hold: the certificate whose issuer is missing.
 * NULL when the path ends in a self-signed one. Borrowed. */
X509 *issuer_search_top(X509 *leaf, STACK_OF(X509) * known);
/* Its caIssuers locations that are http or https, copied into the arena; the count. */
size_t issuer_search_urls(X509 *of, struct arena *a, struct slice urls[ISSUER_URLS_MAX]);
/* The CA certificate within `content` (DER, PEM or PKCS#7) whose key signed `of`; the caller frees it.
 * UNTRUSTED: there is none; MALFORMED: there are no certificates in it. */
enum status issuer_search_pick(struct slice content, X509 *of, X509 **issuer, struct failure *f) MUST_CHECK;

#endif
