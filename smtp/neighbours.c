/* See smtp/neighbours.h. */
#include "smtp/neighbours.h"

#include "smtp/delivery_internal.h"

#define BUCKETS      4096 /* a power of two */
#define COUNT_MAX    50000
#define FAILURES     1024 /* a newcomer takes the place of who was there */
#define FAILURE_MS   60000
#define SWEEP_MS     10000
#define UNUSED_MS    60000
#define RATE_TICK_MS 50

struct neighbours {
    uv_loop_t *loop;
    struct resolver *resolver;
    uv_timer_t wake;
    struct mx_own own;
    union mx_sockaddr own_addresses[OWN_ADDRESSES_MAX];
    struct destination *buckets[BUCKETS];
    size_t count;
    uint64_t next_sweep_ms; /* uv_now */
    struct {
        uint64_t host; /* its hash; two of one hash are tried last together */
        uint64_t until_ms;
    } failures[FAILURES];
    void (*closed)(void *context);
    void *closed_context;
};

static uint64_t hash_of(struct slice text)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ text.data[i]) * 1099511628211u;
    }
    return hash ^ hash >> 32;
}

enum status neighbours_new(uv_loop_t *loop, const char *hostname, struct resolver *resolver,
                           struct neighbours **out)
{
    struct neighbours *n = resolver != NULL ? calloc(1, sizeof *n) : NULL;
    if (n == NULL) {
        return STATUS_NO_MEMORY;
    }
    n->resolver = resolver;
    n->loop = loop;
    n->own = (struct mx_own){.name = hostname, .addresses = n->own_addresses};
    n->wake.data = n;
    (void)uv_timer_init(loop, &n->wake);
    *out = n;
    return STATUS_OK;
}

void neighbours_add_listener(struct neighbours *n, int fd)
{
    own_addresses_add(fd, n->own_addresses, &n->own.count, OWN_ADDRESSES_MAX);
}

struct resolver *neighbours_resolver(struct neighbours *n)
{
    return n->resolver;
}

const struct mx_own *neighbours_own(const struct neighbours *n)
{
    return &n->own;
}

size_t neighbours_count(const struct neighbours *n)
{
    return n->count;
}

/* --- destinations --- */

static void sweep(struct neighbours *n)
{
    uint64_t now = uv_now(n->loop);
    if (now < n->next_sweep_ms) {
        return;
    }
    n->next_sweep_ms = now + SWEEP_MS;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct destination **at = &n->buckets[i];
        while (*at != NULL) {
            struct destination *t = *at;
            if (now - t->used_ms < UNUSED_MS || destination_is_busy(t)) {
                at = &t->next;
                continue;
            }
            *at = t->next;
            n->count--;
            destination_free(t);
        }
    }
}

struct destination *neighbours_find(struct neighbours *n, struct slice key)
{
    sweep(n);
    struct destination *t = n->buckets[hash_of(key) & (BUCKETS - 1)];
    while (t != NULL && !slice_equal(t->key, key)) {
        t = t->next;
    }
    return t;
}

bool neighbours_add(struct neighbours *n, struct destination *t)
{
    if (n->count >= COUNT_MAX) {
        return false;
    }
    struct destination **bucket = &n->buckets[hash_of(t->key) & (BUCKETS - 1)];
    t->next = *bucket;
    *bucket = t;
    n->count++;
    return true;
}

void neighbours_each(struct neighbours *n, void (*visit)(struct destination *t))
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct destination *t = n->buckets[i], *next; t != NULL; t = next) {
            next = t->next;
            visit(t);
        }
    }
}

/* --- hosts that failed --- */

void neighbours_host_failed(struct neighbours *n, const char *host)
{
    uint64_t hash = hash_of(slice_of_text(host));
    n->failures[hash % FAILURES].host = hash;
    n->failures[hash % FAILURES].until_ms = uv_now(n->loop) + FAILURE_MS;
}

void neighbours_host_worked(struct neighbours *n, const char *host)
{
    if (neighbours_host_has_failed(n, host)) {
        n->failures[hash_of(slice_of_text(host)) % FAILURES].until_ms = 0;
    }
}

bool neighbours_host_has_failed(const struct neighbours *n, const char *host)
{
    uint64_t hash = hash_of(slice_of_text(host));
    return n->failures[hash % FAILURES].host == hash &&
           uv_now(n->loop) < n->failures[hash % FAILURES].until_ms;
}

void neighbours_forget_failures(struct neighbours *n)
{
    memset(n->failures, 0, sizeof n->failures);
}

/* --- the clock of rates --- */

static void on_wake(uv_timer_t *timer)
{
    neighbours_each(((struct neighbours *)timer->data), destination_pump);
}

void neighbours_wake(struct neighbours *n)
{
    if (!uv_is_active((const uv_handle_t *)&n->wake) && !uv_is_closing((const uv_handle_t *)&n->wake)) {
        (void)uv_timer_start(&n->wake, on_wake, RATE_TICK_MS, 0);
    }
}

/* --- the end --- */

static void on_wake_closed(uv_handle_t *handle)
{
    struct neighbours *n = handle->data;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (n->buckets[i] != NULL) {
            struct destination *t = n->buckets[i];
            n->buckets[i] = t->next;
            destination_free(t);
        }
    }
    void (*closed)(void *context) = n->closed;
    void *context = n->closed_context;
    free(n);
    closed(context);
}

void neighbours_close(struct neighbours *n, void (*closed)(void *context), void *context)
{
    n->closed = closed;
    n->closed_context = context;
    uv_close((uv_handle_t *)&n->wake, on_wake_closed);
}
