/* See api_world.h. */
#include "api_world.h"

#include "mail/rule.h"

#include "api/json_out.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/msgpack_write.h"

#include <ftw.h>
#include <unistd.h>

static const uint8_t kek[32] = "the key that wraps the data key";

/* --- what the exchanges ask for --- */

static struct bus_answer *apply(struct api_world *w, const struct bus_request *r)
{
    uint8_t entry[COMMAND_MAX + 16];
    struct apply_result result;
    struct failure f = {0};
    size_t size = command_entry_size(r->arguments.len);
    assert_true(size <= sizeof(entry));
    command_entry_write(buf_slice(&r->arguments), entry);
    assert_int_equal(store_batch_begin(w->writer, &f), STATUS_OK);
    assert_int_equal(store_apply_entry(w->writer, ++w->index, slice_of(entry, size), &result, &f), STATUS_OK);
    assert_int_equal(store_batch_commit(w->writer, &f), STATUS_OK);
    struct bus_answer *a = bus_answer_new(r->exchange, result.status, result.failure.text, slice_of(NULL, 0));
    a->index = result.index;
    return a;
}

static void submit(struct api *api, struct exchange *x, struct bus_request *r)
{
    struct api_world *w = (struct api_world *)api;
    struct bus_answer *a;
    if (r->service == BUS_PROPOSE) {
        w->proposals++;
        a = w->fail_proposals
                ? bus_answer_new(r->exchange, STATUS_UNAVAILABLE, "no leader", slice_of(NULL, 0))
                : apply(w, r);
        bus_request_free(r);
    } else {
        bus_request_free(w->asked);
        w->asked = r;
        a = bus_answer_new(r->exchange, w->answer_status,
                           w->answer_status == STATUS_OK ? "" : "as the test says",
                           buf_slice(&w->answer_body));
    }
    assert_null(w->due);
    w->due = a;
    w->waiting = x;
}

static enum status start_job(struct api *api, struct exchange *x, struct api_job *job)
{
    struct api_world *w = (struct api_world *)api;
    if (w->hold_job) {
        w->hold_job = false;
        w->held_job = job;
        w->held = x;
        return STATUS_OK;
    }
    job->run(job);
    w->due_job = job;
    w->waiting = x;
    return STATUS_OK;
}

static void wait_for_index(struct api *api, struct exchange *x)
{
    (void)api;
    exchange_index_reached(x);
}

static void answered(struct api *api, struct exchange *x)
{
    struct api_world *w = (struct api_world *)api;
    assert_false(w->answered);
    w->answered = true;
    w->status = x->http_status;
    w->answer_index = x->index;
    assert_true(x->answer.len < sizeof(w->text));
    memcpy(w->text, x->answer.data, x->answer.len);
    w->text[x->answer.len] = '\0';
    w->json = json_loadb(w->text, x->answer.len, 0, NULL);
    exchange_free(x);
}

static void health(struct api *api, struct bus_health *out)
{
    *out = ((struct api_world *)api)->health;
}

static void stats(struct api *api, enum bus_stats whose, struct buf *out)
{
    struct msgpack_writer m;
    (void)api;
    msgpack_writer_init(&m, out);
    if (whose == BUS_STATS_FETCH) {
        write_map(&m, 1);
        write_text(&m, SLICE_LITERAL("lists_fetched"));
        write_u64(&m, 5);
        return;
    }
    write_map(&m, 2);
    write_text(&m, SLICE_LITERAL("accepted"));
    write_u64(&m, 7);
    write_text(&m, SLICE_LITERAL("queue_messages"));
    write_u64(&m, 3);
    assert_int_equal(msgpack_writer_status(&m), STATUS_OK);
}

/* --- the world --- */

static void propose(struct api_world *w, const struct command *c)
{
    struct bus_request *r = bus_request_new(0, BUS_PROPOSE, 0, 0);
    struct bus_answer *a;
    assert_int_equal(command_encode(c, &r->arguments), STATUS_OK);
    a = apply(w, r);
    if (a->status != STATUS_OK) {
        fail_msg("the world cannot be founded: %s", a->text);
    }
    bus_answer_free(a);
    bus_request_free(r);
}

static void found(struct api_world *w)
{
    struct command c;
    struct buf wrapped = BUF_INIT(1024);
    struct secret data_key = {0};
    uint8_t id[16], token_hash[32];
    assert_int_equal(keyring_wrap_new_data_key(slice_of(kek, sizeof(kek)), id, &wrapped, &data_key),
                     STATUS_OK);
    command_init(&c, COMMAND_CLUSTER_INIT, clock_wall_ms(), SLICE_LITERAL("init"));
    c.values[0].bytes = SLICE_LITERAL("0123456789abcdef");
    c.values[1].bytes = SLICE_LITERAL("test");
    c.values[2].bytes = SLICE_LITERAL("a certificate's DER");
    c.values[3].bytes = SLICE_LITERAL("a sealed key, which is longer than what sealing adds to it");
    c.values[4].bytes = slice_of(id, sizeof(id));
    c.values[5].bytes = buf_slice(&wrapped);
    propose(w, &c);
    buf_release(&wrapped);
    secret_release(&data_key);
    sha256(SLICE_LITERAL(WORLD_TOKEN), token_hash);
    command_init(&c, COMMAND_API_TOKEN_ADD, clock_wall_ms(), SLICE_LITERAL("init"));
    c.values[0].bytes = slice_of(token_hash, sizeof(token_hash));
    c.values[1].bytes = SLICE_LITERAL("tester");
    c.values[2].bytes = SLICE_LITERAL("admin");
    propose(w, &c);
}

void api_world_begin(struct api_world *w)
{
    struct failure f = {0};
    memset(w, 0, sizeof(*w));
    api_memory_set_up();
    memcpy(w->dir, "/tmp/sealpost-api-XXXXXX", sizeof("/tmp/sealpost-api-XXXXXX"));
    assert_non_null(mkdtemp(w->dir));
    char state[80];
    assert_true(snprintf(state, sizeof(state), "%s/state", w->dir) > 0);
    if (store_open_writer(state, SLICE_LITERAL("11111111-2222-3333-4444-555555555555"), &w->writer, &f) !=
        STATUS_OK) {
        fail_msg("%s", f.text);
    }
    found(w);
    if (store_open_reader(state, &w->api.store, &f) != STATUS_OK) {
        fail_msg("%s", f.text);
    }
    assert_int_equal(secret_copy(&w->api.keyring.kek, slice_of(kek, sizeof(kek))), STATUS_OK);
    w->api.submit = submit;
    w->api.start_job = start_job;
    w->api.wait_for_index = wait_for_index;
    w->api.answered = answered;
    w->api.health = health;
    w->api.stats = stats;
    w->answer_body = BUF_INIT(1 << 20);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

void api_world_end(struct api_world *w)
{
    json_decref(w->json);
    buf_release(&w->answer_body);
    bus_request_free(w->asked);
    trust_free(w->api.trust);
    ruleset_free(w->api.rules);
    keyring_release(&w->api.keyring);
    if (w->api.store != NULL) {
        store_close(w->api.store);
    }
    store_close(w->writer);
    assert_int_equal(nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void world_begin_request(struct api_world *w, const char *method, const char *target, const char *body)
{
    struct api_request r = {.method = slice_of_text(method),
                            .target = slice_of_text(target),
                            .authorization = SLICE_LITERAL("Bearer " WORLD_TOKEN),
                            .body = slice_of_text(body)};
    w->answered = false;
    api_request_serve(api_request_begin(&w->api, &r), &r);
}

int world_ask_as(struct api_world *w, const char *authorization, const char *method, const char *target,
                 struct slice body)
{
    struct api_request r = {.method = slice_of_text(method),
                            .target = slice_of_text(target),
                            .authorization = slice_of_text(authorization),
                            .body = body};
    json_decref(w->json);
    w->json = NULL;
    w->answered = false;
    struct exchange *x = api_request_begin(&w->api, &r);
    api_request_serve(x, &r);
    world_go_on(w);
    return w->status;
}

void world_go_on(struct api_world *w)
{
    while (!w->answered) {
        struct bus_answer *a = w->due;
        struct api_job *job = w->due_job;
        struct exchange *x = w->waiting;
        w->due = NULL;
        w->due_job = NULL;
        assert_true(a != NULL || job != NULL);
        if (a != NULL) {
            exchange_resume(x, a);
            bus_answer_free(a);
        } else {
            exchange_job_done(x, job);
        }
    }
}

int world_ask(struct api_world *w, const char *method, const char *target, const char *body)
{
    return world_ask_as(w, "Bearer " WORLD_TOKEN, method, target, slice_of_text(body));
}

json_t *world_json(const struct api_world *w, const char *path)
{
    json_t *at = w->json;
    while (*path != '\0' && at != NULL) {
        char name[64];
        size_t n = strcspn(path, ".");
        uint64_t position;
        assert_true(n < sizeof(name));
        memcpy(name, path, n);
        name[n] = '\0';
        at = json_is_array(at) && slice_parse_u64(slice_of(name, n), &position) ? json_array_get(at, position)
                                                                                : json_object_get(at, name);
        path += n + (path[n] == '.');
    }
    return at;
}

const char *world_text(const struct api_world *w, const char *path)
{
    const char *text = json_string_value(world_json(w, path));
    return text != NULL ? text : "";
}

void world_shell(struct api_world *w, const char *format, ...)
{
    char command[4096], line[8192];
    va_list args;
    va_start(args, format);
    assert_true(vsnprintf(command, sizeof(command), format, args) > 0);
    va_end(args);
    assert_true(snprintf(line, sizeof(line), "cd %s && { %s; } >/dev/null 2>&1", w->dir, command) > 0);
    if (system(line) != 0) { /* NOLINT(cert-env33-c): the openssl tool makes what a partner would */
        fail_msg("failed: %s", command);
    }
}

const char *world_file_body(struct api_world *w, const char *name, const char *more)
{
    static char body[1 << 18];
    static uint8_t content[1 << 17];
    struct buf text = BUF_INIT(sizeof(body));
    char path[256];
    assert_true(snprintf(path, sizeof(path), "%s/%s", w->dir, name) > 0);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(content, 1, sizeof(content), file);
    fclose(file);
    assert_int_equal(base64_encode(slice_of(content, n), &text), STATUS_OK);
    assert_true(snprintf(body, sizeof(body), "{\"data\": \"%.*s\"%s}", SLICE_ARGS(buf_slice(&text)), more) >
                0);
    buf_release(&text);
    return body;
}
