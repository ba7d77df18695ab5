/*
 * Commands about the listeners of the SMTP service and their TLS certificates (store/records_listener.h,
 * store/records_tls.h). See store/apply_internal.h for the rules.
 */
#include "store/apply_internal.h"
#include "store/command_check_internal.h"
#include "store/records_listener.h"
#include "store/records_tls.h"

/* --- judging them by themselves --- */

static enum status name_check(struct slice name, bool listener, struct failure *f)
{
    if (listener ? listener_name_valid(name) : transport_name_valid(name)) {
        return STATUS_OK;
    }
    return failure_set(f, STATUS_INVALID, "the name of a %s has lower-case letters, digits%s, at most %d",
                       listener ? "listener" : "TLS certificate",
                       listener ? " and hyphens" : ", hyphens and dots", LISTENER_NAME_MAX);
}

enum status check_listener(const struct command *c, struct failure *f)
{
    return name_check(c->values[0].bytes, true, f);
}

enum status check_listener_set(const struct command *c, struct failure *f)
{
    struct listener_record record = {0};
    enum status status = check_listener(c, f);
    return status == STATUS_OK ? listener_text_read(c->values[1].bytes, &record, f) : status;
}

enum status check_tls(const struct command *c, struct failure *f)
{
    return name_check(c->values[0].bytes, false, f);
}

enum status check_tls_put(const struct command *c, struct failure *f)
{
    struct tls_record record;
    enum status status = check_tls(c, f);
    if (status == STATUS_OK && tls_chain_decode(c->values[1].bytes, &record) != STATUS_OK) {
        status = failure_set(f, STATUS_MALFORMED, "the chain of a TLS certificate cannot be read");
    }
    return status;
}

/* --- applying them --- */

static void put(struct store_apply *a, enum table table, enum status encoded, struct buf *value)
{
    if (encoded == STATUS_OK) {
        apply_put(a, table, apply_bytes(a, 0), buf_slice(value));
    } else if (a->broken == STATUS_OK) {
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    }
}

/* Is there room for one more row? */
static bool has_room(struct store_apply *a, enum table table, size_t most)
{
    MDB_stat rows;
    return mdb_stat(a->txn, a->store->tables[table], &rows) != 0 || rows.ms_entries < most;
}

enum status apply_listener_set(struct store_apply *a)
{
    struct listener_record record = {.name = apply_bytes(a, 0)};
    struct slice value;
    struct failure f;
    struct buf out = BUF_INIT(2 * LISTENER_TEXT_MAX);
    enum status status = apply_get(a, TABLE_LISTENERS, apply_bytes(a, 0), &value);
    if (status == STATUS_OK) {
        status = listener_decode(apply_bytes(a, 0), value, &record);
    } else if (status == STATUS_NOT_FOUND) {
        if (!has_room(a, TABLE_LISTENERS, LISTENER_ROWS_MAX)) {
            return apply_refuse(a, STATUS_TOO_LARGE, "no more than %d listeners have rows",
                                LISTENER_ROWS_MAX);
        }
        status = STATUS_OK;
    }
    if (status != STATUS_OK) {
        return apply_refuse(a, status, "what is set for the listener cannot be read");
    }
    status = listener_text_read(apply_bytes(a, 1), &record, &f);
    if (status != STATUS_OK) {
        return apply_refuse(a, status, "%s", f.text);
    }
    record.changed_ms = a->command->time_ms;
    put(a, TABLE_LISTENERS, listener_encode(&record, &out), &out); /* encoded before it is written */
    buf_release(&out);
    return STATUS_OK;
}

enum status apply_listener_unset(struct store_apply *a)
{
    if (!apply_has(a, TABLE_LISTENERS, apply_bytes(a, 0))) {
        return apply_refuse(a, STATUS_NOT_FOUND, "nothing is set for the listener %.*s",
                            SLICE_ARGS(apply_bytes(a, 0)));
    }
    apply_delete(a, TABLE_LISTENERS, apply_bytes(a, 0));
    return STATUS_OK;
}

enum status apply_tls_put(struct store_apply *a)
{
    struct tls_record record = {.name = apply_bytes(a, 0),
                                .key_sealed = apply_bytes(a, 2),
                                .names = apply_bytes(a, 3),
                                .not_before = apply_number(a, 4),
                                .not_after = apply_number(a, 5),
                                .added_ms = a->command->time_ms};
    struct buf out = BUF_INIT(2 * TLS_CHAIN_BYTES_MAX);
    if (tls_chain_decode(apply_bytes(a, 1), &record) != STATUS_OK) {
        return apply_refuse(a, STATUS_MALFORMED, "the chain of a TLS certificate cannot be read");
    }
    if (!apply_has(a, TABLE_TLS_CERTIFICATES, record.name) &&
        !has_room(a, TABLE_TLS_CERTIFICATES, TLS_CERTIFICATES_MAX)) {
        return apply_refuse(a, STATUS_TOO_LARGE, "there are %d TLS certificates already",
                            TLS_CERTIFICATES_MAX);
    }
    put(a, TABLE_TLS_CERTIFICATES, tls_encode(&record, &out), &out);
    buf_release(&out);
    return STATUS_OK;
}

struct user_search {
    struct slice certificate;
    char listener[LISTENER_NAME_MAX + 1];
};

/* Does this listener name the certificate? */
static bool visit_user(void *context, struct slice key, struct slice value)
{
    struct user_search *search = context;
    struct listener_record record;
    struct slice name;
    if (listener_decode(key, value, &record) != STATUS_OK) {
        return true;
    }
    struct setting_value names = {.setting = listener_field_at(LISTENER_CERTIFICATES),
                                  .text = record.values[LISTENER_CERTIFICATES]};
    for (size_t i = 0; setting_text_at(&names, i, &name); i++) {
        if (slice_equal(name, search->certificate)) {
            (void)!snprintf(search->listener, sizeof search->listener, "%.*s", SLICE_ARGS(key));
            return false;
        }
    }
    return true;
}

enum status apply_tls_remove(struct store_apply *a)
{
    struct user_search search = {.certificate = apply_bytes(a, 0)};
    if (!apply_has(a, TABLE_TLS_CERTIFICATES, apply_bytes(a, 0))) {
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no TLS certificate %.*s",
                            SLICE_ARGS(apply_bytes(a, 0)));
    }
    if (table_walk(a->store, a->txn, TABLE_LISTENERS, (struct slice){0}, visit_user, &search) != STATUS_OK) {
        return apply_refuse(a, STATUS_CORRUPT, "the listeners cannot be read");
    }
    if (search.listener[0] != '\0') {
        return apply_refuse(a, STATUS_CONFLICT, "the listener %s uses it: change its certificates first",
                            search.listener);
    }
    apply_delete(a, TABLE_TLS_CERTIFICATES, apply_bytes(a, 0));
    return STATUS_OK;
}
