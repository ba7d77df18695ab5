/*
 * SMIMECapabilities (RFC 8551 section 2.5.2): what somebody's programs can read, best first. Read out of
 * certificates and signed mail into flags (enum certificate_capability in store/records.h), written into what
 * we sign. One table for both, for the names in the API, and for the choice of a cipher. Pure; any thread.
 */
#ifndef SEALPOST_CRYPTO_CAPABILITY_H
#define SEALPOST_CRYPTO_CAPABILITY_H

#include "crypto/smime.h"

/* Flags of a SEQUENCE OF SMIMECapability in BER; what is unknown or broken in it counts for nothing. */
uint64_t capabilities_read(struct slice ber);
/* Our own list: all that we can read and verify and that is not weak. */
enum status capabilities_write(struct buf *out) MUST_CHECK;
/* "aes256-gcm", ... by position; NULL at the end. */
const char *capability_name(size_t i, uint64_t *flag);

/* What can be taken for granted besides the flags: AES-CBC of the same key size where there is GCM, and all
 * of AES-CBC where no cipher is named at all. The flags of several certificates are combined by AND of
 * these. */
uint64_t capabilities_assumed(uint64_t flags);
/* The best cipher of `assumed`; AES-128-CBC, which S/MIME 3.2 and later must have, when nothing is in common.
 */
enum smime_cipher capabilities_cipher(uint64_t assumed);

#endif
