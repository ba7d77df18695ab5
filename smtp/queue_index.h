/*
 * What the queue's users look for in a message that waits: its sender and, of each recipient that waits, the
 * address, the last answer and who gave it. In memory, so that a filter over a whole queue reads no disk; the
 * envelope itself stays in the spool. Texts are kept once however many messages have them, and are cut at
 * QUEUE_NAME_MAX bytes. A message costs 16 bytes, 24 for each recipient that waits and, for each text that
 * nobody else has, 24 and its length (figures: bench/README.md). Pure; on the loop's thread.
 */
#ifndef SEALPOST_SMTP_QUEUE_INDEX_H
#define SEALPOST_SMTP_QUEUE_INDEX_H

#include "base/slice.h"

#include <stdlib.h>

#define QUEUE_NAME_MAX 320

/* A text that messages share. */
struct queue_name {
    struct queue_name *next;
    uint32_t hash, references;
    uint16_t len;
    uint8_t text[];
};

struct queue_waiting {
    struct queue_name *address, *reply, *next_hop; /* NULL: "" */
};

struct queue_facts {
    struct queue_name *sender;
    uint32_t count, quarantined_count; /* recipients that wait; how many of them policy has put aside */
    struct queue_waiting waiting[];
};

struct queue_index {
    struct queue_name **buckets;
    size_t bucket_count, name_count;
    uint64_t bytes; /* of names and facts */
    size_t unread;  /* messages of a former run whose facts have not been read yet */
};

struct spool_envelope;
struct spool_state;

void queue_index_release(struct queue_index *x);
/* Of a message and its state; NULL when memory is short. `state` NULL: everybody waits. */
struct queue_facts *queue_facts_new(struct queue_index *x, const struct spool_envelope *e,
                                    const struct spool_state *state);
void queue_facts_free(struct queue_index *x, struct queue_facts *facts); /* NULL is fine */

static inline struct slice queue_name_text(const struct queue_name *n)
{
    return n != NULL ? slice_of(n->text, n->len) : slice_of(NULL, 0);
}

/* What follows the last "@"; empty if there is none. */
struct slice queue_domain_of(struct slice address);

#endif
