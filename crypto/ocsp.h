/*
 * The Online Certificate Status Protocol (RFC 6960, as RFC 5019 narrows it): who is to be asked about a
 * certificate, the question, and what an answer is worth. Asks nobody: that is the fetch role's part. All
 * bytes are hostile. Any thread.
 */
#ifndef SEALPOST_CRYPTO_OCSP_H
#define SEALPOST_CRYPTO_OCSP_H

#include "crypto/x509.h"
#include "store/records_trust.h"

#define OCSP_URLS_MAX   4
#define OCSP_URL_MAX    1024               /* bytes */
#define OCSP_ANSWER_MAX ((size_t)64 << 10) /* bytes of an answer; one for one certificate has 1 to 4 KB */

/* The responders that the certificate names (id-ad-ocsp) and that are http or https, copied into the arena;
 * the count. */
size_t ocsp_urls(X509 *of, struct arena *a, struct slice urls[OCSP_URLS_MAX]);
/* The body of a POST with the type application/ocsp-request: one certificate, named by SHA-1 (the only digest
 * that every responder knows; it protects nothing), no nonce, since answers are made ahead of time. */
enum status ocsp_question(X509 *x, X509 *issuer, struct buf *out, struct failure *f) MUST_CHECK;
/* What the answer says of `x`, whose issuer this is. OK: good or revoked; it may be stored. UNAVAILABLE: the
 * responder gives no answer (tryLater, unauthorized); NOT_FOUND: it does not know the certificate, or the
 * answer is about others; UNTRUSTED: not signed by the issuer, nor by a responder to which the issuer itself
 * gave that right (id-kp-OCSPSigning, in time, not known to be revoked in `view`); EXPIRED: it is too old;
 * INVALID: it is of the future, or `good` without an end; MALFORMED. */
enum status ocsp_answer_read(struct slice content, X509 *x, X509 *issuer, struct store_view *view,
                             uint64_t now_ms, struct ocsp_record *out, struct failure *f) MUST_CHECK;

/* What was found out about one certificate, with the names under which the store keeps it. */
struct ocsp_finding {
    uint8_t issuer[ISSUER_ID_SIZE];
    uint8_t serial[SERIAL_MAX];
    size_t serial_len;
    struct ocsp_record answer;
};
/* ocsp_answer_read() about a stored certificate by its stored issuer (both named by thumbprint), compared
 * with what is stored: OK: it is to be stored; EXISTS: it is; CONFLICT: one that is newer is; NO_KEY: one of
 * the two certificates is not stored; UNTRUSTED: that is not its issuer. */
enum status ocsp_find(struct slice content, const uint8_t thumbprint[THUMBPRINT_SIZE],
                      const uint8_t issuer[THUMBPRINT_SIZE], struct store_view *view, uint64_t now_ms,
                      struct ocsp_finding *out, struct failure *f) MUST_CHECK;
/* The command that stores it; its values point into `finding`. */
void ocsp_command(const struct ocsp_finding *finding, uint64_t now_ms, struct slice actor,
                  struct command *out);

#endif
