/*
 * The hosts of a client's session (smtp/client_session.h): those that a setting or a rule names, in their
 * order, or those of the domain's MX records. Hosts that failed lately come last. Names of settings are
 * resolved by the system (so that /etc/hosts counts), those of MX records by DNS alone.
 */
#include "smtp/client_session.h"

#include "base/log.h"

#define HOSTS_MAX 64 /* bits of `tried` */

static void all_failed(struct client_session *c, const char *enhanced)
{
    struct destination *t = c->destination;
    char error[sizeof c->error];
    bool refuse = c->tls.settings.require_tls && !c->other_failure;
    (void)!snprintf(error, sizeof error, "%s", c->error);
    client_leave(c);
    if (refuse) { /* trying again would not help (RFC 8689 section 4.2.1) */
        destination_refused(t, "5.7.30", error);
    }
    destination_failed(t, enhanced, error);
}

/* --- one host after the other --- */

static void set_host(struct client_session *c, struct slice host, uint16_t port)
{
    (void)!snprintf(c->host, sizeof c->host, "%.*s", SLICE_ARGS(host));
    c->port = port;
    (void)!snprintf(c->next_hop, sizeof c->next_hop, strchr(c->host, ':') != NULL ? "[%s]:%u" : "%s:%u",
                    c->host, (unsigned)c->port);
}

/* The i-th host becomes the session's; false: there are no more. */
static bool host_at(struct client_session *c, size_t i)
{
    struct destination *t = c->destination;
    struct setting_value hosts = {.setting = setting_at(SETTING_DELIVERY_NEXT_HOP), .text = t->hosts};
    struct slice host;
    uint16_t port = 0;
    if (c->plan != NULL) {
        if (i >= c->plan->count) {
            return false;
        }
        set_host(c, slice_of_text(c->plan->hosts[i].name), t->mx_port);
        return true;
    }
    if (!setting_host_at(&hosts, i, &host, &port) || host.len >= sizeof c->host) {
        return false;
    }
    set_host(c, host, port != 0 ? port : t->lmtp ? 24 : 25);
    return true;
}

/* First those that did not fail lately. */
static bool host_next(struct client_session *c, size_t *index)
{
    struct neighbours *n = client_delivery(c)->neighbours;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < HOSTS_MAX && host_at(c, i); i++) {
            if ((c->tried & (uint64_t)1 << i) == 0 &&
                (round == 1 || !neighbours_host_has_failed(n, c->next_hop))) {
                c->tried |= (uint64_t)1 << i;
                *index = i;
                return true;
            }
        }
    }
    return false;
}

static void use_plan(struct client_session *c, size_t index)
{
    struct mx_host *h = &c->plan->hosts[index];
    for (size_t i = 0; i < h->count; i++) {
        union mx_sockaddr *a = &h->addresses[i];
        bool v6 = a->any.sa_family == AF_INET6;
        c->nodes[i] = (struct addrinfo){.ai_family = a->any.sa_family,
                                        .ai_addr = &a->any,
                                        .ai_addrlen = v6 ? sizeof a->v6 : sizeof a->v4,
                                        .ai_next = i + 1 < h->count ? &c->nodes[i + 1] : NULL};
    }
    c->address = &c->nodes[0];
    client_tls_prepare(c);
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
        client_host_failed(c);
        client_host_try(c);
        return;
    }
    c->addresses = found;
    c->address = found;
    client_tls_prepare(c);
}

static void resolve(struct client_session *c)
{
    char service[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct in6_addr number;
    (void)!snprintf(service, sizeof service, "%u", c->port);
    if (uv_inet_pton(AF_INET, c->host, &number) == 0 || uv_inet_pton(AF_INET6, c->host, &number) == 0) {
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    }
    c->resolve.data = c;
    int error =
        uv_getaddrinfo(client_delivery(c)->options.loop, &c->resolve, on_resolved, c->host, service, &hints);
    if (error != 0) {
        (void)!snprintf(c->error, sizeof c->error, "the name %s cannot be resolved: %s", c->host,
                        uv_strerror(error));
        c->other_failure = true;
        all_failed(c, "4.4.1");
        return;
    }
    c->resolving = true;
}

void client_host_try(struct client_session *c)
{
    size_t index = 0;
    if (c->addresses != NULL) {
        uv_freeaddrinfo(c->addresses);
        c->addresses = NULL;
    }
    c->address = NULL;
    if (!host_next(c, &index)) {
        all_failed(c, "4.4.1");
        return;
    }
    client_move(c, CLIENT_RESOLVING);
    c->no_tls = false;
    if (c->plan != NULL) {
        use_plan(c, index);
    } else {
        resolve(c);
    }
}

void client_host_failed(struct client_session *c)
{
    neighbours_host_failed(client_delivery(c)->neighbours, c->next_hop);
}

void client_hosts_release(struct client_session *c)
{
    host_search_cancel(c->search);
    c->search = NULL;
    free(c->plan);
    c->plan = NULL;
    c->address = NULL;
    if (c->addresses != NULL) {
        uv_freeaddrinfo(c->addresses);
        c->addresses = NULL;
    }
}

/* --- by MX --- */

static void on_hosts(void *context, struct mx_plan *plan)
{
    struct client_session *c = context;
    struct destination *t = c->destination;
    c->search = NULL;
    c->plan = plan;
    if (plan->fate == MX_HOSTS) {
        client_host_try(c);
        return;
    }
    (void)!snprintf(c->error, sizeof c->error, "%s", plan->why);
    c->other_failure = true;
    if (plan->fate == MX_LATER) {
        all_failed(c, mx_enhanced(plan->fate));
        return;
    }
    char error[sizeof c->error], enhanced[12];
    (void)!snprintf(error, sizeof error, "%s", c->error);
    (void)!snprintf(enhanced, sizeof enhanced, "%s", mx_enhanced(plan->fate));
    client_leave(c);
    destination_refused(t, enhanced, error);
    destination_pump(t);
}

void client_hosts_begin(struct client_session *c)
{
    struct delivery *d = client_delivery(c);
    struct destination *t = c->destination;
    if (t->hosts.len > 0) {
        client_host_try(c);
        return;
    }
    struct host_question question = {.resolver = neighbours_resolver(d->neighbours),
                                     .own = neighbours_own(d->neighbours),
                                     .domain = t->domain,
                                     .port = t->mx_port};
    random_bytes(&question.random, sizeof question.random);
    c->search = host_search_start(d->options.loop, &question, on_hosts, c);
    if (c->search == NULL) {
        c->other_failure = true;
        (void)!snprintf(c->error, sizeof c->error, "out of memory");
        all_failed(c, "4.3.1");
    }
}
