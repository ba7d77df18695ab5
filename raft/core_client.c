/*
 * A role's line to core. The caller polls the descriptor and calls core_client_read(): everything happens
 * there, and nothing waits.
 *
 * core may die and come back at any moment. A proposal carries its own id, so it is sent again after a
 * reconnect and after every answer that means "unknown"; other questions are sent again as well, since asking
 * twice does no harm. Only the deadline ends a request without an answer. One thread a client.
 */
#include "raft/core_protocol.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#include <unistd.h>

#define REQUESTS_MAX     4096
#define PROPOSAL_MAX     ((size_t)2 << 20) /* bytes: a command and its MessagePack header */
#define RETRY_PAUSE_MS   50
#define CONNECT_PAUSE_MS 50
#define FRAMES_A_TURN    256 /* so that a flood of events cannot hold the caller */

struct request {
    struct request *next;
    uint64_t number;
    enum core_request type;
    struct buf arguments; /* raw MessagePack values */
    size_t argument_count;
    uint64_t deadline_ms, retry_ms;
    bool sent, retry_unknown;
    core_answer_cb cb;
    void *context;
};

struct core_client {
    char *role, *path;
    int fd;
    bool hello_sent, ready;
    uint64_t connect_after_ms;
    uint64_t next_number;
    struct request *requests; /* in order */
    size_t request_count;
    struct channel_frame frame;
    char node_name[NODE_NAME_MAX + 1];
    uint64_t node_id;
    core_event_cb event;
    void *context;
};

enum status core_client_new(const char *role, const char *path, core_event_cb event, void *context,
                            struct core_client **out)
{
    struct core_client *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return STATUS_NO_MEMORY;
    c->role = strdup(role);
    c->path = strdup(path);
    c->fd = -1;
    c->next_number = 1;
    c->event = event;
    c->context = context;
    channel_frame_init(&c->frame);
    if (c->role == NULL || c->path == NULL) {
        core_client_free(c);
        return STATUS_NO_MEMORY;
    }
    *out = c;
    return STATUS_OK;
}

static void finish(struct core_client *c, struct request *request, const struct core_answer *answer)
{
    for (struct request **at = &c->requests; *at != NULL; at = &(*at)->next)
        if (*at == request) {
            *at = request->next;
            break;
        }
    c->request_count--;
    request->cb(request->context, answer);
    buf_release(&request->arguments);
    free(request);
}

static void finish_with(struct core_client *c, struct request *request, enum status status, const char *text)
{
    struct core_answer answer = {.status = status};
    struct failure f;

    (void)failure_set(&f, status, "%s", text);
    memcpy(answer.text, f.text, sizeof(answer.text));
    finish(c, request, &answer);
}

void core_client_free(struct core_client *c)
{
    if (c == NULL)
        return;
    while (c->requests != NULL)
        finish_with(c, c->requests, STATUS_CLOSED, "this role is stopping");
    if (c->fd >= 0)
        (void)close(c->fd);
    channel_frame_release(&c->frame);
    free(c->role);
    free(c->path);
    free(c);
}

int core_client_fd(const struct core_client *c)
{
    return c->fd;
}

bool core_client_ready(const struct core_client *c)
{
    return c->ready;
}

const char *core_client_node_name(const struct core_client *c)
{
    return c->node_name;
}

uint64_t core_client_node_id(const struct core_client *c)
{
    return c->node_id;
}

static void disconnect(struct core_client *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
    c->hello_sent = false;
    c->ready = false;
    c->connect_after_ms = clock_monotonic_ms() + CONNECT_PAUSE_MS;
    for (struct request *r = c->requests; r != NULL; r = r->next)
        r->sent = false;
    if (c->event != NULL)
        c->event(c->context, NULL);
}

/* BUSY: the socket is full; it stays unsent and is tried again. */
static bool send_frame(struct core_client *c, enum core_request type, uint64_t number, struct slice arguments,
                       size_t count)
{
    struct buf frame = BUF_INIT(CHANNEL_PAYLOAD_MAX);
    struct msgpack_writer w;
    enum status status;

    msgpack_writer_init(&w, &frame);
    write_array(&w, 2 + count);
    write_u64(&w, type);
    write_u64(&w, number);
    status = msgpack_writer_status(&w);
    if (status == STATUS_OK)
        status = buf_append_slice(&frame, arguments);
    if (status == STATUS_OK)
        status = channel_send(c->fd, buf_slice(&frame), NULL, 0);
    buf_release(&frame);
    if (status == STATUS_CLOSED || status == STATUS_IO)
        disconnect(c);
    return status == STATUS_OK;
}

static void say_hello(struct core_client *c)
{
    struct buf role = BUF_INIT(64);
    struct msgpack_writer w;

    msgpack_writer_init(&w, &role);
    write_text(&w, slice_of_text(c->role));
    if (msgpack_writer_status(&w) == STATUS_OK)
        c->hello_sent = send_frame(c, CORE_HELLO, 0, buf_slice(&role), 1);
    buf_release(&role);
}

static void take_hello(struct core_client *c, struct msgpack_reader *r)
{
    struct slice name;

    c->node_id = read_u64(r);
    name = read_text(r, NODE_NAME_MAX);
    (void)read_bytes(r, 64);
    (void)read_text(r, 256);
    if (msgpack_reader_status(r, true) != STATUS_OK)
        return;
    if (name.len > 0)
        memcpy(c->node_name, name.data, name.len);
    c->node_name[name.len] = '\0';
    c->ready = true;
}

static void take_event(struct core_client *c, struct msgpack_reader *r)
{
    struct core_event event = {0};
    struct slice leader;

    event.applied_index = read_u64(r);
    event.contact_ms = read_u64(r);
    leader = read_text(r, NODE_NAME_MAX);
    event.voters = read_u64(r);
    if (msgpack_reader_status(r, true) != STATUS_OK || c->event == NULL)
        return;
    if (leader.len > 0)
        memcpy(event.leader, leader.data, leader.len);
    c->event(c->context, &event);
}

static bool has_index(enum core_request type)
{
    return type == CORE_PROPOSE || type == CORE_BARRIER || type == CORE_VERIFY || type == CORE_NODE_REMOVE;
}

static void take_answer(struct core_client *c, uint64_t number, struct msgpack_reader *r)
{
    struct core_answer answer = {0};
    struct request *request = c->requests;
    struct slice text;

    while (request != NULL && request->number != number)
        request = request->next;
    answer.status = status_from_number(read_u64(r));
    text = read_text(r, FAILURE_TEXT_MAX - 1);
    if (text.len > 0)
        memcpy(answer.text, text.data, text.len);
    if (request == NULL || msgpack_reader_status(r, false) != STATUS_OK)
        return; /* an answer that came after its deadline */
    answer.body = slice_of(r->at, (size_t)(r->end - r->at));
    if (answer.status == STATUS_OK && has_index(request->type)) {
        struct msgpack_reader body;

        msgpack_reader_init(&body, answer.body);
        answer.index = read_u64(&body);
    }
    if (request->retry_unknown && (answer.status == STATUS_UNAVAILABLE || answer.status == STATUS_TIMEOUT ||
                                   answer.status == STATUS_NOT_LEADER)) {
        request->sent = false;
        request->retry_ms = clock_monotonic_ms() + RETRY_PAUSE_MS;
        return;
    }
    finish(c, request, &answer);
}

static void take_frame(struct core_client *c)
{
    struct msgpack_reader r;
    uint64_t type, number;

    msgpack_reader_init(&r, buf_slice(&c->frame.payload));
    (void)read_array(&r, 64);
    type = read_u64(&r);
    number = read_u64(&r);
    if (msgpack_reader_status(&r, false) != STATUS_OK)
        return;
    if (type == CORE_EVENT) {
        take_event(c, &r);
    } else if (type == CORE_HELLO) {
        if (read_u64(&r) == STATUS_OK) {
            (void)read_text(&r, FAILURE_TEXT_MAX);
            take_hello(c, &r);
        }
    } else {
        take_answer(c, number, &r);
    }
}

static void receive(struct core_client *c)
{
    for (unsigned i = 0; c->fd >= 0 && i < FRAMES_A_TURN; i++) {
        enum status status = channel_receive(c->fd, &c->frame);

        if (status == STATUS_BUSY)
            return;
        if (status == STATUS_OK)
            take_frame(c);
        else
            disconnect(c);
    }
}

static void send_waiting(struct core_client *c, uint64_t now)
{
    for (struct request *r = c->requests; r != NULL && c->fd >= 0 && c->ready; r = r->next)
        if (!r->sent && r->retry_ms <= now) {
            r->sent = send_frame(c, r->type, r->number, buf_slice(&r->arguments), r->argument_count);
            if (!r->sent)
                return;
        }
}

static void end_late(struct core_client *c, uint64_t now)
{
    struct request *next;

    for (struct request *r = c->requests; r != NULL; r = next) {
        next = r->next;
        if (r->deadline_ms <= now)
            finish_with(c, r, c->ready ? STATUS_TIMEOUT : STATUS_UNAVAILABLE,
                        c->ready ? "the cluster did not answer in time" : "core is not running");
    }
}

void core_client_read(struct core_client *c)
{
    uint64_t now = clock_monotonic_ms();

    if (c->fd < 0 && now >= c->connect_after_ms && channel_connect(c->path, &c->fd, NULL) != STATUS_OK) {
        c->fd = -1;
        c->connect_after_ms = now + CONNECT_PAUSE_MS;
    }
    if (c->fd >= 0 && !c->hello_sent)
        say_hello(c);
    receive(c);
    send_waiting(c, now);
    end_late(c, now);
}

void core_client_ask(struct core_client *c, enum core_request type, struct slice args, size_t arg_count,
                     unsigned timeout_ms, core_answer_cb cb, void *context)
{
    struct request *request = calloc(1, sizeof(*request));
    struct request **tail = &c->requests;
    struct core_answer answer = {.status = STATUS_NO_MEMORY};
    uint64_t now = clock_monotonic_ms();

    if (request != NULL)
        request->arguments = BUF_INIT(CHANNEL_PAYLOAD_MAX - 64);
    if (request == NULL || c->request_count >= REQUESTS_MAX ||
        buf_append_slice(&request->arguments, args) != STATUS_OK) {
        if (request != NULL) {
            answer.status = STATUS_BUSY;
            buf_release(&request->arguments);
        }
        free(request);
        cb(context, &answer);
        return;
    }
    request->number = c->next_number++;
    request->type = type;
    request->argument_count = arg_count;
    request->deadline_ms = now + timeout_ms;
    request->cb = cb;
    request->context = context;
    while (*tail != NULL)
        tail = &(*tail)->next;
    *tail = request;
    c->request_count++;
    send_waiting(c, now);
}

void core_client_propose(struct core_client *c, struct slice command, unsigned timeout_ms, core_answer_cb cb,
                         void *context)
{
    struct buf argument = BUF_INIT(PROPOSAL_MAX);
    struct core_answer answer = {.status = STATUS_NO_MEMORY};
    struct msgpack_writer w;
    uint64_t number = c->next_number;

    msgpack_writer_init(&w, &argument);
    write_bytes(&w, command);
    if (msgpack_writer_status(&w) != STATUS_OK) {
        buf_release(&argument);
        cb(context, &answer);
        return;
    }
    core_client_ask(c, CORE_PROPOSE, buf_slice(&argument), 1, timeout_ms, cb, context);
    for (struct request *r = c->requests; r != NULL; r = r->next)
        if (r->number == number)
            r->retry_unknown = true;
    buf_release(&argument);
}
