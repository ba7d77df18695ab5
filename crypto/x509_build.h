/* Making certificates: what the cluster's CA and the CA for users have in common. Internal to crypto/. */
#ifndef SEALPOST_CRYPTO_X509_BUILD_H
#define SEALPOST_CRYPTO_X509_BUILD_H

#include "crypto/x509.h"

#define BACKDATE_MS ((uint64_t)300 * 1000) /* clocks differ: a certificate is valid from so long before */

/* Version, a random serial number of 127 bits, public key, validity from a little before `now_ms`. */
bool x509_build_set(X509 *x, EVP_PKEY *key, uint64_t now_ms, uint64_t end_ms);
/* Not beyond the issuer's own end. */
bool x509_build_end_within(X509 *x, X509 *issuer);
/* `value` in the words of OpenSSL's configuration: only our own constants, never what came from outside. */
bool x509_build_extension(X509 *x, X509 *issuer, int nid, const char *value);
/* Signs, and reads it again from its bytes: OpenSSL remembers what it saw of the extensions on the way. Takes
 * `x`; NULL: failed. */
X509 *x509_build_sign(X509 *x, EVP_PKEY *key);
/* SHA-256, or SHA-384 for keys of that strength; NULL for keys with a digest of their own. */
const EVP_MD *x509_digest_for(EVP_PKEY *key);

#endif
