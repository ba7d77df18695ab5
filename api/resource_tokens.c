/* /v1/tokens: what programs sign in with. A token is shown once; the cluster keeps its SHA-256. */
#include "api/json_out.h"
#include "api/resources.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/secret.h"

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
     .min = 1,
     .max = 31,
     .choices = "admin",
     .help = "what it may do; admin if absent"},
    {.name = "lifetime_days", .type = API_NUMBER, .min = 1, .max = 3650, .help = "for ever if absent"},
};
const struct api_object token_request_object = {.name = "TokenRequest", API_FIELDS(request_fields)};

static const struct api_field token_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "token", .type = API_TEXT, .flags = API_REQUIRED | API_SECRET, .help = "shown only now"},
    {.name = "expires", .type = API_TIME, .help = "null: never"},
};
const struct api_object token_object = {.name = "Token", API_FIELDS(token_fields)};

static void token_added(struct exchange *x, const struct bus_answer *answer)
{
    json_t *object = json_object();
    (void)answer;
    json_put(object, "name", json_of_slice(api_body_text(x->body, "name")));
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
    struct slice role = api_body_text(x->body, "role");
    exchange_command(x, &c, COMMAND_API_TOKEN_ADD);
    c.values[0].bytes = slice_of(hash, sizeof(hash));
    c.values[1].bytes = api_body_text(x->body, "name");
    c.values[2].bytes = role.len > 0 ? role : SLICE_LITERAL("admin");
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
    exchange_command(x, &c, COMMAND_API_TOKEN_REMOVE);
    c.values[0].bytes = slice_of_text(x->parameters[0]);
    exchange_write_one(x, &c, token_removed);
}
