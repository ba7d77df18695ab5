/* Commands about API tokens: who may ask, and as what. See store/apply_internal.h for the rules. */
#include "store/apply_internal.h"
#include "store/permission.h"
#include "store/records.h"

static bool is_admin(const struct api_token_record *record)
{
    return slice_equal(record->role, slice_of_text(token_role_at(ROLE_ADMIN)->name));
}

/* One walk over the tokens; slices point into the map. */
struct token_search {
    struct slice name;
    uint64_t now_ms;
    /* what was found */
    struct api_token_record record;
    uint8_t hash[32];
    bool found;
    size_t count;
    size_t lasting_admins; /* of another name, without an end */
    size_t present_admins; /* of another name, with an end that is still to come */
};

static bool look_for_token(void *context, struct slice key, struct slice value)
{
    struct token_search *search = context;
    struct api_token_record record;

    if (key.len != sizeof(search->hash) || api_token_decode(value, &record) != STATUS_OK)
        return true;
    search->count++;
    if (slice_equal(record.name, search->name)) {
        search->record = record;
        memcpy(search->hash, key.data, sizeof(search->hash));
        search->found = true;
    } else if (is_admin(&record)) {
        search->lasting_admins += record.expires_ms == 0;
        search->present_admins += record.expires_ms > search->now_ms;
    }
    return true;
}

static struct token_search search_tokens(struct store_apply *a, struct slice name)
{
    struct token_search search = {.name = name, .now_ms = a->command->time_ms};

    if (table_walk(a->store, a->txn, TABLE_API_TOKENS, (struct slice){0}, look_for_token, &search) !=
            STATUS_OK &&
        a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_IO, "cannot read the tokens");
    return search;
}

/* Command 6 notes neither when nor who: what the nodes of older releases wrote for it, all must write. */
static enum status token_put(struct store_apply *a, const struct token_search *search, bool with_origin)
{
    struct buf value = BUF_INIT(512);
    struct msgpack_writer w;

    if (search->found || apply_has(a, TABLE_API_TOKENS, apply_bytes(a, 0)))
        return apply_refuse(a, STATUS_EXISTS, "a token named %.*s exists already",
                            SLICE_ARGS(apply_bytes(a, 1)));
    msgpack_writer_init(&w, &value);
    write_array(&w, with_origin ? 5 : 3);
    write_text(&w, apply_bytes(a, 1));
    write_text(&w, apply_bytes(a, 2));
    write_u64(&w, apply_number(a, 3));
    if (with_origin) {
        write_u64(&w, a->command->time_ms);
        write_text(&w, a->command->actor);
    }
    if (msgpack_writer_status(&w) == STATUS_OK)
        apply_put(a, TABLE_API_TOKENS, apply_bytes(a, 0), buf_slice(&value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a token");
    buf_release(&value);
    return STATUS_OK;
}

enum status apply_api_token_add(struct store_apply *a)
{
    struct token_search search = search_tokens(a, apply_bytes(a, 1));

    return token_put(a, &search, false);
}

enum status apply_api_token_grant(struct store_apply *a)
{
    struct token_search search = search_tokens(a, apply_bytes(a, 1));

    if (search.count >= API_TOKENS_MAX)
        return apply_refuse(a, STATUS_TOO_LARGE, "there are %d tokens already: remove some first",
                            API_TOKENS_MAX);
    return token_put(a, &search, true);
}

static enum status token_delete(struct store_apply *a, const struct token_search *search)
{
    if (!search->found)
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no token named %.*s",
                            SLICE_ARGS(apply_bytes(a, 0)));
    apply_delete(a, TABLE_API_TOKENS, slice_of(search->hash, sizeof(search->hash)));
    return STATUS_OK;
}

enum status apply_api_token_remove(struct store_apply *a)
{
    struct token_search search = search_tokens(a, apply_bytes(a, 0));

    return token_delete(a, &search);
}

/* Without a token of an administrator nobody could make another, and the cluster could not be administered
 * any more. One that ends some day does not stand in for one that does not. */
enum status apply_api_token_revoke(struct store_apply *a)
{
    struct token_search search = search_tokens(a, apply_bytes(a, 0));

    if (search.found && is_admin(&search.record) && search.lasting_admins == 0 &&
        (search.record.expires_ms == 0 || search.present_admins == 0))
        return apply_refuse(
            a, STATUS_CONFLICT, "%.*s is the last token of the role admin%s: make another one first",
            SLICE_ARGS(apply_bytes(a, 0)), search.present_admins > 0 ? " that never expires" : "");
    return token_delete(a, &search);
}
