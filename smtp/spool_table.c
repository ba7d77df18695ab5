/* The table of live messages: id to place (smtp/spool_internal.h). The caller holds the spool's lock. */
#include "smtp/spool_internal.h"

#define CAPACITY_MIN 1024

static size_t slot_of(const struct spool_table *t, const uint8_t id[ID_SIZE])
{
    return (size_t)(spool_get_u64(id + ID_SIZE - 8) & (t->capacity - 1));
}

void spool_table_release(struct spool_table *t)
{
    free(t->slots);
    *t = (struct spool_table){0};
}

static struct spool_place *probe(const struct spool_table *t, const uint8_t id[ID_SIZE])
{
    size_t i = slot_of(t, id);
    while (t->slots[i].segment != NULL && memcmp(t->slots[i].id, id, ID_SIZE) != 0) {
        i = (i + 1) & (t->capacity - 1);
    }
    return &t->slots[i];
}

struct spool_place *spool_table_find(const struct spool_table *t, const uint8_t id[ID_SIZE])
{
    if (t->capacity == 0) {
        return NULL;
    }
    struct spool_place *place = probe(t, id);
    return place->segment != NULL ? place : NULL;
}

static bool grow(struct spool_table *t)
{
    struct spool_table bigger = {.capacity = t->capacity == 0 ? CAPACITY_MIN : t->capacity * 2,
                                 .count = t->count};
    bigger.slots = calloc(bigger.capacity, sizeof bigger.slots[0]);
    if (bigger.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < t->capacity; i++) {
        if (t->slots[i].segment != NULL) {
            *probe(&bigger, t->slots[i].id) = t->slots[i];
        }
    }
    free(t->slots);
    *t = bigger;
    return true;
}

struct spool_place *spool_table_put(struct spool_table *t, const uint8_t id[ID_SIZE])
{
    if ((t->count + 1) * 4 > t->capacity * 3 && !grow(t)) {
        return NULL;
    }
    struct spool_place *place = probe(t, id);
    if (place->segment == NULL) {
        *place = (struct spool_place){0};
        memcpy(place->id, id, ID_SIZE);
        t->count++; /* the caller sets the segment at once */
    }
    return place;
}

void spool_table_remove(struct spool_table *t, struct spool_place *place)
{
    size_t hole = (size_t)(place - t->slots);
    size_t mask = t->capacity - 1;
    t->slots[hole].segment = NULL;
    t->count--;
    for (size_t i = (hole + 1) & mask; t->slots[i].segment != NULL; i = (i + 1) & mask) {
        size_t home = slot_of(t, t->slots[i].id);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            t->slots[i].segment = NULL;
            hole = i;
        }
    }
}
