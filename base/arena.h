/*
 * An arena: many small allocations that end together (one arena a message). Secrets do not belong here: see
 * base/secret.h. Allocation fails with NULL when memory or the arena's maximum is reached.
 */
#ifndef SEALPOST_BASE_ARENA_H
#define SEALPOST_BASE_ARENA_H

#include "base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes handed out in all */
    size_t max;                 /* the most that `used` may become */
};

void arena_init(struct arena *a, size_t max);
void arena_release(struct arena *a);             /* frees all; the arena can be used again */
void *arena_alloc(struct arena *a, size_t size); /* aligned for any type, zeroed; NULL on failure */
void *arena_alloc_array(struct arena *a, size_t count, size_t size); /* with overflow check */
char *arena_text(struct arena *a, struct slice s);                   /* NUL-terminated copy */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool arena_copy(struct arena *a, struct slice s, struct slice *out);

#endif
