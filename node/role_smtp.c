/*
 * The smtp role: a libuv loop around smtp/service.h. It connects to core, opens the store for reading when
 * core says so, tells the service what core says of the cluster, and stops it in order on SIGTERM. It holds
 * two keys: the spool's and that of the service certificate; it parses no MIME and makes no policy decision.
 *
 * What can go wrong: core goes away: the open map stays readable and mail goes on until the node counts as
 * stale. The store cannot be opened: tried again, 421 to clients until then. The spool cannot be opened:
 * fatal, for nothing could be accepted.
 */
#include "base/clock.h"
#include "base/log.h"
#include "node/role.h"
#include "node/smtp_notices.h"
#include "raft/core_protocol.h"
#include "smtp/message_log.h"
#include "smtp/service.h"
#include "store/records.h"
#include "store/store.h"

#include <malloc.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <unistd.h>
#include <uv.h>

#define STORE_FOLDER      "state"
#define SPOOL_FOLDER      "spool"
#define TLS_REPORT_FOLDER MESSAGE_LOG_FOLDER "/tls"
#define CHAIN_FILE        "identity/service.crt"
#define CORE_TICK_MS      200
#define STOP_GRACE_MS     10000
#define KEPT_FREE                                                                                            \
    (4 << 20) /* bytes that an arena keeps for the next message, instead of giving them back after each */

struct smtp_role {
    struct role_context *context;
    uv_loop_t loop;
    uv_poll_t stop;
    uv_timer_t tick;
    uv_poll_t *core_poll; /* of the present connection; NULL while there is none */
    int core_poll_fd;
    struct core_client *core;
    struct store *store;
    struct store_look look;
    struct smtp_service *service;
    struct smtp_notices *notices;   /* NULL until the spool is open */
    char leader[NODE_NAME_MAX + 1]; /* as core said last; "" */
    bool stopping, ready;
    int exit_status;
};

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void core_poll_drop(struct smtp_role *r)
{
    if (r->core_poll != NULL) {
        uv_close((uv_handle_t *)r->core_poll, on_poll_closed);
        r->core_poll = NULL;
        r->core_poll_fd = -1;
    }
}

static void core_go_on(struct smtp_role *r);

static void on_core_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    core_go_on(poll->data);
}

/* The client closes and opens its descriptor by itself: the handle of the old one goes first, for the new one
 * may have its number. */
static void core_poll_follow(struct smtp_role *r)
{
    int fd = core_client_fd(r->core);
    if (fd == r->core_poll_fd) {
        return;
    }
    core_poll_drop(r);
    if (fd < 0) {
        return;
    }
    uv_poll_t *poll = calloc(1, sizeof *poll);
    if (poll == NULL || uv_poll_init(&r->loop, poll, fd) != 0) {
        free(poll);
        return; /* the tick reads it all the same */
    }
    poll->data = r;
    (void)uv_poll_start(poll, UV_READABLE, on_core_readable);
    r->core_poll = poll;
    r->core_poll_fd = fd;
}

static void stop(struct smtp_role *r, int exit_status);

/* Without the cluster's id the mark is every Sealpost's, which finds loops as well. */
static void mark_set(struct smtp_role *r)
{
    struct store_view *view;
    struct cluster_record cluster;
    struct failure f = {0};
    if (store_view_begin(r->store, &view, &f) != STATUS_OK) {
        return;
    }
    if (store_cluster_get(view, &cluster) == STATUS_OK && cluster.id.len == ID_SIZE) {
        smtp_service_set_mark(r->service, cluster.id.data);
    }
    store_view_end(view);
}

static void store_open_perhaps(struct smtp_role *r)
{
    struct failure f = {0};
    if (r->ready || r->stopping || !core_client_ready(r->core)) {
        return;
    }
    if (r->store == NULL && store_open_reader(STORE_FOLDER, &r->store, &f) != STATUS_OK) {
        log_event(LOG_WARN, "the store cannot be opened yet", LOG_TEXT("error", f.text));
        r->store = NULL;
        return;
    }
    struct settings_source source;
    settings_source_of_store(&source, &r->look, r->store);
    r->ready = true;
    mark_set(r);
    if (smtp_service_store_ready(r->service, &source, core_client_node_id(r->core), &f) != STATUS_OK) {
        log_event(LOG_ERROR, "the smtp service cannot start", LOG_TEXT("error", f.text));
        stop(r, 1);
        return;
    }
    struct smtp_notices_services notices = {
        .core = r->core, .store = r->store, .service = r->service, .hostname = r->context->config->hostname};
    r->notices = smtp_notices_new(&notices);
    if (r->notices != NULL) {
        smtp_notices_leader(r->notices, r->leader);
    }
}

static void core_go_on(struct smtp_role *r)
{
    if (r->core == NULL) {
        return;
    }
    core_client_read(r->core);
    core_poll_follow(r);
    store_open_perhaps(r);
}

static void on_core_event(void *context, const struct core_event *event)
{
    struct smtp_role *r = context;
    /* No event: core is away. What it said last stays true until it is too old. */
    if (event != NULL && r->service != NULL) {
        smtp_service_cluster(r->service, event->contact_ms, event->voters);
    }
    (void)!snprintf(r->leader, sizeof r->leader, "%s", event != NULL ? event->leader : "");
    if (r->notices != NULL) {
        smtp_notices_leader(r->notices, r->leader);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct smtp_role *r = timer->data;
    core_go_on(r);
    if (r->notices != NULL && !r->stopping) {
        smtp_notices_tick(r->notices, clock_monotonic_ms(), clock_wall_ms());
    }
}

static void on_stopped(void *context)
{
    struct smtp_role *r = context;
    core_poll_drop(r);
    uv_close((uv_handle_t *)&r->tick, NULL);
    uv_close((uv_handle_t *)&r->stop, NULL);
}

static void stop(struct smtp_role *r, int exit_status)
{
    if (r->stopping) {
        return;
    }
    r->stopping = true;
    r->exit_status = exit_status;
    log_event(LOG_INFO, "stopping");
    smtp_service_stop(r->service, STOP_GRACE_MS, on_stopped, r);
}

static void on_stop_signal(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    (void)uv_poll_stop(poll);
    stop(poll->data, 0);
}

static enum status service_start(struct smtp_role *r, struct failure *f)
{
    struct role_context *c = r->context;
    struct smtp_service_options options = {
        .loop = &r->loop,
        .hostname = c->config->hostname,
        .spool_dir = SPOOL_FOLDER,
        .log_dir = MESSAGE_LOG_FOLDER,
        .tls_report_dir = TLS_REPORT_FOLDER,
        .node_name = c->config->name,
        .spool_key = secret_slice(&c->spool),
        .jobs_listener = role_listener_fd(c, "jobs", 0),
        .queue_listener = role_listener_fd(c, "queue", 0),
    };
    for (size_t i = 0; i < c->listener_count && options.listener_count < SERVER_LISTENERS_MAX; i++) {
        const struct role_listener *l = &c->listeners[i];
        if (strncmp(l->name, SMTP_LISTENER_PREFIX, sizeof(SMTP_LISTENER_PREFIX) - 1) == 0) {
            options.listeners[options.listener_count].name = l->name + sizeof(SMTP_LISTENER_PREFIX) - 1;
            options.listeners[options.listener_count++].fd = l->fd;
        }
    }
    if (options.jobs_listener < 0 || options.listener_count == 0) {
        return failure_set(f, STATUS_INVALID, "a listening descriptor is missing");
    }
    if (smtp_server_tls(CHAIN_FILE, secret_slice(&c->tls_key), &options.tls, f) != STATUS_OK) {
        log_event(LOG_WARN, "STARTTLS is not offered", LOG_TEXT("error", f->text));
        options.tls = NULL;
    }
    enum status status = smtp_service_new(&options, &r->service, f);
    secret_release(&c->tls_key);
    return status;
}

int role_smtp_run(struct role_context *c)
{
    struct smtp_role r = {.context = c, .core_poll_fd = -1};
    struct failure f = {0};
    (void)signal(SIGPIPE, SIG_IGN);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
    if (uv_loop_init(&r.loop) != 0) {
        log_event(LOG_ERROR, "no event loop");
        return 1;
    }
    enum status status = service_start(&r, &f);
    if (status == STATUS_OK) {
        status = core_client_new("smtp", CORE_SOCKET, on_core_event, &r, &r.core);
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "the smtp role cannot start",
                  LOG_TEXT("error", f.text[0] != '\0' ? f.text : status_text(status)));
        return 1;
    }
    r.tick.data = &r;
    r.stop.data = &r;
    (void)uv_timer_init(&r.loop, &r.tick);
    (void)uv_timer_start(&r.tick, on_tick, 0, CORE_TICK_MS);
    if (uv_poll_init(&r.loop, &r.stop, c->stop_fd) != 0 ||
        uv_poll_start(&r.stop, UV_READABLE, on_stop_signal) != 0) {
        log_event(LOG_ERROR, "the stop signal cannot be waited for");
        return 1;
    }
    (void)uv_run(&r.loop, UV_RUN_DEFAULT);
    core_client_free(r.core);
    smtp_service_free(r.service);
    smtp_notices_free(r.notices);
    if (r.store != NULL) {
        store_close(r.store);
    }
    (void)uv_loop_close(&r.loop);
    log_event(LOG_INFO, "stopped");
    return r.exit_status;
}
