/* Envelopes of spooled messages as bytes (smtp/spool_envelope.h). */
#include "smtp/spool_envelope.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "mail/job.h"

#define ENVELOPE_VERSION 3
#define TRACE_MAX        ((size_t)1 << 20)
#define REASON_MAX       1024
#define NEXT_HOP_MAX     1024

enum { VARIANT_NEEDS_8BIT = 1, VARIANT_QUARANTINE = 2, VARIANT_UTF8_HEADER = 4 };

/* Number of fields by version. */
static const size_t envelope_fields[ENVELOPE_VERSION + 1] = {0, 12, 13, 16};
static const size_t variant_fields[ENVELOPE_VERSION + 1] = {0, 4, 6, 6};

static bool is_wish(const struct spool_wish *w)
{
    return w->notify != 0 || w->orcpt.len > 0;
}

static void write_wishes(struct msgpack_writer *w, const struct spool_envelope *e)
{
    size_t count = 0;
    for (size_t i = 0; e->wishes != NULL && i < e->recipient_count; i++) {
        count += is_wish(&e->wishes[i]);
    }
    write_array(w, count);
    for (size_t i = 0; count > 0 && i < e->recipient_count; i++) {
        if (is_wish(&e->wishes[i])) {
            write_array(w, 3);
            write_u64(w, i);
            write_u64(w, e->wishes[i].notify);
            write_text(w, e->wishes[i].orcpt);
        }
    }
}

enum status spool_envelope_encode(const struct spool_envelope *e, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, envelope_fields[ENVELOPE_VERSION]);
    write_u64(&w, ENVELOPE_VERSION);
    write_bytes(&w, slice_of(e->id, ID_SIZE));
    write_u64(&w, e->arrived_ms);
    write_u64(&w, e->owner_node);
    write_u64(&w, e->owner_epoch);
    write_u64(&w, e->flags);
    write_text(&w, e->sender);
    write_text(&w, e->client_ip);
    write_text(&w, e->helo);
    write_array(&w, e->recipient_count);
    for (size_t i = 0; i < e->recipient_count; i++) {
        write_text(&w, e->recipients[i]);
    }
    write_array(&w, e->variant_count);
    for (size_t i = 0; i < e->variant_count; i++) {
        const struct spool_variant *v = &e->variants[i];
        write_array(&w, variant_fields[ENVELOPE_VERSION]);
        write_u64(&w, v->size);
        write_u64(&w, (v->needs_8bit ? (unsigned)VARIANT_NEEDS_8BIT : 0u) |
                          (v->quarantine ? (unsigned)VARIANT_QUARANTINE : 0u) |
                          (v->utf8_header ? (unsigned)VARIANT_UTF8_HEADER : 0u));
        write_text(&w, v->protection);
        write_array(&w, v->recipient_count);
        for (size_t k = 0; k < v->recipient_count; k++) {
            write_u64(&w, v->recipients[k]);
        }
        write_text(&w, v->quarantine_reason);
        write_text(&w, v->next_hop);
    }
    write_text(&w, e->trace);
    write_array(&w, e->refusal_count);
    for (size_t i = 0; i < e->refusal_count; i++) {
        write_array(&w, 3);
        write_u64(&w, e->refusals[i].recipient);
        write_text(&w, e->refusals[i].enhanced);
        write_text(&w, e->refusals[i].reason);
    }
    write_u64(&w, e->promises);
    write_text(&w, e->envid);
    write_wishes(&w, e);
    return msgpack_writer_status(&w);
}

static void read_variant(struct msgpack_reader *r, struct arena *a, uint64_t version, size_t recipients,
                         bool *seen, struct spool_variant *v)
{
    if (read_array(r, variant_fields[version]) != variant_fields[version]) {
        read_fail(r, STATUS_CORRUPT);
        return;
    }
    v->size = read_u64(r);
    uint64_t flags = read_u64(r);
    v->needs_8bit = (flags & VARIANT_NEEDS_8BIT) != 0;
    v->quarantine = (flags & VARIANT_QUARANTINE) != 0;
    v->utf8_header = (flags & VARIANT_UTF8_HEADER) != 0;
    v->protection = read_text(r, 64);
    size_t count = read_array(r, recipients);
    v->recipients = arena_alloc_array(a, count + 1, sizeof(size_t));
    if (v->recipients == NULL) {
        read_fail(r, STATUS_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t position = read_u64(r);
        if (position >= recipients || seen[position]) {
            read_fail(r, STATUS_CORRUPT);
            return;
        }
        seen[position] = true;
        v->recipients[i] = (size_t)position;
    }
    v->recipient_count = count;
    if (version >= 2) {
        v->quarantine_reason = read_text(r, REASON_MAX);
        v->next_hop = read_text(r, NEXT_HOP_MAX);
    }
}

static void read_refusals(struct msgpack_reader *r, struct arena *a, bool *seen, struct spool_envelope *e)
{
    size_t count = read_array(r, e->recipient_count);
    e->refusals = arena_alloc_array(a, count + 1, sizeof(struct spool_refusal));
    if (e->refusals == NULL) {
        read_fail(r, STATUS_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < count && r->status == STATUS_OK; i++) {
        if (read_array(r, 3) != 3) {
            read_fail(r, STATUS_CORRUPT);
            return;
        }
        uint64_t position = read_u64(r);
        if (position >= e->recipient_count || seen[position]) {
            read_fail(r, STATUS_CORRUPT);
            return;
        }
        seen[position] = true;
        e->refusals[i] = (struct spool_refusal){.recipient = (size_t)position};
        e->refusals[i].enhanced = read_text(r, 16);
        e->refusals[i].reason = read_text(r, REASON_MAX);
    }
    e->refusal_count = count;
}

static void read_wishes(struct msgpack_reader *r, struct arena *a, struct spool_envelope *e)
{
    size_t count = read_array(r, e->recipient_count);
    if (count == 0) {
        return;
    }
    e->wishes = arena_alloc_array(a, e->recipient_count, sizeof(struct spool_wish));
    if (e->wishes == NULL) {
        read_fail(r, STATUS_NO_MEMORY);
        return;
    }
    uint64_t next = 0;
    for (size_t i = 0; i < count && r->status == STATUS_OK; i++) {
        size_t fields = read_array(r, 3);
        uint64_t position = read_u64(r);
        uint64_t notify = read_u64(r);
        struct slice orcpt = read_text(r, SPOOL_ORCPT_MAX);
        if (fields != 3 || position < next || position >= e->recipient_count) {
            read_fail(r, STATUS_CORRUPT);
            return;
        }
        e->wishes[position] = (struct spool_wish){.notify = notify, .orcpt = orcpt};
        next = position + 1;
    }
}

/* Up to the lists: everything that all versions have in common. */
static enum status read_head(struct msgpack_reader *r, struct spool_envelope *e, uint64_t *version)
{
    size_t fields = read_array(r, envelope_fields[ENVELOPE_VERSION]);
    *version = read_u64(r);
    if (r->status == STATUS_OK && *version > ENVELOPE_VERSION) {
        return STATUS_VERSION;
    }
    struct slice id = read_bytes(r, ID_SIZE);
    if (r->status != STATUS_OK || *version == 0 || fields != envelope_fields[*version] || id.len != ID_SIZE) {
        return STATUS_CORRUPT;
    }
    memcpy(e->id, id.data, ID_SIZE);
    e->arrived_ms = read_u64(r);
    e->owner_node = read_u64(r);
    e->owner_epoch = read_u64(r);
    e->flags = read_u64(r);
    e->sender = read_text(r, ADDRESS_MAX);
    e->client_ip = read_text(r, 64);
    e->helo = read_text(r, DOMAIN_MAX);
    return STATUS_OK;
}

enum status spool_envelope_decode(struct slice in, struct arena *a, struct spool_envelope *e)
{
    *e = (struct spool_envelope){0};
    struct msgpack_reader r;
    uint64_t version = 0;
    msgpack_reader_init(&r, in);
    enum status status = read_head(&r, e, &version);
    if (status != STATUS_OK) {
        return status;
    }
    size_t count = read_array(&r, JOB_RECIPIENTS_MAX);
    e->recipients = arena_alloc_array(a, count + 1, sizeof(struct slice));
    bool *seen = arena_alloc_array(a, count + 1, sizeof(bool));
    if (e->recipients == NULL || seen == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        e->recipients[i] = read_text(&r, ADDRESS_MAX);
    }
    e->recipient_count = count;
    size_t variants = read_array(&r, JOB_VARIANTS_MAX);
    e->variants = arena_alloc_array(a, variants + 1, sizeof(struct spool_variant));
    if (e->variants == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t covered = 0;
    for (size_t i = 0; i < variants && r.status == STATUS_OK; i++) {
        read_variant(&r, a, version, count, seen, &e->variants[i]);
        covered += e->variants[i].recipient_count;
    }
    e->variant_count = variants;
    e->trace = read_text(&r, TRACE_MAX);
    if (version >= 2) {
        read_refusals(&r, a, seen, e);
        covered += e->refusal_count;
    }
    if (version >= 3) {
        e->promises = read_u64(&r);
        e->envid = read_text(&r, SPOOL_ENVID_MAX);
        read_wishes(&r, a, e);
    }
    status = msgpack_reader_status(&r, true);
    if (status == STATUS_NO_MEMORY) {
        return status;
    }
    return status == STATUS_OK && covered == count && count > 0 ? STATUS_OK : STATUS_CORRUPT;
}

struct spool_wish spool_envelope_wish(const struct spool_envelope *e, size_t position)
{
    return e->wishes != NULL ? e->wishes[position] : (struct spool_wish){0};
}

bool spool_envelope_copy_promises(const struct spool_envelope *from, struct arena *a,
                                  struct spool_envelope *to)
{
    to->promises = from->promises;
    to->wishes = NULL;
    if (!arena_copy(a, from->envid, &to->envid)) {
        return false;
    }
    if (from->wishes == NULL) {
        return true;
    }
    to->wishes = arena_alloc_array(a, from->recipient_count, sizeof *to->wishes);
    for (size_t i = 0; to->wishes != NULL && i < from->recipient_count; i++) {
        to->wishes[i].notify = from->wishes[i].notify;
        if (!arena_copy(a, from->wishes[i].orcpt, &to->wishes[i].orcpt)) {
            return false;
        }
    }
    return to->wishes != NULL;
}

uint64_t spool_envelope_size(const struct spool_envelope *e)
{
    uint64_t size = 0;
    for (size_t i = 0; i < e->variant_count; i++) {
        size += e->variants[i].size;
    }
    return size;
}
