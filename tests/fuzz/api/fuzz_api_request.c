/* A request out of any bytes: the check of its head, then its first line as a target and what follows the
 * head as a body. */
#include "api/path.h"
#include "api/request_head.h"
#include "api/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice next_word(struct slice *rest, uint8_t end)
{
    size_t at = slice_find_byte(*rest, end);
    struct slice word = slice_of(rest->data, at);
    size_t step = at < rest->len ? at + 1 : at;
    *rest = slice_of(rest->data + step, rest->len - step);
    return word;
}

static void target_read(struct slice target, const struct route_match *match)
{
    struct arena a;
    struct query q;
    struct failure f;
    const char *text;
    struct slice path = next_word(&target, '?');
    arena_init(&a, (size_t)1 << 20);
    if (query_parse(target, &a, &q, &f) == STATUS_OK) {
        (void)query_get(&q, "barrier");
    }
    for (size_t i = 0; i < PATH_PARAMETERS_MAX; i++) {
        if (match->raw[i].len > 0 && percent_decode(match->raw[i], false, &a, &text, &f) == STATUS_OK &&
            strlen(text) > path.len) {
            __builtin_trap(); /* decoding never makes more */
        }
    }
    arena_release(&a);
}

static void body_read(struct slice body, const struct api_route *route)
{
    struct failure f;
    const char *field;
    json_t *value;
    if (api_json_parse(body, &value, &f) != STATUS_OK) {
        return;
    }
    if (api_body_check(route->request, value, &field, &f) == STATUS_OK && route->request != NULL &&
        !json_is_object(value)) {
        __builtin_trap();
    }
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    struct failure f;
    struct route_match match;
    if (request_head_check(rest, &f) != STATUS_OK && f.status != STATUS_MALFORMED) {
        __builtin_trap();
    }
    struct slice method = next_word(&rest, ' ');
    struct slice target = next_word(&rest, ' ');
    struct slice path = slice_of(target.data, slice_find_byte(target, '?'));
    api_route_find(method, path, &match);
    target_read(target, &match);
    (void)next_word(&rest, '{');
    if (match.route != NULL && rest.data > data) {
        body_read(slice_of(rest.data - 1, rest.len + 1), match.route);
    }
    return 0;
}
