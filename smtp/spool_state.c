/* Delivery states as bytes (smtp/spool_state.h). */
#include "smtp/spool_state.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "mail/job.h"
#include "smtp/spool_format.h"

#define STATE_VERSION 2

enum { RECIPIENT_STATE_MASK = 15, RECIPIENT_DELAY_TOLD = 16, RECIPIENT_TELL = 32 };
#define TEXT_MAX 4096

static bool has_text(const struct spool_recipient *r)
{
    return r->reply.len > 0 || r->next_hop.len > 0;
}

enum status spool_state_encode_texts(const struct spool_state *s, struct buf *out)
{
    size_t count = 0;
    for (size_t i = 0; i < s->recipient_count; i++) {
        count += has_text(&s->recipients[i]);
    }
    if (count == 0) {
        return STATUS_OK;
    }
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, count);
    for (size_t i = 0; i < s->recipient_count; i++) {
        const struct spool_recipient *r = &s->recipients[i];
        if (has_text(r)) {
            write_array(&w, 4);
            write_u64(&w, i);
            write_text(&w, r->reply);
            write_text(&w, r->next_hop);
            write_text(&w, r->enhanced);
        }
    }
    return msgpack_writer_status(&w);
}

static uint8_t recipient_byte(const struct spool_recipient *r)
{
    return (uint8_t)((unsigned)r->state | (r->delay_told ? (unsigned)RECIPIENT_DELAY_TOLD : 0u) |
                     (r->tell ? (unsigned)RECIPIENT_TELL : 0u));
}

static uint8_t version_of(const struct spool_state *s)
{
    for (size_t i = 0; i < s->recipient_count; i++) {
        if (s->recipients[i].delay_told || s->recipients[i].tell) {
            return 2;
        }
    }
    return 1;
}

enum status spool_state_encode(const struct spool_state *s, struct slice sealed_texts, struct buf *out)
{
    uint8_t fixed[SPOOL_STATE_FIXED] = {
        version_of(s), (uint8_t)s->state,
        (uint8_t)((s->released ? SPOOL_STATE_RELEASED : 0) | (s->noticed ? SPOOL_STATE_NOTICED : 0))};
    spool_put_u32(fixed + 4, s->attempts);
    spool_put_u64(fixed + 8, s->next_attempt_ms);
    spool_put_u32(fixed + 16, (uint32_t)s->recipient_count);
    enum status status = buf_append(out, fixed, sizeof fixed);
    for (size_t i = 0; i < s->recipient_count && status == STATUS_OK; i++) {
        status = buf_append_byte(out, recipient_byte(&s->recipients[i]));
    }
    return status == STATUS_OK ? buf_append_slice(out, sealed_texts) : status;
}

enum status spool_state_decode(struct slice in, struct arena *a, struct spool_state *s, struct slice *sealed)
{
    *s = (struct spool_state){0};
    if (in.len < SPOOL_STATE_FIXED || in.data[0] == 0 || in.data[0] > STATE_VERSION ||
        in.data[1] > SPOOL_HELD) {
        return STATUS_CORRUPT;
    }
    s->state = (enum spool_message_state)in.data[1];
    s->released = (in.data[2] & SPOOL_STATE_RELEASED) != 0;
    s->noticed = (in.data[2] & SPOOL_STATE_NOTICED) != 0;
    s->attempts = spool_get_u32(in.data + 4);
    s->next_attempt_ms = spool_get_u64(in.data + 8);
    size_t count = spool_get_u32(in.data + 16);
    if (count > JOB_RECIPIENTS_MAX || count > in.len - SPOOL_STATE_FIXED) {
        return STATUS_CORRUPT;
    }
    s->recipient_count = count;
    *sealed = slice_of(in.data + SPOOL_STATE_FIXED + count, in.len - SPOOL_STATE_FIXED - count);
    if (a == NULL) {
        return STATUS_OK;
    }
    s->recipients = arena_alloc_array(a, count + 1, sizeof(struct spool_recipient));
    if (s->recipients == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = in.data[SPOOL_STATE_FIXED + i];
        unsigned state = byte & RECIPIENT_STATE_MASK, flags = byte & ~(unsigned)RECIPIENT_STATE_MASK;
        unsigned known = in.data[0] >= 2 ? (unsigned)(RECIPIENT_DELAY_TOLD | RECIPIENT_TELL) : 0u;
        if (state > RECIPIENT_FAILED || (flags & ~known) != 0) {
            return STATUS_CORRUPT;
        }
        s->recipients[i].state = (enum spool_recipient_state)state;
        s->recipients[i].delay_told = (flags & RECIPIENT_DELAY_TOLD) != 0;
        s->recipients[i].tell = (flags & RECIPIENT_TELL) != 0;
    }
    return STATUS_OK;
}

enum status spool_state_decode_texts(struct slice texts, struct spool_state *s)
{
    if (texts.len == 0) {
        return STATUS_OK;
    }
    struct msgpack_reader r;
    msgpack_reader_init(&r, texts);
    size_t count = read_array(&r, s->recipient_count);
    for (size_t i = 0; i < count; i++) {
        if (read_array(&r, 4) != 4) {
            return STATUS_CORRUPT;
        }
        uint64_t position = read_u64(&r);
        struct slice reply = read_text(&r, TEXT_MAX);
        struct slice next_hop = read_text(&r, 512);
        struct slice enhanced = read_text(&r, 16);
        if (r.status != STATUS_OK || position >= s->recipient_count) {
            return STATUS_CORRUPT;
        }
        s->recipients[position].reply = reply;
        s->recipients[position].next_hop = next_hop;
        s->recipients[position].enhanced = enhanced;
    }
    return msgpack_reader_status(&r, true) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
}
