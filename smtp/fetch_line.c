/* Questions to the fetch role (smtp/fetch_line.h). */
#include "smtp/fetch_line.h"

#include "base/channel.h"
#include "base/clock.h"

#include <unistd.h>

#define QUESTION_MAX  (FETCH_REPORT_MAX + 4096)
#define TICK_MS       500
#define FRAMES_A_TURN 32

struct asked {
    struct asked *next;
    uint64_t number, deadline_ms; /* monotonic */
    fetch_answered_cb cb;
    void *context;
};

struct fetch_line {
    uv_loop_t *loop;
    char path[128];
    int fd;          /* -1: there is no line */
    uv_poll_t *poll; /* of it */
    uv_timer_t timer;
    struct channel_frame frame;
    struct asked *asked;
    uint64_t next_number;
    void (*closed)(void *context);
    void *closed_context;
};

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void disconnect(struct fetch_line *l)
{
    if (l->poll != NULL) {
        uv_close((uv_handle_t *)l->poll, on_poll_closed);
        l->poll = NULL;
    }
    if (l->fd >= 0) {
        (void)close(l->fd);
        l->fd = -1;
    }
}

/* Takes it out of the list; NULL: there is none. */
static struct asked *take(struct fetch_line *l, uint64_t number)
{
    for (struct asked **at = &l->asked; *at != NULL; at = &(*at)->next) {
        if ((*at)->number == number) {
            struct asked *a = *at;
            *at = a->next;
            return a;
        }
    }
    return NULL;
}

static void give(struct fetch_line *l, uint64_t number, enum status status, struct slice why,
                 struct msgpack_reader *results)
{
    struct asked *a = take(l, number);
    if (a != NULL) {
        a->cb(a->context, status, why, results);
        free(a);
    }
}

/* The line is gone: nobody answers any more. */
static void broken(struct fetch_line *l)
{
    uint64_t last = l->next_number;
    disconnect(l);
    while (l->asked != NULL && l->asked->number <= last) { /* not what is asked anew from within */
        give(l, l->asked->number, STATUS_UNAVAILABLE,
             SLICE_LITERAL("the role fetch of this node is not there"), NULL);
    }
}

static void on_readable(uv_poll_t *poll, int error, int events)
{
    struct fetch_line *l = poll->data;
    (void)error;
    (void)events;
    for (unsigned i = 0; i < FRAMES_A_TURN && l->poll == poll; i++) {
        struct fetch_answer answer;
        struct msgpack_reader results;
        enum status status = channel_receive(l->fd, &l->frame);
        if (status == STATUS_BUSY) {
            return;
        }
        if (status != STATUS_OK ||
            fetch_answer_decode(buf_slice(&l->frame.payload), &answer, &results) != STATUS_OK) {
            broken(l);
            return;
        }
        give(l, answer.number, answer.status, answer.text, &results);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct fetch_line *l = timer->data;
    uint64_t now = clock_monotonic_ms();
    bool again = true;
    while (again) {
        again = false;
        for (struct asked *a = l->asked; a != NULL; a = a->next) {
            if (now >= a->deadline_ms) {
                give(l, a->number, STATUS_UNAVAILABLE, SLICE_LITERAL("no answer in time"), NULL);
                again = true;
                break;
            }
        }
    }
    if (l->asked == NULL) {
        (void)uv_timer_stop(&l->timer);
    }
}

enum status fetch_line_new(uv_loop_t *loop, const char *path, struct fetch_line **out)
{
    struct fetch_line *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return STATUS_NO_MEMORY;
    }
    l->loop = loop;
    l->fd = -1;
    (void)!snprintf(l->path, sizeof l->path, "%s", path);
    channel_frame_init(&l->frame);
    (void)uv_timer_init(loop, &l->timer);
    l->timer.data = l;
    *out = l;
    return STATUS_OK;
}

static bool connect_line(struct fetch_line *l)
{
    if (l->fd >= 0) {
        return true;
    }
    if (channel_connect(l->path, &l->fd, NULL) != STATUS_OK) {
        l->fd = -1;
        return false;
    }
    l->poll = calloc(1, sizeof *l->poll);
    if (l->poll == NULL || uv_poll_init(l->loop, l->poll, l->fd) != 0) {
        free(l->poll);
        l->poll = NULL;
        disconnect(l);
        return false;
    }
    l->poll->data = l;
    (void)uv_poll_start(l->poll, UV_READABLE, on_readable);
    return true;
}

uint64_t fetch_line_ask(struct fetch_line *l, struct fetch_question *q, uint64_t timeout_ms,
                        fetch_answered_cb cb, void *context)
{
    struct buf frame = BUF_INIT(QUESTION_MAX);
    struct asked *a = calloc(1, sizeof *a);
    q->number = ++l->next_number;
    bool good = a != NULL && connect_line(l) && fetch_question_encode(q, &frame) == STATUS_OK &&
                channel_send(l->fd, buf_slice(&frame), NULL, 0) == STATUS_OK;
    buf_release(&frame);
    if (!good) {
        free(a);
        if (l->asked == NULL) {
            disconnect(l); /* perhaps of a fetch role that has gone */
        }
        return 0;
    }
    *a = (struct asked){.next = l->asked,
                        .number = q->number,
                        .deadline_ms = clock_monotonic_ms() + timeout_ms,
                        .cb = cb,
                        .context = context};
    l->asked = a;
    (void)uv_timer_start(&l->timer, on_tick, TICK_MS, TICK_MS);
    return q->number;
}

void fetch_line_cancel(struct fetch_line *l, uint64_t number)
{
    free(take(l, number));
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct fetch_line *l = handle->data;
    void (*closed)(void *context) = l->closed;
    void *context = l->closed_context;
    channel_frame_release(&l->frame);
    free(l);
    closed(context);
}

void fetch_line_close(struct fetch_line *l, void (*closed)(void *context), void *context)
{
    disconnect(l);
    while (l->asked != NULL) {
        fetch_line_cancel(l, l->asked->number);
    }
    l->closed = closed;
    l->closed_context = context;
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}
