/* See queue_selection.h. */
#include "smtp/queue_selection.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#define FIELDS 9

static const char *const states[] = {"active", "deferred", "held", "quarantined"};

bool queue_state_exists(struct slice state)
{
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (slice_equal(state, slice_of_text(states[i]))) {
            return true;
        }
    }
    return false;
}

const char *queue_state_of(const struct schedule_entry *e)
{
    switch (e->state) {
    case SCHEDULE_QUARANTINED:
        return states[3];
    case SCHEDULE_HELD:
        return states[2];
    case SCHEDULE_WAITING:
    case SCHEDULE_ACTIVE:
        break;
    }
    return e->attempts > 0 ? states[1] : states[0];
}

uint64_t queue_arrival_of(const uint8_t id[ID_SIZE])
{
    uint64_t ms = 0;
    for (size_t i = 0; i < 6; i++) {
        ms = ms << 8 | id[i];
    }
    return ms;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Goes back to the last * only: linear but for repeats of one piece. */
bool queue_pattern_fits(struct slice pattern, struct slice text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.len && lower(pattern.data[p]) == lower(text.data[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

/* All of it with a *, else a part. */
static bool text_fits(struct slice wanted, struct slice text)
{
    if (slice_find_byte(wanted, '*') < wanted.len) {
        return queue_pattern_fits(wanted, text);
    }
    return slice_find_nocase(text, wanted) < text.len;
}

/* "@example.com": any address there. */
static bool address_fits(struct slice wanted, struct slice address)
{
    if (wanted.len > 0 && wanted.data[0] == '@') {
        return queue_pattern_fits(slice_of(wanted.data + 1, wanted.len - 1), queue_domain_of(address));
    }
    return queue_pattern_fits(wanted, address);
}

static bool about_recipient(const struct queue_selection *s)
{
    return s->recipient.len > 0 || s->domain.len > 0 || s->reason.len > 0 || s->next_hop.len > 0;
}

bool queue_selection_needs_facts(const struct queue_selection *s)
{
    return s->sender.len > 0 || about_recipient(s);
}

bool queue_waiting_fits(const struct queue_selection *s, const struct queue_waiting *w)
{
    struct slice address = queue_name_text(w->address);
    return (s->recipient.len == 0 || address_fits(s->recipient, address)) &&
           (s->domain.len == 0 || queue_pattern_fits(s->domain, queue_domain_of(address))) &&
           (s->reason.len == 0 || text_fits(s->reason, queue_name_text(w->reply))) &&
           (s->next_hop.len == 0 || text_fits(s->next_hop, queue_name_text(w->next_hop)));
}

static bool sender_fits(struct slice wanted, struct slice sender)
{
    return slice_equal(wanted, SLICE_LITERAL("<>")) ? sender.len == 0
                                                    : sender.len > 0 && address_fits(wanted, sender);
}

bool queue_selection_fits(const struct queue_selection *s, const struct schedule_entry *e)
{
    uint64_t arrived = queue_arrival_of(e->id);
    if ((s->since_ms > 0 && arrived < s->since_ms) || (s->until_ms > 0 && arrived >= s->until_ms) ||
        (s->state.len > 0 && !slice_equal(s->state, slice_of_text(queue_state_of(e))))) {
        return false;
    }
    if (!queue_selection_needs_facts(s)) {
        return true;
    }
    const struct queue_facts *facts = e->facts;
    if (facts == NULL || (s->sender.len > 0 && !sender_fits(s->sender, queue_name_text(facts->sender)))) {
        return false; /* without facts: it cannot be read, so it is none that anybody named */
    }
    for (size_t i = 0; i < facts->count; i++) {
        if (queue_waiting_fits(s, &facts->waiting[i])) {
            return true;
        }
    }
    return !about_recipient(s);
}

enum status queue_selection_encode(const struct queue_selection *s, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, FIELDS);
    write_text(&w, s->node);
    write_text(&w, s->sender);
    write_text(&w, s->recipient);
    write_text(&w, s->domain);
    write_text(&w, s->reason);
    write_text(&w, s->next_hop);
    write_text(&w, s->state);
    write_u64(&w, s->since_ms);
    write_u64(&w, s->until_ms);
    return msgpack_writer_status(&w);
}

void queue_selection_read(struct msgpack_reader *r, struct queue_selection *s)
{
    *s = (struct queue_selection){0};
    if (read_array(r, FIELDS) != FIELDS) {
        read_fail(r, STATUS_MALFORMED);
        return;
    }
    s->node = read_text(r, QUEUE_PATTERN_MAX);
    s->sender = read_text(r, QUEUE_PATTERN_MAX);
    s->recipient = read_text(r, QUEUE_PATTERN_MAX);
    s->domain = read_text(r, QUEUE_PATTERN_MAX);
    s->reason = read_text(r, QUEUE_PATTERN_MAX);
    s->next_hop = read_text(r, QUEUE_PATTERN_MAX);
    s->state = read_text(r, QUEUE_PATTERN_MAX);
    s->since_ms = read_u64(r);
    s->until_ms = read_u64(r);
}

bool queue_selection_copy(struct arena *a, const struct queue_selection *from, struct queue_selection *to)
{
    *to = *from;
    return arena_copy(a, from->node, &to->node) && arena_copy(a, from->sender, &to->sender) &&
           arena_copy(a, from->recipient, &to->recipient) && arena_copy(a, from->domain, &to->domain) &&
           arena_copy(a, from->reason, &to->reason) && arena_copy(a, from->next_hop, &to->next_hop) &&
           arena_copy(a, from->state, &to->state);
}
