/* Domains beyond ASCII (RFC 5890) in their ASCII form, in which settings, certificates and DNS know them. */
#ifndef SEALPOST_MAIL_IDN_H
#define SEALPOST_MAIL_IDN_H

#include "base/slice.h"
#include "store/records.h"

/* U-labels become A-labels; a domain that is ASCII already is copied as it is. False: it has no ASCII form,
 * or one that is no name of a host. */
bool idn_domain_to_ascii(struct slice domain, char out[DOMAIN_MAX + 1]);
/* The same for what follows the last @; the local part is not touched (RFC 6531 section 3.2). False also when
 * the result is too long. */
bool idn_address_to_ascii(struct slice address, char out[ADDRESS_MAX + 1]);

#endif
