/*
 * A message of the log put together from its records: what was answered, then every event in order, which
 * gives the state of each recipient and of the message; and the whole as JSON (docs/messages.md). Pure; any
 * thread.
 *
 * The state of a message: refused (nobody was accepted), deleted, quarantined, waiting (no attempt is over
 * yet), deferred, bounced (all is over, and somebody failed or was refused), delivered.
 */
#include "smtp/message_log_internal.h"

#include "mail/json_write.h"

#define LIST_PEOPLE_MAX  10
#define WHOLE_PEOPLE_MAX 1000
#define WHOLE_EVENTS_MAX 300 /* a line each; the newest */
#define TEXT_SHOWN_MAX   500

static void event_follow(struct message_entry *e, const struct message_event *event, bool *deleted)
{
    for (size_t i = 0; i < event->outcome_count; i++) {
        const struct message_outcome *o = &event->outcomes[i];
        if (o->position < e->taken.people_count) {
            e->states[o->position] = o->state;
            e->texts[o->position] = o->text;
            e->next_hops[o->position] = o->next_hop;
            e->enhanced[o->position] = o->enhanced;
        }
    }
    *deleted = *deleted || event->type == MESSAGE_EVENT_DELETED;
    for (size_t i = 0; i < e->taken.people_count; i++) {
        if (event->type == MESSAGE_EVENT_RELEASED && e->states[i] == MESSAGE_QUARANTINED) {
            e->states[i] = MESSAGE_WAITING;
        }
    }
}

static const char *state_of(const struct message_entry *e, bool deleted)
{
    size_t counts[MESSAGE_STATE_COUNT] = {0};
    for (size_t i = 0; i < e->taken.people_count; i++) {
        counts[e->states[i]]++;
    }
    if (e->taken.people_count > 0 && counts[MESSAGE_REFUSED] == e->taken.people_count) {
        return "refused";
    }
    if (deleted) {
        return "deleted";
    }
    if (counts[MESSAGE_DEFERRED] > 0) {
        return "deferred";
    }
    if (counts[MESSAGE_WAITING] > 0) {
        return "waiting";
    }
    if (counts[MESSAGE_QUARANTINED] > 0) {
        return "quarantined";
    }
    return counts[MESSAGE_FAILED] + counts[MESSAGE_REFUSED] > 0 ? "bounced" : "delivered";
}

enum status message_entry_make(struct message_entry *e, struct arena *a)
{
    size_t count = e->taken.people_count;
    bool deleted = false;
    e->states = arena_alloc_array(a, count + 1, sizeof e->states[0]);
    e->texts = arena_alloc_array(a, count + 1, sizeof e->texts[0]);
    e->next_hops = arena_alloc_array(a, count + 1, sizeof e->next_hops[0]);
    e->enhanced = arena_alloc_array(a, count + 1, sizeof e->enhanced[0]);
    if (e->states == NULL || e->texts == NULL || e->next_hops == NULL || e->enhanced == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        e->states[i] = e->taken.people[i].state;
        e->texts[i] = e->taken.people[i].text;
    }
    for (size_t i = 0; i < e->event_count; i++) {
        event_follow(e, &e->events[i], &deleted);
    }
    e->state = state_of(e, deleted);
    return STATUS_OK;
}

static struct slice cut(struct slice s)
{
    return slice_of(s.data, s.len < TEXT_SHOWN_MAX ? s.len : TEXT_SHOWN_MAX);
}

static void put_time(struct json_writer *w, const char *name, uint64_t ms)
{
    char text[TIME_RFC3339_SIZE];
    time_format_rfc3339(ms, text);
    json_put_text(w, name, slice_of_text(text));
}

static void put_people(struct json_writer *w, const struct message_entry *e, size_t max)
{
    size_t shown = e->taken.people_count < max ? e->taken.people_count : max;
    json_open_array(w, "recipients");
    for (size_t i = 0; i < shown; i++) {
        json_open_object(w, NULL);
        json_put_text(w, "address", cut(e->taken.people[i].address));
        json_put_text(w, "state", slice_of_text(message_state_word(e->states[i])));
        json_put_text(w, "protection", cut(e->taken.people[i].protection));
        json_put_text(w, "last_reply", cut(e->texts[i]));
        json_put_text(w, "next_hop", cut(e->next_hops[i]));
        json_close_object(w);
    }
    json_close_array(w);
    json_put_number(w, "recipient_count", e->taken.recipient_count);
}

static void put_event(struct json_writer *w, const struct message_entry *e, const struct message_event *event,
                      const struct message_outcome *o)
{
    json_open_object(w, NULL);
    put_time(w, "time", event->time_ms);
    json_put_text(w, "event",
                  slice_of_text(o != NULL ? message_state_word(o->state) : message_event_word(event->type)));
    if (event->attempt > 0) {
        json_put_number(w, "attempt", event->attempt);
    }
    if (o != NULL) {
        bool known = o->position < e->taken.people_count;
        json_put_text(w, "recipient", known ? cut(e->taken.people[o->position].address) : SLICE_LITERAL(""));
        json_put_text(w, "next_hop", cut(o->next_hop));
        json_put_text(w, "status", cut(o->enhanced));
    }
    json_put_text(w, "text", cut(o != NULL ? o->text : event->text));
    json_close_object(w);
}

static size_t lines_of(const struct message_event *event)
{
    return event->outcome_count > 0 ? event->outcome_count : 1;
}

static void put_events(struct json_writer *w, const struct message_entry *e)
{
    size_t lines = 0, line = 0;
    for (size_t i = 0; i < e->event_count; i++) {
        lines += lines_of(&e->events[i]);
    }
    size_t omitted = lines > WHOLE_EVENTS_MAX ? lines - WHOLE_EVENTS_MAX : 0;
    json_open_array(w, "events");
    for (size_t i = 0; i < e->event_count; i++) {
        const struct message_event *event = &e->events[i];
        for (size_t n = 0; n < lines_of(event); n++) {
            if (line++ >= omitted) {
                put_event(w, e, event, event->outcome_count > 0 ? &event->outcomes[n] : NULL);
            }
        }
    }
    json_close_array(w);
    if (omitted > 0) {
        json_put_number(w, "events_omitted", omitted);
    }
}

enum status message_entry_json(const struct message_entry *e, const uint8_t id[ID_SIZE], const char *node,
                               bool whole, struct buf *out)
{
    const struct message_taken *t = &e->taken;
    struct json_writer w;
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    json_writer_init(&w, out);
    json_open_object(&w, NULL);
    json_put_text(&w, "id", slice_of_text(text));
    json_put_text(&w, "node", slice_of_text(node));
    json_put_text(&w, "state", slice_of_text(e->state));
    put_time(&w, "arrived", t->arrived_ms);
    json_put_text(&w, "sender", cut(t->sender));
    json_put_text(&w, "client_ip", cut(t->client_ip));
    json_put_text(&w, "helo", cut(t->helo));
    json_put_text(&w, "listener", cut(t->listener));
    json_put_number(&w, "size", t->size);
    if (t->subject.len > 0) {
        json_put_text(&w, "subject", cut(t->subject));
    }
    json_put_text(&w, "reply", cut(t->reply));
    put_people(&w, e, whole ? WHOLE_PEOPLE_MAX : LIST_PEOPLE_MAX);
    if (whole) {
        put_events(&w, e);
    }
    json_close_object(&w);
    return json_writer_status(&w);
}
