/* SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash for tables whose keys strangers choose. Not a MAC for
 * anything else. Pure. */
#ifndef SEALPOST_BASE_SIPHASH_H
#define SEALPOST_BASE_SIPHASH_H

#include "base/slice.h"

#define SIPHASH_KEY_SIZE 16 /* bytes, random, one a table */

uint64_t siphash(const uint8_t key[SIPHASH_KEY_SIZE], struct slice in);

#endif
