/* /v1/users: the addresses that were named. Nobody needs to be: a user here is a place for settings. */
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "store/records.h"
#include "store/setting.h"

static const struct api_field user_request_fields[] = {
    {.name = "address",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 3,
     .max = ADDRESS_MAX,
     .help = "mail address"},
};
const struct api_object user_request_object = {.name = "UserRequest", API_FIELDS(user_request_fields)};

static const struct api_field user_fields[] = {
    {.name = "address", .type = API_TEXT, .flags = API_REQUIRED, .help = "mail address"},
    {.name = "added", .type = API_TIME, .help = "when it was added"},
    {.name = "settings",
     .type = API_OBJECTS,
     .object = &setting_value_object,
     .help = "what is set for it (not in lists)"},
};
const struct api_object user_object = {.name = "User", .help = "A user.", API_FIELDS(user_fields)};

static const struct api_field users_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &user_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object users_object = {.name = "Users", API_FIELDS(users_fields)};

static json_t *user_to_json(const struct user_record *record)
{
    json_t *user = json_object();
    json_put(user, "address", json_of_slice(record->address));
    json_put(user, "added", json_of_time(record->added_ms));
    return user;
}

struct users_walk {
    struct list_page page;
    struct store_view *view;
};

static bool user_visit(void *context, const struct user_record *record)
{
    struct users_walk *walk = context;
    if (list_page_wants(&walk->page, record->address)) {
        list_page_add(&walk->page, record->address, user_to_json(record));
    }
    return !walk->page.more;
}

void users_list(struct exchange *x)
{
    struct users_walk walk = {.view = exchange_view(x)};
    if (walk.view == NULL) {
        return;
    }
    list_page_begin(&walk.page, x);
    enum status status = store_users_all(walk.view, user_visit, &walk);
    if (status != STATUS_OK) {
        json_decref(walk.page.items);
        exchange_failf(x, status, "the users cannot be read");
        return;
    }
    list_page_answer(&walk.page, x);
}

/* The one that x->parameters[0] names, with its settings. */
static void user_answer(struct exchange *x, const struct bus_answer *answer)
{
    char name[ADDRESS_MAX + 1];
    struct failure f = {.status = STATUS_OK};
    struct user_record record;
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        return;
    }
    if (address_normalise(slice_of_text(x->parameters[0]), name, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    enum status status = store_user_get(view, slice_of_text(name), &record);
    if (status != STATUS_OK) {
        exchange_failf(x, status, "there is no user %s", name);
        return;
    }
    json_t *user = user_to_json(&record);
    json_put(user, "settings", settings_set_for(view, SETTING_USER, record.address));
    exchange_answer(x, user);
}

void user_get(struct exchange *x)
{
    user_answer(x, NULL);
}

void user_add(struct exchange *x)
{
    char name[ADDRESS_MAX + 1];
    struct failure f = {.status = STATUS_OK};
    struct command c;
    if (address_normalise(api_body_text(x->body, "address"), name, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "address");
        return;
    }
    x->parameters[0] = arena_text(&x->arena, slice_of_text(name));
    exchange_command(x, &c, COMMAND_USER_ADD);
    c.values[0].bytes = slice_of_text(name);
    exchange_write_one(x, &c, user_answer);
}

static void user_removed(struct exchange *x, const struct bus_answer *answer)
{
    json_t *gone = json_object();
    (void)answer;
    json_put(gone, "removed", json_string(x->parameters[0]));
    exchange_answer(x, gone);
}

void user_remove(struct exchange *x)
{
    char name[ADDRESS_MAX + 1];
    struct failure f = {.status = STATUS_OK};
    struct command c;
    if (address_normalise(slice_of_text(x->parameters[0]), name, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    exchange_command(x, &c, COMMAND_USER_REMOVE);
    c.values[0].bytes = slice_of_text(name);
    exchange_write_one(x, &c, user_removed);
}
