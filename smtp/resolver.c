/*
 * See smtp/resolver.h.
 *
 * A look-up is one question, under way or answered and kept. Requests hang on it. What is under way is in the
 * order of its deadlines, what is kept in the order of its last use; `ready` holds those whose requests are
 * to be called, which happens when no other code of this file is on the stack.
 *
 * What can go wrong: the resolvers are silent: in the end the answer is TIMEOUT. An answer is forged:
 * it has the code of a good one, so `bogus` is looked at first. Settings change: a new context takes the
 * place of the old one, whose answers never come.
 */
#include "smtp/resolver.h"

#include "base/clock.h"
#include "base/log.h"
#include "smtp/dns_context.h"

#include <ctype.h>

#define UNDER_WAY_MAX   2000
#define KEPT_MAX        10000
#define KEPT_BYTES_MAX  ((size_t)16 << 20)
#define BUCKETS         4096 /* a power of two */
#define RECORDS_MAX     1000
#define CLASS_IN        1
#define RCODE_OK        0
#define RCODE_NO_NAME   3
#define KEEP_FOUND_MS   ((uint64_t)3600 * 1000) /* at most; at least: */
#define KEEP_LEAST_MS   1000
#define KEEP_ABSENT_MS  ((uint64_t)900 * 1000)
#define KEEP_FAILURE_MS 10000 /* RFC 2308 section 7: not longer than five minutes */

struct dns_lookup {
    struct dns_lookup *chain;           /* of its bucket */
    struct dns_lookup *next, *previous; /* under way, or kept */
    struct dns_lookup *next_ready;
    struct resolver *resolver;
    struct resolver_request *requests; /* the newest first */
    bool pending, ready, in_table;
    int query;            /* libunbound's */
    uint64_t deadline_ms; /* pending */
    uint64_t expires_ms;  /* kept */
    struct resolved answer;
    struct buf memory; /* what the answer points to */
    enum dns_type type;
    char name[DNS_NAME_MAX + 1];
};

/* One libunbound context and its poll, which is closed after the context is gone. */
struct context {
    struct resolver *resolver;
    struct ub_ctx *ub;
    uv_poll_t poll;
};

struct list {
    struct dns_lookup *first, *last;
    size_t count;
};

struct resolver {
    uv_loop_t *loop;
    uint64_t timeout_ms;
    uv_timer_t timer;        /* deadlines */
    uv_timer_t ready_timer;  /* requests that were answered from what is kept */
    struct context *context; /* NULL: the settings cannot be used */
    bool configured, closing, delivering;
    unsigned handles; /* not closed yet */
    char resolvers[SETTING_VALUE_MAX + 1], anchors[SETTING_VALUE_MAX + 1];
    struct dns_lookup *buckets[BUCKETS];
    struct list pending, kept; /* the kept ones: least recently used first */
    size_t kept_bytes;
    struct dns_lookup *ready, **ready_tail;
    struct resolver_counts counts;
    void (*closed)(void *context);
    void *closed_context;
};

const char *resolved_state_name(enum resolved_state state)
{
    static const char *const names[] = {
        [RESOLVED_FOUND] = "found", [RESOLVED_NO_DATA] = "no such record", [RESOLVED_NO_NAME] = "NXDOMAIN",
        [RESOLVED_BOGUS] = "bogus", [RESOLVED_SERVFAIL] = "SERVFAIL",      [RESOLVED_TIMEOUT] = "timeout",
    };
    return names[state];
}

bool dns_name_normalise(struct slice name, char out[DNS_NAME_MAX + 1])
{
    size_t label = 0;
    if (name.len > 0 && name.data[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.len > DNS_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t b = name.data[i];
        bool dot = b == '.';
        if ((dot && label == 0) || (!dot && (b >= 0x80 || (!isalnum(b) && b != '-' && b != '_'))) ||
            (!dot && label == 63)) {
            return false;
        }
        label = dot ? 0 : label + 1;
        out[i] = (char)tolower(b);
    }
    out[name.len] = '\0';
    return label > 0;
}

/* --- lists and the table --- */

static void list_add(struct list *l, struct dns_lookup *k)
{
    k->next = NULL;
    k->previous = l->last;
    *(l->last != NULL ? &l->last->next : &l->first) = k;
    l->last = k;
    l->count++;
}

static void list_remove(struct list *l, struct dns_lookup *k)
{
    *(k->previous != NULL ? &k->previous->next : &l->first) = k->next;
    *(k->next != NULL ? &k->next->previous : &l->last) = k->previous;
    l->count--;
}

static struct dns_lookup **bucket_of(struct resolver *r, const char *name, enum dns_type type)
{
    uint32_t hash = 2166136261u ^ (uint32_t)type; /* FNV-1a: names come from outside, chains are bounded by
                                                     KEPT_MAX and what is under way */
    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    }
    return &r->buckets[(hash ^ hash >> 15) & (BUCKETS - 1)];
}

static void lookup_free(struct dns_lookup *k)
{
    buf_release(&k->memory);
    free(k);
}

/* Out of the table; freed when nobody is to be called any more. */
static void forget(struct resolver *r, struct dns_lookup *k)
{
    struct dns_lookup **at = bucket_of(r, k->name, k->type);
    while (*at != k) {
        at = &(*at)->chain;
    }
    *at = k->chain;
    k->in_table = false;
    if (k->pending) {
        list_remove(&r->pending, k);
        k->pending = false;
    } else {
        list_remove(&r->kept, k);
        r->kept_bytes -= sizeof *k + k->memory.cap;
    }
    if (!k->ready) {
        lookup_free(k);
    }
}

static void request_leave(struct resolver_request *q)
{
    struct dns_lookup *k = q->lookup;
    *(q->previous != NULL ? &q->previous->next : &k->requests) = q->next;
    if (q->next != NULL) {
        q->next->previous = q->previous;
    }
    q->lookup = NULL;
    q->next = q->previous = NULL;
}

static void make_ready(struct resolver *r, struct dns_lookup *k)
{
    if (!k->ready) {
        k->ready = true;
        k->next_ready = NULL;
        *r->ready_tail = k;
        r->ready_tail = &k->next_ready;
    }
}

/* Calls whoever is to be called. They may ask and cancel as they like. */
static void deliver(struct resolver *r)
{
    if (r->delivering) {
        return;
    }
    r->delivering = true;
    while (r->ready != NULL) {
        struct dns_lookup *k = r->ready;
        struct resolver_request *last = k->requests;
        while (last != NULL && last->next != NULL) {
            last = last->next;
        }
        if (last != NULL) {
            request_leave(last); /* in the order in which they asked */
            last->answered(last->context, &k->answer);
            continue;
        }
        r->ready = k->next_ready;
        if (r->ready == NULL) {
            r->ready_tail = &r->ready;
        }
        k->ready = false;
        if (!k->in_table) {
            lookup_free(k);
        }
    }
    r->delivering = false;
}

static void on_ready(uv_timer_t *timer)
{
    deliver(timer->data);
}

/* --- answers --- */

static enum resolved_state state_of(int error, const struct ub_result *from)
{
    if (error != 0 || from == NULL) {
        return RESOLVED_SERVFAIL;
    }
    if (from->bogus != 0) {
        return RESOLVED_BOGUS;
    }
    if (from->rcode == RCODE_OK) {
        return from->havedata != 0 ? RESOLVED_FOUND : RESOLVED_NO_DATA;
    }
    return from->rcode == RCODE_NO_NAME ? RESOLVED_NO_NAME : RESOLVED_SERVFAIL;
}

static uint64_t keep_ms(enum resolved_state state, int ttl_seconds)
{
    uint64_t ttl = ttl_seconds > 0 ? (uint64_t)ttl_seconds * 1000 : 0;
    uint64_t most = state == RESOLVED_FOUND               ? KEEP_FOUND_MS
                    : !resolved_state_is_temporary(state) ? KEEP_ABSENT_MS
                                                          : KEEP_FAILURE_MS;
    ttl = resolved_state_is_temporary(state) || ttl > most ? most : ttl;
    return ttl > KEEP_LEAST_MS ? ttl : KEEP_LEAST_MS;
}

/* Texts and records in one piece of memory: array of slices first, so that it is aligned. */
static bool copy_answer(struct dns_lookup *k, const struct ub_result *from, const char *note)
{
    size_t count = 0, bytes = 0;
    const char *name = from != NULL && from->canonname != NULL ? from->canonname : k->name;
    bool found = k->answer.state == RESOLVED_FOUND;
    while (found && count < RECORDS_MAX && from->data[count] != NULL) {
        bytes += (size_t)from->len[count++];
    }
    k->memory = BUF_INIT(SIZE_MAX / 2);
    bytes += count * sizeof(struct slice) + strlen(name) + strlen(note) + 2;
    if (buf_reserve(&k->memory, bytes) != STATUS_OK) {
        return false;
    }
    struct slice *records = (struct slice *)(void *)k->memory.data;
    uint8_t *at = k->memory.data + count * sizeof(struct slice);
    for (size_t i = 0; i < count; i++) {
        records[i] = slice_of(at, (size_t)from->len[i]);
        memcpy(at, from->data[i], records[i].len);
        at += records[i].len;
    }
    k->answer.records = records;
    k->answer.count = count;
    k->answer.name = (char *)at;
    memcpy(at, name, strlen(name) + 1);
    at += strlen(name) + 1;
    memcpy(at, note, strlen(note) + 1);
    k->answer.note = (char *)at;
    size_t len = strlen(k->answer.name);
    if (len > 1 && k->answer.name[len - 1] == '.') {
        ((uint8_t *)k->answer.name)[len - 1] = '\0';
    }
    return true;
}

static void set_deadline(struct resolver *r);

/* The answer is there: keep it, and have its requests called by deliver(). */
static void complete(struct dns_lookup *k, enum resolved_state state, const struct ub_result *from,
                     const char *note)
{
    struct resolver *r = k->resolver;
    k->answer = (struct resolved){.state = state, .secure = from != NULL && from->secure != 0};
    if (!copy_answer(k, from, note)) {
        k->answer = (struct resolved){.state = RESOLVED_SERVFAIL, .name = k->name, .note = "out of memory"};
    }
    uint64_t keep = keep_ms(k->answer.state, from != NULL ? from->ttl : 0);
    k->answer.ttl_ms = keep;
    k->expires_ms = uv_now(r->loop) + keep;
    list_remove(&r->pending, k);
    k->pending = false;
    list_add(&r->kept, k);
    r->kept_bytes += sizeof *k + k->memory.cap;
    make_ready(r, k);
    while (r->kept.count > KEPT_MAX || r->kept_bytes > KEPT_BYTES_MAX) {
        forget(r, r->kept.first);
    }
    set_deadline(r);
}

static void on_answer(void *context, int error, struct ub_result *result)
{
    struct dns_lookup *k = context;
    enum resolved_state state = state_of(error, result);
    const char *note = error != 0                                                     ? ub_strerror(error)
                       : result != NULL && result->why_bogus != NULL && result->bogus ? result->why_bogus
                                                                                      : "";
    complete(k, state, error == 0 ? result : NULL, note);
    ub_resolve_free(result);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct context *c = poll->data;
    (void)events;
    if (status == 0 && c->ub != NULL) {
        (void)ub_process(c->ub);
        deliver(c->resolver);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    struct resolver *r = timer->data;
    while (r->pending.first != NULL && r->pending.first->deadline_ms <= uv_now(r->loop)) {
        struct dns_lookup *k = r->pending.first;
        (void)ub_cancel(r->context->ub, k->query);
        complete(k, RESOLVED_TIMEOUT, NULL, "no answer in time");
    }
    set_deadline(r);
    deliver(r);
}

static void set_deadline(struct resolver *r)
{
    const struct dns_lookup *k = r->pending.first;
    if (k == NULL || r->closing) {
        (void)uv_timer_stop(&r->timer);
    } else if (!uv_is_active((const uv_handle_t *)&r->timer)) {
        uint64_t now = uv_now(r->loop);
        (void)uv_timer_start(&r->timer, on_deadline, k->deadline_ms > now ? k->deadline_ms - now : 0, 0);
    }
}

/* --- contexts --- */

static void handle_closed(struct resolver *r)
{
    if (--r->handles > 0 || !r->closing) {
        return;
    }
    void (*closed)(void *context) = r->closed;
    void *context = r->closed_context;
    free(r);
    closed(context);
}

static void on_context_closed(uv_handle_t *handle)
{
    struct context *c = handle->data;
    struct resolver *r = c->resolver;
    free(c);
    handle_closed(r);
}

static void context_end(struct resolver *r)
{
    struct context *c = r->context;
    if (c != NULL) {
        r->context = NULL;
        uv_close((uv_handle_t *)&c->poll, on_context_closed);
        ub_ctx_delete(c->ub);
        c->ub = NULL;
    }
}

static void context_begin(struct resolver *r, const struct setting_value *resolvers,
                          const struct setting_value *anchors)
{
    struct failure f = {0};
    struct context *c = calloc(1, sizeof *c);
    if (c == NULL || dns_context_new(resolvers, anchors, &c->ub, &f) != STATUS_OK) {
        log_event(LOG_ERROR, "names cannot be looked up", LOG_TEXT("error", f.text));
        free(c);
        return;
    }
    c->resolver = r;
    c->poll.data = c;
    if (uv_poll_init(r->loop, &c->poll, ub_fd(c->ub)) != 0) {
        log_event(LOG_ERROR, "names cannot be looked up", LOG_TEXT("error", "no poll"));
        ub_ctx_delete(c->ub);
        free(c);
        return;
    }
    r->handles++;
    r->context = c;
    (void)uv_poll_start(&c->poll, UV_READABLE, on_readable);
}

static void start(struct resolver *r, struct dns_lookup *k)
{
    int error = UB_INITFAIL;
    if (r->context != NULL) {
        r->counts.asked++;
        error = ub_resolve_async(r->context->ub, k->name, (int)k->type, CLASS_IN, k, on_answer, &k->query);
    }
    if (error != 0) {
        complete(k, RESOLVED_SERVFAIL, NULL,
                 r->context != NULL ? ub_strerror(error)
                                    : "dns.resolvers or dns.trust_anchors cannot be used");
        (void)uv_timer_start(&r->ready_timer, on_ready, 0, 0);
    }
}

static void take_text(char to[SETTING_VALUE_MAX + 1], struct setting_value *value)
{
    memcpy(to, value->text.data, value->text.len);
    to[value->text.len] = '\0';
    value->text = slice_of(to, value->text.len);
}

void resolver_configure(struct resolver *r, struct settings_source *s)
{
    struct setting_value resolvers, anchors;
    struct slice nobody = slice_of(NULL, 0);
    if (r->closing || s->get(s->context, "dns.resolvers", nobody, &resolvers) != STATUS_OK ||
        s->get(s->context, "dns.trust_anchors", nobody, &anchors) != STATUS_OK ||
        resolvers.text.len > SETTING_VALUE_MAX || anchors.text.len > SETTING_VALUE_MAX ||
        (r->configured && slice_equal(resolvers.text, slice_of_text(r->resolvers)) &&
         slice_equal(anchors.text, slice_of_text(r->anchors)))) {
        return;
    }
    take_text(r->resolvers, &resolvers);
    take_text(r->anchors, &anchors);
    r->configured = true;
    context_end(r);
    while (r->kept.first != NULL) {
        forget(r, r->kept.first);
    }
    context_begin(r, &resolvers, &anchors);
    for (struct dns_lookup *k = r->pending.first, *next; k != NULL; k = next) {
        next = k->next;
        start(r, k);
    }
}

/* --- asking --- */

enum status resolver_new(uv_loop_t *loop, uint64_t timeout_ms, struct resolver **out)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return STATUS_NO_MEMORY;
    }
    r->loop = loop;
    r->timeout_ms = timeout_ms;
    r->ready_tail = &r->ready;
    r->timer.data = r;
    r->ready_timer.data = r;
    (void)uv_timer_init(loop, &r->timer);
    (void)uv_timer_init(loop, &r->ready_timer);
    r->handles = 2;
    *out = r;
    return STATUS_OK;
}

static void hang_on(struct dns_lookup *k, struct resolver_request *q)
{
    q->lookup = k;
    q->previous = NULL;
    q->next = k->requests;
    if (q->next != NULL) {
        q->next->previous = q;
    }
    k->requests = q;
}

static struct dns_lookup *find(struct resolver *r, const char *name, enum dns_type type)
{
    struct dns_lookup *k = *bucket_of(r, name, type);
    while (k != NULL && (k->type != type || strcmp(k->name, name) != 0)) {
        k = k->chain;
    }
    if (k == NULL || k->pending || k->expires_ms > uv_now(r->loop)) {
        return k;
    }
    forget(r, k);
    return NULL;
}

static struct dns_lookup *lookup_new(struct resolver *r, const char *name, enum dns_type type)
{
    struct dns_lookup *k = r->pending.count < UNDER_WAY_MAX ? calloc(1, sizeof *k) : NULL;
    if (k != NULL) {
        struct dns_lookup **bucket = bucket_of(r, name, type);
        k->resolver = r;
        k->type = type;
        memcpy(k->name, name, strlen(name) + 1);
        k->deadline_ms = uv_now(r->loop) + r->timeout_ms;
        k->pending = true;
        k->in_table = true;
        k->chain = *bucket;
        *bucket = k;
        list_add(&r->pending, k);
    }
    return k;
}

enum status resolver_ask(struct resolver *r, struct resolver_request *q, const char *name, enum dns_type type)
{
    char normal[DNS_NAME_MAX + 1];
    if (r->closing || !r->configured) {
        return STATUS_INVALID;
    }
    bool usable = dns_name_normalise(slice_of_text(name), normal);
    struct dns_lookup *k = find(r, usable ? normal : "", type);
    if (k != NULL && !k->pending) {
        r->counts.from_cache++;
        k->answer.ttl_ms = k->expires_ms - uv_now(r->loop);
        list_remove(&r->kept, k);
        list_add(&r->kept, k);
        hang_on(k, q);
        make_ready(r, k);
        (void)uv_timer_start(&r->ready_timer, on_ready, 0, 0);
        return STATUS_OK;
    }
    if (k != NULL) {
        r->counts.joined++;
        hang_on(k, q);
        return STATUS_OK;
    }
    k = lookup_new(r, usable ? normal : "", type);
    if (k == NULL) {
        return STATUS_BUSY;
    }
    hang_on(k, q);
    if (usable) {
        start(r, k);
        set_deadline(r);
    } else {
        complete(k, RESOLVED_NO_NAME, NULL, "that is no name in DNS");
        (void)uv_timer_start(&r->ready_timer, on_ready, 0, 0);
    }
    return STATUS_OK;
}

/* The look-up goes on: the answer is kept for the next who asks. */
void resolver_cancel(struct resolver *r, struct resolver_request *q)
{
    (void)r;
    if (q->lookup != NULL) {
        request_leave(q);
    }
}

void resolver_counts_get(const struct resolver *r, struct resolver_counts *out)
{
    *out = r->counts;
    out->kept = r->kept.count;
    out->kept_bytes = r->kept_bytes;
    out->under_way = r->pending.count;
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void forget_all(struct resolver *r, struct list *l)
{
    while (l->first != NULL) {
        struct dns_lookup *k = l->first;
        while (k->requests != NULL) {
            request_leave(k->requests);
        }
        forget(r, k);
    }
}

void resolver_close(struct resolver *r, void (*closed)(void *context), void *context)
{
    r->closing = true;
    r->closed = closed;
    r->closed_context = context;
    context_end(r);
    forget_all(r, &r->pending);
    forget_all(r, &r->kept);
    deliver(r); /* nobody is left to be called: frees what waited for it */
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    uv_close((uv_handle_t *)&r->ready_timer, on_timer_closed);
}
