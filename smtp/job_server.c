/* Jobs to workers and their answers (smtp/job_server.h). */
#include "smtp/job_server.h"

#include "base/channel.h"
#include "base/log.h"

#include <unistd.h>

#define TICK_MS   1000
#define ARENA_MAX ((size_t)8 << 20)

/* One worker's channel. */
struct worker {
    struct worker *next;
    struct job_server *server;
    uv_poll_t poll;
    int fd;
    bool ready;                  /* it has said READY, or answered its last job */
    struct job_request *request; /* what it holds */
    uint64_t job, pid;
};

struct job_server {
    uv_loop_t *loop;
    uv_poll_t accept;
    uv_timer_t tick;
    int listener;
    struct worker *workers;
    struct job_request *queue, **queue_tail;
    struct channel_frame frame;
    uint64_t last_job;
    struct job_counts counts;
    bool closing, dispatching;
    unsigned handles;
    void (*closed)(void *context);
    void *closed_context;
};

static void dispatch(struct job_server *s);

static void handle_closed(struct job_server *s)
{
    if (--s->handles == 0 && s->closing) {
        s->closed(s->closed_context);
    }
}

static void on_worker_closed(uv_handle_t *handle)
{
    struct worker *w = handle->data;
    struct job_server *s = w->server;
    (void)close(w->fd);
    free(w);
    handle_closed(s);
}

static void worker_drop(struct worker *w)
{
    struct job_server *s = w->server;
    for (struct worker **at = &s->workers; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    s->counts.workers--;
    uv_close((uv_handle_t *)&w->poll, on_worker_closed);
}

static void queue_push(struct job_server *s, struct job_request *request, bool first)
{
    request->since_ms = uv_now(s->loop);
    s->counts.waiting++;
    if (first) {
        request->next = s->queue;
        if (s->queue == NULL) {
            s->queue_tail = &request->next;
        }
        s->queue = request;
        return;
    }
    request->next = NULL;
    *s->queue_tail = request;
    s->queue_tail = &request->next;
}

static struct job_request *queue_pop(struct job_server *s)
{
    struct job_request *request = s->queue;
    if (request != NULL) {
        s->queue = request->next;
        if (s->queue == NULL) {
            s->queue_tail = &s->queue;
        }
        s->counts.waiting--;
    }
    return request;
}

/* The channel ended, or the worker is hung or talks nonsense. */
static void worker_died(struct worker *w, const char *why)
{
    struct job_server *s = w->server;
    struct job_request *request = w->request;
    log_event(request != NULL ? LOG_WARN : LOG_INFO, "a worker is gone", LOG_NUMBER("pid", w->pid),
              LOG_TEXT("why", why), LOG_TEXT("message", request != NULL ? request->message.message_id : ""));
    worker_drop(w);
    if (request == NULL) {
        return;
    }
    s->counts.worker_deaths++;
    if (++request->deaths >= JOB_DEATHS_MAX) {
        request->cb(request, JOB_KILLED_WORKERS, NULL, NULL, 0);
    } else {
        queue_push(s, request, true);
        dispatch(s);
    }
}

static enum status worker_send(struct worker *w, struct job_request *request)
{
    struct buf frame = BUF_INIT(CHANNEL_PAYLOAD_MAX);
    enum status status;
    w->job = ++w->server->last_job;
    if (request->type == JOB_TO_7BIT) {
        status = job_to_7bit_encode(w->job, &frame);
    } else {
        request->message.job = w->job;
        status = job_message_encode(&request->message, &frame);
    }
    if (status == STATUS_OK) {
        status = channel_send(w->fd, buf_slice(&frame), &request->fd, 1);
    }
    buf_release(&frame);
    return status;
}

static void dispatch(struct job_server *s)
{
    if (s->dispatching) {
        return;
    }
    s->dispatching = true;
    for (struct worker *w = s->workers; w != NULL && s->queue != NULL;) {
        struct worker *next = w->next;
        if (w->ready && w->request == NULL) {
            struct job_request *request = queue_pop(s);
            enum status status = worker_send(w, request);
            if (status == STATUS_OK) {
                w->request = request;
                w->ready = false;
                request->since_ms = uv_now(s->loop);
                s->counts.jobs++;
            } else {
                queue_push(s, request, true);
                if (status == STATUS_NO_MEMORY || status == STATUS_TOO_LARGE || status == STATUS_BUSY) {
                    break; /* the tick tries again, and gives up in the end */
                }
                worker_died(
                    w, status_text(status)); /* its end had not been seen yet; not this message's doing */
            }
        }
        w = next;
    }
    s->dispatching = false;
}

static void answer(struct worker *w, struct channel_frame *frame)
{
    struct job_request *request = w->request;
    struct arena arena;
    struct job_result result;
    arena_init(&arena, ARENA_MAX);
    size_t recipients = request->type == JOB_MESSAGE ? request->message.recipient_count : 0;
    enum status status =
        job_result_decode(buf_slice(&frame->payload), recipients, frame->fd_count, &arena, &result);
    if (status != STATUS_OK || result.job != w->job) {
        worker_died(w, "its answer cannot be read");
    } else {
        w->request = NULL;
        w->ready = true;
        /* The next job first: the worker need not wait for what this answer sets off here. */
        dispatch(w->server);
        request->cb(request, JOB_ANSWERED, &result, frame->fds, frame->fd_count);
    }
    arena_release(&arena);
}

static void on_worker(uv_poll_t *poll, int status, int events)
{
    struct worker *w = poll->data;
    (void)events;
    if (status < 0) {
        worker_died(w, uv_strerror(status));
        return;
    }
    /* One frame a wake-up: a worker never has two to send. The frame is this call's own, for a callback may
     * lead back here. */
    struct channel_frame *frame = &w->server->frame;
    enum status got = channel_receive(w->fd, frame);
    if (got == STATUS_BUSY) {
        return;
    }
    if (got != STATUS_OK) {
        worker_died(w, status_text(got));
        return;
    }
    enum job_type type = job_frame_type(buf_slice(&frame->payload));
    if (type == JOB_READY && w->request == NULL) {
        w->ready = true;
        dispatch(w->server);
    } else if (type == JOB_DONE && w->request != NULL) {
        answer(w, frame);
    } else {
        worker_died(w, "it said what nobody expects");
    }
    for (size_t i = 0; i < frame->fd_count; i++) {
        if (frame->fds[i] >= 0) {
            (void)close(frame->fds[i]);
            frame->fds[i] = -1;
        }
    }
    frame->fd_count = 0;
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    struct job_server *s = poll->data;
    (void)events;
    int fd = -1;
    if (status < 0 || channel_accept(s->listener, &fd) != STATUS_OK) {
        return;
    }
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL || uv_poll_init(s->loop, &w->poll, fd) != 0) {
        free(w);
        (void)close(fd);
        return;
    }
    w->server = s;
    w->fd = fd;
    w->poll.data = w;
    w->next = s->workers;
    s->workers = w;
    s->handles++;
    s->counts.workers++;
    (void)uv_poll_start(&w->poll, UV_READABLE, on_worker);
}

static void on_tick(uv_timer_t *timer)
{
    struct job_server *s = timer->data;
    uint64_t now = uv_now(s->loop);
    for (struct worker *w = s->workers; w != NULL;) {
        struct worker *next = w->next;
        if (w->request != NULL && now - w->request->since_ms > JOB_HUNG_MS) {
            worker_died(w, "it holds a job for too long");
            next = s->workers; /* a callback may have changed the list */
        }
        w = next;
    }
    dispatch(s);
    while (s->queue != NULL && now - s->queue->since_ms > JOB_WAIT_MS) {
        struct job_request *request = queue_pop(s);
        request->cb(request, JOB_NO_WORKER, NULL, NULL, 0);
    }
}

static void on_no_server(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

enum status job_server_new(uv_loop_t *loop, int listener, struct job_server **out, struct failure *f)
{
    struct job_server *s = calloc(1, sizeof *s);
    if (s == NULL || uv_poll_init(loop, &s->accept, listener) != 0) {
        free(s);
        (void)close(listener);
        return failure_set(f, STATUS_NO_MEMORY, "cannot listen for workers");
    }
    s->loop = loop;
    s->listener = listener;
    s->queue_tail = &s->queue;
    s->accept.data = s;
    s->tick.data = s;
    s->handles = 2;
    channel_frame_init(&s->frame);
    (void)uv_timer_init(loop, &s->tick);
    (void)uv_poll_start(&s->accept, UV_READABLE, on_accept);
    (void)uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    *out = s;
    return STATUS_OK;
}

void job_submit(struct job_server *s, struct job_request *request)
{
    request->deaths = 0;
    queue_push(s, request, false);
    dispatch(s);
}

struct job_counts job_server_counts(const struct job_server *s)
{
    return s->counts;
}

void job_server_close(struct job_server *s, void (*closed)(void *context), void *context)
{
    s->closing = true;
    s->dispatching = true; /* nothing is given out any more */
    s->closed = closed;
    s->closed_context = context;
    while (s->workers != NULL) {
        struct worker *w = s->workers;
        struct job_request *request = w->request;
        worker_drop(w);
        if (request != NULL) {
            request->cb(request, JOB_NO_WORKER, NULL, NULL, 0);
        }
    }
    for (struct job_request *request = queue_pop(s); request != NULL; request = queue_pop(s)) {
        request->cb(request, JOB_NO_WORKER, NULL, NULL, 0);
    }
    uv_close((uv_handle_t *)&s->accept, on_no_server);
    uv_close((uv_handle_t *)&s->tick, on_no_server);
}

void job_server_free(struct job_server *s)
{
    if (s != NULL) {
        (void)close(s->listener);
        channel_frame_release(&s->frame);
        free(s);
    }
}
