/*
 * FIND (smtp/queue_protocol.h): a page of the messages that are meant, in an order. By arrival, the walk
 * begins at the cursor and ends with the page; by anything else it looks at all and keeps the first of them.
 * Then the envelopes of the page are read (queue_lookup.c).
 */
#include "smtp/queue_server_internal.h"

#define FIELDS   7
#define PAGE_MAX QUEUE_LIST_MAX

enum sort { SORT_ARRIVED, SORT_NEXT, SORT_SIZE, SORT_ATTEMPTS, SORT_COUNT };
static const char *const sorts[SORT_COUNT] = {"arrived", "next", "size", "attempts"};

struct find {
    struct queue_walk walk; /* first: it is the find */
    struct queue_client *client;
    uint64_t request;
    struct arena arena;
    struct queue_selection selection;
    enum sort sort;
    bool descending, has_after;
    uint64_t after_key;
    uint8_t after_id[ID_SIZE];
    struct queue_wanted *page; /* limit + 1 */
    size_t limit, count;
};

static void find_free(struct find *q)
{
    arena_release(&q->arena);
    free(q->page);
    free(q);
}

static uint64_t key_of(const struct find *q, const struct schedule_entry *e)
{
    switch (q->sort) {
    case SORT_NEXT:
        return e->state == SCHEDULE_WAITING ? e->next_ms : e->state == SCHEDULE_ACTIVE ? 0 : UINT64_MAX;
    case SORT_SIZE:
        return e->bytes;
    case SORT_ATTEMPTS:
        return e->attempts;
    case SORT_ARRIVED:
    case SORT_COUNT:
        break;
    }
    return queue_arrival_of(e->id);
}

/* Below 0: the first stands before the second. */
static int compare(const struct find *q, uint64_t key, const uint8_t id[ID_SIZE], uint64_t other_key,
                   const uint8_t other_id[ID_SIZE])
{
    int order = key != other_key ? (key < other_key ? -1 : 1) : memcmp(id, other_id, ID_SIZE);
    return q->descending ? -order : order;
}

static enum walk_step visit(struct queue_walk *w, struct schedule_entry *e)
{
    struct find *q = (struct find *)w;
    uint64_t key = key_of(q, e);
    if (!queue_selection_fits(&q->selection, e) ||
        (q->has_after && compare(q, key, e->id, q->after_key, q->after_id) <= 0)) {
        return WALK_ON;
    }
    size_t low = 0, high = q->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(q, q->page[middle].key, q->page[middle].id, key, e->id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low > q->limit) {
        return WALK_ON;
    }
    size_t moved = (q->count <= q->limit ? q->count : q->limit) - low;
    memmove(&q->page[low + 1], &q->page[low], moved * sizeof q->page[0]);
    q->count += q->count <= q->limit;
    queue_wanted_set(&q->page[low], e);
    q->page[low].key = key;
    return q->sort == SORT_ARRIVED && q->count > q->limit ? WALK_STOP : WALK_ON;
}

static void ended(struct queue_walk *w)
{
    struct find *q = (struct find *)w;
    struct queue_client *c = q->client;
    struct queue_server *s = c->server;
    bool there = queue_client_end(c);
    if (there && s->delivery == NULL) {
        queue_answer(c, QUEUE_FIND, q->request, STATUS_UNAVAILABLE, status_text(STATUS_UNAVAILABLE), NULL);
    } else if (there) {
        bool more = q->count > q->limit;
        struct queue_wanted *page = q->page;
        q->page = NULL;
        queue_lookup_start(c, QUEUE_FIND, q->request, page, more ? q->limit : q->count, more);
    }
    find_free(q);
    queue_client_over(s);
}

/* "0000019...:ID"; false if it is none. */
static bool cursor_read(struct find *q, struct slice text)
{
    if (text.len == 0) {
        return true;
    }
    if (text.len != QUEUE_CURSOR_SIZE - 1 || text.data[16] != ':' ||
        !id_parse(slice_of(text.data + 17, text.len - 17), q->after_id)) {
        return false;
    }
    for (size_t i = 0; i < 16; i++) {
        uint8_t c = text.data[i];
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
        if (digit == 16) {
            return false;
        }
        q->after_key = q->after_key << 4 | digit;
    }
    q->has_after = true;
    return true;
}

static bool sort_read(struct find *q, struct slice text)
{
    for (int i = 0; i < SORT_COUNT; i++) {
        if (slice_equal(text, slice_of_text(sorts[i]))) {
            q->sort = (enum sort)i;
            return true;
        }
    }
    return false;
}

/* Without a lookup, an empty page. */
static void start(struct find *q, bool ours)
{
    struct queue_client *c = q->client;
    q->walk.visit = visit;
    q->walk.ended = ended;
    if (q->sort == SORT_ARRIVED) {
        q->walk.descending = q->descending;
        q->walk.has_at = q->has_after;
        memcpy(q->walk.at, q->after_id, ID_SIZE);
    }
    if (!ours) {
        queue_lookup_start(c, QUEUE_FIND, q->request, q->page, 0, false);
        q->page = NULL;
        find_free(q);
        return;
    }
    queue_client_begin(c);
    queue_walk_start(&c->server->walks, &q->walk);
}

bool queue_find_run(struct queue_client *c, enum queue_request type, uint64_t request, size_t fields,
                    struct msgpack_reader *r)
{
    struct find *q = calloc(1, sizeof *q);
    struct queue_selection selection;
    bool ours = true;
    if (q == NULL) {
        queue_answer(c, type, request, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), NULL);
        return true;
    }
    arena_init(&q->arena, (size_t)16 << 10);
    q->client = c;
    q->request = request;
    queue_selection_read(r, &selection);
    struct slice sort = read_text(r, 32);
    q->descending = read_bool(r);
    uint64_t limit = read_u64(r);
    struct slice after = read_text(r, QUEUE_CURSOR_SIZE);
    if (fields != FIELDS || msgpack_reader_status(r, true) != STATUS_OK) {
        find_free(q);
        return false;
    }
    q->limit = limit == 0 || limit > PAGE_MAX ? PAGE_MAX : (size_t)limit;
    q->page = calloc(q->limit + 2, sizeof q->page[0]);
    enum status status = q->page == NULL || !queue_selection_copy(&q->arena, &selection, &q->selection)
                             ? STATUS_NO_MEMORY
                         : !sort_read(q, sort) || !cursor_read(q, after) ? STATUS_INVALID
                                                                         : STATUS_OK;
    if (status != STATUS_OK) {
        queue_answer(c, type, request, status,
                     status == STATUS_INVALID ? "there is no such order, or no such place in it"
                                              : status_text(status),
                     NULL);
    } else if (queue_selection_ready(c, type, request, &q->selection, false, &ours)) {
        start(q, ours);
        return true;
    }
    find_free(q);
    return true;
}
