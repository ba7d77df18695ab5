/* One page of a list in key order: ?limit= and ?after=. */
#ifndef SEALPOST_API_LIST_PAGE_H
#define SEALPOST_API_LIST_PAGE_H

#include "api/exchange.h"

struct list_page {
    json_t *items; /* owned until list_page_answer() */
    struct slice after;
    size_t limit;
    bool more;
    char last[PATH_SEGMENT_MAX + 1]; /* key of the last item */
};

void list_page_begin(struct list_page *p, struct exchange *x);
/* Does the entry with this key belong on the page? Else: go on, or stop when page_is_full(). */
bool list_page_wants(struct list_page *p, struct slice key);
void list_page_add(struct list_page *p, struct slice key, json_t *item); /* takes the item */
void list_page_answer(struct list_page *p, struct exchange *x);

#endif
