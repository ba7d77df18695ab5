/* Keys and values of the tables around certificates (store/tables.h), and the queries on states and bindings.
 * Any thread with a view of its own. */
#include "store/certificate_tables.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/certificate_words.h"

const char *certificate_state_name(enum certificate_state state)
{
    static const char *const names[CERT_STATE_COUNT] = {"active", "quarantine", "replaced"};

    return (unsigned)state < CERT_STATE_COUNT ? names[state] : "unknown";
}

/* --- keys --- */

static size_t with_thumbprint(uint8_t *key, size_t len, const uint8_t *thumbprint)
{
    if (thumbprint == NULL)
        return len;
    memcpy(key + len, thumbprint, THUMBPRINT_SIZE);
    return len + THUMBPRINT_SIZE;
}

size_t index_text_key(enum certificate_index kind, struct slice text, const uint8_t *thumbprint,
                      uint8_t key[INDEX_KEY_MAX])
{
    size_t len = text.len < ADDRESS_MAX ? text.len : ADDRESS_MAX;

    key[0] = (uint8_t)kind;
    if (len > 0)
        memcpy(key + 1, text.data, len);
    key[len + 1] = 0;
    return with_thumbprint(key, len + 2, thumbprint);
}

size_t index_expiry_key(uint64_t not_after_ms, const uint8_t *thumbprint, uint8_t key[INDEX_KEY_MAX])
{
    key[0] = INDEX_EXPIRY;
    key_u64_write(not_after_ms, key + 1);
    return with_thumbprint(key, 1 + KEY_U64_SIZE, thumbprint);
}

size_t index_ca_key(const uint8_t *thumbprint, uint8_t key[INDEX_KEY_MAX])
{
    key[0] = INDEX_CA;
    return with_thumbprint(key, 1, thumbprint);
}

void certificate_index_keys(const struct certificate_record *record, index_key_cb cb, void *context)
{
    struct certificate_words words;
    uint8_t key[INDEX_KEY_MAX];
    char reversed[DOMAIN_REVERSED_MAX];

    certificate_words_of(record, &words);
    for (size_t i = 0; i < words.count; i++)
        cb(context, slice_of(key, index_text_key(INDEX_WORD, words.words[i], record->thumbprint, key)));
    for (size_t i = 0; i < record->address_count; i++) {
        size_t len = domain_reverse(address_domain(record->addresses[i]), reversed);

        cb(context,
           slice_of(key, index_text_key(INDEX_DOMAIN, slice_of(reversed, len), record->thumbprint, key)));
    }
    cb(context, slice_of(key, index_expiry_key(record->not_after_ms, record->thumbprint, key)));
    cb(context, slice_of(key, index_text_key(INDEX_SOURCE, record->source, record->thumbprint, key)));
    if ((record->uses & CERT_USE_CA) != 0)
        cb(context, slice_of(key, index_ca_key(record->thumbprint, key)));
}

/* --- states --- */

enum status certificate_state_decode(struct slice in, struct certificate_state_record *out)
{
    struct msgpack_reader r;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, in);
    if (read_array(&r, 4) != 4)
        read_fail(&r, STATUS_MALFORMED);
    out->state = read_u64(&r);
    out->capabilities = read_u64(&r);
    out->seen_ms = read_u64(&r);
    out->since_ms = read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK || out->state >= CERT_STATE_COUNT)
        return STATUS_CORRUPT;
    return STATUS_OK;
}

enum status certificate_state_encode(const struct certificate_state_record *s, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, 4);
    write_u64(&w, s->state);
    write_u64(&w, s->capabilities);
    write_u64(&w, s->seen_ms);
    write_u64(&w, s->since_ms);
    return msgpack_writer_status(&w);
}

enum status certificate_state_get(struct store *store, MDB_txn *txn,
                                  const uint8_t thumbprint[THUMBPRINT_SIZE],
                                  struct certificate_state_record *out)
{
    struct slice value;
    enum status status =
        table_get(store, txn, TABLE_CERT_STATE, slice_of(thumbprint, THUMBPRINT_SIZE), &value);

    *out = (struct certificate_state_record){.state = CERT_ACTIVE};
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    return status != STATUS_OK ? status : certificate_state_decode(value, out);
}

enum status certificate_load(struct store_view *v, struct slice encoded, struct certificate_record *out)
{
    struct certificate_state_record state;
    enum status status = certificate_record_decode(encoded, out);

    if (status != STATUS_OK)
        return STATUS_CORRUPT;
    status = certificate_state_get(v->store, v->txn, out->thumbprint, &state);
    if (status != STATUS_OK)
        return status;
    out->state = (enum certificate_state)state.state;
    out->capabilities |= state.capabilities;
    return STATUS_OK;
}

/* --- bindings --- */

enum status binding_decode(struct slice in, struct binding_record *out)
{
    struct msgpack_reader r;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, in);
    if (read_array(&r, 2) != 2)
        read_fail(&r, STATUS_MALFORMED);
    out->flags = read_u64(&r);
    out->added_ms = read_u64(&r);
    return msgpack_reader_status(&r, true) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
}

enum status binding_encode(const struct binding_record *b, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, 2);
    write_u64(&w, b->flags);
    write_u64(&w, b->added_ms);
    return msgpack_writer_status(&w);
}

enum status binding_scope_normalise(struct slice scope, char out[ADDRESS_MAX + 1], struct failure *f)
{
    if (slice_find_byte(scope, '@') < scope.len)
        return address_normalise(scope, out, f);
    return domain_normalise(scope, out, f);
}

struct binding_walk {
    struct store_view *view;
    struct slice prefix; /* scope and NUL, or a thumbprint */
    binding_visit_cb visit;
    binding_scope_cb visit_scope;
    void *context;
    size_t found;
    enum status status;
};

static bool visit_binding(void *context, struct slice key, struct slice value)
{
    struct binding_walk *walk = context;
    struct certificate_record record;
    struct binding_record binding;

    if (!slice_starts_with(key, walk->prefix) || key.len != walk->prefix.len + THUMBPRINT_SIZE)
        return false;
    walk->found++;
    walk->status = binding_decode(value, &binding);
    if (walk->status == STATUS_OK)
        walk->status = store_certificate_get(walk->view, key.data + walk->prefix.len, &record);
    if (walk->status == STATUS_NOT_FOUND)
        walk->status = STATUS_CORRUPT; /* bindings go with their certificate */
    return walk->status == STATUS_OK && walk->visit(walk->context, &record, binding.flags);
}

static enum status bindings_at(struct binding_walk *walk, struct slice scope)
{
    uint8_t key[BINDING_KEY_MAX];
    enum status status;

    if (scope.len == 0 || scope.len > ADDRESS_MAX)
        return STATUS_OK;
    memcpy(key, scope.data, scope.len);
    key[scope.len] = 0;
    walk->prefix = slice_of(key, scope.len + 1);
    status =
        table_walk(walk->view->store, walk->view->txn, TABLE_BINDINGS, walk->prefix, visit_binding, walk);
    return status != STATUS_OK ? status : walk->status;
}

enum status store_bindings_for(struct store_view *v, struct slice scope, binding_visit_cb cb, void *context)
{
    struct binding_walk walk = {.view = v, .visit = cb, .context = context};

    return bindings_at(&walk, scope);
}

enum status store_domain_bindings(struct store_view *v, struct slice domain, binding_visit_cb cb,
                                  void *context)
{
    struct binding_walk walk = {.view = v, .visit = cb, .context = context};
    char wildcard[DOMAIN_MAX + 2] = "*";
    enum status status = bindings_at(&walk, domain);

    for (size_t i = 0; i < domain.len && domain.len <= DOMAIN_MAX && status == STATUS_OK && walk.found == 0;
         i++)
        if (domain.data[i] == '.') {
            memcpy(wildcard + 1, domain.data + i, domain.len - i);
            status = bindings_at(&walk, slice_of(wildcard, 1 + domain.len - i));
        }
    return status;
}

static bool visit_scope(void *context, struct slice key, struct slice value)
{
    struct binding_walk *walk = context;
    struct binding_record binding;
    uint8_t reverse[BINDING_KEY_MAX];
    struct slice scope, found;

    (void)value;
    if (!slice_starts_with(key, walk->prefix) || key.len - THUMBPRINT_SIZE > ADDRESS_MAX)
        return false;
    scope = slice_of(key.data + THUMBPRINT_SIZE, key.len - THUMBPRINT_SIZE);
    memcpy(reverse, scope.data, scope.len);
    reverse[scope.len] = 0;
    (void)with_thumbprint(reverse, scope.len + 1, key.data);
    walk->status = table_get(walk->view->store, walk->view->txn, TABLE_BINDINGS,
                             slice_of(reverse, scope.len + 1 + THUMBPRINT_SIZE), &found);
    if (walk->status == STATUS_OK)
        walk->status = binding_decode(found, &binding);
    return walk->status == STATUS_OK && walk->visit_scope(walk->context, scope, binding.flags);
}

enum status store_bindings_of(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                              binding_scope_cb cb, void *context)
{
    struct binding_walk walk = {
        .view = v, .visit_scope = cb, .context = context, .prefix = slice_of(thumbprint, THUMBPRINT_SIZE)};
    enum status status = table_walk(v->store, v->txn, TABLE_CERT_BINDINGS, walk.prefix, visit_scope, &walk);

    return status != STATUS_OK ? status : walk.status;
}
