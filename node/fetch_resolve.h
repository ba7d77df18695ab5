/*
 * Resolving a name by a deadline. getaddrinfo(3) has none: it may wait for name servers that do not answer
 * for half a minute and more. So it runs on a thread of its own, which is left behind when the time is over
 * and ends when it can; only so many may be left behind at once. Any thread.
 */
#ifndef SEALPOST_NODE_FETCH_RESOLVE_H
#define SEALPOST_NODE_FETCH_RESOLVE_H

#include "base/status.h"

#include <netdb.h>

#define FETCH_RESOLVING_MAX 16 /* names at once, also those that nobody waits for any more */

/* As getaddrinfo(3), whose list it is: freeaddrinfo(*out) in case of OK. Only TCP. UNAVAILABLE: there is no
 * such name; TIMEOUT: no answer by `deadline_ms` (clock_monotonic_ms); BUSY: too many names wait for an
 * answer. */
enum status fetch_resolve(const char *host, int port, uint64_t deadline_ms, struct addrinfo **out,
                          struct failure *f) MUST_CHECK;

/* The same by another function than getaddrinfo(3): for tests. */
typedef int (*fetch_resolver)(const char *host, const char *service, const struct addrinfo *hints,
                              struct addrinfo **out);
enum status fetch_resolve_by(fetch_resolver resolver, const char *host, int port, uint64_t deadline_ms,
                             struct addrinfo **out, struct failure *f) MUST_CHECK;

#endif
