/*
 * Sends a mail that this node makes itself, from the null sender, under an id that was given: the same way as
 * everything (job, policy, spool, delivery). An id that the spool or the message log knows was sent already.
 * On the loop's thread.
 */
#ifndef SEALPOST_SMTP_REMINDER_H
#define SEALPOST_SMTP_REMINDER_H

#include "smtp/delivery.h"

struct reminder_services {
    struct transaction_services *transactions;
    struct memory_budget *budget;
    struct delivery *delivery;
    struct message_log *log; /* NULL: there is none */
    uint64_t node_id;
    uint64_t promises; /* enum spool_promises of such mail */
};

/* OK: it is durable. Else `text` says why not; status_retryable() says whether to try again. */
typedef void (*reminder_sent_cb)(void *context, enum status status, struct slice text);

/* `cb` is called once, perhaps from within. `text` is the whole message, copied. */
void reminder_send(const struct reminder_services *services, const uint8_t id[ID_SIZE], struct slice to,
                   struct slice text, reminder_sent_cb cb, void *context);

#endif
