/* See join_protocol.h. Pure. */
#include "node/join_protocol.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#define JOIN_VERSION 1

enum status join_request_encode(const struct join_request *q, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, 11);
    write_u64(&w, JOIN_VERSION);
    write_bytes(&w, q->secret);
    write_text(&w, q->name);
    write_text(&w, q->peer_address);
    write_text(&w, q->api_address);
    write_text(&w, q->smtp_address);
    write_text(&w, q->names);
    write_bytes(&w, q->peer_key);
    write_bytes(&w, q->service_key);
    write_u64(&w, q->command_set);
    write_bytes(&w, q->master_check);
    return msgpack_writer_status(&w);
}

enum status join_request_decode(struct slice in, struct join_request *q)
{
    struct msgpack_reader r;
    *q = (struct join_request){0};
    msgpack_reader_init(&r, in);
    if (read_array(&r, 11) != 11) {
        return STATUS_MALFORMED;
    }
    if (read_u64(&r) != JOIN_VERSION) {
        return STATUS_VERSION;
    }
    q->secret = read_bytes(&r, 32);
    q->name = read_text(&r, NODE_NAME_MAX);
    q->peer_address = read_text(&r, 79);
    q->api_address = read_text(&r, 79);
    q->smtp_address = read_text(&r, 79);
    q->names = read_text(&r, JOIN_NAMES_MAX);
    q->peer_key = read_bytes(&r, JOIN_PUBLIC_KEY_MAX);
    q->service_key = read_bytes(&r, JOIN_PUBLIC_KEY_MAX);
    q->command_set = read_u64(&r);
    q->master_check = read_bytes(&r, 32);
    if (q->secret.len != 32 || q->name.len == 0 || (q->master_check.len != 0 && q->master_check.len != 32)) {
        read_fail(&r, STATUS_MALFORMED);
    }
    return msgpack_reader_status(&r, true);
}

enum status join_answer_encode(const struct join_answer *a, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, 9);
    write_u64(&w, a->status);
    write_text(&w, a->text);
    write_u64(&w, a->node_id);
    write_text(&w, a->cluster_name);
    write_bytes(&w, a->ca);
    write_bytes(&w, a->peer_certificate);
    write_bytes(&w, a->service_certificate);
    write_bytes(&w, a->master);
    write_bytes(&w, a->peers);
    return msgpack_writer_status(&w);
}

enum status join_answer_decode(struct slice in, struct join_answer *a)
{
    struct msgpack_reader r;
    *a = (struct join_answer){0};
    msgpack_reader_init(&r, in);
    if (read_array(&r, 9) != 9) {
        return STATUS_MALFORMED;
    }
    a->status = status_from_number(read_u64(&r));
    a->text = read_text(&r, FAILURE_TEXT_MAX);
    a->node_id = read_u64(&r);
    a->cluster_name = read_text(&r, 63);
    a->ca = read_bytes(&r, JOIN_FRAME_MAX);
    a->peer_certificate = read_bytes(&r, JOIN_FRAME_MAX);
    a->service_certificate = read_bytes(&r, JOIN_FRAME_MAX);
    a->master = read_bytes(&r, 32);
    a->peers = read_bytes(&r, JOIN_FRAME_MAX);
    if (a->status == STATUS_OK && (a->node_id == 0 || a->master.len != 32)) {
        read_fail(&r, STATUS_MALFORMED);
    }
    return msgpack_reader_status(&r, true);
}

enum status known_peers_encode(const struct known_peer *peers, size_t count, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        write_array(&w, 4);
        write_u64(&w, peers[i].id);
        write_text(&w, slice_of_text(peers[i].name));
        write_text(&w, slice_of_text(peers[i].address));
        write_bytes(&w, slice_of(peers[i].spki_hash, sizeof(peers[i].spki_hash)));
    }
    return msgpack_writer_status(&w);
}

enum status known_peers_decode(struct slice in, struct known_peer peers[CORE_NODES_MAX], size_t *count)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, in);
    size_t n = read_array(&r, CORE_NODES_MAX);
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        struct known_peer *p = &peers[i];
        *p = (struct known_peer){0};
        if (read_array(&r, 4) != 4) {
            return STATUS_MALFORMED;
        }
        p->id = read_u64(&r);
        struct slice name = read_text(&r, NODE_NAME_MAX);
        struct slice address = read_text(&r, sizeof(p->address) - 1);
        struct slice hash = read_bytes(&r, sizeof(p->spki_hash));
        if (hash.len != sizeof(p->spki_hash) || p->id == 0 || address.len == 0) {
            return STATUS_MALFORMED;
        }
        memcpy(p->name, name.data, name.len);
        memcpy(p->address, address.data, address.len);
        memcpy(p->spki_hash, hash.data, hash.len);
    }
    enum status status = msgpack_reader_status(&r, true);
    *count = status == STATUS_OK ? n : 0;
    return status;
}
