/* Legal moves of a client session (smtp/client_state.h). */
#include "smtp/client_state.h"

static const char *const names[CLIENT_STATE_COUNT] = {
#define X(name, text) [CLIENT_##name] = (text),
    CLIENT_STATE_TABLE(X)
#undef X
};

#define TO(name) (1u << CLIENT_##name)

static const unsigned moves[CLIENT_STATE_COUNT] = {
    [CLIENT_RESOLVING] = TO(CONNECTING) | TO(RESOLVING) | TO(CLOSED),
    /* From any state before IDLE the next address or host can be tried. */
    [CLIENT_CONNECTING] = TO(GREETING) | TO(CONNECTING) | TO(RESOLVING) | TO(CLOSED),
    [CLIENT_GREETING] = TO(HELLO) | TO(CONNECTING) | TO(RESOLVING) | TO(CLOSED),
    [CLIENT_HELLO] = TO(HELLO) | TO(STARTTLS) | TO(IDLE) | TO(CONNECTING) | TO(RESOLVING) | TO(CLOSED),
    [CLIENT_STARTTLS] = TO(HANDSHAKE) | TO(IDLE) | TO(CONNECTING) | TO(RESOLVING) | TO(CLOSED),
    [CLIENT_HANDSHAKE] = TO(HELLO) | TO(CONNECTING) | TO(RESOLVING) | TO(CLOSED),
    [CLIENT_IDLE] = TO(ENVELOPE) | TO(CLOSED),
    [CLIENT_ENVELOPE] = TO(BODY) | TO(DOT) | TO(RESET) | TO(IDLE) | TO(CLOSED),
    [CLIENT_BODY] = TO(DOT) | TO(CLOSED),
    [CLIENT_DOT] = TO(IDLE) | TO(RESET) | TO(CLOSED),
    [CLIENT_RESET] = TO(IDLE) | TO(CLOSED),
    [CLIENT_CLOSED] = 0,
};

const char *client_state_name(enum client_state state)
{
    return names[state];
}

bool client_state_may_move(enum client_state from, enum client_state to)
{
    return (moves[from] & (1u << to)) != 0;
}
