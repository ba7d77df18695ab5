/*
 * Commands about rules and groups. See store/apply_internal.h for the rules of applying.
 *
 * What a rule says is checked by whoever proposes it (mail/rule.h): here only names, lengths and places
 * count, for nodes of different releases read the language differently and must still hold the same state. A
 * rule that a node cannot read refuses what reaches it there.
 *
 * Positions of rules are numbers with gaps. A rule goes into the middle of a gap; where there is none, all
 * rules get new numbers first.
 */
#include "store/apply_internal.h"
#include "store/records.h"

#define POSITION_GAP ((uint64_t)1 << 20)

struct rule_list {
    uint64_t positions[RULES_MAX];
    struct rule_record records[RULES_MAX]; /* slices into the map: gone with the first write */
    size_t count;
};

static void broke(struct store_apply *a, enum status status, const char *text)
{
    if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, status, "%s", text);
}

static void changed(struct store_apply *a)
{
    apply_meta_set(a, "policy_generation", apply_meta_number(a, "policy_generation", 0) + 1);
}

/* --- rules --- */

struct rule_walk {
    struct rule_list *list;
    bool bad;
};

static bool visit_rule(void *context, struct slice key, struct slice value)
{
    struct rule_walk *walk = context;
    struct rule_list *list = walk->list;

    walk->bad =
        list->count == RULES_MAX || rule_record_decode(key, value, &list->records[list->count]) != STATUS_OK;
    if (!walk->bad) {
        list->positions[list->count] = list->records[list->count].position;
        list->count++;
    }
    return !walk->bad;
}

/* NULL: `broken` is set. */
static struct rule_list *rules_read(struct store_apply *a)
{
    struct rule_list *list = calloc(1, sizeof(*list));
    struct rule_walk walk = {.list = list};

    if (list == NULL) {
        broke(a, STATUS_NO_MEMORY, "no memory for the rules");
        return NULL;
    }
    if (table_walk(a->store, a->txn, TABLE_RULES, (struct slice){0}, visit_rule, &walk) != STATUS_OK ||
        walk.bad) {
        broke(a, STATUS_CORRUPT, "the rules cannot be read");
        free(list);
        return NULL;
    }
    return list;
}

static size_t rule_find(const struct rule_list *list, struct slice name)
{
    size_t i = 0;

    while (i < list->count && !slice_equal(list->records[i].name, name))
        i++;
    return i;
}

static enum status rule_encode(struct store_apply *a, const struct rule_record *r, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, 6);
    write_text(&w, r->name);
    write_bool(&w, r->enabled);
    write_text(&w, r->when);
    write_text(&w, r->then);
    write_text(&w, r->comment);
    write_u64(&w, r->changed_ms);
    if (msgpack_writer_status(&w) != STATUS_OK) {
        broke(a, STATUS_NO_MEMORY, "cannot encode a rule");
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

static void rule_put(struct store_apply *a, uint64_t position, struct slice value)
{
    uint8_t key[KEY_U64_SIZE];

    key_u64_write(position, key);
    apply_put(a, TABLE_RULES, slice_of(key, sizeof(key)), value);
}

static void rule_delete(struct store_apply *a, uint64_t position)
{
    uint8_t key[KEY_U64_SIZE];

    key_u64_write(position, key);
    apply_delete(a, TABLE_RULES, slice_of(key, sizeof(key)));
}

/* New numbers with gaps. All are copied before the first write, which moves what the records point to. */
static void renumber(struct store_apply *a, struct rule_list *list)
{
    struct buf *copies = calloc(list->count + 1, sizeof(*copies));

    if (copies == NULL) {
        broke(a, STATUS_NO_MEMORY, "no memory for the rules");
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        copies[i] = BUF_INIT(8192);
        (void)!rule_encode(a, &list->records[i], &copies[i]);
    }
    for (size_t i = 0; i < list->count && a->broken == STATUS_OK; i++)
        rule_delete(a, list->positions[i]);
    for (size_t i = 0; i < list->count && a->broken == STATUS_OK; i++) {
        list->positions[i] = (i + 1) * POSITION_GAP;
        rule_put(a, list->positions[i], buf_slice(&copies[i]));
    }
    for (size_t i = 0; i < list->count; i++)
        buf_release(&copies[i]);
    free(copies);
}

/* A free position before the one at `before` (count: at the end), as if the rule at `self` were not there; 0:
 * there is none. */
static uint64_t free_position(const struct rule_list *list, size_t self, size_t before)
{
    size_t low_at = before > 0 && before - 1 == self ? before - 1 : before,
           high_at = before == self ? before + 1 : before;
    uint64_t low = low_at > 0 ? list->positions[low_at - 1] : 0;

    if (high_at >= list->count)
        return low < UINT64_MAX - POSITION_GAP ? low + POSITION_GAP : 0;
    return list->positions[high_at] - low > 1 ? low + (list->positions[high_at] - low) / 2 : 0;
}

/* Which one of the list it goes before. `self`: where the rule is now (count: it is new). */
static enum status place_find(struct store_apply *a, const struct rule_list *list, size_t self,
                              uint64_t place, struct slice other, size_t *before)
{
    size_t at = rule_find(list, other);

    switch (place) {
    case RULE_PLACE_KEEP:
        *before = self < list->count ? self : list->count;
        return STATUS_OK;
    case RULE_PLACE_FIRST:
        *before = 0;
        return STATUS_OK;
    case RULE_PLACE_LAST:
        *before = list->count;
        return STATUS_OK;
    default:
        if (at == list->count)
            return apply_refuse(a, STATUS_NOT_FOUND, "there is no rule %.*s", SLICE_ARGS(other));
        *before = at + (place == RULE_PLACE_AFTER);
        return STATUS_OK;
    }
}

/* Take the rule out at `self` (count: it is new) and put `value` before the one at `before`. */
static void rule_place_at(struct store_apply *a, struct rule_list *list, size_t self, size_t before,
                          struct slice value)
{
    uint64_t position;

    if (self < list->count && (before == self || before == self + 1)) {
        rule_put(a, list->positions[self], value);
        return;
    }
    position = free_position(list, self, before);
    if (position == 0) {
        renumber(a, list);
        position = free_position(list, self, before);
    }
    if (self < list->count)
        rule_delete(a, list->positions[self]);
    rule_put(a, position, value);
}

/* Encodes the record before the first write, then places it. */
static enum status rule_write(struct store_apply *a, struct rule_list *list, size_t self,
                              const struct rule_record *r, uint64_t place, struct slice other)
{
    struct buf value = BUF_INIT(8192);
    size_t before = 0;
    enum status status = place_find(a, list, self, place, other, &before);

    if (status == STATUS_OK && rule_encode(a, r, &value) == STATUS_OK) {
        rule_place_at(a, list, self, before, buf_slice(&value));
        changed(a);
    }
    buf_release(&value);
    return status;
}

enum status apply_rule_set(struct store_apply *a)
{
    struct rule_list *list = rules_read(a);
    struct rule_record record = {.name = apply_bytes(a, 0),
                                 .enabled = apply_number(a, 1) != 0,
                                 .when = apply_bytes(a, 2),
                                 .then = apply_bytes(a, 3),
                                 .comment = apply_bytes(a, 4),
                                 .changed_ms = a->command->time_ms};
    enum status status = STATUS_OK;
    size_t self;

    if (list == NULL)
        return a->broken;
    self = rule_find(list, record.name);
    if (self == list->count && list->count == RULES_MAX)
        status = apply_refuse(a, STATUS_TOO_LARGE, "there are %d rules, and no more can be", RULES_MAX);
    else
        status = rule_write(a, list, self, &record, apply_number(a, 5), apply_bytes(a, 6));
    free(list);
    return status;
}

enum status apply_rule_move(struct store_apply *a)
{
    struct rule_list *list = rules_read(a);
    struct slice name = apply_bytes(a, 0);
    enum status status;
    size_t self;

    if (list == NULL)
        return a->broken;
    self = rule_find(list, name);
    if (self == list->count)
        status = apply_refuse(a, STATUS_NOT_FOUND, "there is no rule %.*s", SLICE_ARGS(name));
    else
        status = rule_write(a, list, self, &list->records[self], apply_number(a, 1), apply_bytes(a, 2));
    free(list);
    return status;
}

enum status apply_rule_remove(struct store_apply *a)
{
    struct rule_list *list = rules_read(a);
    struct slice name = apply_bytes(a, 0);
    enum status status = STATUS_OK;
    size_t self;

    if (list == NULL)
        return a->broken;
    self = rule_find(list, name);
    if (self == list->count) {
        status = apply_refuse(a, STATUS_NOT_FOUND, "there is no rule %.*s", SLICE_ARGS(name));
    } else {
        rule_delete(a, list->positions[self]);
        changed(a);
    }
    free(list);
    return status;
}

/* --- groups --- */

static size_t pair_key(struct slice first, struct slice second, uint8_t key[RULE_NAME_MAX + 1 + ADDRESS_MAX])
{
    memcpy(key, first.data, first.len);
    key[first.len] = 0;
    if (second.len > 0)
        memcpy(key + first.len + 1, second.data, second.len);
    return first.len + 1 + second.len;
}

static void put_group(struct store_apply *a, struct slice name)
{
    struct buf value = BUF_INIT(32);
    struct msgpack_writer w;

    msgpack_writer_init(&w, &value);
    write_array(&w, 1);
    write_u64(&w, a->command->time_ms);
    if (msgpack_writer_status(&w) == STATUS_OK)
        apply_put(a, TABLE_GROUPS, name, buf_slice(&value));
    else
        broke(a, STATUS_NO_MEMORY, "cannot encode a group");
    buf_release(&value);
}

static void put_member(struct store_apply *a, struct slice group, struct slice member)
{
    uint8_t key[RULE_NAME_MAX + 1 + ADDRESS_MAX];
    size_t len = pair_key(group, member, key);

    apply_put(a, TABLE_GROUP_MEMBERS, slice_of(key, len), (struct slice){0});
    len = pair_key(member, group, key);
    apply_put(a, TABLE_MEMBER_GROUPS, slice_of(key, len), (struct slice){0});
}

enum status apply_group_add(struct store_apply *a)
{
    struct slice group = apply_bytes(a, 0), rest = apply_bytes(a, 1), member;
    char normal[ADDRESS_MAX + 1];
    bool exists = apply_has(a, TABLE_GROUPS, group);

    if (exists && rest.len == 0)
        return apply_refuse(a, STATUS_EXISTS, "the group %.*s exists already", SLICE_ARGS(group));
    while (group_member_next(&rest, &member))
        if (group_member_normalise(member, normal, &a->result->failure) != STATUS_OK)
            return STATUS_INVALID;
    if (!exists) {
        put_group(a, group);
        changed(a);
    }
    rest = apply_bytes(a, 1);
    while (group_member_next(&rest, &member))
        if (group_member_normalise(member, normal, NULL) == STATUS_OK)
            put_member(a, group, slice_of_text(normal));
    return STATUS_OK;
}

enum status apply_group_member_remove(struct store_apply *a)
{
    struct slice group = apply_bytes(a, 0);
    char normal[ADDRESS_MAX + 1];
    uint8_t key[RULE_NAME_MAX + 1 + ADDRESS_MAX];
    size_t len;
    enum status status = group_member_normalise(apply_bytes(a, 1), normal, &a->result->failure);

    if (status != STATUS_OK)
        return status;
    len = pair_key(group, slice_of_text(normal), key);
    if (!apply_has(a, TABLE_GROUP_MEMBERS, slice_of(key, len)))
        return apply_refuse(a, STATUS_NOT_FOUND, "%s is not in the group %.*s", normal, SLICE_ARGS(group));
    apply_delete(a, TABLE_GROUP_MEMBERS, slice_of(key, len));
    len = pair_key(slice_of_text(normal), group, key);
    apply_delete(a, TABLE_MEMBER_GROUPS, slice_of(key, len));
    return STATUS_OK;
}

struct member_walk {
    struct slice prefix;
    uint8_t key[RULE_NAME_MAX + 1 + ADDRESS_MAX]; /* of the first member that was found */
    size_t len;
};

static bool visit_member(void *context, struct slice key, struct slice value)
{
    struct member_walk *walk = context;

    (void)value;
    if (slice_starts_with(key, walk->prefix) && key.len <= sizeof(walk->key)) {
        memcpy(walk->key, key.data, key.len);
        walk->len = key.len;
    }
    return false;
}

enum status apply_group_remove(struct store_apply *a)
{
    struct slice group = apply_bytes(a, 0);
    uint8_t prefix[RULE_NAME_MAX + 1 + ADDRESS_MAX], reverse[RULE_NAME_MAX + 1 + ADDRESS_MAX];
    struct member_walk walk = {.prefix = slice_of(prefix, pair_key(group, (struct slice){0}, prefix))};

    if (!apply_has(a, TABLE_GROUPS, group))
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no group %.*s", SLICE_ARGS(group));
    /* One by one: a write moves what a walk would stand on. */
    do {
        walk.len = 0;
        if (table_walk(a->store, a->txn, TABLE_GROUP_MEMBERS, walk.prefix, visit_member, &walk) != STATUS_OK)
            broke(a, STATUS_IO, "the members of a group cannot be read");
        if (walk.len > 0) {
            struct slice member = slice_of(walk.key + walk.prefix.len, walk.len - walk.prefix.len);

            apply_delete(a, TABLE_MEMBER_GROUPS, slice_of(reverse, pair_key(member, group, reverse)));
            apply_delete(a, TABLE_GROUP_MEMBERS, slice_of(walk.key, walk.len));
        }
    } while (walk.len > 0 && a->broken == STATUS_OK);
    apply_delete(a, TABLE_GROUPS, group);
    changed(a);
    return STATUS_OK;
}
