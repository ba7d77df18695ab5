/*
 * What the files of a client's session share. smtp/client_state.h has the states; all on the loop's thread.
 *
 *   client_connect.c  RESOLVING to the last EHLO: addresses, greeting, STARTTLS
 *   client_hosts.c    which hosts, and which is next
 *   client_tls.c      what TLS must be, and whether it is
 *   client_envelope.c what MAIL and RCPT say, and whether a message can go this way
 *   client_session.c  IDLE and on: envelope, body, dot, the end
 */
#ifndef SEALPOST_SMTP_CLIENT_SESSION_H
#define SEALPOST_SMTP_CLIENT_SESSION_H

#include "smtp/client_state.h"
#include "smtp/client_tls.h"
#include "smtp/delivery_internal.h"
#include "smtp/dot_stuffing.h"
#include "smtp/reply_parser.h"

#define HOST_MAX 256

struct client_session {
    struct client_session *next; /* the destination's list */
    struct destination *destination;
    struct stream *stream;
    enum client_state state;
    /* where */
    uint64_t tried;             /* bits by position: hosts that had their turn */
    struct host_search *search; /* of the domain's hosts, under way */
    struct mx_plan *plan;       /* until the session is ready; NULL: hosts are named by a setting or rule */
    struct addrinfo nodes[MX_ADDRESSES_MAX];
    char host[HOST_MAX], next_hop[HOST_MAX + 8]; /* "host:port" */
    uint16_t port;
    uv_getaddrinfo_t resolve;
    bool resolving;
    struct addrinfo *addresses, *address;
    char error[640]; /* why the last try failed */
    /* what it can */
    struct ehlo_offers offers;
    bool helo_said, secure, no_tls;
    /* Of the hosts before: this one lacks REQUIRETLS (RFC 8689); another failed for another reason. */
    bool lacks_requiretls, other_failure;
    struct client_tls tls;
    /* what it does */
    struct group *group;
    size_t said, answered; /* of MAIL, RCPT..., DATA: 0 .. count + 1 */
    size_t accepted;       /* recipients */
    size_t dots;           /* LMTP: replies after the dot */
    bool any_reply;        /* to this group */
    bool served;           /* at least one group before */
    bool empty_data;       /* 354 though nobody was accepted */
    uint64_t messages;
    struct body *body;
    struct dot_stuffing stuffing;
    bool chunk; /* the body, whole in body->piece, goes along with the envelope (BDAT LAST, RFC 3030) */
};

/* --- client_envelope.c --- */

/* False: every recipient of the group has an outcome. It may have become smaller. */
bool client_group_fits(struct client_session *c);
void client_say_mail(struct client_session *c);
void client_say_rcpt(struct client_session *c, size_t i);

/* --- client_connect.c --- */

void client_hosts_begin(struct client_session *c); /* of a new session; ends with client_host_try() */
/* The next host; when there is none, the destination is told and the session is gone. */
void client_host_try(struct client_session *c);
/* The host cannot be talked to, as `error` says: it is tried last for a while. */
void client_host_failed(struct client_session *c);
void client_hosts_release(struct client_session *c);
const char *client_helo_name(const struct client_session *c, char out[HOST_MAX]);
void client_say_hello(struct client_session *c);   /* EHLO or LHLO */
void client_address_try(struct client_session *c); /* the present address; behind the last: the next host */
void client_connected(void *context);
void client_secured(void *context);
void client_hello_answered(struct client_session *c, const struct remote_reply *r);
void client_starttls_answered(struct client_session *c, const struct remote_reply *r);

/* --- client_session.c --- */

const struct stream_events *client_stream_events(void);
struct delivery *client_delivery(const struct client_session *c);
void client_move(struct client_session *c, enum client_state to);
void client_say(struct client_session *c, const char *verb, const char *argument); /* not flushed */
/* The connection does not work (any more): the next address, or the group's fate and the end. */
void client_broken(struct client_session *c, const char *why);
void client_become_idle(struct client_session *c); /* ready for a group; it may end within */
void client_leave(struct client_session *c);       /* the destination's list; frees it */

#endif
