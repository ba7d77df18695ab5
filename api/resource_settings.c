/*
 * /v1/settings: what can be set, what is set, and what counts for whom. Names, types, ranges and help come
 * from the table of store/setting.h; a value is checked there, so a wrong one changes nothing and says what
 * would be right.
 */
#include "api/json_out.h"
#include "api/resources.h"
#include "mail/policy.h"
#include "store/records.h"
#include "store/setting.h"

static const struct api_field setting_value_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED, .help = "dotted name"},
    {.name = "value", .type = API_TEXT, .flags = API_REQUIRED, .help = "canonical text"},
    {.name = "level",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .choices = "factory|global|domain|user",
     .help = "where the value comes from"},
    {.name = "scope",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "the domain or address that it was set for; empty for factory and global"},
};
const struct api_object setting_value_object = {
    .name = "SettingValue", .help = "A value, and where it comes from.", API_FIELDS(setting_value_fields)};

static const struct api_field setting_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED, .help = "dotted name"},
    {.name = "type",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "bool, integer, bytes, duration, durations, choice, networks, hosts or text"},
    {.name = "default", .type = API_TEXT, .flags = API_REQUIRED, .help = "the factory's value"},
    {.name = "choices", .type = API_TEXTS, .help = "of a choice, the weakest first"},
    {.name = "min", .type = API_NUMBER, .help = "least number, bytes, milliseconds or length"},
    {.name = "max", .type = API_NUMBER, .help = "greatest"},
    {.name = "levels", .type = API_TEXTS, .flags = API_REQUIRED, .help = "where it can be set"},
    {.name = "side",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "whose value counts: node, sender, recipient, or both (the stricter)"},
    {.name = "permission", .type = API_TEXT, .flags = API_REQUIRED, .help = "the permission to write it"},
    {.name = "since", .type = API_NUMBER, .flags = API_REQUIRED, .help = "command set that brought it"},
    {.name = "help", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "cost",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "what it costs when it is switched on or raised"},
    {.name = "values",
     .type = API_OBJECTS,
     .object = &setting_value_object,
     .help = "all that is set; in an answer for one scope: only the one that counts"},
};
const struct api_object setting_object = {
    .name = "Setting", .help = "A setting and its values.", API_FIELDS(setting_fields)};

static const struct api_field settings_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &setting_object},
};
const struct api_object settings_object = {.name = "Settings", API_FIELDS(settings_fields)};

static const struct api_field setting_request_fields[] = {
    {.name = "value",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .max = SETTING_VALUE_MAX,
     .help = "the new value"},
};
const struct api_object setting_request_object = {.name = "SettingRequest",
                                                  API_FIELDS(setting_request_fields)};

static const struct api_field scope_fields[] = {
    {.name = "domain", .type = API_TEXT, .min = 1, .max = DOMAIN_MAX, .help = "for this domain"},
    {.name = "user", .type = API_TEXT, .min = 1, .max = ADDRESS_MAX, .help = "for this address"},
};
const struct api_object setting_scope_query = {.name = "SettingScope", API_FIELDS(scope_fields)};

static const struct api_field settings_query_fields[] = {
    {.name = "prefix", .type = API_TEXT, .min = 1, .max = 64, .help = "only names that begin with this"},
    {.name = "domain", .type = API_TEXT, .min = 1, .max = DOMAIN_MAX, .help = "what counts for this domain"},
    {.name = "user", .type = API_TEXT, .min = 1, .max = ADDRESS_MAX, .help = "what counts for this address"},
};
const struct api_object settings_query = {.name = "SettingsQuery", API_FIELDS(settings_query_fields)};

static json_t *value_to_json(const struct setting_value *value)
{
    json_t *object = json_object();
    json_put(object, "name", json_string(value->setting->name));
    json_put(object, "value", json_of_slice(value->text));
    json_put(object, "level", json_string(setting_level_name(value->level)));
    json_put(object, "scope", json_of_slice(value->scope));
    return object;
}

static json_t *list_of_choices(const char *choices)
{
    json_t *list = json_array();
    struct slice rest = slice_of_text(choices);
    while (rest.len > 0) {
        size_t end = slice_find_byte(rest, '|');
        json_array_append_new(list, json_of_slice(slice_of(rest.data, end)));
        size_t step = end < rest.len ? end + 1 : end;
        rest = slice_of(rest.data + step, rest.len - step);
    }
    return list;
}

static json_t *setting_to_json(const struct setting *s)
{
    static const char *const types[] = {
        [SETTING_BOOL] = "bool",           [SETTING_INTEGER] = "integer",
        [SETTING_BYTES] = "bytes",         [SETTING_DURATION] = "duration",
        [SETTING_DURATIONS] = "durations", [SETTING_CHOICE] = "choice",
        [SETTING_NETWORKS] = "networks",   [SETTING_HOSTS] = "hosts",
        [SETTING_TEXT] = "text",           [SETTING_CHOICES] = "choices",
        [SETTING_TEXTS] = "texts",         [SETTING_THUMBPRINTS] = "thumbprints",
        [SETTING_LOOKUPS] = "lookups",     [SETTING_ADDRESSES] = "addresses"};
    _Static_assert(sizeof(types) / sizeof(types[0]) == SETTING_ADDRESSES + 1, "each type has its name");
    static const char *const sides[] = {[SETTING_OF_NODE] = "node",
                                        [SETTING_OF_SENDER] = "sender",
                                        [SETTING_OF_RECIPIENT] = "recipient",
                                        [SETTING_OF_BOTH] = "both"};
    json_t *object = json_object(), *levels = json_array();
    json_put(object, "name", json_string(s->name));
    json_put(object, "type", json_string(types[s->type]));
    json_put(object, "default", json_string(s->default_text));
    if (s->type == SETTING_CHOICE) {
        json_put(object, "choices", list_of_choices(s->choices));
    } else if (s->max > 0) {
        json_put(object, "min", json_of_number(s->min));
        json_put(object, "max", json_of_number(s->max));
    }
    for (unsigned level = SETTING_GLOBAL; level <= SETTING_USER; level++) {
        if ((s->levels & (1u << (level - SETTING_GLOBAL))) != 0) {
            json_array_append_new(levels, json_string(setting_level_name((enum setting_level)level)));
        }
    }
    json_put(object, "levels", levels);
    json_put(object, "side", json_string(sides[s->side]));
    json_put(object, "permission", json_string(s->permission));
    json_put(object, "since", json_integer(s->since));
    json_put(object, "help", json_string(s->help));
    json_put(object, "cost", json_string(s->cost));
    return object;
}

/* --- what is set --- */

struct value_list {
    const struct setting *setting; /* NULL: any */
    const struct slice *scope;     /* NULL: any */
    enum setting_level level;
    json_t *list;
};

static bool value_visit(void *context, const struct setting_value *value)
{
    struct value_list *wanted = context;
    if ((wanted->setting == NULL || wanted->setting == value->setting) &&
        (wanted->scope == NULL ||
         (value->level == wanted->level && slice_equal(value->scope, *wanted->scope)))) {
        json_array_append_new(wanted->list, value_to_json(value));
    }
    return true;
}

json_t *settings_set_for(struct store_view *view, enum setting_level level, struct slice scope)
{
    struct value_list wanted = {.level = level, .scope = &scope, .list = json_array()};
    if (settings_all(view, value_visit, &wanted) != STATUS_OK) {
        json_array_clear(wanted.list);
    }
    return wanted.list;
}

/* --- scopes --- */

struct scope {
    const struct setting *setting;
    enum setting_level level;
    char text[ADDRESS_MAX + 1]; /* normalised; "" for global */
};

static void fail_unknown(struct exchange *x, struct slice name, const char *how)
{
    char shown[API_SHOWN_MAX];
    const char *nearest = setting_nearest(name);
    exchange_failf(x, STATUS_NOT_FOUND, "there is no setting %s\"%s\"%s%s%s", how, api_shown(name, shown),
                   nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "\"?" : "");
}

/* Whom it is about, from the query; false: the exchange was failed. */
static bool level_read(struct exchange *x, struct scope *scope)
{
    struct failure f = {.status = STATUS_OK};
    const char *domain = query_get(&x->query, "domain"), *user = query_get(&x->query, "user");
    *scope = (struct scope){.level = SETTING_GLOBAL};
    if (domain != NULL && user != NULL) {
        exchange_failf(x, STATUS_INVALID, "give a domain or a user, not both");
        return false;
    }
    enum status status = STATUS_OK;
    if (domain != NULL) {
        scope->level = SETTING_DOMAIN;
        status = domain_normalise(slice_of_text(domain), scope->text, &f);
    } else if (user != NULL) {
        scope->level = SETTING_USER;
        status = address_normalise(slice_of_text(user), scope->text, &f);
    }
    if (status != STATUS_OK) {
        exchange_fail_field(x, &f, domain != NULL ? "domain" : "user");
        return false;
    }
    return true;
}

/* --- lists --- */

struct table_fill {
    json_t *by_name; /* of name to the setting's object */
};

static bool value_into_table(void *context, const struct setting_value *value)
{
    struct table_fill *fill = context;
    json_t *setting = json_object_get(fill->by_name, value->setting->name);
    if (setting != NULL) {
        json_array_append_new(json_object_get(setting, "values"), value_to_json(value));
    }
    return true;
}

/* All that is set, or what counts for the scope. */
static enum status values_fill(struct store_view *view, const struct scope *scope, json_t *items)
{
    struct table_fill fill = {.by_name = json_object()};
    struct slice address = slice_of_text(scope->text);
    enum status status = STATUS_OK;
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        struct setting_value value;
        const char *name = json_string_value(json_object_get(item, "name"));
        json_object_set(fill.by_name, name, item);
        if (scope->level != SETTING_GLOBAL && status == STATUS_OK) {
            status = setting_get(view, setting_find(slice_of_text(name)), address, &value);
            if (status == STATUS_OK) {
                (void)value_into_table(&fill, &value);
            }
        }
    }
    if (scope->level == SETTING_GLOBAL) {
        status = settings_all(view, value_into_table, &fill);
    }
    json_decref(fill.by_name);
    return status;
}

void settings_list(struct exchange *x)
{
    struct store_view *view = exchange_view(x);
    struct scope scope;
    const struct setting *s;
    const char *prefix = query_get(&x->query, "prefix");
    if (view == NULL || !level_read(x, &scope)) {
        return;
    }
    json_t *items = json_array();
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        if (prefix != NULL && strncmp(s->name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        json_t *object = setting_to_json(s);
        json_put(object, "values", json_array());
        json_array_append_new(items, object);
    }
    if (prefix != NULL && json_array_size(items) == 0) {
        json_decref(items);
        fail_unknown(x, slice_of_text(prefix), "whose name begins with ");
        return;
    }
    if (values_fill(view, &scope, items) != STATUS_OK) {
        json_decref(items);
        exchange_failf(x, STATUS_IO, "the settings cannot be read");
        return;
    }
    exchange_answer(x, json_page(items, NULL));
}

/* --- one setting --- */

/* From the path and the query; false: the exchange was failed. */
static bool scope_read(struct exchange *x, struct scope *scope)
{
    struct slice name = slice_of_text(x->parameters[0]);
    const struct setting *setting = setting_find(name);
    if (setting == NULL) {
        fail_unknown(x, name, "");
        return false;
    }
    if (!level_read(x, scope)) {
        return false;
    }
    scope->setting = setting;
    return true;
}

static void setting_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct scope scope;
    struct setting_value value;
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL || !scope_read(x, &scope)) {
        return;
    }
    enum status status = setting_get(view, scope.setting, slice_of_text(scope.text), &value);
    if (status != STATUS_OK) {
        exchange_failf(x, status, "the setting cannot be read");
        return;
    }
    json_t *object = setting_to_json(scope.setting), *values = json_array();
    json_array_append_new(values, value_to_json(&value));
    json_put(object, "values", values);
    exchange_answer(x, object);
}

void setting_get_one(struct exchange *x)
{
    setting_answer(x, NULL);
}

void setting_put(struct exchange *x)
{
    struct scope scope;
    struct command c;
    if (!scope_read(x, &scope)) {
        return;
    }
    struct failure f = {.status = STATUS_OK};
    struct slice value = api_body_text(x->body, "value");
    struct store_view *view = policy_setting_names_groups(scope.setting) ? exchange_view(x) : NULL;
    if (policy_setting_names_groups(scope.setting) && view == NULL) {
        return;
    }
    if (policy_expressions_check(scope.setting, value, &f) != STATUS_OK ||
        (view != NULL && policy_groups_check(view, scope.setting, value, &f) != STATUS_OK)) {
        exchange_fail_field(x, &f, "value");
        return;
    }
    exchange_command(x, &c, COMMAND_SETTING_SET);
    c.values[0].number = scope.level;
    c.values[1].bytes = slice_of_text(scope.text);
    c.values[2].bytes = slice_of_text(scope.setting->name);
    c.values[3].bytes = api_body_text(x->body, "value");
    exchange_write_one(x, &c, setting_answer);
}

void setting_delete(struct exchange *x)
{
    struct scope scope;
    struct command c;
    if (!scope_read(x, &scope)) {
        return;
    }
    exchange_command(x, &c, COMMAND_SETTING_UNSET);
    c.values[0].number = scope.level;
    c.values[1].bytes = slice_of_text(scope.text);
    c.values[2].bytes = slice_of_text(scope.setting->name);
    exchange_write_one(x, &c, setting_answer);
}
