/*
 * A message's envelope as the spool keeps it: everything that delivery, the queue's listing and another node
 * that takes the message over need. Pure. As MessagePack:
 *
 *   [ 2, id bin16, arrived u64, owner node u64, owner epoch u64, flags u64, sender str, client ip str,
 *     helo str, [ recipient str, ... ], [ variant, ... ], trace str, [ refusal, ... ] ]
 *   variant  [ size u64, flags u64 (1: needs 8BITMIME, 2: quarantine), protection str,
 *              [ position of recipient u64, ... ], reason of quarantine str, next hop str ]
 *   refusal  [ position of recipient u64, enhanced code str, reason str ]
 *
 * Each recipient is in one variant or in one refusal: the sender is to be told of those, and that duty is
 * durable with the message itself, in one record. Version 1 (0.1) had no refusals, and four fields a variant;
 * it is still read.
 */
#ifndef SEALPOST_SMTP_SPOOL_ENVELOPE_H
#define SEALPOST_SMTP_SPOOL_ENVELOPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"

#define SPOOL_ENVELOPE_MAX ((size_t)8 << 20) /* bytes of MessagePack */

enum spool_envelope_flags {
    SPOOL_NOTIFICATION =
        1, /* a delivery status notification that was made here: its failure is told to nobody */
    SPOOL_UNPROCESSED = 2,   /* the only variant is what came in */
    SPOOL_REFUSALS_TOLD = 4, /* the client heard of each refusal by itself (LMTP): no notification */
    SPOOL_CAME_BY_TLS = 8,   /* with UNPROCESSED: how it came, for the decision that is still to be made */
    SPOOL_CAME_BY_LMTP = 16,
    SPOOL_NOTICE = 32 /* the sender is to be sent a notice of what became of it (smtp/notice.c) */
};

struct spool_variant {
    uint64_t size; /* bytes, CRLF line ends, not dot-stuffed */
    bool needs_8bit;
    struct slice protection;
    size_t *recipients; /* positions in the envelope's list */
    size_t recipient_count;
    bool quarantine; /* leaves only when the message's state says that it was released */
    struct slice quarantine_reason;
    struct slice next_hop; /* overrides delivery.next_hop; "" = that */
};

/* A recipient whom policy refused while others were accepted. */
struct spool_refusal {
    size_t recipient;
    struct slice enhanced; /* "5.7.5" */
    struct slice reason;   /* one printable line, with the address */
};

struct spool_envelope {
    uint8_t id[ID_SIZE];
    uint64_t arrived_ms;
    uint64_t owner_node, owner_epoch;
    uint64_t flags; /* enum spool_envelope_flags */
    struct slice sender, client_ip, helo;
    struct slice *recipients;
    size_t recipient_count;
    struct spool_variant *variants;
    size_t variant_count;
    struct spool_refusal *refusals;
    size_t refusal_count;
    struct slice trace;
};

enum status spool_envelope_encode(const struct spool_envelope *e, struct buf *out) MUST_CHECK;
/* Arrays in the arena, slices into `in`. CORRUPT if it is not one: each recipient must be in exactly one
 * variant or refusal. */
enum status spool_envelope_decode(struct slice in, struct arena *a, struct spool_envelope *e) MUST_CHECK;
uint64_t spool_envelope_size(const struct spool_envelope *e); /* bytes of all variants */

#endif
