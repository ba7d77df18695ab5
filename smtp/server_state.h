/*
 * The states of a server session and what is legal in each (RFC 5321 section 4.1.4): one table of states and
 * commands, one of states and moves. Pure: server_session.c drives it.
 */
#ifndef SEALPOST_SMTP_SERVER_STATE_H
#define SEALPOST_SMTP_SERVER_STATE_H

#include "smtp/command_parser.h"

#define SERVER_STATE_TABLE(X)                                                                                \
    X(CONNECTED, "connected") /* greeted, no EHLO yet; also after a TLS handshake (RFC 3207 section 4.2) */  \
    X(READY, "ready")         /* EHLO was said, no transaction */                                            \
    X(MAIL, "mail")           /* there is a sender */                                                        \
    X(RCPT, "rcpt")           /* and at least one recipient */                                               \
    X(DATA, "data")           /* reading content */                                                          \
    X(CHUNKS, "chunks")       /* between two chunks of content: commands are read (RFC 3030) */              \
    X(CHUNK, "chunk")         /* reading a chunk */                                                          \
    X(DECIDING, "deciding")   /* the content is with a worker or the spool */                                \
    X(HANDSHAKE, "handshake") /* STARTTLS was answered */                                                    \
    X(PROXY, "proxy")         /* the balancer's header is still to come, nothing was said */                 \
    X(CLOSING, "closing")     /* the last reply is being written, nothing is read any more */

enum server_state {
#define X(name, text) SERVER_##name,
    SERVER_STATE_TABLE(X)
#undef X
        SERVER_STATE_COUNT
};

const char *server_state_name(enum server_state state);
/* REPLY_NONE, or the 503 or 554 that says what is missing. */
enum smtp_reply server_state_allows(enum server_state state, enum smtp_verb verb);
bool server_state_may_move(enum server_state from, enum server_state to);

#endif
