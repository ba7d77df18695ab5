/*
 * The entries of the queue protocol (smtp/queue_protocol.h) in MessagePack:
 *
 *   entry      [ id, sender, state, arrived u64, next u64, expires u64, size u64, attempts u64,
 *                [ recipient, ... ], trace, client ip, helo, all recipients u64 ]
 *   recipient  [ address, state, protection, last reply, next hop ]
 *
 * Texts are str, times are wall ms. Pure: bytes in, structs out; a reader's failure sticks
 * (base/msgpack_read.h).
 */
#include "smtp/queue_protocol.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "mail/job.h"

#define ENTRY_FIELDS     13
#define RECIPIENT_FIELDS 5
#define OPERATION_FIELDS 11
#define EVENT_FIELDS     8
#define REPLY_TEXT_MAX   4096
#define TRACE_MAX        ((size_t)1 << 20)

enum status queue_entry_encode(const struct queue_entry *e, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, ENTRY_FIELDS);
    write_text(&w, e->id);
    write_text(&w, e->sender);
    write_text(&w, e->state);
    write_u64(&w, e->arrived_ms);
    write_u64(&w, e->next_attempt_ms);
    write_u64(&w, e->expires_ms);
    write_u64(&w, e->size);
    write_u64(&w, e->attempts);
    write_array(&w, e->recipient_count);
    for (size_t i = 0; i < e->recipient_count; i++) {
        const struct queue_recipient *r = &e->recipients[i];
        write_array(&w, RECIPIENT_FIELDS);
        write_text(&w, r->address);
        write_text(&w, r->state);
        write_text(&w, r->protection);
        write_text(&w, r->last_reply);
        write_text(&w, r->next_hop);
    }
    write_text(&w, e->trace);
    write_text(&w, e->client_ip);
    write_text(&w, e->helo);
    write_u64(&w, e->all_recipients);
    return msgpack_writer_status(&w);
}

static void read_recipient(struct msgpack_reader *r, struct queue_recipient *out)
{
    if (read_array(r, RECIPIENT_FIELDS) != RECIPIENT_FIELDS) {
        read_fail(r, STATUS_MALFORMED);
        return;
    }
    out->address = read_text(r, ADDRESS_MAX);
    out->state = read_text(r, 32);
    out->protection = read_text(r, 64);
    out->last_reply = read_text(r, REPLY_TEXT_MAX);
    out->next_hop = read_text(r, 512);
}

void queue_entry_read(struct msgpack_reader *r, struct arena *a, struct queue_entry *e)
{
    *e = (struct queue_entry){0};
    if (read_array(r, ENTRY_FIELDS) != ENTRY_FIELDS) {
        read_fail(r, STATUS_MALFORMED);
        return;
    }
    e->id = read_text(r, ID_TEXT_SIZE);
    e->sender = read_text(r, ADDRESS_MAX);
    e->state = read_text(r, 32);
    e->arrived_ms = read_u64(r);
    e->next_attempt_ms = read_u64(r);
    e->expires_ms = read_u64(r);
    e->size = read_u64(r);
    e->attempts = read_u64(r);
    size_t count = read_array(r, JOB_RECIPIENTS_MAX);
    if (count > 0) {
        e->recipients = arena_alloc_array(a, count, sizeof(e->recipients[0]));
        if (e->recipients == NULL) {
            read_fail(r, STATUS_NO_MEMORY);
            return;
        }
        e->recipient_count = count;
        for (size_t i = 0; i < count; i++) {
            read_recipient(r, &e->recipients[i]);
        }
    }
    e->trace = read_text(r, TRACE_MAX);
    e->client_ip = read_text(r, 64);
    e->helo = read_text(r, 512);
    e->all_recipients = read_u64(r);
}

void queue_operation_read(struct msgpack_reader *r, struct queue_operation_told *o)
{
    *o = (struct queue_operation_told){0};
    if (read_array(r, OPERATION_FIELDS) != OPERATION_FIELDS) {
        read_fail(r, STATUS_MALFORMED);
        return;
    }
    o->id = read_text(r, ID_TEXT_SIZE);
    o->action = read_text(r, 32);
    o->actor = read_text(r, 256);
    o->state = read_text(r, 32);
    o->started_ms = read_u64(r);
    o->ended_ms = read_u64(r);
    o->messages = read_u64(r);
    o->looked = read_u64(r);
    o->done = read_u64(r);
    o->refused = read_u64(r);
    o->refusal = read_text(r, FAILURE_TEXT_MAX);
}

enum status queue_event_encode(const struct queue_event *e, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, EVENT_FIELDS);
    write_u64(&w, e->time_ms);
    write_text(&w, e->event);
    write_text(&w, e->id);
    write_text(&w, e->sender);
    write_text(&w, e->recipient);
    write_text(&w, e->next_hop);
    write_text(&w, e->enhanced);
    write_text(&w, e->text);
    return msgpack_writer_status(&w);
}

void queue_event_read(struct msgpack_reader *r, struct queue_event *e)
{
    *e = (struct queue_event){0};
    if (read_array(r, EVENT_FIELDS) != EVENT_FIELDS) {
        read_fail(r, STATUS_MALFORMED);
        return;
    }
    e->time_ms = read_u64(r);
    e->event = read_text(r, 32);
    e->id = read_text(r, ID_TEXT_SIZE);
    e->sender = read_text(r, REPLY_TEXT_MAX);
    e->recipient = read_text(r, REPLY_TEXT_MAX);
    e->next_hop = read_text(r, REPLY_TEXT_MAX);
    e->enhanced = read_text(r, 16);
    e->text = read_text(r, REPLY_TEXT_MAX);
}
