/* See fetch_protocol.h. Pure: bytes in, structs out. */
#include "mail/fetch_protocol.h"

#include "store/records_sts.h"

#define RESULTS_MAX 8

static size_t list_max(enum fetch_request_type type)
{
    return type == FETCH_ISSUERS ? FETCH_CERTIFICATES_MAX : type == FETCH_PEOPLE ? FETCH_PEOPLE_MAX : 0;
}

/* [ type, number, (signer | url), (list | bytes) ] */
static bool has_url(enum fetch_request_type type)
{
    return type == FETCH_NOW || type == FETCH_STS || type == FETCH_REPORT;
}

static size_t bytes_max(enum fetch_request_type type)
{
    return type == FETCH_STS ? STS_ID_MAX : type == FETCH_REPORT ? FETCH_REPORT_MAX : 0;
}

enum status fetch_question_encode(const struct fetch_question *q, struct buf *out)
{
    struct msgpack_writer w;
    size_t most = list_max(q->type), bytes = bytes_max(q->type);
    size_t arguments = (q->type == FETCH_ISSUERS ? 1U : 0U) + (has_url(q->type) ? 1U : 0U) +
                       (most > 0 ? 1U : 0U) + (bytes > 0 ? 1U : 0U);
    if (q->count > most || q->bytes.len > bytes) {
        return STATUS_TOO_LARGE;
    }
    msgpack_writer_init(&w, out);
    write_array(&w, 2 + arguments);
    write_u64(&w, q->type);
    write_u64(&w, q->number);
    if (q->type == FETCH_ISSUERS) {
        write_bytes(&w, q->signer);
    }
    if (has_url(q->type)) {
        write_text(&w, q->url);
    }
    if (bytes > 0) {
        write_bytes(&w, q->bytes);
    }
    if (most > 0) {
        write_array(&w, q->count);
    }
    for (size_t i = 0; i < q->count; i++) {
        if (q->type == FETCH_ISSUERS) {
            write_bytes(&w, q->list[i]);
        } else {
            write_text(&w, q->list[i]);
        }
    }
    return msgpack_writer_status(&w);
}

enum status fetch_question_decode(struct slice in, struct fetch_question *q)
{
    struct msgpack_reader r;
    *q = (struct fetch_question){0};
    msgpack_reader_init(&r, in);
    (void)read_array(&r, 4);
    uint64_t type = read_u64(&r);
    q->number = read_u64(&r);
    if (type < FETCH_ISSUERS || type >= FETCH_TYPE_END) {
        return STATUS_MALFORMED;
    }
    q->type = (enum fetch_request_type)type;
    if (q->type == FETCH_ISSUERS) {
        q->signer = read_bytes(&r, FETCH_CERTIFICATE_MAX);
    }
    if (has_url(q->type)) {
        q->url = read_text(&r, FETCH_URL_MAX);
    }
    if (bytes_max(q->type) > 0) {
        q->bytes = read_bytes(&r, bytes_max(q->type));
    }
    if (list_max(q->type) > 0) {
        q->count = read_array(&r, list_max(q->type));
    }
    for (size_t i = 0; i < q->count; i++) {
        q->list[i] =
            q->type == FETCH_ISSUERS ? read_bytes(&r, FETCH_CERTIFICATE_MAX) : read_text(&r, ADDRESS_MAX);
    }
    return msgpack_reader_status(&r, true);
}

enum status fetch_answer_encode(const struct fetch_answer *a, struct slice results, size_t count,
                                struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, 4 + count);
    write_u64(&w, a->type);
    write_u64(&w, a->number);
    write_u64(&w, a->status);
    write_text(&w, a->text);
    enum status status = msgpack_writer_status(&w);
    return status == STATUS_OK ? buf_append_slice(out, results) : status;
}

enum status fetch_answer_decode(struct slice in, struct fetch_answer *a, struct msgpack_reader *results)
{
    msgpack_reader_init(results, in);
    size_t count = read_array(results, 4 + RESULTS_MAX);
    uint64_t type = read_u64(results);
    a->number = read_u64(results);
    a->status = status_from_number(read_u64(results));
    a->text = read_text(results, FAILURE_TEXT_MAX);
    a->type = (enum fetch_request_type)type;
    if (count < 4 || type < FETCH_ISSUERS || type >= FETCH_TYPE_END) {
        return STATUS_MALFORMED;
    }
    return msgpack_reader_status(results, false);
}

void fetch_source_write(struct msgpack_writer *w, const struct fetch_source *s)
{
    write_array(w, 9);
    write_text(w, s->kind);
    write_text(w, s->url);
    write_text(w, s->about);
    write_text(w, s->state);
    write_text(w, s->error);
    write_u64(w, s->fetched_ms);
    write_u64(w, s->failed_ms);
    write_u64(w, s->next_ms);
    write_u64(w, s->failures);
}

void fetch_source_read(struct msgpack_reader *r, struct fetch_source *s)
{
    if (read_array(r, 9) != 9) {
        read_fail(r, STATUS_MALFORMED);
    }
    s->kind = read_text(r, 32);
    s->url = read_text(r, FETCH_URL_MAX);
    s->about = read_text(r, 512);
    s->state = read_text(r, 32);
    s->error = read_text(r, FAILURE_TEXT_MAX);
    s->fetched_ms = read_u64(r);
    s->failed_ms = read_u64(r);
    s->next_ms = read_u64(r);
    s->failures = read_u64(r);
}
