/*
 * See smtp/host_search.h: MX, then A and AAAA of each host at once, then the plan. What cannot be asked (too
 * much is under way) counts as a failure for now.
 */
#include "smtp/host_search.h"

#include <sys/socket.h>

struct address_request {
    struct resolver_request request;
    struct host_search *search;
    size_t host;
    enum dns_type type;
};

struct host_search {
    struct host_question question;
    struct mx_plan *plan;
    uv_timer_t now; /* the end comes later than the start */
    struct resolver_request mx;
    struct address_request addresses[2 * MX_HOSTS_MAX];
    size_t outstanding;
    bool cancelled;
    void (*found)(void *context, struct mx_plan *plan);
    void *context;
};

static void on_closed(uv_handle_t *handle)
{
    struct host_search *s = handle->data;
    free(s->plan);
    free(s);
}

static void over(struct host_search *s)
{
    struct mx_plan *plan = s->plan;
    s->plan = NULL;
    s->cancelled = true;
    uv_close((uv_handle_t *)&s->now, on_closed);
    s->found(s->context, plan);
}

static void on_now(uv_timer_t *timer)
{
    over(timer->data);
}

static void finish(struct host_search *s)
{
    mx_finish(s->plan, s->question.own, s->question.port, ~s->question.random);
    over(s);
}

static void on_address(void *context, const struct resolved *answer)
{
    struct address_request *a = context;
    struct host_search *s = a->search;
    mx_address(s->plan, a->host, a->type, answer);
    if (--s->outstanding == 0) {
        finish(s);
    }
}

static void ask_address(struct host_search *s, size_t host, enum dns_type type)
{
    static const struct resolved failed = {.state = RESOLVED_SERVFAIL, .name = "", .note = ""};
    struct address_request *a = &s->addresses[2 * host + (type == DNS_TYPE_AAAA)];
    *a = (struct address_request){.search = s, .host = host, .type = type};
    a->request.answered = on_address;
    a->request.context = a;
    if (resolver_ask(s->question.resolver, &a->request, s->plan->hosts[host].name, type) == STATUS_OK) {
        s->outstanding++;
    } else {
        mx_address(s->plan, host, type, &failed);
    }
}

static void on_mx(void *context, const struct resolved *answer)
{
    struct host_search *s = context;
    if (!mx_read(s->plan, answer, s->question.random)) {
        over(s);
        return;
    }
    for (size_t i = 0; i < s->plan->count; i++) {
        ask_address(s, i, DNS_TYPE_A);
        ask_address(s, i, DNS_TYPE_AAAA);
    }
    if (s->outstanding == 0) {
        finish(s);
    }
}

static void begin(struct host_search *s)
{
    static const struct resolved failed = {.state = RESOLVED_SERVFAIL, .name = "", .note = ""};
    if (!mx_begin(s->plan, s->question.domain, s->question.port)) {
        if (s->plan->fate == MX_HOSTS) {
            mx_finish(s->plan, s->question.own, s->question.port, 0);
        }
        (void)uv_timer_start(&s->now, on_now, 0, 0);
        return;
    }
    s->mx.answered = on_mx;
    s->mx.context = s;
    if (resolver_ask(s->question.resolver, &s->mx, s->plan->domain, DNS_TYPE_MX) != STATUS_OK) {
        (void)mx_read(s->plan, &failed, 0);
        (void)uv_timer_start(&s->now, on_now, 0, 0);
    }
}

struct host_search *host_search_start(uv_loop_t *loop, const struct host_question *question,
                                      void (*found)(void *context, struct mx_plan *plan), void *context)
{
    struct host_search *s = calloc(1, sizeof *s);
    struct mx_plan *plan = calloc(1, sizeof *plan);
    if (s == NULL || plan == NULL) {
        free(s);
        free(plan);
        return NULL;
    }
    s->question = *question;
    s->plan = plan;
    s->found = found;
    s->context = context;
    s->now.data = s;
    (void)uv_timer_init(loop, &s->now);
    begin(s);
    s->question.domain = slice_of(NULL, 0);
    return s;
}

void host_search_cancel(struct host_search *s)
{
    if (s == NULL || s->cancelled) {
        return;
    }
    s->cancelled = true;
    resolver_cancel(s->question.resolver, &s->mx);
    for (size_t i = 0; i < 2 * MX_HOSTS_MAX; i++) {
        resolver_cancel(s->question.resolver, &s->addresses[i].request);
    }
    uv_close((uv_handle_t *)&s->now, on_closed);
}

/* --- who we are --- */

static bool is_wildcard(const union mx_sockaddr *a)
{
    return a->any.sa_family == AF_INET ? a->v4.sin_addr.s_addr == INADDR_ANY
                                       : IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

void own_addresses_add(int fd, union mx_sockaddr *list, size_t *count, size_t max)
{
    union mx_sockaddr own;
    socklen_t len = sizeof own;
    uv_interface_address_t *interfaces = NULL;
    int n = 0;
    memset(&own, 0, sizeof own);
    if (getsockname(fd, &own.any, &len) != 0 ||
        (own.any.sa_family != AF_INET && own.any.sa_family != AF_INET6)) {
        return;
    }
    if (!is_wildcard(&own)) {
        if (*count < max) {
            list[(*count)++] = own;
        }
        return;
    }
    if (uv_interface_addresses(&interfaces, &n) != 0) {
        return;
    }
    for (int i = 0; i < n && *count < max; i++) {
        bool v6 = interfaces[i].address.address4.sin_family == AF_INET6;
        if (v6 && own.any.sa_family == AF_INET) {
            continue;
        }
        union mx_sockaddr *to = &list[(*count)++];
        memset(to, 0, sizeof *to);
        if (v6) {
            to->v6 = interfaces[i].address.address6;
            to->v6.sin6_port = own.v6.sin6_port;
        } else {
            to->v4 = interfaces[i].address.address4;
            to->v4.sin_port = own.any.sa_family == AF_INET ? own.v4.sin_port : own.v6.sin6_port;
        }
    }
    uv_free_interface_addresses(interfaces, n);
}
