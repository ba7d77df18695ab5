/* What the files of S/MIME share; internal to crypto/. */
#ifndef SEALPOST_CRYPTO_SMIME_INTERNAL_H
#define SEALPOST_CRYPTO_SMIME_INTERNAL_H

#include "crypto/smime.h"

#include <openssl/cms.h>

#define CMS_MAX ((size_t)1 << 30) /* bytes of one CMS object */

/* A read-only BIO over the bytes; NULL if they are too many or there is no memory. */
BIO *smime_bio_of(struct slice bytes);
/* A certificate by way of this process's cache; the caller frees it. NULL if it is none. */
X509 *smime_certificate(struct slice der);
/* NULL if the bytes are no CMS. BER is fine. */
CMS_ContentInfo *smime_parse(struct slice cms);
enum status smime_to_der(CMS_ContentInfo *cms, struct buf *out) MUST_CHECK;
/* As CMS_final() with CMS_BINARY: gives an object that was begun with CMS_PARTIAL its content. Its memory is
 * taken once: OpenSSL grows it by a third again and again, and copies and clears what it left. */
bool smime_final(CMS_ContentInfo *cms, struct slice content) MUST_CHECK;
/* A ContentInfo (RFC 5652 section 3) of this type around a SEQUENCE with this content. */
enum status smime_wrap(int nid, struct slice content, struct buf *out) MUST_CHECK;
/* An AuthEnvelopedData without its attributes, appended: OpenSSL 3.0 gives them other tags than RFC 5083, and
 * reads no object that has some. */
enum status smime_without_attributes(struct slice cms, struct buf *out) MUST_CHECK;
/* Does what authAttrs say of the content's type agree with the object (RFC 5652 section 11.1)? */
bool smime_attributes_fit(struct slice attributes, struct slice content_type);
/* smime_sign() for an Ed25519 key, whose certificate is x. */
enum status smime_sign_eddsa(const struct smime_signer *signer, X509 *x, struct slice entity, uint64_t now_ms,
                             bool detached, struct buf *out, struct failure *f) MUST_CHECK;
/* Does the i-th signer's Ed25519 signature over this content hold? `cms` is what `si` was parsed from. */
bool smime_verify_eddsa(struct slice cms, size_t i, CMS_SignerInfo *si, X509 *x, struct slice content);
/* Is the digest in the signed attributes that of the content? */
bool smime_digest_fits(CMS_SignerInfo *si, struct slice content);
/* A signed attribute whose one value is a SEQUENCE: its DER; empty if it is not there, or not once. */
struct slice smime_attribute(CMS_SignerInfo *si, int nid);
/* Fills digest, algorithm, key_bits, signing_time_ms, capabilities. */
void smime_facts(CMS_SignerInfo *si, X509 *x, struct smime_verified *out);
/* Why OpenSSL failed, in its own words; clears its queue. Holds no secrets: only static strings. */
enum status smime_failure(struct failure *f, const char *doing);

#endif
