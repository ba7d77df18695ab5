/*
 * The client's side of a SASL exchange in SMTP (RFC 4954): what to say to a next hop that asks who we are.
 * Pure; the slow part of SCRAM is done by whoever drives it.
 *
 *   start -> initial response -> challenge -> SEND ... -> SALT (make the salted password) -> SEND ->
 * challenge -> SEND -> 235 -> sasl_client_over()
 *
 * With SCRAM the server proves that it knows the password too: one that does not is not believed, whatever it
 * replies.
 */
#ifndef SEALPOST_SMTP_SASL_CLIENT_H
#define SEALPOST_SMTP_SASL_CLIENT_H

#include "smtp/sasl_server.h"

/* What the AUTH line of an EHLO reply offers ("AUTH PLAIN LOGIN"), one bit a mechanism. */
unsigned sasl_offers_read(struct slice words);
/* The strongest of them; SASL_MECHANISM_COUNT: none. The -PLUS form only with a binding. */
enum sasl_mechanism sasl_choose(unsigned offers, const struct sasl_binding *binding);

enum sasl_client_step {
    SASL_SEND, /* what was written */
    SASL_SALT, /* make the salted password of sasl_client's `first`, then sasl_client_salted() */
    SASL_LIES, /* it does not speak the mechanism, or does not know the password */
    SASL_NO_MEMORY
};

struct sasl_client {
    enum sasl_mechanism mechanism;
    unsigned stage;
    bool proven; /* SCRAM: its signature was right */
    struct sasl_binding binding;
    char nonce[SCRAM_NONCE_SIZE + 1];
    char flag; /* of SCRAM */
    struct buf user, password;
    struct buf gs2_header, message, server_first;
    struct scram_server_first first; /* its nonce points into server_first */
    uint8_t signature[SCRAM_KEY_SIZE];
};

/* Copies all. `offers`: of the EHLO reply under TLS. */
enum status sasl_client_start(struct sasl_client *c, enum sasl_mechanism mechanism, unsigned offers,
                              struct slice user, struct slice password, const struct sasl_binding *binding,
                              const uint8_t random[SCRAM_NONCE_SIZE]) MUST_CHECK;
/* What goes with the AUTH command, in base64; nothing for LOGIN. Appends. */
enum sasl_client_step sasl_client_initial(struct sasl_client *c, struct buf *out) MUST_CHECK;
/* The text of a 334 reply; what is appended to `out` is the answer in base64. */
enum sasl_client_step sasl_client_challenge(struct sasl_client *c, struct slice text,
                                            struct buf *out) MUST_CHECK;
enum sasl_client_step sasl_client_salted(struct sasl_client *c, const uint8_t salted[SCRAM_KEY_SIZE],
                                         struct buf *out) MUST_CHECK;
/* The server said 235: is that all that the mechanism asks for? */
bool sasl_client_over(const struct sasl_client *c);
void sasl_client_release(struct sasl_client *c); /* wipes; a zeroed struct is fine */

#endif
