/*
 * CMS for S/MIME 4.0 (RFC 8551, RFC 5652, RFC 5083/5084) by OpenSSL. Input and output are whole MIME entities
 * in memory with CRLF line ends: the caller (mail/) has canonicalised them, and cuts out what was signed by
 * byte range. Always CMS_BINARY.
 */
#ifndef SEALPOST_CRYPTO_SMIME_H
#define SEALPOST_CRYPTO_SMIME_H

#include "base/buf.h"
#include "crypto/x509.h"

/* Call once in a process that does CMS: malloc thresholds (DESIGN.md section 3), providers (default and
 * legacy for reading old mail). */
enum status smime_start(struct failure *f) MUST_CHECK;

enum smime_digest { SMIME_SHA256, SMIME_SHA384, SMIME_SHA512 };
struct smime_signer {
    EVP_PKEY *key;            /* borrowed */
    struct slice certificate; /* DER */
    struct slice chain[8];    /* intermediates to send along, without the anchor */
    size_t chain_count;
    struct slice encryption_certificate; /* DER: where answers are to be encrypted to (sent along); empty: the
                                            same certificate */
    enum smime_digest digest;            /* an Ed25519 key has SHA-512 always */
    bool pss;                            /* for an RSA key: PSS instead of PKCS #1 v1.5 */
};
/* micalg of such a signature (RFC 8551 section 3.5.3.2): "sha-256", "sha-384", "sha-512". */
const char *smime_micalg(const struct smime_signer *signer);
/* RSA (a key that is for PSS alone is used so), ECDSA and Ed25519 keys; UNSUPPORTED for others. Detached
 * signature over `entity`, with signing time `now_ms`, our capabilities and signingCertificateV2: the DER of
 * a SignedData into `out`. */
enum status smime_sign(const struct smime_signer *signer, struct slice entity, uint64_t now_ms,
                       struct buf *out, struct failure *f) MUST_CHECK;
/* Opaque: the SignedData holds the entity. */
enum status smime_sign_opaque(const struct smime_signer *signer, struct slice entity, uint64_t now_ms,
                              struct buf *out, struct failure *f) MUST_CHECK;

enum smime_cipher {
    SMIME_AES256_CBC,
    SMIME_AES256_GCM,
    SMIME_AES128_CBC,
    SMIME_AES192_CBC,
    SMIME_AES192_GCM,
    SMIME_AES128_GCM,
    SMIME_CIPHERS
};
const char *smime_cipher_name(enum smime_cipher cipher); /* "aes256-cbc", "aes256-gcm", ... */
bool smime_cipher_is_gcm(enum smime_cipher cipher);
/* By its name; false for another. */
bool smime_cipher_find(struct slice name, enum smime_cipher *cipher);
enum smime_transport { SMIME_TRANSPORT_AUTO, SMIME_TRANSPORT_PKCS1, SMIME_TRANSPORT_OAEP };
struct smime_recipient {
    struct slice certificate;       /* DER */
    uint64_t capabilities;          /* enum certificate_capability: what is known of who owns it */
    enum smime_transport transport; /* AUTO: OAEP when the capabilities have it, else PKCS #1 v1.5 */
};
/* EnvelopedData (CBC) or AuthEnvelopedData (GCM). RSA keys by key transport: OAEP (SHA-256, MGF1 with
 * SHA-256) or PKCS #1 v1.5. EC keys by ephemeral-static ECDH with the KDF that fits the curve, or one that
 * the capabilities have (RFC 5753), and an AES key wrap as long as the content key. UNSUPPORTED for other
 * kinds of key: OpenSSL 3.0's CMS has no X25519. */
enum status smime_encrypt(const struct smime_recipient *recipients, size_t count, enum smime_cipher cipher,
                          struct slice entity, struct buf *out, struct failure *f) MUST_CHECK;

enum cms_kind {
    CMS_KIND_OTHER,
    CMS_KIND_SIGNED,
    CMS_KIND_ENVELOPED,
    CMS_KIND_AUTH_ENVELOPED,
    CMS_KIND_COMPRESSED
};
/* What the DER/BER claims to be, from its content type alone. */
enum cms_kind smime_kind(struct slice cms);

struct smime_decrypted {
    struct buf entity; /* wiped on release */
    char cipher[32];   /* "aes256-gcm"; old ciphers as "3des" ... */
    bool weak;         /* 3DES, RC2, DES */
};
struct smime_key {
    EVP_PKEY *key;
    struct slice certificate; /* DER */
};
/* Which of `candidates` (DER certificates) the message is encrypted to, one bool each: lets the caller open
 * only those keys. MALFORMED: no encrypted CMS object, or too many recipient infos (all false then). */
enum status smime_recipients(struct slice cms, const struct slice *candidates, size_t count,
                             bool *fits) MUST_CHECK;
/* Tries each of `keys` whose certificate fits a recipient info. NO_KEY when none fits; CRYPTO when it does
 * not decrypt (nothing is given out then, and the answer is the same whatever was wrong). UNSUPPORTED: a
 * content cipher, for this content type, or a key wrap (of a key agreement) that we do not read, said before
 * the key is used. A CBC message with a forged key transport may "decrypt" to garbage (1 of 256): CBC
 * authenticates nothing, so whoever reads the entity takes it as hostile bytes. */
enum status smime_decrypt(struct slice cms, const struct smime_key *keys, size_t count,
                          struct smime_decrypted *out, struct failure *f) MUST_CHECK;
void smime_decrypted_release(struct smime_decrypted *d);

/* CompressedData (RFC 3274) around the entity. */
enum status smime_compress(struct slice entity, struct buf *out, struct failure *f) MUST_CHECK;
/* What is in a CompressedData, appended; out->max bounds it (TOO_LARGE; a few KB may become gigabytes).
 * UNSUPPORTED: not zlib, or not an entity. Nothing is appended on failure. */
enum status smime_decompress(struct slice cms, struct buf *out, struct failure *f) MUST_CHECK;

enum smime_verdict {
    SMIME_NONE,
    SMIME_VALID,
    SMIME_INVALID,
    SMIME_MISMATCH,
    SMIME_EXPIRED,
    SMIME_REVOKED,
    SMIME_UNTRUSTED,
    SMIME_UNKNOWN
};
const char *smime_verdict_name(enum smime_verdict verdict); /* "valid", ... as in X-Sealpost-Signature */
struct smime_verified {
    enum smime_verdict verdict;   /* the first signer's that is not VALID; MISMATCH if no signer is `from` */
    char signer[ADDRESS_MAX + 1]; /* the matching address, else the first; "" if none */
    struct slice signer_certificate; /* DER, in the arena */
    struct buf content;              /* opaque: what was signed; empty for detached */
    char reason[FAILURE_TEXT_MAX];
    /* Of the signer above; "" and 0 when the signature does not hold. */
    char digest[16];          /* "sha256", ... */
    char algorithm[16];       /* "rsa-pkcs1", "rsa-pss", "ecdsa", "ed25519" */
    unsigned key_bits;        /* of the signer's public key */
    uint64_t signing_time_ms; /* what the signer says (RFC 5652 section 11.3); 0: nothing */
    uint64_t capabilities;    /* enum certificate_capability: what the signer says to read */
};
/* detached: `entity` is what was signed; opaque: empty. `from`: normalised address of the From field, or
 * empty (then never VALID). Several signers: all must hold and chain to an anchor at now_ms for VALID, and
 * one of them must be `from`. `trust` NULL: no anchors. `content` is filled only when the signature itself
 * holds (any verdict but INVALID and UNKNOWN). A bad signature is a verdict; the status says that there was
 * no memory. */
enum status smime_verify(struct slice cms, struct slice entity, bool detached, struct slice from,
                         struct trust *trust, uint64_t now_ms, struct arena *a,
                         struct smime_verified *out) MUST_CHECK;
void smime_verified_release(struct smime_verified *v);
/* enum certificate_capability flags out of the signed attributes of a SignedData; of several signers, what
 * all of them say. Nothing is verified: believe it only of a signature that was found to be valid. */
uint64_t smime_signed_capabilities(struct slice cms);

/* The certificates that a SignedData brings along, DER in the arena; the count, 0 if it cannot be read. */
#define SMIME_SENT_MAX 16
size_t smime_sent_certificates(struct slice cms, struct arena *a, struct slice out[SMIME_SENT_MAX]);

#endif
