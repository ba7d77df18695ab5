/*
 * Puts the parts of the smtp role together, and takes them apart in order (smtp/service.h):
 *
 *   stop: server (grace) -> jobs -> delivery -> queue -> spool (synced) -> message log -> stopped
 */
#include "smtp/service.h"

#include "base/log.h"
#include "base/siphash.h"
#include "smtp/delivery.h"
#include "smtp/disk_space.h"
#include "smtp/queue_server.h"
#include "smtp/server.h"
#include "smtp/tls_client.h"
#include "smtp/tls_report_send.h"
#include "smtp/trace_field.h"

#include <unistd.h>

#define MEMORY_DEFAULT ((uint64_t)256 << 20)
#define LOG_LIMITS_MS  2000 /* the message log learns of changed settings */

struct smtp_service {
    struct smtp_service_options options;
    struct secret spool_key;
    char hostname[256];
    struct statistics statistics;
    struct memory_budget budget;
    struct settings_cache settings;
    struct transaction_services transactions;
    struct job_server *jobs;
    struct spool *spool;
    struct message_log *log; /* NULL when it could not be opened: mail goes on */
    uv_timer_t log_timer;
    struct delivery *delivery;
    struct queue_server *queue;
    struct server *server;
    struct tls_client *tls_client;
    struct resolver *resolver;
    struct fetch_line *fetch;
    struct tls_report_store *reports; /* NULL when they cannot be kept: mail goes on */
    struct tls_report_sender *reporter;
    struct disk_space disk;
    bool ready, stopping;
    uint64_t node_id;
    uint64_t contact_ms, voters;
    uint64_t grace_ms;
    void (*stopped)(void *context);
    void *stopped_context;
};

static bool is_ready(void *context)
{
    const struct smtp_service *s = context;
    return s->ready && !s->stopping;
}

static bool is_stale(void *context)
{
    const struct smtp_service *s = context;
    const struct session_limits *limits = &s->settings.limits;
    if (s->voters < 3 || !limits->defer_when_stale) {
        return false;
    }
    uint64_t now = clock_monotonic_ms();
    return s->contact_ms == 0 || (now > s->contact_ms && now - s->contact_ms > limits->stale_after_ms);
}

static bool has_space(void *context, uint64_t bytes)
{
    struct smtp_service *s = context;
    return disk_space_holds(&s->disk, bytes, s->settings.limits.disk_reserve);
}

static void on_accepted(void *context, struct message *m, uint64_t spool_bytes, bool quarantined)
{
    struct smtp_service *s = context;
    delivery_accepted(s->delivery, m, spool_bytes, quarantined);
}

static void listeners_close(const struct smtp_service_options *o)
{
    for (size_t i = 0; i < o->listener_count; i++) {
        (void)close(o->listeners[i].fd);
    }
}

static enum status server_start(struct smtp_service *s, struct failure *f)
{
    const struct smtp_service_options *o = &s->options;
    struct server_services services = {
        .loop = o->loop,
        .hostname = s->hostname,
        .tls = o->tls,
        .settings = &s->settings,
        .budget = &s->budget,
        .transactions = &s->transactions,
        .statistics = &s->statistics,
        .ready = is_ready,
        .space = has_space,
        .stale = is_stale,
        .context = s,
    };
    enum status status = server_new(&services, &s->server);
    if (status != STATUS_OK) {
        listeners_close(o);
        return failure_set(f, status, "cannot start the SMTP server");
    }
    for (size_t i = 0; i < o->listener_count; i++) {
        enum status listening = server_listen(s->server, o->listeners[i].fd, o->listeners[i].name, f);
        status = status == STATUS_OK ? listening : status;
    }
    return status;
}

enum status smtp_service_new(const struct smtp_service_options *options, struct smtp_service **out,
                             struct failure *f)
{
    struct smtp_service *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the SMTP service");
    }
    s->options = *options;
    s->budget.max = MEMORY_DEFAULT;
    (void)!snprintf(s->hostname, sizeof s->hostname, "%s", options->hostname);
    enum status status = secret_copy(&s->spool_key, options->spool_key);
    if (status == STATUS_OK) {
        status = tls_client_new(&s->tls_client, f);
    }
    if (status == STATUS_OK) {
        status = job_server_new(options->loop, options->jobs_listener, &s->jobs, f);
    }
    s->transactions = (struct transaction_services){
        .jobs = s->jobs, .statistics = &s->statistics, .accepted = on_accepted, .context = s};
    if (status == STATUS_OK && options->queue_listener >= 0) {
        struct queue_server_options queue = {.loop = options->loop,
                                             .listener = options->queue_listener,
                                             .statistics = &s->statistics,
                                             .jobs = s->jobs,
                                             .budget = &s->budget,
                                             .settings = &s->settings.source,
                                             .node =
                                                 s->options.node_name != NULL ? s->options.node_name : ""};
        status = queue_server_new(&queue, &s->queue, f);
    }
    if (status == STATUS_OK) {
        status = server_start(s, f);
    }
    if (status != STATUS_OK) {
        /* Handles may be open on the loop: the role ends now, and the process with it. */
        return status;
    }
    *out = s;
    return STATUS_OK;
}

static void on_found(void *context, const struct spool_found *found)
{
    delivery_found(context, found);
}

static void on_log_timer(uv_timer_t *timer)
{
    struct smtp_service *s = timer->data;
    if (settings_refresh(&s->settings)) {
        message_log_limits(s->log, s->settings.limits.trace_max_size, s->settings.limits.trace_retention_ms);
    }
}

static void log_begin(struct smtp_service *s)
{
    struct failure f = {0};
    if (s->options.log_dir == NULL || !settings_refresh(&s->settings)) {
        return;
    }
    struct message_log_options options = {.dir = s->options.log_dir,
                                          .key = secret_slice(&s->spool_key),
                                          .node = s->options.node_name,
                                          .max_bytes = s->settings.limits.trace_max_size,
                                          .retention_ms = s->settings.limits.trace_retention_ms};
    if (message_log_open(&options, &s->log, &f) != STATUS_OK) {
        log_event(LOG_ERROR, "the message log cannot be opened: mail goes on without it",
                  LOG_TEXT("error", f.text));
        return;
    }
    s->log_timer.data = s;
    (void)uv_timer_init(s->options.loop, &s->log_timer);
    (void)uv_timer_start(&s->log_timer, on_log_timer, LOG_LIMITS_MS, LOG_LIMITS_MS);
    s->transactions.log = s->log;
    delivery_set_log(s->delivery, s->log);
}

/* What TLS to next hops needs; without a part of it mail goes on. */
static void tls_begin(struct smtp_service *s)
{
    struct failure f = {0};
    if (resolver_new(s->options.loop, RESOLVER_TIMEOUT_MS, &s->resolver) != STATUS_OK ||
        fetch_line_new(s->options.loop, FETCH_SOCKET, &s->fetch) != STATUS_OK) {
        log_event(LOG_ERROR, "no memory for look-ups: neither DANE nor MTA-STS");
    }
    if (s->options.tls_report_dir != NULL &&
        tls_report_store_new(s->options.loop, s->options.tls_report_dir, clock_wall_ms(), &s->reports, &f) !=
            STATUS_OK) {
        log_event(LOG_ERROR, "outcomes of TLS cannot be counted", LOG_TEXT("error", f.text));
    }
}

/* When all that sends mail is there. */
static void reports_begin(struct smtp_service *s)
{
    struct tls_report_services services = {.loop = s->options.loop,
                                           .hostname = s->hostname,
                                           .store = s->reports,
                                           .settings = &s->settings.source,
                                           .resolver = s->resolver,
                                           .fetch = s->fetch,
                                           .mail = {.transactions = &s->transactions,
                                                    .budget = &s->budget,
                                                    .delivery = s->delivery,
                                                    .log = s->log,
                                                    .node_id = s->node_id,
                                                    /* RFC 8460 section 3: also where TLS fails. */
                                                    .promises = SPOOL_TLS_NOT_REQUIRED}};
    if (s->reports == NULL || s->resolver == NULL || s->fetch == NULL ||
        tls_report_sender_new(&services, &s->reporter) != STATUS_OK) {
        s->reporter = NULL;
    }
}

enum status smtp_service_store_ready(struct smtp_service *s, const struct settings_source *settings,
                                     uint64_t node_id, struct failure *f)
{
    s->settings.source = *settings;
    s->node_id = node_id;
    tls_begin(s);
    struct delivery_options delivery = {
        .loop = s->options.loop,
        .hostname = s->hostname,
        .node_id = node_id,
        .settings = &s->settings.source,
        .transactions = &s->transactions,
        .budget = &s->budget,
        .statistics = &s->statistics,
        .tls = s->tls_client,
        .resolver = s->resolver,
        .fetch = s->fetch,
        .reports = s->reports,
    };
    enum status status = delivery_new(&delivery, &s->delivery);
    if (status != STATUS_OK) {
        return failure_set(f, status, "no memory for delivery");
    }
    struct spool_options spool = {.loop = s->options.loop,
                                  .dir = s->options.spool_dir,
                                  .key = secret_slice(&s->spool_key),
                                  .node_id = node_id,
                                  .segment_size = s->options.spool_segment_size};
    for (size_t i = 0; i < s->options.listener_count; i++) {
        delivery_add_listener(s->delivery, s->options.listeners[i].fd);
    }
    status = spool_open(&spool, on_found, s->delivery, &s->spool, f);
    if (status != STATUS_OK) {
        return status;
    }
    delivery_set_spool(s->delivery, s->spool);
    disk_space_start(&s->disk, s->options.loop, s->options.spool_dir);
    delivery_index_start(s->delivery);
    log_begin(s);
    s->transactions.spool = s->spool;
    server_set_node(s->server, node_id);
    if (s->queue != NULL) {
        queue_server_open(s->queue, s->delivery, s->spool, s->log);
    }
    reports_begin(s);
    struct spool_counts counts;
    spool_counts_get(s->spool, &counts);
    log_event(LOG_INFO, "the spool is open", LOG_NUMBER("messages", counts.messages),
              LOG_NUMBER("segments", counts.segments), LOG_NUMBER("torn", counts.torn),
              LOG_NUMBER("damaged", counts.damaged));
    s->ready = true;
    return STATUS_OK;
}

void smtp_service_set_mark(struct smtp_service *s, const uint8_t cluster_id[ID_SIZE])
{
    char mark[TRACE_MARK_MAX];
    uint64_t hash = siphash(cluster_id, SLICE_LITERAL("trace mark"));
    (void)!snprintf(mark, sizeof mark, "Sealpost/%016llx", (unsigned long long)hash);
    server_set_mark(s->server, mark);
}

void smtp_service_cluster(struct smtp_service *s, uint64_t contact_ms, uint64_t voters)
{
    s->contact_ms = contact_ms;
    s->voters = voters;
}

void smtp_service_reminder(struct smtp_service *s, const uint8_t id[ID_SIZE], struct slice to,
                           struct slice text, reminder_sent_cb cb, void *context)
{
    struct reminder_services services = {.transactions = &s->transactions,
                                         .budget = &s->budget,
                                         .delivery = s->delivery,
                                         .log = s->log,
                                         .node_id = s->node_id};
    if (!is_ready(s)) {
        cb(context, STATUS_UNAVAILABLE, (struct slice){0});
        return;
    }
    reminder_send(&services, id, to, text, cb, context);
}

/* --- stopping, step by step --- */

static void close_resolver(void *context)
{
    struct smtp_service *s = context;
    s->reports = NULL;
    if (s->resolver != NULL) {
        resolver_close(s->resolver, s->stopped, s->stopped_context);
        s->resolver = NULL;
    } else {
        s->stopped(s->stopped_context);
    }
}

static void close_reports(void *context)
{
    struct smtp_service *s = context;
    s->fetch = NULL;
    if (s->reports != NULL) {
        tls_report_store_close(s->reports, close_resolver, s);
    } else {
        close_resolver(s);
    }
}

static void close_line(void *context)
{
    struct smtp_service *s = context;
    s->reporter = NULL;
    if (s->fetch != NULL) {
        fetch_line_close(s->fetch, close_reports, s);
    } else {
        close_reports(s);
    }
}

static void on_log_timer_closed(uv_handle_t *handle)
{
    close_line(handle->data);
}

static void on_spool_closed(void *context)
{
    struct smtp_service *s = context;
    if (s->log == NULL) {
        close_line(s);
        return;
    }
    message_log_close(s->log); /* writes what waits */
    s->log = NULL;
    uv_close((uv_handle_t *)&s->log_timer, on_log_timer_closed);
}

static void close_spool(void *context)
{
    struct smtp_service *s = context;
    if (s->spool != NULL) {
        spool_close(s->spool, on_spool_closed, s);
    } else {
        on_spool_closed(s);
    }
}

static void close_queue(void *context)
{
    struct smtp_service *s = context;
    if (s->queue != NULL) {
        queue_server_open(s->queue, NULL, NULL, NULL);
        queue_server_close(s->queue, close_spool, s);
    } else {
        close_spool(s);
    }
}

static void stop_delivery(void *context)
{
    struct smtp_service *s = context;
    if (s->delivery != NULL) {
        delivery_stop(s->delivery, close_queue, s);
    } else {
        close_queue(s);
    }
}

static void close_jobs(void *context)
{
    struct smtp_service *s = context;
    job_server_close(s->jobs, stop_delivery, s);
}

static void stop_server(void *context)
{
    struct smtp_service *s = context;
    s->reporter = NULL;
    server_stop(s->server, s->grace_ms, close_jobs, s);
}

void smtp_service_stop(struct smtp_service *s, uint64_t grace_ms, void (*stopped)(void *context),
                       void *context)
{
    if (s->stopping) {
        return;
    }
    s->stopping = true;
    s->grace_ms = grace_ms;
    s->stopped = stopped;
    s->stopped_context = context;
    disk_space_stop(&s->disk);
    if (s->reporter != NULL) {
        tls_report_sender_close(s->reporter, stop_server, s);
    } else {
        stop_server(s);
    }
}

void smtp_service_free(struct smtp_service *s)
{
    if (s == NULL) {
        return;
    }
    server_free(s->server);
    delivery_free(s->delivery);
    queue_server_free(s->queue);
    job_server_free(s->jobs);
    spool_free(s->spool);
    secret_release(&s->spool_key);
    SSL_CTX_free(s->options.tls);
    tls_client_free(s->tls_client);
    free(s);
}
