/*
 * What the message log keeps of a message, as bytes (smtp/message_log.h seals and stores them). Pure.
 * MessagePack:
 *
 *   taken   [ 1, arrived u64, size u64, sender str, client ip str, helo str, listener str, subject str,
 *             reply str, [ person, ... ], recipients in all u64 ]       what was answered to the final dot
 *   person  [ address str, state u64, protection str, text str ]
 *   event   [ 1, type u64, time u64, attempt u64, text str, [ outcome, ... ] ]
 *   outcome [ position u64, state u64, next hop str, enhanced code str, text str ]
 *
 * Times are wall ms. No content of a message is here, and of its header only the subject, when log.subjects
 * allows.
 */
#ifndef SEALPOST_SMTP_MESSAGE_EVENT_H
#define SEALPOST_SMTP_MESSAGE_EVENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"

/* name, word. The numbers are on disk: append only. */
#define MESSAGE_STATE_TABLE(X)                                                                               \
    X(WAITING, "waiting")                                                                                    \
    X(DELIVERED, "delivered")                                                                                \
    X(DEFERRED, "deferred")                                                                                  \
    X(FAILED, "failed")                                                                                      \
    X(REFUSED, "refused")                                                                                    \
    X(QUARANTINED, "quarantined")

enum message_state {
#define X(name, word) MESSAGE_##name,
    MESSAGE_STATE_TABLE(X)
#undef X
        MESSAGE_STATE_COUNT
};
const char *message_state_word(enum message_state state);

/* Append only. */
#define MESSAGE_EVENT_TABLE(X)                                                                               \
    X(ATTEMPT, "attempt")         /* `outcomes` of a group of recipients */                                  \
    X(QUARANTINED, "quarantined") /* `text`: why */                                                          \
    X(RELEASED, "released")       /* `text`: the id that it goes on as */                                    \
    X(DELETED, "deleted")         /* by an administrator */                                                  \
    X(NOTIFIED, "notified")       /* its sender; `text`: the notification's id */                            \
    X(HELD, "held")               /* by an administrator */

enum message_event_type {
#define X(name, word) MESSAGE_EVENT_##name,
    MESSAGE_EVENT_TABLE(X)
#undef X
        MESSAGE_EVENT_COUNT
};
const char *message_event_word(enum message_event_type type);

#define MESSAGE_PEOPLE_MAX   1000 /* recipients that are kept of one message */
#define MESSAGE_OUTCOMES_MAX 1000 /* of one event */
#define MESSAGE_TEXT_MAX     4096 /* bytes of a reply */

struct message_person {
    struct slice address;
    enum message_state state; /* when it was answered: WAITING, REFUSED, QUARANTINED */
    struct slice protection, text;
};

struct message_taken {
    uint64_t arrived_ms, size;
    struct slice sender, client_ip, helo, listener, subject, reply;
    struct message_person *people; /* the first MESSAGE_PEOPLE_MAX */
    size_t people_count;
    uint64_t recipient_count; /* in all */
};

struct message_outcome {
    size_t position; /* in the envelope */
    enum message_state state;
    struct slice next_hop, enhanced, text;
};

struct message_event {
    enum message_event_type type;
    uint64_t time_ms, attempt;
    struct slice text;
    const struct message_outcome *outcomes;
    size_t outcome_count;
};

/* Texts are cut at MESSAGE_TEXT_MAX, lists at their maxima. */
enum status message_taken_encode(const struct message_taken *t, struct buf *out) MUST_CHECK;
enum status message_event_encode(const struct message_event *e, struct buf *out) MUST_CHECK;
/* Arrays in the arena, slices into `in`. CORRUPT if it is none. */
enum status message_taken_decode(struct slice in, struct arena *a, struct message_taken *t) MUST_CHECK;
enum status message_event_decode(struct slice in, struct arena *a, struct message_event *e) MUST_CHECK;

#endif
