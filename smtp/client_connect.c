/*
 * From a destination to a connection that may carry mail: its hosts in order, each host's addresses, the
 * greeting, EHLO and STARTTLS (smtp/client_session.h). What fails here costs an address or a host; the
 * destination is told when none is left.
 */
#include "smtp/client_session.h"

#include "base/log.h"

#define GREETING_TIMEOUT_MS ((uint64_t)60000)

static void host_try(struct client_session *c);

static void all_failed(struct client_session *c)
{
    struct destination *t = c->destination;
    char error[sizeof c->error];
    bool refuse = c->tls.settings.require_tls && !c->other_failure;
    (void)!snprintf(error, sizeof error, "%s", c->error);
    client_leave(c);
    if (refuse) { /* trying again would not help (RFC 8689 section 4.2.1) */
        destination_refused(t, "5.7.30", error);
    }
    destination_failed(t, error);
}

void client_address_try(struct client_session *c)
{
    if (c->address == NULL) {
        c->host_index++;
        host_try(c);
        return;
    }
    client_move(c, CLIENT_CONNECTING);
    c->helo_said = false;
    c->secure = false;
    c->offers = (struct ehlo_offers){0};
    c->stream =
        stream_connect(client_delivery(c)->options.loop, c->address->ai_addr, client_stream_events(), c);
    if (c->stream == NULL) {
        (void)!snprintf(c->error, sizeof c->error, "%s: out of memory", c->next_hop);
        all_failed(c);
        return;
    }
    stream_set_timeout(c->stream, c->destination->connect_timeout_ms);
}

static void on_resolved(uv_getaddrinfo_t *request, int error, struct addrinfo *found)
{
    struct client_session *c = request->data;
    c->resolving = false;
    if (c->state == CLIENT_CLOSED) {
        uv_freeaddrinfo(found);
        free(c);
        return;
    }
    if (error != 0) {
        (void)!snprintf(c->error, sizeof c->error, "the name %s cannot be resolved: %s", c->host,
                        uv_strerror(error));
        c->other_failure = true;
        c->host_index++;
        host_try(c);
        return;
    }
    c->addresses = found;
    c->address = found;
    client_tls_prepare(c);
}

void client_tls_decided(struct client_session *c)
{
    if (c->tls.demand.skip != NULL) {
        c->other_failure = true;
        (void)!snprintf(c->error, sizeof c->error, "%s: %s", c->next_hop, c->tls.demand.skip);
        c->host_index++;
        host_try(c);
        return;
    }
    client_address_try(c);
}

static void host_try(struct client_session *c)
{
    struct destination *t = c->destination;
    struct setting_value hosts = {.setting = setting_find(SLICE_LITERAL("delivery.next_hop")),
                                  .text = t->hosts};
    struct slice host;
    uint16_t port = 0;
    if (c->addresses != NULL) {
        uv_freeaddrinfo(c->addresses);
        c->addresses = NULL;
        c->address = NULL;
    }
    if (!setting_host_at(&hosts, c->host_index, &host, &port) || host.len >= sizeof c->host) {
        all_failed(c);
        return;
    }
    client_move(c, CLIENT_RESOLVING);
    c->no_tls = false;
    memcpy(c->host, host.data, host.len);
    c->host[host.len] = '\0';
    c->port = port != 0 ? port : 25;
    char service[8];
    (void)!snprintf(service, sizeof service, "%u", c->port);
    (void)!snprintf(c->next_hop, sizeof c->next_hop, strchr(c->host, ':') != NULL ? "[%s]:%s" : "%s:%s",
                    c->host, service);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct in6_addr number;
    if (uv_inet_pton(AF_INET, c->host, &number) == 0 || uv_inet_pton(AF_INET6, c->host, &number) == 0) {
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    }
    c->resolve.data = c;
    int error =
        uv_getaddrinfo(client_delivery(c)->options.loop, &c->resolve, on_resolved, c->host, service, &hints);
    if (error != 0) {
        (void)!snprintf(c->error, sizeof c->error, "the name %s cannot be resolved: %s", c->host,
                        uv_strerror(error));
        all_failed(c);
        return;
    }
    c->resolving = true;
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
    host_try(c);
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
        if (c->helo_said || r->code < 500) {
            client_broken(c, "it does not answer EHLO and HELO with 250");
            return;
        }
        c->helo_said = true;
        client_say(c, "HELO", client_delivery(c)->options.hostname);
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
    client_say(c, "EHLO", client_delivery(c)->options.hostname);
    stream_flush(c->stream);
}
