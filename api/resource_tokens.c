/* /v1/tokens: what programs sign in with, each with a role (store/permission.h). A token is shown once; the
 * cluster keeps its SHA-256, which is never shown. */
#include "api/json_out.h"
#include "api/resources.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/secret.h"
#include "store/records.h"

#define TOKEN_PREFIX "sealpost-"
#define TOKEN_BYTES  32

static const struct api_field request_fields[] = {
    {.name = "name",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = 63,
     .help = "whose it is, in the log"},
    {.name = "role",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = ROLE_NAME_MAX,
     .choices = ROLE_NAME_CHOICES,
     .help = "what it may do: docs/roles.md"},
    {.name = "lifetime_days", .type = API_NUMBER, .min = 1, .max = 3650, .help = "for ever if absent"},
};
const struct api_object token_request_object = {.name = "TokenRequest", API_FIELDS(request_fields)};

static const struct api_field token_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "role", .type = API_TEXT, .flags = API_REQUIRED, .help = "what it may do"},
    {.name = "token", .type = API_TEXT, .flags = API_REQUIRED | API_SECRET, .help = "shown only now"},
    {.name = "expires", .type = API_TIME, .help = "null: never"},
};
const struct api_object token_object = {.name = "Token", API_FIELDS(token_fields)};

static const struct api_field told_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "role", .type = API_TEXT, .flags = API_REQUIRED, .help = "what it may do"},
    {.name = "expires", .type = API_TIME, .help = "null: never"},
    {.name = "expired", .type = API_BOOL, .flags = API_REQUIRED, .help = "it may do nothing any more"},
    {.name = "added", .type = API_TIME, .help = "null: by a release that did not note it"},
    {.name = "added_by", .type = API_TEXT, .help = "token:NAME, or init: with the cluster"},
};
static const struct api_object told_object = {
    .name = "TokenInfo", .help = "A token without what signs in.", API_FIELDS(told_fields)};

static const struct api_field tokens_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &told_object},
};
const struct api_object tokens_object = {.name = "Tokens", API_FIELDS(tokens_fields)};

/* --- the list --- */

struct token_list {
    json_t *items; /* by name; API_TOKENS_MAX at most, but for those of older releases */
    uint64_t now_ms;
};

static bool token_visit(void *context, const struct api_token_record *record)
{
    struct token_list *list = context;
    json_t *token = json_object();
    size_t at = 0;
    json_put(token, "name", json_of_slice(record->name));
    json_put(token, "role", json_of_slice(record->role));
    json_put(token, "expires", json_of_time(record->expires_ms));
    json_put(token, "expired", json_boolean(record->expires_ms != 0 && record->expires_ms <= list->now_ms));
    json_put(token, "added", json_of_time(record->added_ms));
    json_put(token, "added_by", json_of_slice(record->added_by));
    const char *name = json_string_value(json_object_get(token, "name"));
    while (at < json_array_size(list->items) &&
           strcmp(json_string_value(json_object_get(json_array_get(list->items, at), "name")), name) < 0) {
        at++;
    }
    json_array_insert_new(list->items, at, token);
    return true;
}

void tokens_list(struct exchange *x)
{
    struct store_view *view = exchange_view(x);
    struct token_list list = {.now_ms = clock_wall_ms()};
    if (view == NULL) {
        return;
    }
    list.items = json_array();
    enum status status = store_api_tokens_all(view, token_visit, &list);
    if (status != STATUS_OK) {
        json_decref(list.items);
        exchange_failf(x, status, "the tokens cannot be read");
        return;
    }
    exchange_answer(x, json_page(list.items, NULL));
}

/* --- making and removing --- */

static void token_added(struct exchange *x, const struct bus_answer *answer)
{
    json_t *object = json_object();
    (void)answer;
    json_put(object, "name", json_of_slice(api_body_text(x->body, "name")));
    json_put(object, "role", json_of_slice(api_body_text(x->body, "role")));
    json_object_set(object, "token", json_object_get(x->body, "token"));
    json_put(object, "expires", json_of_time(*(uint64_t *)x->state));
    exchange_answer(x, object);
}

void token_add(struct exchange *x)
{
    uint8_t random[TOKEN_BYTES], hash[32];
    struct buf token = {.max = 128, .wipe = true};
    struct command c;
    uint64_t days = api_body_number(x->body, "lifetime_days", 0);
    uint64_t *expires = arena_alloc(&x->arena, sizeof(*expires));
    random_bytes(random, sizeof(random));
    enum status status = buf_append_text(&token, TOKEN_PREFIX);
    if (status == STATUS_OK) {
        status = base64url_encode(slice_of(random, sizeof(random)), &token);
    }
    secret_wipe(random, sizeof(random));
    if (status != STATUS_OK || expires == NULL) {
        buf_release(&token);
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the token");
        return;
    }
    *expires = days > 0 ? clock_wall_ms() + days * 86400000 : 0;
    sha256(buf_slice(&token), hash);
    json_put(x->body, "token", json_of_slice(buf_slice(&token))); /* JSON's memory is wiped */
    buf_release(&token);
    exchange_command(x, &c, COMMAND_API_TOKEN_GRANT);
    c.values[0].bytes = slice_of(hash, sizeof(hash));
    c.values[1].bytes = api_body_text(x->body, "name");
    c.values[2].bytes = api_body_text(x->body, "role");
    c.values[3].number = *expires;
    x->state = expires;
    exchange_write_one(x, &c, token_added);
}

static void token_removed(struct exchange *x, const struct bus_answer *answer)
{
    json_t *gone = json_object();
    (void)answer;
    json_put(gone, "removed", json_string(x->parameters[0]));
    exchange_answer(x, gone);
}

void token_remove(struct exchange *x)
{
    struct command c;
    exchange_command(x, &c, COMMAND_API_TOKEN_REVOKE);
    c.values[0].bytes = slice_of_text(x->parameters[0]);
    exchange_write_one(x, &c, token_removed);
}
