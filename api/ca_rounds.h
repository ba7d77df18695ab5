/*
 * What the CAs of this cluster need without being asked: a new revocation list when half of the time of the
 * one in force is over, and new certificates ahead of the end of old ones. The api role of the leader's node
 * does one thing a round, through an exchange of its own that nobody waits for; so the same code proposes as
 * for an administrator. Two nodes that both believe to lead do no harm: the second command is refused.
 */
#ifndef SEALPOST_API_CA_ROUNDS_H
#define SEALPOST_API_CA_ROUNDS_H

#include "api/exchange.h"

#define CA_ROUND_MS 1000

/* Begins a round unless one is under way. Call every CA_ROUND_MS on the loop's thread. */
void ca_round_begin(struct api *api);

#endif
