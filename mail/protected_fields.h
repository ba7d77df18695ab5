/*
 * Which header fields header protection (RFC 9788) moves between a message and its Cryptographic Payload: one
 * table for what we write and for what we believe. Pure.
 */
#ifndef SEALPOST_MAIL_PROTECTED_FIELDS_H
#define SEALPOST_MAIL_PROTECTED_FIELDS_H

#include "mail/entity.h"

enum protected_field_flags {
    FIELD_ONCE = 1,   /* may occur once (RFC 5322 section 3.6) */
    FIELD_HIDDEN = 2, /* does not appear outside under hide-subject (hcp_baseline, RFC 9788 section 3.2.1) */
    FIELD_STAYS_OUT = 4, /* an outer one stays though there is none inside: no message may be without it */
    FIELD_OBSCURED = 8,  /* appears as "[...]" outside under hide-subject */
};

/* enum protected_field_flags with a bit above them set; 0: the field is not moved. */
#define FIELD_PROTECTED 0x100
unsigned protected_field(const struct header_field *field);
/* The i-th name of the table; NULL behind the last. */
const char *protected_field_name(size_t i);

#endif
