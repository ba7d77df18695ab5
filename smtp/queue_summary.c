/*
 * SUMMARY (smtp/queue_protocol.h): how much waits for whom and for how long, as Postfix's qshape counts it: a
 * row a domain (or sender's domain, last answer, next hop), a column an age, each twice the one before. Of
 * recipients' domains, answers and next hops each recipient that waits counts; of senders' domains each
 * message.
 */
#include "smtp/queue_server_internal.h"

#include "base/msgpack_write.h"

#define FIELDS    4
#define ROWS_MAX  500 /* of one answer; the rest is one row */
#define NAMES_MAX 50000

struct row {
    struct row *next;
    uint64_t total, ages[QUEUE_AGES];
    uint16_t len;
    uint8_t name[];
};

enum by { BY_RECIPIENT_DOMAIN, BY_SENDER_DOMAIN, BY_REASON, BY_NEXT_HOP, BY_COUNT };
static const char *const bys[BY_COUNT] = {"recipient-domain", "sender-domain", "reason", "next-hop"};

#define BUCKETS 4096

struct summary {
    struct queue_walk walk;
    struct queue_client *client;
    uint64_t request, now_ms;
    struct arena arena;
    struct queue_selection selection;
    enum by by;
    struct row *buckets[BUCKETS];
    struct row *others; /* once there are too many names, or there was no memory for one */
    size_t count;
};

static struct row *row_new(struct slice name)
{
    struct row *row = calloc(1, sizeof *row + name.len);
    if (row != NULL) {
        row->len = (uint16_t)name.len;
        if (name.len > 0) {
            memcpy(row->name, name.data, name.len);
        }
    }
    return row;
}

static void summary_free(struct summary *q)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (q->buckets[i] != NULL) {
            struct row *row = q->buckets[i];
            q->buckets[i] = row->next;
            free(row);
        }
    }
    free(q->others);
    arena_release(&q->arena);
    free(q);
}

static void count_in(struct summary *q, struct slice name, size_t age)
{
    uint32_t hash = 2166136261u;
    uint8_t lower[QUEUE_NAME_MAX];
    name.len = name.len < sizeof lower ? name.len : sizeof lower;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        lower[i] = q->by != BY_REASON && c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
        hash = (hash ^ lower[i]) * 16777619u;
    }
    name = slice_of(lower, name.len);
    struct row **at = &q->buckets[(hash ^ hash >> 16) % BUCKETS];
    while (*at != NULL && !slice_equal(slice_of((*at)->name, (*at)->len), name)) {
        at = &(*at)->next;
    }
    struct row *row = *at;
    if (row == NULL && q->count < NAMES_MAX && (row = row_new(name)) != NULL) {
        *at = row;
        q->count++;
    }
    if (row == NULL) {
        row = q->others;
    }
    row->total++;
    row->ages[age]++;
}

static enum walk_step visit(struct queue_walk *w, struct schedule_entry *e)
{
    struct summary *q = (struct summary *)w;
    if (!queue_selection_fits(&q->selection, e)) {
        return WALK_ON;
    }
    uint64_t arrived = queue_arrival_of(e->id);
    uint64_t waited = q->now_ms > arrived ? q->now_ms - arrived : 0;
    size_t age = 0;
    while (age + 1 < QUEUE_AGES && waited > QUEUE_AGE_FIRST_MS << age) {
        age++;
    }
    const struct queue_facts *facts = e->facts;
    if (facts == NULL) {
        count_in(q, SLICE_LITERAL("(damaged)"), age);
    } else if (q->by == BY_SENDER_DOMAIN) {
        count_in(q, queue_domain_of(queue_name_text(facts->sender)), age);
    } else {
        for (size_t i = 0; i < facts->count; i++) {
            const struct queue_waiting *one = &facts->waiting[i];
            if (queue_waiting_fits(&q->selection, one)) {
                count_in(q,
                         q->by == BY_REASON     ? queue_name_text(one->reply)
                         : q->by == BY_NEXT_HOP ? queue_name_text(one->next_hop)
                                                : queue_domain_of(queue_name_text(one->address)),
                         age);
            }
        }
    }
    return WALK_ON;
}

static int most_first(const void *a, const void *b)
{
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
    return x->total != y->total ? (x->total < y->total ? 1 : -1)
                                : slice_compare(slice_of(x->name, x->len), slice_of(y->name, y->len));
}

static void row_write(struct msgpack_writer *w, const struct row *row, struct slice name)
{
    write_array(w, 2);
    write_text(w, slice_is_text(name) ? name : SLICE_LITERAL("?"));
    write_array(w, QUEUE_AGES);
    for (size_t i = 0; i < QUEUE_AGES; i++) {
        write_u64(w, row->ages[i]);
    }
}

static void answer(struct summary *q)
{
    struct buf body = BUF_INIT(QUEUE_ANSWER_MAX);
    struct msgpack_writer w;
    struct row **rows = calloc(q->count + 1, sizeof(struct row *));
    size_t n = 0;
    for (size_t i = 0; rows != NULL && i < BUCKETS; i++) {
        for (struct row *row = q->buckets[i]; row != NULL; row = row->next) {
            rows[n++] = row;
        }
    }
    msgpack_writer_init(&w, &body);
    if (rows != NULL) {
        qsort(rows, n, sizeof(struct row *), most_first);
    }
    size_t shown = n < ROWS_MAX ? n : ROWS_MAX;
    for (size_t i = shown; i < n; i++) {
        q->others->total += rows[i]->total;
        for (size_t k = 0; k < QUEUE_AGES; k++) {
            q->others->ages[k] += rows[i]->ages[k];
        }
    }
    write_array(&w, shown + (q->others->total > 0));
    for (size_t i = 0; i < shown; i++) {
        row_write(&w, rows[i], slice_of(rows[i]->name, rows[i]->len));
    }
    if (q->others->total > 0) {
        row_write(&w, q->others, SLICE_LITERAL(QUEUE_OTHERS));
    }
    enum status status = rows == NULL ? STATUS_NO_MEMORY : msgpack_writer_status(&w);
    queue_answer(q->client, QUEUE_SUMMARY, q->request, status, status == STATUS_OK ? "" : status_text(status),
                 status == STATUS_OK ? &body : NULL);
    free(rows);
    buf_release(&body);
}

static void ended(struct queue_walk *w)
{
    struct summary *q = (struct summary *)w;
    struct queue_server *s = q->client->server;
    if (queue_client_end(q->client)) {
        answer(q);
    }
    summary_free(q);
    queue_client_over(s);
}

bool queue_summary_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                       struct msgpack_reader *r)
{
    struct queue_selection selection;
    bool ours = true;
    queue_selection_read(r, &selection);
    struct slice by = read_text(r, 32);
    if (fields != FIELDS || msgpack_reader_status(r, true) != STATUS_OK) {
        return false;
    }
    int found = 0;
    while (found < BY_COUNT && !slice_equal(by, slice_of_text(bys[found]))) {
        found++;
    }
    if (found == BY_COUNT) {
        queue_answer(c, type, request, STATUS_INVALID, "nothing is counted by that", NULL);
        return true;
    }
    if (!queue_selection_ready(c, type, request, &selection, true, &ours)) {
        return true;
    }
    struct summary *q = calloc(1, sizeof *q);
    if (q != NULL) {
        arena_init(&q->arena, (size_t)16 << 10);
        q->others = row_new(slice_of(NULL, 0));
    }
    if (q == NULL || q->others == NULL || !queue_selection_copy(&q->arena, &selection, &q->selection)) {
        if (q != NULL) {
            summary_free(q);
        }
        queue_answer(c, type, request, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), NULL);
        return true;
    }
    q->client = c;
    q->request = request;
    q->now_ms = clock_wall_ms();
    q->by = (enum by)found;
    q->walk.visit = visit;
    q->walk.ended = ended;
    queue_client_begin(c);
    if (ours) {
        queue_walk_start(&c->server->walks, &q->walk);
    } else {
        ended(&q->walk);
    }
    return true;
}
