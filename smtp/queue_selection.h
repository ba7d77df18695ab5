/*
 * Which messages of the queue somebody means: every condition that is given must hold. Sender and message
 * conditions are about the message; recipient, domain, reason and next hop must all hold for one and the same
 * recipient that waits. Pure.
 *
 *   on the wire: [ node, sender, recipient, domain, reason, next hop, state (str each), since u64, until u64
 * ]
 */
#ifndef SEALPOST_SMTP_QUEUE_SELECTION_H
#define SEALPOST_SMTP_QUEUE_SELECTION_H

#include "base/arena.h"
#include "base/buf.h"
#include "smtp/schedule.h"

#define QUEUE_PATTERN_MAX 320 /* bytes */

struct queue_selection {
    struct slice node;           /* its name; "" = any, and so with the others */
    struct slice sender;         /* an address, with * for anything; or @domain; "<>": the null sender */
    struct slice recipient;      /* the same */
    struct slice domain;         /* of a recipient; with * */
    struct slice reason;         /* a part of the last answer, or with * all of it */
    struct slice next_hop;       /* a part of its name and port, or with * all of it */
    struct slice state;          /* "active", "deferred", "held", "quarantined" */
    uint64_t since_ms, until_ms; /* arrived at or after, before; wall; 0 = any */
};

bool queue_state_exists(struct slice state);
const char *queue_state_of(const struct schedule_entry *e);
/* Is anything asked that only the facts tell? */
bool queue_selection_needs_facts(const struct queue_selection *s);
/* `e` has facts, or none are needed; `node` is ours. */
bool queue_selection_fits(const struct queue_selection *s, const struct schedule_entry *e);
bool queue_waiting_fits(const struct queue_selection *s, const struct queue_waiting *w);
uint64_t queue_arrival_of(const uint8_t id[ID_SIZE]); /* wall ms */

/* ASCII letters without regard to case; * stands for any bytes. Linear in both. */
bool queue_pattern_fits(struct slice pattern, struct slice text);

enum status queue_selection_encode(const struct queue_selection *s, struct buf *out) MUST_CHECK;
struct msgpack_reader;
void queue_selection_read(struct msgpack_reader *r, struct queue_selection *s); /* slices into its bytes */
bool queue_selection_copy(struct arena *a, const struct queue_selection *from, struct queue_selection *to);

#endif
