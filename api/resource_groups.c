/*
 * /v1/groups: named sets of addresses and domains, for rules. A group that a rule names cannot be deleted:
 * the rule would be broken, and refuse what reaches it.
 */
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "mail/policy.h"

static const struct api_field request_fields[] = {
    {.name = "group",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = RULE_NAME_MAX,
     .help = "its name"},
    {.name = "members",
     .type = API_TEXTS,
     .max = ADDRESS_MAX,
     .help = "addresses, domains and *.domain; those that are in it already stay"},
};
const struct api_object group_request_object = {.name = "GroupRequest", API_FIELDS(request_fields)};

static const struct api_field group_fields[] = {
    {.name = "group", .type = API_TEXT, .flags = API_REQUIRED, .help = "its name"},
    {.name = "added", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "members", .type = API_NUMBER, .flags = API_REQUIRED, .help = "how many"},
    {.name = "rules", .type = API_TEXTS, .flags = API_REQUIRED, .help = "names of the rules that name it"},
};
const struct api_object group_object = {.name = "Group", .help = "A group.", API_FIELDS(group_fields)};

static const struct api_field groups_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &group_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object groups_object = {.name = "Groups", API_FIELDS(groups_fields)};

static const struct api_field member_fields[] = {
    {.name = "member", .type = API_TEXT, .flags = API_REQUIRED, .help = "address, domain or *.domain"},
};
static const struct api_object member_object = {.name = "GroupMember", API_FIELDS(member_fields)};

static const struct api_field members_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &member_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object group_members_object = {.name = "GroupMembers", API_FIELDS(members_fields)};

/* --- answers --- */

struct rules_naming {
    struct slice group;
    json_t *names;
};

static bool note_rule(void *context, const struct rule_record *record)
{
    struct rules_naming *n = context;
    if (rule_names_group(record->when, n->group)) {
        json_array_append_new(n->names, json_of_slice(record->name));
    }
    return true;
}

/* NULL: the store fails. */
static json_t *rules_naming(struct store_view *view, struct slice group)
{
    struct rules_naming n = {.group = group, .names = json_array()};
    if (store_rules_all(view, note_rule, &n) != STATUS_OK) {
        json_decref(n.names);
        return NULL;
    }
    return n.names;
}

struct settings_naming {
    struct slice group;
    const struct setting *setting; /* the first that was found */
};

static bool note_setting(void *context, const struct setting_value *value)
{
    struct settings_naming *n = context;
    if (policy_value_names_group(value, n->group)) {
        n->setting = value->setting;
    }
    return n->setting == NULL;
}

static bool count_member(void *context, struct slice name)
{
    (void)name;
    (*(uint64_t *)context)++;
    return true;
}

/* NULL: the store fails. */
static json_t *group_to_json(struct store_view *view, const struct group_record *record)
{
    json_t *names = rules_naming(view, record->name);
    uint64_t members = 0;
    if (names == NULL ||
        store_group_members(view, record->name, (struct slice){0}, count_member, &members) != STATUS_OK) {
        json_decref(names);
        return NULL;
    }
    json_t *group = json_object();
    json_put(group, "group", json_of_slice(record->name));
    json_put(group, "added", json_of_time(record->added_ms));
    json_put(group, "members", json_of_number(members));
    json_put(group, "rules", names);
    return group;
}

struct groups_walk {
    struct list_page page;
    struct store_view *view;
    bool failed;
};

static bool group_visit(void *context, const struct group_record *record)
{
    struct groups_walk *walk = context;
    if (list_page_wants(&walk->page, record->name)) {
        json_t *group = group_to_json(walk->view, record);
        walk->failed = group == NULL;
        if (!walk->failed) {
            list_page_add(&walk->page, record->name, group);
        }
    }
    return !walk->page.more && !walk->failed;
}

void groups_list(struct exchange *x)
{
    struct groups_walk walk = {.view = exchange_view(x)};
    if (walk.view == NULL) {
        return;
    }
    list_page_begin(&walk.page, x);
    enum status status = store_groups_all(walk.view, group_visit, &walk);
    if (status != STATUS_OK || walk.failed) {
        json_decref(walk.page.items);
        exchange_failf(x, status != STATUS_OK ? status : STATUS_CORRUPT, "the groups cannot be read");
        return;
    }
    list_page_answer(&walk.page, x);
}

/* The group that x->parameters[0] names; false: the exchange was failed. */
static bool group_read(struct exchange *x, struct store_view *view, struct group_record *record)
{
    struct failure f;
    struct slice name = slice_of_text(x->parameters[0]);
    if (record_name_check(name, "a group", &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return false;
    }
    enum status status = store_group_get(view, name, record);
    if (status != STATUS_OK) {
        exchange_failf(x, status, "there is no group %s", x->parameters[0]);
    }
    return status == STATUS_OK;
}

static void group_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct group_record record;
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL || !group_read(x, view, &record)) {
        return;
    }
    json_t *group = group_to_json(view, &record);
    if (group == NULL) {
        exchange_failf(x, STATUS_CORRUPT, "the group cannot be read");
        return;
    }
    exchange_answer(x, group);
}

void group_get(struct exchange *x)
{
    group_answer(x, NULL);
}

static bool member_visit(void *context, struct slice name)
{
    struct list_page *page = context;
    if (list_page_wants(page, name)) {
        json_t *member = json_object();
        json_put(member, "member", json_of_slice(name));
        list_page_add(page, name, member);
    }
    return !page->more;
}

void group_members_list(struct exchange *x)
{
    struct list_page page;
    struct group_record record;
    struct store_view *view = exchange_view(x);
    if (view == NULL || !group_read(x, view, &record)) {
        return;
    }
    list_page_begin(&page, x);
    enum status status = store_group_members(view, record.name, page.after, member_visit, &page);
    if (status != STATUS_OK) {
        json_decref(page.items);
        exchange_failf(x, status, "the members cannot be read");
        return;
    }
    list_page_answer(&page, x);
}

/* --- changes --- */

void group_add(struct exchange *x)
{
    struct buf members = BUF_INIT(GROUP_ADD_MAX);
    struct failure f = {.status = STATUS_OK};
    char normal[ADDRESS_MAX + 1];
    struct command c;
    json_t *member;
    size_t i;
    enum status status = record_name_check(api_body_text(x->body, "group"), "a group", &f);
    if (status != STATUS_OK) {
        exchange_fail_field(x, &f, "group");
        return;
    }
    json_array_foreach(json_object_get(x->body, "members"), i, member)
    {
        struct slice text = slice_of(json_string_value(member), json_string_length(member));
        if ((status = group_member_normalise(text, normal, &f)) != STATUS_OK) {
            break;
        }
        if ((status = buf_printf(&members, "%s%s", members.len > 0 ? " " : "", normal)) != STATUS_OK) {
            failure_set(&f, status, "there are too many members for one request");
            break;
        }
    }
    if (status != STATUS_OK) {
        exchange_fail_field(x, &f, "members");
    } else {
        x->parameters[0] = arena_text(&x->arena, api_body_text(x->body, "group"));
        exchange_command(x, &c, COMMAND_GROUP_ADD);
        c.values[0].bytes = api_body_text(x->body, "group");
        c.values[1].bytes = buf_slice(&members);
        exchange_write_one(x, &c, group_answer);
    }
    buf_release(&members);
}

static void removed(struct exchange *x, const char *what)
{
    json_t *gone = json_object();
    json_put(gone, "removed", json_string(what));
    exchange_answer(x, gone);
}

static void group_removed(struct exchange *x, const struct bus_answer *answer)
{
    (void)answer;
    removed(x, x->parameters[0]);
}

static void member_removed(struct exchange *x, const struct bus_answer *answer)
{
    (void)answer;
    removed(x, x->parameters[1]);
}

void group_member_remove(struct exchange *x)
{
    struct command c;
    exchange_command(x, &c, COMMAND_GROUP_MEMBER_REMOVE);
    c.values[0].bytes = slice_of_text(x->parameters[0]);
    c.values[1].bytes = slice_of_text(x->parameters[1]);
    exchange_write_one(x, &c, member_removed);
}

void group_remove(struct exchange *x)
{
    struct command c;
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    json_t *names = rules_naming(view, slice_of_text(x->parameters[0]));
    if (names == NULL || json_array_size(names) > 0) {
        if (names == NULL) {
            exchange_failf(x, STATUS_CORRUPT, "the rules cannot be read");
        } else {
            exchange_failf(x, STATUS_CONFLICT, "the rule %s names this group: change or remove it first",
                           json_string_value(json_array_get(names, 0)));
        }
        json_decref(names);
        return;
    }
    json_decref(names);
    struct settings_naming n = {.group = slice_of_text(x->parameters[0])};
    enum status status = settings_all(view, note_setting, &n);
    if (status != STATUS_OK) {
        exchange_failf(x, status, "the settings cannot be read");
        return;
    }
    if (n.setting != NULL) {
        exchange_failf(x, STATUS_CONFLICT, "the setting %s names this group: change or unset it first",
                       n.setting->name);
        return;
    }
    exchange_command(x, &c, COMMAND_GROUP_REMOVE);
    c.values[0].bytes = slice_of_text(x->parameters[0]);
    exchange_write_one(x, &c, group_removed);
}
