/* One client's session in SMTP (RFC 5321) or LMTP (RFC 2033), driven by its stream; smtp/server_state.h has
 * its states. */
#ifndef SEALPOST_SMTP_SERVER_SESSION_H
#define SEALPOST_SMTP_SERVER_SESSION_H

#include "smtp/data_reader.h"
#include "smtp/relay_policy.h"
#include "smtp/server.h"
#include "smtp/server_state.h"
#include "smtp/stream.h"
#include "smtp/transaction.h"

struct server_session {
    struct server_session *next, *previous; /* the server's list */
    struct server *server;
    struct stream *stream;
    enum server_state state;
    char peer[64]; /* IP address as text */
    char helo[256];
    bool lmtp; /* RFC 2033 instead of RFC 5321 */
    bool esmtp, stopping;
    bool greeted;                        /* the greeting was sent; not yet during implicit TLS's handshake */
    struct listener_policy *listener;    /* as it was when it began; a reference of our own */
    const struct relay_account *account; /* who has authenticated; NULL: nobody has */
    bool in_networks;             /* since MAIL: the client's address is one of the listener's networks */
    bool certificate_verified;    /* since the handshake: see struct relay_client */
    bool rate_spent;              /* its client has made too many errors */
    bool choked;                  /* the client does not read its replies: no more commands are taken */
    bool xclient;                 /* who is connected has said XCLIENT */
    struct told_client *told;     /* what XCLIENT said; NULL: nothing */
    struct admitted client;       /* as a client among others: smtp/admission.h */
    struct session_limits limits; /* as they were when it began */
    uint64_t errors, messages;    /* refused commands; messages that went to a worker */
    /* the present transaction */
    struct message *message; /* sender and recipients so far; NULL if none */
    size_t recipient_room;   /* of the envelope's list, in the message's arena */
    size_t *receipts; /* LMTP: positions in the envelope, one for each RCPT that was answered with 250 */
    size_t receipt_count, receipt_room;
    uint64_t data_began_ms, data_bytes; /* the content: clock_monotonic_ms(), and what has come of it */
    struct data_reader reader;
    struct buf content; /* of the body, not yet in the memfd */
    uint64_t written;   /* bytes in the memfd */
    bool memory_full;
    /* the present chunk (BDAT) */
    uint64_t chunk_left; /* bytes that are still to come */
    bool chunk_last;
    enum smtp_reply chunk_refusal; /* it is read and dropped, and this is what is answered */
    struct transaction *deciding; /* with a worker or the spool; its context is this session, or NULL when the
                                     client has left */
};

const struct stream_events *server_session_events(void); /* for its stream, with the session as context */
/* Takes the stream. The session ends by itself; server_session_ended() is told. */
void server_session_start(struct server_session *s);
/* The service stops: 421 for who is idle; a message that is on its way may end. `force`: also that one. */
void server_session_stop(struct server_session *s, bool force);

/* server_hello.c */
void session_hello(struct server_session *s, const struct smtp_command *c);
/* `more`: bytes came behind the command, before the handshake. They could have been put there by somebody in
 * between (the plaintext injection of CVE-2011-0411): nobody who means well sends any. */
void session_starttls(struct server_session *s, bool more);
void session_handshake(struct server_session *s); /* TLS begins; the state is HANDSHAKE */

/* server_envelope.c: the reply, and with a good one the envelope has grown */
enum smtp_reply session_mail(struct server_session *s, const struct smtp_command *c);
enum smtp_reply session_rcpt(struct server_session *s, const struct smtp_command *c);

/* server_trusted.c */
bool session_awaits_proxy(const struct server_session *s); /* its first bytes must be a PROXY header */
size_t session_proxy(struct server_session *s, struct slice bytes); /* gives the bytes used */
bool session_offers_xclient(const struct server_session *s);
void session_xclient(struct server_session *s, const struct smtp_command *c);
const char *session_told_name(const struct server_session *s); /* NULL: none was told */
const char *session_told_helo(const struct server_session *s);

/* server_data.c: from 354 to the transaction */
bool session_data_begin(struct server_session *s);
size_t session_data(struct server_session *s, struct slice bytes);
/* `before`: what `content` held before these bytes came. Charges and spills them. */
void session_content_came(struct server_session *s, size_t before);
/* What is wrong with the content so far. */
enum smtp_reply session_content_fault(const struct server_session *s);
void session_content_ended(struct server_session *s);
/* So many bytes came: has the whole been slower than smtp.min_data_rate? */
bool session_too_slow(struct server_session *s, size_t bytes);

/* server_chunks.c: BDAT (RFC 3030). `refusal`: why this chunk is not wanted, or REPLY_NONE. */
void session_chunk_begin(struct server_session *s, const struct smtp_command *c, enum smtp_reply refusal);
size_t session_chunk(struct server_session *s, struct slice bytes);

/* For these files */
const struct server_services *session_services(const struct server_session *s);
void session_move(struct server_session *s, enum server_state to);
void session_reply(struct server_session *s, enum smtp_reply reply);
/* What the final dot is answered with: in LMTP once for each recipient. */
void session_reply_content(struct server_session *s, enum smtp_reply reply);
/* Say it and close. `linger`: the client may still be sending. */
void session_end(struct server_session *s, enum smtp_reply reply, bool linger);
void session_begin(struct server_session *s);         /* the client is known: the dialogue begins */
void session_greet(struct server_session *s);         /* 220 */
void session_reset(struct server_session *s);         /* forget the transaction */
void session_await_command(struct server_session *s); /* sets the timer */

#endif
