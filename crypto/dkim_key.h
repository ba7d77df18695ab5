/*
 * DKIM key pairs (RFC 6376 section 3.6, RFC 8463, RFC 8301): RSA of 2048 to 4096 bits, and Ed25519. Any
 * thread.
 */
#ifndef SEALPOST_CRYPTO_DKIM_KEY_H
#define SEALPOST_CRYPTO_DKIM_KEY_H

#include "base/buf.h"
#include "store/records_dkim.h"

#include <openssl/evp.h>

#define DKIM_RSA_BITS_MIN     2048 /* RFC 8301 section 3.2 */
#define DKIM_RSA_BITS_MAX     4096
#define DKIM_RECORD_MAX       ((size_t)4 << 10) /* bytes of a DNS record's text */
#define DKIM_RECORD_PIECE_MAX 255               /* bytes of a string in a TXT record */

/* `bits` counts for RSA: 2048 to 4096 in steps of 8. Takes about a tenth of a second to a second for RSA. */
enum status dkim_key_generate(enum dkim_algorithm algorithm, uint64_t bits, EVP_PKEY **key,
                              struct failure *f) MUST_CHECK;
/* A private key in PEM (PKCS#8 or PKCS#1), without a password. MALFORMED, INVALID, UNSUPPORTED with a text
 * that says what would be right. */
enum status dkim_key_read(struct slice pem, EVP_PKEY **key, struct failure *f) MUST_CHECK;
/* Algorithm, size, public key (appended, SubjectPublicKeyInfo) and its SHA-256. UNSUPPORTED: another kind of
 * key, or a size that is not taken. */
enum status dkim_key_describe(EVP_PKEY *key, enum dkim_algorithm *algorithm, uint64_t *bits,
                              struct buf *public_key, uint8_t id[DKIM_KEY_ID_SIZE],
                              struct failure *f) MUST_CHECK;
/* Appends what DNS publishes for the key: "v=DKIM1; k=rsa; p=...". */
enum status dkim_record_text(const struct dkim_key_record *record, struct buf *out) MUST_CHECK;

#endif
