/*
 * The frames between smtp and a worker (mail/job.h), written and read. Each is one MessagePack array:
 *
 *   READY    [ 1, pid u64 ]
 *   MESSAGE  [ 2, job u64, message id str, now ms u64, flags u64, sender bin, client ip bin, helo bin,
 *              listener bin, [ recipient bin, ... ] ]
 *   TO_7BIT  [ 3, job u64 ]
 *   DONE     [ 4, job u64, status u64, text str, put aside bool, notice bool, [ variant, ... ], [ refusal,
 * ... ], trace bin, subject bin ] variant  [ [ position u64, ... ], unchanged bool, needs 8 bit bool,
 * protection str, quarantine bool, reason of quarantine str, next hop str ] refusal  [ position u64, status
 * u64, reason str ]
 *
 * Neither side trusts the other: a decoder checks every count, position and text before anything is done with
 * it, and allocates in the caller's arena only what the frame has really got bytes for. What does not fit is
 * MALFORMED, and the caller closes the connection. Pure; any thread.
 */
#include "mail/job.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#define PATH_MAX_BYTES 1024 /* of an address or a host name as it came: RFC 5321 4.5.3.1 allows less */
#define REASON_MAX     300
#define PROTECTION_MAX 40
#define NEXT_HOP_MAX   1024
#define DONE_FIELDS    10
#define VARIANT_FIELDS 7

/* What goes into an SMTP reply or a log is one line of printable ASCII: a worker taken over by a message
 * cannot forge a reply. */
static bool is_one_printable_line(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < 0x20 || s.data[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool is_protection_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        bool fits = (s.data[i] >= 'a' && s.data[i] <= 'z') || s.data[i] == '-';
        if (!fits) {
            return false;
        }
    }
    return s.len > 0;
}

enum status job_ready_encode(uint64_t pid, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, 2);
    write_u64(&w, JOB_READY);
    write_u64(&w, pid);
    return msgpack_writer_status(&w);
}

enum status job_to_7bit_encode(uint64_t job, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, 2);
    write_u64(&w, JOB_TO_7BIT);
    write_u64(&w, job);
    return msgpack_writer_status(&w);
}

enum status job_message_encode(const struct job_message *m, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, 10);
    write_u64(&w, JOB_MESSAGE);
    write_u64(&w, m->job);
    write_text(&w, slice_of(m->message_id, strnlen(m->message_id, sizeof m->message_id)));
    write_u64(&w, m->now_ms);
    write_u64(&w, m->flags);
    write_bytes(&w, m->sender);
    write_bytes(&w, m->client_ip);
    write_bytes(&w, m->helo);
    write_bytes(&w, m->listener);
    write_array(&w, m->recipient_count);
    for (size_t i = 0; i < m->recipient_count; i++) {
        write_bytes(&w, m->recipients[i]);
    }
    return msgpack_writer_status(&w);
}

enum status job_result_encode(const struct job_result *r, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, DONE_FIELDS);
    write_u64(&w, JOB_DONE);
    write_u64(&w, r->job);
    write_u64(&w, (uint64_t)r->status);
    write_text(&w, r->text);
    write_bool(&w, r->put_aside);
    write_bool(&w, r->notice);
    write_array(&w, r->variant_count);
    for (size_t i = 0; i < r->variant_count; i++) {
        const struct job_variant *v = &r->variants[i];
        write_array(&w, VARIANT_FIELDS);
        write_array(&w, v->recipient_count);
        for (size_t n = 0; n < v->recipient_count; n++) {
            write_u64(&w, v->recipients[n]);
        }
        write_bool(&w, v->unchanged);
        write_bool(&w, v->needs_8bit);
        write_text(&w, v->protection);
        write_bool(&w, v->quarantine);
        write_text(&w, v->quarantine_reason);
        write_text(&w, v->next_hop);
    }
    write_array(&w, r->refusal_count);
    for (size_t i = 0; i < r->refusal_count; i++) {
        write_array(&w, 3);
        write_u64(&w, r->refusals[i].recipient);
        write_u64(&w, (uint64_t)r->refusals[i].status);
        write_text(&w, r->refusals[i].reason);
    }
    write_bytes(&w, r->trace);
    write_bytes(&w, r->subject);
    return msgpack_writer_status(&w);
}

enum job_type job_frame_type(struct slice frame)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, frame);
    size_t count = read_array(&r, 10);
    uint64_t type = read_u64(&r);
    if (msgpack_reader_status(&r, false) != STATUS_OK || count < 2 || type < JOB_READY || type > JOB_DONE) {
        return 0;
    }
    return (enum job_type)type;
}

enum status job_ready_decode(struct slice frame, uint64_t *pid)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, frame);
    size_t count = read_array(&r, 2);
    uint64_t type = read_u64(&r);
    *pid = read_u64(&r);
    if (count != 2 || type != JOB_READY) {
        read_fail(&r, STATUS_MALFORMED);
    }
    return msgpack_reader_status(&r, true);
}

enum status job_to_7bit_decode(struct slice frame, uint64_t *job)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, frame);
    size_t count = read_array(&r, 2);
    uint64_t type = read_u64(&r);
    *job = read_u64(&r);
    if (count != 2 || type != JOB_TO_7BIT) {
        read_fail(&r, STATUS_MALFORMED);
    }
    return msgpack_reader_status(&r, true);
}

enum status job_message_decode(struct slice frame, struct arena *a, struct job_message *m)
{
    struct msgpack_reader r;
    *m = (struct job_message){0};
    msgpack_reader_init(&r, frame);
    if (read_array(&r, 10) != 10 || read_u64(&r) != JOB_MESSAGE) {
        read_fail(&r, STATUS_MALFORMED);
    }
    m->job = read_u64(&r);
    struct slice id = read_text(&r, sizeof m->message_id - 1);
    if (id.len > 0 && memchr(id.data, 0, id.len) == NULL) {
        memcpy(m->message_id, id.data, id.len);
    }
    m->now_ms = read_u64(&r);
    m->flags = read_u64(&r);
    m->sender = read_bytes(&r, PATH_MAX_BYTES);
    m->client_ip = read_bytes(&r, PATH_MAX_BYTES);
    m->helo = read_bytes(&r, PATH_MAX_BYTES);
    m->listener = read_bytes(&r, PATH_MAX_BYTES);
    m->recipient_count = read_array(&r, JOB_RECIPIENTS_MAX);
    if (msgpack_reader_status(&r, false) != STATUS_OK || m->recipient_count == 0) {
        return STATUS_MALFORMED;
    }
    m->recipients = arena_alloc_array(a, m->recipient_count, sizeof m->recipients[0]);
    if (m->recipients == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < m->recipient_count; i++) {
        m->recipients[i] = read_bytes(&r, PATH_MAX_BYTES);
    }
    return msgpack_reader_status(&r, true);
}

/* One variant; marks in `seen` whom it is for. A recipient twice would be a message delivered twice. */
static enum status variant_read(struct msgpack_reader *r, size_t recipients, struct arena *a, bool *seen,
                                struct job_variant *v)
{
    if (read_array(r, VARIANT_FIELDS) != VARIANT_FIELDS) {
        read_fail(r, STATUS_MALFORMED);
    }
    v->recipient_count = read_array(r, recipients);
    if (msgpack_reader_status(r, false) != STATUS_OK || (v->recipient_count == 0) != (recipients == 0)) {
        return STATUS_MALFORMED;
    }
    v->recipients = arena_alloc_array(a, v->recipient_count + 1, sizeof v->recipients[0]);
    if (v->recipients == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < v->recipient_count; i++) {
        uint64_t position = read_u64(r);
        if (msgpack_reader_status(r, false) != STATUS_OK || position >= recipients || seen[position]) {
            return STATUS_MALFORMED;
        }
        seen[position] = true;
        v->recipients[i] = (size_t)position;
    }
    v->unchanged = read_bool(r);
    v->needs_8bit = read_bool(r);
    v->protection = read_text(r, PROTECTION_MAX);
    if (msgpack_reader_status(r, false) == STATUS_OK && !is_protection_name(v->protection)) {
        read_fail(r, STATUS_MALFORMED);
    }
    v->quarantine = read_bool(r);
    v->quarantine_reason = read_text(r, REASON_MAX);
    v->next_hop = read_text(r, NEXT_HOP_MAX);
    if (msgpack_reader_status(r, false) == STATUS_OK &&
        (!is_one_printable_line(v->quarantine_reason) || !is_one_printable_line(v->next_hop))) {
        read_fail(r, STATUS_MALFORMED);
    }
    return msgpack_reader_status(r, false);
}

static enum status refusal_read(struct msgpack_reader *r, size_t recipients, bool *seen,
                                struct job_refusal *refusal)
{
    if (read_array(r, 3) != 3) {
        read_fail(r, STATUS_MALFORMED);
    }
    uint64_t position = read_u64(r);
    refusal->status = status_from_number(read_u64(r));
    refusal->reason = read_text(r, REASON_MAX);
    if (msgpack_reader_status(r, false) != STATUS_OK || position >= recipients || seen[position] ||
        refusal->status == STATUS_OK || !is_one_printable_line(refusal->reason)) {
        return STATUS_MALFORMED;
    }
    seen[position] = true;
    refusal->recipient = (size_t)position;
    return STATUS_OK;
}

static enum status variants_read(struct msgpack_reader *r, size_t recipients, struct arena *a, bool *seen,
                                 struct job_result *out, size_t *covered)
{
    out->variants = arena_alloc_array(a, out->variant_count + 1, sizeof out->variants[0]);
    if (out->variants == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < out->variant_count; i++) {
        enum status status = variant_read(r, recipients, a, seen, &out->variants[i]);
        if (status != STATUS_OK) {
            return status;
        }
        *covered += out->variants[i].recipient_count;
    }
    return STATUS_OK;
}

static enum status refusals_read(struct msgpack_reader *r, size_t recipients, struct arena *a, bool *seen,
                                 struct job_result *out)
{
    out->refusal_count = read_array(r, recipients);
    if (msgpack_reader_status(r, false) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    out->refusals = arena_alloc_array(a, out->refusal_count + 1, sizeof out->refusals[0]);
    if (out->refusals == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < out->refusal_count; i++) {
        enum status status = refusal_read(r, recipients, seen, &out->refusals[i]);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

enum status job_result_decode(struct slice frame, size_t recipients, size_t fds, struct arena *a,
                              struct job_result *out)
{
    struct msgpack_reader r;
    *out = (struct job_result){0};
    msgpack_reader_init(&r, frame);
    if (read_array(&r, DONE_FIELDS) != DONE_FIELDS || read_u64(&r) != JOB_DONE) {
        read_fail(&r, STATUS_MALFORMED);
    }
    out->job = read_u64(&r);
    out->status = status_from_number(read_u64(&r));
    out->text = read_text(&r, FAILURE_TEXT_MAX);
    out->put_aside = read_bool(&r);
    out->notice = read_bool(&r);
    out->variant_count = read_array(&r, JOB_VARIANTS_MAX);
    if (msgpack_reader_status(&r, false) != STATUS_OK || !is_one_printable_line(out->text) ||
        out->variant_count != fds || (out->put_aside && (out->status != STATUS_OK || recipients == 0)) ||
        (out->status == STATUS_OK && !out->put_aside) != (out->variant_count > 0)) {
        return STATUS_MALFORMED;
    }
    bool *seen = arena_alloc_array(a, recipients + 1, sizeof seen[0]);
    if (seen == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t covered = 0;
    enum status status = variants_read(&r, recipients, a, seen, out, &covered);
    if (status == STATUS_OK) {
        status = refusals_read(&r, recipients, a, seen, out);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (out->put_aside && out->refusal_count > 0) {
        return STATUS_MALFORMED;
    }
    /* Nobody may fall between a variant and a refusal; `seen` has made sure that nobody is in two. */
    if (out->status == STATUS_OK && !out->put_aside &&
        (covered + out->refusal_count != recipients || (recipients == 0 && out->variant_count != 1))) {
        return STATUS_MALFORMED;
    }
    out->trace = read_bytes(&r, JOB_TRACE_MAX);
    out->subject = read_bytes(&r, JOB_SUBJECT_MAX);
    return msgpack_reader_status(&r, true);
}
