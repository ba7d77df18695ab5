/* Legal commands and legal moves of a server session (smtp/server_state.h). */
#include "smtp/server_state.h"

static const char *const names[SERVER_STATE_COUNT] = {
#define X(name, text) [SERVER_##name] = (text),
    SERVER_STATE_TABLE(X)
#undef X
};

/* Row: command; columns: the states in which commands are read. What is not named is REPLY_NONE: always
 * legal. */
static const enum smtp_reply illegal[VERB_COUNT][SERVER_STATE_COUNT] = {
    [VERB_MAIL] = {[SERVER_CONNECTED] = REPLY_HELLO_FIRST,
                   [SERVER_MAIL] = REPLY_NESTED_MAIL,
                   [SERVER_RCPT] = REPLY_NESTED_MAIL,
                   [SERVER_CHUNKS] = REPLY_NESTED_MAIL},
    [VERB_RCPT] = {[SERVER_CONNECTED] = REPLY_HELLO_FIRST,
                   [SERVER_READY] = REPLY_MAIL_FIRST,
                   [SERVER_CHUNKS] = REPLY_CHUNKS_BEGUN},
    [VERB_DATA] = {[SERVER_CONNECTED] = REPLY_HELLO_FIRST,
                   [SERVER_READY] = REPLY_MAIL_FIRST,
                   [SERVER_MAIL] = REPLY_NO_RECIPIENTS,
                   [SERVER_CHUNKS] = REPLY_CHUNKS_BEGUN},
    /* The session drops the chunk that follows then. */
    [VERB_BDAT] = {[SERVER_CONNECTED] = REPLY_HELLO_FIRST,
                   [SERVER_READY] = REPLY_MAIL_FIRST,
                   [SERVER_MAIL] = REPLY_NO_RECIPIENTS},
    [VERB_XCLIENT] =
        {[SERVER_MAIL] = REPLY_NOT_NOW, [SERVER_RCPT] = REPLY_NOT_NOW, [SERVER_CHUNKS] = REPLY_NOT_NOW},
    [VERB_STARTTLS] = {[SERVER_CONNECTED] = REPLY_HELLO_FIRST,
                       [SERVER_MAIL] = REPLY_NOT_NOW,
                       [SERVER_RCPT] = REPLY_NOT_NOW,
                       [SERVER_CHUNKS] = REPLY_NOT_NOW},
};

#define TO(name) (1u << SERVER_##name)

static const unsigned moves[SERVER_STATE_COUNT] = {
    /* A chunk may follow anywhere: one that nobody wants is dropped. */
    [SERVER_CONNECTED] = TO(CONNECTED) | TO(READY) | TO(CHUNK) | TO(CLOSING),
    [SERVER_READY] = TO(CONNECTED) | TO(READY) | TO(MAIL) | TO(CHUNK) | TO(HANDSHAKE) | TO(CLOSING),
    [SERVER_MAIL] = TO(READY) | TO(RCPT) | TO(CHUNK) | TO(CLOSING),
    [SERVER_RCPT] = TO(READY) | TO(DATA) | TO(CHUNK) | TO(CLOSING),
    [SERVER_DATA] = TO(READY) | TO(DECIDING) | TO(CLOSING),
    [SERVER_CHUNKS] = TO(READY) | TO(CHUNK) | TO(CLOSING),
    [SERVER_CHUNK] = TO(CONNECTED) | TO(READY) | TO(MAIL) | TO(CHUNKS) | TO(DECIDING) | TO(CLOSING),
    [SERVER_DECIDING] = TO(READY) | TO(CLOSING),
    [SERVER_HANDSHAKE] = TO(CONNECTED) | TO(CLOSING),
    [SERVER_PROXY] = TO(CONNECTED) | TO(HANDSHAKE) | TO(CLOSING),
    [SERVER_CLOSING] = 0,
};

const char *server_state_name(enum server_state state)
{
    return names[state];
}

enum smtp_reply server_state_allows(enum server_state state, enum smtp_verb verb)
{
    return illegal[verb][state];
}

bool server_state_may_move(enum server_state from, enum server_state to)
{
    return (moves[from] & (1u << to)) != 0;
}
