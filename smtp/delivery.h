/*
 * Delivery: from the spool to the next hops. Takes due messages from the schedule, groups their waiting
 * recipients by variant and destination, gives the groups to the destinations' connections, and notes what
 * became of each recipient. On the loop's thread; disk is read on the uv thread pool.
 *
 *   due (or just accepted, still in memory) -> plan: settings of each recipient -> groups -> destinations ->
 * results all settled: deleted from the spool        some wait: state written, next attempt after
 * delivery.retry failed for good, or too old: a notification (RFC 3464) goes through job and spool first,
 * then the failure is noted
 */
#ifndef SEALPOST_SMTP_DELIVERY_H
#define SEALPOST_SMTP_DELIVERY_H

#include "smtp/queue_events.h"
#include "smtp/schedule.h"
#include "smtp/settings.h"
#include "smtp/spool.h"
#include "smtp/transaction.h"

#include <uv.h>

struct delivery;
struct tls_client;
struct fetch_line;
struct resolver;
struct tls_report_store;

struct delivery_options {
    uv_loop_t *loop;
    const char *hostname;
    uint64_t node_id;
    struct spool *spool;
    struct settings_source *settings;
    struct transaction_services *transactions; /* for notifications; its job server also makes 7-bit forms */
    struct memory_budget *budget;
    struct statistics *statistics;
    struct message_log *log; /* NULL: there is none */
    struct tls_client *tls;
    struct resolver *resolver;
    struct fetch_line *fetch;         /* for MTA-STS; NULL: there is none */
    struct tls_report_store *reports; /* NULL: nothing is counted */
};

enum status delivery_new(const struct delivery_options *options, struct delivery **out) MUST_CHECK;
/* A socket that mail comes in by: who is reached there is us, which delivery by MX must not try. */
void delivery_add_listener(struct delivery *d, int fd);
void delivery_set_log(struct delivery *d, struct message_log *log);
/* Recovery tells what it finds before the spool is there to be used. */
void delivery_set_spool(struct delivery *d, struct spool *spool);
/* Reads what a filter needs of the messages that recovery found, on the thread pool, a few at a time. */
void delivery_index_start(struct delivery *d);
/* From recovery. */
void delivery_found(struct delivery *d, const struct spool_found *found);
/* Just made durable; takes the message. */
void delivery_accepted(struct delivery *d, struct message *m, uint64_t spool_bytes, bool quarantined);
struct schedule *delivery_schedule(struct delivery *d);
struct queue_events *delivery_events(struct delivery *d);
/* For one more hold, release or bounce, among many. */
bool delivery_has_room(const struct delivery *d);
/* Whoever asks for attempts now knows something that we do not: no next hop is spared any longer. */
void delivery_wake(struct delivery *d);
bool delivery_has(struct delivery *d, const uint8_t id[ID_SIZE]); /* it is in the spool */
/* Now instead of later, if it waits; gives how many: 1 or 0. A quarantined one goes through a worker again;
 * CONFLICT if policy has put it there, or it is damaged or held. */
enum status delivery_retry(struct delivery *d, const uint8_t id[ID_SIZE], uint64_t *count,
                           struct failure *f) MUST_CHECK;
/* Out of hold: due at once. Out of quarantine: what policy has put aside is delivered as it was decided; what
 * killed workers goes through a worker again. CONFLICT if it is neither, or damaged. */
enum status delivery_release(struct delivery *d, const uint8_t id[ID_SIZE], struct failure *f) MUST_CHECK;
/* Not to be tried until it is released; what is on its way is held when the attempt is over. CONFLICT if it
 * is in quarantine. */
enum status delivery_hold(struct delivery *d, const uint8_t id[ID_SIZE], struct failure *f) MUST_CHECK;
/* Fails now for all that still wait, and its sender is told (unless it has none). */
enum status delivery_bounce(struct delivery *d, const uint8_t id[ID_SIZE], struct failure *f) MUST_CHECK;
enum status delivery_delete(struct delivery *d, const uint8_t id[ID_SIZE], struct failure *f) MUST_CHECK;
/* Starts nothing new; ends connections (what is on its way is broken off and counts as not tried); then
 * `closed`. */
void delivery_stop(struct delivery *d, void (*closed)(void *context), void *context);
void delivery_free(struct delivery *d);

#endif
