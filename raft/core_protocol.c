/* The status of a cluster in MessagePack; the rest of the protocol is written and read where it is used.
 * Pure, any thread. */
#include "raft/core_protocol.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#define STATUS_FIELDS 7
#define NODE_FIELDS   10

enum status core_status_encode(const struct core_status *s, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, STATUS_FIELDS);
    write_text(&w, slice_of_text(s->cluster_name));
    write_text(&w, slice_of_text(s->leader));
    write_text(&w, slice_of_text(s->self));
    write_u64(&w, s->term);
    write_u64(&w, s->commit_index);
    write_u64(&w, s->applied_index);
    write_array(&w, s->node_count);
    for (size_t i = 0; i < s->node_count; i++) {
        const struct core_node_status *n = &s->nodes[i];

        write_array(&w, NODE_FIELDS);
        write_text(&w, slice_of_text(n->name));
        write_u64(&w, n->id);
        write_text(&w, slice_of_text(n->role));
        write_bool(&w, n->reachable);
        write_u64(&w, n->applied_index);
        write_u64(&w, n->log_index);
        write_text(&w, slice_of_text(n->release));
        write_text(&w, slice_of_text(n->peer_address));
        write_text(&w, slice_of_text(n->api_address));
        write_text(&w, slice_of_text(n->smtp_address));
    }
    return msgpack_writer_status(&w);
}

static void read_into(struct msgpack_reader *r, char *out, size_t size)
{
    struct slice text = read_text(r, size - 1);

    if (text.len > 0)
        memcpy(out, text.data, text.len);
    out[text.len] = '\0';
}

enum status core_status_decode(struct slice in, struct core_status *s)
{
    struct msgpack_reader r;

    memset(s, 0, sizeof(*s));
    msgpack_reader_init(&r, in);
    if (read_array(&r, STATUS_FIELDS) != STATUS_FIELDS)
        read_fail(&r, STATUS_MALFORMED);
    read_into(&r, s->cluster_name, sizeof(s->cluster_name));
    read_into(&r, s->leader, sizeof(s->leader));
    read_into(&r, s->self, sizeof(s->self));
    s->term = read_u64(&r);
    s->commit_index = read_u64(&r);
    s->applied_index = read_u64(&r);
    s->node_count = read_array(&r, CORE_NODES_MAX);
    for (size_t i = 0; i < s->node_count; i++) {
        struct core_node_status *n = &s->nodes[i];

        if (read_array(&r, NODE_FIELDS) != NODE_FIELDS)
            read_fail(&r, STATUS_MALFORMED);
        read_into(&r, n->name, sizeof(n->name));
        n->id = read_u64(&r);
        read_into(&r, n->role, sizeof(n->role));
        n->reachable = read_bool(&r);
        n->applied_index = read_u64(&r);
        n->log_index = read_u64(&r);
        read_into(&r, n->release, sizeof(n->release));
        read_into(&r, n->peer_address, sizeof(n->peer_address));
        read_into(&r, n->api_address, sizeof(n->api_address));
        read_into(&r, n->smtp_address, sizeof(n->smtp_address));
    }
    if (msgpack_reader_status(&r, true) != STATUS_OK) {
        s->node_count = 0;
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}
