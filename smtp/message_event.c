/* The message log's records as bytes (smtp/message_event.h). */
#include "smtp/message_event.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#define EVENT_VERSION  1
#define TAKEN_FIELDS   11
#define PERSON_FIELDS  4
#define EVENT_FIELDS   6
#define OUTCOME_FIELDS 5

static const char *const state_words[MESSAGE_STATE_COUNT] = {
#define X(name, word) [MESSAGE_##name] = (word),
    MESSAGE_STATE_TABLE(X)
#undef X
};

static const char *const event_words[MESSAGE_EVENT_COUNT] = {
#define X(name, word) [MESSAGE_EVENT_##name] = (word),
    MESSAGE_EVENT_TABLE(X)
#undef X
};

const char *message_state_word(enum message_state state)
{
    return state_words[state];
}

const char *message_event_word(enum message_event_type type)
{
    return event_words[type];
}

/* Anybody's bytes: kept as they are, only not without end. */
static void write_cut(struct msgpack_writer *w, struct slice s)
{
    write_bytes(w, slice_of(s.data, s.len < MESSAGE_TEXT_MAX ? s.len : MESSAGE_TEXT_MAX));
}

static struct slice read_cut(struct msgpack_reader *r)
{
    return read_bytes(r, MESSAGE_TEXT_MAX);
}

static size_t at_most(size_t count, size_t max)
{
    return count < max ? count : max;
}

enum status message_taken_encode(const struct message_taken *t, struct buf *out)
{
    struct msgpack_writer w;
    size_t people = at_most(t->people_count, MESSAGE_PEOPLE_MAX);
    msgpack_writer_init(&w, out);
    write_array(&w, TAKEN_FIELDS);
    write_u64(&w, EVENT_VERSION);
    write_u64(&w, t->arrived_ms);
    write_u64(&w, t->size);
    write_cut(&w, t->sender);
    write_cut(&w, t->client_ip);
    write_cut(&w, t->helo);
    write_cut(&w, t->listener);
    write_cut(&w, t->subject);
    write_cut(&w, t->reply);
    write_array(&w, people);
    for (size_t i = 0; i < people; i++) {
        const struct message_person *p = &t->people[i];
        write_array(&w, PERSON_FIELDS);
        write_cut(&w, p->address);
        write_u64(&w, p->state);
        write_cut(&w, p->protection);
        write_cut(&w, p->text);
    }
    write_u64(&w, t->recipient_count);
    return msgpack_writer_status(&w);
}

enum status message_event_encode(const struct message_event *e, struct buf *out)
{
    struct msgpack_writer w;
    size_t outcomes = at_most(e->outcome_count, MESSAGE_OUTCOMES_MAX);
    msgpack_writer_init(&w, out);
    write_array(&w, EVENT_FIELDS);
    write_u64(&w, EVENT_VERSION);
    write_u64(&w, e->type);
    write_u64(&w, e->time_ms);
    write_u64(&w, e->attempt);
    write_cut(&w, e->text);
    write_array(&w, outcomes);
    for (size_t i = 0; i < outcomes; i++) {
        const struct message_outcome *o = &e->outcomes[i];
        write_array(&w, OUTCOME_FIELDS);
        write_u64(&w, o->position);
        write_u64(&w, o->state);
        write_cut(&w, o->next_hop);
        write_cut(&w, o->enhanced);
        write_cut(&w, o->text);
    }
    return msgpack_writer_status(&w);
}

static enum message_state read_state(struct msgpack_reader *r)
{
    uint64_t number = read_u64(r);
    if (number >= MESSAGE_STATE_COUNT) {
        read_fail(r, STATUS_CORRUPT);
        return MESSAGE_WAITING;
    }
    return (enum message_state)number;
}

static void read_begin(struct msgpack_reader *r, struct slice in, size_t fields)
{
    msgpack_reader_init(r, in);
    if (read_array(r, fields) != fields || read_u64(r) != EVENT_VERSION) {
        read_fail(r, STATUS_CORRUPT);
    }
}

enum status message_taken_decode(struct slice in, struct arena *a, struct message_taken *t)
{
    struct msgpack_reader r;
    read_begin(&r, in, TAKEN_FIELDS);
    *t = (struct message_taken){.arrived_ms = read_u64(&r)};
    t->size = read_u64(&r);
    t->sender = read_cut(&r);
    t->client_ip = read_cut(&r);
    t->helo = read_cut(&r);
    t->listener = read_cut(&r);
    t->subject = read_cut(&r);
    t->reply = read_cut(&r);
    t->people_count = read_array(&r, MESSAGE_PEOPLE_MAX);
    t->people = arena_alloc_array(a, t->people_count + 1, sizeof t->people[0]);
    if (t->people == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < t->people_count; i++) {
        struct message_person *p = &t->people[i];
        if (read_array(&r, PERSON_FIELDS) != PERSON_FIELDS) {
            read_fail(&r, STATUS_CORRUPT);
        }
        p->address = read_cut(&r);
        p->state = read_state(&r);
        p->protection = read_cut(&r);
        p->text = read_cut(&r);
    }
    t->recipient_count = read_u64(&r);
    return msgpack_reader_status(&r, true) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
}

enum status message_event_decode(struct slice in, struct arena *a, struct message_event *e)
{
    struct msgpack_reader r;
    read_begin(&r, in, EVENT_FIELDS);
    uint64_t type = read_u64(&r);
    *e = (struct message_event){.time_ms = read_u64(&r)};
    e->attempt = read_u64(&r);
    e->text = read_cut(&r);
    e->outcome_count = read_array(&r, MESSAGE_OUTCOMES_MAX);
    struct message_outcome *outcomes = arena_alloc_array(a, e->outcome_count + 1, sizeof *outcomes);
    if (outcomes == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < e->outcome_count; i++) {
        struct message_outcome *o = &outcomes[i];
        if (read_array(&r, OUTCOME_FIELDS) != OUTCOME_FIELDS) {
            read_fail(&r, STATUS_CORRUPT);
        }
        o->position = (size_t)read_u64(&r);
        o->state = read_state(&r);
        o->next_hop = read_cut(&r);
        o->enhanced = read_cut(&r);
        o->text = read_cut(&r);
    }
    e->outcomes = outcomes;
    if (type >= MESSAGE_EVENT_COUNT) {
        read_fail(&r, STATUS_CORRUPT);
    } else {
        e->type = (enum message_event_type)type;
    }
    return msgpack_reader_status(&r, true) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
}
