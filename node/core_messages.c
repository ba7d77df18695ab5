/*
 * What became of a message is in the log of the node that took it (smtp/message_log.h); whoever asks, asks
 * any node. Core asks the smtp role of its own node over run/queue.sock, and the cores of the others, which
 * do the same there. The answers are put side by side with the names of the nodes: api puts them together.
 * In the same way the fetch roles are asked what they fetch (run/fetch.sock): the leading node's knows.
 *
 * The queue is asked for and changed in the same way (smtp/queue_protocol.h): a message is in the spool of
 * one node, and whoever holds it acts.
 *
 * What can go wrong: the role is away, or does not answer in time; a node is down, or of a release that does
 * not know the question. Each is told as that node's status, and the others' answers are given all the same.
 * What changes or opens a message goes through only for api, which has asked for the permission; nodes trust
 * each other in this. On core's loop.
 */
#include "node/core_internal.h"

#include "base/log.h"
#include "base/msgpack_write.h"
#include "mail/fetch_protocol.h"
#include "smtp/queue_protocol.h"

#include <unistd.h>

#define ASK_MS         3000
#define UNREACHABLE_MS 500 /* for a node that has not been heard of lately */
#define BODY_MAX       ((size_t)900 << 10)
#define RESULTS_MAX    (CORE_NODES_MAX * (BODY_MAX + 4096))

typedef void (*asked_cb)(void *context, enum status status, const char *text, struct slice body);

/* One question to a role of this node, on a connection of its own. */
struct queue_ask {
    struct queue_ask *next;
    struct core *core;
    uv_poll_t poll;
    int fd;
    const char *role; /* that is asked */
    uint64_t deadline_ms;
    asked_cb cb;
    void *context;
};

struct core_messages {
    struct queue_ask *asks;
};

/* One question to all nodes. */
struct gathering {
    struct client_request *request;
    size_t open; /* nodes that have not answered, and one while asking */
    size_t node_count;
    struct {
        char name[NODE_NAME_MAX + 1];
        enum status status;
        char text[FAILURE_TEXT_MAX];
        struct buf body;
    } nodes[CORE_NODES_MAX];
};

struct node_call {
    struct gathering *gathering;
    size_t node;
};

/* --- a role of this node --- */

static void on_ask_closed(uv_handle_t *handle)
{
    struct queue_ask *a = handle->data;
    (void)close(a->fd);
    free(a);
}

static void ask_end(struct queue_ask *a, enum status status, const char *text, struct slice body)
{
    struct queue_ask **at = &a->core->messages->asks;
    while (*at != a) {
        at = &(*at)->next;
    }
    *at = a->next;
    uv_close((uv_handle_t *)&a->poll, on_ask_closed);
    a->cb(a->context, status, text, body);
}

static void ask_failed(struct queue_ask *a, enum status status, const char *what)
{
    struct failure f;
    (void)failure_set(&f, status, "the role %s of this node %s", a->role, what);
    ask_end(a, status, f.text, SLICE_LITERAL(""));
}

/* [ type, request, status, text, body ] */
static void answer_read(struct queue_ask *a, struct slice payload)
{
    struct msgpack_reader r;
    char text[FAILURE_TEXT_MAX] = "";
    msgpack_reader_init(&r, payload);
    size_t count = read_array(&r, 5);
    (void)read_u64(&r);
    (void)read_u64(&r);
    enum status status = status_from_number(read_u64(&r));
    struct slice said = read_text(&r, sizeof(text) - 1);
    if (msgpack_reader_status(&r, false) != STATUS_OK || count < 4 || (status == STATUS_OK) != (count == 5)) {
        ask_failed(a, STATUS_INTERNAL, "said what cannot be read");
        return;
    }
    if (said.len > 0) {
        memcpy(text, said.data, said.len);
    }
    struct slice body = slice_of(r.at, (size_t)(r.end - r.at));
    if (body.len > BODY_MAX) {
        ask_end(a, STATUS_TOO_LARGE, "the answer is too large to be passed on", SLICE_LITERAL(""));
        return;
    }
    ask_end(a, status, text, body);
}

static void on_answer(uv_poll_t *poll, int status, int events)
{
    struct queue_ask *a = poll->data;
    struct channel_frame frame;
    (void)events;
    channel_frame_init(&frame);
    enum status got = status < 0 ? STATUS_CLOSED : channel_receive(a->fd, &frame);
    if (got == STATUS_OK) {
        answer_read(a, buf_slice(&frame.payload));
    } else if (got != STATUS_BUSY) {
        ask_failed(a, STATUS_UNAVAILABLE, "is not there");
    }
    channel_frame_release(&frame);
}

static enum status question_send(int fd, uint64_t type, struct slice args, uint64_t count)
{
    struct buf frame = BUF_INIT(CORE_MESSAGE_QUESTION_MAX + 64);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &frame);
    write_array(&w, (size_t)(2 + count));
    write_u64(&w, type);
    write_u64(&w, 1);
    enum status status = msgpack_writer_status(&w);
    status = status == STATUS_OK ? buf_append_slice(&frame, args) : status;
    status = status == STATUS_OK ? channel_send(fd, buf_slice(&frame), NULL, 0) : status;
    buf_release(&frame);
    return status;
}

/* `cb` may come from within. */
static void queue_ask(struct core *core, uint64_t type, struct slice args, uint64_t count, asked_cb cb,
                      void *context)
{
    struct failure f = {0};
    struct queue_ask *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        cb(context, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), SLICE_LITERAL(""));
        return;
    }
    bool of_fetch = type >= CORE_ASK_FETCH;
    *a = (struct queue_ask){.core = core,
                            .fd = -1,
                            .role = of_fetch ? "fetch" : "smtp",
                            .deadline_ms = clock_monotonic_ms() + ASK_MS,
                            .cb = cb,
                            .context = context};
    enum status status = channel_connect(of_fetch ? FETCH_SOCKET : QUEUE_SOCKET, &a->fd, &f);
    if (status == STATUS_OK) {
        status = question_send(a->fd, of_fetch ? type - CORE_ASK_FETCH : type, args, count);
    }
    if (status == STATUS_OK && uv_poll_init(&core->loop, &a->poll, a->fd) != 0) {
        status = STATUS_NO_MEMORY;
    }
    if (status != STATUS_OK) {
        if (a->fd >= 0) {
            (void)close(a->fd);
        }
        free(a);
        cb(context, STATUS_UNAVAILABLE,
           of_fetch ? "the role fetch of this node is not there" : "the role smtp of this node is not there",
           SLICE_LITERAL(""));
        return;
    }
    a->poll.data = a;
    a->next = core->messages->asks;
    core->messages->asks = a;
    (void)uv_poll_start(&a->poll, UV_READABLE, on_answer);
}

struct core_messages *core_messages_new(void)
{
    return calloc(1, sizeof(struct core_messages));
}

void core_messages_free(struct core_messages *m)
{
    while (m != NULL && m->asks != NULL) {
        ask_end(m->asks, STATUS_CLOSED, "core is stopping", SLICE_LITERAL(""));
    }
    free(m);
}

void core_messages_tick(struct core *core, uint64_t now)
{
    struct queue_ask *a = core->messages->asks;
    while (a != NULL) {
        struct queue_ask *next = a->next;
        if (now >= a->deadline_ms) {
            ask_failed(a, STATUS_TIMEOUT, "did not answer in time");
            next = core->messages->asks; /* the callback may have asked anew */
        }
        a = next;
    }
}

/* --- for another node --- */

static void peer_asked_cb(void *context, enum status status, const char *text, struct slice body)
{
    struct buf out = BUF_INIT(BODY_MAX + 64);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &out);
    write_bytes(&w, body);
    if (msgpack_writer_status(&w) != STATUS_OK) {
        status = STATUS_NO_MEMORY;
        buf_reset(&out);
    }
    peer_request_answer(context, status, text, status == STATUS_OK ? buf_slice(&out) : SLICE_LITERAL(""),
                        status == STATUS_OK ? 1 : 0);
    buf_release(&out);
}

static bool is_question(uint64_t type)
{
    return (type >= QUEUE_SHOW && type < QUEUE_REQUEST_END && type != QUEUE_STATS) ||
           type == CORE_ASK_FETCH + FETCH_LIST || type == CORE_ASK_FETCH + FETCH_NOW;
}

void core_messages_for_peer(struct core *core, uint64_t type, struct slice args, uint64_t count,
                            struct peer_request *q)
{
    if (!is_question(type) || count > 8) {
        peer_request_answer(q, STATUS_UNSUPPORTED, status_text(STATUS_UNSUPPORTED), SLICE_LITERAL(""), 0);
        return;
    }
    queue_ask(core, type, args, count, peer_asked_cb, q);
}

/* --- from all nodes --- */

static void gathered(struct gathering *g)
{
    struct buf out = BUF_INIT(RESULTS_MAX);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &out);
    write_array(&w, g->node_count);
    for (size_t i = 0; i < g->node_count; i++) {
        write_array(&w, 4);
        write_text(&w, slice_of_text(g->nodes[i].name));
        write_u64(&w, g->nodes[i].status);
        write_text(&w, slice_of_text(g->nodes[i].text));
        write_bytes(&w, buf_slice(&g->nodes[i].body));
        buf_release(&g->nodes[i].body);
    }
    enum status status = msgpack_writer_status(&w);
    client_answer(g->request, status, status == STATUS_OK ? "" : status_text(status), buf_slice(&out),
                  status == STATUS_OK ? 1 : 0);
    buf_release(&out);
    free(g);
}

static void gathering_step(struct gathering *g)
{
    if (--g->open == 0) {
        gathered(g);
    }
}

static void node_asked_cb(void *context, enum status status, const char *text, struct slice body)
{
    struct node_call *c = context;
    struct gathering *g = c->gathering;
    size_t i = c->node;
    free(c);
    g->nodes[i].status = status;
    (void)!snprintf(g->nodes[i].text, sizeof(g->nodes[i].text), "%s", text);
    g->nodes[i].body = BUF_INIT(BODY_MAX);
    if (status == STATUS_OK && buf_append_slice(&g->nodes[i].body, body) != STATUS_OK) {
        g->nodes[i].status = STATUS_NO_MEMORY;
    }
    gathering_step(g);
}

static void node_answered_cb(void *context, enum status status, const char *text,
                             struct msgpack_reader *results)
{
    struct slice body = SLICE_LITERAL("");
    if (status == STATUS_OK) {
        body = read_bytes(results, BODY_MAX);
        if (msgpack_reader_status(results, false) != STATUS_OK) {
            status = STATUS_MALFORMED;
            text = "its answer cannot be read";
        }
    }
    node_asked_cb(context, status, text, body);
}

static void node_ask(struct core *core, const struct known_peer *node, struct node_call *c, uint64_t type,
                     struct slice args, uint64_t count)
{
    struct buf out = BUF_INIT(CORE_MESSAGE_QUESTION_MAX + 64);
    struct msgpack_writer w;
    if (node->id == core->identity.node_id) {
        queue_ask(core, type, args, count, node_asked_cb, c);
        return;
    }
    msgpack_writer_init(&w, &out);
    write_u64(&w, type);
    write_bytes(&w, args);
    write_u64(&w, count);
    if (msgpack_writer_status(&w) != STATUS_OK) {
        node_asked_cb(c, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), SLICE_LITERAL(""));
    } else {
        bool reachable = core_peer_reachable(core, node->id, clock_monotonic_ms());
        peer_call(core->links, node->id, PEER_MESSAGES, buf_slice(&out), 3,
                  reachable ? ASK_MS : UNREACHABLE_MS, node_answered_cb, c);
    }
    buf_release(&out);
}

static bool only_for_api(uint64_t type)
{
    return type < CORE_ASK_FETCH && type != QUEUE_MESSAGE_LIST && type != QUEUE_MESSAGE_SHOW;
}

void core_messages(struct core *core, uint64_t type, struct slice args, uint64_t count,
                   struct client_request *q)
{
    struct known_peer nodes[CORE_NODES_MAX];
    struct gathering *g = is_question(type) && count <= 8 ? calloc(1, sizeof(*g)) : NULL;
    if (g == NULL) {
        enum status status = is_question(type) ? STATUS_NO_MEMORY : STATUS_UNSUPPORTED;
        client_answer(q, status, status_text(status), SLICE_LITERAL(""), 0);
        return;
    }
    if (only_for_api(type) && !client_request_is_of(q, "api")) {
        free(g);
        client_answer(q, STATUS_DENIED, status_text(STATUS_DENIED), SLICE_LITERAL(""), 0);
        return;
    }
    g->request = q;
    g->node_count = core_nodes_list(core, nodes);
    g->open = g->node_count + 1;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): `open` is one more than those who answer */
    for (size_t i = 0; i < g->node_count; i++) {
        struct node_call *c = calloc(1, sizeof(*c));
        if (c == NULL) {
            abort(); /* as in peer_call: nothing goes on without memory */
        }
        memcpy(g->nodes[i].name, nodes[i].name, sizeof(g->nodes[i].name));
        *c = (struct node_call){.gathering = g, .node = i};
        node_ask(core, &nodes[i], c, type, args, count);
    }
    gathering_step(g);
}
