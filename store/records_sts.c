/* See store/records_sts.h. */
#include "store/records_sts.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/tables.h"

#define RECORD_FIELDS       8
#define LABEL_MAX           63
#define HOST_NAME_MAX_BYTES 253
#define MINUTE_MS           ((uint64_t)60 * 1000)

const char *sts_mode_name(enum sts_mode mode)
{
    static const char *const names[] = {
        [STS_NONE] = "none", [STS_TESTING] = "testing", [STS_ENFORCE] = "enforce"};

    return mode < STS_MODE_END ? names[mode] : "unknown";
}

/* --- patterns --- */

static bool is_label(struct slice label)
{
    if (label.len == 0 || label.len > LABEL_MAX || label.data[0] == '-' || label.data[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        uint8_t c = label.data[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

bool sts_pattern_is_valid(struct slice pattern)
{
    if (pattern.len > HOST_NAME_MAX_BYTES)
        return false;
    if (slice_starts_with(pattern, SLICE_LITERAL("*.")))
        pattern = slice_of(pattern.data + 2, pattern.len - 2);
    for (;;) {
        size_t dot = slice_find_byte(pattern, '.');

        if (!is_label(slice_of(pattern.data, dot)))
            return false;
        if (dot == pattern.len)
            return true;
        pattern = slice_of(pattern.data + dot + 1, pattern.len - dot - 1);
    }
}

bool sts_patterns_are_valid(struct slice patterns)
{
    while (patterns.len > 0) {
        size_t end = slice_find_byte(patterns, ' ');

        if (!sts_pattern_is_valid(slice_of(patterns.data, end)) || end + 1 == patterns.len)
            return false;
        patterns = end < patterns.len ? slice_of(patterns.data + end + 1, patterns.len - end - 1)
                                      : (struct slice){0};
    }
    return true;
}

/* --- rows --- */

enum status sts_record_encode(const struct sts_record *r, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, RECORD_FIELDS);
    write_text(&w, r->id);
    write_u64(&w, r->mode);
    write_u64(&w, r->max_age_s);
    write_text(&w, r->mx);
    write_u64(&w, r->fetched_ms);
    write_u64(&w, r->asked_ms);
    write_u64(&w, r->failed_ms);
    write_text(&w, r->note);
    return msgpack_writer_status(&w);
}

enum status sts_record_decode(struct slice domain, struct slice value, struct sts_record *out)
{
    struct msgpack_reader r;
    uint64_t mode;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    if (read_array(&r, RECORD_FIELDS) != RECORD_FIELDS)
        read_fail(&r, STATUS_MALFORMED);
    out->domain = domain;
    out->id = read_text(&r, STS_ID_MAX);
    mode = read_u64(&r);
    out->max_age_s = read_u64(&r);
    out->mx = read_text(&r, STS_MX_MAX);
    out->fetched_ms = read_u64(&r);
    out->asked_ms = read_u64(&r);
    out->failed_ms = read_u64(&r);
    out->note = read_text(&r, STS_NOTE_MAX);
    if (msgpack_reader_status(&r, true) != STATUS_OK || mode >= STS_MODE_END ||
        out->max_age_s > STS_MAX_AGE_MAX)
        return STATUS_CORRUPT;
    out->mode = (enum sts_mode)mode;
    return STATUS_OK;
}

bool sts_in_force(const struct sts_record *r, uint64_t now_ms)
{
    return r->fetched_ms != 0 && now_ms < r->fetched_ms + r->max_age_s * 1000;
}

uint64_t sts_due_ms(const struct sts_record *r)
{
    uint64_t half = r->max_age_s * 500;

    if (r->asked_ms != 0)
        return 0;
    if (r->failed_ms != 0)
        return r->failed_ms + 60 * MINUTE_MS;
    if (half < 10 * MINUTE_MS)
        half = 10 * MINUTE_MS;
    return r->fetched_ms + (half < 24 * 60 * MINUTE_MS ? half : 24 * 60 * MINUTE_MS);
}

enum status store_sts_get(struct store_view *v, struct slice domain, struct sts_record *out)
{
    struct slice value;
    enum status status = table_find(v->store, v->txn, TABLE_STS, &domain, &value);

    return status == STATUS_OK ? sts_record_decode(domain, value, out) : status;
}

struct sts_walk {
    sts_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_row(void *context, struct slice key, struct slice value)
{
    struct sts_walk *walk = context;
    struct sts_record record;

    walk->status = sts_record_decode(key, value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_sts_all(struct store_view *v, sts_visit_cb cb, void *context)
{
    struct sts_walk walk = {.visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_STS, (struct slice){0}, visit_row, &walk);

    return status != STATUS_OK ? status : walk.status;
}
