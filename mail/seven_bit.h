/* Making a message or entity fit for a path that carries less: 7 bit (RFC 6152, RFC 8551 section 3.1.3), or
 * SMTP's lines. Pure. */
#ifndef SEALPOST_MAIL_SEVEN_BIT_H
#define SEALPOST_MAIL_SEVEN_BIT_H

#include "base/arena.h"
#include "base/buf.h"

enum sendable_target {
    SENDABLE_7BIT, /* bytes 1 to 127, CRLF, lines of at most 998 bytes */
    SENDABLE_8BIT, /* bytes above 127 too: what 8BITMIME carries; for decrypted content, which may be binary
                    */
};

enum sendable_signed {
    SIGNED_PART_STAYS,   /* a multipart/signed within is left as it is, though it does not fit */
    SIGNED_PART_REFUSES, /* UNSUPPORTED instead */
};

/* Appends the entity with those parts re-encoded (quoted-printable or base64) that do not fit; every other
 * part byte for byte. TOO_LARGE beyond the limits of mail/entity.h. */
enum status entity_make_sendable(struct slice entity, enum sendable_target target,
                                 enum sendable_signed what_is_signed, struct arena *a, struct buf *out,
                                 struct failure *f) MUST_CHECK;
bool entity_is_sendable(struct slice entity, enum sendable_target target);

/* "us-ascii", "utf-8" or "unknown-8bit" (RFC 1428): for text that does not say. */
const char *charset_guess(struct slice text);

#endif
