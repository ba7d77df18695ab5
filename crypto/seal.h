/*
 * Keys at rest. The master key (32 bytes, from a file, a credential, ...) is never used directly: HKDF-SHA256
 * derives one key a purpose. "sealpost kek"        wraps the data key, which seals secrets in commands
 * (private keys, the CA key) "sealpost spool"      wraps each spooled message's own key "sealpost node tls"
 * seals this node's TLS keys on its disk; TRANSPORT_KEY_PURPOSE seals secrets of mail transport
 * (crypto/transport_secret.h)
 *
 * A sealed blob: byte 0: version (1); bytes 1..12: nonce; then AES-256-GCM ciphertext; 16 bytes tag. The
 * context (what it is for, e.g. "key:" + thumbprint hex) is authenticated with it, so that a blob cannot be
 * moved to another place.
 */
#ifndef SEALPOST_CRYPTO_SEAL_H
#define SEALPOST_CRYPTO_SEAL_H

#include "base/buf.h"
#include "base/secret.h"

#include <openssl/evp.h>

#define KEY_SIZE      32
#define SEAL_OVERHEAD 29

/* Read "file:PATH" or "credential:NAME" (systemd's $CREDENTIALS_DIRECTORY). A file must hold 64 hex digits
 * (and white space) or 32 bytes, and must not be readable by others than its owner and group. */
enum status master_key_load(struct slice source, struct secret *key, struct failure *f) MUST_CHECK;
enum status key_derive(struct slice master, const char *purpose, struct secret *out) MUST_CHECK;
enum status seal(struct slice key, struct slice context, struct slice plain, struct buf *out) MUST_CHECK;
/* CRYPTO with a clear text when key, context or bytes do not fit. `out` has not been written then. */
enum status unseal(struct slice key, struct slice context, struct slice sealed, struct secret *out,
                   struct failure *f) MUST_CHECK;

/* What opens and seals the secrets of the store in this process. NULL-safe release. */
struct keyring {
    struct secret kek, data_key;
    uint8_t data_key_id[16];
    bool has_data_key;
};
void keyring_release(struct keyring *k);
/* Unwrap the data key found in the store (cluster record); call again when its id changes. */
enum status keyring_load(struct keyring *k, struct slice data_key_id, struct slice wrapped,
                         struct failure *f) MUST_CHECK;
enum status keyring_wrap_new_data_key(struct slice kek, uint8_t id[16], struct buf *wrapped,
                                      struct secret *data_key) MUST_CHECK;

/* The one place in which a private key is opened: sealed PKCS#8 DER of a certificate's key -> EVP_PKEY
 * (caller frees). */
enum status private_key_open(const struct keyring *k, const uint8_t thumbprint[32], struct slice sealed,
                             EVP_PKEY **key, struct failure *f) MUST_CHECK;
enum status private_key_seal(const struct keyring *k, const uint8_t thumbprint[32], EVP_PKEY *key,
                             struct buf *sealed, struct failure *f) MUST_CHECK;

#endif
