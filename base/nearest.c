/* See nearest.h: Damerau-Levenshtein distance of ASCII names without regard to case. Pure. */
#include "base/nearest.h"

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance_of(struct slice a, struct slice b)
{
    size_t rows[3][NEAREST_NAME_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++) {
        above[j] = j;
        before[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            uint8_t x = lower(a.data[i - 1]), y = lower(b.data[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b.data[j - 2]) && lower(a.data[i - 2]) == y) {
                row[j] = smaller(row[j], before[j - 2] + 1); /* two neighbours in the wrong order */
            }
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.len];
}

void nearest_offer(struct nearest *n, const char *known)
{
    struct slice candidate = slice_of_text(known);
    if (n->name.len == 0 || n->name.len > NEAREST_NAME_MAX || candidate.len > NEAREST_NAME_MAX) {
        return;
    }
    size_t distance = distance_of(n->name, candidate);
    if (distance <= 1 + candidate.len / 4 && distance < candidate.len &&
        (n->best == NULL || distance < n->distance)) {
        n->best = known;
        n->distance = distance;
    }
}
