/*
 * The certificates that a signed message brought along, and which of them its signer wants mail to be
 * encrypted to (smimeEncryptionKeyPreference, RFC 8551 section 2.5.3). Nothing is verified here: ask only of
 * a signature that was found to hold, and check paths before anything is believed. The bytes are hostile.
 */
#ifndef SEALPOST_CRYPTO_SMIME_CERTIFICATES_H
#define SEALPOST_CRYPTO_SMIME_CERTIFICATES_H

#include "crypto/x509.h"

#define SMIME_BROUGHT_MAX 16 /* certificates that are looked at; the rest is left alone */

struct smime_brought {
    struct slice der[SMIME_BROUGHT_MAX]; /* in the arena */
    size_t count;
    size_t signer;    /* position of the first signer's certificate; `count` if it is not among them */
    size_t preferred; /* position of the one that mail should be encrypted to; `count`: nothing was said */
};

/* MALFORMED: no SignedData, or one with more or less than one signer. */
enum status smime_certificates_brought(struct slice cms, struct arena *a,
                                       struct smime_brought *out) MUST_CHECK;

/* As trust_check() for encryption, with the brought ones as possible intermediates. */
enum status smime_brought_check(const struct smime_brought *brought, size_t which, struct trust *trust,
                                uint64_t now_ms, struct failure *f) MUST_CHECK;
/* Positions of the brought CA certificates above `which`, each having signed the one below, without a
 * self-signed one. The count. */
size_t smime_brought_chain(const struct smime_brought *brought, size_t which,
                           size_t chain[SMIME_BROUGHT_MAX]);
/* Have both certificates the same public key? false also when one cannot be read. */
bool certificates_share_key(struct slice a, struct slice b);
/* Whether the second's key has signed the first, under its name. */
bool certificates_are_linked(struct slice certificate, struct slice issuer);

#endif
