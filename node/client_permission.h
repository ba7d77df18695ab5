/*
 * Which change a role of this node may propose. Only api speaks for administrators. A worker, which parses
 * what strangers send, may propose what it learned from mail and the first certificate of a sender of ours
 * (store/ca_allowance.h decides whose); fetch the certificates that it found, with records that say what is
 * in them, and what it saw in DNS; smtp the reminders that it sends; nobody else anything.
 */
#ifndef SEALPOST_NODE_CLIENT_PERMISSION_H
#define SEALPOST_NODE_CLIENT_PERMISSION_H

#include "store/command.h"

#define CLIENT_HARVESTED_A_MINUTE 120  /* certificates that one worker may propose */
#define CLIENT_FETCHED_A_MINUTE   1200 /* that fetch may propose */
#define CLIENT_NOTICES_A_MINUTE   300  /* mails of reminders that smtp may claim */

/* Of one connected role; zeroed at first. */
struct client_permission {
    uint64_t minute;
    unsigned counted; /* in that minute */
};

/* By the number alone. */
bool client_role_may(const char *role, enum command_number number);
/* May `role` ("api", "worker:1", ...) propose these bytes of a command? OK; DENIED, BUSY (too many a minute)
 * or what is wrong with the bytes, with the reason. `wall_ms` is since 1970. Pure but for the count. */
enum status client_may_propose(struct client_permission *p, const char *role, struct slice command,
                               uint64_t wall_ms, uint64_t monotonic_ms, struct failure *f) MUST_CHECK;

#endif
