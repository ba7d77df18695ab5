/* What core believes of what fetch says about revocations: what the issuer signed, and nothing that is older.
 */
#include "tests/unit/crypto/revocation_world.h"

#include "node/evidence.h"

#define LIST(n, from, to)                                                                                    \
    .number = (n), .this_ms = (uint64_t)((int64_t)NOW_MS + (from)),                                          \
    .next_ms = (uint64_t)((int64_t)NOW_MS + (to))
#define HOUR ((int64_t)3600000)

static struct revocation_world world;
static struct failure f;

static int begin(void **state)
{
    (void)state;
    revocation_world_begin(&world);
    f = (struct failure){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    revocation_world_end(&world);
    return 0;
}

static enum status judge(struct evidence *e)
{
    struct store_view *view;
    OK(store_view_begin(world.store, &view, NULL));
    enum status status = evidence_judge(e, view, NOW_MS, &f);
    store_view_end(view);
    return status;
}

static enum status apply_all(struct evidence *e)
{
    struct buf storage = BUF_INIT(COMMAND_MAX);
    struct command c;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < evidence_command_count(e) && status == STATUS_OK; i++) {
        OK(evidence_command(e, i, NOW_MS, SLICE_LITERAL("node:test"), &storage, &c, &f));
        status = world_apply(&world, &c).status;
    }
    buf_release(&storage);
    return status;
}

static enum status bring(const struct list_recipe *recipe, const struct made *signer)
{
    struct evidence e;
    struct buf der;
    list_make(recipe, signer, &der);
    evidence_init(&e, EVIDENCE_LIST);
    OK(buf_append_slice(&e.content, buf_slice(&der)));
    buf_release(&der);
    enum status status = judge(&e);
    status = status == STATUS_OK ? apply_all(&e) : status;
    evidence_release(&e);
    return status;
}

static bool is_revoked(const struct made *certificate, const struct made *issuer)
{
    uint8_t id[ISSUER_ID_SIZE];
    struct slice serial;
    struct revocation revocation;
    struct store_view *view;
    OK(issuer_id_of(issuer->x, id));
    OK(serial_bytes(X509_get0_serialNumber(certificate->x), &serial));
    OK(store_view_begin(world.store, &view, NULL));
    enum status status = store_revocation_get(view, id, serial, &revocation);
    store_view_end(view);
    return status == STATUS_OK;
}

static void nobody_takes_a_revocation_back(void **state)
{
    const struct listed entries[] = {{&world.leaf, 0, -1}};
    struct list_recipe without = {LIST(5, -HOUR, HOUR)};
    struct made forger = pki_make(
        &(struct recipe){.name = "inter", .ca = true, .usage = "keyCertSign,cRLSign", .key = 2}, NULL);
    (void)state;
    OK(bring(&(struct list_recipe){LIST(5, -HOUR, HOUR), .entries = entries, .count = 1}, &world.inter));
    assert_true(is_revoked(&world.leaf, &world.inter));

    /* A list of the same number, an older one, an older one with a higher number, one of the future: each
     * well signed. */
    without.this_ms = NOW_MS - 2 * (uint64_t)HOUR;
    assert_int_equal(bring(&without, &world.inter), STATUS_CONFLICT);
    without.number = 4;
    without.this_ms = NOW_MS - (uint64_t)HOUR + 1000;
    assert_int_equal(bring(&without, &world.inter), STATUS_CONFLICT);
    without.number = 6;
    without.this_ms = NOW_MS - 2 * (uint64_t)HOUR;
    assert_int_equal(bring(&without, &world.inter), STATUS_CONFLICT);
    without.this_ms = NOW_MS + (uint64_t)HOUR;
    assert_int_equal(bring(&without, &world.inter), STATUS_INVALID);
    /* A newer one in the issuer's name that another key signed. */
    without.this_ms = NOW_MS;
    assert_int_equal(bring(&without, &forger), STATUS_UNTRUSTED);
    /* The forger's certificate is stored as well: its lists are its own. */
    world_certificate(&world, &forger, false);
    OK(bring(&without, &forger));
    assert_true(is_revoked(&world.leaf, &world.inter));
    /* The issuer itself may. */
    OK(bring(&without, &world.inter));
    assert_false(is_revoked(&world.leaf, &world.inter));
    pki_release(&forger);
}

static void what_is_in_force_is_not_brought_in_again(void **state)
{
    const struct list_recipe list = {LIST(5, -HOUR, HOUR)};
    (void)state;
    OK(bring(&list, &world.inter));
    assert_int_equal(bring(&list, &world.inter), STATUS_EXISTS);
}

static void bytes_that_prove_nothing(void **state)
{
    struct evidence e;
    (void)state;
    evidence_init(&e, EVIDENCE_LIST);
    OK(buf_append_text(&e.content, "no list"));
    assert_int_equal(judge(&e), STATUS_MALFORMED);
    evidence_release(&e);
    world_certificate(&world, &world.leaf, false);
    evidence_init(&e, EVIDENCE_ANSWER);
    sha256(world.leaf.der, e.certificate);
    sha256(world.inter.der, e.issuer);
    OK(buf_append_text(&e.content, "no answer"));
    assert_int_equal(judge(&e), STATUS_MALFORMED);
    evidence_release(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_takes_a_revocation_back, begin, end),
        cmocka_unit_test_setup_teardown(what_is_in_force_is_not_brought_in_again, begin, end),
        cmocka_unit_test_setup_teardown(bytes_that_prove_nothing, begin, end),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pki_forget_keys();
    return failed;
}
