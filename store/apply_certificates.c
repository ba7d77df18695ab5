/*
 * Commands about certificates: adding, removing, their states. See store/apply_internal.h for the rules.
 * Every certificate has its keys in cert_address and cert_index, written and deleted with it; how many there
 * can be is bounded by what a record may hold and by CERT_WORDS_MAX.
 */
#include "store/apply_certificates_internal.h"

#include "base/hex.h"
#include "base/msgpack_read.h"

#define ADDRESS_KEY_MAX (ADDRESS_MAX + 1 + THUMBPRINT_SIZE)

void apply_trust_changed(struct store_apply *a)
{
    apply_meta_set(a, "trust_generation", apply_meta_number(a, "trust_generation", 0) + 1);
}

enum status apply_need_certificate(struct store_apply *a, struct slice thumbprint)
{
    char hex[2 * THUMBPRINT_SIZE + 1];

    if (apply_has(a, TABLE_CERTS, thumbprint))
        return STATUS_OK;
    hex_format(thumbprint, hex);
    return apply_refuse(a, STATUS_NOT_FOUND, "there is no certificate %s", hex);
}

static void put_key(void *context, struct slice key)
{
    apply_put(context, TABLE_CERT_INDEX, key, (struct slice){0});
}

static void delete_key(void *context, struct slice key)
{
    apply_delete(context, TABLE_CERT_INDEX, key);
}

static struct slice address_key(struct slice address, const uint8_t thumbprint[THUMBPRINT_SIZE],
                                uint8_t key[ADDRESS_KEY_MAX])
{
    memcpy(key, address.data, address.len);
    key[address.len] = 0;
    memcpy(key + address.len + 1, thumbprint, THUMBPRINT_SIZE);
    return slice_of(key, address.len + 1 + THUMBPRINT_SIZE);
}

void apply_certificate_put(struct store_apply *a, const struct certificate_record *record,
                           struct slice encoded)
{
    uint8_t key[ADDRESS_KEY_MAX];

    apply_put(a, TABLE_CERTS, slice_of(record->thumbprint, THUMBPRINT_SIZE), encoded);
    for (size_t i = 0; i < record->address_count; i++)
        apply_put(a, TABLE_CERT_ADDRESS, address_key(record->addresses[i], record->thumbprint, key),
                  (struct slice){0});
    certificate_index_keys(record, put_key, a);
    if ((record->uses & CERT_USE_CA) != 0)
        apply_trust_changed(a);
}

enum status apply_cert_add(struct store_apply *a)
{
    struct certificate_record record;
    enum status status = certificate_record_decode(apply_bytes(a, 0), &record);

    if (status != STATUS_OK)
        return apply_refuse(a, status, "the certificate's record is not well formed");
    if (apply_has(a, TABLE_CERTS, slice_of(record.thumbprint, THUMBPRINT_SIZE)))
        return apply_refuse(a, STATUS_EXISTS, "this certificate is in the store already");
    apply_certificate_put(a, &record, apply_bytes(a, 0));
    return STATUS_OK;
}

enum status apply_cert_add_many(struct store_apply *a)
{
    struct msgpack_reader r;
    struct certificate_record record;
    size_t count;

    msgpack_reader_init(&r, apply_bytes(a, 0));
    count = read_array(&r, CERT_ADD_MANY_MAX);
    for (size_t i = 0; i < count; i++) { /* each was decoded by command_check() before */
        struct slice encoded = read_raw(&r);

        if (certificate_record_decode(encoded, &record) == STATUS_OK &&
            !apply_has(a, TABLE_CERTS, slice_of(record.thumbprint, THUMBPRINT_SIZE)))
            apply_certificate_put(a, &record, encoded);
    }
    return STATUS_OK;
}

/* Both tables of bindings. */
static void delete_bindings(struct store_apply *a, struct slice thumbprint)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    uint8_t key[BINDING_KEY_MAX];
    MDB_cursor *cursor;
    MDB_val k = {.mv_size = thumbprint.len, .mv_data = (void *)(uintptr_t)thumbprint.data}, v;

    if (mdb_cursor_open(view.txn, view.store->tables[TABLE_CERT_BINDINGS], &cursor) != 0) {
        a->broken = failure_set(&a->broken_text, STATUS_IO, "cannot walk the store");
        return;
    }
    while (mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE) == 0 &&
           slice_starts_with(slice_of(k.mv_data, k.mv_size), thumbprint) &&
           k.mv_size - THUMBPRINT_SIZE <= ADDRESS_MAX && a->broken == STATUS_OK) {
        struct slice scope =
            slice_of((const uint8_t *)k.mv_data + THUMBPRINT_SIZE, k.mv_size - THUMBPRINT_SIZE);
        struct slice binding = address_key(scope, thumbprint.data, key);

        if (mdb_cursor_del(cursor, 0) != 0)
            a->broken = failure_set(&a->broken_text, STATUS_IO, "cannot delete from the store");
        apply_delete(a, TABLE_BINDINGS, binding);
        k = (MDB_val){.mv_size = thumbprint.len, .mv_data = (void *)(uintptr_t)thumbprint.data};
    }
    mdb_cursor_close(cursor);
}

enum status apply_cert_remove(struct store_apply *a)
{
    struct slice thumbprint = apply_bytes(a, 0), value;
    struct certificate_record record;
    struct buf copy = BUF_INIT(256 << 10); /* deletions move the pages that the value lies in */
    uint8_t key[ADDRESS_KEY_MAX];
    enum status status = apply_need_certificate(a, thumbprint);

    if (status != STATUS_OK)
        return status;
    if (apply_is_our_ca(a, thumbprint))
        return apply_refuse(a, STATUS_CONFLICT,
                            "this is the certificate of a CA of this cluster; remove the CA first");
    if (apply_get(a, TABLE_CERTS, thumbprint, &value) != STATUS_OK ||
        buf_append_slice(&copy, value) != STATUS_OK ||
        certificate_record_decode(buf_slice(&copy), &record) != STATUS_OK) {
        buf_release(&copy);
        return apply_refuse(a, STATUS_CORRUPT, "the certificate's record cannot be read");
    }
    if ((record.uses & CERT_USE_CA) != 0 || apply_has(a, TABLE_TRUST, thumbprint))
        apply_trust_changed(a);
    for (size_t i = 0; i < record.address_count; i++)
        apply_delete(a, TABLE_CERT_ADDRESS, address_key(record.addresses[i], thumbprint.data, key));
    certificate_index_keys(&record, delete_key, a);
    delete_bindings(a, thumbprint);
    apply_delete(a, TABLE_CERTS, thumbprint);
    apply_delete(a, TABLE_CERT_STATE, thumbprint);
    apply_delete(a, TABLE_KEYS, thumbprint);
    apply_delete(a, TABLE_TRUST, thumbprint);
    buf_release(&copy);
    return STATUS_OK;
}

/* --- states --- */

enum status apply_state_get(struct store_apply *a, const uint8_t thumbprint[THUMBPRINT_SIZE],
                            struct certificate_state_record *out)
{
    enum status status = certificate_state_get(a->store, a->txn, thumbprint, out);

    if (status != STATUS_OK && a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, status, "cannot read the state of a certificate");
    return status;
}

/* One that is active and told nothing has no row. */
void apply_state_put(struct store_apply *a, const uint8_t thumbprint[THUMBPRINT_SIZE],
                     const struct certificate_state_record *s)
{
    struct slice key = slice_of(thumbprint, THUMBPRINT_SIZE);
    struct buf value = BUF_INIT(64);

    if (s->state == CERT_ACTIVE && s->seen_ms == 0)
        apply_delete(a, TABLE_CERT_STATE, key);
    else if (certificate_state_encode(s, &value) == STATUS_OK)
        apply_put(a, TABLE_CERT_STATE, key, buf_slice(&value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(&value);
}

enum status apply_cert_state(struct store_apply *a)
{
    struct certificate_state_record state;
    struct slice thumbprint = apply_bytes(a, 0);
    enum status status = apply_need_certificate(a, thumbprint);

    if (status == STATUS_OK)
        status = apply_state_get(a, thumbprint.data, &state);
    if (status != STATUS_OK)
        return status;
    if (apply_number(a, 1) == CERT_QUARANTINE && apply_has(a, TABLE_TRUST, thumbprint))
        return apply_refuse(a, STATUS_CONFLICT, "it is a trust anchor: trust it no longer first");
    if (state.state == apply_number(a, 1))
        return STATUS_OK;
    state.state = apply_number(a, 1);
    state.since_ms = a->command->time_ms;
    apply_state_put(a, thumbprint.data, &state);
    return STATUS_OK;
}

/* --- bindings --- */

enum status apply_cert_bind(struct store_apply *a)
{
    struct binding_record binding = {.flags = apply_number(a, 2), .added_ms = a->command->time_ms};
    struct slice thumbprint = apply_bytes(a, 0), scope = apply_bytes(a, 1);
    struct buf value = BUF_INIT(64);
    uint8_t key[BINDING_KEY_MAX], reverse[THUMBPRINT_SIZE + ADDRESS_MAX];
    enum status status = apply_need_certificate(a, thumbprint);

    if (status != STATUS_OK)
        return status;
    memcpy(reverse, thumbprint.data, THUMBPRINT_SIZE);
    memcpy(reverse + THUMBPRINT_SIZE, scope.data, scope.len);
    if (binding_encode(&binding, &value) == STATUS_OK) {
        apply_put(a, TABLE_BINDINGS, address_key(scope, thumbprint.data, key), buf_slice(&value));
        apply_put(a, TABLE_CERT_BINDINGS, slice_of(reverse, THUMBPRINT_SIZE + scope.len), (struct slice){0});
    } else if (a->broken == STATUS_OK) {
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    }
    buf_release(&value);
    return STATUS_OK;
}

enum status apply_cert_unbind(struct store_apply *a)
{
    struct slice thumbprint = apply_bytes(a, 0), scope = apply_bytes(a, 1);
    uint8_t key[BINDING_KEY_MAX], reverse[THUMBPRINT_SIZE + ADDRESS_MAX];
    struct slice binding = address_key(scope, thumbprint.data, key);

    if (!apply_has(a, TABLE_BINDINGS, binding))
        return apply_refuse(a, STATUS_NOT_FOUND, "the certificate is not bound to %.*s", SLICE_ARGS(scope));
    memcpy(reverse, thumbprint.data, THUMBPRINT_SIZE);
    memcpy(reverse + THUMBPRINT_SIZE, scope.data, scope.len);
    apply_delete(a, TABLE_BINDINGS, binding);
    apply_delete(a, TABLE_CERT_BINDINGS, slice_of(reverse, THUMBPRINT_SIZE + scope.len));
    return STATUS_OK;
}
