/*
 * Signatures by certificates that were bound by hand (store/records.h): one that is bound to the domain of
 * the From address counts for each address of it, one that is bound to the address for that address, although
 * neither names it. Pure; any thread with a view of its own.
 */
#ifndef SEALPOST_MAIL_BOUND_SIGNER_H
#define SEALPOST_MAIL_BOUND_SIGNER_H

#include "crypto/smime.h"

enum bound_signer { BOUND_NOT, BOUND_TO_ADDRESS, BOUND_TO_DOMAIN };

/* Does a signature that holds, and is MISMATCH or UNTRUSTED, count as valid for `from` after all? UNTRUSTED
 * needs a pinned binding of the one signer's certificate. Quarantined, denied, revoked and expired
 * certificates never count: a pin replaces the path to an anchor and nothing else. With BOUND_NOT,
 * `why->status` is REVOKED, EXPIRED, UNTRUSTED or INVALID and its text tells why when there is a binding that
 * would have counted, else OK. A status that is not OK is the store's. */
enum status bound_signer_find(struct store_view *view, struct trust *trust, struct slice from,
                              const struct smime_verified *result, struct slice cms, uint64_t now_ms,
                              enum bound_signer *out, struct failure *why) MUST_CHECK;

#endif
