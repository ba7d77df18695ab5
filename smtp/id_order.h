/*
 * The entries of a schedule in the order of their ids, which is the order of their arrival: for pages and
 * walks that begin anywhere. A list of leaves, each a sorted run of pointers: finding a place takes two
 * binary searches, adding and removing move at most a leaf. Costs 8 to 16 bytes an entry. Pure.
 */
#ifndef SEALPOST_SMTP_ID_ORDER_H
#define SEALPOST_SMTP_ID_ORDER_H

#include "base/clock.h"

#define ID_ORDER_LEAF 256 /* entries */

struct schedule_entry;
struct id_leaf;

struct id_order {
    struct id_leaf **leaves; /* none is empty */
    size_t leaf_count, leaf_room;
};

void id_order_release(struct id_order *o);
/* False when memory is short. Its id is not in it yet. */
bool id_order_add(struct id_order *o, struct schedule_entry *e);
void id_order_remove(struct id_order *o, const struct schedule_entry *e);
/* The entries with ids after `after` upwards (or before it downwards, the greatest first): at most `max`;
 * gives their number. `after` NULL: from the beginning, or the end. O(log n + max). */
size_t id_order_after(const struct id_order *o, const uint8_t *after, struct schedule_entry **out,
                      size_t max);
size_t id_order_before(const struct id_order *o, const uint8_t *before, struct schedule_entry **out,
                       size_t max);

#endif
