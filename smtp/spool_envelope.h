/*
 * A message's envelope as the spool keeps it: everything that delivery, the queue's listing and another node
 * that takes the message over need. Pure. As MessagePack:
 *
 *   [ 3, id bin16, arrived u64, owner node u64, owner epoch u64, flags u64, sender str, client ip str,
 *     helo str, [ recipient str, ... ], [ variant, ... ], trace str, [ refusal, ... ], promises u64, envid
 * str, [ wish, ... ] ] variant  [ size u64, flags u64 (1: needs 8BITMIME, 2: quarantine, 4: header beyond
 * ASCII), protection str, [ position of recipient u64, ... ], reason of quarantine str, next hop str ]
 * refusal  [ position of recipient u64, enhanced code str, reason str ] wish     [ position of recipient u64,
 * notify u64, orcpt str ], in order of position; only of recipients that have one
 *
 * Each recipient is in one variant or in one refusal: the sender is to be told of those, and that duty is
 * durable with the message itself, in one record. What MAIL and RCPT asked for beyond the addresses binds
 * delivery, notifications and releases. Version 1 (0.1) had no refusals, and four fields a variant; version 2
 * (0.2) had no promises; both are still read.
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

/* What was asked for with MAIL, and promised with its 250. */
enum spool_promises {
    SPOOL_BODY_8BITMIME = 1,    /* BODY=8BITMIME (RFC 6152) */
    SPOOL_SMTPUTF8 = 2,         /* RFC 6531 */
    SPOOL_REQUIRETLS = 4,       /* RFC 8689 section 2 */
    SPOOL_RET_FULL = 8,         /* RET=FULL (RFC 3461 section 4.3); neither: none was given */
    SPOOL_RET_HDRS = 16,        /* RET=HDRS */
    SPOOL_TLS_NOT_REQUIRED = 32 /* its header says TLS-Required: No (RFC 8689 section 3) */
};

/* NOTIFY of a RCPT (RFC 3461 section 4.1); 0: none was given, which is not the same as any. */
enum spool_notify { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

/* What was asked for with RCPT. */
struct spool_wish {
    uint64_t notify;    /* enum spool_notify */
    struct slice orcpt; /* "type;xtext" as it was given; empty: none was */
};

#define SPOOL_ENVID_MAX ((size_t)100) /* bytes, RFC 3461 section 4.4 */
#define SPOOL_ORCPT_MAX ((size_t)500) /* bytes, RFC 3461 section 4.2 */

struct spool_variant {
    uint64_t size; /* bytes, CRLF line ends, not dot-stuffed */
    bool needs_8bit;
    bool utf8_header; /* of a message with SMTPUTF8: its header is not ASCII */
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
    uint64_t promises;         /* enum spool_promises */
    struct slice envid;        /* xtext as it was given; empty: none was */
    struct spool_wish *wishes; /* one for each recipient; NULL: nobody has one */
};

enum status spool_envelope_encode(const struct spool_envelope *e, struct buf *out) MUST_CHECK;
/* Arrays in the arena, slices into `in`. CORRUPT if it is not one: each recipient must be in exactly one
 * variant or refusal. */
enum status spool_envelope_decode(struct slice in, struct arena *a, struct spool_envelope *e) MUST_CHECK;
/* Of the recipient at this position; nothing if they have none. */
struct spool_wish spool_envelope_wish(const struct spool_envelope *e, size_t position);
/* `to`, which has the same recipients, asks for the same as `from`; copied. False: memory is short. */
bool spool_envelope_copy_promises(const struct spool_envelope *from, struct arena *a,
                                  struct spool_envelope *to) MUST_CHECK;
uint64_t spool_envelope_size(const struct spool_envelope *e); /* bytes of all variants */

#endif
