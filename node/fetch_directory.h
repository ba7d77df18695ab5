/*
 * Asking a directory (LDAP) for the certificates of one address, by libldap: one search on a connection of
 * its own, anonymous, no referrals, within node/fetch_guard.h, bounded in time and number. Blocks; any
 * thread.
 */
#ifndef SEALPOST_NODE_FETCH_DIRECTORY_H
#define SEALPOST_NODE_FETCH_DIRECTORY_H

#include "base/arena.h"
#include "base/buf.h"

#define DIRECTORY_CERTIFICATES_MAX 8
#define DIRECTORY_CERTIFICATE_MAX  ((size_t)64 << 10)

/* The look-up (store/setting_lookup.h) with the address in place of %s: escaped for the filter (RFC 4515
 * section 3) and then for the URL (RFC 4516 section 2.1). NUL-terminated. */
enum status directory_url(struct slice lookup, struct slice address, struct buf *out) MUST_CHECK;

/* Once in the process, before threads: libldap reads no configuration files and no environment. */
void directory_start(void);

/* DER values of the attribute, copied into the arena. OK with a count of 0: the directory knows none. */
enum status directory_ask(const char *url, struct slice allowed, unsigned timeout_ms, struct arena *a,
                          struct slice found[DIRECTORY_CERTIFICATES_MAX], size_t *count,
                          struct failure *f) MUST_CHECK;

#endif
