/*
 * The form of a directory look-up in settings: an LDAP URL (RFC 4516) whose filter has %s once, where the
 * address will stand. Pure. Who asks the directory fills it in: node/fetch_directory.c.
 */
#ifndef SEALPOST_STORE_SETTING_LOOKUP_H
#define SEALPOST_STORE_SETTING_LOOKUP_H

#include "base/slice.h"
#include "base/status.h"

#define SETTING_LOOKUPS_MAX 8

/* The next of a list separated by spaces; false at its end. */
bool lookup_next(struct slice *rest, struct slice *item);
/* INVALID, with what would be right: another scheme, a user or password, no host, no base, no filter, not one
 * %s. */
enum status lookup_check(struct slice url, struct failure *f) MUST_CHECK;

#endif
