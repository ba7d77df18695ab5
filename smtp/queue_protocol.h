/*
 * What the api role asks of the smtp role about the queue of its node, over `run/queue.sock` (frames of
 * base/channel.h), and what nodes ask each other by way of their cores (node/core_messages.c). MessagePack:
 *
 *   question [ type u64, request u64, ...arguments ]
 *   answer   [ type u64, request u64, status u16, text str, body ]      body only if the status is OK
 *
 * | type         | arguments                                        | body |
 * |--------------|--------------------------------------------------|-----------------------------------------|
 * | STATS        |                                                  | map of name str -> u64, for /metrics |
 * | SHOW         | id str                                           | entry | | RETRY, DELETE, RELEASE, HOLD,
 * BOUNCE | id str                   | how many u64                            | | MESSAGE_LIST | limit u64,
 * before id str, from str, to str,      | [ more bool, next id str, [ JSON str,   | |              | state
 * str, since u64, until u64                  | ... ] ]                                 | | MESSAGE_SHOW | id
 * str                                           | [ JSON str, trace JSON str ]            | | FIND         |
 * selection, sort str, descending bool, limit u64, | [ more bool, [ [ cursor str, entry ],   | | | after
 * cursor str                                 | ... ] ], in order of the cursors        | | SUMMARY      |
 * selection, by str                                | [ [ name str, 10 numbers u64 ], ... ]   | | OPERATE |
 * selection, action str, id str, actor str,        | how many are meant u64 (0 when it has   | | | confirmed
 * bool                                   | begun: they are counted on the way)     | | OPERATIONS   | id str
 * ("" = all)                                | [ operation, ... ]                      | | CANCEL       | id
 * str                                           | how many u64                            | | FOLLOW       |
 * after: "NODE=NUMBER ..." str                     | [ newest u64, lost u64, [ event, ... ] ]| | CONTENT | id
 * str, variant u64, whole bool                  | [ variants u64, protection str,         | |              |
 * | [ recipient str, ... ], bytes bin,      | |              | | size u64, cut bool ]                    |
 *
 *   selection   smtp/queue_selection.h
 *   entry       queue_protocol.c
 *   operation   [ id, action, actor, state str each, started u64, ended u64 (0: not yet), messages u64 in the
 *               queue when it began, looked u64 at so many, done u64, refused u64, last refusal str ]
 *   event       [ time u64, event, id, sender, recipient, next hop, enhanced code, text: str each ]
 *   cursor      16 digits in hex of what is sorted by, ":", id
 *   by          "recipient-domain", "sender-domain", "reason", "next-hop"
 *   numbers     of a summary: recipients that wait (of sender-domain: messages) by age, in minutes up to 5,
 * 10, 20, 40, 80, 160, 320, 640, 1280 and more. The name "" is what has none; QUEUE_OTHERS all that would
 * make the answer too long.
 *
 * An id of an operation is the asker's: an operation of the whole cluster has the same id on every node. A
 * type from FIND on is not known to nodes of releases before 0.2: they answer UNSUPPORTED.
 */
#ifndef SEALPOST_SMTP_QUEUE_PROTOCOL_H
#define SEALPOST_SMTP_QUEUE_PROTOCOL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/clock.h"

#define QUEUE_SOCKET "run/queue.sock"

enum queue_request {
    QUEUE_SHOW = 2, /* 1: LIST of 0.1 */
    QUEUE_RETRY,
    QUEUE_DELETE,
    QUEUE_STATS,
    QUEUE_RELEASE,
    QUEUE_MESSAGE_LIST,
    QUEUE_MESSAGE_SHOW,
    QUEUE_HOLD,
    QUEUE_BOUNCE,
    QUEUE_FIND,
    QUEUE_SUMMARY,
    QUEUE_OPERATE,
    QUEUE_OPERATIONS,
    QUEUE_CANCEL,
    QUEUE_FOLLOW,
    QUEUE_CONTENT,
    QUEUE_REQUEST_END
};

#define QUEUE_AGES         10
#define QUEUE_AGE_FIRST_MS ((uint64_t)5 * 60 * 1000) /* each is twice the one before */
#define QUEUE_OTHERS       "(others)"
#define QUEUE_CURSOR_SIZE  (16 + 1 + ID_TEXT_SIZE)
#define QUEUE_FOLLOW_MS    1000 /* so long it waits for something to happen */

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
    struct slice state; /* "active", "deferred", "held", "quarantined" */
    uint64_t arrived_ms, next_attempt_ms, expires_ms, size, attempts;
    struct queue_recipient *recipients; /* the first that belong to it */
    size_t recipient_count;
    struct slice trace; /* JSON; SHOW only, and so with what follows */
    struct slice client_ip, helo;
    uint64_t all_recipients;
};
enum status queue_entry_encode(const struct queue_entry *e,
                               struct buf *out) MUST_CHECK; /* appends one value */
struct msgpack_reader;
void queue_entry_read(struct msgpack_reader *r, struct arena *a,
                      struct queue_entry *e); /* failures stick to the reader */

struct queue_operation_told {
    struct slice id, action, actor, state; /* "running", "done", "cancelled" */
    uint64_t started_ms, ended_ms, messages, looked, done, refused;
    struct slice refusal;
};
void queue_operation_read(struct msgpack_reader *r, struct queue_operation_told *o);

struct queue_event {
    uint64_t time_ms;
    struct slice event; /* "accepted", "delivered", "deferred", "failed", "held", "released", "deleted",
                           "notified", "quarantined" */
    struct slice id, sender, recipient, next_hop, enhanced, text;
};
enum status queue_event_encode(const struct queue_event *e, struct buf *out) MUST_CHECK;
void queue_event_read(struct msgpack_reader *r, struct queue_event *e);

#endif
