/*
 * The way from the api role to `core` and to smtp's queue. h2o's loop must not wait for either, so one
 * thread, the bus, owns the client of core (raft/core_protocol.h) and the connection to run/queue.sock, and
 * polls both.
 *
 * The loop submits requests; the bus gives each exactly one answer, through `deliver`, which it calls on its
 * own thread. Both carry the number of the exchange that asked, never a pointer to it: it may be gone by
 * then.
 */
#ifndef SEALPOST_API_BUS_H
#define SEALPOST_API_BUS_H

#include "raft/core_protocol.h"

#define BUS_ARGUMENTS_MAX ((size_t)2 << 20)
#define BUS_STATS_MAX     ((size_t)64 << 10)

enum bus_service { BUS_CORE, BUS_PROPOSE, BUS_QUEUE };

struct bus_request {
    uint64_t exchange;
    enum bus_service service;
    unsigned type;        /* enum core_request or enum queue_request; nothing for BUS_PROPOSE */
    struct buf arguments; /* raw MessagePack values; BUS_PROPOSE: the encoded command */
    size_t argument_count;
    unsigned timeout_ms;
    struct bus_request *next;
};
/* Zeroed, with the arguments' maximum set; the caller fills it. Ends the process when memory is short, as h2o
 * does. */
struct bus_request *bus_request_new(uint64_t exchange, enum bus_service service, unsigned type,
                                    unsigned timeout_ms);
void bus_request_free(struct bus_request *r);

struct bus_answer {
    uint64_t exchange;
    enum status status;
    char text[FAILURE_TEXT_MAX];
    uint64_t index;  /* as in struct core_answer */
    struct buf body; /* raw MessagePack of the results after status and text */
    struct bus_answer *next;
};
struct bus_answer *bus_answer_new(uint64_t exchange, enum status status, const char *text, struct slice body);
void bus_answer_free(struct bus_answer *a);

/* What is known without asking; times are of clock_monotonic_ms(), 0 = never. */
struct bus_health {
    bool core_ready; /* HELLO was answered: the store may be opened */
    uint64_t applied_index;
    uint64_t contact_ms; /* last proof of a leader with a quorum */
    uint64_t voters;
    char leader[NODE_NAME_MAX + 1];
    char node[NODE_NAME_MAX + 1];
    uint64_t queue_ms; /* when smtp last answered */
};

typedef void (*bus_deliver_cb)(void *context, struct bus_answer *answer); /* takes the answer; bus thread */

struct bus;
struct bus_sockets {
    const char *core, *queue, *fetch; /* paths, copied */
};
enum status bus_start(const struct bus_sockets *sockets, bus_deliver_cb deliver, void *context,
                      struct bus **out, struct failure *f) MUST_CHECK;
void bus_stop(struct bus *b); /* open requests are answered with CLOSED first */
void bus_submit(struct bus *b, struct bus_request *request); /* takes it; any thread */
void bus_health_get(struct bus *b, struct bus_health *out);
enum bus_stats { BUS_STATS_SMTP, BUS_STATS_FETCH };
/* The newest answer of that role to STATS: MessagePack of a map, appended to `out`; nothing if there was
 * none.
 */
void bus_stats_get(struct bus *b, enum bus_stats whose, struct buf *out);

#endif
