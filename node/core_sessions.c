/*
 * The other roles of this node: run/core.sock, frames of raft/core_protocol.h. A session is one connected
 * role. It begins with HELLO, which is answered when the store may be opened; what a role may ask depends on
 * which it is, and its user must be that role's.
 *
 * Answers go out at once; what the socket does not take waits, up to OUT_MAX, in order. A session ends when
 * its socket or a limit says so; it is freed when the last of its requests is answered.
 */
#include "node/client_permission.h"
#include "node/core_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/msgpack_write.h"

#include <unistd.h>

#define OUT_MAX       ((size_t)64 << 20) /* bytes of answers that wait */
#define OPEN_MAX      65536              /* requests of one role under way */
#define FRAMES_A_TURN 64
#define ANSWER_MAX    ((size_t)40 << 20) /* the message logs of all nodes */

struct out_frame {
    struct out_frame *next;
    struct buf payload;
};

struct client_session {
    struct client_session *next, **place;
    struct core_sessions *sessions;
    uv_poll_t poll;
    int fd;
    bool closed, poll_closed, said_hello, greeted;
    unsigned uid;
    uint64_t hello_number;
    char role[32];
    size_t open; /* requests under way */
    struct client_permission permission;
    struct out_frame *out, **out_tail;
    size_t out_bytes;
};

struct core_sessions {
    struct core *core;
    uv_poll_t poll;
    int listener;
    struct client_session *list;
    size_t handles;
    bool freed;
};

static void sessions_maybe_free(struct core_sessions *s)
{
    if (s->freed && s->handles == 0 && s->list == NULL) {
        free(s);
    }
}

static void session_release(struct client_session *c)
{
    if (!c->closed || !c->poll_closed || c->open > 0) {
        return;
    }
    *c->place = c->next;
    if (c->next != NULL) {
        c->next->place = c->place;
    }
    struct core_sessions *s = c->sessions;
    free(c);
    sessions_maybe_free(s);
}

static void poll_closed_cb(uv_handle_t *handle)
{
    struct client_session *c = handle->data;
    c->poll_closed = true;
    c->sessions->handles--;
    close(c->fd);
    session_release(c);
}

static void session_close(struct client_session *c)
{
    if (c->closed) {
        return;
    }
    c->closed = true;
    while (c->out != NULL) {
        struct out_frame *o = c->out;
        c->out = o->next;
        buf_release(&o->payload);
        free(o);
    }
    uv_close((uv_handle_t *)&c->poll, poll_closed_cb);
}

static void session_poll_cb(uv_poll_t *poll, int status, int events);

static void out_flush(struct client_session *c)
{
    while (c->out != NULL) {
        struct out_frame *o = c->out;
        enum status status = channel_send(c->fd, buf_slice(&o->payload), NULL, 0);
        if (status == STATUS_BUSY) {
            uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, session_poll_cb);
            return;
        }
        if (status != STATUS_OK) {
            session_close(c);
            return;
        }
        c->out = o->next;
        if (c->out == NULL) {
            c->out_tail = &c->out;
        }
        c->out_bytes -= o->payload.len;
        buf_release(&o->payload);
        free(o);
    }
    uv_poll_start(&c->poll, UV_READABLE, session_poll_cb);
}

/* `payload` is taken. */
static void session_send(struct client_session *c, struct buf *payload)
{
    enum status status = c->closed ? STATUS_CLOSED : STATUS_BUSY;
    if (!c->closed && c->out == NULL) {
        status = channel_send(c->fd, buf_slice(payload), NULL, 0);
    }
    if (status == STATUS_BUSY) {
        struct out_frame *o = c->out_bytes + payload->len <= OUT_MAX ? calloc(1, sizeof(*o)) : NULL;
        if (o == NULL) {
            log_event(LOG_WARN, "a role does not read its answers", LOG_TEXT("role", c->role));
            session_close(c);
        } else {
            bool first = c->out == NULL;
            o->payload = *payload;
            *payload = BUF_INIT(0);
            *c->out_tail = o;
            c->out_tail = &o->next;
            c->out_bytes += o->payload.len;
            if (first) {
                uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, session_poll_cb);
            }
        }
    } else if (status != STATUS_OK) {
        session_close(c);
    }
    buf_release(payload);
}

static void answer_write(struct client_session *c, enum core_request type, uint64_t number,
                         enum status status, const char *text, struct slice results, size_t count)
{
    struct buf out = BUF_INIT(ANSWER_MAX);
    struct msgpack_writer w;
    if (c->closed) {
        return;
    }
    msgpack_writer_init(&w, &out);
    write_array(&w, 4 + count);
    write_u64(&w, type);
    write_u64(&w, number);
    write_u64(&w, status);
    write_text(&w, slice_of_text(text != NULL ? text : ""));
    if (msgpack_writer_status(&w) != STATUS_OK || buf_append_slice(&out, results) != STATUS_OK) {
        log_event(LOG_ERROR, "an answer to a role is too large", LOG_NUMBER("request", type));
        buf_release(&out);
        session_close(c);
        return;
    }
    session_send(c, &out);
}

void client_answer(struct client_request *q, enum status status, const char *text, struct slice results,
                   size_t count)
{
    struct client_session *c = q->session;
    answer_write(c, q->type, q->number, status, text, results, count);
    c->open--;
    free(q);
    session_release(c);
}

/* --- HELLO --- */

static bool role_user_fits(const struct node_config *config, const char *role, unsigned uid)
{
    unsigned user = uid;
    if (config->group == 0 || uid == 0) {
        return true; /* everything runs as one user */
    }
    if (strcmp(role, "smtp") == 0) {
        user = config->smtp_user;
    } else if (strcmp(role, "api") == 0) {
        user = config->api_user;
    } else if (strncmp(role, "worker", 6) == 0) {
        user = config->worker_user;
    } else if (strcmp(role, "fetch") == 0) {
        user = config->fetch_user;
    }
    return user == uid;
}

static void greet(struct client_session *c)
{
    struct core *core = c->sessions->core;
    struct buf out = BUF_INIT(1024);
    struct msgpack_writer w;
    struct store_view *view;
    struct cluster_record cluster;
    struct failure f = {0};
    enum status status = store_view_begin(core->store, &view, &f);
    if (status == STATUS_OK) {
        status = store_cluster_get(view, &cluster);
        if (status == STATUS_OK) {
            msgpack_writer_init(&w, &out);
            write_u64(&w, core->identity.node_id);
            write_text(&w, slice_of_text(core->config->name));
            write_bytes(&w, cluster.id);
            write_text(&w, SLICE_LITERAL("state"));
            status = msgpack_writer_status(&w);
        }
        store_view_end(view);
    }
    c->greeted = status == STATUS_OK;
    answer_write(c, CORE_HELLO, c->hello_number, status, f.text, buf_slice(&out),
                 status == STATUS_OK ? 4 : 0);
    buf_release(&out);
}

static void hello(struct client_session *c, uint64_t number, struct msgpack_reader *args)
{
    struct core *core = c->sessions->core;
    struct slice role = read_text(args, sizeof(c->role) - 1);
    if (msgpack_reader_status(args, false) != STATUS_OK || c->said_hello || role.len == 0) {
        session_close(c);
        return;
    }
    memcpy(c->role, role.data, role.len);
    if (!role_user_fits(core->config, c->role, c->uid)) {
        log_event(LOG_WARN, "a process of another user wants to be a role", LOG_TEXT("role", c->role),
                  LOG_NUMBER("uid", c->uid));
        session_close(c);
        return;
    }
    c->said_hello = true;
    c->hello_number = number;
    if (core->initialised) {
        greet(c);
    }
}

/* Only api speaks for administrators. A worker, which parses what strangers send, must not be able to change
 * the cluster, but for the first certificate of a sender of ours; fetch and workers may propose what they
 * found, smtp which reminders it sends, and nothing else (client_may_propose()). What fetch says of
 * revocations it must prove (node/core_evidence.c). */
static bool role_may_ask(const char *role, uint64_t type)
{
    if (type == CORE_REVOCATION_LIST || type == CORE_OCSP_ANSWER) {
        return strcmp(role, "fetch") == 0;
    }
    return strcmp(role, "api") == 0 || type == CORE_BARRIER || type == CORE_STATUS ||
           ((strcmp(role, "fetch") == 0 || strcmp(role, "smtp") == 0 || strncmp(role, "worker", 6) == 0) &&
            type == CORE_PROPOSE);
}

bool client_request_is_of(const struct client_request *q, const char *role)
{
    return strcmp(q->session->role, role) == 0;
}

enum status client_request_permitted(const struct client_request *q, struct slice command, struct failure *f)
{
    struct client_session *c = q->session;
    return client_may_propose(&c->permission, c->role, command, clock_wall_ms(), clock_monotonic_ms(), f);
}

static void frame_serve(struct client_session *c, struct slice payload)
{
    struct core *core = c->sessions->core;
    struct msgpack_reader r;
    msgpack_reader_init(&r, payload);
    size_t count = read_array(&r, 16);
    uint64_t type = read_u64(&r);
    uint64_t number = read_u64(&r);
    if (count < 2 || msgpack_reader_status(&r, false) != STATUS_OK || type < CORE_HELLO ||
        type >= CORE_EVENT) {
        log_event(LOG_WARN, "a role sends what is no request", LOG_TEXT("role", c->role));
        session_close(c);
        return;
    }
    if (type == CORE_HELLO) {
        hello(c, number, &r);
        return;
    }
    enum status refusal = !c->greeted                    ? STATUS_UNAVAILABLE
                          : !role_may_ask(c->role, type) ? STATUS_DENIED
                          : c->open >= OPEN_MAX          ? STATUS_BUSY
                          : core->closing                ? STATUS_UNAVAILABLE
                                                         : STATUS_OK;
    struct client_request *q = refusal == STATUS_OK ? calloc(1, sizeof(*q)) : NULL;
    if (q == NULL) {
        refusal = refusal != STATUS_OK ? refusal : STATUS_NO_MEMORY;
        answer_write(c, (enum core_request)type, number, refusal, status_text(refusal), SLICE_LITERAL(""), 0);
        return;
    }
    *q = (struct client_request){.session = c, .type = (enum core_request)type, .number = number};
    c->open++;
    core_request_serve(core, q, &r);
}

static void session_read(struct client_session *c)
{
    struct channel_frame frame;
    channel_frame_init(&frame);
    c->open++; /* not freed while we are in here */
    for (size_t i = 0; i < FRAMES_A_TURN && !c->closed; i++) {
        enum status status = channel_receive(c->fd, &frame);
        if (status == STATUS_BUSY) {
            break;
        }
        if (status != STATUS_OK) {
            session_close(c);
            break;
        }
        frame_serve(c, buf_slice(&frame.payload));
    }
    c->open--;
    channel_frame_release(&frame);
}

static void session_poll_cb(uv_poll_t *poll, int status, int events)
{
    struct client_session *c = poll->data;
    if (status < 0) {
        session_close(c);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        out_flush(c);
    }
    if ((events & UV_READABLE) != 0 && !c->closed) {
        session_read(c);
    }
}

static void accept_cb(uv_poll_t *poll, int status, int events)
{
    struct core_sessions *s = poll->data;
    (void)events;
    for (int fd; status >= 0 && channel_accept(s->listener, &fd) == STATUS_OK;) {
        struct client_session *c = calloc(1, sizeof(*c));
        if (c == NULL || channel_peer_uid(fd, &c->uid) != STATUS_OK ||
            uv_poll_init(&s->core->loop, &c->poll, fd) != 0) {
            free(c);
            close(fd);
            continue;
        }
        c->sessions = s;
        c->fd = fd;
        c->poll.data = c;
        c->out_tail = &c->out;
        c->next = s->list;
        c->place = &s->list;
        if (c->next != NULL) {
            c->next->place = &c->next;
        }
        s->list = c;
        s->handles++;
        uv_poll_start(&c->poll, UV_READABLE, session_poll_cb);
    }
}

struct core_sessions *core_sessions_new(struct core *core, int listener, struct failure *f)
{
    struct core_sessions *s = calloc(1, sizeof(*s));
    if (s == NULL || uv_poll_init(&core->loop, &s->poll, listener) != 0) {
        free(s);
        (void)failure_set(f, STATUS_NO_MEMORY, "the socket for the roles cannot be served");
        return NULL;
    }
    s->core = core;
    s->listener = listener;
    s->poll.data = s;
    s->handles = 1;
    uv_poll_start(&s->poll, UV_READABLE, accept_cb);
    return s;
}

void core_sessions_initialised(struct core *core)
{
    for (struct client_session *c = core->sessions->list; c != NULL; c = c->next) {
        if (c->said_hello && !c->greeted && !c->closed) {
            greet(c);
        }
    }
    core_event_soon(core);
}

void core_sessions_event(struct core *core)
{
    size_t voters = 0;
    for (size_t i = 0; i < core->info.member_count; i++) {
        voters += core->info.members[i].voter;
    }
    for (struct client_session *c = core->sessions->list, *next; c != NULL; c = next) {
        struct buf out = BUF_INIT(1024);
        struct msgpack_writer w;
        next = c->next;
        if (!c->greeted || c->closed || c->out != NULL) {
            continue; /* who does not keep up gets the next one */
        }
        msgpack_writer_init(&w, &out);
        write_array(&w, 6);
        write_u64(&w, CORE_EVENT);
        write_u64(&w, 0);
        write_u64(&w, core->info.applied_index);
        write_u64(&w, core_contact_ms(core, clock_monotonic_ms()));
        write_text(&w, slice_of_text(core->leader_name));
        write_u64(&w, voters);
        if (msgpack_writer_status(&w) == STATUS_OK) {
            session_send(c, &out);
        }
        buf_release(&out);
    }
}

static void listener_closed_cb(uv_handle_t *handle)
{
    struct core_sessions *s = handle->data;
    s->handles--;
    sessions_maybe_free(s);
}

void core_sessions_free(struct core_sessions *s)
{
    s->freed = true;
    for (struct client_session *c = s->list, *next; c != NULL; c = next) {
        next = c->next;
        session_close(c);
    }
    uv_close((uv_handle_t *)&s->poll, listener_closed_cb);
}
