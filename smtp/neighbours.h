/*
 * Whom delivery talks to: its destinations by key, names and who we are ourselves, hosts that failed lately,
 * and the clock of those with a rate. On the loop's thread.
 *
 * Destinations are made when a recipient's route asks for one, and freed when nobody has used them for a
 * while: there may be as many as domains are written to.
 */
#ifndef SEALPOST_SMTP_NEIGHBOURS_H
#define SEALPOST_SMTP_NEIGHBOURS_H

#include "smtp/host_search.h"

struct destination;
struct neighbours;

#define OWN_ADDRESSES_MAX 64

/* The resolver outlives it. */
enum status neighbours_new(uv_loop_t *loop, const char *hostname, struct resolver *resolver,
                           struct neighbours **out) MUST_CHECK;
/* A socket that mail comes in by: where it listens is us. */
void neighbours_add_listener(struct neighbours *n, int fd);
struct resolver *neighbours_resolver(struct neighbours *n);
const struct mx_own *neighbours_own(const struct neighbours *n);

/* NULL: there is none with this key. */
struct destination *neighbours_find(struct neighbours *n, struct slice key);
/* Takes it; false: there are too many. */
bool neighbours_add(struct neighbours *n, struct destination *t);
void neighbours_each(struct neighbours *n, void (*visit)(struct destination *t));
size_t neighbours_count(const struct neighbours *n);

/* A host ("name:port") that could not be talked to: it is tried after others for a while. */
void neighbours_host_failed(struct neighbours *n, const char *host);
void neighbours_host_worked(struct neighbours *n, const char *host);
bool neighbours_host_has_failed(const struct neighbours *n, const char *host);
void neighbours_forget_failures(struct neighbours *n);

/* A destination waits for its rate: all are pumped soon. */
void neighbours_wake(struct neighbours *n);

/* Ends what is under way; frees itself later, with all destinations, and calls `closed`. */
void neighbours_close(struct neighbours *n, void (*closed)(void *context), void *context);

#endif
