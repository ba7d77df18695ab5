/* See store/records_dkim.h. */
#include "store/records_dkim.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/tables.h"

#define RECORD_FIELDS   9
#define SEALED_KEY_MAX  ((size_t)64 << 10)
#define SELECTOR_LABELS "labels of letters, digits and hyphens, with dots between them"

const char *dkim_algorithm_name(enum dkim_algorithm algorithm)
{
    return algorithm == DKIM_ED25519_SHA256 ? "ed25519-sha256" : "rsa-sha256";
}

const char *dkim_state_name(enum dkim_state state)
{
    static const char *const names[DKIM_STATE_END] = {
        [DKIM_PREPARED] = "prepared",
        [DKIM_ACTIVE] = "active",
        [DKIM_RESTING] = "resting",
        [DKIM_RETIRED] = "retired",
    };

    return names[state];
}

static bool is_label_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

enum status dkim_selector_normalise(struct slice text, char out[DKIM_SELECTOR_MAX + 1], struct failure *f)
{
    bool good = text.len > 0 && text.len <= DKIM_SELECTOR_MAX;

    for (size_t i = 0; i < text.len && good; i++) {
        uint8_t c = text.data[i];
        bool first = i == 0 || out[i - 1] == '.';

        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
        good = c == '.' ? !first && out[i - 1] != '-' : is_label_byte(c) && !(first && c == '-');
        out[i] = (char)c;
    }
    if (!good || out[text.len - 1] == '.' || out[text.len - 1] == '-')
        return failure_set(f, STATUS_INVALID,
                           "a selector has 1 to %d characters: " SELECTOR_LABELS ", such as sealpost-2026",
                           DKIM_SELECTOR_MAX);
    out[text.len] = '\0';
    return STATUS_OK;
}

struct slice dkim_row_key(struct slice domain, struct slice selector, uint8_t key[DKIM_KEY_MAX])
{
    memcpy(key, domain.data, domain.len);
    key[domain.len] = 0;
    if (selector.len > 0)
        memcpy(key + domain.len + 1, selector.data, selector.len);
    return slice_of(key, domain.len + 1 + selector.len);
}

enum status dkim_key_encode(const struct dkim_key_record *r, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, RECORD_FIELDS);
    write_u64(&w, r->algorithm);
    write_u64(&w, r->state);
    write_u64(&w, r->bits);
    write_bytes(&w, r->id);
    write_bytes(&w, r->public_key);
    write_bytes(&w, r->sealed_key);
    write_u64(&w, r->added_ms);
    write_u64(&w, r->activated_ms);
    write_u64(&w, r->ended_ms);
    return msgpack_writer_status(&w);
}

enum status dkim_key_decode(struct slice key, struct slice value, struct dkim_key_record *out)
{
    struct msgpack_reader r;
    size_t nul = slice_find_byte(key, 0);
    uint64_t algorithm, state;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    if (read_array(&r, RECORD_FIELDS) != RECORD_FIELDS || nul >= key.len)
        read_fail(&r, STATUS_MALFORMED);
    algorithm = read_u64(&r);
    state = read_u64(&r);
    out->bits = read_u64(&r);
    out->id = read_bytes(&r, DKIM_KEY_ID_SIZE);
    out->public_key = read_bytes(&r, DKIM_PUBLIC_KEY_MAX);
    out->sealed_key = read_bytes(&r, SEALED_KEY_MAX);
    out->added_ms = read_u64(&r);
    out->activated_ms = read_u64(&r);
    out->ended_ms = read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK || algorithm == 0 || algorithm >= DKIM_ALGORITHM_END ||
        state == 0 || state >= DKIM_STATE_END || out->id.len != DKIM_KEY_ID_SIZE)
        return STATUS_CORRUPT;
    out->domain = slice_of(key.data, nul);
    out->selector = slice_of(key.data + nul + 1, key.len - nul - 1);
    out->algorithm = (enum dkim_algorithm)algorithm;
    out->state = (enum dkim_state)state;
    return STATUS_OK;
}

enum status store_dkim_key_get(struct store_view *v, struct slice domain, struct slice selector,
                               struct dkim_key_record *out)
{
    uint8_t bytes[DKIM_KEY_MAX];
    struct slice value, key;
    enum status status;

    if (domain.len > DOMAIN_MAX || selector.len > DKIM_SELECTOR_MAX)
        return STATUS_NOT_FOUND;
    key = dkim_row_key(domain, selector, bytes);
    status = table_find(v->store, v->txn, TABLE_DKIM_KEYS, &key, &value);
    return status == STATUS_OK ? dkim_key_decode(key, value, out) : status;
}

struct dkim_walk {
    struct slice domain;
    dkim_key_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_row(void *context, struct slice key, struct slice value)
{
    struct dkim_walk *walk = context;
    struct dkim_key_record record;

    walk->status = dkim_key_decode(key, value, &record);
    if (walk->status != STATUS_OK || (walk->domain.len > 0 && !slice_equal(walk->domain, record.domain)))
        return false;
    return walk->visit(walk->context, &record);
}

enum status store_dkim_keys(struct store_view *v, struct slice domain, dkim_key_visit_cb cb, void *context)
{
    struct dkim_walk walk = {.domain = domain, .visit = cb, .context = context};
    uint8_t bytes[DKIM_KEY_MAX];
    struct slice from = {0};
    enum status status;

    if (domain.len > DOMAIN_MAX)
        return STATUS_OK;
    if (domain.len > 0)
        from = dkim_row_key(domain, (struct slice){0}, bytes);
    status = table_walk(v->store, v->txn, TABLE_DKIM_KEYS, from, visit_row, &walk);
    return status != STATUS_OK ? status : walk.status;
}

struct active {
    struct dkim_key_record *out;
    size_t count;
};

static bool keep_active(void *context, const struct dkim_key_record *record)
{
    struct active *active = context;

    if (record->state == DKIM_ACTIVE && active->count < DKIM_ALGORITHM_END)
        active->out[active->count++] = *record;
    return true;
}

enum status store_dkim_active(struct store_view *v, struct slice domain,
                              struct dkim_key_record out[DKIM_ALGORITHM_END], size_t *count)
{
    struct active active = {.out = out};
    enum status status = store_dkim_keys(v, domain, keep_active, &active);

    if (active.count == 2 && out[0].algorithm > out[1].algorithm) {
        struct dkim_key_record first = out[0];

        out[0] = out[1];
        out[1] = first;
    }
    *count = active.count;
    return status;
}
