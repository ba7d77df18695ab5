/*
 * How much of something somebody may do in a time: messages, recipients, connections, TLS handshakes and
 * errors of a client, messages and recipients of a sender or an account. Pure: time comes in.
 *
 * The rule is GCRA (a token bucket without a token counter): `count` at once, and then one each
 * period / count; whoever has been quiet for a period may do `count` at once again. One number is kept: when
 * the debt will be paid off.
 *
 * The table has a fixed size. An entry whose debt is paid says nothing that a missing one would not, so its
 * place is free. When all places of a set hold debts, the one that owes least (as a part of its limit) makes
 * room: a flood of new addresses pushes out its own, and who has come to the limit stays limited unless each
 * of the flood's addresses comes as near to it. Places are chosen by a keyed hash, so nobody can aim at a
 * set.
 *
 * The clock is monotonic. Should it jump back all the same, nobody owes more than two periods from then on; a
 * jump forward forgives.
 */
#ifndef SEALPOST_SMTP_RATE_LIMIT_H
#define SEALPOST_SMTP_RATE_LIMIT_H

#include "base/siphash.h"
#include "base/status.h"

enum rate_kind {
    RATE_CLIENT_MESSAGES,
    RATE_CLIENT_RECIPIENTS,
    RATE_CLIENT_CONNECTIONS,
    RATE_CLIENT_TLS,
    RATE_CLIENT_ERRORS,
    RATE_SENDER_MESSAGES_HOUR,
    RATE_SENDER_MESSAGES_DAY,
    RATE_SENDER_RECIPIENTS_HOUR,
    RATE_SENDER_RECIPIENTS_DAY,
    RATE_ACCOUNT_MESSAGES_HOUR,
    RATE_ACCOUNT_MESSAGES_DAY,
    RATE_ACCOUNT_RECIPIENTS_HOUR,
    RATE_ACCOUNT_RECIPIENTS_DAY,
    RATE_KIND_COUNT
};

uint64_t rate_period_ms(enum rate_kind kind);

#define RATE_TABLE_ENTRIES ((size_t)65536) /* 24 bytes each */

struct rate_table;
/* `entries`: rounded up to a power of two. NULL when memory is short. */
struct rate_table *rate_table_new(size_t entries, const uint8_t key[SIPHASH_KEY_SIZE]);
void rate_table_free(struct rate_table *t);
/* Once more of `kind` by `who`: true and counted, or false and nothing changes. `count`: so many a period; 0:
 * no limit, nothing is kept. */
bool rate_take(struct rate_table *t, enum rate_kind kind, struct slice who, uint64_t count, uint64_t now_ms);
/* Would rate_take() refuse? */
bool rate_is_spent(struct rate_table *t, enum rate_kind kind, struct slice who, uint64_t count,
                   uint64_t now_ms);
uint64_t rate_evicted(const struct rate_table *t); /* debts that were forgotten for want of room */

/* What counts as one client: an IPv4 address, or the /64 of an IPv6 address (its host can take any of them).
 */
#define CLIENT_KEY_SIZE 9
struct client_key {
    uint8_t bytes[CLIENT_KEY_SIZE]; /* 4 or 6, then the address's first 4 or 8 bytes, then zeros */
};
struct client_key client_key_of(const char *ip); /* what is no address is a client of its own: all zeros */

#endif
