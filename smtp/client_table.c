/* Sessions of each client (smtp/client_table.h). The hash is keyed: nobody can make chains long. */
#include "smtp/client_table.h"

#include <stdlib.h>

struct client_count {
    struct client_count *next;
    struct client_key client;
    uint32_t bucket;
    uint64_t sessions;
};

struct client_count *client_came(struct client_table *t, const struct client_key *client, uint64_t max)
{
    uint64_t hash = siphash(t->key, slice_of(client->bytes, sizeof client->bytes));
    uint32_t bucket = (uint32_t)(hash % CLIENT_TABLE_BUCKETS);
    struct client_count *row = t->buckets[bucket];
    while (row != NULL && memcmp(&row->client, client, sizeof *client) != 0) {
        row = row->next;
    }
    if (row == NULL) {
        row = max > 0 ? calloc(1, sizeof *row) : NULL;
        if (row == NULL) {
            return NULL;
        }
        row->client = *client;
        row->bucket = bucket;
        row->next = t->buckets[bucket];
        t->buckets[bucket] = row;
    }
    if (row->sessions >= max) {
        return NULL;
    }
    row->sessions++;
    return row;
}

void client_left(struct client_table *t, struct client_count *row)
{
    if (row == NULL || --row->sessions > 0) {
        return;
    }
    struct client_count **at = &t->buckets[row->bucket];
    while (*at != row) {
        at = &(*at)->next;
    }
    *at = row->next;
    free(row);
}
