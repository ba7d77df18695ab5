/* LMDB behind names. What LMDB reports is turned into our statuses here and nowhere else. */
#include "store/tables.h"

#include <errno.h>

const char *const table_names[TABLE_COUNT] = {
    [TABLE_META] = "meta",
    [TABLE_COMMANDS] = "commands",
    [TABLE_COMMAND_INDEX] = "command_index",
    [TABLE_SETTINGS] = "settings",
    [TABLE_DOMAINS] = "domains",
    [TABLE_USERS] = "users",
    [TABLE_CERTS] = "certs",
    [TABLE_CERT_ADDRESS] = "cert_address",
    [TABLE_KEYS] = "keys",
    [TABLE_TRUST] = "trust",
    [TABLE_NODES] = "nodes",
    [TABLE_REMOVED_NODES] = "removed_nodes",
    [TABLE_NODE_TOKENS] = "node_tokens",
    [TABLE_API_TOKENS] = "api_tokens",
    [TABLE_CLUSTER] = "cluster",
    [TABLE_RULES] = "rules",
    [TABLE_GROUPS] = "groups",
    [TABLE_GROUP_MEMBERS] = "group_members",
    [TABLE_MEMBER_GROUPS] = "member_groups",
    [TABLE_CTL] = "ctl",
    [TABLE_CRLS] = "crls",
    [TABLE_CRL_IMPORTS] = "crl_imports",
    [TABLE_REVOKED] = "revoked",
    [TABLE_OCSP] = "ocsp",
    [TABLE_CERT_STATE] = "cert_state",
    [TABLE_BINDINGS] = "bindings",
    [TABLE_CERT_INDEX] = "cert_index",
    [TABLE_CERT_BINDINGS] = "cert_bindings",
    [TABLE_DOMAIN_DNS] = "domain_dns",
    [TABLE_NOTICES] = "notices",
    [TABLE_STS] = "sts",
    [TABLE_DKIM_KEYS] = "dkim_keys",
    [TABLE_REWRITES] = "rewrites",
    [TABLE_LISTENERS] = "listeners",
    [TABLE_TLS_CERTIFICATES] = "tls_certificates",
    [TABLE_CAS] = "cas",
    [TABLE_CA_CRL] = "ca_crl",
    [TABLE_CA_ISSUED] = "ca_issued",
    [TABLE_CA_REVOKED] = "ca_revoked",
    [TABLE_CA_REQUESTS] = "ca_requests",
    [TABLE_CA_REQUEST_ADDRESS] = "ca_request_address",
    [TABLE_CA_ALLOWANCE] = "ca_allowance",
};

enum status tables_failure(struct failure *f, int lmdb_error, const char *doing)
{
    enum status status = STATUS_IO;

    if (lmdb_error == MDB_MAP_FULL || lmdb_error == ENOSPC)
        status = STATUS_NO_SPACE;
    else if (lmdb_error == ENOMEM)
        status = STATUS_NO_MEMORY;
    else if (lmdb_error == MDB_CORRUPTED || lmdb_error == MDB_PAGE_NOTFOUND || lmdb_error == MDB_INVALID)
        status = STATUS_CORRUPT;
    else if (lmdb_error == MDB_VERSION_MISMATCH)
        status = STATUS_VERSION;
    return failure_set(f, status, "%s: %s", doing, mdb_strerror(lmdb_error));
}

enum status tables_open(struct store *store, MDB_txn *txn, enum tables_mode mode, struct failure *f)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        int rc = mdb_dbi_open(txn, table_names[i], mode == TABLES_MAKE ? MDB_CREATE : 0, &store->tables[i]);

        if (rc == MDB_NOTFOUND && mode == TABLES_SOME && i != TABLE_META) {
            store->tables[i] = TABLE_ABSENT;
            continue;
        }
        if (rc == MDB_NOTFOUND)
            return failure_set(f, STATUS_CORRUPT, "the store has no table %s", table_names[i]);
        if (rc != 0)
            return tables_failure(f, rc, "cannot open a table of the store");
    }
    return STATUS_OK;
}

enum status table_get(struct store *store, MDB_txn *txn, enum table table, struct slice key,
                      struct slice *value)
{
    MDB_val k = {.mv_size = key.len, .mv_data = (void *)(uintptr_t)key.data};
    MDB_val v;
    int rc;

    *value = (struct slice){0};
    if (key.len == 0 || key.len > (size_t)mdb_env_get_maxkeysize(store->env))
        return STATUS_NOT_FOUND;
    rc = mdb_get(txn, store->tables[table], &k, &v);
    if (rc == MDB_NOTFOUND)
        return STATUS_NOT_FOUND;
    if (rc != 0)
        return tables_failure(NULL, rc, "");
    *value = slice_of(v.mv_data, v.mv_size);
    return STATUS_OK;
}

enum status table_find(struct store *store, MDB_txn *txn, enum table table, struct slice *key,
                       struct slice *value)
{
    MDB_cursor *cursor;
    MDB_val k = {.mv_size = key->len, .mv_data = (void *)(uintptr_t)key->data};
    MDB_val v;
    int rc;

    *value = (struct slice){0};
    if (key->len == 0 || key->len > (size_t)mdb_env_get_maxkeysize(store->env))
        return STATUS_NOT_FOUND;
    rc = mdb_cursor_open(txn, store->tables[table], &cursor);
    if (rc != 0)
        return tables_failure(NULL, rc, "");
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY);
    mdb_cursor_close(cursor);
    if (rc == MDB_NOTFOUND)
        return STATUS_NOT_FOUND;
    if (rc != 0)
        return tables_failure(NULL, rc, "");
    *key = slice_of(k.mv_data, k.mv_size);
    *value = slice_of(v.mv_data, v.mv_size);
    return STATUS_OK;
}

enum status table_walk(struct store *store, MDB_txn *txn, enum table table, struct slice from,
                       table_visit_cb visit, void *context)
{
    MDB_cursor *cursor;
    MDB_val k = {.mv_size = from.len, .mv_data = (void *)(uintptr_t)from.data};
    MDB_val v;
    int rc = mdb_cursor_open(txn, store->tables[table], &cursor);

    if (rc != 0)
        return tables_failure(NULL, rc, "");
    rc = mdb_cursor_get(cursor, &k, &v, from.len > 0 ? MDB_SET_RANGE : MDB_FIRST);
    while (rc == 0) {
        if (!visit(context, slice_of(k.mv_data, k.mv_size), slice_of(v.mv_data, v.mv_size)))
            break;
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == 0 || rc == MDB_NOTFOUND ? STATUS_OK : tables_failure(NULL, rc, "");
}

void key_u64_write(uint64_t number, uint8_t key[KEY_U64_SIZE])
{
    for (unsigned i = 0; i < KEY_U64_SIZE; i++)
        key[i] = (uint8_t)(number >> (56 - 8 * i));
}

bool key_u64_read(struct slice key, uint64_t *number)
{
    uint64_t value = 0;

    if (key.len != KEY_U64_SIZE)
        return false;
    for (unsigned i = 0; i < KEY_U64_SIZE; i++)
        value = value << 8 | key.data[i];
    *number = value;
    return true;
}

size_t setting_key_write(unsigned level, struct slice scope, struct slice name, uint8_t key[SETTING_KEY_MAX])
{
    size_t len = 0;

    if (scope.len > 320)
        scope.len = 320;
    if (name.len > 64)
        name.len = 64;
    key[len++] = (uint8_t)level;
    if (scope.len > 0)
        memcpy(key + len, scope.data, scope.len);
    len += scope.len;
    key[len++] = 0;
    if (name.len > 0)
        memcpy(key + len, name.data, name.len);
    return len + name.len;
}
