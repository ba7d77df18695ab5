/*
 * CONTENT (smtp/queue_protocol.h): the header of a message's variant as it will leave, or all of it; read
 * from the spool on the thread pool. Who may read that is the asker's to decide
 * (api/resource_queue_content.c); a variant that was decrypted here is plain text.
 */
#include "smtp/queue_server_internal.h"

#include "base/msgpack_write.h"

#define FIELDS      5
#define CONTENT_MAX ((size_t)512 << 10) /* bytes of one answer */
#define PEOPLE_MAX  200

struct content {
    uv_work_t work;
    struct queue_client *client;
    struct spool *spool;
    uint64_t request, variant;
    uint8_t id[ID_SIZE];
    bool whole;
    enum status status;
    struct failure failure;
    struct buf bytes; /* wiped */
    struct buf body;
};

/* Up to the empty line that ends the header, or all. */
static size_t header_length(struct slice text)
{
    const uint8_t *end = text.len > 0 ? memmem(text.data, text.len, "\r\n\r\n", 4) : NULL;
    return end != NULL ? (size_t)(end - text.data) + 2 : text.len;
}

static enum status bytes_read(struct content *q, struct spool_loaded *l, bool *cut)
{
    enum status status = STATUS_OK;
    for (uint64_t chunk = 0; status == STATUS_OK && q->bytes.len < CONTENT_MAX; chunk++) {
        status = spool_read_chunk(l, (size_t)q->variant, chunk, &q->bytes, &q->failure);
        if (status == STATUS_OK && !q->whole && header_length(buf_slice(&q->bytes)) < q->bytes.len) {
            break;
        }
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    size_t len = q->whole ? q->bytes.len : header_length(buf_slice(&q->bytes));
    *cut =
        len > CONTENT_MAX || (q->whole && status == STATUS_OK && len < l->envelope.variants[q->variant].size);
    q->bytes.len = len < CONTENT_MAX ? len : CONTENT_MAX;
    return STATUS_OK;
}

static enum status body_write(struct content *q, const struct spool_loaded *l, bool cut)
{
    const struct spool_variant *variant = &l->envelope.variants[q->variant];
    size_t people = variant->recipient_count < PEOPLE_MAX ? variant->recipient_count : PEOPLE_MAX;
    struct msgpack_writer w;
    msgpack_writer_init(&w, &q->body);
    write_array(&w, 6);
    write_u64(&w, l->envelope.variant_count);
    write_text(&w, variant->protection);
    write_array(&w, people);
    for (size_t i = 0; i < people; i++) {
        write_text(&w, l->envelope.recipients[variant->recipients[i]]);
    }
    write_bytes(&w, buf_slice(&q->bytes));
    write_u64(&w, variant->size);
    write_bool(&w, cut);
    return msgpack_writer_status(&w);
}

static void read_content(uv_work_t *work)
{
    struct content *q = work->data;
    struct spool_loaded loaded;
    bool cut = false;
    q->status = spool_load(q->spool, q->id, &loaded, &q->failure);
    if (q->status != STATUS_OK) {
        return;
    }
    if (q->variant >= loaded.envelope.variant_count) {
        q->status =
            failure_set(&q->failure, STATUS_NOT_FOUND, "the message has %zu variants, numbered from 0",
                        loaded.envelope.variant_count);
    } else {
        q->status = bytes_read(q, &loaded, &cut);
    }
    if (q->status == STATUS_OK) {
        q->status = body_write(q, &loaded, cut);
    }
    spool_loaded_release(&loaded);
}

static void after_read(uv_work_t *work, int error)
{
    struct content *q = work->data;
    struct queue_server *s = q->client->server;
    if (error != 0) {
        q->status = STATUS_INTERNAL;
    }
    if (queue_client_end(q->client)) {
        const char *text = q->failure.text[0] != '\0' ? q->failure.text : status_text(q->status);
        queue_answer(q->client, QUEUE_CONTENT, q->request, q->status, q->status == STATUS_OK ? "" : text,
                     q->status == STATUS_OK ? &q->body : NULL);
    }
    buf_release(&q->bytes);
    buf_release(&q->body);
    free(q);
    queue_client_over(s);
}

bool queue_content_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                       struct msgpack_reader *r)
{
    uint8_t id[ID_SIZE];
    struct slice text = read_text(r, ID_TEXT_SIZE);
    uint64_t variant = read_u64(r);
    bool whole = read_bool(r);
    if (fields != FIELDS || msgpack_reader_status(r, true) != STATUS_OK) {
        return false;
    }
    struct content *q = calloc(1, sizeof *q);
    if (q == NULL || !id_parse(text, id) || !delivery_has(c->server->delivery, id)) {
        enum status status = q == NULL ? STATUS_NO_MEMORY : STATUS_NOT_FOUND;
        free(q);
        queue_answer(c, type, request, status,
                     status == STATUS_NOT_FOUND ? "there is no such message in this node's queue"
                                                : status_text(status),
                     NULL);
        return true;
    }
    *q = (struct content){.client = c,
                          .spool = c->server->spool,
                          .request = request,
                          .variant = variant,
                          .whole = whole,
                          .bytes = {.max = CONTENT_MAX + ((size_t)1 << 20), .wipe = true},
                          .body = {.max = QUEUE_BODY_MAX, .wipe = true}};
    memcpy(q->id, id, ID_SIZE);
    q->work.data = q;
    queue_client_begin(c);
    if (uv_queue_work(c->server->options.loop, &q->work, read_content, after_read) != 0) {
        after_read(&q->work, UV_ENOMEM);
    }
    return true;
}
