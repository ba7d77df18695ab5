/* Commands about the cluster, its nodes and the tokens by which they join. See store/apply_internal.h for the
 * rules. */
#include "store/apply_internal.h"
#include "store/records.h"

#include "base/msgpack_read.h"

static const uint8_t no_token[32];

/* Encodes into `out`, or marks the batch as broken for want of memory. */
static bool written(struct store_apply *a, const struct msgpack_writer *w)
{
    if (msgpack_writer_status(w) == STATUS_OK)
        return true;
    if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    return false;
}

enum status apply_cluster_init(struct store_apply *a)
{
    struct slice key = SLICE_LITERAL("cluster");
    struct buf value = BUF_INIT(64 << 10);
    struct msgpack_writer w;

    if (apply_has(a, TABLE_CLUSTER, key))
        return apply_refuse(a, STATUS_EXISTS, "the cluster has been founded already");
    msgpack_writer_init(&w, &value);
    write_array(&w, 6);
    write_bytes(&w, apply_bytes(a, 0));
    write_text(&w, apply_bytes(a, 1));
    for (size_t i = 2; i < 6; i++)
        write_bytes(&w, apply_bytes(a, i));
    if (written(a, &w))
        apply_put(a, TABLE_CLUSTER, key, buf_slice(&value));
    buf_release(&value);
    return STATUS_OK;
}

static void put_node(struct store_apply *a, uint64_t id, const struct node_record *node)
{
    uint8_t key[KEY_U64_SIZE];
    struct buf value = BUF_INIT(4096);
    struct msgpack_writer w;

    msgpack_writer_init(&w, &value);
    write_array(&w, 7);
    write_text(&w, node->name);
    write_text(&w, node->peer_address);
    write_text(&w, node->api_address);
    write_text(&w, node->smtp_address);
    write_bytes(&w, slice_of(node->spki_hash, sizeof(node->spki_hash)));
    write_u64(&w, node->command_set);
    write_u64(&w, node->added_ms);
    key_u64_write(id, key);
    if (written(a, &w))
        apply_put(a, TABLE_NODES, slice_of(key, sizeof(key)), buf_slice(&value));
    buf_release(&value);
}

struct name_search {
    struct slice name, address;
    uint64_t except;
    bool name_taken, address_taken, any;
};

static bool look_for_name(void *context, const struct node_record *node)
{
    struct name_search *search = context;

    search->any = true;
    if (node->id != search->except) {
        search->name_taken |= slice_equal_nocase(node->name, search->name);
        search->address_taken |= slice_equal(node->peer_address, search->address);
    }
    return true;
}

static struct name_search search_nodes(struct store_apply *a, struct slice name, struct slice address,
                                       uint64_t except)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    struct name_search search = {.name = name, .address = address, .except = except};

    if (store_nodes_all(&view, look_for_name, &search) != STATUS_OK && a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_IO, "cannot read the nodes");
    return search;
}

static void put_node_token(struct store_apply *a, struct slice hash, uint64_t expires_ms, uint64_t used_by)
{
    struct buf value = BUF_INIT(64);
    struct msgpack_writer w;

    msgpack_writer_init(&w, &value);
    write_array(&w, 2);
    write_u64(&w, expires_ms);
    write_u64(&w, used_by);
    if (written(a, &w))
        apply_put(a, TABLE_NODE_TOKENS, hash, buf_slice(&value));
    buf_release(&value);
}

static enum status check_node_token(struct store_apply *a, struct slice hash, uint64_t *expires_ms)
{
    struct slice value;
    struct msgpack_reader r;
    uint64_t used_by;

    if (apply_get(a, TABLE_NODE_TOKENS, hash, &value) != STATUS_OK)
        return apply_refuse(a, STATUS_UNAUTHENTICATED,
                            "this cluster knows no such join token; make one with: sealpostctl node token");
    msgpack_reader_init(&r, value);
    (void)read_array(&r, 2);
    *expires_ms = read_u64(&r);
    used_by = read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK)
        return apply_refuse(a, STATUS_CORRUPT, "the join token's record cannot be read");
    if (used_by != 0)
        return apply_refuse(a, STATUS_USED,
                            "this join token was used already, by node %llu; each token admits one node",
                            (unsigned long long)used_by);
    if (*expires_ms <= a->command->time_ms)
        return apply_refuse(a, STATUS_EXPIRED,
                            "this join token has expired; make a new one with: sealpostctl node token");
    return STATUS_OK;
}

enum status apply_node_admit(struct store_apply *a)
{
    struct slice hash = apply_bytes(a, 0);
    bool founding = slice_equal(hash, slice_of(no_token, sizeof(no_token)));
    struct node_record node = {.name = apply_bytes(a, 1),
                               .peer_address = apply_bytes(a, 2),
                               .api_address = apply_bytes(a, 3),
                               .smtp_address = apply_bytes(a, 4),
                               .command_set = apply_number(a, 6),
                               .added_ms = a->command->time_ms};
    struct name_search search = search_nodes(a, node.name, node.peer_address, 0);
    uint64_t id = apply_meta_number(a, "next_node_id", 1);
    uint64_t expires_ms = 0;
    struct buf result = BUF_INIT(sizeof(a->result->value));
    struct msgpack_writer w;
    enum status status;

    if (founding && search.any)
        return apply_refuse(a, STATUS_CONFLICT, "the cluster has nodes already: join with a token");
    if (!founding) {
        status = check_node_token(a, hash, &expires_ms);
        if (status != STATUS_OK)
            return status;
    }
    if (search.name_taken)
        return apply_refuse(a, STATUS_EXISTS, "a node named %.*s is in the cluster already",
                            SLICE_ARGS(node.name));
    if (search.address_taken)
        return apply_refuse(a, STATUS_EXISTS, "a node with the address %.*s is in the cluster already",
                            SLICE_ARGS(node.peer_address));
    memcpy(node.spki_hash, apply_bytes(a, 5).data, sizeof(node.spki_hash));
    put_node(a, id, &node);
    apply_meta_set(a, "next_node_id", id + 1);
    if (!founding)
        put_node_token(a, hash, expires_ms, id);
    msgpack_writer_init(&w, &result);
    write_u64(&w, id);
    if (written(a, &w)) {
        memcpy(a->result->value, result.data, result.len);
        a->result->value_len = result.len;
    }
    buf_release(&result);
    return STATUS_OK;
}

enum status apply_node_update(struct store_apply *a)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    struct node_record node;
    uint64_t id = apply_number(a, 0);
    struct name_search search = search_nodes(a, apply_bytes(a, 1), apply_bytes(a, 2), id);

    if (store_node_get(&view, id, &node) != STATUS_OK)
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no node %llu in the cluster",
                            (unsigned long long)id);
    if (search.name_taken || search.address_taken)
        return apply_refuse(a, STATUS_EXISTS, "another node has this name or address");
    node.name = apply_bytes(a, 1);
    node.peer_address = apply_bytes(a, 2);
    node.api_address = apply_bytes(a, 3);
    node.smtp_address = apply_bytes(a, 4);
    node.command_set = apply_number(a, 5);
    put_node(a, id, &node);
    return STATUS_OK;
}

enum status apply_node_remove(struct store_apply *a)
{
    uint8_t key[KEY_U64_SIZE] = {0};
    struct slice key_slice = slice_of(key, sizeof(key));
    struct buf value = BUF_INIT(32);
    struct msgpack_writer w;

    key_u64_write(apply_number(a, 0), key);
    if (!apply_has(a, TABLE_NODES, key_slice))
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no node %llu in the cluster",
                            (unsigned long long)apply_number(a, 0));
    msgpack_writer_init(&w, &value);
    write_array(&w, 1);
    write_u64(&w, a->command->time_ms);
    if (written(a, &w)) {
        apply_delete(a, TABLE_NODES, key_slice);
        apply_put(a, TABLE_REMOVED_NODES, key_slice, buf_slice(&value));
    }
    buf_release(&value);
    return STATUS_OK;
}

#define TOKEN_KEPT_MS    ((uint64_t)7 * 24 * 3600 * 1000) /* after its end: so long "expired" is the answer */
#define TOKENS_FORGOTTEN 64                               /* at a time */

struct old_tokens {
    uint64_t now_ms;
    size_t count;
    uint8_t hashes[TOKENS_FORGOTTEN][32];
};

static bool collect_old_token(void *context, struct slice key, struct slice value)
{
    struct old_tokens *old = context;
    struct msgpack_reader r;
    uint64_t expires_ms;

    msgpack_reader_init(&r, value);
    (void)read_array(&r, 2);
    expires_ms = read_u64(&r);
    if (msgpack_reader_status(&r, false) == STATUS_OK && key.len == sizeof(old->hashes[0]) &&
        old->now_ms > TOKEN_KEPT_MS && expires_ms < old->now_ms - TOKEN_KEPT_MS)
        memcpy(old->hashes[old->count++], key.data, key.len);
    return old->count < TOKENS_FORGOTTEN;
}

/* Used or not, a join token's record stays until it could not be used any more for long. */
static void forget_old_tokens(struct store_apply *a)
{
    struct old_tokens old = {.now_ms = a->command->time_ms};

    if (table_walk(a->store, a->txn, TABLE_NODE_TOKENS, (struct slice){0}, collect_old_token, &old) !=
            STATUS_OK &&
        a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_IO, "cannot read the join tokens");
    for (size_t i = 0; i < old.count; i++)
        apply_delete(a, TABLE_NODE_TOKENS, slice_of(old.hashes[i], sizeof(old.hashes[i])));
}

enum status apply_node_token_add(struct store_apply *a)
{
    if (apply_has(a, TABLE_NODE_TOKENS, apply_bytes(a, 0)))
        return apply_refuse(a, STATUS_EXISTS, "this join token exists already");
    if (apply_number(a, 1) <= a->command->time_ms)
        return apply_refuse(a, STATUS_INVALID, "the join token would have expired before it is made");
    forget_old_tokens(a);
    put_node_token(a, apply_bytes(a, 0), apply_number(a, 1), 0);
    return STATUS_OK;
}
