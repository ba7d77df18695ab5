/*
 * OPERATE, OPERATIONS, CANCEL (smtp/queue_protocol.h): one thing done to all messages that are meant.
 * Unconfirmed, they are counted and nothing is done. Confirmed, the operation is answered at once and walks
 * on by itself, in the order of arrival and no further than what was there when it began, as fast as the
 * spool and the workers take it (delivery_has_room()). Operations are in memory: a stop or a crash ends them
 * where they are, and what they did is done.
 */
#include "smtp/queue_server_internal.h"

#include "base/log.h"
#include "base/msgpack_write.h"

#define OPERATE_FIELDS 7
#define FIELDS_OF_ID   3
#define RUNNING_MAX    16
#define KEPT_MAX       100 /* with those that are over */
#define ACTOR_MAX      256

enum action { ACTION_HOLD, ACTION_RELEASE, ACTION_RETRY, ACTION_DELETE, ACTION_BOUNCE, ACTION_COUNT };
static const char *const actions[ACTION_COUNT] = {"hold", "release", "retry", "delete", "bounce"};

enum operation_state { OPERATION_RUNNING, OPERATION_DONE, OPERATION_CANCELLED };
static const char *const states[] = {"running", "done", "cancelled"};

struct queue_operation {
    struct queue_walk walk;
    struct queue_operation *next;
    struct queue_server *server;
    struct queue_client *client; /* of a count, which is answered at its end; NULL: an operation */
    uint64_t request;
    char id[ID_TEXT_SIZE], actor[ACTOR_MAX + 1];
    enum action action;
    enum operation_state state;
    struct arena arena;
    struct queue_selection selection;
    uint64_t started_ms, ended_ms, messages, looked, done, refused;
    struct failure refusal;
};

static void operation_free(struct queue_operation *o)
{
    arena_release(&o->arena);
    free(o);
}

void queue_operations_free(struct queue_server *s)
{
    while (s->operations != NULL) {
        struct queue_operation *o = s->operations;
        s->operations = o->next;
        operation_free(o);
    }
}

/* Whether the action can be meant for a message like this: a count says what the operation would do. */
static bool is_for(enum action action, const struct schedule_entry *e)
{
    switch (action) {
    case ACTION_HOLD:
        return e->state == SCHEDULE_WAITING || e->state == SCHEDULE_ACTIVE;
    case ACTION_RELEASE:
        return e->state == SCHEDULE_HELD || (e->state == SCHEDULE_QUARANTINED && !e->damaged);
    case ACTION_RETRY:
        return e->state == SCHEDULE_WAITING;
    case ACTION_BOUNCE:
        return e->state != SCHEDULE_QUARANTINED;
    case ACTION_DELETE:
    case ACTION_COUNT:
        break;
    }
    return true;
}

static enum status act(struct queue_operation *o, const uint8_t id[ID_SIZE])
{
    struct delivery *d = o->server->delivery;
    uint64_t count = 0;
    switch (o->action) {
    case ACTION_HOLD:
        return delivery_hold(d, id, &o->refusal);
    case ACTION_RELEASE:
        return delivery_release(d, id, &o->refusal);
    case ACTION_RETRY:
        return delivery_retry(d, id, &count, &o->refusal);
    case ACTION_BOUNCE:
        return delivery_bounce(d, id, &o->refusal);
    case ACTION_DELETE:
    case ACTION_COUNT:
        break;
    }
    return delivery_delete(d, id, &o->refusal);
}

static enum walk_step count_visit(struct queue_walk *w, struct schedule_entry *e)
{
    struct queue_operation *o = (struct queue_operation *)w;
    o->looked++;
    o->done += is_for(o->action, e) && queue_selection_fits(&o->selection, e);
    return WALK_ON;
}

static void count_ended(struct queue_walk *w)
{
    struct queue_operation *o = (struct queue_operation *)w;
    struct queue_server *s = o->server;
    if (queue_client_end(o->client)) {
        queue_answer_number(o->client, QUEUE_OPERATE, o->request, STATUS_OK, "", o->done);
    }
    operation_free(o);
    queue_client_over(s);
}

static enum walk_step visit(struct queue_walk *w, struct schedule_entry *e)
{
    struct queue_operation *o = (struct queue_operation *)w;
    if (is_for(o->action, e) && queue_selection_fits(&o->selection, e)) {
        uint8_t id[ID_SIZE];
        if (!delivery_has_room(o->server->delivery)) {
            return WALK_PAUSE;
        }
        memcpy(id, e->id, ID_SIZE); /* the entry may be gone when it was deleted */
        if (act(o, id) == STATUS_OK) {
            o->done++;
        } else {
            o->refused++;
        }
    }
    o->looked++;
    return WALK_ON;
}

static void operation_log(const struct queue_operation *o, const char *what)
{
    log_event(LOG_INFO, what, LOG_TEXT("operation", o->id), LOG_TEXT("action", actions[o->action]),
              LOG_TEXT("by", o->actor), LOG_NUMBER("done", o->done), LOG_NUMBER("refused", o->refused));
}

static void operation_over(struct queue_operation *o, enum operation_state state)
{
    o->state = state;
    o->ended_ms = clock_wall_ms();
    operation_log(o, "an operation on the queue is over");
}

static void ended(struct queue_walk *w)
{
    struct queue_operation *o = (struct queue_operation *)w;
    operation_over(o, o->server->delivery != NULL ? OPERATION_DONE : OPERATION_CANCELLED);
}

static size_t running_count(const struct queue_server *s)
{
    size_t n = 0;
    for (const struct queue_operation *o = s->operations; o != NULL; o = o->next) {
        n += o->state == OPERATION_RUNNING;
    }
    return n;
}

/* The oldest of those that are over go. */
static void forget_some(struct queue_server *s)
{
    size_t n = 0;
    for (struct queue_operation **at = &s->operations; *at != NULL;) {
        struct queue_operation *o = *at;
        if (++n > KEPT_MAX && o->state != OPERATION_RUNNING) {
            *at = o->next;
            operation_free(o);
        } else {
            at = &o->next;
        }
    }
}

static struct queue_operation *operation_find(const struct queue_server *s, struct slice id)
{
    struct queue_operation *o = s->operations;
    while (o != NULL && !slice_equal(id, slice_of_text(o->id))) {
        o = o->next;
    }
    return o;
}

static void begin(struct queue_operation *o, struct queue_client *c)
{
    struct queue_server *s = o->server;
    if (o->action == ACTION_RETRY) {
        delivery_wake(s->delivery);
    }
    const struct schedule *schedule = delivery_schedule(s->delivery);
    struct schedule_entry *newest;
    o->walk.visit = visit;
    o->walk.ended = ended;
    o->started_ms = clock_wall_ms();
    o->messages = schedule->count;
    o->walk.has_last = true;
    if (id_order_before(&schedule->order, NULL, &newest, 1) == 1) {
        memcpy(o->walk.last, newest->id, ID_SIZE);
    }
    o->next = s->operations;
    s->operations = o;
    forget_some(s);
    operation_log(o, "an operation on the queue begins");
    queue_walk_start(&s->walks, &o->walk);
    queue_answer_number(c, QUEUE_OPERATE, o->request, STATUS_OK, "", 0);
}

static void count_begin(struct queue_operation *o, struct queue_client *c)
{
    o->client = c;
    o->walk.visit = count_visit;
    o->walk.ended = count_ended;
    queue_client_begin(c);
    queue_walk_start(&o->server->walks, &o->walk);
}

bool queue_operate_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                       struct msgpack_reader *r)
{
    struct queue_server *s = c->server;
    struct queue_selection selection;
    uint8_t id[ID_SIZE];
    bool ours = true;
    queue_selection_read(r, &selection);
    struct slice action = read_text(r, 32), id_text = read_text(r, ID_TEXT_SIZE),
                 actor = read_text(r, ACTOR_MAX);
    bool confirmed = read_bool(r);
    if (fields != OPERATE_FIELDS || msgpack_reader_status(r, true) != STATUS_OK) {
        return false;
    }
    int found = 0;
    while (found < ACTION_COUNT && !slice_equal(action, slice_of_text(actions[found]))) {
        found++;
    }
    if (found == ACTION_COUNT || !id_parse(id_text, id)) {
        queue_answer(c, type, request, STATUS_INVALID, "there is no such operation on the queue", NULL);
        return true;
    }
    if (!queue_selection_ready(c, type, request, &selection, false, &ours)) {
        return true;
    }
    if (!ours) {
        queue_answer_number(c, type, request, STATUS_OK, "", 0);
        return true;
    }
    if (confirmed && (running_count(s) >= RUNNING_MAX || operation_find(s, id_text) != NULL)) {
        queue_answer(c, type, request, STATUS_BUSY, "too many operations on the queue run already", NULL);
        return true;
    }
    struct queue_operation *o = calloc(1, sizeof *o);
    if (o != NULL) {
        arena_init(&o->arena, (size_t)16 << 10);
    }
    if (o == NULL || !queue_selection_copy(&o->arena, &selection, &o->selection)) {
        if (o != NULL) {
            operation_free(o);
        }
        queue_answer(c, type, request, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), NULL);
        return true;
    }
    o->server = s;
    o->request = request;
    o->action = (enum action)found;
    id_format(id, o->id);
    (void)!snprintf(o->actor, sizeof o->actor, "%.*s", SLICE_ARGS(actor));
    if (confirmed) {
        begin(o, c);
    } else {
        count_begin(o, c);
    }
    return true;
}

static void operation_write(struct msgpack_writer *w, const struct queue_operation *o)
{
    write_array(w, 11);
    write_text(w, slice_of_text(o->id));
    write_text(w, slice_of_text(actions[o->action]));
    write_text(w, slice_of_text(o->actor));
    write_text(w, slice_of_text(states[o->state]));
    write_u64(w, o->started_ms);
    write_u64(w, o->ended_ms);
    write_u64(w, o->messages);
    write_u64(w, o->looked);
    write_u64(w, o->done);
    write_u64(w, o->refused);
    write_text(w, slice_of_text(o->refusal.text));
}

bool queue_operations_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                          struct msgpack_reader *r)
{
    struct slice id = read_text(r, ID_TEXT_SIZE);
    size_t count = 0;
    if (fields != FIELDS_OF_ID || msgpack_reader_status(r, true) != STATUS_OK) {
        return false;
    }
    for (const struct queue_operation *o = c->server->operations; o != NULL; o = o->next) {
        count += id.len == 0 || slice_equal(id, slice_of_text(o->id));
    }
    struct buf body = BUF_INIT(QUEUE_BODY_MAX);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &body);
    write_array(&w, count);
    for (const struct queue_operation *o = c->server->operations; o != NULL; o = o->next) {
        if (id.len == 0 || slice_equal(id, slice_of_text(o->id))) {
            operation_write(&w, o);
        }
    }
    enum status status = msgpack_writer_status(&w);
    queue_answer(c, type, request, status, status == STATUS_OK ? "" : status_text(status),
                 status == STATUS_OK ? &body : NULL);
    buf_release(&body);
    return true;
}

bool queue_cancel_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                      struct msgpack_reader *r)
{
    struct slice id = read_text(r, ID_TEXT_SIZE);
    if (fields != FIELDS_OF_ID || msgpack_reader_status(r, true) != STATUS_OK) {
        return false;
    }
    struct queue_operation *o = operation_find(c->server, id);
    if (o == NULL) {
        queue_answer(c, type, request, STATUS_NOT_FOUND, "there is no such operation", NULL);
        return true;
    }
    bool running = o->state == OPERATION_RUNNING;
    if (running) {
        queue_walk_cancel(&c->server->walks, &o->walk);
        operation_over(o, OPERATION_CANCELLED);
    }
    queue_answer_number(c, type, request, STATUS_OK, "", running);
    return true;
}
