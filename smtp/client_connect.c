/*
 * From a destination to a connection that may carry mail: its hosts in order, each host's addresses, the
 * greeting, EHLO and STARTTLS (smtp/client_session.h). What fails here costs an address or a host; the
 * destination is told when none is left.
 */
#include "smtp/client_session.h"

#include "base/log.h"

#include <sys/socket.h>
#include <unistd.h>

#define GREETING_TIMEOUT_MS ((uint64_t)60000)

static bool source_of(struct client_session *c, union mx_sockaddr *out)
{
    struct setting_value list = {.setting = setting_at(SETTING_DELIVERY_SOURCE_ADDRESS),
                                 .text = c->destination->source};
    struct slice item;
    for (size_t i = 0; setting_item_at(&list, i, &item); i++) {
        char text[64];
        (void)!snprintf(text, sizeof text, "%.*s", SLICE_ARGS(item));
        bool v6 = strchr(text, ':') != NULL;
        if ((v6 ? AF_INET6 : AF_INET) != c->address->ai_family ||
            (v6 ? uv_ip6_addr(text, 0, &out->v6) : uv_ip4_addr(text, 0, &out->v4)) != 0) {
            continue;
        }
        int fd = socket(c->address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool ours = fd >= 0 && bind(fd, &out->any, v6 ? sizeof out->v6 : sizeof out->v4) == 0;
        if (fd >= 0) {
            (void)close(fd);
        }
        if (ours) {
            return true;
        }
    }
    return false;
}

void client_address_try(struct client_session *c)
{
    union mx_sockaddr source;
    bool bound = c->destination->source.len > 0;
    memset(&source, 0, sizeof source);
    while (bound && c->address != NULL && !source_of(c, &source)) {
        (void)!snprintf(c->error, sizeof c->error, "%s: this node has none of delivery.source_address for %s",
                        c->next_hop, c->address->ai_family == AF_INET ? "IPv4" : "IPv6");
        c->other_failure = true;
        c->address = c->address->ai_next;
    }
    if (c->address == NULL) {
        client_host_failed(c);
        client_host_try(c);
        return;
    }
    client_move(c, CLIENT_CONNECTING);
    c->helo_said = false;
    c->secure = false;
    c->offers = (struct ehlo_offers){0};
    c->stream = stream_connect(client_delivery(c)->options.loop, bound ? &source.any : NULL,
                               c->address->ai_addr, client_stream_events(), c);
    if (c->stream == NULL) {
        c->other_failure = true;
        (void)!snprintf(c->error, sizeof c->error, "%s: out of memory", c->next_hop);
        c->address = NULL;
        client_address_try(c);
        return;
    }
    stream_set_timeout(c->stream, c->destination->connect_timeout_ms);
}

void client_tls_decided(struct client_session *c)
{
    if (c->tls.demand.skip != NULL) {
        c->other_failure = true;
        (void)!snprintf(c->error, sizeof c->error, "%s: %s", c->next_hop, c->tls.demand.skip);
        client_host_try(c);
        return;
    }
    client_address_try(c);
}

void client_session_open(struct destination *t)
{
    struct client_session *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return;
    }
    c->destination = t;
    c->next = t->connections;
    t->connections = c;
    t->connection_count++;
    t->connecting++;
    t->delivery->options.statistics->connections++;
    t->delivery->options.statistics->connections_open++;
    client_hosts_begin(c);
}

const char *client_helo_name(const struct client_session *c, char out[HOST_MAX])
{
    struct setting_value names = {.setting = setting_at(SETTING_DELIVERY_HELO_NAME),
                                  .text = c->destination->helo};
    struct slice name;
    uint16_t port;
    if (!setting_host_at(&names, 0, &name, &port) || name.len >= HOST_MAX) {
        return client_delivery(c)->options.hostname;
    }
    (void)!snprintf(out, HOST_MAX, "%.*s", SLICE_ARGS(name));
    return out;
}

void client_say_hello(struct client_session *c)
{
    char name[HOST_MAX];
    client_say(c, c->destination->lmtp ? "LHLO" : "EHLO", client_helo_name(c, name));
    stream_flush(c->stream);
}

static bool wants_tls(const struct client_session *c)
{
    return !c->secure && !c->no_tls && c->tls.demand.use;
}

static bool needs_tls(const struct client_session *c)
{
    return c->tls.demand.must;
}

void client_hello_answered(struct client_session *c, const struct remote_reply *r)
{
    if (r->code >= 300) {
        char name[HOST_MAX];
        if (c->helo_said || r->code < 500 || c->destination->lmtp) {
            client_broken(c, c->destination->lmtp ? "it does not answer LHLO with 250"
                                                  : "it does not answer EHLO and HELO with 250");
            return;
        }
        c->helo_said = true;
        client_say(c, "HELO", client_helo_name(c, name));
        stream_flush(c->stream);
        return;
    }
    if (!c->helo_said) {
        ehlo_offers_read(r, &c->offers);
    }
    if (wants_tls(c) && c->offers.starttls) {
        client_move(c, CLIENT_STARTTLS);
        client_say(c, "STARTTLS", "");
        stream_flush(c->stream);
        return;
    }
    if (!c->secure && !c->no_tls) {
        client_tls_not_offered(c);
    }
    if (c->tls.settings.require_tls && !(c->secure ? c->offers.requiretls : c->offers.starttls)) {
        c->lacks_requiretls = true;
        client_broken(c, "it does not offer REQUIRETLS under TLS, which the sender asks for");
        return;
    }
    if (needs_tls(c) && !c->secure) {
        client_broken(c, "it offers no STARTTLS, and must");
        return;
    }
    client_become_idle(c);
}

void client_starttls_answered(struct client_session *c, const struct remote_reply *r)
{
    if (r->code != 220) {
        if (needs_tls(c)) {
            client_broken(c, "it refuses STARTTLS, and must not");
        } else {
            client_become_idle(c);
        }
        return;
    }
    client_move(c, CLIENT_HANDSHAKE);
    /* Bytes that came in plain text behind the 220 must not count as if they had come protected. */
    stream_drop_kept(c->stream);
    (void)client_tls_start(c);
}

void client_connected(void *context)
{
    struct client_session *c = context;
    client_move(c, CLIENT_GREETING);
    stream_set_timeout(c->stream, GREETING_TIMEOUT_MS);
    stream_resume(c->stream);
}

void client_secured(void *context)
{
    struct client_session *c = context;
    const char *wrong = client_tls_secured(c);
    if (wrong != NULL) {
        client_broken(c, wrong);
        return;
    }
    c->secure = true;
    c->offers = (struct ehlo_offers){0};
    client_delivery(c)->options.statistics->tls_sessions_out++;
    client_move(c, CLIENT_HELLO);
    client_say_hello(c);
}
