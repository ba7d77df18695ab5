/*
 * How a reply to mail that came encrypted is known (encrypt.replies). What a worker decrypted is delivered
 * with one message id more in its References:
 *
 *   <NONCE.MAC@reply.sealpost.invalid>
 *
 * NONCE is 8 random bytes, MAC the first 16 bytes of HMAC-SHA256 under a key that is derived from the
 * cluster's data key, over the nonce and the domain of the recipient; both in lower-case hexadecimal digits.
 * A mail program that replies copies References (RFC 5322 section 3.6.4), so the token comes back on whatever
 * node the reply leaves by, and nothing is stored. Pure; any thread.
 */
#ifndef SEALPOST_MAIL_REPLY_TOKEN_H
#define SEALPOST_MAIL_REPLY_TOKEN_H

#include "crypto/seal.h"

#define REPLY_TOKEN_NONCE 8
#define REPLY_TOKEN_LEN   (1 + 2 * REPLY_TOKEN_NONCE + 1 + 32 + 24) /* bytes, with its brackets */

/* A token for mail to an address of `domain` (normalised). CRYPTO, also without a data key. */
enum status reply_token_make(const struct keyring *keys, const uint8_t nonce[REPLY_TOKEN_NONCE],
                             struct slice domain, char out[REPLY_TOKEN_LEN + 1]) MUST_CHECK;
/* Where something of the form of a token begins in `text`; text.len if there is nothing. Of whatever cluster:
 * the MAC is not looked at. */
size_t reply_token_find(struct slice text);
/* Is it one of this cluster's, for that domain? `token` has REPLY_TOKEN_LEN bytes. CRYPTO when that cannot be
 * found out. */
enum status reply_token_check(const struct keyring *keys, struct slice token, struct slice domain,
                              bool *holds) MUST_CHECK;

#endif
