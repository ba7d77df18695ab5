/*
 * Who the client is when somebody else stands in between (smtp/server_session.h): the header of the PROXY
 * protocol, and XCLIENT. Both only from addresses that the settings name. The address that comes out is the
 * session's for all that follows: networks, limits, Received, logs.
 */
#include "smtp/server_session.h"

#include "base/log.h"
#include "smtp/proxy_header.h"
#include "smtp/xclient_command.h"

#include <stdlib.h>

#define ADDRESS_UNKNOWN "unknown" /* in no network */

struct told_client {
    char name[XCLIENT_NAME_MAX + 1], helo[XCLIENT_NAME_MAX + 1];
};

bool session_awaits_proxy(const struct server_session *s)
{
    return setting_networks_hold(&s->listener->proxy_networks, slice_of_text(s->peer));
}

static bool may_xclient(const struct server_session *s)
{
    return s->xclient || setting_networks_hold(&s->listener->xclient_networks, slice_of_text(s->peer));
}

const char *session_told_helo(const struct server_session *s)
{
    return s->told != NULL && s->told->helo[0] != '\0' ? s->told->helo : NULL;
}

const char *session_told_name(const struct server_session *s)
{
    return s->told != NULL && s->told->name[0] != '\0' ? s->told->name : NULL;
}

bool session_offers_xclient(const struct server_session *s)
{
    return may_xclient(s);
}

size_t session_proxy(struct server_session *s, struct slice bytes)
{
    struct proxy_header header;
    size_t used = 0;
    enum proxy_result result = proxy_header_parse(bytes, &header, &used);
    if (result == PROXY_MORE) {
        return 0;
    }
    if (result == PROXY_BAD) {
        log_event(LOG_WARN, "no PROXY header, or a wrong one, from one who must send it",
                  LOG_TEXT("client", s->peer));
        session_end(s, REPLY_PROXY_EXPECTED, true);
        return bytes.len;
    }
    if (result == PROXY_ADDRESS) {
        log_event(LOG_DEBUG, "PROXY", LOG_TEXT("balancer", s->peer), LOG_TEXT("client", header.client));
        (void)!snprintf(s->peer, sizeof s->peer, "%s", header.client);
    }
    enum smtp_reply refusal = server_admit_client(s->server, s);
    if (refusal != REPLY_NONE) {
        session_services(s)->statistics->sessions_refused++;
        session_end(s, refusal, true);
        return bytes.len;
    }
    session_begin(s);
    return used;
}

/* What was said of the client takes the place of what was known before. */
static void take_over(struct server_session *s, const struct xclient *x)
{
    if (x->given[XCLIENT_ADDR]) {
        (void)!snprintf(s->peer, sizeof s->peer, "%s", x->known[XCLIENT_ADDR] ? x->address : ADDRESS_UNKNOWN);
    }
    if (x->given[XCLIENT_NAME]) {
        memcpy(s->told->name, x->name, sizeof x->name);
    }
    if (x->given[XCLIENT_HELO]) {
        memcpy(s->told->helo, x->helo, sizeof x->helo);
    }
}

void session_xclient(struct server_session *s, const struct smtp_command *c)
{
    struct xclient x;
    if (!may_xclient(s)) {
        session_reply(s, REPLY_XCLIENT_DENIED);
        return;
    }
    if (!xclient_parse(c->argument, &x)) {
        session_reply(s, REPLY_BAD_PARAMETER);
        return;
    }
    if (s->told == NULL) {
        s->told = calloc(1, sizeof *s->told);
        if (s->told == NULL) {
            session_end(s, REPLY_INTERNAL, true);
            return;
        }
    }
    s->xclient = true; /* the host behind this connection is the same whatever it says of its client */
    log_event(LOG_INFO, "XCLIENT", LOG_TEXT("from", s->peer),
              LOG_TEXT("client", x.known[XCLIENT_ADDR] ? x.address : ""), LOG_TEXT("name", x.name),
              LOG_TEXT("login", x.login));
    take_over(s, &x);
    admission_leave(server_admission(s->server), &s->client);
    enum smtp_reply refusal = server_admit_client(s->server, s);
    if (refusal != REPLY_NONE) {
        session_end(s, refusal, true);
        return;
    }
    session_reset(s);
    s->helo[0] = '\0';
    s->esmtp = false;
    session_move(s, SERVER_CONNECTED);
    session_greet(s);
}
