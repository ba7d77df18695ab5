/* See bench_world.h. */
#include "bench/policy/bench_world.h"

#include <stdlib.h>
#include <time.h>

void require(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "bench: %s\n", what);
        exit(1);
    }
}

double now_us(void)
{
    struct timespec t;
    require(clock_gettime(CLOCK_MONOTONIC, &t) == 0, "no clock");
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint64_t last_index; /* of the last command; 0: to be looked up, after a commit */

void world_apply(struct store *store, const struct command *c)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct apply_result result;
    struct failure f = {.status = STATUS_OK};
    struct store_view *view;
    require(command_encode(c, &encoded) == STATUS_OK, "no command");
    if (last_index == 0) {
        require(store_view_begin(store, &view, &f) == STATUS_OK, f.text);
        last_index = store_view_index(view);
        store_view_end(view);
    }
    size_t size = command_entry_size(encoded.len);
    uint8_t *entry = calloc(1, size);
    require(entry != NULL, "no memory");
    command_entry_write(buf_slice(&encoded), entry);
    require(store_apply_entry(store, ++last_index, slice_of(entry, size), &result, &f) == STATUS_OK, f.text);
    require(result.status == STATUS_OK, result.failure.text);
    free(entry);
    buf_release(&encoded);
}

void world_set(struct store *store, enum setting_level level, const char *scope, const char *name,
               const char *value)
{
    struct command c;
    command_init(&c, COMMAND_SETTING_SET, 1, SLICE_LITERAL("bench"));
    c.values[0].number = level;
    c.values[1].bytes = slice_of_text(scope);
    c.values[2].bytes = slice_of_text(name);
    c.values[3].bytes = slice_of_text(value);
    world_apply(store, &c);
}

void world_commit(struct store *store)
{
    struct failure f = {.status = STATUS_OK};
    require(store_batch_commit(store, &f) == STATUS_OK, f.text);
    last_index = 0;
}

void make_groups(struct store *store)
{
    for (unsigned i = 0; i < 2000; i++) {
        char group[32], member[64];
        struct command c;
        command_init(&c, COMMAND_GROUP_ADD, 1, SLICE_LITERAL("bench"));
        require(snprintf(group, sizeof group, "group%u", i % 20) > 0 &&
                    snprintf(member, sizeof member, "user%u@d%u.example", i, i % 50) > 0,
                "no text");
        c.values[0].bytes = slice_of_text(group);
        c.values[1].bytes = slice_of_text(member);
        world_apply(store, &c);
    }
    world_commit(store);
}

void rule_text(unsigned i, unsigned count, char when[300])
{
    static const char *const forms[] = {
        "sender in group group%u and recipient domain *.court%u.example",
        "header \"X-Class\" contains \"secret-%u\" and not tls and size > %uK",
        "recipient domain partner%u.example and attachment name *.d%ux",
        "subject contains \"[project-%u]\" or subject contains \"(matter %u)\"",
        "recipient in group group%u and kind encrypted and size > %uK",
        "(attachment type application/x-%u or attachment name *.x%u) and sender domain ours.example",
        "recipient user%u@d%u.example",
        "client in 192.0.%u.0/24 and not auth and recipient domain *.example%u",
        "recipient domain *.clinic%u.example and (kind report or size < %u)",
        "subject matches /\\b(geheim|secret)-%u\\b/i and recipient matches /^legal%u@/",
    };
    unsigned form = i % 10;
    unsigned number = form == 0 || form == 4 ? i % 20 : i % 250;
    if (i + 1 == count) {
        form = 10;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n = form == 10 ? snprintf(when, 300, "always") : snprintf(when, 300, forms[form], number, i + 7);
#pragma GCC diagnostic pop
    require(n > 0 && n < 300, "no text");
}
