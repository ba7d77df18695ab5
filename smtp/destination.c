/*
 * A next hop: groups that wait for it, connections that serve them. More connections are opened while more
 * groups wait than connections are on their way to them, as many as smtp/concurrency.h allows; with
 * delivery.max_rate a group waits for its time. When no host can be reached and no connection works,
 * everything that waits is deferred with the reason, and so is what comes during a pause that doubles: a dead
 * destination costs the others nothing.
 */
#include "smtp/delivery_internal.h"

#include "base/channel.h"
#include "base/log.h"
#include "mail/job.h"
#include "smtp/route.h"

#include <unistd.h>

#define QUEUE_MAX      1000 /* groups */
#define SHARE_LEAST    10
#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS   30000

/* `from`, copied to `*at`, which moves on. */
static struct slice laid(struct slice from, char **at)
{
    struct slice out = slice_of(*at, from.len);
    memcpy(*at, from.data != NULL ? (const char *)from.data : "", from.len);
    *at += from.len;
    return out;
}

static struct destination *destination_new(struct delivery *d, const struct delivery_settings *s,
                                           struct slice key)
{
    struct destination *t = calloc(1, sizeof *t);
    char *text =
        malloc(key.len + s->next_hop.len + s->domain.len + s->tls.len + s->source.len + s->helo.len + 1);
    if (t == NULL || text == NULL) {
        free(t);
        free(text);
        return NULL;
    }
    t->text = text;
    t->key = laid(key, &text);
    t->hosts = laid(s->next_hop, &text);
    t->domain = laid(s->domain, &text);
    t->tls = laid(s->tls, &text);
    t->source = laid(s->source, &text);
    t->helo = laid(s->helo, &text);
    t->lmtp = s->lmtp;
    t->mx_port = s->mx_port;
    t->delivery = d;
    t->queue_tail = &t->queue;
    concurrency_init(&t->concurrency);
    if (!neighbours_add(d->neighbours, t)) {
        destination_free(t);
        return NULL;
    }
    return t;
}

struct destination *destination_find(struct delivery *d, const struct delivery_settings *settings,
                                     struct arena *a)
{
    struct slice key;
    if (route_key(settings, a, &key) != STATUS_OK) {
        return NULL;
    }
    struct destination *t = neighbours_find(d->neighbours, key);
    t = t != NULL ? t : destination_new(d, settings, key);
    if (t != NULL) {
        t->max_connections = settings->max_connections;
        t->max_messages = settings->max_messages_per_connection;
        t->max_rate = settings->max_rate;
        t->connect_timeout_ms = settings->connect_timeout_ms;
        t->timeout_ms = settings->timeout_ms;
        t->idle_timeout_ms = settings->idle_timeout_ms;
        t->used_ms = uv_now(d->options.loop);
    }
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

static void settle_all(struct destination *t, enum recipient_result result, const char *enhanced,
                       const char *why)
{
    /* Only what is here now: settling a group may bring new ones. */
    for (size_t n = t->queued; n > 0 && t->queue != NULL; n--) {
        struct group *g = pop(t);
        g->dispatch->any_tried = true;
        group_settle(g, result, enhanced, slice_of_text(why), NULL);
        group_finished(g);
    }
}

/* No new connections for now. */
static bool pausing(const struct destination *t)
{
    return uv_now(t->delivery->options.loop) < t->pause_until_ms;
}

bool destination_is_busy(const struct destination *t)
{
    return t->queue != NULL || t->connections != NULL || t->converting > 0 || t->pumping || pausing(t);
}

/* May the next message leave now? Up to a second's worth may leave at once. */
static bool rate_allows(struct destination *t)
{
    uint64_t now = uv_now(t->delivery->options.loop) * 1000;
    if (t->max_rate == 0) {
        return true;
    }
    if (t->rate_next_us > now) {
        neighbours_wake(t->delivery->neighbours);
        return false;
    }
    return true;
}

static void rate_count(struct destination *t)
{
    uint64_t now = uv_now(t->delivery->options.loop) * 1000;
    if (t->max_rate > 0) {
        uint64_t earliest = now > 1000000 ? now - 1000000 : 0;
        uint64_t from = t->rate_next_us > earliest ? t->rate_next_us : earliest;
        t->rate_next_us = from + (uint64_t)60 * 1000000 / t->max_rate;
    }
}

static void serve(struct destination *t)
{
    for (struct client_session *c = t->connections; c != NULL && t->queue != NULL;) {
        struct client_session *next = client_session_next(c);
        if (client_session_is_idle(c)) {
            if (!rate_allows(t)) {
                return;
            }
            rate_count(t);
            struct group *g = pop(t);
            g->dispatch->any_tried = true;
            client_session_take(c, g);
        }
        c = next;
    }
    size_t most = concurrency_limit(&t->concurrency, t->max_connections);
    size_t room = most > t->connection_count ? most - t->connection_count : 0;
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
            settle_all(t, RESULT_DEFERRED, t->last_enhanced, t->last_error);
        } else {
            serve(t);
        }
    } while (t->pump_again);
    t->pumping = false;
}

/* How many groups may wait for one destination: as many as there are places free for messages on their way,
 * so that some are always left for others, however many destinations are slow (dynamic thresholds, Choudhury
 * and Hahne 1998). */
static size_t share(const struct delivery *d)
{
    size_t room = d->dispatch_count < ACTIVE_MAX ? ACTIVE_MAX - d->dispatch_count : 0;
    return room < SHARE_LEAST ? SHARE_LEAST : room < QUEUE_MAX ? room : QUEUE_MAX;
}

void destination_enqueue(struct destination *t, struct group *g)
{
    if (t->queued >= share(t->delivery)) {
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

void destination_failed(struct destination *t, const char *enhanced, const char *error)
{
    (void)!snprintf(t->last_enhanced, sizeof t->last_enhanced, "%s", enhanced);
    (void)!snprintf(t->last_error, sizeof t->last_error, "%s",
                    error[0] != '\0' ? error : "the next hop cannot be reached");
    log_event(LOG_WARN, "next hop failed", LOG_SLICE("next_hop", t->hosts.len > 0 ? t->hosts : t->domain),
              LOG_TEXT("error", t->last_error));
    destination_pushed_back(t);
    if (!pausing(t)) { /* several that failed together are one failure */
        uint64_t longer = t->pause_ms == 0 ? PAUSE_FIRST_MS : 2 * t->pause_ms;
        t->pause_ms = longer < PAUSE_MAX_MS ? longer : PAUSE_MAX_MS;
        t->pause_until_ms = uv_now(t->delivery->options.loop) + t->pause_ms;
    }
    destination_pump(t); /* connections that work go on with the queue; without any, it is deferred */
}

void destination_refused(struct destination *t, const char *enhanced, const char *error)
{
    settle_all(t, RESULT_FAILED, enhanced, error);
}

void destination_progressed(struct destination *t)
{
    concurrency_worked(&t->concurrency, t->max_connections);
}

void destination_pushed_back(struct destination *t)
{
    concurrency_failed(&t->concurrency, t->max_connections, uv_now(t->delivery->options.loop));
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
    t->converting--;
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
    t->converting++;
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
    free(t->text);
    free(t);
}
