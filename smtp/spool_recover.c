/*
 * Recovery: reads all segments from the oldest to the newest and rebuilds the table (smtp/spool_format.h says
 * what is damage, what a torn tail). Before the writer thread exists; memory is one window of a segment and
 * the table.
 */
#include "smtp/spool_internal.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW ((size_t)1 << 20)

/* One segment being read. */
struct scan {
    struct spool *spool;
    struct spool_segment *segment;
    struct buf window;
    uint64_t window_at;
    uint64_t size;
    /* the message whose ENVELOPE has come and whose COMMIT has not */
    bool open, whole;
    uint8_t id[ID_SIZE];
    uint64_t open_at;
    uint32_t records, variant, chunk;
    bool damaged; /* something between the last good record and here does not fit */
    struct failure *failure;
};

/* `len` bytes at `offset`; false at the end or when the disk fails (`failure` is set then). */
static bool scan_bytes(struct scan *c, uint64_t offset, size_t len, struct slice *out)
{
    if (offset > c->size || len > c->size - offset) {
        return false;
    }
    if (offset < c->window_at || offset + len > c->window_at + c->window.len) {
        size_t want = len > WINDOW ? len : WINDOW;
        if (want > c->size - offset) {
            want = (size_t)(c->size - offset);
        }
        buf_reset(&c->window);
        if (buf_reserve(&c->window, want) != STATUS_OK) {
            (void)failure_set(c->failure, STATUS_NO_MEMORY, "no memory to read the spool");
            return false;
        }
        while (c->window.len < want) {
            ssize_t n = pread(c->segment->fd, c->window.data + c->window.len, want - c->window.len,
                              (off_t)(offset + c->window.len));
            if (n < 0 && errno == EINTR) {
                continue;
            }
            if (n <= 0) {
                (void)failure_errno(c->failure, n < 0 ? errno : EIO, "cannot read spool segment %llu",
                                    (unsigned long long)c->segment->number);
                return false;
            }
            c->window.len += (size_t)n;
        }
        c->window_at = offset;
    }
    *out = slice_of(c->window.data + (offset - c->window_at), len);
    return true;
}

static bool header_at(struct scan *c, uint64_t offset, struct spool_record *record)
{
    struct slice header;
    return scan_bytes(c, offset, SPOOL_RECORD_HEADER, &header) &&
           spool_record_read(header.data, record) == STATUS_OK &&
           spool_record_size(record->payload_len) <= c->size - offset;
}

/* An acknowledged message that is not whole: kept out of delivery, shown to the administrator. */
static void damaged_message(struct scan *c, const uint8_t id[ID_SIZE], uint64_t from, uint64_t to)
{
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    log_event(LOG_ERROR, "a spooled message is damaged and will not be delivered", LOG_TEXT("id", text),
              LOG_NUMBER("segment", c->segment->number), LOG_NUMBER("offset", from));
    c->spool->counts.damaged++;
    struct spool_place *place = spool_table_put(&c->spool->table, id);
    if (place == NULL) {
        (void)failure_set(c->failure, STATUS_NO_MEMORY, "no memory for the spool's table");
        return;
    }
    if (place->segment != NULL) {
        if (!place->damaged) {
            return; /* an older copy is whole: that one counts */
        }
        spool_live_remove(c->spool, place);
    }
    place->segment = c->segment;
    place->offset = from;
    place->length = to - from;
    place->damaged = true;
    place->commit_flags = SPOOL_COMMIT_QUARANTINED;
    spool_live_add(c->spool, place);
}

static void open_message_ends(struct scan *c, uint64_t at)
{
    if (!c->open) {
        return;
    }
    c->open = false;
    if (c->damaged) {
        damaged_message(c, c->id, c->open_at, at);
    } else {
        c->spool->counts.torn++; /* given up by the writer before its COMMIT: nobody was told 250 */
    }
}

static void commit_comes(struct scan *c, const struct spool_record *record, struct slice payload, bool good,
                         uint64_t at, uint64_t end)
{
    uint64_t before = good && payload.len == SPOOL_COMMIT_PAYLOAD ? spool_get_u64(payload.data + 8) : 0;
    bool ours = c->open && memcmp(c->id, record->id, ID_SIZE) == 0;
    if (!ours) {
        open_message_ends(c, at);
        char text[ID_TEXT_SIZE];
        id_format(record->id, text);
        log_event(LOG_ERROR, "a spooled message has lost its envelope", LOG_TEXT("id", text));
        c->spool->counts.damaged++;
        return;
    }
    c->open = false;
    if (!good || !c->whole || record->variant != c->records || before != at - c->open_at) {
        damaged_message(c, c->id, c->open_at, end);
        return;
    }
    struct spool_place *place = spool_table_put(&c->spool->table, record->id);
    if (place == NULL) {
        (void)failure_set(c->failure, STATUS_NO_MEMORY, "no memory for the spool's table");
        return;
    }
    if (place->segment != NULL) {
        spool_live_remove(c->spool, place);
    }
    place->segment = c->segment;
    place->offset = c->open_at;
    place->length = end - c->open_at;
    place->commit_flags = payload.data[0];
    place->damaged = false;
    spool_live_add(c->spool, place);
}

static void chunk_comes(struct scan *c, const struct spool_record *record, bool good)
{
    bool follows = (record->variant == c->variant && record->chunk == c->chunk) ||
                   (record->variant > c->variant && record->chunk == 0);
    if (!c->open || memcmp(c->id, record->id, ID_SIZE) != 0) {
        return; /* its COMMIT will tell that something is missing */
    }
    c->whole = c->whole && good && follows;
    c->records++;
    c->variant = record->variant;
    c->chunk = record->chunk + 1;
}

static void record_comes(struct scan *c, const struct spool_record *record, struct slice payload, uint64_t at,
                         uint64_t end)
{
    bool good = spool_record_payload_good(record, payload);
    struct spool_place *place = spool_table_find(&c->spool->table, record->id);
    switch (record->type) {
    case SPOOL_RECORD_ENVELOPE:
        open_message_ends(c, at);
        c->open = true;
        c->whole = good;
        c->damaged = false;
        memcpy(c->id, record->id, ID_SIZE);
        c->open_at = at;
        c->records = 1;
        c->variant = 0;
        c->chunk = 0;
        break;
    case SPOOL_RECORD_CHUNK:
        chunk_comes(c, record, good);
        break;
    case SPOOL_RECORD_COMMIT:
        commit_comes(c, record, payload, good, at, end);
        break;
    case SPOOL_RECORD_STATE:
        open_message_ends(c, at);
        if (place != NULL && good) {
            place->state_segment = c->segment;
            place->state_offset = at;
            place->state_length = (uint32_t)(end - at);
        }
        break;
    case SPOOL_RECORD_DELETED:
        open_message_ends(c, at);
        if (place != NULL) {
            spool_live_remove(c->spool, place);
            spool_table_remove(&c->spool->table, place);
        }
        break;
    case SPOOL_RECORD_SEGMENT:
    case SPOOL_RECORD_END:
        break;
    }
    if (!good) {
        c->damaged = true;
    }
}

static enum status check_first_record(struct scan *c, struct failure *f)
{
    struct spool_record record;
    struct slice whole;
    if (c->size < spool_record_size(SPOOL_SEGMENT_PAYLOAD) || !header_at(c, 0, &record) ||
        record.type != SPOOL_RECORD_SEGMENT || record.payload_len != SPOOL_SEGMENT_PAYLOAD ||
        !scan_bytes(c, SPOOL_RECORD_HEADER, SPOOL_SEGMENT_PAYLOAD, &whole)) {
        return f->status; /* a crash while it was made, or damage: the scan shows what is left */
    }
    uint32_t version = spool_get_u32(whole.data);
    if (spool_record_payload_good(&record, whole) && version > SPOOL_FORMAT_VERSION) {
        return failure_set(f, STATUS_VERSION, "the spool was written by a newer release (format %u)",
                           version);
    }
    return STATUS_OK;
}

/* Behind the last good record: a write that was cut off leaves a good header with too few bytes after it, or
 * zeros. Bytes that are neither, and enough of them, were a COMMIT: the disk has changed them. */
static bool commit_was_here(struct scan *c, uint64_t at)
{
    struct slice bytes;
    struct spool_record record;
    if (!scan_bytes(c, at, (size_t)spool_record_size(SPOOL_COMMIT_PAYLOAD), &bytes) ||
        spool_record_read(bytes.data, &record) == STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] != 0) {
            return true;
        }
    }
    return false;
}

static enum status scan_segment(struct spool *s, struct spool_segment *segment, struct failure *f)
{
    struct scan c = {.spool = s, .segment = segment, .size = segment->size, .failure = f};
    c.window = BUF_INIT(SPOOL_PAYLOAD_MAX + 2 * WINDOW);
    enum status status = check_first_record(&c, f);
    uint64_t at = 0, good_end = 0;
    while (status == STATUS_OK && at + SPOOL_RECORD_HEADER <= c.size) {
        struct spool_record record;
        struct slice payload;
        if (!header_at(&c, at, &record) ||
            !scan_bytes(&c, at + SPOOL_RECORD_HEADER, record.payload_len, &payload)) {
            c.damaged = true;
            c.whole = false;
            at += 8;
            status = f->status;
            continue;
        }
        uint64_t end = at + spool_record_size(record.payload_len);
        record_comes(&c, &record, payload, at, end);
        at = end;
        good_end = end;
        status = f->status;
    }
    if (status == STATUS_OK && c.open && commit_was_here(&c, good_end)) {
        damaged_message(&c, c.id, c.open_at, c.size);
        status = f->status;
    } else if (c.open || good_end < c.size) {
        s->counts.torn++; /* the tail: no COMMIT came, so nobody was told 250 */
        log_event(LOG_INFO, "the end of a spool segment is torn", LOG_NUMBER("segment", segment->number),
                  LOG_NUMBER("bytes", c.size - (c.open ? c.open_at : good_end)));
    }
    buf_release(&c.window);
    return status;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static enum status list_segments(struct spool *s, struct buf *numbers, struct failure *f)
{
    int fd = dup(s->dir_fd);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        enum status status = failure_errno(f, errno, "cannot read the spool folder");
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    enum status status = STATUS_OK;
    rewinddir(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL && status == STATUS_OK; entry = readdir(dir)) {
        struct slice name = slice_of_text(entry->d_name);
        uint64_t number = 0;
        if (name.len > 4 && memcmp(name.data + name.len - 4, ".seg", 4) == 0 &&
            slice_parse_u64(slice_of(name.data, name.len - 4), &number)) {
            status = buf_append(numbers, &number, sizeof number);
        }
    }
    (void)closedir(dir);
    if (status != STATUS_OK) {
        return failure_set(f, status, "too many spool segments");
    }
    if (numbers->len > 0) {
        qsort(numbers->data, numbers->len / sizeof(uint64_t), sizeof(uint64_t), compare_numbers);
    }
    return STATUS_OK;
}

static void found_tell(struct spool *s, const struct spool_place *place, spool_found_cb cb, void *context)
{
    bool quarantined = (place->commit_flags & SPOOL_COMMIT_QUARANTINED) != 0;
    struct spool_found found = {.state = quarantined ? SPOOL_QUARANTINED : SPOOL_ACTIVE,
                                .damaged = place->damaged,
                                .unprocessed = (place->commit_flags & SPOOL_COMMIT_UNPROCESSED) != 0,
                                .bytes = place->length};
    found.notice_due = !place->damaged && (place->commit_flags & SPOOL_COMMIT_NOTICE) != 0;
    memcpy(found.id, place->id, ID_SIZE);
    uint8_t fixed[SPOOL_RECORD_HEADER + SPOOL_STATE_FIXED];
    if (place->state_segment != NULL && !place->damaged &&
        pread(place->state_segment->fd, fixed, sizeof fixed, (off_t)place->state_offset) ==
            (ssize_t)sizeof fixed) {
        /* Whole and good: recovery checked its CRC. Only the fixed part is needed here. */
        const uint8_t *p = fixed + SPOOL_RECORD_HEADER;
        found.state = p[1] <= SPOOL_HELD ? (enum spool_message_state)p[1] : SPOOL_QUARANTINED;
        found.notice_due = found.notice_due && (p[2] & SPOOL_STATE_NOTICED) == 0;
        found.attempts = spool_get_u32(p + 4);
        found.next_attempt_ms = spool_get_u64(p + 8);
    }
    (void)s;
    cb(context, &found);
}

enum status spool_recover(struct spool *s, spool_found_cb found, void *context, struct failure *f)
{
    struct buf numbers = BUF_INIT((size_t)8 << 20);
    enum status status = list_segments(s, &numbers, f);
    for (size_t i = 0; i < numbers.len / sizeof(uint64_t) && status == STATUS_OK; i++) {
        uint64_t number = 0;
        memcpy(&number, numbers.data + i * sizeof number, sizeof number);
        char name[32];
        spool_segment_name(number, name);
        struct stat st;
        int fd = openat(s->dir_fd, name, O_RDWR | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) != 0) {
            status = failure_errno(f, errno, "cannot open the spool segment %s", name);
            if (fd >= 0) {
                (void)close(fd);
            }
            break;
        }
        struct spool_segment *segment = spool_segment_append(s, number, fd, (uint64_t)st.st_size);
        if (segment == NULL) {
            (void)close(fd);
            status = failure_set(f, STATUS_NO_MEMORY, "no memory for the spool");
            break;
        }
        status = scan_segment(s, segment, f);
    }
    buf_release(&numbers);
    if (status != STATUS_OK) {
        return status;
    }
    spool_segments_collect(s);
    for (size_t i = 0; i < s->table.capacity; i++) {
        if (s->table.slots[i].segment != NULL) {
            found_tell(s, &s->table.slots[i], found, context);
        }
    }
    return STATUS_OK;
}
