/*
 * A message's variants on disk: each is cut into chunks of CHUNK_PLAIN_SIZE bytes, sealed one by one with
 * AES-256-GCM under the message's own key, so that a body of any size is written and read in bounded memory.
 *
 *   sealed chunk: ciphertext (as long as the plain bytes), 16 bytes tag
 *   nonce:        4 bytes variant, 4 bytes chunk, 4 bytes zero; big endian. The key is used for this message
 * alone, so no nonce repeats. context:      the message's id and one byte: 1 for the last chunk of the
 * variant, else 0
 *
 * A chunk that is flipped, moved to another place, variant or message, or a variant that is cut short, does
 * not open.
 */
#ifndef SEALPOST_CRYPTO_CHUNK_CIPHER_H
#define SEALPOST_CRYPTO_CHUNK_CIPHER_H

#include "base/buf.h"

#define CHUNK_PLAIN_SIZE ((size_t)64 << 10)
#define CHUNK_OVERHEAD   16

struct chunk_cipher;

/* key: 32 bytes, copied and wiped with the cipher. id: at most 64 bytes, copied. */
enum status chunk_cipher_new(struct slice key, struct slice id, struct chunk_cipher **out) MUST_CHECK;
void chunk_cipher_free(struct chunk_cipher *c); /* NULL is fine */
/* Appends to `out`. At most CHUNK_PLAIN_SIZE bytes. */
enum status chunk_seal(struct chunk_cipher *c, uint32_t variant, uint32_t chunk, bool last,
                       struct slice plain, struct buf *out) MUST_CHECK;
/* CRYPTO, and nothing appended, when it does not open. */
enum status chunk_open(struct chunk_cipher *c, uint32_t variant, uint32_t chunk, bool last,
                       struct slice sealed, struct buf *out) MUST_CHECK;

#endif
