/* Queries about rules and groups. Any thread with a view of its own. */
#include "store/records.h"

#include "base/msgpack_read.h"
#include "store/tables.h"

/* --- rules --- */

enum status record_name_check(struct slice name, const char *what, struct failure *f)
{
    bool good = name.len > 0 && name.len <= RULE_NAME_MAX;

    for (size_t i = 0; good && i < name.len; i++) {
        uint8_t c = name.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        good = plain || (i > 0 && (c == '.' || c == '-' || c == '_'));
    }
    if (good)
        return STATUS_OK;
    return failure_set(
        f, STATUS_INVALID,
        "the name of %s has letters, digits, dots, hyphens and underscores, at most %d, and begins with "
        "a letter or digit",
        what, RULE_NAME_MAX);
}

enum status rule_record_decode(struct slice key, struct slice value, struct rule_record *out)
{
    struct msgpack_reader r;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    (void)read_array(&r, 6);
    out->name = read_text(&r, RULE_NAME_MAX);
    out->enabled = read_bool(&r);
    out->when = read_text(&r, RULE_WHEN_MAX);
    out->then = read_text(&r, RULE_THEN_MAX);
    out->comment = read_text(&r, RULE_COMMENT_MAX);
    out->changed_ms = read_u64(&r);
    if (!key_u64_read(key, &out->position) || msgpack_reader_status(&r, true) != STATUS_OK)
        return STATUS_CORRUPT;
    return STATUS_OK;
}

struct rule_walk {
    rule_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_rule(void *context, struct slice key, struct slice value)
{
    struct rule_walk *walk = context;
    struct rule_record record;

    walk->status = rule_record_decode(key, value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_rules_all(struct store_view *v, rule_visit_cb cb, void *context)
{
    struct rule_walk walk = {.visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_RULES, (struct slice){0}, visit_rule, &walk);

    return status != STATUS_OK ? status : walk.status;
}

struct rule_search {
    struct slice name;
    struct rule_record *out;
    bool found;
};

static bool visit_named(void *context, const struct rule_record *record)
{
    struct rule_search *search = context;

    search->found = slice_equal(record->name, search->name);
    if (search->found)
        *search->out = *record;
    return !search->found;
}

enum status store_rule_get(struct store_view *v, struct slice name, struct rule_record *out)
{
    struct rule_search search = {.name = name, .out = out};
    enum status status = store_rules_all(v, visit_named, &search);

    if (status != STATUS_OK)
        return status;
    return search.found ? STATUS_OK : STATUS_NOT_FOUND;
}

/* --- groups --- */

enum status group_member_normalise(struct slice member, char out[ADDRESS_MAX + 1], struct failure *f)
{
    if (slice_find_byte(member, '@') < member.len)
        return address_normalise(member, out, f);
    return domain_normalise(member, out, f);
}

bool group_member_next(struct slice *members, struct slice *member)
{
    size_t end = slice_find_byte(*members, ' '), next = end < members->len ? end + 1 : end;

    if (members->len == 0)
        return false;
    *member = slice_of(members->data, end);
    *members = slice_of(members->data + next, members->len - next);
    return true;
}

static enum status read_group(struct slice name, struct slice value, struct group_record *out)
{
    struct msgpack_reader r;

    msgpack_reader_init(&r, value);
    (void)read_array(&r, 1);
    out->name = name;
    out->added_ms = read_u64(&r);
    return msgpack_reader_status(&r, true) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
}

enum status store_group_get(struct store_view *v, struct slice name, struct group_record *out)
{
    struct slice value;
    enum status status = table_find(v->store, v->txn, TABLE_GROUPS, &name, &value);

    return status != STATUS_OK ? status : read_group(name, value, out);
}

struct group_walk {
    group_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_group(void *context, struct slice key, struct slice value)
{
    struct group_walk *walk = context;
    struct group_record record;

    walk->status = read_group(key, value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_groups_all(struct store_view *v, group_visit_cb cb, void *context)
{
    struct group_walk walk = {.visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_GROUPS, (struct slice){0}, visit_group, &walk);

    return status != STATUS_OK ? status : walk.status;
}

/* Keys of the form: prefix (with its NUL), name. */
struct pair_walk {
    struct slice prefix;
    name_visit_cb visit;
    void *context;
    bool ended; /* by the visitor */
};

static bool visit_pair(void *context, struct slice key, struct slice value)
{
    struct pair_walk *walk = context;

    (void)value;
    if (!slice_starts_with(key, walk->prefix))
        return false;
    walk->ended =
        !walk->visit(walk->context, slice_of(key.data + walk->prefix.len, key.len - walk->prefix.len));
    return !walk->ended;
}

/* `*ended`: the visitor wants no more. */
static enum status walk_pairs(struct store_view *v, enum table table, struct slice first, struct slice from,
                              name_visit_cb cb, void *context, bool *ended)
{
    uint8_t key[ADDRESS_MAX + 1 + ADDRESS_MAX];
    struct pair_walk walk = {.visit = cb, .context = context};
    enum status status;

    if (first.len == 0 || first.len > ADDRESS_MAX || from.len > ADDRESS_MAX)
        return STATUS_OK;
    memcpy(key, first.data, first.len);
    key[first.len] = 0;
    if (from.len > 0)
        memcpy(key + first.len + 1, from.data, from.len);
    walk.prefix = slice_of(key, first.len + 1);
    status = table_walk(v->store, v->txn, table, slice_of(key, first.len + 1 + from.len), visit_pair, &walk);
    if (ended != NULL)
        *ended = walk.ended;
    return status;
}

enum status store_group_members(struct store_view *v, struct slice group, struct slice from, name_visit_cb cb,
                                void *context)
{
    return walk_pairs(v, TABLE_GROUP_MEMBERS, group, from, cb, context, NULL);
}

enum status store_groups_of(struct store_view *v, struct slice address, name_visit_cb cb, void *context)
{
    struct slice domain = address_domain(address);
    uint8_t above[DOMAIN_MAX + 2];
    bool ended = false;
    enum status status = walk_pairs(v, TABLE_MEMBER_GROUPS, address, (struct slice){0}, cb, context, &ended);

    if (status == STATUS_OK && !ended)
        status = walk_pairs(v, TABLE_MEMBER_GROUPS, domain, (struct slice){0}, cb, context, &ended);
    while (status == STATUS_OK && !ended && domain.len > 0 && domain.len <= DOMAIN_MAX) {
        size_t dot = slice_find_byte(domain, '.');

        if (dot == domain.len)
            break;
        above[0] = '*';
        memcpy(above + 1, domain.data + dot, domain.len - dot);
        status = walk_pairs(v, TABLE_MEMBER_GROUPS, slice_of(above, 1 + domain.len - dot), (struct slice){0},
                            cb, context, &ended);
        domain = slice_of(domain.data + dot + 1, domain.len - dot - 1);
    }
    return status;
}

struct holds_search {
    struct slice group;
    bool found;
};

static bool visit_holds(void *context, struct slice group)
{
    struct holds_search *search = context;

    search->found = slice_equal(group, search->group);
    return !search->found;
}

enum status store_group_holds(struct store_view *v, struct slice group, struct slice address, bool *holds)
{
    struct holds_search search = {.group = group};
    enum status status = store_groups_of(v, address, visit_holds, &search);

    *holds = search.found;
    return status;
}
