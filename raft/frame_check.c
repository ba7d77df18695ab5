/* See raft/frame_check.h. Pure, any thread. */
#include "raft/frame_check.h"

#define PREAMBLE       16
#define APPEND_FIXED   40 /* term, index, term, commit, n */
#define ENTRY_HEADER   16
#define SNAPSHOT_FIXED 48 /* five numbers and, behind the conf, the data length */
#define SLACK          8  /* libraft counts a field that it does not write */
#define CONF_MAX       ((size_t)64 << 10)
#define HEADER_MAX     (PREAMBLE + APPEND_FIXED + SLACK + (size_t)ENTRY_HEADER * FRAME_ENTRIES_MAX)
#define ENTRY_DATA_MAX ((size_t)16 << 20)

enum message_type {
    APPEND_ENTRIES = 1,
    APPEND_ENTRIES_RESULT,
    REQUEST_VOTE,
    REQUEST_VOTE_RESULT,
    INSTALL_SNAPSHOT,
    TIMEOUT_NOW
};
enum entry_type { ENTRY_COMMAND = 1, ENTRY_BARRIER, ENTRY_CONF };

void frame_check_init(struct frame_check *c)
{
    *c = (struct frame_check){
        .header = BUF_INIT(HEADER_MAX), .conf = BUF_INIT(CONF_MAX), .header_need = PREAMBLE};
}

void frame_check_release(struct frame_check *c)
{
    buf_release(&c->header);
    buf_release(&c->conf);
}

static uint64_t number_at(struct slice s, size_t at, size_t size)
{
    uint64_t value = 0;

    for (size_t i = size; i-- > 0;)
        value = value << 8 | s.data[at + i];
    return value;
}

static bool conf_is_good(struct slice conf)
{
    uint64_t count;
    size_t at = 9;

    if (conf.len < 9 || conf.len % 8 != 0 || conf.data[0] != 1)
        return false;
    count = number_at(conf, 1, 8);
    if (count > FRAME_SERVERS_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        struct slice rest;
        size_t nul;

        if (conf.len - at < 8 || number_at(conf, at, 8) == 0)
            return false;
        at += 8;
        rest = slice_of(conf.data + at, conf.len - at);
        nul = slice_find_byte(rest, 0);
        if (nul == 0 || nul > 255 || rest.len - nul < 2 || rest.data[nul + 1] > 2)
            return false;
        at += nul + 2;
    }
    return conf.len - at < 8;
}

static bool fixed_size_is_good(uint64_t type, uint64_t len)
{
    switch (type) {
    case APPEND_ENTRIES:
        return len >= APPEND_FIXED && len <= HEADER_MAX - PREAMBLE;
    case APPEND_ENTRIES_RESULT:
    case TIMEOUT_NOW:
        return len == 24;
    case REQUEST_VOTE:
        return len == 32 || len == 40;
    case REQUEST_VOTE_RESULT:
        return len == 16 || len == 24;
    case INSTALL_SNAPSHOT:
        return len >= SNAPSHOT_FIXED && len <= SNAPSHOT_FIXED + SLACK + CONF_MAX;
    default:
        return false;
    }
}

static struct slice entry_header(const struct frame_check *c, size_t i)
{
    return slice_of(c->header.data + PREAMBLE + APPEND_FIXED + i * ENTRY_HEADER, ENTRY_HEADER);
}

static enum status check_append(struct frame_check *c, struct slice body, struct failure *f)
{
    uint64_t count = number_at(body, 32, 8);
    size_t sum = 0;

    if (count > FRAME_ENTRIES_MAX || body.len < APPEND_FIXED + count * ENTRY_HEADER ||
        body.len > APPEND_FIXED + count * ENTRY_HEADER + SLACK)
        return failure_set(f, STATUS_MALFORMED, "a batch says %llu entries in %zu bytes",
                           (unsigned long long)count, body.len);
    for (size_t i = 0; i < count; i++) {
        struct slice entry = entry_header(c, i);
        uint64_t type = entry.data[8], len = number_at(entry, 12, 4);

        if (type < ENTRY_COMMAND || type > ENTRY_CONF || len == 0 || len % 8 != 0 || len > ENTRY_DATA_MAX)
            return failure_set(f, STATUS_MALFORMED, "an entry of type %llu has %llu bytes",
                               (unsigned long long)type, (unsigned long long)len);
        sum += (size_t)len;
        if (sum > FRAME_PAYLOAD_MAX)
            return failure_set(f, STATUS_MALFORMED, "a batch is larger than %zu bytes", FRAME_PAYLOAD_MAX);
    }
    c->snapshot = false;
    c->payload_left = sum;
    c->entries = (size_t)count;
    c->entry = 0;
    c->entry_left = 0;
    return STATUS_OK;
}

static enum status check_snapshot(struct frame_check *c, struct slice body, struct failure *f)
{
    uint64_t conf_len = number_at(body, 32, 8), data_len;

    if (conf_len > body.len - SNAPSHOT_FIXED || body.len - SNAPSHOT_FIXED - conf_len > SLACK ||
        !conf_is_good(slice_of(body.data + 40, (size_t)conf_len)))
        return failure_set(f, STATUS_MALFORMED, "a snapshot's membership is not well formed");
    data_len = number_at(body, 40 + (size_t)conf_len, 8);
    if (data_len == 0 || data_len > FRAME_SNAPSHOT_MAX)
        return failure_set(f, STATUS_MALFORMED, "a snapshot says %llu bytes", (unsigned long long)data_len);
    c->snapshot = true;
    c->payload_left = (size_t)data_len;
    return STATUS_OK;
}

/* The preamble, or the whole header, is there. */
static enum status header_comes(struct frame_check *c, struct failure *f)
{
    struct slice all = buf_slice(&c->header);
    uint64_t type = number_at(all, 0, 8), len = number_at(all, 8, 8);
    struct slice body = slice_of(all.data + PREAMBLE, all.len - PREAMBLE);

    if (c->header_need == PREAMBLE) {
        if (!fixed_size_is_good(type, len))
            return failure_set(f, STATUS_MALFORMED, "a message of type %llu says %llu bytes of header",
                               (unsigned long long)type, (unsigned long long)len);
        c->header_need = PREAMBLE + (size_t)len;
        return STATUS_OK;
    }
    c->payload_left = 0;
    if (type == APPEND_ENTRIES)
        return check_append(c, body, f);
    if (type == INSTALL_SNAPSHOT)
        return check_snapshot(c, body, f);
    return STATUS_OK;
}

static void next_message(struct frame_check *c)
{
    buf_reset(&c->header);
    c->header_need = PREAMBLE;
}

/* Some bytes of the entries' data: membership entries are kept and looked at when they are whole. */
static enum status entries_come(struct frame_check *c, struct slice bytes, struct failure *f)
{
    while (bytes.len > 0) {
        bool conf;
        size_t take;

        if (c->entry_left == 0) {
            c->entry_left = (size_t)number_at(entry_header(c, c->entry), 12, 4);
            buf_reset(&c->conf);
        }
        conf = entry_header(c, c->entry).data[8] == ENTRY_CONF;
        take = bytes.len < c->entry_left ? bytes.len : c->entry_left;
        if (conf && buf_append(&c->conf, bytes.data, take) != STATUS_OK)
            return failure_set(f, STATUS_MALFORMED, "a membership entry is too large");
        c->entry_left -= take;
        bytes = slice_of(bytes.data + take, bytes.len - take);
        if (c->entry_left > 0)
            continue;
        if (conf && !conf_is_good(buf_slice(&c->conf)))
            return failure_set(f, STATUS_MALFORMED, "a membership entry is not well formed");
        c->entry++;
    }
    return STATUS_OK;
}

enum status frame_check_feed(struct frame_check *c, struct slice bytes, struct failure *f)
{
    while (bytes.len > 0) {
        size_t take;
        enum status status = STATUS_OK;

        if (c->payload_left > 0) {
            take = bytes.len < c->payload_left ? bytes.len : c->payload_left;
            if (!c->snapshot)
                status = entries_come(c, slice_of(bytes.data, take), f);
            c->payload_left -= take;
            if (c->payload_left == 0)
                next_message(c);
        } else {
            take = c->header_need - c->header.len;
            if (take > bytes.len)
                take = bytes.len;
            if (buf_append(&c->header, bytes.data, take) != STATUS_OK)
                return failure_set(f, STATUS_NO_MEMORY, "out of memory for a peer's message");
            if (c->header.len == c->header_need) {
                bool whole = c->header_need > PREAMBLE;

                status = header_comes(c, f);
                if (status == STATUS_OK && whole && c->payload_left == 0)
                    next_message(c);
            }
        }
        if (status != STATUS_OK)
            return status;
        bytes = slice_of(bytes.data + take, bytes.len - take);
    }
    return STATUS_OK;
}
