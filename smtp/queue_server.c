/*
 * The queue for the api role and for other nodes' (smtp/queue_server.h): clients, their frames and their
 * answers. One frame is one question; the files queue_*.c answer them, at once, after a walk over the queue
 * in slices (queue_walk.h) or after a look into the spool on the thread pool. A client is another role of
 * this node, not trusted with the form of its frames. Answers wait in a bounded queue while its socket is
 * full.
 */
#include "smtp/queue_server_internal.h"

#include "base/channel.h"
#include "base/log.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#include <unistd.h>

#define ANSWERS_MAX 64
#define FIELDS_MAX  9 /* of a question */

static void on_client(uv_poll_t *poll, int status, int events);

static void closed_perhaps(struct queue_server *s)
{
    if (s->closing && !s->told && s->handles == 0 && s->lookups == 0) {
        s->told = true;
        s->closed(s->closed_context);
    }
}

static void client_free_perhaps(struct queue_client *c)
{
    if (c->fd >= 0 || c->lookups > 0) {
        return;
    }
    free(c);
}

void queue_client_begin(struct queue_client *c)
{
    c->lookups++;
    c->server->lookups++;
}

bool queue_client_end(struct queue_client *c)
{
    bool there = !c->closing;
    c->lookups--;
    c->server->lookups--;
    if (!there) {
        client_free_perhaps(c);
    }
    return there;
}

void queue_client_over(struct queue_server *s)
{
    closed_perhaps(s);
}

static void on_client_closed(uv_handle_t *handle)
{
    struct queue_client *c = handle->data;
    struct queue_server *s = c->server;
    (void)close(c->fd);
    c->fd = -1;
    client_free_perhaps(c);
    s->handles--;
    closed_perhaps(s);
}

static void client_drop(struct queue_client *c)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    queue_followers_drop(c->server, c);
    for (struct queue_client **at = &c->server->clients; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    while (c->answers != NULL) {
        struct answer *a = c->answers;
        c->answers = a->next;
        buf_release(&a->payload);
        free(a);
    }
    uv_close((uv_handle_t *)&c->poll, on_client_closed);
}

/* --- answers --- */

static void answers_send(struct queue_client *c)
{
    while (c->answers != NULL) {
        struct answer *a = c->answers;
        enum status status = channel_send(c->fd, buf_slice(&a->payload), NULL, 0);
        if (status == STATUS_BUSY) {
            (void)uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, on_client);
            return;
        }
        if (status != STATUS_OK) {
            client_drop(c);
            return;
        }
        c->answers = a->next;
        c->answer_count--;
        buf_release(&a->payload);
        free(a);
    }
    c->answers_tail = &c->answers;
    (void)uv_poll_start(&c->poll, UV_READABLE, on_client);
}

void queue_answer(struct queue_client *c, enum queue_request type, uint64_t request, enum status status,
                  const char *text, const struct buf *extra)
{
    if (c->closing) {
        return;
    }
    struct answer *a = calloc(1, sizeof *a);
    if (a == NULL || c->answer_count >= ANSWERS_MAX) {
        free(a);
        client_drop(c); /* it asks and does not read */
        return;
    }
    a->payload = BUF_INIT(QUEUE_ANSWER_MAX);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &a->payload);
    write_array(&w, extra != NULL ? 5 : 4);
    write_u64(&w, type);
    write_u64(&w, request);
    write_u64(&w, status);
    write_text(&w, slice_of_text(text));
    enum status made = msgpack_writer_status(&w);
    if (made == STATUS_OK && extra != NULL) {
        made = buf_append_slice(&a->payload, buf_slice(extra));
    }
    if (made != STATUS_OK) {
        buf_release(&a->payload);
        free(a);
        client_drop(c);
        return;
    }
    *c->answers_tail = a;
    c->answers_tail = &a->next;
    c->answer_count++;
    answers_send(c);
}

void queue_answer_number(struct queue_client *c, enum queue_request type, uint64_t request,
                         enum status status, const char *text, uint64_t number)
{
    struct buf extra = BUF_INIT(64);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &extra);
    write_u64(&w, number);
    bool good = status == STATUS_OK && msgpack_writer_status(&w) == STATUS_OK;
    queue_answer(c, type, request, status, text, good ? &extra : NULL);
    buf_release(&extra);
}

bool queue_selection_ready(struct queue_client *c, enum queue_request type, uint64_t request,
                           const struct queue_selection *selection, bool needs_facts, bool *ours)
{
    size_t unread = delivery_schedule(c->server->delivery)->index.unread;
    *ours = selection->node.len == 0 || slice_equal(selection->node, slice_of_text(c->server->options.node));
    if (selection->state.len > 0 && !queue_state_exists(selection->state)) {
        queue_answer(c, type, request, STATUS_INVALID, "there is no such state of a message", NULL);
        return false;
    }
    if (*ours && unread > 0 && (needs_facts || queue_selection_needs_facts(selection))) {
        char text[160];
        (void)!snprintf(
            text, sizeof text,
            "the node has just started and still reads its queue: %zu messages are left; ask again", unread);
        queue_answer(c, type, request, STATUS_BUSY, text, NULL);
        return false;
    }
    return true;
}

/* --- one message --- */

static enum status change_one(struct queue_server *s, enum queue_request type, const uint8_t id[ID_SIZE],
                              uint64_t *count, struct failure *f)
{
    *count = 1;
    switch (type) {
    case QUEUE_RETRY:
        delivery_wake(s->delivery);
        return delivery_retry(s->delivery, id, count, f);
    case QUEUE_RELEASE:
        return delivery_release(s->delivery, id, f);
    case QUEUE_HOLD:
        return delivery_hold(s->delivery, id, f);
    case QUEUE_BOUNCE:
        return delivery_bounce(s->delivery, id, f);
    default:
        return delivery_delete(s->delivery, id, f);
    }
}

/* By its id: RETRY, DELETE, RELEASE, HOLD, BOUNCE, SHOW. */
static bool one_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                    struct msgpack_reader *r)
{
    struct queue_server *s = c->server;
    uint8_t id[ID_SIZE];
    uint64_t count = 0;
    struct failure f = {0};
    struct slice text = read_text(r, ID_TEXT_SIZE);
    if (fields != 3 || msgpack_reader_status(r, true) != STATUS_OK) {
        return false;
    }
    const struct schedule_entry *e =
        id_parse(text, id) ? schedule_find(delivery_schedule(s->delivery), id) : NULL;
    if (e == NULL) {
        queue_answer(c, type, request, STATUS_NOT_FOUND, "there is no such message in this node's queue",
                     NULL);
    } else if (type == QUEUE_SHOW) {
        struct queue_wanted *wanted = calloc(1, sizeof *wanted);
        if (wanted == NULL) {
            queue_answer(c, type, request, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), NULL);
            return true;
        }
        queue_wanted_set(wanted, e);
        queue_lookup_start(c, type, request, wanted, 1, false);
    } else {
        enum status status = change_one(s, type, id, &count, &f);
        queue_answer_number(c, type, request, status, f.text, count);
    }
    return true;
}

static bool stats_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                      struct msgpack_reader *r)
{
    (void)type;
    if (fields != 2 || msgpack_reader_status(r, true) != STATUS_OK) {
        return false;
    }
    queue_stats_run(c, request);
    return true;
}

/* --- requests --- */

static const queue_question questions[QUEUE_REQUEST_END] = {
    [QUEUE_SHOW] = one_run,
    [QUEUE_RETRY] = one_run,
    [QUEUE_DELETE] = one_run,
    [QUEUE_STATS] = stats_run,
    [QUEUE_RELEASE] = one_run,
    [QUEUE_MESSAGE_LIST] = queue_messages_run,
    [QUEUE_MESSAGE_SHOW] = queue_messages_run,
    [QUEUE_HOLD] = one_run,
    [QUEUE_BOUNCE] = one_run,
    [QUEUE_FIND] = queue_find_run,
    [QUEUE_SUMMARY] = queue_summary_run,
    [QUEUE_OPERATE] = queue_operate_run,
    [QUEUE_OPERATIONS] = queue_operations_run,
    [QUEUE_CANCEL] = queue_cancel_run,
    [QUEUE_FOLLOW] = queue_follow_run,
    [QUEUE_CONTENT] = queue_content_run,
};

static bool request_run(struct queue_client *c, struct slice frame)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, frame);
    size_t fields = read_array(&r, FIELDS_MAX);
    uint64_t type = read_u64(&r), request = read_u64(&r);
    if (msgpack_reader_status(&r, false) != STATUS_OK || type >= QUEUE_REQUEST_END ||
        questions[type] == NULL) {
        return false;
    }
    if (c->server->delivery == NULL) {
        /* STATS too: whoever asks must not take a service that refuses clients for one that is ready. */
        queue_answer(c, (enum queue_request)type, request, STATUS_UNAVAILABLE,
                     status_text(STATUS_UNAVAILABLE), NULL);
        return true;
    }
    return questions[type](c, (enum queue_request)type, request, fields, &r);
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    struct queue_client *c = poll->data;
    if (status < 0) {
        client_drop(c);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        answers_send(c);
    }
    if (c->closing || (events & UV_READABLE) == 0) {
        return;
    }
    struct channel_frame *frame = &c->server->frame;
    enum status got = channel_receive(c->fd, frame);
    if (got == STATUS_BUSY) {
        return;
    }
    if (got != STATUS_OK || !request_run(c, buf_slice(&frame->payload))) {
        client_drop(c);
    }
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    struct queue_server *s = poll->data;
    (void)events;
    int fd = -1;
    if (status < 0 || channel_accept(s->options.listener, &fd) != STATUS_OK) {
        return;
    }
    struct queue_client *c = calloc(1, sizeof *c);
    if (c == NULL || uv_poll_init(s->options.loop, &c->poll, fd) != 0) {
        free(c);
        (void)close(fd);
        return;
    }
    c->server = s;
    c->fd = fd;
    c->poll.data = c;
    c->answers_tail = &c->answers;
    c->next = s->clients;
    s->clients = c;
    s->handles++;
    (void)uv_poll_start(&c->poll, UV_READABLE, on_client);
}

enum status queue_server_new(const struct queue_server_options *options, struct queue_server **out,
                             struct failure *f)
{
    struct queue_server *s = calloc(1, sizeof *s);
    if (s == NULL || uv_poll_init(options->loop, &s->accept, options->listener) != 0) {
        free(s);
        (void)close(options->listener);
        return failure_set(f, STATUS_NO_MEMORY, "cannot listen for the queue's users");
    }
    s->options = *options;
    s->accept.data = s;
    s->handles = 3;
    queue_walks_init(&s->walks, options->loop);
    (void)uv_timer_init(options->loop, &s->follow_timer);
    channel_frame_init(&s->frame);
    (void)uv_poll_start(&s->accept, UV_READABLE, on_accept);
    *out = s;
    return STATUS_OK;
}

void queue_server_open(struct queue_server *s, struct delivery *delivery, struct spool *spool,
                       struct message_log *log)
{
    s->delivery = delivery;
    s->spool = spool;
    s->log = log;
    s->walks.schedule = delivery != NULL ? delivery_schedule(delivery) : NULL;
    if (delivery == NULL) {
        queue_walks_end(&s->walks);
        queue_followers_drop(s, NULL);
        (void)uv_timer_stop(&s->follow_timer);
    }
}

static void on_own_closed(uv_handle_t *handle)
{
    struct queue_server *s = handle->data;
    s->handles--;
    closed_perhaps(s);
}

void queue_server_close(struct queue_server *s, void (*closed)(void *context), void *context)
{
    s->closing = true;
    s->closed = closed;
    s->closed_context = context;
    while (s->clients != NULL) {
        client_drop(s->clients);
    }
    s->walks.timer.data = s;
    s->follow_timer.data = s;
    uv_close((uv_handle_t *)&s->accept, on_own_closed);
    uv_close((uv_handle_t *)&s->walks.timer, on_own_closed);
    uv_close((uv_handle_t *)&s->follow_timer, on_own_closed);
}

void queue_server_free(struct queue_server *s)
{
    if (s != NULL) {
        queue_operations_free(s);
        (void)close(s->options.listener);
        channel_frame_release(&s->frame);
        free(s);
    }
}
