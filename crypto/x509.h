/*
 * X.509 as Sealpost uses it: reading certificates and key files, what a certificate is fit for, path
 * validation to the trust anchors, and the cluster's own small CA. OpenSSL behind it; errors name what is
 * wrong and what would be right.
 */
#ifndef SEALPOST_CRYPTO_X509_H
#define SEALPOST_CRYPTO_X509_H

#include "base/arena.h"
#include "base/secret.h"
#include "store/records.h"

#include <openssl/x509.h>

/* The store's record for a certificate: everything that selection needs. Strings in the arena; der borrowed
 * from `der`. */
enum status certificate_describe(struct slice der, struct slice source, uint64_t now_ms, struct arena *a,
                                 struct certificate_record *out, struct failure *f) MUST_CHECK;

/* Milliseconds since 1970, UTC; what is before is 0. NULL, or no time (RFC 5280 section 4.1.2.5): false. */
bool asn1_time_ms(const ASN1_TIME *time, uint64_t *out);

#define CERTIFICATES_PER_FILE_MAX 256
struct certificate_file {
    struct slice der[CERTIFICATES_PER_FILE_MAX]; /* in the arena */
    size_t count;
};
/* PEM (several), DER, or PKCS#7 with certificates. MALFORMED with a text if it is none of these. */
enum status certificate_file_read(struct slice content, struct arena *a, struct certificate_file *out,
                                  struct failure *f) MUST_CHECK;

#define KEYS_PER_FILE_MAX 16
struct key_file {
    EVP_PKEY *keys[KEYS_PER_FILE_MAX]; /* at least one, no two alike; owned */
    size_t key_count;
    struct certificate_file certificates; /* the first is the first key's own */
};
/* PKCS#12 (RFC 7292; password needed; old RC2/3DES ones too, with the legacy provider), or PEM with keys and
 * certificates (one password for all encrypted keys). WRONG_PASSWORD; INVALID when a key has no certificate
 * in the file; TOO_LARGE. Certificates in the arena; release it also after a failure, which leaves it empty.
 */
enum status key_file_read(struct slice content, struct slice password, struct arena *a, struct key_file *file,
                          struct failure *f) MUST_CHECK;
void key_file_release(struct key_file *file);
/* The key of this certificate (borrowed); NULL: none of the file's. */
EVP_PKEY *key_file_key_of(const struct key_file *file, struct slice der);
bool key_fits_certificate(EVP_PKEY *key, struct slice der);

/* Path validation (RFC 5280) from stored anchors and intermediates at a given time. */
struct trust; /* parsed anchors and intermediates */
enum status trust_load(struct store_view *view, struct trust **out, struct failure *f) MUST_CHECK;
/* The same from certificates in hand (DER, not kept). What cannot be read is left out. */
enum status trust_make(const struct slice *anchors, size_t anchor_count, const struct slice *intermediates,
                       size_t intermediate_count, struct trust **out, struct failure *f) MUST_CHECK;
void trust_free(struct trust *t);
/* Where a trust that was loaded looks for revocations, the certificate trust list and smime.revocation: each
 * message's own view. trust_load() looks in the view that it was given. Borrowed: NULL before the view ends;
 * without a view nothing is trusted. NULL as trust, and one that was made, are fine and look nowhere. */
void trust_look_in(struct trust *t, struct store_view *view);
/* One more certificate for building paths, trusted by nothing but its issuer. INVALID: no CA certificate;
 * BUSY: it has been given too many. */
enum status trust_add_intermediate(struct trust *t, struct slice der) MUST_CHECK;
enum trust_purpose { TRUST_FOR_ENCRYPTION, TRUST_FOR_SIGNATURE };
/* OK, EXPIRED (or not yet valid), UNTRUSTED (no path to an anchor; denied; with smime.revocation=hard nothing
 * is known), REVOKED, INVALID (not fit for the purpose, broken); anything else is an error of ours. `extra`
 * may hold untrusted certificates that came with a message. The failure names the certificate and the reason
 * in plain words. `t` NULL: no anchors. */
enum status trust_check(struct trust *t, struct slice der, STACK_OF(X509) * extra, enum trust_purpose purpose,
                        uint64_t now_ms, struct failure *f) MUST_CHECK;

/* The same for a certificate that somebody has decided to use whoever issued it (pinned, or named by a
 * setting): it needs no path; denied, revoked, out of time or unfit for the purpose it is refused all the
 * same. */
enum status trust_check_pinned(struct trust *t, struct slice der, enum trust_purpose purpose, uint64_t now_ms,
                               struct failure *f) MUST_CHECK;

/* The stored CA certificate whose key signed this one: borrowed; NULL if there is none. */
X509 *trust_issuer_of(struct trust *t, X509 *x);

enum revocation_known { REVOCATION_UNKNOWN, REVOCATION_GOOD, REVOCATION_REVOKED };
struct certificate_revocation {
    enum revocation_known known;
    bool by_ocsp;        /* what tells: an answer, or else a list */
    uint64_t revoked_ms; /* REVOKED */
    const char *reason;  /* REVOKED; static */
    uint64_t until_ms;   /* GOOD: nextUpdate of what tells */
};
/* What its issuer says of a certificate, for people: whether it is trusted is another matter. UNKNOWN also
 * when no certificate of the issuer is stored. */
enum status trust_revocation_of(struct trust *t, struct slice der, uint64_t now_ms,
                                struct certificate_revocation *out) MUST_CHECK;

/* --- the cluster CA: ECDSA P-256; a node's certificate carries URI:sealpost:node:ID, DNS and IP names of its
 * addresses --- */
enum status cluster_ca_make(struct slice cluster_name, uint64_t now_ms, X509 **ca, EVP_PKEY **key,
                            struct failure *f) MUST_CHECK;
/* names: comma-separated host names and IP addresses. peer: for the peers' port (client and server use, with
 * the node id); else a service certificate (server use, for API and SMTP). Valid 10 years less than the CA.
 */
enum status cluster_ca_issue(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *subject_key, uint64_t node_id,
                             struct slice node_name, struct slice names, bool peer, uint64_t now_ms,
                             X509 **out, struct failure *f) MUST_CHECK;
enum status key_generate_p256(EVP_PKEY **key) MUST_CHECK;
enum status key_to_der(EVP_PKEY *key, struct secret *pkcs8) MUST_CHECK;
enum status key_from_der(struct slice pkcs8, EVP_PKEY **key) MUST_CHECK; /* RSA, EC, Ed25519; MALFORMED */
enum status certificate_to_der(X509 *x, struct buf *out) MUST_CHECK;
X509 *certificate_from_der(struct slice der); /* NULL if it is none */
/* By names, key identifiers and signature. */
bool certificate_is_issued_by(X509 *x, X509 *issuer);
/* false: an EC key that writes out the numbers of its curve in place of the curve's name (explicit
 * parameters), which RFC 5480 section 2.1.1 forbids: a curve of one's own choice makes forged keys that look
 * like a known one (CVE-2020-0601). */
bool key_curve_is_named(EVP_PKEY *key);
enum status certificate_to_pem(struct slice der, struct buf *out) MUST_CHECK;
enum status spki_hash_of_key(EVP_PKEY *key,
                             uint8_t hash[32]) MUST_CHECK; /* SHA-256 of SubjectPublicKeyInfo */
enum status spki_hash_of_certificate(X509 *x, uint8_t hash[32]) MUST_CHECK;
void sha256(struct slice in, uint8_t hash[32]);

#endif
