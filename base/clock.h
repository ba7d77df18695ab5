/*
 * Time and randomness as inputs. Pure code takes a time or random bytes as arguments; only shells (roles, the
 * CLI) call these.
 */
#ifndef SEALPOST_BASE_CLOCK_H
#define SEALPOST_BASE_CLOCK_H

#include "base/slice.h"
#include "base/status.h"

#include <stdint.h>

uint64_t clock_wall_ms(void);      /* milliseconds since 1970 UTC */
uint64_t clock_monotonic_ms(void); /* CLOCK_MONOTONIC: the same for all processes of this boot */

/* Fill with bytes from the kernel's generator; ends the process if there are none (nothing can go on safely).
 */
void random_bytes(void *out, size_t len);

/* A random version-4-like identifier of 16 bytes, and its text: 26 characters of lower-case base32
 * (Crockford). */
#define ID_SIZE      16
#define ID_TEXT_SIZE 27 /* with NUL */
void id_make(uint8_t id[ID_SIZE], uint64_t wall_ms,
             const uint8_t random[10]); /* sorts by time: 6 bytes of ms, 10 random */
void id_format(const uint8_t id[ID_SIZE], char text[ID_TEXT_SIZE]);
bool id_parse(struct slice text, uint8_t id[ID_SIZE]);

/* RFC 3339 in UTC, "2026-11-24T10:05:04Z" (21 bytes with NUL), and RFC 5322 "Tue, 24 Nov 2026 10:05:04 +0000"
 * (32). */
#define TIME_RFC3339_SIZE 21
#define TIME_RFC5322_SIZE 32
void time_format_rfc3339(uint64_t wall_ms, char text[TIME_RFC3339_SIZE]);
/* "2026-11-24T10:05:04Z", or a date alone for its midnight; years 1970 to 9999. */
bool time_parse_rfc3339(struct slice text, uint64_t *wall_ms);
void time_format_rfc5322(uint64_t wall_ms, char text[TIME_RFC5322_SIZE]);

#endif
