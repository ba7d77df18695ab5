/* Queries about nodes, the cluster, tokens, domains and users. Any thread with a view of its own. */
#include "store/records.h"

#include "base/msgpack_read.h"
#include "store/command.h"
#include "store/permission.h"
#include "store/tables.h"

static enum status view_get(struct store_view *v, enum table table, struct slice key, struct slice *value)
{
    return table_get(v->store, v->txn, table, key, value);
}

static enum status read_node(struct slice key, struct slice value, struct node_record *out)
{
    struct msgpack_reader r;
    struct slice spki;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    (void)read_array(&r, 7);
    out->name = read_text(&r, 63);
    out->peer_address = read_text(&r, 79);
    out->api_address = read_text(&r, 79);
    out->smtp_address = read_text(&r, 79);
    spki = read_bytes(&r, sizeof(out->spki_hash));
    out->command_set = read_u64(&r);
    out->added_ms = read_u64(&r);
    if (!key_u64_read(key, &out->id) || msgpack_reader_status(&r, true) != STATUS_OK ||
        spki.len != sizeof(out->spki_hash))
        return STATUS_CORRUPT;
    memcpy(out->spki_hash, spki.data, sizeof(out->spki_hash));
    return STATUS_OK;
}

enum status store_node_get(struct store_view *v, uint64_t id, struct node_record *out)
{
    uint8_t key[KEY_U64_SIZE];
    struct slice value;
    enum status status;

    key_u64_write(id, key);
    status = view_get(v, TABLE_NODES, slice_of(key, sizeof(key)), &value);
    return status != STATUS_OK ? status : read_node(slice_of(key, sizeof(key)), value, out);
}

struct node_walk {
    node_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_node(void *context, struct slice key, struct slice value)
{
    struct node_walk *walk = context;
    struct node_record node;

    walk->status = read_node(key, value, &node);
    return walk->status == STATUS_OK && walk->visit(walk->context, &node);
}

enum status store_nodes_all(struct store_view *v, node_visit_cb cb, void *context)
{
    struct node_walk walk = {.visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_NODES, (struct slice){0}, visit_node, &walk);

    return status != STATUS_OK ? status : walk.status;
}

struct node_search {
    struct slice name;
    struct node_record *out;
    bool found;
};

static bool is_named(void *context, const struct node_record *record)
{
    struct node_search *search = context;

    if (!slice_equal_nocase(record->name, search->name))
        return true;
    *search->out = *record;
    search->found = true;
    return false;
}

enum status store_node_by_name(struct store_view *v, struct slice name, struct node_record *out)
{
    struct node_search search = {.name = name, .out = out};
    enum status status = store_nodes_all(v, is_named, &search);

    if (status != STATUS_OK)
        return status;
    return search.found ? STATUS_OK : STATUS_NOT_FOUND;
}

bool store_node_was_removed(struct store_view *v, uint64_t id)
{
    uint8_t key[KEY_U64_SIZE];
    struct slice value;

    key_u64_write(id, key);
    return view_get(v, TABLE_REMOVED_NODES, slice_of(key, sizeof(key)), &value) == STATUS_OK;
}

static bool lowest_command_set(void *context, const struct node_record *record)
{
    uint64_t *lowest = context;

    if (record->command_set < *lowest)
        *lowest = record->command_set;
    return true;
}

uint64_t store_cluster_version(struct store_view *v)
{
    uint64_t lowest = COMMAND_SET_VERSION;

    return store_nodes_all(v, lowest_command_set, &lowest) == STATUS_OK ? lowest : 1;
}

enum status store_cluster_get(struct store_view *v, struct cluster_record *out)
{
    struct msgpack_reader r;
    struct slice value;
    enum status status = view_get(v, TABLE_CLUSTER, SLICE_LITERAL("cluster"), &value);

    memset(out, 0, sizeof(*out));
    if (status != STATUS_OK)
        return status;
    msgpack_reader_init(&r, value);
    (void)read_array(&r, 6);
    out->id = read_bytes(&r, 16);
    out->name = read_text(&r, 63);
    out->ca_certificate = read_bytes(&r, 8192);
    out->ca_key = read_bytes(&r, 8192);
    out->data_key_id = read_bytes(&r, 16);
    out->data_key = read_bytes(&r, 256);
    return msgpack_reader_status(&r, true) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
}

enum status api_token_decode(struct slice value, struct api_token_record *out)
{
    struct msgpack_reader r;
    size_t fields;

    msgpack_reader_init(&r, value);
    memset(out, 0, sizeof(*out));
    fields = read_array(&r, 5);
    out->name = read_text(&r, 63);
    out->role = read_text(&r, ROLE_NAME_MAX);
    out->expires_ms = read_u64(&r);
    if (fields == 5) {
        out->added_ms = read_u64(&r);
        out->added_by = read_text(&r, COMMAND_ACTOR_MAX);
    }
    return msgpack_reader_status(&r, true) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
}

enum status store_api_token_get(struct store_view *v, const uint8_t hash[32], struct api_token_record *out)
{
    struct slice value;
    enum status status = view_get(v, TABLE_API_TOKENS, slice_of(hash, 32), &value);

    return status != STATUS_OK ? status : api_token_decode(value, out);
}

struct token_walk {
    api_token_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_token(void *context, struct slice key, struct slice value)
{
    struct token_walk *walk = context;
    struct api_token_record record;

    (void)key;
    walk->status = api_token_decode(value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_api_tokens_all(struct store_view *v, api_token_visit_cb cb, void *context)
{
    struct token_walk walk = {.visit = cb, .context = context};
    enum status status =
        table_walk(v->store, v->txn, TABLE_API_TOKENS, (struct slice){0}, visit_token, &walk);

    return status != STATUS_OK ? status : walk.status;
}

static enum status read_added(struct slice value, uint64_t *added_ms)
{
    struct msgpack_reader r;

    msgpack_reader_init(&r, value);
    (void)read_array(&r, 1);
    *added_ms = read_u64(&r);
    return msgpack_reader_status(&r, true) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
}

/* The key of a domain or user in the map, and when it was added. */
static enum status find_added(struct store_view *v, enum table table, struct slice *key, uint64_t *added_ms)
{
    struct slice value;
    enum status status = table_find(v->store, v->txn, table, key, &value);

    return status == STATUS_OK ? read_added(value, added_ms) : status;
}

enum status store_domain_get(struct store_view *v, struct slice domain, struct domain_record *out)
{
    char normal[DOMAIN_MAX + 1];
    struct slice key;
    enum status status;

    if (domain_normalise(domain, normal, NULL) != STATUS_OK)
        return STATUS_NOT_FOUND;
    key = slice_of_text(normal);
    status = find_added(v, TABLE_DOMAINS, &key, &out->added_ms);
    if (status == STATUS_OK)
        out->name = key;
    return status;
}

enum status store_user_get(struct store_view *v, struct slice address, struct user_record *out)
{
    char normal[ADDRESS_MAX + 1];
    struct slice key;
    enum status status;

    if (address_normalise(address, normal, NULL) != STATUS_OK)
        return STATUS_NOT_FOUND;
    key = slice_of_text(normal);
    status = find_added(v, TABLE_USERS, &key, &out->added_ms);
    if (status == STATUS_OK)
        out->address = key;
    return status;
}

struct added_walk {
    domain_visit_cb domain;
    user_visit_cb user;
    void *context;
    enum status status;
};

static bool visit_added(void *context, struct slice key, struct slice value)
{
    struct added_walk *walk = context;
    uint64_t added_ms;

    walk->status = read_added(value, &added_ms);
    if (walk->status != STATUS_OK)
        return false;
    if (walk->domain != NULL)
        return walk->domain(walk->context, &(struct domain_record){.name = key, .added_ms = added_ms});
    return walk->user(walk->context, &(struct user_record){.address = key, .added_ms = added_ms});
}

enum status store_domains_all(struct store_view *v, domain_visit_cb cb, void *context)
{
    struct added_walk walk = {.domain = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_DOMAINS, (struct slice){0}, visit_added, &walk);

    return status != STATUS_OK ? status : walk.status;
}

enum status store_users_all(struct store_view *v, user_visit_cb cb, void *context)
{
    struct added_walk walk = {.user = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_USERS, (struct slice){0}, visit_added, &walk);

    return status != STATUS_OK ? status : walk.status;
}
