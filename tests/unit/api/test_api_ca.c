/* The CAs of the cluster through the API: revoked CAs, what comes along with an imported one, and what is too
 * long for the loop. */
#include "api_world.h"

#include "base/clock.h"
#include "base/hex.h"
#include "crypto/ca.h"
#include "crypto/crl.h"

#include <openssl/pem.h>
#include <pthread.h>

#define DAY_MS ((uint64_t)86400 * 1000)

static int set_up(void **state)
{
    struct api_world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    api_world_begin(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    api_world_end(*state);
    free(*state);
    return 0;
}

static void cas_make(struct api_world *w)
{
    assert_int_equal(
        world_ask(w, "POST", "/v1/ca", "{\"name\": \"root\", \"subject\": \"Root\", \"key\": \"p256\"}"),
        201);
    assert_int_equal(world_ask(w, "POST", "/v1/ca",
                               "{\"name\": \"mail\", \"subject\": \"Mail\", \"key\": \"p256\", \"issuer\": "
                               "\"root\"}"),
                     201);
    assert_int_equal(world_ask(w, "PUT", "/v1/settings/ca.key_type", "{\"value\": \"p256\"}"), 200);
}

static int issue(struct api_world *w, const char *ca, const char *address)
{
    char target[64], body[128];
    assert_true(snprintf(target, sizeof(target), "/v1/ca/%s/certificates", ca) > 0);
    assert_true(snprintf(body, sizeof(body), "{\"address\": \"%s\"}", address) > 0);
    return world_ask(w, "POST", target, body);
}

/* The list of a CA as it is served, read anew. */
static struct crl *list_of(struct api_world *w, const char *name)
{
    struct store_view *view;
    struct slice der;
    struct crl *list;
    struct failure f;
    assert_int_equal(store_view_begin(w->api.store, &view, &f), STATUS_OK);
    assert_int_equal(store_ca_crl(view, slice_of_text(name), &der), STATUS_OK);
    assert_int_equal(crl_read(der, &list, &f), STATUS_OK);
    store_view_end(view);
    return list;
}

static void a_ca_is_revoked_with_all_that_it_issued(void **state)
{
    struct api_world *w = *state;
    cas_make(w);
    assert_int_equal(issue(w, "mail", "a@ours.example"), 201);
    assert_int_equal(world_ask(w, "POST", "/v1/ca/root/revoke", "{}"), 400);
    assert_non_null(strstr(w->text, "none can revoke it"));
    assert_int_equal(world_ask(w, "POST", "/v1/ca/nobody/revoke", "{}"), 404);
    assert_int_equal(world_ask(w, "POST", "/v1/ca/mail/revoke", "{\"reason\": \"bored\"}"), 400);
    assert_int_equal(world_ask(w, "POST", "/v1/ca/mail/revoke", "{\"reason\": \"cACompromise\"}"), 200);
    assert_string_equal(world_text(w, "reason"), "cACompromise");
    assert_string_not_equal(world_text(w, "revoked_since"), "");
    struct crl *list = list_of(w, "root");
    assert_int_equal(crl_entry_count(list), 1);
    crl_free(list);
    assert_int_equal(world_ask(w, "POST", "/v1/ca/mail/revoke", "{}"), 409);
    assert_int_equal(world_ask(w, "GET", "/v1/ca/mail/certificates", NULL), 200);
    assert_string_equal(world_text(w, "items.0.state"), "revoked");
    assert_int_not_equal(issue(w, "mail", "b@ours.example"), 201);
    assert_non_null(strstr(w->text, "the CA mail is revoked"));
    assert_int_equal(issue(w, "root", "a@ours.example"), 201);
}

/* --- an imported CA --- */

static void put_text(const char *member, const struct buf *pem, const char *more, struct buf *body)
{
    struct buf text = BUF_INIT(1 << 20);
    assert_int_equal(base64_encode(buf_slice(pem), &text), STATUS_OK);
    assert_int_equal(buf_append_text(body, member), STATUS_OK);
    assert_int_equal(buf_append_slice(body, buf_slice(&text)), STATUS_OK);
    assert_int_equal(buf_append_text(body, more), STATUS_OK);
    buf_release(&text);
}

/* Certificate and key as PEM. */
static void ca_file(const struct ca_signer *s, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    assert_int_equal(PEM_write_bio_X509(bio, s->certificate), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(bio, s->key, NULL, NULL, 0, NULL, NULL), 1);
    long len = BIO_get_mem_data(bio, &text);
    assert_int_equal(buf_append(out, text, (size_t)len), STATUS_OK);
    BIO_free(bio);
}

/* Gives the HTTP status. `list`: its last one, of `count` entries, signed by `signer`; count 0: none. */
static int import(struct api_world *w, const char *name, const struct ca_signer *s,
                  const struct ca_signer *signer, uint64_t number, const struct ca_crl_entry *entries,
                  size_t count)
{
    struct buf file = BUF_INIT(1 << 20), list = BUF_INIT(CA_CRL_MAX), body = BUF_INIT(4 << 20);
    uint64_t now = clock_wall_ms();
    struct failure f;
    ca_file(s, &file);
    assert_int_equal(buf_append_text(&body, "{\"name\": \""), STATUS_OK);
    assert_int_equal(buf_append_text(&body, name), STATUS_OK);
    put_text("\", \"data\": \"", &file, "\"", &body);
    if (count > 0) {
        assert_int_equal(ca_crl_make(signer, number, now, now + DAY_MS, entries, count, &list, &f),
                         STATUS_OK);
        put_text(", \"crl\": \"", &list, "\"", &body);
    }
    assert_int_equal(buf_append_text(&body, "}"), STATUS_OK);
    assert_non_null(buf_text(&body));
    int status = world_ask(w, "POST", "/v1/ca/import", buf_text(&body));
    buf_release(&file);
    buf_release(&list);
    buf_release(&body);
    return status;
}

#define MANY (CA_REVOKED_IMPORT_MAX + 1)

static struct ca_crl_entry *entries_make(size_t count)
{
    struct ca_crl_entry *entries = calloc(count, sizeof(*entries));
    assert_non_null(entries);
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct ca_crl_entry){.serial_len = CA_SERIAL_MAX, .revoked_ms = 1000, .reason = 1};
        memset(entries[i].serial, 0x5a, CA_SERIAL_MAX);
        entries[i].serial[1] = (uint8_t)(i >> 8);
        entries[i].serial[2] = (uint8_t)i;
    }
    return entries;
}

static void an_imported_ca_brings_what_it_revoked(void **state)
{
    static const uint64_t number = (uint64_t)1 << 50;
    struct api_world *w = *state;
    struct ca_signer old, other;
    struct failure f;
    struct ca_crl_entry *entries = entries_make(MANY);
    uint64_t now = clock_wall_ms();
    assert_int_equal(ca_make(SLICE_LITERAL("Old"), KEY_P256, 365, NULL, "", now, &old, &f), STATUS_OK);
    assert_int_equal(ca_make(SLICE_LITERAL("Old"), KEY_P256, 365, NULL, "", now, &other, &f), STATUS_OK);

    assert_int_equal(import(w, "old", &old, &other, number, entries, 2), 403);
    assert_non_null(strstr(w->text, "not by the key of this CA"));
    assert_int_equal(world_ask(w, "GET", "/v1/ca/old", NULL), 404); /* nothing has changed */
    assert_int_equal(import(w, "old", &old, &old, number, entries, MANY), 413);
    assert_non_null(strstr(w->text, "the list has 8001 entries, and at most 8000"));
    assert_int_equal(world_ask(w, "GET", "/v1/ca/old", NULL), 404);
    /* the longest serial numbers, and as many as may come */
    assert_int_equal(import(w, "old", &old, &old, number, entries, CA_REVOKED_IMPORT_MAX), 201);
    assert_int_equal(json_integer_value(world_json(w, "revoked")), CA_REVOKED_IMPORT_MAX);
    assert_int_equal(json_integer_value(world_json(w, "crl_number")), number + 1);
    struct crl *list = list_of(w, "old");
    assert_int_equal(crl_entry_count(list), CA_REVOKED_IMPORT_MAX);
    crl_free(list);
    /* and they stay on the next one */
    assert_int_equal(world_ask(w, "PUT", "/v1/settings/ca.key_type", "{\"value\": \"p256\"}"), 200);
    assert_int_equal(issue(w, "old", "a@ours.example"), 201);
    char body[128];
    assert_true(
        snprintf(body, sizeof(body), "{\"thumbprint\": \"%s\"}", world_text(w, "items.0.thumbprint")) > 0);
    assert_int_equal(world_ask(w, "POST", "/v1/ca/revoke", body), 200);
    list = list_of(w, "old");
    assert_int_equal(crl_entry_count(list), CA_REVOKED_IMPORT_MAX + 1);
    crl_free(list);
    ca_signer_release(&old);
    ca_signer_release(&other);
    free(entries);
}

static void an_imported_ca_below_one_of_ours_can_be_revoked(void **state)
{
    struct api_world *w = *state;
    struct ca_signer root, below;
    struct failure f;
    uint64_t now = clock_wall_ms();
    assert_int_equal(ca_make(SLICE_LITERAL("R"), KEY_P256, 365, NULL, "", now, &root, &f), STATUS_OK);
    assert_int_equal(ca_make(SLICE_LITERAL("B"), KEY_P256, 365, &root, "", now, &below, &f), STATUS_OK);
    assert_int_equal(import(w, "root", &root, NULL, 0, NULL, 0), 201);
    assert_true(json_is_true(world_json(w, "trusted")));
    assert_int_equal(import(w, "below", &below, NULL, 0, NULL, 0), 201);
    assert_string_equal(world_text(w, "issuer"), "root");
    assert_true(json_is_false(world_json(w, "trusted"))); /* its root is */
    assert_int_equal(world_ask(w, "POST", "/v1/ca/below/revoke", "{}"), 200);
    ca_signer_release(&root);
    ca_signer_release(&below);
}

/* --- what is too long for the loop --- */

static void *job_run(void *context)
{
    struct api_job *job = context;
    job->run(job);
    return NULL;
}

static void other_requests_are_answered_during_a_policy_test(void **state)
{
    struct api_world *w = *state;
    pthread_t thread;
    w->hold_job = true;
    world_begin_request(w, "POST", "/v1/policy/test",
                        "{\"cases\": [{\"from\": \"a@x.example\", \"to\": [\"b@y.example\"], \"expect\": "
                        "\"refuse\"}, {\"from\": \"a@x.example\", \"to\": [\"b@y.example\"], \"expect\": "
                        "\"sign\"}]}");
    assert_non_null(w->held_job);
    assert_false(w->answered);
    /* it is under way, and nothing of it is done */
    assert_int_equal(world_ask(w, "GET", "/v1/domains", NULL), 200);
    assert_int_equal(pthread_create(&thread, NULL, job_run, w->held_job), 0);
    assert_int_equal(world_ask(w, "PUT", "/v1/settings/sign.mode", "{\"value\": \"none\"}"), 200);
    assert_int_equal(world_ask(w, "GET", "/v1/policy/explain", NULL), 405);
    assert_int_equal(pthread_join(thread, NULL), 0);
    json_decref(w->json);
    w->json = NULL;
    w->answered = false;
    exchange_job_done(w->held, w->held_job);
    assert_true(w->answered);
    assert_int_equal(w->status, 200);
    assert_int_equal(json_integer_value(world_json(w, "cases")), 2);
    assert_int_equal(json_integer_value(world_json(w, "failed")), 1);
}

static void a_list_is_signed_by_a_job(void **state)
{
    struct api_world *w = *state;
    char body[128];
    cas_make(w);
    assert_int_equal(issue(w, "mail", "a@ours.example"), 201);
    assert_true(
        snprintf(body, sizeof(body), "{\"thumbprint\": \"%s\"}", world_text(w, "items.0.thumbprint")) > 0);
    w->hold_job = true;
    world_begin_request(w, "POST", "/v1/ca/revoke", body);
    assert_non_null(w->held_job);
    /* meanwhile another one is revoked: the list of the first is made anew, and holds both */
    w->held_job->run(w->held_job);
    assert_int_equal(issue(w, "mail", "b@ours.example"), 201);
    assert_true(
        snprintf(body, sizeof(body), "{\"thumbprint\": \"%s\"}", world_text(w, "items.0.thumbprint")) > 0);
    assert_int_equal(world_ask(w, "POST", "/v1/ca/revoke", body), 200);
    json_decref(w->json);
    w->json = NULL;
    w->answered = false;
    exchange_job_done(w->held, w->held_job);
    world_go_on(w);
    assert_int_equal(w->status, 200);
    struct crl *list = list_of(w, "mail");
    assert_int_equal(crl_entry_count(list), 2);
    crl_free(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_ca_is_revoked_with_all_that_it_issued),
        TEST(an_imported_ca_brings_what_it_revoked),
        TEST(an_imported_ca_below_one_of_ours_can_be_revoked),
        TEST(other_requests_are_answered_during_a_policy_test),
        TEST(a_list_is_signed_by_a_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
