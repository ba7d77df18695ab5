/* The states of a client session and their legal moves. Pure. */
#ifndef SEALPOST_SMTP_CLIENT_STATE_H
#define SEALPOST_SMTP_CLIENT_STATE_H

#include <stdbool.h>

#define CLIENT_STATE_TABLE(X)                                                                                \
    X(RESOLVING, "resolving")                                                                                \
    X(CONNECTING, "connecting")                                                                              \
    X(GREETING, "greeting") /* waiting for 220 */                                                            \
    X(HELLO, "hello")       /* EHLO, or HELO, was said */                                                    \
    X(STARTTLS, "starttls")                                                                                  \
    X(HANDSHAKE, "handshake")                                                                                \
    X(IDLE, "idle")                                                                                          \
    X(ENVELOPE, "envelope") /* MAIL, RCPT, DATA are under way */                                             \
    X(BODY, "body")         /* 354 came */                                                                   \
    X(DOT, "dot")           /* all is sent, waiting for the verdict */                                       \
    X(RESET, "reset")       /* RSET was said */                                                              \
    X(CLOSED, "closed")

enum client_state {
#define X(name, text) CLIENT_##name,
    CLIENT_STATE_TABLE(X)
#undef X
        CLIENT_STATE_COUNT
};

const char *client_state_name(enum client_state state);
bool client_state_may_move(enum client_state from, enum client_state to);

#endif
