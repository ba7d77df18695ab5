/* Certificates for tests, made with OpenSSL's own functions: a recipe in, a key and a certificate out. */
#ifndef SEALPOST_TESTS_CRYPTO_PKI_H
#define SEALPOST_TESTS_CRYPTO_PKI_H

#include "crypto/x509.h"

struct recipe {
    const char *name; /* common name */
    const char
        *kind; /* "rsa" (the default), "rsa512", "rsa-pss", "ec", "ec384", "ec521", "ed25519", "x25519" */
    const char *san;          /* as in openssl.cnf, e.g. "email:a@example.org"; NULL for none */
    const char *usage;        /* keyUsage; NULL for none */
    const char *extended;     /* extendedKeyUsage; NULL for none */
    const char *capabilities; /* "DER:..." of smimeCapabilities */
    const char *email_in_subject;
    const char *constraints; /* nameConstraints */
    const char *basic;       /* basicConstraints, where `ca` does not say it all; "none": none */
    const char *policies, *policy_constraints; /* certificatePolicies, policyConstraints */
    const char *points;                        /* crlDistributionPoints */
    const char *unknown;                       /* "critical" or "harmless": an extension that nobody knows */
    const EVP_MD *digest;                      /* of the signature; SHA-256 if NULL */
    bool ca;
    int key;                 /* which of the keys of this kind: 0, 1, 2 (they are made once) */
    uint64_t from_ms, to_ms; /* NOW_MS +- a year if 0 */
};

struct made {
    EVP_PKEY *key;
    X509 *x;
    struct buf der_buf;
    struct slice der;
};

/* issuer NULL: self-signed. Ends the test program when OpenSSL cannot. */
struct made pki_make(const struct recipe *recipe, const struct made *issuer);
void pki_release(struct made *made);
void pki_key_pem(const struct made *made, struct buf *out);
void pki_certificate_pem(const struct made *made, struct buf *out);
void pki_forget_keys(void);

#endif
