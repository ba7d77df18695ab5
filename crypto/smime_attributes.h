/* Signed attributes that we write (RFC 8551 section 2.5, RFC 5035), as DER, so that OpenSSL's CMS and our own
 * writer sign the same. Internal to crypto/. */
#ifndef SEALPOST_CRYPTO_SMIME_ATTRIBUTES_H
#define SEALPOST_CRYPTO_SMIME_ATTRIBUTES_H

#include "crypto/smime_internal.h"

#define SMIME_ATTRIBUTES_MAX 6
struct smime_attributes {
    struct buf list[SMIME_ATTRIBUTES_MAX]; /* DER of Attribute ::= SEQUENCE { type, SET OF value } */
    size_t count;
};
/* Signing time, SMIMECapabilities, signingCertificateV2, and smimeEncryptionKeyPreference if the signer has
 * another certificate for that. To be released also on failure. */
enum status smime_attributes_make(const struct smime_signer *signer, X509 *x, uint64_t now_ms,
                                  struct smime_attributes *out) MUST_CHECK;
/* One more, whose value is the element `tag` with this content. */
enum status smime_attributes_add(struct smime_attributes *out, int nid, uint8_t tag,
                                 struct slice content) MUST_CHECK;
void smime_attributes_release(struct smime_attributes *a);

/* false: a signer whose signingCertificateV2 names another certificate than x (RFC 5035 section 5.4):
 * somebody has put another certificate for the same key into the message. */
bool smime_attributes_name(CMS_SignerInfo *si, X509 *x);

/* Is `content`, which the signer signed without signed attributes, what a SET OF attributes looks like? Then
 * it may be the signed attributes of another message of the signer's: what is signed with and without
 * attributes looks the same to the key, and anybody can leave the attributes out and show them as a message.
 */
bool smime_attributes_as_content(CMS_SignerInfo *si, struct slice content);

/* IssuerAndSerialNumber's two members. */
enum status smime_put_issuer_and_serial(X509 *x, struct buf *out) MUST_CHECK;

#endif
