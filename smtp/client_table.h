/* How many sessions each client has open: a hash table with one row for each client that has any. A client is
 * an IPv4 address or an IPv6 /64 (smtp/rate_limit.h). Bounded by the number of sessions. */
#ifndef SEALPOST_SMTP_CLIENT_TABLE_H
#define SEALPOST_SMTP_CLIENT_TABLE_H

#include "smtp/rate_limit.h"

struct client_count; /* a client's row, as long as it has a session */

#define CLIENT_TABLE_BUCKETS ((size_t)4096)

struct client_table {
    uint8_t key[SIPHASH_KEY_SIZE];
    struct client_count *buckets[CLIENT_TABLE_BUCKETS];
};

/* One session more, if there are less than `max`: the row, to be given back with client_left(). NULL: there
 * are as many, or memory is short. */
struct client_count *client_came(struct client_table *t, const struct client_key *client, uint64_t max);
void client_left(struct client_table *t, struct client_count *row); /* NULL: nothing */

#endif
