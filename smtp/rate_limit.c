/* Rates by GCRA in a bounded table (smtp/rate_limit.h). */
#include "smtp/rate_limit.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define WAYS      ((size_t)16) /* places of a set */
#define US_OF_MS  ((uint64_t)1000)
#define MINUTE_MS ((uint64_t)60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define WHO_MAX   ((size_t)600) /* longer ones are told apart by their first bytes; addresses are shorter */

struct entry {
    uint64_t hash;
    uint64_t paid_us; /* when the debt is paid off */
    uint32_t period_ms;
};

struct rate_table {
    uint8_t key[SIPHASH_KEY_SIZE];
    size_t sets; /* power of 2 */
    uint64_t evicted;
    struct entry entries[];
};

uint64_t rate_period_ms(enum rate_kind kind)
{
    switch (kind) {
    case RATE_SENDER_MESSAGES_HOUR:
    case RATE_SENDER_RECIPIENTS_HOUR:
    case RATE_ACCOUNT_MESSAGES_HOUR:
    case RATE_ACCOUNT_RECIPIENTS_HOUR:
        return HOUR_MS;
    case RATE_SENDER_MESSAGES_DAY:
    case RATE_SENDER_RECIPIENTS_DAY:
    case RATE_ACCOUNT_MESSAGES_DAY:
    case RATE_ACCOUNT_RECIPIENTS_DAY:
        return DAY_MS;
    case RATE_CLIENT_MESSAGES:
    case RATE_CLIENT_RECIPIENTS:
    case RATE_CLIENT_CONNECTIONS:
    case RATE_CLIENT_TLS:
    case RATE_CLIENT_ERRORS:
    case RATE_KIND_COUNT:
        break;
    }
    return MINUTE_MS;
}

struct rate_table *rate_table_new(size_t entries, const uint8_t key[SIPHASH_KEY_SIZE])
{
    size_t sets = 1;
    while (sets * WAYS < entries) {
        sets *= 2;
    }
    struct rate_table *t = calloc(1, sizeof *t + sets * WAYS * sizeof t->entries[0]);
    if (t != NULL) {
        t->sets = sets;
        memcpy(t->key, key, sizeof t->key);
    }
    return t;
}

void rate_table_free(struct rate_table *t)
{
    free(t);
}

uint64_t rate_evicted(const struct rate_table *t)
{
    return t->evicted;
}

static uint64_t hash_of(const struct rate_table *t, enum rate_kind kind, struct slice who)
{
    uint8_t text[1 + WHO_MAX];
    size_t len = who.len < WHO_MAX ? who.len : WHO_MAX;
    text[0] = (uint8_t)kind;
    memcpy(text + 1, who.data, len);
    uint64_t hash = siphash(t->key, slice_of(text, 1 + len));
    return hash != 0 ? hash : 1; /* 0: an unused place */
}

/* The debt in microseconds. More than two periods cannot be owed, so the clock jumped back: one it is. */
static uint64_t debt_of(struct entry *e, uint64_t now_us)
{
    uint64_t period_us = e->period_ms * US_OF_MS;
    if (e->paid_us <= now_us) {
        return 0;
    }
    if (e->paid_us - now_us > 2 * period_us) {
        e->paid_us = now_us + period_us;
    }
    return e->paid_us - now_us;
}

static struct entry *find(struct rate_table *t, uint64_t hash)
{
    struct entry *set = &t->entries[(hash & (t->sets - 1)) * WAYS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].hash == hash) {
            return &set[i];
        }
    }
    return NULL;
}

/* a / b < c / d, for debts and periods: at most a day in microseconds, 37 bits, times 27 */
static bool smaller_part(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return a * d < c * b;
}

/* A place for one that has none: unused, paid off, or that of who owes least. */
static struct entry *place(struct rate_table *t, uint64_t hash, uint64_t now_us)
{
    struct entry *set = &t->entries[(hash & (t->sets - 1)) * WAYS];
    struct entry *least = &set[0];
    uint64_t least_debt = UINT64_MAX;
    for (size_t i = 0; i < WAYS; i++) {
        uint64_t debt = debt_of(&set[i], now_us);
        if (debt == 0) {
            return &set[i];
        }
        if (least_debt == UINT64_MAX || smaller_part(debt, set[i].period_ms, least_debt, least->period_ms)) {
            least = &set[i];
            least_debt = debt;
        }
    }
    t->evicted++;
    return least;
}

/* Rounded up: `count` steps never take less than a period. */
static uint64_t step_us(uint64_t period_us, uint64_t count)
{
    uint64_t step = (period_us + count - 1) / count;
    return step > 0 ? step : 1;
}

static bool fits(uint64_t debt, uint64_t period_us, uint64_t count)
{
    return debt + step_us(period_us, count) <= count * step_us(period_us, count);
}

bool rate_take(struct rate_table *t, enum rate_kind kind, struct slice who, uint64_t count, uint64_t now_ms)
{
    if (count == 0) {
        return true;
    }
    uint64_t now_us = now_ms * US_OF_MS, period_us = rate_period_ms(kind) * US_OF_MS;
    uint64_t hash = hash_of(t, kind, who);
    struct entry *e = find(t, hash);
    uint64_t debt = e != NULL ? debt_of(e, now_us) : 0;
    if (!fits(debt, period_us, count)) {
        return false;
    }
    e = e != NULL ? e : place(t, hash, now_us);
    *e = (struct entry){.hash = hash,
                        .paid_us = now_us + debt + step_us(period_us, count),
                        .period_ms = (uint32_t)rate_period_ms(kind)};
    return true;
}

bool rate_is_spent(struct rate_table *t, enum rate_kind kind, struct slice who, uint64_t count,
                   uint64_t now_ms)
{
    struct entry *e = count > 0 ? find(t, hash_of(t, kind, who)) : NULL;
    return e != NULL && !fits(debt_of(e, now_ms * US_OF_MS), rate_period_ms(kind) * US_OF_MS, count);
}

struct client_key client_key_of(const char *ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct client_key key = {{0}};
    uint8_t bytes[16];
    if (inet_pton(AF_INET, ip, bytes) == 1) {
        key.bytes[0] = 4;
        memcpy(key.bytes + 1, bytes, 4);
    } else if (inet_pton(AF_INET6, ip, bytes) == 1) {
        bool is_mapped = memcmp(bytes, mapped, sizeof mapped) == 0;
        key.bytes[0] = is_mapped ? 4 : 6;
        memcpy(key.bytes + 1, is_mapped ? bytes + 12 : bytes, is_mapped ? 4 : 8);
    }
    return key;
}
