/*
 * What the api role asks of the smtp role about this node's spool, over `run/queue.sock` (frames of
 * base/channel.h), MessagePack arrays:
 *
 *   [ LIST, request u64, limit u64, after id str ]  -> [ LIST, request, status u16, text str, array of
 * entries ] sorted by id [ SHOW, request, id str ]                       -> [ SHOW, request, status, text,
 * entry ] [ RETRY, request, id str ("" = all) ]           -> [ RETRY, request, status, text, count u64 ] [
 * RELEASE, request, id str ]                    -> [ RELEASE, request, status, text, count u64 ] [ DELETE,
 * request, id str ]                     -> [ DELETE, request, status, text, count u64 ] [ STATS, request ] ->
 * [ STATS, request, status, text, map of name str -> u64 ] for /metrics
 *
 * and about its message log (smtp/message_log.h), also for other nodes, whose cores ask for them through this
 * one's:
 *
 *   [ MESSAGE_LIST, request, limit u64, before id str, from str, to str, state str, since u64, until u64 ]
 *                                                   -> [ ..., status, text, [ more bool, next id str, [ JSON
 * str, ... ] ] ] [ MESSAGE_SHOW, request, id str ]               -> [ ..., status, text, [ JSON str, trace
 * JSON str ] ]
 */
#ifndef SEALPOST_SMTP_QUEUE_PROTOCOL_H
#define SEALPOST_SMTP_QUEUE_PROTOCOL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/clock.h"

#define QUEUE_SOCKET "run/queue.sock"

enum queue_request {
    QUEUE_LIST = 1,
    QUEUE_SHOW,
    QUEUE_RETRY,
    QUEUE_DELETE,
    QUEUE_STATS,
    QUEUE_RELEASE,
    QUEUE_MESSAGE_LIST,
    QUEUE_MESSAGE_SHOW
};

struct queue_recipient {
    struct slice address;
    struct slice state;      /* "waiting", "delivered", "failed", "quarantined", "refused" */
    struct slice protection; /* of its variant */
    struct slice last_reply; /* escaped text of the last attempt, "" if none */
    struct slice next_hop;
};

struct queue_entry {
    struct slice id;
    struct slice sender;
    struct slice state; /* "active", "deferred", "quarantined" */
    uint64_t arrived_ms, next_attempt_ms, expires_ms, size, attempts;
    struct queue_recipient *recipients; /* all that belong to it */
    size_t recipient_count;
    struct slice trace; /* JSON; SHOW only */
};
enum status queue_entry_encode(const struct queue_entry *e,
                               struct buf *out) MUST_CHECK; /* appends one value */
struct msgpack_reader;
void queue_entry_read(struct msgpack_reader *r, struct arena *a,
                      struct queue_entry *e); /* failures stick to the reader */

#endif
