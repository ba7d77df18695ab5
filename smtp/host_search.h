/*
 * The hosts of a domain, looked up: smtp/mx.h asks and decides, smtp/resolver.h answers. On the loop's
 * thread.
 */
#ifndef SEALPOST_SMTP_HOST_SEARCH_H
#define SEALPOST_SMTP_HOST_SEARCH_H

#include "smtp/mx.h"

struct host_search;

struct host_question {
    struct resolver *resolver;
    const struct mx_own *own; /* outlives the search */
    struct slice domain;      /* copied */
    uint16_t port;
    uint64_t random;
};
/* `found` is called once, later: never from within this call; it owns the plan, which free() ends. NULL when
 * memory is short. Once `found` was called the search is gone. */
struct host_search *host_search_start(uv_loop_t *loop, const struct host_question *question,
                                      void (*found)(void *context, struct mx_plan *plan), void *context);
void host_search_cancel(struct host_search *s); /* NULL is fine; `found` is not called any more */

/* The addresses that a listening socket stands for: its own, or those of all interfaces; at most `max` in all
 * are appended. */
void own_addresses_add(int fd, union mx_sockaddr *list, size_t *count, size_t max);

#endif
