/*
 * Commands about the certificate trust list, revocation lists and OCSP answers. See store/apply_internal.h
 * for the rules.
 *
 * A list comes in as: begin, rows, rows, ..., force. Its rows lie below a generation that nobody looks at
 * until force puts it into the list's record, so that a reader sees the old list or the new one, whole. Each
 * command does a bounded amount of work: what force leaves behind is swept away by commands of their own. An
 * import that was begun and not finished is given up after an hour, by the next one that begins.
 *
 * That a list's signature was checked is the proposer's word, as with certificates (docs/decisions/0012).
 */
#include "store/apply_internal.h"

#include "base/msgpack_read.h"
#include "store/revocation_internal.h"

#define IMPORT_LIFE_MS ((uint64_t)3600 * 1000)

static void put_record(struct store_apply *a, enum table table, struct slice key, struct buf *value,
                       enum status encoded)
{
    if (encoded == STATUS_OK)
        apply_put(a, table, key, buf_slice(value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(value);
}

/* --- certificate trust list --- */

enum status apply_ctl_set(struct store_apply *a)
{
    struct buf value = BUF_INIT(512);
    struct msgpack_writer w;

    msgpack_writer_init(&w, &value);
    write_array(&w, 4);
    write_u64(&w, apply_number(a, 1));
    write_u64(&w, apply_number(a, 2));
    write_text(&w, apply_bytes(a, 3));
    write_u64(&w, a->command->time_ms);
    put_record(a, TABLE_CTL, apply_bytes(a, 0), &value, msgpack_writer_status(&w));
    apply_trust_changed(a);
    return STATUS_OK;
}

enum status apply_ctl_remove(struct store_apply *a)
{
    if (!apply_has(a, TABLE_CTL, apply_bytes(a, 0)))
        return apply_refuse(a, STATUS_NOT_FOUND, "this certificate is not on the certificate trust list");
    apply_delete(a, TABLE_CTL, apply_bytes(a, 0));
    apply_trust_changed(a);
    return STATUS_OK;
}

/* --- lists --- */

/* The first fields of a command about a list. */
static struct slice list_of(const struct store_apply *a, uint8_t key[LIST_KEY_SIZE])
{
    return list_key(apply_bytes(a, 0).data, apply_bytes(a, 1).data, key);
}

static struct slice import_of(const struct store_apply *a, uint8_t key[IMPORT_KEY_SIZE])
{
    return import_key(apply_bytes(a, 0).data, apply_bytes(a, 1).data, apply_number(a, 2), key);
}

/* The list in force: false if there is none. What `list` borrows moves with the next write. */
static bool get_list(struct store_apply *a, struct crl_record *list)
{
    uint8_t key[LIST_KEY_SIZE];
    struct slice k = list_of(a, key), value;

    if (apply_get(a, TABLE_CRLS, k, &value) != STATUS_OK)
        return false;
    if (crl_row_of_table(k, value, list) == STATUS_OK)
        return true;
    if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_CORRUPT, "the record of a list cannot be read");
    return false;
}

static void put_list(struct store_apply *a, uint64_t generation, const struct crl_record *list)
{
    uint8_t key[LIST_KEY_SIZE];
    struct buf record = BUF_INIT(16384), value = BUF_INIT(16384 + 32);
    struct msgpack_writer w;
    enum status status = crl_record_encode(list, &record);

    if (status == STATUS_OK) {
        msgpack_writer_init(&w, &value);
        write_array(&w, 2);
        write_u64(&w, generation);
        write_bytes(&w, buf_slice(&record));
        status = msgpack_writer_status(&w);
    }
    buf_release(&record);
    put_record(a, TABLE_CRLS, list_of(a, key), &value, status);
}

struct import {
    uint64_t rows, begun_ms;
};

static bool read_import(struct slice value, struct import *out)
{
    struct msgpack_reader r;

    msgpack_reader_init(&r, value);
    if (read_array(&r, 2) != 2)
        read_fail(&r, STATUS_MALFORMED);
    out->rows = read_u64(&r);
    out->begun_ms = read_u64(&r);
    return msgpack_reader_status(&r, true) == STATUS_OK;
}

static bool get_import(struct store_apply *a, struct import *out)
{
    uint8_t key[IMPORT_KEY_SIZE];
    struct slice value;

    return apply_get(a, TABLE_CRL_IMPORTS, import_of(a, key), &value) == STATUS_OK && read_import(value, out);
}

static void put_import(struct store_apply *a, const struct import *import)
{
    uint8_t key[IMPORT_KEY_SIZE];
    struct buf value = BUF_INIT(64);
    struct msgpack_writer w;

    msgpack_writer_init(&w, &value);
    write_array(&w, 2);
    write_u64(&w, import->rows);
    write_u64(&w, import->begun_ms);
    put_record(a, TABLE_CRL_IMPORTS, import_of(a, key), &value, msgpack_writer_status(&w));
}

struct abandoned {
    struct slice prefix;
    uint64_t before_ms;
    uint8_t key[IMPORT_KEY_SIZE];
    bool found;
};

static bool find_abandoned(void *context, struct slice key, struct slice value)
{
    struct abandoned *search = context;
    struct import import;

    if (!slice_starts_with(key, search->prefix) || key.len != IMPORT_KEY_SIZE)
        return false;
    search->found = !read_import(value, &import) || import.begun_ms < search->before_ms;
    if (search->found)
        memcpy(search->key, key.data, IMPORT_KEY_SIZE);
    return !search->found;
}

/* One at a time is enough: each import that begins gives up one that nobody finished. */
static void give_up_abandoned(struct store_apply *a)
{
    uint8_t key[LIST_KEY_SIZE];
    uint64_t now = a->command->time_ms;
    struct abandoned search = {.prefix = list_of(a, key),
                               .before_ms = now > IMPORT_LIFE_MS ? now - IMPORT_LIFE_MS : 0};
    enum status status =
        table_walk(a->store, a->txn, TABLE_CRL_IMPORTS, search.prefix, find_abandoned, &search);

    if (status != STATUS_OK && a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, status, "cannot walk the store");
    if (search.found)
        apply_delete(a, TABLE_CRL_IMPORTS, slice_of(search.key, IMPORT_KEY_SIZE));
}

enum status apply_crl_begin(struct store_apply *a)
{
    struct crl_record list;
    struct import import;

    if ((get_list(a, &list) && list.generation == apply_number(a, 2)) || get_import(a, &import))
        return apply_refuse(a, STATUS_EXISTS, "this generation of the list is there already");
    give_up_abandoned(a);
    import = (struct import){.begun_ms = a->command->time_ms};
    put_import(a, &import);
    return STATUS_OK;
}

static void put_row(struct store_apply *a, struct slice key, const struct crl_row *row)
{
    struct buf value = BUF_INIT(32);
    struct msgpack_writer w;

    msgpack_writer_init(&w, &value);
    write_array(&w, 2);
    write_u64(&w, row->revoked_ms);
    write_u64(&w, row->reason);
    put_record(a, TABLE_REVOKED, key, &value, msgpack_writer_status(&w));
}

/* Gives how many were read; by how many the generation has grown goes to *grown. */
static uint64_t put_rows(struct store_apply *a, struct slice rows, int64_t *grown)
{
    uint8_t key[ROW_KEY_MAX];
    struct crl_row row;
    bool good;
    uint64_t count = 0;

    *grown = 0;
    while (a->broken == STATUS_OK && crl_row_read(&rows, &row, &good)) {
        struct slice k =
            row_key(apply_bytes(a, 0).data, apply_bytes(a, 1).data, apply_number(a, 2), row.serial, key);
        bool has = apply_has(a, TABLE_REVOKED, k);

        count++;
        if (row.reason == CRL_REASON_REMOVE) {
            apply_delete(a, TABLE_REVOKED, k);
            *grown -= has ? 1 : 0;
        } else {
            put_row(a, k, &row);
            *grown += has ? 0 : 1;
        }
    }
    return count;
}

/* Rows of a delta: they count at once. The record's texts are copied, for the rows move the pages they lie
 * in. */
static enum status add_to_list(struct store_apply *a, const struct crl_record *in_force)
{
    struct buf copy = BUF_INIT(16384);
    struct crl_record list;
    uint64_t generation = in_force->generation;
    int64_t grown;
    enum status status = crl_record_encode(in_force, &copy);

    if (status == STATUS_OK)
        status = crl_record_decode(buf_slice(&copy), &list);
    if (status == STATUS_OK) {
        (void)put_rows(a, apply_bytes(a, 3), &grown);
        list.entries += (uint64_t)grown;
        put_list(a, generation, &list);
        apply_trust_changed(a);
    }
    buf_release(&copy);
    return status;
}

enum status apply_crl_rows(struct store_apply *a)
{
    struct crl_record list;
    struct import import;
    int64_t grown;

    if (get_list(a, &list) && list.generation == apply_number(a, 2))
        return add_to_list(a, &list);
    if (!get_import(a, &import))
        return apply_refuse(
            a, STATUS_CONFLICT,
            "this import of a list was given up, or another list took its place: begin again");
    import.rows += put_rows(a, apply_bytes(a, 3), &grown);
    put_import(a, &import);
    return STATUS_OK;
}

/* May `next` take the place of, or be added to, the list in force? */
static enum status may_follow(struct store_apply *a, const struct crl_record *next,
                              const struct crl_record *in_force)
{
    if (next->this_ms < in_force->this_ms ||
        (next->number.len > 0 && crl_number_compare(next->number, in_force->number) < 0))
        return apply_refuse(a, STATUS_CONFLICT, "a list that is newer is in force");
    if (next->base_number.len > 0 && crl_number_compare(next->base_number, in_force->number) > 0)
        return apply_refuse(a, STATUS_CONFLICT,
                            "the delta builds upon a list that is newer than the one in force");
    return STATUS_OK;
}

static enum status force_delta(struct store_apply *a, struct crl_record *delta, const struct crl_record *list)
{
    enum status status = may_follow(a, delta, list);

    if (status != STATUS_OK)
        return status;
    delta->entries = list->entries;
    delta->flags = list->flags;
    if (list->next_ms > delta->next_ms && delta->next_ms != 0)
        delta->next_ms = list->next_ms; /* the full list counts until then in any case */
    put_list(a, list->generation, delta);
    return STATUS_OK;
}

enum status apply_crl_force(struct store_apply *a)
{
    uint8_t key[IMPORT_KEY_SIZE];
    struct crl_record next, list;
    struct import import;
    uint64_t generation = apply_number(a, 2);
    enum status status = crl_record_decode(apply_bytes(a, 4), &next);
    bool has;

    if (status != STATUS_OK)
        return apply_refuse(a, status, "the record of the list is not well formed");
    has = get_list(a, &list);
    next.added_ms = a->command->time_ms;
    if (has && list.generation == generation) {
        status = force_delta(a, &next, &list);
    } else if (next.base_number.len > 0) {
        status = apply_refuse(a, STATUS_CONFLICT,
                              "the list that this delta was to be added to is in force no "
                              "longer: begin again");
    } else if (!get_import(a, &import) || import.rows != apply_number(a, 3)) {
        status = apply_refuse(a, STATUS_CONFLICT, "not all rows of the list have come: begin again");
    } else {
        status = has ? may_follow(a, &next, &list) : STATUS_OK;
        if (status == STATUS_OK) {
            apply_delete(a, TABLE_CRL_IMPORTS, import_of(a, key));
            put_list(a, generation, &next);
        }
    }
    if (status == STATUS_OK)
        apply_trust_changed(a);
    return status;
}

enum status apply_crl_remove(struct store_apply *a)
{
    uint8_t key[LIST_KEY_SIZE];

    if (!apply_has(a, TABLE_CRLS, list_of(a, key)))
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no such list");
    apply_delete(a, TABLE_CRLS, list_of(a, key));
    apply_trust_changed(a);
    return STATUS_OK;
}

/* Where rows lie that nobody looks at: the first generation of the list from `from` that is neither in force
 * nor coming in. */
static bool dead_generation(struct store_apply *a, MDB_cursor *cursor, uint64_t from, uint64_t in_force,
                            bool has_list, uint64_t *out)
{
    uint8_t key[IMPORT_KEY_SIZE];
    struct slice prefix;
    struct slice value;
    MDB_val k, v;

    for (;;) {
        prefix = import_key(apply_bytes(a, 0).data, apply_bytes(a, 1).data, from, key);
        k = (MDB_val){.mv_size = prefix.len, .mv_data = key};
        if (mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE) != 0 || k.mv_size < IMPORT_KEY_SIZE ||
            memcmp(k.mv_data, key, LIST_KEY_SIZE) != 0)
            return false;
        memcpy(key, k.mv_data, IMPORT_KEY_SIZE);
        if (!key_u64_read(slice_of(key + LIST_KEY_SIZE, KEY_U64_SIZE), out))
            return false;
        if (!(has_list && *out == in_force) &&
            apply_get(a, TABLE_CRL_IMPORTS, slice_of(key, IMPORT_KEY_SIZE), &value) == STATUS_NOT_FOUND)
            return true;
        if (*out == UINT64_MAX)
            return false;
        from = *out + 1;
    }
}

static uint64_t sweep(struct store_apply *a, MDB_cursor *cursor, uint64_t in_force, bool has_list)
{
    uint64_t swept = 0, generation = 0;

    while (swept < CRL_SWEEP_MAX && dead_generation(a, cursor, generation, in_force, has_list, &generation)) {
        int rc = mdb_cursor_del(cursor, 0); /* it stands on the first row of that generation */

        if (rc != 0) {
            if (a->broken == STATUS_OK)
                a->broken = tables_failure(&a->broken_text, rc, "cannot delete from the store");
            break;
        }
        swept++;
    }
    return swept;
}

enum status apply_crl_sweep(struct store_apply *a)
{
    struct buf value = BUF_INIT(sizeof(a->result->value));
    struct msgpack_writer w;
    MDB_cursor *cursor;
    struct crl_record list;
    bool has_list = get_list(a, &list);
    uint64_t swept;
    int rc = mdb_cursor_open(a->txn, a->store->tables[TABLE_REVOKED], &cursor);

    if (rc != 0) {
        a->broken = tables_failure(&a->broken_text, rc, "cannot walk the store");
        return STATUS_OK;
    }
    swept = sweep(a, cursor, has_list ? list.generation : 0, has_list);
    mdb_cursor_close(cursor);
    msgpack_writer_init(&w, &value);
    write_u64(&w, swept);
    if (msgpack_writer_status(&w) == STATUS_OK) {
        memcpy(a->result->value, value.data, value.len);
        a->result->value_len = value.len;
    }
    buf_release(&value);
    return STATUS_OK;
}

/* --- OCSP --- */

enum status apply_ocsp_put(struct store_apply *a)
{
    uint8_t key[OCSP_KEY_MAX];
    struct slice k = ocsp_key(apply_bytes(a, 0).data, apply_bytes(a, 1), key);
    struct store_view view = {.store = a->store, .txn = a->txn};
    struct buf value = BUF_INIT(128);
    struct msgpack_writer w;
    struct ocsp_record before;
    enum status status = store_ocsp_get(&view, apply_bytes(a, 0).data, apply_bytes(a, 1), &before);
    bool had = status == STATUS_OK;

    if (!had && status != STATUS_NOT_FOUND)
        return apply_refuse(a, STATUS_CORRUPT, "an OCSP answer in the store cannot be read");
    if (had && apply_number(a, 5) < before.this_ms)
        return apply_refuse(a, STATUS_CONFLICT, "an answer that is newer is in the store");
    msgpack_writer_init(&w, &value);
    write_array(&w, 6);
    for (size_t i = 2; i < 7; i++)
        write_u64(&w, apply_number(a, i));
    write_u64(&w, a->command->time_ms);
    put_record(a, TABLE_OCSP, k, &value, msgpack_writer_status(&w));
    /* Workers remember good news for a minute, never bad news: another good answer changes nothing for them.
     */
    if (apply_number(a, 2) == OCSP_REVOKED)
        apply_trust_changed(a);
    return STATUS_OK;
}

enum status apply_ocsp_remove(struct store_apply *a)
{
    uint8_t key[OCSP_KEY_MAX];
    struct slice k = ocsp_key(apply_bytes(a, 0).data, apply_bytes(a, 1), key);

    if (!apply_has(a, TABLE_OCSP, k))
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no OCSP answer for this certificate");
    apply_delete(a, TABLE_OCSP, k);
    apply_trust_changed(a);
    return STATUS_OK;
}

struct ended {
    uint64_t before_ms;
    size_t count;
    struct {
        uint8_t key[OCSP_KEY_MAX];
        size_t len;
    } found[OCSP_SWEEP_MAX];
};

static bool find_ended(void *context, const uint8_t issuer[ISSUER_ID_SIZE], struct slice serial,
                       const struct ocsp_record *answer)
{
    struct ended *ended = context;

    if (ocsp_has_ended(answer, ended->before_ms)) {
        ended->found[ended->count].len = ocsp_key(issuer, serial, ended->found[ended->count].key).len;
        ended->count++;
    }
    return ended->count < OCSP_SWEEP_MAX;
}

/* Nothing changes for anybody's mail: an answer that has ended counts for nothing. */
enum status apply_ocsp_sweep(struct store_apply *a)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    struct ended ended = {.before_ms = apply_number(a, 0)};
    struct buf value = BUF_INIT(sizeof(a->result->value));
    struct msgpack_writer w;

    if (store_ocsp_all(&view, find_ended, &ended) != STATUS_OK)
        return apply_refuse(a, STATUS_CORRUPT, "the OCSP answers in the store cannot be read");
    for (size_t i = 0; i < ended.count; i++)
        apply_delete(a, TABLE_OCSP, slice_of(ended.found[i].key, ended.found[i].len));
    msgpack_writer_init(&w, &value);
    write_u64(&w, ended.count);
    if (msgpack_writer_status(&w) == STATUS_OK) {
        memcpy(a->result->value, value.data, value.len);
        a->result->value_len = value.len;
    }
    buf_release(&value);
    return STATUS_OK;
}
