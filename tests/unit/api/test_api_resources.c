/* Each resource, from the request to the store and back; and that bad input changes nothing. */
#include "api_world.h"

#include "base/hex.h"
#include "base/msgpack_write.h"
#include "mail/fetch_protocol.h"
#include "smtp/queue_protocol.h"

#define ISSUER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct api_world w;

static int set_up(void **state)
{
    (void)state;
    api_world_begin(&w);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    api_world_end(&w);
    return 0;
}

#define ASK(expected, method, target, body)                                                                  \
    do {                                                                                                     \
        if (world_ask(&w, method, target, body) != (expected)) {                                             \
            fail_msg("%s %s: %d %s", method, target, w.status, w.text);                                      \
        }                                                                                                    \
    } while (0)

static void settings_are_set_and_inherited(void **state)
{
    (void)state;
    ASK(200, "PUT", "/v1/settings/encrypt.mode?domain=Partner.example", "{\"value\": \"mandatory\"}");
    assert_true(w.answer_index > 0);
    assert_string_equal(world_text(&w, "values.0.value"), "mandatory");
    assert_string_equal(world_text(&w, "values.0.scope"), "partner.example");
    ASK(200, "GET", "/v1/settings/encrypt.mode?user=bob@partner.example", NULL);
    assert_string_equal(world_text(&w, "values.0.value"), "mandatory");
    assert_string_equal(world_text(&w, "values.0.level"), "domain");
    ASK(200, "GET", "/v1/settings/encrypt.mode", NULL);
    assert_string_equal(world_text(&w, "values.0.level"), "factory");
    ASK(200, "GET", "/v1/settings", NULL);
    assert_true(json_array_size(world_json(&w, "items")) > 10);
    ASK(200, "GET", "/v1/settings?prefix=encrypt.mo&domain=partner.example", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items")), 1);
    assert_int_equal(json_array_size(world_json(&w, "items.0.values")), 1);
    assert_string_equal(world_text(&w, "items.0.values.0.value"), "mandatory");
    ASK(200, "GET", "/v1/settings?user=bob@other.example", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items.0.values")), 1);
    assert_string_equal(world_text(&w, "items.0.values.0.level"), "factory");
    ASK(404, "GET", "/v1/settings?prefix=encrypt.mod.", NULL);
    ASK(400, "GET", "/v1/settings?user=a@b.c&domain=b.c", NULL);
    ASK(200, "DELETE", "/v1/settings/encrypt.mode?domain=partner.example", NULL);
    assert_string_equal(world_text(&w, "values.0.level"), "factory");
    ASK(404, "DELETE", "/v1/settings/encrypt.mode?domain=partner.example", NULL);
}

static void domains_and_users(void **state)
{
    (void)state;
    ASK(201, "POST", "/v1/domains", "{\"domain\": \"Ours.Example\", \"locality\": \"internal\"}");
    assert_string_equal(world_text(&w, "domain"), "ours.example");
    assert_string_equal(world_text(&w, "locality"), "internal");
    ASK(409, "POST", "/v1/domains", "{\"domain\": \"ours.example\"}");
    ASK(201, "POST", "/v1/domains", "{\"domain\": \"partner.example\"}");
    ASK(200, "GET", "/v1/domains?limit=1", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items")), 1);
    assert_string_equal(world_text(&w, "next"), "ours.example");
    ASK(200, "GET", "/v1/domains?limit=1&after=ours.example", NULL);
    assert_string_equal(world_text(&w, "items.0.domain"), "partner.example");
    assert_null(world_json(&w, "next"));
    ASK(200, "GET", "/v1/domains/OURS.example", NULL);
    assert_string_equal(world_text(&w, "settings.0.name"), "domain.locality");
    ASK(200, "DELETE", "/v1/domains/ours.example", NULL);
    ASK(404, "GET", "/v1/domains/ours.example", NULL);

    ASK(201, "POST", "/v1/users", "{\"address\": \"Alice@ours.example\"}");
    ASK(200, "GET", "/v1/users/alice%40ours.example", NULL);
    assert_string_equal(world_text(&w, "address"), "alice@ours.example");
    ASK(200, "GET", "/v1/users", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items")), 1);
    ASK(200, "DELETE", "/v1/users/alice@ours.example", NULL);
    ASK(404, "DELETE", "/v1/users/alice@ours.example", NULL);
}

/* The PKI of a partner and of us, made by the openssl tool. */
static void pki_make(void)
{
    world_shell(
        &w, "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem "
            "-subj '/CN=Partner CA' -days 30 -addext basicConstraints=critical,CA:TRUE");
    world_shell(&w,
                "printf 'subjectAltName=email:bob@partner.example\\nkeyUsage=digitalSignature,keyAgreement\\n"
                "extendedKeyUsage=emailProtection\\n' > bob.ext");
    world_shell(&w,
                "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout bob.key -out bob.csr "
                "-subj /CN=bob");
    world_shell(&w, "openssl x509 -req -in bob.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 "
                    "-extfile bob.ext -out bob.pem");
    world_shell(&w, "openssl pkcs12 -export -in bob.pem -inkey bob.key -certfile ca.pem -passout pass:secret "
                    "-out bob.p12");
    world_shell(&w, "cat ca.key bob.pem > wrong.pem; cat bob.pem bob.pem ca.pem > chain.pem; "
                    "openssl x509 -in bob.pem -outform DER -out bob.der; head -c 200 bob.der > torn.der; "
                    "cat bob.pem torn.der > /dev/null; echo garbage > garbage");
}

static void certificates_are_imported_and_found(void **state)
{
    char thumbprint[65], target[128];
    (void)state;
    pki_make();
    ASK(200, "POST", "/v1/certificates", world_file_body(&w, "bob.der", ""));
    assert_string_equal(world_text(&w, "items.0.result"), "added");
    assert_string_equal(world_text(&w, "items.0.addresses.0"), "bob@partner.example");
    memcpy(thumbprint, world_text(&w, "items.0.thumbprint"), sizeof(thumbprint));
    ASK(200, "POST", "/v1/certificates", world_file_body(&w, "chain.pem", ""));
    assert_string_equal(world_text(&w, "items.0.result"), "exists");
    assert_string_equal(world_text(&w, "items.2.result"), "added");
    ASK(200, "GET", "/v1/certificates?address=BOB@partner.example", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items")), 1);
    assert_true(snprintf(target, sizeof(target), "/v1/certificates/%.10s", thumbprint) > 0);
    ASK(200, "GET", target, NULL);
    assert_string_equal(world_text(&w, "thumbprint"), thumbprint);
    assert_string_equal(world_text(&w, "encryption.status"), "UNTRUSTED");
    assert_non_null(strstr(world_text(&w, "pem"), "BEGIN CERTIFICATE"));

    ASK(400, "POST", "/v1/trust", world_file_body(&w, "bob.pem", ""));
    assert_non_null(strstr(world_text(&w, "detail"), "neither that of a CA nor self-signed"));
    ASK(200, "POST", "/v1/trust", world_file_body(&w, "ca.pem", ", \"comment\": \"a partner\""));
    ASK(200, "GET", target, NULL);
    assert_string_equal(world_text(&w, "encryption.status"), "OK");
    ASK(200, "GET", "/v1/trust", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items")), 1);

    assert_true(snprintf(target, sizeof(target), "/v1/trust/%s", world_text(&w, "items.0.thumbprint")) > 0);
    ASK(200, "DELETE", target, NULL);
    ASK(404, "DELETE", target, NULL);
    assert_true(snprintf(target, sizeof(target), "/v1/certificates/%s", thumbprint) > 0);
    ASK(200, "DELETE", target, NULL);
    ASK(404, "GET", target, NULL);
    ASK(400, "GET", "/v1/certificates/xyz", NULL);
}

static void keys_are_sealed_and_open_again(void **state)
{
    uint8_t thumbprint[32];
    struct store_view *view;
    struct slice sealed;
    struct failure f;
    EVP_PKEY *key = NULL;
    (void)state;
    pki_make();
    ASK(200, "POST", "/v1/keys", world_file_body(&w, "bob.p12", ", \"password\": \"secret\""));
    assert_int_equal(json_array_size(world_json(&w, "items")), 2);
    assert_string_equal(world_text(&w, "items.0.subject"), "CN=bob");
    assert_true(hex_parse(slice_of_text(world_text(&w, "items.0.thumbprint")), thumbprint, 32));
    assert_int_equal(store_view_begin(w.api.store, &view, &f), STATUS_OK);
    assert_int_equal(store_key_get(view, thumbprint, &sealed), STATUS_OK);
    assert_int_equal(private_key_open(&w.api.keyring, thumbprint, sealed, &key, &f), STATUS_OK);
    EVP_PKEY_free(key);
    store_view_end(view);
    ASK(200, "GET", "/v1/keys", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items")), 1);
    assert_true(json_is_true(world_json(&w, "items.0.has_key")));
}

/* The list of the issue: each is refused with a clear text, and the tables stay as they are. */
static void bad_input_changes_nothing(void **state)
{
    static char large[API_BODY_MAX + 100];
    (void)state;
    pki_make();
    const struct {
        const char *method, *target, *body;
        int status;
        const char *says;
    } cases[] = {
        {"PUT", "/v1/settings/encrypt.mod", "{\"value\": \"mandatory\"}", 404,
         "did you mean \"encrypt.mode\""},
        {"PUT", "/v1/settings/encrypt.mode", "{\"value\": \"mandatry\"}", 400, "mandatory"},
        {"PUT", "/v1/settings/cluster.stale_after", "{\"value\": \"1000d\"}", 400, "cluster.stale_after"},
        {"PUT", "/v1/settings/cluster.stale_after?domain=x.example", "{\"value\": \"10s\"}", 400,
         "cluster.stale_after"},
        {"PUT", "/v1/settings/encrypt.mode", "{\"valeu\": \"none\"}", 400, "did you mean \"value\""},
        {"PUT", "/v1/settings/encrypt.mode?domain=a@b", "{\"value\": \"none\"}", 400, ""},
        {"PUT", "/v1/settings/encrypt.mode?user=nobody", "{\"value\": \"none\"}", 400, ""},
        {"PUT", "/v1/settings/encrypt.mode?user=a@b.c&domain=b.c", "{\"value\": \"none\"}", 400, "not both"},
        {"PUT", "/v1/settings/encrypt.mode?usr=a@b.c", "{\"value\": \"none\"}", 400, "did you mean \"user\""},
        {"PUT", "/v1/settings/encrypt.mode", "value=none", 400, "not JSON"},
        {"PUT", "/v1/settings/encrypt.mode", NULL, 400, "value: is missing"},
        {"POST", "/v1/domains", "{\"domain\": \"no domain\"}", 400, ""},
        {"POST", "/v1/domains", "{\"domain\": \"x.example\", \"locality\": \"inside\"}", 400,
         "internal|external"},
        {"POST", "/v1/users", "{\"address\": \"nobody\"}", 400, ""},
        {"POST", "/v1/certificates", "{\"data\": \"aGFsbG8=\"}", 400, "no certificate"},
        {"POST", "/v1/certificates", "{\"data\": \"***\"}", 400, "base64"},
        {"POST", "/v1/certificates", "{\"data\": \"\"}", 400, "empty"},
        {"POST", "/v1/keys", "{\"data\": \"aGFsbG8=\"}", 400, ""},
        {"POST", "/v1/nodes/token", "{\"lifetime_seconds\": 1}", 400, "between"},
        {"POST", "/v1/tokens", "{\"name\": \"x\", \"role\": \"king\"}", 400, "admin"},
        {"POST", "/v1/tokens", "{\"name\": \"x\"}", 400, "role"},
        {"DELETE", "/v1/tokens/nobody", NULL, 404, ""},
        {"DELETE", "/v1/domains/nowhere.example", NULL, 404, ""},
        {"DELETE", "/v1/domains/nowhere.example", "{\"x\": 1}", 400, "no body"},
        {"POST", "/v1/users?barrier=perhaps", "{\"address\": \"a@b.example\"}", 400, "true or false"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ASK(cases[i].status, cases[i].method, cases[i].target, cases[i].body);
        if (strstr(world_text(&w, "detail"), cases[i].says) == NULL) {
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].target, world_text(&w, "detail"),
                     cases[i].says);
        }
        assert_int_equal(json_integer_value(world_json(&w, "status")), cases[i].status);
        assert_int_equal(w.answer_index, 0);
    }
    memset(large, 'a', sizeof(large) - 1);
    ASK(413, "POST", "/v1/users", large);
    assert_int_equal(w.proposals, 2); /* only what the state alone could refuse was proposed */
    ASK(400, "POST", "/v1/certificates", world_file_body(&w, "torn.der", ""));
    ASK(400, "POST", "/v1/keys", world_file_body(&w, "wrong.pem", ""));
    ASK(400, "POST", "/v1/keys", world_file_body(&w, "bob.p12", ", \"password\": \"wrong\""));
    assert_string_equal(world_text(&w, "code"), "WRONG_PASSWORD");
    assert_string_equal(world_text(&w, "field"), "password");
    ASK(400, "POST", "/v1/keys", world_file_body(&w, "bob.p12", ""));
    ASK(200, "GET", "/v1/certificates", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items")), 0);
    ASK(200, "GET", "/v1/domains", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items")), 0);
    ASK(200, "GET", "/v1/users", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items")), 0);
}

static void tokens_sign_in_until_they_end(void **state)
{
    char bearer[128];
    (void)state;
    static const char *const wrong[] = {"",
                                        "Bearer",
                                        "Bearer ",
                                        "Bearer wrong",
                                        "Basic " WORLD_TOKEN,
                                        WORLD_TOKEN,
                                        "Bearer " WORLD_TOKEN "x",
                                        "Bearer  x y"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(world_ask_as(&w, wrong[i], "GET", "/v1/users", slice_of(NULL, 0)), 401);
        assert_string_equal(world_text(&w, "code"), "UNAUTHENTICATED");
    }
    assert_int_equal(world_ask_as(&w, "bearer " WORLD_TOKEN, "GET", "/v1/users", slice_of(NULL, 0)), 200);
    ASK(201, "POST", "/v1/tokens", "{\"name\": \"robot\", \"role\": \"auditor\", \"lifetime_days\": 1}");
    assert_true(snprintf(bearer, sizeof(bearer), "Bearer %s", world_text(&w, "token")) > 0);
    assert_int_equal(world_ask_as(&w, bearer, "GET", "/v1/users", slice_of(NULL, 0)), 200);
    ASK(200, "DELETE", "/v1/tokens/robot", NULL);
    assert_int_equal(world_ask_as(&w, bearer, "GET", "/v1/users", slice_of(NULL, 0)), 401);
}

static void the_policy_is_explained(void **state)
{
    (void)state;
    ASK(200, "PUT", "/v1/settings/encrypt.mode?domain=partner.example", "{\"value\": \"mandatory\"}");
    ASK(200, "PUT", "/v1/settings/relay.unknown_sender", "{\"value\": \"pass\"}");
    ASK(200, "POST", "/v1/policy/explain",
        "{\"from\": \"alice@ours.example\", \"to\": [\"bob@partner.example\", \"eve@other.example\"]}");
    assert_true(json_is_true(world_json(&w, "refused")));
    assert_string_equal(world_text(&w, "recipients.0.status"), "NO_KEY");
    assert_string_equal(world_text(&w, "recipients.1.status"), "OK");
    assert_string_equal(world_text(&w, "trace.recipients.0.address"), "bob@partner.example");
    ASK(400, "POST", "/v1/policy/explain", "{\"from\": \"alice@ours.example\", \"to\": [\"bob\"]}");
    assert_string_equal(world_text(&w, "field"), "to");
    ASK(400, "POST", "/v1/policy/explain", "{\"from\": \"alice\", \"to\": [\"bob@partner.example\"]}");
    ASK(200, "POST", "/v1/policy/explain",
        "{\"from\": \"\", \"to\": [\"eve@other.example\"], \"message\": "
        "\"RnJvbTogYUBvdXJzLmV4YW1wbGUNCg0KaGkNCg==\"}");
    assert_string_equal(world_text(&w, "trace.message.from"), "a@ours.example");
}

static void core_answers_become_json(void **state)
{
    struct core_status status = {.cluster_name = "test",
                                 .leader = "node2",
                                 .self = "node1",
                                 .term = 7,
                                 .commit_index = 12,
                                 .applied_index = 11,
                                 .node_count = 1};
    struct buf encoded = BUF_INIT(1 << 16);
    struct msgpack_writer m;
    (void)state;
    status.nodes[0] =
        (struct core_node_status){.name = "node1", .id = 1, .role = "follower", .applied_index = 11};
    assert_int_equal(core_status_encode(&status, &encoded), STATUS_OK);
    msgpack_writer_init(&m, &w.answer_body);
    write_bytes(&m, buf_slice(&encoded));
    buf_release(&encoded);
    ASK(200, "GET", "/v1/cluster", NULL);
    assert_string_equal(world_text(&w, "leader"), "node2");
    assert_string_equal(world_text(&w, "nodes.0.name"), "node1");
    assert_string_equal(world_text(&w, "nodes.0.role"), "follower");
    assert_int_equal(json_integer_value(world_json(&w, "nodes.0.applied_index")), 11);
    ASK(200, "GET", "/v1/nodes", NULL);
    assert_int_equal(w.asked->type, CORE_STATUS);

    buf_reset(&w.answer_body);
    msgpack_writer_init(&m, &w.answer_body);
    write_u64(&m, 44);
    write_array(&m, 2);
    for (int i = 0; i < 2; i++) {
        write_array(&m, 3);
        write_text(&m, SLICE_LITERAL("node"));
        write_u64(&m, STATUS_OK);
        write_bytes(&m, i == 0 ? SLICE_LITERAL("same") : SLICE_LITERAL("other"));
    }
    ASK(200, "POST", "/v1/cluster/verify", NULL);
    assert_true(json_is_false(world_json(&w, "consistent")));
    buf_reset(&w.answer_body);
    assert_int_equal(buf_append_text(&w.answer_body, "\xff\xff"), STATUS_OK);
    ASK(500, "POST", "/v1/cluster/verify", NULL);
    ASK(500, "GET", "/v1/cluster", NULL);
    w.answer_status = STATUS_UNAVAILABLE;
    ASK(503, "GET", "/v1/cluster", NULL);
    ASK(503, "GET", "/v1/users?barrier=true", NULL);
    assert_int_equal(w.asked->type, CORE_BARRIER);
    w.answer_status = STATUS_OK;
    ASK(200, "GET", "/v1/users?barrier=true", NULL);
}

static void node_answers(struct msgpack_writer *m, const char *node, enum status status, const char *text,
                         struct slice body)
{
    write_array(m, 4);
    write_text(m, slice_of_text(node));
    write_u64(m, status);
    write_text(m, slice_of_text(text));
    write_bytes(m, body);
}

/* What a node says of FIND: entries whose ids are the letters. */
static void queue_of(struct msgpack_writer *m, const char *node, const char *letters, bool more)
{
    struct queue_recipient recipient = {.address = SLICE_LITERAL("b@x.example"),
                                        .state = SLICE_LITERAL("waiting")};
    struct buf body = BUF_INIT(1 << 16);
    struct msgpack_writer b;
    msgpack_writer_init(&b, &body);
    write_array(&b, 2);
    write_bool(&b, more);
    write_array(&b, strlen(letters));
    for (const char *c = letters; *c != '\0'; c++) {
        char cursor[64];
        struct queue_entry entry = {.id = slice_of(c, 1),
                                    .sender = SLICE_LITERAL("a@x.example"),
                                    .state = SLICE_LITERAL("deferred"),
                                    .arrived_ms = 1000,
                                    .recipients = &recipient,
                                    .recipient_count = 1};
        (void)!snprintf(cursor, sizeof(cursor), "%016x:%c", 1, *c);
        write_array(&b, 2);
        write_text(&b, slice_of_text(cursor));
        assert_int_equal(msgpack_writer_status(&b), STATUS_OK);
        assert_int_equal(queue_entry_encode(&entry, &body), STATUS_OK);
    }
    node_answers(m, node, STATUS_OK, "", buf_slice(&body));
    buf_release(&body);
}

static const char *ids(void)
{
    static char text[64];
    size_t i;
    json_t *item;
    text[0] = '\0';
    json_array_foreach(world_json(&w, "items"), i, item)
    {
        (void)!snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s",
                        json_string_value(json_object_get(item, "id")));
    }
    return text;
}

static void the_queues_of_all_nodes_are_one(void **state)
{
    struct msgpack_writer m;
    (void)state;
    msgpack_writer_init(&m, &w.answer_body);
    write_array(&m, 3);
    queue_of(&m, "one", "ace", true); /* it has more behind e: what is behind that waits */
    queue_of(&m, "two", "bdf", false);
    node_answers(&m, "three", STATUS_TIMEOUT, "did not answer", slice_of(NULL, 0));
    ASK(200, "GET", "/v1/queue?limit=50", NULL);
    assert_int_equal(w.asked->type, CORE_MESSAGES);
    assert_string_equal(ids(), "abcde");
    assert_string_equal(world_text(&w, "next"), "0000000000000001:e");
    assert_string_equal(world_text(&w, "items.1.node"), "two");
    assert_string_equal(world_text(&w, "items.0.recipients.0.address"), "b@x.example");
    assert_string_equal(world_text(&w, "silent.0.node"), "three");
    ASK(200, "GET", "/v1/queue?limit=2", NULL);
    assert_string_equal(ids(), "ab");
    assert_string_equal(world_text(&w, "next"), "0000000000000001:b");
    ASK(200, "GET", "/v1/queue?limit=2&descending=true", NULL);
    assert_string_equal(ids(), "fe");
    ASK(400, "GET", "/v1/queue?older_than=soon", NULL);
    ASK(400, "GET", "/v1/queue?state=lost", NULL);
    ASK(400, "GET", "/v1/queue?colour=red", NULL);
}

static void one_message_is_found_wherever_it_is(void **state)
{
    struct msgpack_writer m;
    static const char *const path = "/v1/queue/00000000000000000000000001/hold";
    (void)state;
    for (int there = 0; there < 3; there++) {
        buf_reset(&w.answer_body);
        msgpack_writer_init(&m, &w.answer_body);
        write_array(&m, 2);
        node_answers(&m, "one", STATUS_NOT_FOUND, "none", slice_of(NULL, 0));
        node_answers(&m, "two",
                     there == 0   ? STATUS_OK
                     : there == 1 ? STATUS_CONFLICT
                                  : STATUS_TIMEOUT,
                     there == 0 ? "" : "two says why",
                     there == 0 ? SLICE_LITERAL("\x01") : slice_of(NULL, 0));
        ASK(there == 0 ? 200 : there == 1 ? 409 : 503, "POST", path, NULL);
        if (there == 0) {
            assert_int_equal(json_integer_value(world_json(&w, "count")), 1);
        } else {
            assert_non_null(strstr(world_text(&w, "detail"), "two says why"));
        }
    }
    buf_reset(&w.answer_body);
    msgpack_writer_init(&m, &w.answer_body);
    write_array(&m, 1);
    node_answers(&m, "one", STATUS_NOT_FOUND, "none", slice_of(NULL, 0));
    ASK(404, "POST", path, NULL);
    ASK(404, "POST", "/v1/queue/nonsense/hold", NULL);
}

static void many_must_be_named_and_confirmed(void **state)
{
    struct msgpack_writer m;
    (void)state;
    msgpack_writer_init(&m, &w.answer_body);
    write_array(&m, 2);
    node_answers(&m, "one", STATUS_OK, "", SLICE_LITERAL("\x03"));
    node_answers(&m, "two", STATUS_OK, "", SLICE_LITERAL("\x04"));
    ASK(400, "POST", "/v1/queue/delete", "{}");
    ASK(400, "POST", "/v1/queue/delete", "{\"all\": true, \"sender\": \"a@b.example\"}");
    ASK(200, "POST", "/v1/queue/delete", "{\"sender\": \"a@b.example\"}");
    assert_int_equal(json_integer_value(world_json(&w, "messages")), 7);
    assert_true(json_is_null(world_json(&w, "operation")));
    ASK(200, "POST", "/v1/queue/delete", "{\"sender\": \"a@b.example\", \"confirm\": true}");
    assert_int_equal(strlen(world_text(&w, "operation")), ID_TEXT_SIZE - 1);
    ASK(200, "POST", "/v1/queue/retry", NULL);
    assert_int_equal(strlen(world_text(&w, "operation")), ID_TEXT_SIZE - 1);
}

static void what_is_fetched_is_told(void **state)
{
    const struct fetch_source source = {.kind = SLICE_LITERAL("crl"),
                                        .url = SLICE_LITERAL("http://x/1.crl"),
                                        .state = SLICE_LITERAL("failed"),
                                        .error = SLICE_LITERAL("the server says 404"),
                                        .failed_ms = 1000,
                                        .failures = 2};
    struct buf leader = BUF_INIT(4096), other = BUF_INIT(64);
    struct msgpack_writer m;
    (void)state;
    msgpack_writer_init(&m, &leader);
    write_array(&m, 3);
    write_bool(&m, true);
    write_u64(&m, 7);
    write_array(&m, 1);
    fetch_source_write(&m, &source);
    msgpack_writer_init(&m, &other);
    write_array(&m, 3);
    write_bool(&m, false);
    write_u64(&m, 0);
    write_array(&m, 0);
    msgpack_writer_init(&m, &w.answer_body);
    write_array(&m, 4);
    node_answers(&m, "node1", STATUS_OK, "", buf_slice(&other));
    node_answers(&m, "node2", STATUS_OK, "", buf_slice(&leader));
    node_answers(&m, "node3", STATUS_UNAVAILABLE, "is not there", SLICE_LITERAL(""));
    node_answers(&m, "node4", STATUS_OK, "", SLICE_LITERAL("\x91\x01"));
    ASK(200, "GET", "/v1/fetch", NULL);
    assert_int_equal(w.asked->type, CORE_MESSAGES);
    assert_string_equal(world_text(&w, "node"), "node2");
    assert_int_equal(json_integer_value(world_json(&w, "left_out")), 7);
    assert_string_equal(world_text(&w, "items.0.error"), "the server says 404");
    assert_string_equal(world_text(&w, "items.0.failed"), "1970-01-01T00:00:01Z");
    assert_true(json_is_null(world_json(&w, "items.0.succeeded")));
    assert_string_equal(world_text(&w, "silent.0.reason"), "is not there");
    assert_string_equal(world_text(&w, "silent.1.node"), "node4");

    buf_reset(&w.answer_body);
    msgpack_writer_init(&m, &w.answer_body);
    write_array(&m, 2);
    node_answers(&m, "node1", STATUS_NOT_LEADER, "no", SLICE_LITERAL(""));
    node_answers(&m, "node2", STATUS_OK, "", SLICE_LITERAL("\x03"));
    ASK(200, "POST", "/v1/fetch", "{\"url\": \"http://x/1.crl\"}");
    assert_int_equal(json_integer_value(world_json(&w, "due")), 3);
    ASK(200, "POST", "/v1/fetch", "{}");
    buf_reset(&w.answer_body);
    msgpack_writer_init(&m, &w.answer_body);
    write_array(&m, 2);
    node_answers(&m, "node1", STATUS_NOT_FOUND, "nothing is fetched from there", SLICE_LITERAL(""));
    node_answers(&m, "node2", STATUS_NOT_LEADER, "no", SLICE_LITERAL(""));
    ASK(404, "POST", "/v1/fetch", "{\"url\": \"http://x/2.crl\"}");
    buf_reset(&w.answer_body);
    msgpack_writer_init(&m, &w.answer_body);
    write_array(&m, 1);
    node_answers(&m, "node2", STATUS_NOT_LEADER, "no", SLICE_LITERAL(""));
    ASK(503, "POST", "/v1/fetch", "{}");
    buf_release(&leader);
    buf_release(&other);
}

static void answers_of_responders_are_named_to_be_forgotten(void **state)
{
    (void)state;
    ASK(200, "GET", "/v1/ocsp", NULL);
    assert_int_equal(json_array_size(world_json(&w, "items")), 0);
    ASK(400, "DELETE", "/v1/ocsp/abc/01", NULL);
    ASK(400, "DELETE", "/v1/ocsp/" ISSUER "/x1", NULL);
    ASK(400, "DELETE", "/v1/ocsp/" ISSUER "/012", NULL);
    ASK(404, "DELETE", "/v1/ocsp/" ISSUER "/01", NULL);
}

/* Each thing alone makes the node not ready, and the answer says which; the others stay ok. */
static void readiness_fails_one_by_one(uint64_t now)
{
    static const char *const names[] = {"checks.core", "checks.leader", "checks.store", "checks.smtp"};
    const struct bus_health good = w.health;
    struct store *store = w.api.store;
    for (int wrong = 0; wrong < 7; wrong++) {
        static const char *const named[] = {"checks.core",  "checks.leader", "checks.leader", "checks.leader",
                                            "checks.store", "checks.smtp",   "checks.smtp"};
        w.health = good;
        w.api.store = wrong == 4 ? NULL : store;
        w.health.core_ready = wrong != 0;
        w.health.leader[0] = wrong == 1 ? '\0' : good.leader[0];
        w.health.contact_ms = wrong == 2   ? 0
                              : wrong == 3 ? now - 11000
                                           : good.contact_ms; /* stale_after: 10 s */
        w.health.queue_ms = wrong == 5 ? 0 : wrong == 6 ? now - 5000 : good.queue_ms;
        ASK(503, "GET", "/readyz", NULL);
        assert_true(json_is_false(world_json(&w, "ready")));
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(strcmp(world_text(&w, names[i]), "ok") != 0,
                             strcmp(names[i], named[wrong]) == 0);
        }
    }
    w.health = good;
    w.api.store = store;
    ASK(200, "GET", "/readyz", NULL);
}

static void readiness_tells_what_is_wrong(void **state)
{
    uint64_t now = clock_monotonic_ms();
    (void)state;
    ASK(200, "GET", "/livez", NULL);
    ASK(503, "GET", "/readyz", NULL);
    assert_string_equal(world_text(&w, "checks.store"), "ok");
    w.health = (struct bus_health){.core_ready = true,
                                   .contact_ms = now,
                                   .leader = "node1",
                                   .node = "node1",
                                   .queue_ms = now,
                                   .applied_index = 5,
                                   .voters = 3};
    ASK(200, "GET", "/readyz", NULL);
    assert_true(json_is_true(world_json(&w, "ready")));
    assert_string_equal(world_text(&w, "node"), "node1");
    assert_int_equal(world_ask_as(&w, "", "GET", "/readyz", slice_of(NULL, 0)), 200); /* open to everyone */
    readiness_fails_one_by_one(now);
    w.health.queue_ms = 0;
    ASK(503, "GET", "/readyz", NULL);
    assert_string_equal(world_text(&w, "checks.smtp"), "smtp does not answer");
    assert_int_equal(world_ask_as(&w, "", "GET", "/metrics", slice_of(NULL, 0)), 200);
    assert_non_null(strstr(w.text, "\nsealpost_raft_applied_index 5\n"));
    assert_non_null(
        strstr(w.text, "# TYPE sealpost_smtp_accepted_total counter\nsealpost_smtp_accepted_total 7\n"));
    assert_non_null(strstr(w.text, "\nsealpost_fetch_lists_fetched_total 5\n"));
    assert_non_null(strstr(w.text, "\nsealpost_crls 0\n"));
    assert_non_null(
        strstr(w.text, "# TYPE sealpost_smtp_queue_messages gauge\nsealpost_smtp_queue_messages 3\n"));
}

static void without_a_leader_or_a_store_the_reason_is_told(void **state)
{
    struct store *store = w.api.store;
    (void)state;
    w.fail_proposals = true;
    ASK(503, "POST", "/v1/users", "{\"address\": \"a@b.example\"}");
    assert_true(json_is_true(world_json(&w, "retry")));
    pki_make();
    w.proposals = 0;
    ASK(503, "POST", "/v1/certificates", world_file_body(&w, "chain.pem", ""));
    assert_int_equal(w.proposals, 1); /* the rest would only wait as long */
    ASK(503, "POST", "/v1/trust", world_file_body(&w, "ca.pem", ""));
    w.api.store = NULL;
    ASK(503, "GET", "/v1/users", NULL);
    ASK(200, "GET", "/livez", NULL);
    ASK(503, "GET", "/readyz", NULL);
    w.api.store = store;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(settings_are_set_and_inherited),
        TEST(domains_and_users),
        TEST(certificates_are_imported_and_found),
        TEST(keys_are_sealed_and_open_again),
        TEST(bad_input_changes_nothing),
        TEST(tokens_sign_in_until_they_end),
        TEST(the_policy_is_explained),
        TEST(core_answers_become_json),
        TEST(the_queues_of_all_nodes_are_one),
        TEST(one_message_is_found_wherever_it_is),
        TEST(many_must_be_named_and_confirmed),
        TEST(what_is_fetched_is_told),
        TEST(answers_of_responders_are_named_to_be_forgotten),
        TEST(readiness_tells_what_is_wrong),
        TEST(without_a_leader_or_a_store_the_reason_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
