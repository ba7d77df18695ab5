/*
 * Header protection as we read it: which header fields a Cryptographic Payload carries for the message
 * (RFC 9788), in the forms that came before as well. Pure.
 */
#ifndef SEALPOST_MAIL_HEADER_READING_H
#define SEALPOST_MAIL_HEADER_READING_H

#include "mail/entity.h"
#include "store/records.h"

enum header_scheme {
    SCHEME_NONE,
    SCHEME_HP,      /* hp="clear" or "cipher": RFC 9788 */
    SCHEME_V1,      /* protected-headers="v1": draft-autocrypt-lamps-protected-headers */
    SCHEME_WRAPPED, /* the payload is the message, as message/rfc822: RFC 8551 section 3.1 */
};

struct protected_header {
    enum header_scheme scheme;
    struct entity source;       /* whose fields they are: the payload, or the message within it */
    bool has_from;              /* there is a From inside */
    char from[ADDRESS_MAX + 1]; /* the one address in the one From inside; "": none, or unclear */
    bool clear;                 /* no field that may occur once occurs twice, no line that is no field */
    bool cipher; /* who composed it encrypted it himself: hp="cipher"; the older forms do not say, and count
                    as if they did (RFC 9788 section 4.10.2) */
};

/* `payload` lies within everything that was signed and decrypted; `message` is what is around it all.
 * TOO_LARGE when what is wrapped is beyond the limits. */
enum status protected_header_read(const struct entity *message, const struct entity *payload, struct arena *a,
                                  struct protected_header *out, struct failure *f) MUST_CHECK;
/* Is this a field that counts instead of what stands outside? */
bool protected_header_has(const struct protected_header *h, struct slice name);
/* Is the first protected field of this name secret outside (RFC 9788 section 4.3.1): not recorded as HP-Outer
 * just as it stands inside, or, in an older form, not in the header of `message`? */
bool protected_header_hides(const struct protected_header *h, const struct entity *message, const char *name);
/* Can the field be written into the header of a message without becoming anything else? */
bool protected_header_usable(const struct header_field *field);
/* Appends it, unfolded and folded anew where it was odd; always a whole field that ends with CRLF. */
enum status protected_field_append(const struct header_field *field, struct arena *a,
                                   struct buf *out) MUST_CHECK;

#endif
