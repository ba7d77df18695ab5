/* See id_order.h. Ids grow with time, so that most are added at the end: a full last leaf is not split, a new
 * one is begun. */
#include "smtp/id_order.h"

#include "smtp/schedule.h"

struct id_leaf {
    size_t count;
    struct schedule_entry *entries[ID_ORDER_LEAF];
};

void id_order_release(struct id_order *o)
{
    for (size_t i = 0; i < o->leaf_count; i++) {
        free(o->leaves[i]);
    }
    free(o->leaves);
    *o = (struct id_order){0};
}

/* The first place in the leaf whose id is not below `id`. */
static size_t place_in(const struct id_leaf *leaf, const uint8_t id[ID_SIZE])
{
    size_t low = 0, high = leaf->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memcmp(leaf->entries[middle]->id, id, ID_SIZE) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The first leaf whose last id is not below `id`; leaf_count if there is none. */
static size_t leaf_of(const struct id_order *o, const uint8_t id[ID_SIZE])
{
    size_t low = 0, high = o->leaf_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct id_leaf *leaf = o->leaves[middle];
        if (memcmp(leaf->entries[leaf->count - 1]->id, id, ID_SIZE) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct id_leaf *leaf_insert(struct id_order *o, size_t at)
{
    if (o->leaf_count == o->leaf_room) {
        size_t room = o->leaf_room == 0 ? 64 : o->leaf_room * 2;
        struct id_leaf **grown = realloc(o->leaves, room * sizeof(struct id_leaf *));
        if (grown == NULL) {
            return NULL;
        }
        o->leaves = grown;
        o->leaf_room = room;
    }
    struct id_leaf *leaf = calloc(1, sizeof *leaf);
    if (leaf != NULL) {
        memmove(o->leaves + at + 1, o->leaves + at, (o->leaf_count - at) * sizeof(struct id_leaf *));
        o->leaves[at] = leaf;
        o->leaf_count++;
    }
    return leaf;
}

/* A full leaf gives its upper half to a new one behind it. */
static bool leaf_split(struct id_order *o, size_t at)
{
    struct id_leaf *upper = leaf_insert(o, at + 1);
    if (upper == NULL) {
        return false;
    }
    struct id_leaf *lower = o->leaves[at];
    lower->count = ID_ORDER_LEAF / 2;
    upper->count = ID_ORDER_LEAF - lower->count;
    memcpy(upper->entries, lower->entries + lower->count, upper->count * sizeof upper->entries[0]);
    return true;
}

bool id_order_add(struct id_order *o, struct schedule_entry *e)
{
    size_t at = leaf_of(o, e->id);
    if (at == o->leaf_count) {
        bool full = at == 0 || o->leaves[at - 1]->count == ID_ORDER_LEAF;
        if (full && leaf_insert(o, at) == NULL) {
            return false;
        }
        at = full ? at : at - 1;
    } else if (o->leaves[at]->count == ID_ORDER_LEAF) {
        if (!leaf_split(o, at)) {
            return false;
        }
        at = leaf_of(o, e->id);
    }
    struct id_leaf *leaf = o->leaves[at];
    size_t place = place_in(leaf, e->id);
    memmove(leaf->entries + place + 1, leaf->entries + place,
            (leaf->count - place) * sizeof leaf->entries[0]);
    leaf->entries[place] = e;
    leaf->count++;
    return true;
}

void id_order_remove(struct id_order *o, const struct schedule_entry *e)
{
    size_t at = leaf_of(o, e->id);
    struct id_leaf *leaf = o->leaves[at];
    size_t place = place_in(leaf, e->id);
    leaf->count--;
    memmove(leaf->entries + place, leaf->entries + place + 1,
            (leaf->count - place) * sizeof leaf->entries[0]);
    if (leaf->count == 0) {
        free(leaf);
        o->leaf_count--;
        memmove(o->leaves + at, o->leaves + at + 1, (o->leaf_count - at) * sizeof(struct id_leaf *));
    }
}

size_t id_order_after(const struct id_order *o, const uint8_t *after, struct schedule_entry **out, size_t max)
{
    size_t n = 0, at = after != NULL ? leaf_of(o, after) : 0;
    size_t place = after != NULL && at < o->leaf_count ? place_in(o->leaves[at], after) : 0;
    for (; at < o->leaf_count && n < max; at++, place = 0) {
        const struct id_leaf *leaf = o->leaves[at];
        for (; place < leaf->count && n < max; place++) {
            if (after == NULL || memcmp(leaf->entries[place]->id, after, ID_SIZE) != 0) {
                out[n++] = leaf->entries[place];
            }
        }
    }
    return n;
}

size_t id_order_before(const struct id_order *o, const uint8_t *before, struct schedule_entry **out,
                       size_t max)
{
    size_t n = 0, at = before != NULL ? leaf_of(o, before) : o->leaf_count;
    size_t place = before != NULL && at < o->leaf_count ? place_in(o->leaves[at], before) : 0;
    while (n < max) {
        if (place == 0) {
            if (at == 0) {
                break;
            }
            place = o->leaves[--at]->count;
        }
        out[n++] = o->leaves[at]->entries[--place];
    }
    return n;
}
