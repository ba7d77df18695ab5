/* See store/records_tls.h. */
#include "store/records_tls.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/tables.h"

#define ROW_FIELDS 6

enum status tls_chain_encode(const struct slice *chain, size_t count, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        write_bytes(&w, chain[i]);
    }
    return msgpack_writer_status(&w);
}

enum status tls_chain_decode(struct slice encoded, struct tls_record *out)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, encoded);
    out->chain_count = read_array(&r, TLS_CHAIN_MAX);
    for (size_t i = 0; i < out->chain_count; i++) {
        out->chain[i] = read_bytes(&r, TLS_CERTIFICATE_MAX);
    }
    enum status status = msgpack_reader_status(&r, true);
    return status == STATUS_OK && out->chain_count == 0 ? STATUS_MALFORMED : status;
}

enum status tls_encode(const struct tls_record *t, struct buf *out)
{
    struct buf chain = BUF_INIT(TLS_CHAIN_BYTES_MAX);
    struct msgpack_writer w;
    enum status status = tls_chain_encode(t->chain, t->chain_count, &chain);
    if (status == STATUS_OK) {
        msgpack_writer_init(&w, out);
        write_array(&w, ROW_FIELDS);
        write_u64(&w, t->added_ms);
        write_u64(&w, t->not_before);
        write_u64(&w, t->not_after);
        write_text(&w, t->names);
        write_bytes(&w, buf_slice(&chain));
        write_bytes(&w, t->key_sealed);
        status = msgpack_writer_status(&w);
    }
    buf_release(&chain);
    return status;
}

enum status tls_decode(struct slice name, struct slice value, struct tls_record *out)
{
    struct msgpack_reader r;
    *out = (struct tls_record){.name = name};
    msgpack_reader_init(&r, value);
    if (read_array(&r, ROW_FIELDS) != ROW_FIELDS) {
        return STATUS_CORRUPT;
    }
    out->added_ms = read_u64(&r);
    out->not_before = read_u64(&r);
    out->not_after = read_u64(&r);
    out->names = read_text(&r, TLS_NAMES_MAX);
    struct slice chain = read_bytes(&r, TLS_CHAIN_BYTES_MAX);
    out->key_sealed = read_bytes(&r, TLS_KEY_SEALED_MAX);
    if (msgpack_reader_status(&r, true) != STATUS_OK || tls_chain_decode(chain, out) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    return STATUS_OK;
}

enum status store_tls_get(struct store_view *v, struct slice name, struct tls_record *out)
{
    struct slice value;
    enum status status = table_find(v->store, v->txn, TABLE_TLS_CERTIFICATES, &name, &value);
    return status == STATUS_OK ? tls_decode(name, value, out) : status;
}

struct tls_walk {
    tls_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_row(void *context, struct slice key, struct slice value)
{
    struct tls_walk *walk = context;
    struct tls_record record;
    walk->status = tls_decode(key, value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_tls_all(struct store_view *v, tls_visit_cb cb, void *context)
{
    struct tls_walk walk = {.visit = cb, .context = context};
    enum status status =
        table_walk(v->store, v->txn, TABLE_TLS_CERTIFICATES, (struct slice){0}, visit_row, &walk);
    return status != STATUS_OK ? status : walk.status;
}
