/* See queue_events.h. */
#include "smtp/queue_events.h"

#include "base/msgpack_write.h"

#define FOLLOWED_MS 60000
#define TEXT_MAX    ((size_t)512)
#define EVENT_MAX   ((size_t)4096)

void queue_events_release(struct queue_events *x)
{
    for (size_t i = 0; i < QUEUE_EVENTS_MAX; i++) {
        buf_release(&x->kept[i]);
    }
}

static struct slice cut(struct slice text)
{
    return slice_of(text.data, text.len < TEXT_MAX ? text.len : TEXT_MAX);
}

void queue_events_note(struct queue_events *x, const char *event, const uint8_t id[ID_SIZE],
                       const struct queue_event *about)
{
    char id_text[ID_TEXT_SIZE];
    if (clock_monotonic_ms() > x->followed_until_ms) {
        return;
    }
    id_format(id, id_text);
    struct queue_event e = {.time_ms = clock_wall_ms(),
                            .event = slice_of_text(event),
                            .id = slice_of_text(id_text),
                            .sender = cut(about->sender),
                            .recipient = cut(about->recipient),
                            .next_hop = cut(about->next_hop),
                            .enhanced = about->enhanced,
                            .text = cut(about->text)};
    struct buf *kept = &x->kept[(x->newest + 1) % QUEUE_EVENTS_MAX];
    kept->max = EVENT_MAX;
    buf_reset(kept);
    if (queue_event_encode(&e, kept) == STATUS_OK) {
        x->newest++;
    }
}

void queue_events_follow(struct queue_events *x)
{
    x->followed_until_ms = clock_monotonic_ms() + FOLLOWED_MS;
}

enum status queue_events_after(const struct queue_events *x, uint64_t after, size_t most, struct buf *out,
                               uint64_t *lost, uint64_t *newest)
{
    struct msgpack_writer w;
    uint64_t oldest = x->newest > QUEUE_EVENTS_MAX ? x->newest - QUEUE_EVENTS_MAX + 1 : 1;
    after = after < x->newest ? after : x->newest; /* this process is younger than the number */
    *lost = after + 1 < oldest ? oldest - after - 1 : 0;
    uint64_t from = after + *lost + 1, count = x->newest + 1 - from;
    count = count < most ? count : most;
    *newest = from + count - 1;
    msgpack_writer_init(&w, out);
    write_array(&w, (size_t)count);
    enum status status = msgpack_writer_status(&w);
    for (uint64_t i = 0; i < count && status == STATUS_OK; i++) {
        status = buf_append_slice(out, buf_slice(&x->kept[(from + i) % QUEUE_EVENTS_MAX]));
    }
    return status;
}
