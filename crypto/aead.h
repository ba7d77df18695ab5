/* AES-256-GCM, one call a message; internal to crypto/. A nonce is never used twice with one key: the callers
 * see to it. */
#ifndef SEALPOST_CRYPTO_AEAD_H
#define SEALPOST_CRYPTO_AEAD_H

#include "base/slice.h"
#include "base/status.h"

#include <openssl/evp.h>

#define AEAD_NONCE_SIZE 12
#define AEAD_TAG_SIZE   16

/* `out` holds plain.len + AEAD_TAG_SIZE bytes: ciphertext, then tag. */
enum status aead_seal(EVP_CIPHER_CTX *ctx, struct slice key, const uint8_t nonce[AEAD_NONCE_SIZE],
                      struct slice context, struct slice plain, uint8_t *out) MUST_CHECK;
/* `out` holds sealed.len - AEAD_TAG_SIZE bytes; it is wiped and CRYPTO given when the tag does not fit. */
enum status aead_open(EVP_CIPHER_CTX *ctx, struct slice key, const uint8_t nonce[AEAD_NONCE_SIZE],
                      struct slice context, struct slice sealed, uint8_t *out) MUST_CHECK;

#endif
