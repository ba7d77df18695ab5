/*
 * Header protection as we write it (RFC 9788): a copy of the header fields that a reader sees stands within
 * what is signed or encrypted, and the Subject may be hidden from those on the way. Pure.
 */
#ifndef SEALPOST_MAIL_HEADER_PROTECTION_H
#define SEALPOST_MAIL_HEADER_PROTECTION_H

#include "mail/entity.h"

enum header_form {
    HEADERS_BARE,          /* no header protection */
    HEADERS_CLEAR,         /* hp="clear": signed only */
    HEADERS_CIPHER,        /* hp="cipher": encrypted, nothing hidden outside */
    HEADERS_HIDDEN,        /* hp="cipher": the Subject outside is [...] (hcp_baseline) */
    HEADERS_HIDDEN_LEGACY, /* as above, and the Subject stands in the text for programs that know no RFC 9788
                            */
    HEADER_FORM_COUNT
};
const char *header_form_name(enum header_form form);

/* Can the entity (Content-* fields and body, as it is to be protected) carry header protection? Not if it is
 * signed or encrypted itself, or has no clear Content-Type: its header is the payload's no more. */
bool header_protection_fits(const struct entity *content);

/* Appends to `out` the Cryptographic Payload: protected fields of `message`, HP-Outer fields, Content-*
 * fields with hp=, body. `content` is read from `message`'s Content-* fields and body; its body may lie
 * elsewhere than its header but for HEADERS_HIDDEN_LEGACY, where its bytes are the whole. Not for
 * HEADERS_BARE. */
enum status header_protection_payload(const struct entity *message, const struct entity *content,
                                      enum header_form form, struct arena *a, struct buf *out,
                                      struct failure *f) MUST_CHECK;
/* Appends the outer header of the message without Content-*, MIME-Version and X-Sealpost-*: with what `form`
 * hides. */
enum status header_protection_outer(const struct entity *message, enum header_form form,
                                    struct buf *out) MUST_CHECK;

#endif
