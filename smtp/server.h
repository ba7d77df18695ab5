/*
 * The SMTP server: listeners, the list of sessions, how many there may be in all and from one client, and
 * stopping in order. On the loop's thread.
 */
#ifndef SEALPOST_SMTP_SERVER_H
#define SEALPOST_SMTP_SERVER_H

#include "smtp/admission.h"
#include "smtp/settings.h"
#include "smtp/statistics.h"
#include "smtp/transaction.h"

#include <openssl/ssl.h>
#include <uv.h>

struct server_session;
struct server;

/* What the server needs of the service; everything outlives it. */
struct server_services {
    uv_loop_t *loop;
    const char *hostname;
    SSL_CTX *tls; /* NULL: no STARTTLS */
    struct settings_cache *settings;
    struct memory_budget *budget;
    struct transaction_services *transactions;
    struct statistics *statistics;
    uint64_t node_id;
    bool (*ready)(void *context);                 /* the store and the spool are open */
    bool (*space)(void *context, uint64_t bytes); /* the disk has room for so many more */
    bool (*stale)(void *context);                 /* the node has lost touch and settings say to defer */
    void *context;
};

enum status server_new(const struct server_services *services, struct server **out) MUST_CHECK;
#define SERVER_LISTENERS_MAX 32
/* Takes the listening descriptor, also on failure. `name`: what holds for it (smtp/listener_policy.h). */
enum status server_listen(struct server *s, int fd, const char *name, struct failure *f) MUST_CHECK;
const struct server_services *server_services(const struct server *s);
/* What our own Received fields are known by (smtp/trace_field.h), copied. */
void server_set_mark(struct server *s, const char *mark);
const char *server_mark(const struct server *s);
void server_set_node(struct server *s, uint64_t node_id);
struct admission *server_admission(struct server *s);
/* By the address that counts for the session, `peer`: what its networks allow, and REPLY_NONE or why it may
 * not have one. */
enum smtp_reply server_admit_client(struct server *s, struct server_session *session);
void server_session_ended(struct server *s, struct server_session *session);
/* No new sessions; those in the middle of a message get `grace_ms`; then `closed`. */
void server_stop(struct server *s, uint64_t grace_ms, void (*closed)(void *context), void *context);
void server_free(struct server *s);

#endif
