/*
 * A next hop: groups that wait for it, connections that serve them. More connections are opened while more
 * groups wait than connections are on their way to them. When no host can be reached and no connection works,
 * everything that waits is deferred with the reason, and so is what comes during a pause that doubles: a dead
 * destination costs the others nothing.
 */
#include "smtp/delivery_internal.h"

#include "base/channel.h"
#include "base/log.h"
#include "mail/job.h"

#include <unistd.h>

#define QUEUE_MAX      1000 /* groups */
#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS   30000

struct destination *destination_find(struct delivery *d, const struct delivery_settings *settings)
{
    struct destination *t = d->destinations;
    while (t != NULL && !(slice_equal(t->hosts, settings->next_hop) && slice_equal(t->tls, settings->tls))) {
        t = t->next;
    }
    if (t == NULL) {
        t = calloc(1, sizeof *t);
        char *key = malloc(settings->next_hop.len + settings->tls.len + 1);
        if (t == NULL || key == NULL) {
            free(t);
            free(key);
            return NULL;
        }
        memcpy(key, settings->next_hop.data, settings->next_hop.len);
        memcpy(key + settings->next_hop.len, settings->tls.data, settings->tls.len);
        t->key = key;
        t->hosts = slice_of(key, settings->next_hop.len);
        t->tls = slice_of(key + settings->next_hop.len, settings->tls.len);
        t->delivery = d;
        t->queue_tail = &t->queue;
        t->next = d->destinations;
        d->destinations = t;
    }
    t->max_connections = settings->max_connections;
    t->max_messages = settings->max_messages_per_connection;
    t->connect_timeout_ms = settings->connect_timeout_ms;
    t->timeout_ms = settings->timeout_ms;
    t->idle_timeout_ms = settings->idle_timeout_ms;
    return t;
}

static struct group *pop(struct destination *t)
{
    struct group *g = t->queue;
    if (g != NULL) {
        t->queue = g->next;
        t->queued--;
        if (t->queue == NULL) {
            t->queue_tail = &t->queue;
        }
        g->next = NULL;
    }
    return g;
}

static void defer_all(struct destination *t, const char *enhanced, const char *why)
{
    /* Only what is here now: settling a group may bring new ones. */
    for (size_t n = t->queued; n > 0 && t->queue != NULL; n--) {
        struct group *g = pop(t);
        g->dispatch->any_tried = true;
        group_settle(g, RESULT_DEFERRED, enhanced, slice_of_text(why), NULL);
        group_finished(g);
    }
}

void destination_refused(struct destination *t, const char *enhanced, const char *why)
{
    for (size_t n = t->queued; n > 0 && t->queue != NULL; n--) {
        struct group *g = pop(t);
        g->dispatch->any_tried = true;
        group_settle(g, RESULT_FAILED, enhanced, slice_of_text(why), NULL);
        group_finished(g);
    }
}

/* No new connections for now. */
static bool pausing(const struct destination *t)
{
    return uv_now(t->delivery->options.loop) < t->pause_until_ms;
}

static void serve(struct destination *t)
{
    for (struct client_session *c = t->connections; c != NULL && t->queue != NULL;) {
        struct client_session *next = client_session_next(c);
        if (client_session_is_idle(c)) {
            struct group *g = pop(t);
            g->dispatch->any_tried = true;
            client_session_take(c, g);
        }
        c = next;
    }
    size_t room =
        t->max_connections > t->connection_count ? (size_t)t->max_connections - t->connection_count : 0;
    while (room > 0 && t->queued > t->connecting && !pausing(t) && !t->delivery->stopping) {
        room--;
        client_session_open(t);
    }
}

void destination_pump(struct destination *t)
{
    if (t->pumping) {
        t->pump_again = true;
        return;
    }
    t->pumping = true;
    do {
        t->pump_again = false;
        if (t->queue != NULL && t->delivery->stopping) {
            for (struct group *g = pop(t); g != NULL; g = pop(t)) {
                g->dispatch->aborted = true;
                group_settle(g, RESULT_DEFERRED, "4.3.2", SLICE_LITERAL("this node is stopping"), NULL);
                group_finished(g);
            }
        } else if (t->queue != NULL && t->connection_count == 0 && pausing(t)) {
            defer_all(t, "4.4.1", t->last_error);
        } else {
            serve(t);
        }
    } while (t->pump_again);
    t->pumping = false;
}

void destination_enqueue(struct destination *t, struct group *g)
{
    if (t->queued >= QUEUE_MAX) {
        group_settle(g, RESULT_DEFERRED, "4.3.2", SLICE_LITERAL("too much waits for this next hop already"),
                     NULL);
        group_finished(g);
        return;
    }
    g->next = NULL;
    *t->queue_tail = g;
    t->queue_tail = &g->next;
    t->queued++;
    destination_pump(t);
}

void destination_requeue(struct destination *t, struct group *g)
{
    g->next = t->queue;
    if (t->queue == NULL) {
        t->queue_tail = &g->next;
    }
    t->queue = g;
    t->queued++;
}

void destination_failed(struct destination *t, const char *error)
{
    (void)!snprintf(t->last_error, sizeof t->last_error, "%s",
                    error[0] != '\0' ? error : "the next hop cannot be reached");
    log_event(LOG_WARN, "next hop failed", LOG_SLICE("next_hop", t->hosts), LOG_TEXT("error", t->last_error));
    if (!pausing(t)) { /* several that failed together are one failure */
        uint64_t longer = t->pause_ms == 0 ? PAUSE_FIRST_MS : 2 * t->pause_ms;
        t->pause_ms = longer < PAUSE_MAX_MS ? longer : PAUSE_MAX_MS;
        t->pause_until_ms = uv_now(t->delivery->options.loop) + t->pause_ms;
    }
    destination_pump(t); /* connections that work go on with the queue; without any, it is deferred */
}

void destination_worked(struct destination *t)
{
    t->pause_ms = 0;
    t->pause_until_ms = 0;
}

/* --- a hop without 8BITMIME --- */

struct conversion {
    struct job_request job;
    uv_work_t work;
    struct group *group;
    int fd; /* the variant as a sealed memfd */
    bool own_fd;
    enum status status;
};

static void conversion_end(struct conversion *v, enum status status, int seven_bit, uint64_t size)
{
    struct group *g = v->group;
    struct destination *t = g->destination;
    if (v->own_fd && v->fd >= 0) {
        (void)close(v->fd);
    }
    free(v);
    t->delivery->conversions--;
    dispatch_unpin(g->dispatch);
    if (status == STATUS_OK) {
        g->seven_bit = seven_bit;
        g->seven_bit_size = size;
        destination_requeue(t, g);
        destination_pump(t);
    } else {
        char text[160];
        (void)!snprintf(text, sizeof text,
                        "the next hop takes no 8-bit mail and the message could not be converted: %s",
                        status_text(status));
        group_settle(g, status_retryable(status) ? RESULT_DEFERRED : RESULT_FAILED,
                     status_retryable(status) ? "4.6.3" : "5.6.3", slice_of_text(text), NULL);
        group_finished(g);
    }
    delivery_stopped_perhaps(t->delivery);
}

static void on_converted(struct job_request *request, enum job_outcome outcome,
                         const struct job_result *result, int *fds, size_t fd_count)
{
    struct conversion *v = request->context;
    uint64_t size = 0;
    if (outcome != JOB_ANSWERED) {
        conversion_end(v, outcome == JOB_NO_WORKER ? STATUS_UNAVAILABLE : STATUS_MALFORMED, -1, 0);
    } else if (result->status != STATUS_OK) {
        conversion_end(v, result->status, -1, 0);
    } else if (fd_count != 1 || !message_sealed_size(fds[0], &size)) {
        conversion_end(v, STATUS_INTERNAL, -1, 0);
    } else {
        int fd = fds[0];
        fds[0] = -1;
        conversion_end(v, STATUS_OK, fd, size);
    }
}

static void conversion_submit(struct conversion *v)
{
    struct dispatch *x = v->group->dispatch;
    v->job = (struct job_request){.type = JOB_TO_7BIT, .fd = v->fd, .cb = on_converted, .context = v};
    id_format(x->envelope->id, v->job.message.message_id);
    job_submit(x->delivery->options.transactions->jobs, &v->job);
}

static void gather(uv_work_t *work)
{
    struct conversion *v = work->data;
    struct group *g = v->group;
    struct buf piece = BUF_INIT((size_t)256 << 10);
    struct failure f = {0};
    piece.wipe = true;
    v->status = memory_file_create("variant", &v->fd, &f);
    for (uint64_t chunk = 0; v->status == STATUS_OK; chunk++) {
        buf_reset(&piece);
        v->status = spool_read_chunk(&g->dispatch->loaded, g->variant, chunk, &piece, &f);
        if (v->status == STATUS_OK && write(v->fd, piece.data, piece.len) != (ssize_t)piece.len) {
            v->status = STATUS_NO_MEMORY;
        }
    }
    if (v->status == STATUS_NOT_FOUND) { /* that was the last one */
        v->status = memory_file_seal(v->fd);
    }
    buf_release(&piece);
}

static void after_gather(uv_work_t *work, int error)
{
    struct conversion *v = work->data;
    if (error != 0 || v->status != STATUS_OK) {
        conversion_end(v, error != 0 ? STATUS_INTERNAL : v->status, -1, 0);
        return;
    }
    conversion_submit(v);
}

void destination_convert(struct destination *t, struct group *g)
{
    struct conversion *v = calloc(1, sizeof *v);
    if (v == NULL) {
        group_settle(g, RESULT_DEFERRED, "4.3.1", slice_of_text(status_text(STATUS_NO_MEMORY)), NULL);
        group_finished(g);
        return;
    }
    v->group = g;
    v->fd = -1;
    t->delivery->conversions++;
    dispatch_pin(g->dispatch);
    if (g->dispatch->hot != NULL) {
        v->fd = g->dispatch->hot->variants[g->variant];
        conversion_submit(v);
        return;
    }
    v->own_fd = true;
    v->work.data = v;
    if (uv_queue_work(t->delivery->options.loop, &v->work, gather, after_gather) != 0) {
        conversion_end(v, STATUS_NO_MEMORY, -1, 0);
    }
}

void destination_stop(struct destination *t)
{
    while (t->connections != NULL) {
        client_session_stop(t->connections);
    }
    destination_pump(t);
}

void destination_free(struct destination *t)
{
    free(t->key);
    free(t);
}
