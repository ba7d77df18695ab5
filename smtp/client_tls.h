/*
 * TLS of a client's session: what is needed to decide what a host must show (smtp/tls_policy.h), and the
 * check that it does. A part of struct client_session; all on the loop's thread.
 *
 *   client_tls_prepare()   before a host is connected to; ends with client_tls_decided(), perhaps from within
 *   client_tls_start()     at the 220 to STARTTLS
 *   client_tls_secured()   after the handshake: pins, and what is counted
 *   client_tls_failed()    the handshake did not come about: may it go on in plain text?
 */
#ifndef SEALPOST_SMTP_CLIENT_TLS_H
#define SEALPOST_SMTP_CLIENT_TLS_H

#include "smtp/tls_client.h"
#include "smtp/tls_report_store.h"
#include "smtp/tls_search.h"

struct client_session;

struct client_tls {
    struct tls_settings settings;
    struct tls_demand demand;
    struct tls_search
        *search; /* what was looked up for this host; NULL: nothing was, or it is not needed any more */
};

void client_tls_prepare(struct client_session *c);
void client_tls_release(struct client_session *c); /* whatever is under way ends */
/* False: TLS cannot be started, and the connection was given up. */
bool client_tls_start(struct client_session *c);
/* NULL: it is as it must be; else why not (static). */
const char *client_tls_secured(struct client_session *c);
bool client_tls_failed(struct client_session *c, const char *why);
void client_tls_not_offered(struct client_session *c); /* STARTTLS: counted where a policy asks for it */

/* In client_connect.c: `demand` is there; its `skip` says whether this host is used at all. */
void client_tls_decided(struct client_session *c);

#endif
