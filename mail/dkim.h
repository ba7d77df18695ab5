/*
 * DKIM signatures (RFC 6376, RFC 8463, RFC 8301): canonical forms, and the DKIM-Signature field for a message
 * in its final bytes. Pure; any thread. Who is signed for and with which keys is decided in
 * mail/flow_dkim.c; keys and DNS records are in crypto/dkim_key.h.
 */
#ifndef SEALPOST_MAIL_DKIM_H
#define SEALPOST_MAIL_DKIM_H

#include "mail/entity.h"
#include "store/records_dkim.h"

#include <openssl/evp.h>

#define DKIM_NAMES_MAX 400 /* entries of h= */

enum dkim_form { DKIM_SIMPLE, DKIM_RELAXED };

/* Takes the canonical bytes piece by piece. */
typedef void (*dkim_emit_cb)(void *context, struct slice bytes);

/* RFC 6376 sections 3.4.3 and 3.4.4. Any bytes are a body; only CRLF ends a line. Holds nothing in memory. */
void dkim_body_canonical(struct slice body, enum dkim_form form, dkim_emit_cb emit, void *context);
/* Sections 3.4.1 and 3.4.2, of one field with or without its last line end; what comes out has none. */
void dkim_field_canonical(struct slice field, enum dkim_form form, dkim_emit_cb emit, void *context);
enum status dkim_body_hash(struct slice body, enum dkim_form form, uint8_t hash[32]) MUST_CHECK;

/* Appends, in base64, the signature over the fields that `names` choose (section 5.4.2: the last field of a
 * name first; a name beyond the fields that there are stands for nothing) and over `unfinished`, the
 * DKIM-Signature field up to its "b=". CRYPTO when the key does not sign. */
enum status dkim_signature(const struct entity *message, const struct slice *names, size_t count,
                           enum dkim_form form, struct slice unfinished, enum dkim_algorithm algorithm,
                           EVP_PKEY *key, struct buf *base64) MUST_CHECK;

struct dkim_signer {
    struct slice domain, selector;
    enum dkim_algorithm algorithm;
    EVP_PKEY *key; /* borrowed */
};

struct dkim_options {
    enum dkim_form header, body;
    uint64_t time_s;  /* t=; 0: none */
    uint64_t until_s; /* x=; 0: none */
};

/* Appends a DKIM-Signature field for each signer, complete with line ends, to stand in front of the message.
 * TOO_LARGE when the message has more fields to sign than h= may name. */
enum status dkim_sign(const struct entity *message, const struct dkim_signer *signers, size_t count,
                      const struct dkim_options *options, struct buf *out, struct failure *f) MUST_CHECK;

#endif
