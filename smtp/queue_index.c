/* See queue_index.h. */
#include "smtp/queue_index.h"

#include "smtp/crc32c.h"
#include "smtp/spool_envelope.h"
#include "smtp/spool_state.h"

#define BUCKETS_MIN 1024

void queue_index_release(struct queue_index *x)
{
    for (size_t i = 0; i < x->bucket_count; i++) {
        while (x->buckets[i] != NULL) {
            struct queue_name *n = x->buckets[i];
            x->buckets[i] = n->next;
            free(n);
        }
    }
    free(x->buckets);
    *x = (struct queue_index){0};
}

static void grow(struct queue_index *x)
{
    size_t count = x->bucket_count == 0 ? BUCKETS_MIN : x->bucket_count * 2;
    struct queue_name **buckets = calloc(count, sizeof(struct queue_name *));
    if (buckets == NULL) {
        return; /* longer chains, until there is memory */
    }
    for (size_t i = 0; i < x->bucket_count; i++) {
        while (x->buckets[i] != NULL) {
            struct queue_name *n = x->buckets[i];
            x->buckets[i] = n->next;
            n->next = buckets[n->hash & (count - 1)];
            buckets[n->hash & (count - 1)] = n;
        }
    }
    free(x->buckets);
    x->buckets = buckets;
    x->bucket_count = count;
}

static size_t name_bytes(const struct queue_name *n)
{
    return sizeof(*n) + n->len;
}

/* NULL for "", and when memory is short: `*short_of` tells. */
static struct queue_name *name_take(struct queue_index *x, struct slice text, bool *short_of)
{
    text.len = text.len < QUEUE_NAME_MAX ? text.len : QUEUE_NAME_MAX;
    if (text.len == 0) {
        return NULL;
    }
    if (x->name_count >= x->bucket_count) {
        grow(x);
    }
    if (x->bucket_count == 0) {
        *short_of = true;
        return NULL;
    }
    uint32_t hash = crc32c(0, text);
    struct queue_name **bucket = &x->buckets[hash & (x->bucket_count - 1)];
    for (struct queue_name *n = *bucket; n != NULL; n = n->next) {
        if (n->hash == hash && slice_equal(queue_name_text(n), text)) {
            n->references++;
            return n;
        }
    }
    struct queue_name *n = malloc(sizeof(*n) + text.len);
    if (n == NULL) {
        *short_of = true;
        return NULL;
    }
    *n = (struct queue_name){.next = *bucket, .hash = hash, .references = 1, .len = (uint16_t)text.len};
    memcpy(n->text, text.data, text.len);
    *bucket = n;
    x->name_count++;
    x->bytes += name_bytes(n);
    return n;
}

static void name_drop(struct queue_index *x, struct queue_name *n)
{
    if (n == NULL || --n->references > 0) {
        return;
    }
    struct queue_name **at = &x->buckets[n->hash & (x->bucket_count - 1)];
    while (*at != n) {
        at = &(*at)->next;
    }
    *at = n->next;
    x->name_count--;
    x->bytes -= name_bytes(n);
    free(n);
}

static size_t facts_bytes(size_t count)
{
    return sizeof(struct queue_facts) + count * sizeof(struct queue_waiting);
}

void queue_facts_free(struct queue_index *x, struct queue_facts *facts)
{
    if (facts == NULL) {
        return;
    }
    name_drop(x, facts->sender);
    for (size_t i = 0; i < facts->count; i++) {
        name_drop(x, facts->waiting[i].address);
        name_drop(x, facts->waiting[i].reply);
        name_drop(x, facts->waiting[i].next_hop);
    }
    x->bytes -= facts_bytes(facts->count);
    free(facts);
}

static bool waits(const struct spool_state *state, size_t position)
{
    return state == NULL || state->recipients[position].state == RECIPIENT_WAITING;
}

struct queue_facts *queue_facts_new(struct queue_index *x, const struct spool_envelope *e,
                                    const struct spool_state *state)
{
    size_t count = 0;
    for (size_t v = 0; v < e->variant_count; v++) {
        for (size_t i = 0; i < e->variants[v].recipient_count; i++) {
            count += waits(state, e->variants[v].recipients[i]);
        }
    }
    struct queue_facts *facts = calloc(1, facts_bytes(count));
    if (facts == NULL) {
        return NULL;
    }
    bool short_of = false;
    x->bytes += facts_bytes(count);
    facts->sender = name_take(x, e->sender, &short_of);
    for (size_t v = 0; v < e->variant_count; v++) {
        const struct spool_variant *variant = &e->variants[v];
        bool aside = variant->quarantine && (state == NULL || !state->released);
        for (size_t i = 0; i < variant->recipient_count; i++) {
            size_t position = variant->recipients[i];
            if (!waits(state, position)) {
                continue;
            }
            struct queue_waiting *w = &facts->waiting[facts->count++];
            struct slice reply = state != NULL ? state->recipients[position].reply : slice_of(NULL, 0);
            facts->quarantined_count += aside;
            w->address = name_take(x, e->recipients[position], &short_of);
            w->reply = name_take(x, reply.len == 0 && aside ? variant->quarantine_reason : reply, &short_of);
            w->next_hop =
                state != NULL ? name_take(x, state->recipients[position].next_hop, &short_of) : NULL;
        }
    }
    if (short_of) {
        /* Half of the facts would let a filter answer wrongly. */
        facts->count = (uint32_t)count;
        queue_facts_free(x, facts);
        return NULL;
    }
    return facts;
}

struct slice queue_domain_of(struct slice address)
{
    for (size_t i = address.len; i > 0; i--) {
        if (address.data[i - 1] == '@') {
            return slice_of(address.data + i, address.len - i);
        }
    }
    return slice_of(NULL, 0);
}
