/*
 * The server's side of a SASL exchange in SMTP (RFC 4954): lines of base64 in, lines of base64 out. Pure: it
 * knows no account and no clock; whoever drives it looks the account up and has its password checked, since
 * that is slow.
 *
 *   start -> line, line... -> ACCOUNT (who is it?)  -> sasl_server_account() -> CHALLENGE (SCRAM) or PASSWORD
 *         -> GOOD, or one of the ends that are not
 *
 * Mechanisms: PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), SCRAM-SHA-256 and -PLUS (RFC 7677). None
 * may act for another: an authorization identity must be the name itself.
 */
#ifndef SEALPOST_SMTP_SASL_SERVER_H
#define SEALPOST_SMTP_SASL_SERVER_H

#include "smtp/sasl_scram.h"

#define SASL_LINE_MAX 12288 /* bytes of a line with its CRLF, RFC 4954 section 4 */

/* From the strongest to the weakest. */
#define SASL_MECHANISM_TABLE(X)                                                                              \
    X(SCRAM_PLUS, "SCRAM-SHA-256-PLUS")                                                                      \
    X(SCRAM, "SCRAM-SHA-256")                                                                                \
    X(PLAIN, "PLAIN")                                                                                        \
    X(LOGIN, "LOGIN")

enum sasl_mechanism {
#define X(name, text) SASL_##name,
    SASL_MECHANISM_TABLE(X)
#undef X
        SASL_MECHANISM_COUNT /* none */
};
const char *sasl_mechanism_name(enum sasl_mechanism m);
/* SASL_MECHANISM_COUNT if it is none of them. */
enum sasl_mechanism sasl_mechanism_find(struct slice name);

enum sasl_step {
    SASL_CHALLENGE, /* send it, and wait for a line */
    SASL_ACCOUNT,   /* look up sasl_server_name() */
    SASL_PASSWORD,  /* check the password against that account's verifier */
    SASL_GOOD,      /* it is sasl_server_name() */
    SASL_REFUSED,   /* it is not, or may not */
    SASL_MALFORMED, /* no base64, or not what the mechanism says */
    SASL_CANCELLED, /* "*" */
    SASL_BROKEN     /* memory */
};

struct sasl_server {
    enum sasl_mechanism mechanism;
    unsigned stage;
    bool plus_offered;
    struct sasl_binding binding;
    char nonce[SCRAM_NONCE_SIZE + 1];
    struct buf name;     /* as the client wrote it, unescaped; at most SASL_NAME_MAX */
    struct buf password; /* PLAIN and LOGIN; wiped */
    /* SCRAM */
    struct scram_verifier verifier;
    struct buf gs2_header, message; /* of client-first; AuthMessage so far */
    struct buf whole_nonce;
};

/* `random`: for the nonce. `plus_offered`: the client was told of the -PLUS form; a client that could use it
 * and says that we could not ("y") has been lied to. `binding`: of this connection. */
void sasl_server_start(struct sasl_server *s, enum sasl_mechanism mechanism, bool plus_offered,
                       const struct sasl_binding *binding, const uint8_t random[SCRAM_NONCE_SIZE]);
/* The initial response ("=" is an empty one), without which `line` is NULL data: then the first challenge is
 * written. */
enum sasl_step sasl_server_begin(struct sasl_server *s, struct slice line, struct buf *challenge) MUST_CHECK;
/* The next line, without CRLF. `challenge` is appended to, in base64. */
enum sasl_step sasl_server_line(struct sasl_server *s, struct slice line, struct buf *challenge) MUST_CHECK;
/* After SASL_ACCOUNT: the account's verifier, or one that no password fits. */
enum sasl_step sasl_server_account(struct sasl_server *s, const struct scram_verifier *verifier,
                                   struct buf *challenge) MUST_CHECK;
struct slice sasl_server_name(const struct sasl_server *s);
void sasl_server_release(struct sasl_server *s); /* wipes; a zeroed struct is fine */

#endif
