/*
 * FOLLOW (smtp/queue_protocol.h): whoever asks waits until something happens, QUEUE_FOLLOW_MS at most.
 * `after` has the place of each node that the asker follows, "NODE=NUMBER NODE=NUMBER"; without this node's,
 * it begins with what happens from now on.
 */
#include "smtp/queue_server_internal.h"

#include "base/msgpack_write.h"

#define FIELDS     3
#define TICK_MS    100
#define EVENTS_MAX 300 /* of one answer */
#define AFTER_MAX  4096

struct queue_follower {
    struct queue_follower *next;
    struct queue_client *client;
    uint64_t request, after, until_ms;
};

void queue_followers_drop(struct queue_server *s, const struct queue_client *c)
{
    for (struct queue_follower **at = &s->followers; *at != NULL;) {
        struct queue_follower *one = *at;
        if (c == NULL || one->client == c) {
            *at = one->next;
            free(one);
        } else {
            at = &one->next;
        }
    }
}

static void answer(struct queue_server *s, const struct queue_follower *one)
{
    struct buf events = BUF_INIT(QUEUE_BODY_MAX), body = BUF_INIT(QUEUE_BODY_MAX + 64);
    struct msgpack_writer w;
    uint64_t lost = 0, newest = 0;
    enum status status =
        queue_events_after(delivery_events(s->delivery), one->after, EVENTS_MAX, &events, &lost, &newest);
    msgpack_writer_init(&w, &body);
    write_array(&w, 3);
    write_u64(&w, newest);
    write_u64(&w, lost);
    status = status == STATUS_OK ? msgpack_writer_status(&w) : status;
    status = status == STATUS_OK ? buf_append_slice(&body, buf_slice(&events)) : status;
    queue_answer(one->client, QUEUE_FOLLOW, one->request, status,
                 status == STATUS_OK ? "" : status_text(status), status == STATUS_OK ? &body : NULL);
    buf_release(&events);
    buf_release(&body);
}

static void on_tick(uv_timer_t *timer)
{
    struct queue_server *s = timer->data;
    uint64_t now = clock_monotonic_ms();
    struct queue_follower **at = &s->followers;
    while (*at != NULL) {
        struct queue_follower *one = *at;
        if (s->delivery != NULL && delivery_events(s->delivery)->newest <= one->after &&
            now < one->until_ms) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        if (s->delivery != NULL) {
            answer(s, one); /* may drop the client, and others of it */
            at = &s->followers;
        }
        free(one);
    }
    if (s->followers == NULL) {
        (void)uv_timer_stop(timer);
    }
}

/* The number behind "NODE="; false: the node is not named. */
static bool place_of(struct slice after, struct slice node, uint64_t *number)
{
    while (after.len > 0) {
        size_t end = slice_find_byte(after, ' ');
        struct slice one = slice_of(after.data, end);
        size_t equals = slice_find_byte(one, '=');
        if (equals < one.len && slice_equal(slice_of(one.data, equals), node)) {
            return slice_parse_u64(slice_of(one.data + equals + 1, one.len - equals - 1), number);
        }
        end += end < after.len;
        after = slice_of(after.data + end, after.len - end);
    }
    return false;
}

bool queue_follow_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                      struct msgpack_reader *r)
{
    struct queue_server *s = c->server;
    struct queue_events *events = delivery_events(s->delivery);
    struct slice after = read_text(r, AFTER_MAX);
    if (fields != FIELDS || msgpack_reader_status(r, true) != STATUS_OK) {
        return false;
    }
    struct queue_follower *one = calloc(1, sizeof *one);
    if (one == NULL) {
        queue_answer(c, type, request, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), NULL);
        return true;
    }
    queue_events_follow(events);
    *one = (struct queue_follower){.next = s->followers, .client = c, .request = request};
    if (place_of(after, slice_of_text(s->options.node), &one->after)) {
        one->until_ms = clock_monotonic_ms() + QUEUE_FOLLOW_MS;
        one->after = one->after < events->newest ? one->after : events->newest;
    } else {
        one->after = events->newest; /* at once: where it begins */
    }
    s->followers = one;
    s->follow_timer.data = s;
    if (!uv_is_active((const uv_handle_t *)&s->follow_timer)) {
        (void)uv_timer_start(&s->follow_timer, on_tick, one->until_ms == 0 ? 0 : TICK_MS, TICK_MS);
    }
    return true;
}
