/*
 * The messages of SCRAM (RFC 5802 section 7): parsing of what the other side says and writing of what we say.
 * Pure and bounded; slices point into the message. The arithmetic is crypto/scram.h.
 *
 *   client-first   n,,n=user,r=NONCE                 or  p=tls-exporter,,n=user,r=NONCE
 *   server-first   r=NONCE+OURS,s=SALT,i=ITERATIONS
 *   client-final   c=BINDING,r=NONCE+OURS,p=PROOF
 *   server-final   v=SIGNATURE                       or  e=ERROR
 *   AuthMessage    client-first without its first two fields "," server-first "," client-final without
 * ",p=..."
 */
#ifndef SEALPOST_SMTP_SASL_SCRAM_H
#define SEALPOST_SMTP_SASL_SCRAM_H

#include "base/buf.h"
#include "crypto/scram.h"

#define SASL_NAME_MAX    255  /* bytes of an account's name or of a next hop's user */
#define SASL_MESSAGE_MAX 9216 /* what fits into 12288 bytes of base64, RFC 4954 section 4 */
#define SCRAM_NONCE_SIZE 30   /* printable characters that we add */

/* What binds an exchange to its TLS connection (RFC 5929 section 4, RFC 9266). */
struct sasl_binding {
    const char *type; /* "tls-exporter", "tls-server-end-point"; NULL: there is none */
    uint8_t data[64];
    size_t len;
};

struct scram_client_first {
    char flag;               /* 'n', 'y' or 'p' */
    struct slice binding;    /* the name after "p=" */
    struct slice gs2_header; /* with its last comma */
    struct slice bare;       /* what AuthMessage has of it */
    struct slice authzid;    /* as written, with its escapes; empty: none */
    struct slice name;       /* the same */
    struct slice nonce;
};
enum status scram_client_first_parse(struct slice message, struct scram_client_first *out) MUST_CHECK;

struct scram_server_first {
    struct slice nonce;
    uint8_t salt[SCRAM_SALT_MAX];
    size_t salt_len;
    uint32_t iterations;
};
/* UNSUPPORTED: iterations out of bounds; MALFORMED. */
enum status scram_server_first_parse(struct slice message, struct scram_server_first *out) MUST_CHECK;

struct scram_client_final {
    struct slice binding; /* base64 */
    struct slice nonce;
    struct slice without_proof;
    uint8_t proof[SCRAM_KEY_SIZE];
};
enum status scram_client_final_parse(struct slice message, struct scram_client_final *out) MUST_CHECK;

/* DENIED: it says e=; MALFORMED. */
enum status scram_server_final_parse(struct slice message, uint8_t signature[SCRAM_KEY_SIZE]) MUST_CHECK;

/* "=2C" and "=3D" (RFC 5802 section 5.1). Both append. */
enum status scram_name_decode(struct slice in, struct buf *out) MUST_CHECK;
enum status scram_name_encode(struct slice in, struct buf *out) MUST_CHECK;
/* Random bytes as printable characters that are no comma. */
void scram_nonce_of(const uint8_t random[SCRAM_NONCE_SIZE], char out[SCRAM_NONCE_SIZE + 1]);

#endif
