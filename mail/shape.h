/* What an entity is as a whole, as far as protection goes: plain, signed, encrypted. Pure. */
#ifndef SEALPOST_MAIL_SHAPE_H
#define SEALPOST_MAIL_SHAPE_H

#include "mail/entity.h"

enum shape_kind {
    SHAPE_PLAIN,
    SHAPE_SMIME_CLEAR_SIGNED,  /* multipart/signed with a PKCS#7 signature */
    SHAPE_SMIME_OPAQUE_SIGNED, /* a SignedData that holds its content */
    SHAPE_SMIME_ENCRYPTED,     /* EnvelopedData or AuthEnvelopedData */
    SHAPE_SMIME_COMPRESSED,    /* CompressedData */
    SHAPE_SMIME_OTHER,         /* another CMS type, or what claims to be CMS and is not */
    SHAPE_PGP_SIGNED,          /* multipart/signed of OpenPGP (RFC 3156) */
    SHAPE_PGP_ENCRYPTED,
};

struct shape {
    enum shape_kind kind;
    struct slice signed_part; /* CLEAR_SIGNED: exactly what was signed; empty if the structure is broken */
    struct buf cms;           /* CMS in DER or BER: the message's, or its signature's */
};

/* Any bytes are safe. The kind of CMS is what its bytes say; the media type's parameters are only hints (RFC
 * 8551 section 3.2.2). */
enum status shape_of(const struct entity *e, struct arena *a, struct shape *shape,
                     struct failure *f) MUST_CHECK;
void shape_release(struct shape *shape);
bool shape_is_encrypted(const struct shape *shape);
bool shape_is_signed(const struct shape *shape);

#endif
