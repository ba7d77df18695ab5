/*
 * What becomes of a message after its last byte: job, then spool, then the reply. The same way for what a
 * client sends and for the notifications that this node makes itself. On the loop's thread.
 *
 *   run -> worker's answer -> refused: reply 550 with a line for each recipient
 *                          -> good: spool_add -> durable: handed to delivery, reply 250 queued as ID
 *                          -> good for some: the same; the refusals are durable in the envelope, and delivery
 *                             sends the sender one notification about them (smtp/dispatch.c)
 *                          -> put aside (encrypt.on_failure), or
 *       -> two workers died of it: into the spool as it came, quarantined, reply 250; smtp/release.c decides
 *          anew when it is released
 */
#ifndef SEALPOST_SMTP_TRANSACTION_H
#define SEALPOST_SMTP_TRANSACTION_H

#include "smtp/job_server.h"
#include "smtp/message.h"
#include "smtp/message_log.h"
#include "smtp/spool.h"
#include "smtp/statistics.h"

struct transaction_services {
    struct job_server *jobs;
    struct spool *spool;
    struct statistics *statistics;
    struct message_log *log; /* NULL: there is none */
    /* Takes the message, which is durable now. */
    void (*accepted)(void *context, struct message *m, uint64_t spool_bytes, bool quarantined);
    void *context;
};

/* A reply for each receipt (RFC 2033 section 4.2) when there are any, else one. */
struct transaction {
    struct transaction_services *services; /* borrowed */
    struct message *message;               /* owned until it is accepted; NULL then */
    uint64_t size;                         /* of the body */
    bool needs_8bit;                       /* of the body as it came */
    struct slice listener;
    uint64_t flags; /* enum job_flags */
    struct job_request job;
    struct spool_add add;
    /* LMTP: for each RCPT that was answered with 250, its position in the envelope: as many replies come.
     * Owned; NULL: one reply for all. */
    size_t *receipts;
    size_t receipt_count;
    struct reply_of_one *own_replies; /* by position; in the message's arena */
    struct slice subject;             /* for the message log; in the message's arena; may be empty */
    bool put_aside;                   /* by policy, as it came */
    /* the outcome */
    enum status status; /* OK: accepted */
    struct buf reply;   /* SMTP reply, whole lines */
    char id_text[ID_TEXT_SIZE];
    /* Called once, never from within transaction_run(); frees or keeps the transaction. */
    void (*cb)(struct transaction *t);
    void *context;
};

/* Takes `message`, also on failure (NULL is given then). */
struct transaction *transaction_new(struct transaction_services *services, struct message *message);
void transaction_free(struct transaction *t);
/* The message's body is a sealed memfd by now. */
void transaction_run(struct transaction *t);

#endif
