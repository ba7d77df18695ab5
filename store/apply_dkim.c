/*
 * Commands about DKIM keys (store/records_dkim.h). A key signs only from when it is activated; the one that
 * signed by the same algorithm before rests then. Retiring takes the private key away for good. See
 * store/apply_internal.h for the rules.
 */
#include "store/apply_internal.h"
#include "store/command_check_internal.h"
#include "store/records_dkim.h"

#define ROW_MAX ((size_t)70 << 10)

/* --- judging them by themselves --- */

static enum status check_names(const struct command *c, struct failure *f)
{
    char domain[DOMAIN_MAX + 1], selector[DKIM_SELECTOR_MAX + 1];
    enum status status = domain_normalise(c->values[0].bytes, domain, f);

    if (status == STATUS_OK &&
        (domain[0] == '*' || domain[0] == '[' || !slice_equal(slice_of_text(domain), c->values[0].bytes)))
        return failure_set(f, STATUS_INVALID, "a DKIM key is of one domain, in its normal form");
    if (status == STATUS_OK)
        status = dkim_selector_normalise(c->values[1].bytes, selector, f);
    if (status == STATUS_OK && !slice_equal(slice_of_text(selector), c->values[1].bytes))
        return failure_set(f, STATUS_INVALID, "the selector is not in its normal form");
    return status;
}

enum status check_dkim_add(const struct command *c, struct failure *f)
{
    if (c->values[2].number == 0 || c->values[2].number >= DKIM_ALGORITHM_END)
        return failure_set(f, STATUS_INVALID, "there is no such algorithm of DKIM");
    return check_names(c, f);
}

enum status check_dkim_state(const struct command *c, struct failure *f)
{
    if (c->values[2].number <= DKIM_PREPARED || c->values[2].number >= DKIM_STATE_END)
        return failure_set(f, STATUS_INVALID, "a DKIM key becomes active, resting or retired");
    return check_names(c, f);
}

enum status check_dkim_remove(const struct command *c, struct failure *f)
{
    return check_names(c, f);
}

/* --- applying them --- */

static void put(struct store_apply *a, const struct dkim_key_record *record)
{
    uint8_t bytes[DKIM_KEY_MAX];
    struct slice key = dkim_row_key(record->domain, record->selector, bytes);
    struct buf value = BUF_INIT(ROW_MAX);

    value.wipe = true;
    if (dkim_key_encode(record, &value) == STATUS_OK)
        apply_put(a, TABLE_DKIM_KEYS, key, buf_slice(&value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(&value);
}

struct count {
    size_t keys;
    enum dkim_algorithm algorithm;
    struct slice but; /* a selector */
    char other[DKIM_SELECTOR_MAX + 1];
};

static bool count_key(void *context, const struct dkim_key_record *record)
{
    struct count *count = context;

    count->keys++;
    if (record->state == DKIM_ACTIVE && record->algorithm == count->algorithm &&
        !slice_equal(record->selector, count->but)) {
        memcpy(count->other, record->selector.data, record->selector.len);
        count->other[record->selector.len] = '\0';
    }
    return true;
}

static enum status count_keys(struct store_apply *a, struct count *count)
{
    struct store_view view = {.store = a->store, .txn = a->txn};

    if (store_dkim_keys(&view, apply_bytes(a, 0), count_key, count) != STATUS_OK)
        return apply_refuse(a, STATUS_CORRUPT, "the DKIM keys of %.*s cannot be read",
                            SLICE_ARGS(apply_bytes(a, 0)));
    return STATUS_OK;
}

static enum status need_key(struct store_apply *a, struct slice selector, struct dkim_key_record *record)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    enum status status = store_dkim_key_get(&view, apply_bytes(a, 0), selector, record);

    record->domain = apply_bytes(a, 0); /* not those of the map, which moves */
    record->selector = selector;
    if (status == STATUS_NOT_FOUND)
        return apply_refuse(a, status, "%.*s has no DKIM key with the selector %.*s",
                            SLICE_ARGS(apply_bytes(a, 0)), SLICE_ARGS(selector));
    if (status != STATUS_OK)
        return apply_refuse(a, STATUS_CORRUPT, "the DKIM key %.*s cannot be read", SLICE_ARGS(selector));
    return STATUS_OK;
}

enum status apply_dkim_add(struct store_apply *a)
{
    struct dkim_key_record record = {.domain = apply_bytes(a, 0),
                                     .selector = apply_bytes(a, 1),
                                     .algorithm = (enum dkim_algorithm)apply_number(a, 2),
                                     .state = DKIM_PREPARED,
                                     .bits = apply_number(a, 3),
                                     .id = apply_bytes(a, 4),
                                     .public_key = apply_bytes(a, 5),
                                     .sealed_key = apply_bytes(a, 6),
                                     .added_ms = a->command->time_ms};
    uint8_t bytes[DKIM_KEY_MAX];
    struct count count = {.keys = 0};
    enum status status = count_keys(a, &count);

    if (status != STATUS_OK)
        return status;
    if (apply_has(a, TABLE_DKIM_KEYS, dkim_row_key(record.domain, record.selector, bytes)))
        return apply_refuse(a, STATUS_EXISTS, "%.*s has a DKIM key with the selector %.*s already",
                            SLICE_ARGS(record.domain), SLICE_ARGS(record.selector));
    if (count.keys >= DKIM_DOMAIN_KEYS)
        return apply_refuse(a, STATUS_TOO_LARGE,
                            "a domain has at most %d DKIM keys: remove those that were retired",
                            DKIM_DOMAIN_KEYS);
    put(a, &record);
    return STATUS_OK;
}

/* What signed by the same algorithm until now rests. */
static enum status rest_others(struct store_apply *a, const struct dkim_key_record *record)
{
    struct count count = {.algorithm = record->algorithm, .but = record->selector};
    struct dkim_key_record other;
    enum status status = count_keys(a, &count);

    if (status != STATUS_OK || count.other[0] == '\0')
        return status;
    status = need_key(a, slice_of_text(count.other), &other);
    if (status == STATUS_OK) {
        other.state = DKIM_RESTING;
        other.ended_ms = a->command->time_ms;
        put(a, &other);
    }
    return status;
}

enum status apply_dkim_state(struct store_apply *a)
{
    enum dkim_state state = (enum dkim_state)apply_number(a, 2);
    struct dkim_key_record record;
    enum status status = need_key(a, apply_bytes(a, 1), &record);

    if (status != STATUS_OK || record.state == state)
        return status;
    if (record.state == DKIM_RETIRED)
        return apply_refuse(a, STATUS_CONFLICT,
                            "the DKIM key %.*s of %.*s is retired, and its private key is gone: make another",
                            SLICE_ARGS(record.selector), SLICE_ARGS(record.domain));
    if (state == DKIM_RESTING && record.state != DKIM_ACTIVE)
        return apply_refuse(a, STATUS_CONFLICT, "the DKIM key %.*s of %.*s signs nothing: it is %s",
                            SLICE_ARGS(record.selector), SLICE_ARGS(record.domain),
                            dkim_state_name(record.state));
    if (state == DKIM_ACTIVE) {
        status = rest_others(a, &record);
        if (status == STATUS_OK) /* writing may have moved what `record` borrows */
            status = need_key(a, apply_bytes(a, 1), &record);
        if (status != STATUS_OK)
            return status;
        record.activated_ms = a->command->time_ms;
        record.ended_ms = 0;
    } else if (record.state == DKIM_ACTIVE) {
        record.ended_ms = a->command->time_ms;
    }
    if (state == DKIM_RETIRED)
        record.sealed_key = (struct slice){0};
    record.state = state;
    put(a, &record); /* it encodes before it writes */
    return STATUS_OK;
}

enum status apply_dkim_remove(struct store_apply *a)
{
    struct dkim_key_record record;
    uint8_t bytes[DKIM_KEY_MAX];
    enum status status = need_key(a, apply_bytes(a, 1), &record);

    if (status != STATUS_OK)
        return status;
    if (record.state == DKIM_ACTIVE)
        return apply_refuse(a, STATUS_CONFLICT,
                            "the DKIM key %.*s of %.*s signs mail: activate another, or retire it first",
                            SLICE_ARGS(record.selector), SLICE_ARGS(record.domain));
    apply_delete(a, TABLE_DKIM_KEYS, dkim_row_key(record.domain, record.selector, bytes));
    return STATUS_OK;
}
