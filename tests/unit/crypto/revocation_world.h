/* A store with certificates in it and a CA that makes revocation lists: for the tests of crypto/crl.c and of
 * crypto/trust_store.c. */
#ifndef SEALPOST_TESTS_CRYPTO_REVOCATION_WORLD_H
#define SEALPOST_TESTS_CRYPTO_REVOCATION_WORLD_H

#include "crypto_test.h"

#include "crypto/crl.h"
#include "tests/unit/store/test_support.h"

struct revocation_world {
    char dir[64];
    struct store *store;
    uint64_t index;
    struct made root, inter, leaf, other; /* root -> inter -> leaf, other; the root is the anchor */
};

struct listed {
    const struct made *certificate; /* or: */
    uint64_t serial;
    int reason; /* -1: none is named */
};

struct list_recipe {
    long number, base; /* 0: none */
    uint64_t this_ms, next_ms;
    const struct listed *entries;
    size_t count;
    const char *point;    /* issuingDistributionPoint as in openssl.cnf: "URI:..." is a fullname */
    const char *freshest; /* URI of freshestCRL */
    bool user_only, indirect;
    const char *unknown;  /* "critical": an extension that nobody knows */
    const EVP_MD *digest; /* NULL: SHA-256 */
};

void revocation_world_begin(struct revocation_world *w);
void revocation_world_end(struct revocation_world *w);
struct apply_result world_apply(struct revocation_world *w, const struct command *c);
void world_certificate(struct revocation_world *w, const struct made *m, bool anchor); /* is stored */
void world_setting(struct revocation_world *w, const char *name, const char *value);
void world_ctl(struct revocation_world *w, const struct made *certificate, enum ctl_verdict verdict,
               uint64_t expires_ms, const char *comment);
void world_ocsp(struct revocation_world *w, const struct made *certificate, const struct made *issuer,
                enum ocsp_status status, uint64_t next_ms);
/* DER; the caller releases `out`. */
void list_make(const struct list_recipe *recipe, const struct made *issuer, struct buf *out);
/* Read, verify and apply all commands: what crl_verify() said, or the first command's refusal. */
enum status list_import(struct revocation_world *w, const struct list_recipe *recipe,
                        const struct made *issuer, struct failure *f);
/* What trust_check() says of it now, in a view of its own. */
enum status world_judge(struct revocation_world *w, const struct made *certificate, struct failure *f);

#endif
