/*
 * The delivery state of a spooled message: payload of a STATE record. Pure.
 *
 *   0       version (1; 2 if any recipient has a flag)
 *   1       state of the message (enum spool_message_state)
 *   2       flags (enum spool_state_flags)
 *   3       zero
 *   4..7    attempts
 *   8..15   next attempt, wall ms
 *   16..19  number n of recipients
 *   20..    n bytes, one a recipient in the envelope's order: enum spool_recipient_state, and of version 2 on
 *           flags above it: 16: the sender was told that it is late; 32: the sender is still to be told that
 * it was passed on rest    sealed under the spool key with context "state:" + id text: MessagePack array of [
 * position u64, last reply str, next hop str, enhanced code str ] for the recipients that have a last reply;
 * empty if there is none
 */
#ifndef SEALPOST_SMTP_SPOOL_STATE_H
#define SEALPOST_SMTP_SPOOL_STATE_H

#include "base/arena.h"
#include "base/buf.h"

enum spool_message_state {
    SPOOL_ACTIVE = 0,
    SPOOL_DEFERRED = 1,
    SPOOL_QUARANTINED = 2,
    SPOOL_HELD = 3 /* by an administrator; a release that does not know it takes the message for damaged and
                      does not deliver it */
};
enum spool_state_flags {
    SPOOL_STATE_RELEASED = 1, /* its quarantined variants may leave */
    SPOOL_STATE_NOTICED = 2   /* the notice to its sender is durable */
};
enum spool_recipient_state { RECIPIENT_WAITING = 0, RECIPIENT_DELIVERED = 1, RECIPIENT_FAILED = 2 };

struct spool_recipient {
    enum spool_recipient_state state;
    bool delay_told;       /* the sender knows that it is late */
    bool tell;             /* the sender is to be told that it was delivered, or passed on */
    struct slice reply;    /* text of the last answer, escaped; "" if none */
    struct slice next_hop; /* who gave it */
    struct slice enhanced; /* "5.1.1" */
};

struct spool_state {
    enum spool_message_state state;
    bool released; /* by an administrator: what policy had put aside leaves too */
    bool noticed;  /* the sender was sent the notice that SPOOL_NOTICE asks for */
    uint32_t attempts;
    uint64_t next_attempt_ms;
    struct spool_recipient *recipients;
    size_t recipient_count;
};

#define SPOOL_STATE_FIXED 20u

/* The texts that are to be sealed; empty (len 0) if no recipient has one. */
enum status spool_state_encode_texts(const struct spool_state *s, struct buf *out) MUST_CHECK;
enum status spool_state_encode(const struct spool_state *s, struct slice sealed_texts,
                               struct buf *out) MUST_CHECK;
/* The plain part; the sealed rest goes to *sealed. `a` may be NULL: then recipients stay unread
 * (recipient_count is set). */
enum status spool_state_decode(struct slice in, struct arena *a, struct spool_state *s,
                               struct slice *sealed) MUST_CHECK;
enum status spool_state_decode_texts(struct slice texts,
                                     struct spool_state *s) MUST_CHECK; /* slices into `texts` */

#endif
