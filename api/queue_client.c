/*
 * See queue_client.h. Requests are numbered and kept in a list until their answer comes, their time is over
 * or the connection ends; a request while smtp is away fails at once with UNAVAILABLE, since the caller can
 * try again. A frame that cannot be read ends the connection.
 */
#include "api/queue_client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#include <unistd.h>

#define CONNECT_PAUSE_MS 50

struct open_request {
    uint64_t number;
    uint64_t deadline_ms;
    struct bus_request *request;
    struct open_request *next;
};

struct queue_client {
    char path[108];
    int fd;
    uint64_t next_number, next_connect_ms;
    struct open_request *open;
    queue_answer_cb cb;
    void *context;
};

struct queue_client *queue_client_new(const char *path, queue_answer_cb cb, void *context)
{
    struct queue_client *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        abort();
    }
    memccpy(c->path, path, '\0', sizeof(c->path) - 1);
    c->fd = -1;
    c->cb = cb;
    c->context = context;
    return c;
}

static void end(struct queue_client *c, struct open_request **at, enum status status, struct slice text,
                struct slice body)
{
    struct open_request *open = *at;
    *at = open->next;
    c->cb(c->context, open->request, status, text, body);
    free(open);
}

static void disconnect(struct queue_client *c, enum status status)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    c->next_connect_ms = clock_monotonic_ms() + CONNECT_PAUSE_MS;
    while (c->open != NULL) {
        end(c, &c->open, status, slice_of_text("the connection to the queue ended"), slice_of(NULL, 0));
    }
}

void queue_client_free(struct queue_client *c)
{
    if (c != NULL) {
        disconnect(c, STATUS_CLOSED);
        free(c);
    }
}

int queue_client_fd(const struct queue_client *c)
{
    return c->fd;
}

static enum status request_send(struct queue_client *c, uint64_t number, const struct bus_request *request)
{
    struct buf frame = BUF_INIT(BUS_ARGUMENTS_MAX);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &frame);
    write_array(&w, 2 + request->argument_count);
    write_u64(&w, request->type);
    write_u64(&w, number);
    enum status status = msgpack_writer_status(&w);
    if (status == STATUS_OK) {
        status = buf_append_slice(&frame, buf_slice(&request->arguments));
    }
    if (status == STATUS_OK) {
        status = channel_send(c->fd, buf_slice(&frame), NULL, 0);
    }
    buf_release(&frame);
    return status;
}

void queue_client_ask(struct queue_client *c, struct bus_request *request)
{
    uint64_t number = ++c->next_number;
    enum status status = c->fd < 0 ? STATUS_UNAVAILABLE : request_send(c, number, request);
    struct open_request *open = status == STATUS_OK ? calloc(1, sizeof(*open)) : NULL;
    if (open == NULL) {
        const char *text =
            status == STATUS_UNAVAILABLE ? "this node's mail queue is not there" : status_text(status);
        c->cb(c->context, request, status == STATUS_OK ? STATUS_NO_MEMORY : status, slice_of_text(text),
              slice_of(NULL, 0));
        return;
    }
    *open = (struct open_request){.number = number,
                                  .deadline_ms = clock_monotonic_ms() + request->timeout_ms,
                                  .request = request,
                                  .next = c->open};
    c->open = open;
}

/* [ type, request, status, text, ... ] */
static bool answer_read(struct queue_client *c, struct slice frame)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, frame);
    size_t count = read_array(&r, 16);
    uint64_t type = read_u64(&r);
    uint64_t number = read_u64(&r);
    enum status status = status_from_number(read_u64(&r));
    struct slice text = read_text(&r, FAILURE_TEXT_MAX);
    if (count < 4 || msgpack_reader_status(&r, false) != STATUS_OK) {
        return false;
    }
    for (struct open_request **at = &c->open; *at != NULL; at = &(*at)->next) {
        if ((*at)->number == number) {
            if ((*at)->request->type != type) {
                return false;
            }
            end(c, at, status, text, slice_of(r.at, (size_t)(r.end - r.at)));
            return true;
        }
    }
    return true; /* its time was over */
}

static void receive_all(struct queue_client *c)
{
    struct channel_frame frame;
    enum status status = STATUS_OK;
    channel_frame_init(&frame);
    while (c->fd >= 0 && (status = channel_receive(c->fd, &frame)) == STATUS_OK) {
        if (!answer_read(c, buf_slice(&frame.payload))) {
            log_event(LOG_ERROR, "the queue sent a frame that cannot be read");
            status = STATUS_MALFORMED;
            break;
        }
    }
    channel_frame_release(&frame);
    if (c->fd >= 0 && status != STATUS_OK && status != STATUS_BUSY) {
        disconnect(c, STATUS_CLOSED);
    }
}

void queue_client_read(struct queue_client *c)
{
    uint64_t now = clock_monotonic_ms();
    struct failure f;
    if (c->fd < 0 && now >= c->next_connect_ms && channel_connect(c->path, &c->fd, &f) != STATUS_OK) {
        c->fd = -1;
        c->next_connect_ms = now + CONNECT_PAUSE_MS;
    }
    if (c->fd >= 0) {
        receive_all(c);
    }
    for (struct open_request **at = &c->open; *at != NULL;) {
        if (now >= (*at)->deadline_ms) {
            end(c, at, STATUS_TIMEOUT, slice_of_text("the queue did not answer in time"), slice_of(NULL, 0));
        } else {
            at = &(*at)->next;
        }
    }
}
