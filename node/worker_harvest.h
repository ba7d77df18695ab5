/*
 * Harvesting: the certificates of partners out of the mail that they signed, proposed to the cluster by the
 * worker that saw it.
 *
 * When all goes well: while a message is processed, worker_harvest_note() (a mail_signature_cb) copies what
 * will be needed; after the answer went to smtp, worker_harvest_run() picks the certificate that mail to the
 * signer should be encrypted to, judges its path, and proposes it to core (COMMAND_CERT_HARVEST) with the CA
 * certificates of its chain. Nobody waits for the outcome.
 *
 * What can go wrong: anything, and then nothing is harvested; the mail does not notice. So that strangers
 * cannot flood the cluster's log, what is stored or was proposed lately is not proposed again, few proposals
 * are under way at a time and few are made a minute. One thread. It makes nothing trusted.
 */
#ifndef SEALPOST_NODE_WORKER_HARVEST_H
#define SEALPOST_NODE_WORKER_HARVEST_H

#include "mail/flow.h"
#include "raft/core_protocol.h"

struct worker_harvest;
/* `core` is borrowed and must outlive it. */
enum status worker_harvest_new(struct core_client *core, struct worker_harvest **out) MUST_CHECK;
void worker_harvest_free(struct worker_harvest *h); /* after core_client_free(); NULL is fine */
void worker_harvest_note(void *context, const struct mail_signature *s); /* a mail_signature_cb */
/* After the message: proposes, and forgets what was noted. */
void worker_harvest_run(struct worker_harvest *h, struct store_view *view, struct trust *trust,
                        uint64_t now_ms);

#endif
