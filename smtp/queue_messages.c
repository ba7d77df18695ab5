/*
 * The message log for the api role and for other nodes (smtp/queue_protocol.h): the log is looked into on the
 * thread pool, and the answer goes out on the loop.
 */
#include "smtp/queue_server_internal.h"

#include "base/msgpack_write.h"

#define LIST_FIELDS 9
#define SHOW_FIELDS 3
#define PLAIN_MAX   ((size_t)1 << 20)

/* A question that is being looked up. It owns its texts: the frame is gone by then. */
struct message_look {
    uv_work_t work;
    struct queue_client *client;
    struct message_log *log;
    enum queue_request type;
    uint64_t request;
    struct arena arena;
    struct message_query query;
    uint8_t id[ID_SIZE];
    enum status status;
    struct failure failure;
    struct buf extra;
};

static enum status list_look(struct message_look *l)
{
    struct buf items = BUF_INIT(PLAIN_MAX);
    struct msgpack_writer w;
    size_t count = 0;
    bool more = false;
    uint8_t next[ID_SIZE];
    char text[ID_TEXT_SIZE] = "";
    enum status status = message_log_list(l->log, &l->query, &items, &count, &more, next, &l->failure);
    if (status == STATUS_OK) {
        if (more) {
            id_format(next, text);
        }
        msgpack_writer_init(&w, &l->extra);
        write_array(&w, 3);
        write_bool(&w, more);
        write_text(&w, slice_of_text(text));
        write_array(&w, count);
        status = msgpack_writer_status(&w);
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(&l->extra, buf_slice(&items));
    }
    buf_release(&items);
    return status;
}

static enum status show_look(struct message_look *l)
{
    struct buf entry = BUF_INIT(PLAIN_MAX), trace = BUF_INIT(PLAIN_MAX);
    struct msgpack_writer w;
    enum status status = message_log_show(l->log, l->id, &entry, &trace, &l->failure);
    if (status == STATUS_OK) {
        msgpack_writer_init(&w, &l->extra);
        write_array(&w, 2);
        write_text(&w, buf_slice(&entry));
        write_text(&w, buf_slice(&trace));
        status = msgpack_writer_status(&w);
    }
    buf_release(&entry);
    buf_release(&trace);
    return status;
}

static void look(uv_work_t *work)
{
    struct message_look *l = work->data;
    l->status = l->type == QUEUE_MESSAGE_LIST ? list_look(l) : show_look(l);
}

static void after_look(uv_work_t *work, int error)
{
    struct message_look *l = work->data;
    struct queue_client *c = l->client;
    struct queue_server *s = c->server;
    if (error != 0) {
        l->status = STATUS_INTERNAL;
    }
    if (queue_client_end(c)) {
        const char *text = l->failure.text[0] != '\0' ? l->failure.text : status_text(l->status);
        queue_answer(c, l->type, l->request, l->status, l->status == STATUS_OK ? "" : text,
                     l->status == STATUS_OK ? &l->extra : NULL);
    }
    buf_release(&l->extra);
    arena_release(&l->arena);
    free(l);
    queue_client_over(s);
}

/* An id that is none finds nothing. */
static bool list_read(struct message_look *l, struct msgpack_reader *r, bool *good_id)
{
    struct message_query *q = &l->query;
    q->limit = (size_t)read_u64(r);
    struct slice before = read_text(r, ID_TEXT_SIZE);
    struct slice from = read_text(r, MESSAGE_TEXT_MAX), to = read_text(r, MESSAGE_TEXT_MAX);
    struct slice status = read_text(r, 32);
    q->since_ms = read_u64(r);
    q->until_ms = read_u64(r);
    if (msgpack_reader_status(r, true) != STATUS_OK) {
        return false;
    }
    q->has_before = before.len > 0;
    *good_id = !q->has_before || id_parse(before, q->before);
    return arena_copy(&l->arena, from, &q->from) && arena_copy(&l->arena, to, &q->to) &&
           arena_copy(&l->arena, status, &q->status);
}

static void look_free(struct message_look *l)
{
    arena_release(&l->arena);
    free(l);
}

bool queue_messages_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                        struct msgpack_reader *r)
{
    struct queue_server *s = c->server;
    struct message_look *l = calloc(1, sizeof *l);
    bool good_id = true, well_formed = false;
    if (l == NULL) {
        queue_answer(c, type, request, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), NULL);
        return true;
    }
    arena_init(&l->arena, (size_t)64 << 10);
    if (type == QUEUE_MESSAGE_LIST && fields == LIST_FIELDS) {
        well_formed = list_read(l, r, &good_id);
    } else if (type == QUEUE_MESSAGE_SHOW && fields == SHOW_FIELDS) {
        struct slice text = read_text(r, ID_TEXT_SIZE);
        well_formed = msgpack_reader_status(r, true) == STATUS_OK;
        good_id = well_formed && id_parse(text, l->id);
    }
    if (!well_formed) {
        look_free(l);
        return false;
    }
    if (!good_id) {
        enum status status = type == QUEUE_MESSAGE_LIST ? STATUS_INVALID : STATUS_NOT_FOUND;
        queue_answer(c, type, request, status,
                     status == STATUS_INVALID ? "that is no message id" : status_text(status), NULL);
        look_free(l);
        return true;
    }
    l->client = c;
    l->log = s->log;
    l->type = type;
    l->request = request;
    l->extra = BUF_INIT(2 * PLAIN_MAX);
    l->work.data = l;
    queue_client_begin(c);
    if (uv_queue_work(s->options.loop, &l->work, look, after_look) != 0) {
        after_look(&l->work, UV_ENOMEM);
    }
    return true;
}
