/* See fetch_memory.h. Pure. */
#include "node/fetch_memory.h"

#define MINUTE_MS 60000

/* Keys are hashes: any of their bytes spread evenly. */
static size_t place_of(const uint8_t key[FETCH_KEY_SIZE], size_t places)
{
    return ((size_t)key[0] << 8 | key[1]) % places;
}

void fetch_memory_failed(struct fetch_memory *m, const uint8_t key[FETCH_KEY_SIZE], uint64_t now_ms,
                         uint64_t for_ms)
{
    size_t at = place_of(key, FETCH_FAILURES);
    memcpy(m->failures[at].key, key, FETCH_KEY_SIZE);
    m->failures[at].until_ms = now_ms + for_ms;
}

bool fetch_memory_has_failed(const struct fetch_memory *m, const uint8_t key[FETCH_KEY_SIZE], uint64_t now_ms)
{
    size_t at = place_of(key, FETCH_FAILURES);
    return now_ms < m->failures[at].until_ms && memcmp(m->failures[at].key, key, FETCH_KEY_SIZE) == 0;
}

void fetch_memory_forget_failures(struct fetch_memory *m)
{
    memset(m->failures, 0, sizeof m->failures);
}

static bool count(struct fetch_minute *minute, unsigned most, uint64_t now_ms)
{
    if (now_ms - minute->began_ms >= MINUTE_MS || minute->count == 0) {
        minute->began_ms = now_ms;
        minute->count = 0;
    }
    if (minute->count >= most) {
        return false;
    }
    minute->count++;
    return true;
}

bool fetch_memory_may_ask(struct fetch_memory *m, const uint8_t host[FETCH_KEY_SIZE], uint64_t now_ms)
{
    struct fetch_minute *minute = &m->hosts[place_of(host, FETCH_HOSTS)];
    if (memcmp(minute->key, host, FETCH_KEY_SIZE) != 0) {
        *minute = (struct fetch_minute){0};
        memcpy(minute->key, host, FETCH_KEY_SIZE);
    }
    return count(minute, FETCH_HOST_A_MINUTE, now_ms) && count(&m->all, FETCH_ALL_A_MINUTE, now_ms);
}
