/*
 * Where the fetch role may go. URLs come out of certificates that strangers send: each could point at a
 * machine of ours that trusts its neighbours. So a URL is http or https without user and password, and the
 * address to which it resolved, not its name, is checked right before the connection is made: a name that
 * resolves differently the second time gains nothing. Pure; any thread.
 */
#ifndef SEALPOST_NODE_FETCH_GUARD_H
#define SEALPOST_NODE_FETCH_GUARD_H

#include "base/slice.h"
#include "base/status.h"

#include <sys/socket.h>

#define FETCH_URL_MAX  1024 /* bytes */
#define FETCH_HOST_MAX 255

/* http:// or https://, a host, no user, no control characters or spaces; gives the host in lower case,
 * without brackets and port. INVALID with the reason. */
enum status fetch_guard_url(struct slice url, char host[FETCH_HOST_MAX + 1], struct failure *f) MUST_CHECK;

/* May a connection be made to this address? `allowed` is the canonical text of fetch.allow_networks. Refused
 * are private, loopback, link-local, shared (RFC 6598), documentation, multicast and reserved networks, IPv6
 * unique local ones, and all forms of IPv6 that carry such an IPv4 address. DENIED names the address. */
enum status fetch_guard_address(const struct sockaddr *address, struct slice allowed,
                                struct failure *f) MUST_CHECK;

#endif
