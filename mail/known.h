/*
 * What a worker remembers from one message to the next: certificates that it has judged to be good, and keys
 * that it has opened. Both cost more than all the rest of a small message. Bounded; one thread. Everything
 * may be forgotten at any time.
 */
#ifndef SEALPOST_MAIL_KNOWN_H
#define SEALPOST_MAIL_KNOWN_H

#include "crypto/seal.h"
#include "crypto/x509.h"

struct known;
enum status known_new(struct known **out) MUST_CHECK;
void known_free(struct known *k); /* NULL is fine */
/* Must be called when the trust anchors or certificates of the store, or the data key, have changed. */
void known_forget(struct known *k);

/* As trust_check(). That a certificate is good is remembered until the next minute begins: an issuer's
 * certificate that expires within it counts until then. `k` may be NULL. */
enum status known_trust_check(struct known *k, struct trust *trust, const uint8_t thumbprint[THUMBPRINT_SIZE],
                              struct slice der, enum trust_purpose purpose, uint64_t now_ms,
                              struct failure *f) MUST_CHECK;

/* As private_key_open(); the caller frees the key as there. `k` may be NULL. */
enum status known_key_open(struct known *k, const struct keyring *keys,
                           const uint8_t thumbprint[THUMBPRINT_SIZE], struct slice sealed, EVP_PKEY **key,
                           struct failure *f) MUST_CHECK;

#endif
