/*
 * The api role's loop: h2o's event loop with the listeners, the bus and the job thread beside it. See api.h.
 *
 * When all goes well: a connection is accepted, h2o makes TLS and parses, http.c makes an exchange of the
 * request; questions go to the bus and jobs to the job thread, and their answers come back through h2o's
 * queue between threads and find their exchange by its number. What can go wrong: too many connections: no
 * more are accepted until one ends. A client that reads nothing: the kernel gives it up after
 * TCP_USER_TIMEOUT. Core or smtp away: 503 with the reason. The loop's thread reads the store and opens the
 * data key; it never waits for anybody.
 */
#include "api/server_internal.h"

#include "api/ca_rounds.h"
#include "api/json_out.h"
#include "base/clock.h"
#include "base/log.h"
#include "mail/rule.h"

#include <malloc.h>
#include <netinet/tcp.h>

#define SERVER_TICK_MS     5
#define REQUEST_TIMEOUT_MS 20000 /* from the first byte to the end of the body; also an idle connection's */
#define HANDSHAKE_MS       10000
#define UNSENT_TIMEOUT_MS  30000
#define INDEX_WAIT_MS      2000
#define STOP_MS            2000
#define ACCEPTS_A_TURN     16

/* --- messages of the other threads --- */

struct message {
    h2o_multithread_message_t super;
    struct bus_answer *answer; /* or */
    struct api_job *job;
    struct message *next;
};

static void message_send(struct server *server, struct bus_answer *answer, struct api_job *job)
{
    struct message *m = h2o_mem_alloc(sizeof(*m));
    memset(m, 0, sizeof(*m));
    m->answer = answer;
    m->job = job;
    h2o_multithread_send_message(&server->receiver, &m->super);
}

static void deliver_cb(void *context, struct bus_answer *answer)
{
    message_send(context, answer, NULL);
}

static void on_job_done(void *context, struct api_job *job)
{
    message_send(context, NULL, job);
}

/* Takes the exchange of that number out of the list of open ones; NULL: nobody waits any more. */
static struct exchange *take_open(struct server *server, uint64_t id)
{
    for (struct exchange **at = &server->open; *at != NULL; at = &(*at)->next_waiting) {
        if ((*at)->id == id) {
            struct exchange *x = *at;
            *at = x->next_waiting;
            x->next_waiting = NULL;
            return x;
        }
    }
    return NULL;
}

static void message_handle(struct server *server, struct message *m)
{
    struct exchange *x = take_open(server, m->answer != NULL ? m->answer->exchange : m->job->exchange);
    if (m->answer != NULL) {
        if (x != NULL) {
            exchange_resume(x, m->answer);
        }
        bus_answer_free(m->answer);
    } else if (x != NULL) {
        exchange_job_done(x, m->job);
    } else {
        m->job->free(m->job);
    }
}

static void on_messages(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    struct server *server = H2O_STRUCT_FROM_MEMBER(struct server, receiver, receiver);
    struct message *first = NULL, **end = &first;
    for (h2o_linklist_t *link = messages->next; link != messages; link = link->next) {
        *end = (struct message *)H2O_STRUCT_FROM_MEMBER(h2o_multithread_message_t, link, link);
        end = &(*end)->next;
    }
    *end = NULL;
    h2o_linklist_init_anchor(messages);
    while (first != NULL) {
        struct message *m = first;
        first = m->next;
        message_handle(server, m);
        free(m);
    }
}

/* --- what exchanges ask for --- */

static void put_open(struct server *server, struct exchange *x)
{
    x->next_waiting = server->open;
    server->open = x;
}

static void submit(struct api *api, struct exchange *x, struct bus_request *request)
{
    struct server *server = (struct server *)api;
    put_open(server, x);
    bus_submit(server->bus, request);
}

static enum status start_job(struct api *api, struct exchange *x, struct api_job *job)
{
    struct server *server = (struct server *)api;
    enum status status = job_thread_submit(server->jobs, job);
    if (status == STATUS_OK) {
        put_open(server, x);
    }
    return status;
}

static void health(struct api *api, struct bus_health *out)
{
    bus_health_get(((struct server *)api)->bus, out);
}

static void stats(struct api *api, enum bus_stats whose, struct buf *out)
{
    bus_stats_get(((struct server *)api)->bus, whose, out);
}

static bool index_is_reached(const struct api *api, uint64_t index)
{
    struct store_view *view;
    struct failure f;
    if (api->store == NULL || store_view_begin(api->store, &view, &f) != STATUS_OK) {
        return false;
    }
    bool reached = store_view_index(view) >= index;
    store_view_end(view);
    return reached;
}

static void wait_for_index(struct api *api, struct exchange *x)
{
    struct server *server = (struct server *)api;
    if (index_is_reached(api, x->index)) {
        exchange_index_reached(x);
        return;
    }
    x->wait_until_ms = clock_monotonic_ms() + INDEX_WAIT_MS;
    x->next_waiting = server->waiting;
    server->waiting = x;
    if (!h2o_timeout_is_linked(&server->waiting_entry)) {
        h2o_timeout_link(server->loop, &server->tick, &server->waiting_entry);
    }
}

static void on_waiting_tick(h2o_timeout_entry_t *entry)
{
    struct server *server = H2O_STRUCT_FROM_MEMBER(struct server, waiting_entry, entry);
    struct exchange *x = server->waiting;
    uint64_t now = clock_monotonic_ms();
    server->waiting = NULL;
    while (x != NULL) {
        struct exchange *next = x->next_waiting;
        x->next_waiting = NULL;
        if (now >= x->wait_until_ms || index_is_reached(&server->api, x->index)) {
            exchange_index_reached(
                x); /* after the time: the change is made, only this node has not seen it yet */
        } else {
            x->next_waiting = server->waiting;
            server->waiting = x;
        }
        x = next;
    }
    if (server->waiting != NULL) {
        h2o_timeout_link(server->loop, &server->tick, entry);
    }
}

static void on_store_tick(h2o_timeout_entry_t *entry)
{
    struct server *server = H2O_STRUCT_FROM_MEMBER(struct server, store_entry, entry);
    struct bus_health h;
    struct failure f = {.status = STATUS_OK};
    bus_health_get(server->bus, &h);
    if (h.core_ready && store_open_reader(server->options->store, &server->api.store, &f) != STATUS_OK) {
        server->api.store = NULL;
        log_event(LOG_ERROR, "the store could not be opened", LOG_TEXT("reason", f.text));
    }
    if (server->api.store == NULL) {
        h2o_timeout_link(server->loop, &server->tick, entry);
    } else {
        log_event(LOG_INFO, "ready for requests");
    }
}

static void on_rounds_tick(h2o_timeout_entry_t *entry)
{
    struct server *server = H2O_STRUCT_FROM_MEMBER(struct server, rounds_entry, entry);
    if (!server->stopping) {
        ca_round_begin(&server->api);
        h2o_timeout_link(server->loop, &server->rounds, entry);
    }
}

/* --- connections --- */

static void on_accept(h2o_socket_t *listener, const char *error);

static void listeners_pause(struct server *server, bool pause)
{
    for (size_t i = 0; i < server->options->listener_count; i++) {
        if (pause) {
            h2o_socket_read_stop(server->listeners[i]);
        } else {
            h2o_socket_read_start(server->listeners[i], on_accept);
        }
    }
    server->paused = pause;
}

static void on_close(void *context)
{
    struct server *server = context;
    server->api.counters.connections_open--;
    if (server->paused && !server->stopping) {
        listeners_pause(server, false);
    }
}

static void on_accept(h2o_socket_t *listener, const char *error)
{
    struct server *server = listener->data;
    for (int i = 0; i < ACCEPTS_A_TURN && error == NULL; i++) {
        if (server->api.counters.connections_open >= SERVER_CONNECTIONS_MAX) {
            log_event(LOG_WARN, "there are too many connections to the API",
                      LOG_NUMBER("open", server->api.counters.connections_open));
            listeners_pause(server, true);
            return;
        }
        h2o_socket_t *sock = h2o_evloop_socket_accept(listener);
        if (sock == NULL) {
            return;
        }
        unsigned unsent = UNSENT_TIMEOUT_MS;
        if (setsockopt(h2o_socket_get_fd(sock), IPPROTO_TCP, TCP_USER_TIMEOUT, &unsent, sizeof(unsent)) !=
            0) {
            log_event(LOG_DEBUG, "a connection has no time limit for sending");
        }
        server->api.counters.connections++;
        server->api.counters.connections_open++;
        sock->on_close.cb = on_close;
        sock->on_close.data = server;
        h2o_accept(&server->accept, sock);
    }
}

static void on_stop(h2o_socket_t *sock, const char *error)
{
    struct server *server = sock->data;
    (void)error;
    h2o_socket_read_stop(sock); /* the descriptor stays readable */
    server->stopping = true;
    listeners_pause(server, true);
    h2o_context_request_shutdown(&server->context);
}

/* --- set-up --- */

static void configure(struct server *server)
{
    h2o_config_init(&server->config);
    server->config.server_name = h2o_iovec_init(H2O_STRLIT("sealpost"));
    server->config.max_request_entity_size = SERVER_ENTITY_MAX;
    server->config.handshake_timeout = HANDSHAKE_MS;
    server->config.http1.req_timeout = REQUEST_TIMEOUT_MS;
    server->config.http1.upgrade_to_http2 = 0;
    /* A body beyond the threshold would go into a temporary file, in plain text. */
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
    h2o_hostconf_t *host =
        h2o_config_register_host(&server->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    http_handler_register(h2o_config_register_path(host, "/", 0), server);
    http_error_filter_register(&host->fallback_path);
    server->loop = h2o_evloop_create();
    h2o_context_init(&server->context, server->loop, &server->config);
    server->accept.ctx = &server->context;
    server->accept.hosts = server->config.hosts;
    server->accept.ssl_ctx = server->tls;
    h2o_multithread_register_receiver(server->context.queue, &server->receiver, on_messages);
    h2o_timeout_init(server->loop, &server->tick, SERVER_TICK_MS);
    server->waiting_entry.cb = on_waiting_tick;
    server->store_entry.cb = on_store_tick;
    h2o_timeout_init(server->loop, &server->rounds, CA_ROUND_MS);
    server->rounds_entry.cb = on_rounds_tick;
}

static void watch(struct server *server)
{
    for (size_t i = 0; i < server->options->listener_count; i++) {
        server->listeners[i] =
            h2o_evloop_socket_create(server->loop, server->options->listeners[i], H2O_SOCKET_FLAG_DONT_READ);
        server->listeners[i]->data = server;
        h2o_socket_read_start(server->listeners[i], on_accept);
    }
    server->stop_socket =
        h2o_evloop_socket_create(server->loop, server->options->stop_fd, H2O_SOCKET_FLAG_DONT_READ);
    server->stop_socket->data = server;
    h2o_socket_read_start(server->stop_socket, on_stop);
    h2o_timeout_link(server->loop, &server->tick, &server->store_entry);
    h2o_timeout_link(server->loop, &server->rounds, &server->rounds_entry);
}

static void loop(struct server *server)
{
    while (!server->stopping) {
        h2o_evloop_run(server->loop, INT32_MAX);
    }
    uint64_t until = clock_monotonic_ms() + STOP_MS;
    while (server->api.counters.connections_open > 0 && clock_monotonic_ms() < until) {
        h2o_evloop_run(server->loop, 50);
    }
}

enum status api_run(const struct api_options *options, struct failure *f)
{
    static struct server server; /* h2o's objects live as long as the process */
    enum status status;
    server.options = options;
    server.api.submit = submit;
    server.api.start_job = start_job;
    server.api.wait_for_index = wait_for_index;
    server.api.answered = http_answered;
    server.api.health = health;
    server.api.stats = stats;
    api_memory_set_up();
    mallopt(M_PERTURB, 0xa5); /* what h2o frees while a body grows does not keep a password */
    if ((status = secret_copy(&server.api.keyring.kek, options->kek)) != STATUS_OK ||
        (status = secret_copy(&server.api.transport_key, options->transport_key)) != STATUS_OK) {
        return failure_set(f, status, "there is no locked memory for the key");
    }
    if (options->certificate != NULL &&
        (status = tls_context_make(options->certificate, options->tls_key, &server.tls, f)) != STATUS_OK) {
        return status;
    }
    configure(&server);
    const struct bus_sockets sockets = {options->core_socket, options->queue_socket, options->fetch_socket};
    status = bus_start(&sockets, deliver_cb, &server, &server.bus, f);
    if (status != STATUS_OK) {
        return status;
    }
    if ((status = job_thread_start(on_job_done, &server, &server.jobs)) != STATUS_OK) {
        bus_stop(server.bus);
        return failure_set(f, status, "the thread for long computations cannot be started");
    }
    watch(&server);
    loop(&server);
    job_thread_stop(server.jobs);
    bus_stop(server.bus);
    trust_free(server.api.trust);
    ruleset_free(server.api.rules);
    keyring_release(&server.api.keyring);
    secret_release(&server.api.transport_key);
    if (server.api.store != NULL) {
        store_close(server.api.store);
    }
    return STATUS_OK;
}
