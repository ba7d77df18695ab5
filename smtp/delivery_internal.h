/*
 * What the files of delivery share: a dispatch (one message being delivered), its groups (recipients of one
 * variant that go to one destination), destinations with their connections, bodies. All on the loop's thread.
 *
 *   delivery.c      the schedule's clock, starting dispatches, what the queue's users ask
 *   dispatch_plan.c recipients into groups
 *   dispatch.c      results, the message's next state
 *   release.c       out of quarantine
 *   report.c        what the sender is to be told
 *   delivery_order.c  hold, bounce, delete
 *   delivery_index.c  what filters look for, of a former run's messages
 *   bounce.c        notifications
 *   notice.c        notices of how a message was protected
 *   destination.c   a next hop: its queue of groups, its connections, its pauses after failure
 *   client_session.c  one connection's SMTP dialogue
 *   body.c          a variant's bytes from memory or disk
 */
#ifndef SEALPOST_SMTP_DELIVERY_INTERNAL_H
#define SEALPOST_SMTP_DELIVERY_INTERNAL_H

#include "mail/dsn.h"
#include "smtp/concurrency.h"
#include "smtp/delivery.h"
#include "smtp/neighbours.h"
#include "smtp/stream.h"

struct group;
struct dispatch;
struct destination;
struct client_session;

enum recipient_result { RESULT_NONE, RESULT_DELIVERED, RESULT_DEFERRED, RESULT_FAILED };

struct recipient_outcome {
    enum recipient_result result;
    char enhanced[12];     /* "4.4.1" */
    struct slice text;     /* printable; in the dispatch's arena */
    struct slice next_hop; /* who said so, "host:port"; in the dispatch's arena; empty: nobody was reached */
    bool tells;            /* the next hop took the duty to tell the sender (DSN) */
};

struct group {
    struct group *next;
    struct dispatch *dispatch;
    struct destination *destination;
    size_t variant;
    size_t *recipients; /* positions in the envelope */
    size_t count;
    struct recipient_outcome *outcomes; /* one for each of them */
    bool moved;                         /* its connection broke under it before anything was said, once */
    int seven_bit;                      /* memfd of the 7-bit form; -1: none was made */
    uint64_t seven_bit_size;
};

/* --- body.c --- */

struct body {
    struct dispatch *dispatch; /* pinned while a read is under way */
    int fd;                    /* memory; -1: from the spool */
    size_t variant;
    uint64_t size, at;
    struct buf piece;
    uv_work_t work;
    bool reading, orphan;
    enum status status;
    void (*ready)(void *context, enum status status); /* of a read that body_next() answered with BUSY */
    void *context;
};
/* NULL when memory is short. */
struct body *body_new(struct group *g, void (*ready)(void *context, enum status status), void *context);
/* OK: the next bytes are in `piece`. BUSY: `ready` will be called. NOT_FOUND: that was all. */
enum status body_next(struct body *b) MUST_CHECK;
void body_free(struct body *b); /* NULL is fine; a read under way ends by itself */

/* --- dispatch.c --- */

struct dispatch {
    struct dispatch *next, *previous; /* the delivery's list */
    struct delivery *delivery;
    struct schedule_entry *entry;
    struct arena arena;
    struct message *hot;        /* still in memory; NULL: */
    struct spool_loaded loaded; /* read back */
    bool is_loaded;
    struct failure load_failure;
    const struct spool_envelope *envelope;
    struct spool_state state; /* recipients in the arena */
    bool *failing;            /* one a recipient: failed for good, not noted yet */
    bool *held;               /* one a recipient: in a variant that policy has put aside */
    size_t outstanding;       /* groups not finished */
    unsigned pins;            /* reads under way */
    bool over;                /* free it when the last pin is gone */
    bool aborted;             /* the service stops: nothing counts as tried */
    bool any_tried;
    uv_work_t work;
    /* report.c */
    bool *reporting; /* one a recipient: in the notification that is being made */
    enum dsn_action report;
    size_t report_kind; /* that comes next */
};
void dispatch_start_hot(struct delivery *d, struct schedule_entry *e, struct message *m);
void dispatch_start_cold(struct delivery *d, struct schedule_entry *e);
void dispatch_pin(struct dispatch *x);
void dispatch_unpin(struct dispatch *x);
/* Every outcome of the group is set. */
void group_finished(struct group *g);
/* Sets those outcomes that are still RESULT_NONE. `text` is copied. */
void group_settle(struct group *g, enum recipient_result result, const char *enhanced, struct slice text,
                  const char *next_hop);
void outcome_set(struct group *g, size_t i, enum recipient_result result, const char *enhanced,
                 struct slice text, const char *next_hop);
/* One recipient leaves the group with an outcome of its own; the last one takes its place. */
void group_part(struct group *g, size_t i, enum recipient_result result, const char *enhanced,
                struct slice text, const char *next_hop);
/* The recipients from `first` on (at least one, not all) as a group of their own; NULL: no memory. */
struct group *group_split(struct group *g, size_t first);

/* The notice is safe, or cannot be made. */
void dispatch_noticed(struct dispatch *x, enum status status, const char *as);

/* For dispatch_plan.c */
#define GROUP_RECIPIENTS_MAX 100  /* RFC 5321 section 4.5.3.1.8: every server takes as many */
#define BUSY_RETRY_MS        5000 /* nobody was tried: soon again, and it does not count */
void dispatch_note_outcome(struct dispatch *x, size_t position, const struct recipient_outcome *o);
void dispatch_log_outcomes(struct dispatch *x, const size_t *positions,
                           const struct recipient_outcome *outcomes, size_t count);
bool dispatch_is_held(const struct dispatch *x, size_t position);
void dispatch_settle(struct dispatch *x);
void dispatch_over(struct dispatch *x);
void dispatch_finalise(struct dispatch *x); /* nothing is left to tell: the message's next state */

/* --- report.c --- */

/* The next notification that the sender is owed, or the end of the dispatch. */
void report_next(struct dispatch *x);
/* The notification is safe (or needless): go on. `as`: its id, if there is one. */
void dispatch_bounced(struct dispatch *x, enum status status, const char *as);
/* Delivered to this recipient: is the sender to be told? */
bool report_success_is_due(const struct dispatch *x, size_t position);
/* When the sender is to be told that this recipient still waits, wall ms; UINT64_MAX: never. Within a look.
 */
uint64_t report_delay_due(const struct dispatch *x, size_t position);

/* --- dispatch_plan.c --- */

/* Groups into their destinations' queues; with none, the dispatch settles from within. */
void dispatch_plan(struct dispatch *x);

/* --- bounce.c --- */

/* A notification about these recipients of the message; ends with dispatch_bounced(), perhaps from within. */
void bounce_start(struct dispatch *x, enum dsn_action action, const bool *chosen, size_t count);

/* --- notice.c --- */

/* Is the sender still to be sent the notice that the envelope asks for? */
bool notice_is_due(const struct dispatch *x);
/* Ends with dispatch_noticed(), perhaps from within. */
void notice_start(struct dispatch *x);

/* --- release.c --- */

/* A quarantined, undamaged entry: it becomes active, and ends as deleted or quarantined again. */
enum status release_start(struct delivery *d, struct schedule_entry *e) MUST_CHECK;

/* --- delivery_order.c --- */

/* What an administrator asked of a message while it was on its way: true if that settles what becomes of it.
 * `state` is written when it is to be held; NULL: it cannot be. */
bool order_carried_out(struct delivery *d, struct schedule_entry *e, struct spool_state *state);
/* With ORDER_BOUNCE, in place of an attempt. */
void order_fails_all(struct dispatch *x);
void delivery_drop(struct delivery *d, struct schedule_entry *e); /* gone at once; nobody is told */
enum status delivery_let_go(struct delivery *d, struct schedule_entry *e, struct failure *f) MUST_CHECK;

/* --- destination.c --- */

struct destination {
    struct destination *next; /* of its bucket */
    struct delivery *delivery;
    char *text;                /* of what follows: */
    struct slice key;          /* route_key() */
    struct slice hosts;        /* HOSTS text; empty: by the MX records of */
    struct slice domain, tls;  /* */
    struct slice source, helo; /* as in struct delivery_settings */
    bool lmtp;
    uint16_t mx_port;
    uint64_t max_connections, max_messages, max_rate, connect_timeout_ms, timeout_ms,
        idle_timeout_ms; /* as last planned */
    struct concurrency concurrency;
    uint64_t used_ms;      /* uv_now: last planned */
    uint64_t rate_next_us; /* when the next message may leave */
    unsigned converting;   /* groups on their way to 7 bit */
    struct group *queue, **queue_tail;
    size_t queued;
    struct client_session *connections; /* all */
    size_t connection_count, connecting;
    uint64_t pause_until_ms; /* uv_now */
    uint64_t pause_ms;
    char last_enhanced[12], last_error[640];
    bool pumping, pump_again;
};
/* NULL: memory is short, or there are too many. */
struct destination *destination_find(struct delivery *d, const struct delivery_settings *settings,
                                     struct arena *a);
bool destination_is_busy(const struct destination *t);
void destination_enqueue(struct destination *t, struct group *g);
void destination_requeue(struct destination *t, struct group *g); /* first in line */
void destination_pump(struct destination *t);
/* No host could be reached, or none wanted to talk. */
void destination_failed(struct destination *t, const char *enhanced, const char *error);
/* It will never take this mail: everything that waits fails. */
void destination_refused(struct destination *t, const char *enhanced, const char *error);
/* Of a connection that works: a transaction went through; it asks for less. */
void destination_progressed(struct destination *t);
void destination_pushed_back(struct destination *t);
void destination_worked(struct destination *t);
void destination_convert(struct destination *t, struct group *g); /* to 7 bit; comes back into the queue */
void destination_stop(struct destination *t);
void destination_free(struct destination *t);

/* --- client_session.c --- */

/* Opens a connection; it asks for groups when it is ready, and leaves its destination's list when it is gone.
 */
void client_session_open(struct destination *t);
bool client_session_is_idle(const struct client_session *c);
void client_session_take(struct client_session *c, struct group *g); /* it is idle */
struct client_session *client_session_next(struct client_session *c);
void client_session_stop(struct client_session *c);

/* --- delivery.c --- */

#define ACTIVE_MAX 2000 /* messages on their way at a time */

struct delivery {
    struct delivery_options options;
    struct schedule schedule;
    struct queue_events events;
    uv_timer_t timer;
    struct dispatch *dispatches;
    size_t dispatch_count;
    struct neighbours *neighbours; /* NULL: closed */
    bool stopping, timer_closed;
    unsigned conversions;           /* and releases, holds, look-ups for the index: under way */
    uint64_t wall_ms, monotonic_ms; /* of the last look at the clocks */
    void (*closed)(void *context);
    void *closed_context;
};
/* An event of a whole message for the message log. */
void delivery_log(struct delivery *d, const uint8_t id[ID_SIZE], enum message_event_type type,
                  struct slice text);
/* The message's place in the index, by what is known now. */
void delivery_facts_renew(struct delivery *d, struct schedule_entry *e, const struct spool_envelope *envelope,
                          const struct spool_state *state);
void delivery_facts_read(struct delivery *d, struct schedule_entry *e); /* no need to read it any more */
void delivery_look(struct delivery *d); /* set the timer for what is due next */
void delivery_stopped_perhaps(struct delivery *d);

#endif
