/*
 * Certificate revocation lists (RFC 5280 section 5): read, verified, and turned into commands that bring
 * their rows into the store. The way of a list that was downloaded or given to the API:
 *
 *   crl_read(bytes) -> crl_verify(view) -> for i in 0 .. crl_command_count(): crl_command(i), propose it,
 * stop at the first that is refused.
 *
 * Full lists, lists in parts (by issuing distribution point) and delta lists are read; indirect lists and
 * those of attribute certificates are UNSUPPORTED. The bytes are hostile. One thread a list. Here also: how
 * issuers and serial numbers are named in the store, which OCSP needs too. Does no I/O but reading the store.
 */
#ifndef SEALPOST_CRYPTO_CRL_H
#define SEALPOST_CRYPTO_CRL_H

#include "crypto/x509.h"
#include "store/records_trust.h"

#define CRL_BYTES_MAX ((size_t)64 << 20) /* of one list, DER */

/* An issuer in the store's rows: SHA-256 over the hash of its name's canonical form and its public key, so
 * that a renewed certificate of the same CA is the same issuer. CRYPTO if OpenSSL cannot. */
enum status issuer_id_of(X509 *issuer, uint8_t id[ISSUER_ID_SIZE]) MUST_CHECK;
/* A serial number in the store's rows, in the memory of `serial`: big endian without leading zeros (0 is one
 * zero byte). INVALID if it is longer than SERIAL_MAX. */
enum status serial_bytes(const ASN1_INTEGER *serial, struct slice *out) MUST_CHECK;

struct crl;
/* DER or PEM, one list. MALFORMED, TOO_LARGE, UNSUPPORTED with the reason. `content` is not kept. */
enum status crl_read(struct slice content, struct crl **out, struct failure *f) MUST_CHECK;
void crl_free(struct crl *crl); /* NULL is fine */
/* Find the issuer's certificate among the stored ones (by name, then by signature), which must have the right
 * to sign lists (cRLSign), check the signature, and compare with the list in force: OK: it can be brought in.
 * EXISTS: this very list is in force, or a delta that holds more than it. CONFLICT: one that is newer is in
 * force, or a delta builds upon a list that is not there. NO_KEY: the issuer's certificate is not stored.
 * UNTRUSTED: the signature does not hold. INVALID: thisUpdate lies in the future. */
enum status crl_verify(struct crl *crl, struct store_view *view, uint64_t now_ms,
                       struct failure *f) MUST_CHECK;

/* For the list of a CA that becomes one of ours, whose certificate need not be stored: a full list of all its
 * certificates, signed by it. INVALID, UNTRUSTED with the reason. */
enum status crl_verify_own(struct crl *crl, X509 *ca, uint64_t now_ms, struct failure *f) MUST_CHECK;
/* The first CRL_ROWS_MAX entries, as rows (struct crl_row) behind one another. */
enum status crl_rows(struct crl *crl, struct buf *out) MUST_CHECK;

/* After crl_verify() (OK or EXISTS): what it is. The record lives as long as the list. For a delta,
 * base_number is not empty and `generation` is that of the list it adds to. */
const struct crl_record *crl_record_of(const struct crl *crl);
size_t crl_entry_count(const struct crl *crl);
/* Where the list says that its deltas are (Freshest CRL, RFC 5280 section 5.2.6), the first place that is
 * http or https: copied to the arena; empty: nowhere, or it is a delta itself. */
struct slice crl_freshest(const struct crl *crl, struct arena *a);

/* The commands that bring it in, after crl_verify() said OK. generation: any number that is not used for a
 * list yet, so 64 random bits; source: "import" or "fetch". */
void crl_prepare(struct crl *crl, uint64_t generation, const char *source, uint64_t now_ms);
size_t crl_command_count(const struct crl *crl);
/* Fill the i-th, which has been started with command_init() by nobody: the number, time and actor are set
 * here. Its values point into `crl` and `storage`, which is reset. */
enum status crl_command(struct crl *crl, size_t i, uint64_t now_ms, struct slice actor, struct buf *storage,
                        struct command *out, struct failure *f) MUST_CHECK;

#endif
