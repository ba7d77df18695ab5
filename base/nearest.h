/* "Did you mean": the distance between two names, and whether one is near enough to be named. */
#ifndef SEALPOST_BASE_NEAREST_H
#define SEALPOST_BASE_NEAREST_H

#include "base/slice.h"

#define NEAREST_NAME_MAX 64 /* bytes; a longer name is near to nothing */

/* The search so far. Start with {.name = what was written}; offer each known name; read `best` (NULL: none is
 * near). The texts that are offered are borrowed. */
struct nearest {
    struct slice name;
    const char *best;
    size_t distance;
};

void nearest_offer(struct nearest *n, const char *known);

#endif
