/*
 * The arithmetic of SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677): what is stored of a password, and the
 * proofs that both sides give each other. What goes over the wire is smtp/sasl_scram.h.
 *
 *   SaltedPassword = PBKDF2-HMAC-SHA-256(password, salt, iterations)      slow: never on a loop's thread
 *   StoredKey      = SHA-256(HMAC(SaltedPassword, "Client Key"))
 *   ServerKey      = HMAC(SaltedPassword, "Server Key")
 *
 * Passwords: SASLprep (RFC 4013) and its successor (RFC 8265, OpaqueString) leave printable ASCII as it is,
 * so there is one form of it. Beyond ASCII the two differ from each other and clients from both: such a
 * password is refused when it is set, instead of being refused to the one client that prepares it in another
 * way.
 *
 * Any thread. Whoever gets a verifier or a salted password wipes it.
 */
#ifndef SEALPOST_CRYPTO_SCRAM_H
#define SEALPOST_CRYPTO_SCRAM_H

#include "base/slice.h"
#include "base/status.h"

#define SCRAM_KEY_SIZE       32
#define SCRAM_SALT_SIZE      16
#define SCRAM_SALT_MAX       64
#define SCRAM_ITERATIONS     100000 /* of new verifiers; some 30 ms */
#define SCRAM_ITERATIONS_MIN 4096   /* RFC 7677 section 4 */
#define SCRAM_ITERATIONS_MAX 2000000
#define PASSWORD_MAX         512 /* bytes */

struct scram_verifier {
    uint8_t salt[SCRAM_SALT_MAX];
    size_t salt_len;
    uint32_t iterations;
    uint8_t stored_key[SCRAM_KEY_SIZE], server_key[SCRAM_KEY_SIZE];
};

/* INVALID, and why: empty, too long, or with something else than printable ASCII. */
enum status password_check(struct slice password, struct failure *f) MUST_CHECK;

/* Slow. */
enum status scram_salted_password(struct slice password, struct slice salt, uint32_t iterations,
                                  uint8_t out[SCRAM_KEY_SIZE]) MUST_CHECK;
/* From the salted password; `salt` has at most SCRAM_SALT_MAX bytes. */
enum status scram_verifier_of(const uint8_t salted[SCRAM_KEY_SIZE], struct slice salt, uint32_t iterations,
                              struct scram_verifier *out) MUST_CHECK;
/* Slow: of a new password, with SCRAM_ITERATIONS and random bytes as its salt. */
enum status scram_verifier_make(struct slice password, const uint8_t salt[SCRAM_SALT_SIZE],
                                struct scram_verifier *out) MUST_CHECK;
/* Slow: is it the password? DENIED if not, in the same time. */
enum status scram_verifier_check(const struct scram_verifier *v, struct slice password) MUST_CHECK;
/* For a name that nobody has: the same at each time for the same key (32 bytes) and name, so that it cannot
 * be told from one that is there; no password fits. */
enum status scram_verifier_fake(struct slice key, struct slice name, struct scram_verifier *out) MUST_CHECK;

/* Byte 0: version (1); 1..4: iterations, big endian; 5: length of the salt; salt; StoredKey; ServerKey. */
#define SCRAM_ENCODED_MAX (6 + SCRAM_SALT_MAX + 2 * SCRAM_KEY_SIZE)
size_t scram_verifier_encode(const struct scram_verifier *v, uint8_t out[SCRAM_ENCODED_MAX]);
enum status scram_verifier_decode(struct slice in, struct scram_verifier *out) MUST_CHECK;

/* The server's side: does the client's proof fit (in constant time; DENIED if not), and what proves the
 * server. */
enum status scram_proof_check(const struct scram_verifier *v, struct slice auth_message,
                              const uint8_t proof[SCRAM_KEY_SIZE]) MUST_CHECK;
enum status scram_server_signature(const struct scram_verifier *v, struct slice auth_message,
                                   uint8_t out[SCRAM_KEY_SIZE]) MUST_CHECK;
/* The client's side: its proof, and the signature that it must see. */
enum status scram_client_proof(const uint8_t salted[SCRAM_KEY_SIZE], struct slice auth_message,
                               uint8_t proof[SCRAM_KEY_SIZE], uint8_t signature[SCRAM_KEY_SIZE]) MUST_CHECK;

#endif
