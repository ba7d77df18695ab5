/* CAs of ours that are revoked, what comes along with an imported one, and requests that are made by
 * themselves. The certificates are records alone: the store takes their word. */
#include "test_support.h"

#include "store/ca_allowance.h"
#include "store/records_ca.h"

#define NOW_MS ((uint64_t)1000)
#define LIST   SLICE_LITERAL("list")

struct world {
    char dir[64];
    struct store *store;
    uint64_t index;
    uint8_t thumbprints[3][THUMBPRINT_SIZE]; /* root, mail (below it), sub (below mail) */
    uint8_t leaf[THUMBPRINT_SIZE];           /* the last that was issued */
    unsigned made;
};

static const char *const names[] = {"root", "mail", "sub"};

static struct apply_result run(struct world *w, const struct command *c)
{
    struct apply_result result = apply_at(w->store, ++w->index, c);

    commit(w->store);
    return result;
}

static enum status add_ca(struct world *w, const char *name, const char *issuer, uint8_t issuer_id,
                          uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct buf record = BUF_INIT(COMMAND_MAX);
    uint8_t id[ISSUER_ID_SIZE] = {issuer_id};
    struct command c = simple_command(COMMAND_CA_ADD, NOW_MS, slice_of_text(name));
    enum status status;

    make_ca_record(name, &record, thumbprint);
    c.values[1].bytes = buf_slice(&record);
    c.values[2].bytes = SLICE_LITERAL("sealed");
    c.values[3].bytes = slice_of_text(issuer);
    c.values[4].number = 1;
    c.values[5].bytes = LIST;
    c.values[7].number = c.values[8].number = 1;
    c.values[9].bytes = slice_of(id, sizeof(id));
    status = run(w, &c).status;
    buf_release(&record);
    return status;
}

static int world_make(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    temporary_folder(w->dir);
    w->store = open_writer(w->dir);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(add_ca(w, names[i], i == 0 ? "" : names[i - 1], (uint8_t)(i + 1), w->thumbprints[i]),
                         STATUS_OK);
    *state = w;
    return 0;
}

static int world_end(void **state)
{
    struct world *w = *state;

    store_close(w->store);
    remove_tree(w->dir);
    free(w);
    return 0;
}

/* Its serial number is not that of a CA: make_record() gives all the same. */
static void leaf_record(const char *der, const char *address, struct buf *out,
                        uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct certificate_record record;
    struct buf plain = BUF_INIT(COMMAND_MAX);

    make_record(der, &address, 1, &plain, thumbprint);
    assert_int_equal(certificate_record_decode(buf_slice(&plain), &record), STATUS_OK);
    record.serial = SLICE_LITERAL("0203");
    assert_int_equal(certificate_record_encode(&record, out), STATUS_OK);
    buf_release(&plain);
}

static struct apply_result issue(struct world *w, const char *ca, const char *address)
{
    struct buf record = BUF_INIT(COMMAND_MAX);
    struct command c = simple_command(COMMAND_CA_ISSUE, NOW_MS, slice_of_text(ca));
    struct apply_result result;
    char der[32];

    assert_true(snprintf(der, sizeof(der), "DER %u", w->made++) > 0);
    leaf_record(der, address, &record, w->leaf);
    c.values[1].bytes = slice_of_text(address);
    c.values[4].number = CA_ISSUED_RENEWS;
    c.values[5].bytes = buf_slice(&record);
    c.values[6].bytes = SLICE_LITERAL("sealed");
    result = run(w, &c);
    buf_release(&record);
    return result;
}

static struct apply_result revoke_ca(struct world *w, const char *issuer, const char *name, uint64_t number)
{
    struct command c = simple_command(COMMAND_CA_REVOKE_CA, NOW_MS + 1, slice_of_text(issuer));

    c.values[1].bytes = slice_of_text(name);
    c.values[2].number = 2; /* cACompromise */
    c.values[3].number = number;
    c.values[4].bytes = LIST;
    c.values[6].number = 1;
    return run(w, &c);
}

static bool is_revoked(struct world *w, const uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct store_view *view;
    bool revoked = false;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_ca_is_revoked(view, thumbprint, &revoked), STATUS_OK);
    store_view_end(view);
    return revoked;
}

static bool is_anchor(struct world *w, size_t i)
{
    struct store_view *view;
    bool trusted;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    trusted = store_is_trusted(view, w->thumbprints[i]);
    store_view_end(view);
    return trusted;
}

/* What paths and policy ask. */
static enum status known_of(struct world *w, uint8_t issuer, struct slice serial, struct revocation *out)
{
    uint8_t id[ISSUER_ID_SIZE] = {issuer};
    struct store_view *view;
    enum status status;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    status = store_revocation_get(view, id, serial, out);
    store_view_end(view);
    return status;
}

static void a_revoked_ca_is_on_its_issuers_list(void **state)
{
    struct world *w = *state;
    struct revocation revocation;
    struct apply_result again;

    assert_int_equal(known_of(w, 1, SLICE_LITERAL("\1"), &revocation), STATUS_NOT_FOUND);
    assert_int_equal(revoke_ca(w, "root", "mail", 3).status, STATUS_CONFLICT); /* not the next number */
    assert_int_equal(revoke_ca(w, "root", "sub", 2).status, STATUS_NOT_FOUND); /* not the issuer */
    assert_int_equal(known_of(w, 1, SLICE_LITERAL("\1"), &revocation), STATUS_NOT_FOUND);
    assert_int_equal(revoke_ca(w, "root", "mail", 2).status, STATUS_OK);
    assert_int_equal(known_of(w, 1, SLICE_LITERAL("\1"), &revocation), STATUS_OK);
    assert_int_equal(revocation.revoked_ms, NOW_MS + 1);
    assert_int_equal(revocation.reason, 2);
    again = revoke_ca(w, "root", "mail", 3);
    assert_int_equal(again.status, STATUS_EXISTS);
    assert_non_null(strstr(again.failure.text, "mail"));
}

static void nothing_is_issued_below_it(void **state)
{
    struct world *w = *state;
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct apply_result refused;

    assert_int_equal(issue(w, "mail", "a@ours.example").status, STATUS_OK);
    assert_int_equal(issue(w, "sub", "b@ours.example").status, STATUS_OK);
    assert_int_equal(revoke_ca(w, "root", "mail", 2).status, STATUS_OK);
    refused = issue(w, "mail", "c@ours.example");
    assert_int_equal(refused.status, STATUS_REVOKED);
    assert_string_equal(refused.failure.text, "the CA mail is revoked");
    refused = issue(w, "sub", "c@ours.example");
    assert_int_equal(refused.status, STATUS_REVOKED);
    assert_string_equal(refused.failure.text, "the CA mail is revoked, and with it sub below it");
    assert_int_equal(issue(w, "root", "c@ours.example").status, STATUS_OK);
    /* nor another CA */
    assert_int_equal(add_ca(w, "another", "sub", 9, thumbprint), STATUS_REVOKED);
}

static void what_it_issued_counts_as_revoked(void **state)
{
    struct world *w = *state;
    uint8_t first[THUMBPRINT_SIZE], below[THUMBPRINT_SIZE];

    assert_int_equal(issue(w, "mail", "a@ours.example").status, STATUS_OK);
    memcpy(first, w->leaf, sizeof(first));
    assert_int_equal(issue(w, "sub", "b@ours.example").status, STATUS_OK);
    memcpy(below, w->leaf, sizeof(below));
    assert_false(is_revoked(w, first) || is_revoked(w, below));
    assert_int_equal(issue(w, "root", "a@ours.example").status, STATUS_EXISTS);
    assert_int_equal(revoke_ca(w, "root", "mail", 2).status, STATUS_OK);
    assert_true(is_revoked(w, first) && is_revoked(w, below));
    /* so the address has none any more, and gets one of another CA */
    assert_int_equal(issue(w, "root", "a@ours.example").status, STATUS_OK);
    assert_false(is_revoked(w, w->leaf));
}

static void no_anchor_is_left_among_them(void **state)
{
    struct world *w = *state;
    struct command c;

    assert_true(is_anchor(w, 0) && is_anchor(w, 1) && is_anchor(w, 2));
    assert_int_equal(revoke_ca(w, "root", "mail", 2).status, STATUS_OK);
    assert_true(is_anchor(w, 0));
    assert_false(is_anchor(w, 1) || is_anchor(w, 2));
    for (size_t i = 1; i < 3; i++) {
        struct apply_result refused;

        c = simple_command(COMMAND_TRUST_ADD, NOW_MS, slice_of(w->thumbprints[i], THUMBPRINT_SIZE));
        refused = run(w, &c);
        assert_int_equal(refused.status, STATUS_REVOKED);
        assert_non_null(strstr(refused.failure.text, "the CA mail is revoked"));
        assert_false(is_anchor(w, i));
    }
}

/* --- import --- */

static enum status import(struct world *w, struct slice rows, struct failure *f)
{
    struct buf record = BUF_INIT(COMMAND_MAX);
    uint8_t id[ISSUER_ID_SIZE] = {7}, thumbprint[THUMBPRINT_SIZE];
    struct command c = simple_command(COMMAND_CA_IMPORT, NOW_MS, SLICE_LITERAL("old"));
    enum status status;

    make_ca_record("old", &record, thumbprint);
    c.values[1].bytes = buf_slice(&record);
    c.values[2].bytes = SLICE_LITERAL("sealed");
    c.values[5].bytes = LIST;
    c.values[7].number = 1;
    c.values[8].number = 41;
    c.values[9].bytes = slice_of(id, sizeof(id));
    c.values[10].bytes = rows;
    status = command_check(&c, f);
    if (status == STATUS_OK)
        status = run(w, &c).status;
    buf_release(&record);
    return status;
}

static bool count_row(void *context, const struct ca_revoked_record *record)
{
    uint64_t *times = context;

    times[0]++;
    times[1] = record->revoked_ms;
    times[2] = record->not_after_ms;
    return true;
}

static void what_an_imported_ca_revoked_comes_along(void **state)
{
    struct world *w = *state;
    struct buf rows = BUF_INIT(CRL_ROWS_BYTES);
    struct crl_row row = {.serial = SLICE_LITERAL("\x7f\1"), .revoked_ms = 77, .reason = 1};
    struct revocation revocation;
    uint64_t seen[3] = {0};
    struct store_view *view;
    struct failure f;

    assert_int_equal(crl_row_write(&row, &rows), STATUS_OK);
    row.serial = SLICE_LITERAL("\5");
    assert_int_equal(crl_row_write(&row, &rows), STATUS_OK);
    assert_int_equal(import(w, buf_slice(&rows), &f), STATUS_OK);
    assert_int_equal(known_of(w, 7, SLICE_LITERAL("\x7f\1"), &revocation), STATUS_OK);
    assert_int_equal(revocation.revoked_ms, 77);
    assert_int_equal(revocation.reason, 1);
    assert_int_equal(known_of(w, 7, SLICE_LITERAL("\5"), &revocation), STATUS_OK);
    assert_int_equal(known_of(w, 7, SLICE_LITERAL("\6"), &revocation), STATUS_NOT_FOUND);
    /* the next list of ours is made of these rows */
    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_ca_revoked_all(view, SLICE_LITERAL("old"), count_row, seen), STATUS_OK);
    store_view_end(view);
    assert_int_equal(seen[0], 2);
    assert_int_equal(seen[1], 77);
    assert_int_equal(seen[2], 1000000); /* until the CA's own end */
    buf_release(&rows);
}

static void rows_that_no_list_may_have_are_refused(void **state)
{
    static const struct crl_row bad[] = {
        {.serial = {(const uint8_t *)"\0\1", 2}, .revoked_ms = 1},
        {.serial = {(const uint8_t *)"123456789012345678901", 21}, .revoked_ms = 1},
        {.serial = {(const uint8_t *)"\1", 1}, .revoked_ms = 1, .reason = CRL_REASON_REMOVE},
        {.serial = {(const uint8_t *)"\1", 1}, .revoked_ms = 1, .reason = 7},
    };
    struct world *w = *state;
    struct buf rows = BUF_INIT(CRL_ROWS_BYTES);
    struct failure f;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buf_reset(&rows);
        assert_int_equal(crl_row_write(&bad[i], &rows), STATUS_OK);
        assert_int_equal(import(w, buf_slice(&rows), &f), STATUS_INVALID);
    }
    assert_int_equal(import(w, SLICE_LITERAL("\1"), &f), STATUS_INVALID);
    buf_reset(&rows);
    for (unsigned i = 0; i <= CA_REVOKED_IMPORT_MAX; i++) {
        uint8_t serial[2] = {(uint8_t)(1 + i / 256), (uint8_t)i};
        struct crl_row row = {.serial = slice_of(serial, 2), .revoked_ms = 1};

        assert_int_equal(crl_row_write(&row, &rows), STATUS_OK);
    }
    assert_int_equal(import(w, buf_slice(&rows), &f), STATUS_TOO_LARGE);
    rows.len -= 1 + 2 + 8 + 1; /* one row less */
    assert_int_equal(import(w, buf_slice(&rows), &f), STATUS_OK);
    buf_release(&rows);
}

/* --- requests --- */

static struct apply_result request(struct world *w, enum command_number number, uint8_t id,
                                   const char *address)
{
    uint8_t hash[32] = {id};
    struct command c = simple_command(number, NOW_MS, slice_of(hash, sizeof(hash)));

    c.values[1].bytes = slice_of_text(address);
    c.values[3].bytes = c.values[4].bytes = SLICE_LITERAL("sealed");
    return run(w, &c);
}

static void set(struct world *w, uint64_t level, const char *scope, const char *name, const char *value)
{
    struct command c = setting_command(level, scope, name, value);

    assert_int_equal(run(w, &c).status, STATUS_OK);
}

static void one_request_waits_for_an_address(void **state)
{
    struct world *w = *state;
    struct ca_issued_record issued;
    struct buf record = BUF_INIT(COMMAND_MAX);
    const char *address = "a@ours.example";
    uint8_t hash[32] = {1}, thumbprint[THUMBPRINT_SIZE];
    struct store_view *view;
    struct command c;
    bool waits = true;

    assert_int_equal(request(w, COMMAND_CA_REQUEST_RENEW, 1, address).status, STATUS_OK);
    assert_int_equal(request(w, COMMAND_CA_REQUEST_RENEW, 2, address).status, STATUS_EXISTS);
    assert_int_equal(request(w, COMMAND_CA_REQUEST_RENEW, 3, "b@ours.example").status, STATUS_OK);
    assert_int_equal(request(w, COMMAND_CA_REQUEST_ADD, 4, "b@ours.example").status, STATUS_OK); /* by hand */
    make_record("answer", &address, 1, &record, thumbprint);
    c = simple_command(COMMAND_CA_REQUEST_COMPLETE, NOW_MS, slice_of(hash, sizeof(hash)));
    c.values[1].bytes = buf_slice(&record);
    c.values[2].bytes = SLICE_LITERAL("sealed");
    assert_int_equal(run(w, &c).status, STATUS_OK);
    buf_release(&record);
    /* its end is watched, and the next request may come */
    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_ca_issued_get(view, thumbprint, &issued), STATUS_OK);
    assert_int_equal(issued.ca.len, 0);
    assert_true(slice_equal(issued.address, slice_of_text(address)));
    assert_int_equal(store_ca_request_waits(view, slice_of_text(address), &waits), STATUS_OK);
    assert_false(waits);
    store_view_end(view);
    assert_false(is_revoked(w, thumbprint));
    assert_int_equal(request(w, COMMAND_CA_REQUEST_RENEW, 5, address).status, STATUS_OK);
    c = simple_command(COMMAND_CA_REQUEST_REMOVE, NOW_MS, slice_of((uint8_t[32]){5}, 32));
    assert_int_equal(run(w, &c).status, STATUS_OK);
    assert_int_equal(request(w, COMMAND_CA_REQUEST_RENEW, 6, address).status, STATUS_OK);
}

static void a_worker_asks_only_where_it_is_wanted(void **state)
{
    struct world *w = *state;

    set(w, SETTING_DOMAIN, "ours.example", "domain.locality", "internal");
    set(w, SETTING_GLOBAL, "", "ca.auto_request", "yes");
    set(w, SETTING_GLOBAL, "", "ca.auto_request_limit", "2");
    assert_int_equal(request(w, COMMAND_CA_REQUEST_AUTO, 1, "a@ours.example").status, STATUS_NOT_FOUND);
    set(w, SETTING_GLOBAL, "", "ca.handler", "csr");
    assert_int_equal(request(w, COMMAND_CA_REQUEST_AUTO, 1, "a@else.example").status, STATUS_NOT_FOUND);
    assert_int_equal(request(w, COMMAND_CA_REQUEST_AUTO, 1, "a@ours.example").status, STATUS_OK);
    assert_int_equal(request(w, COMMAND_CA_REQUEST_AUTO, 2, "a@ours.example").status, STATUS_EXISTS);
    assert_int_equal(request(w, COMMAND_CA_REQUEST_AUTO, 2, "b@ours.example").status, STATUS_OK);
    assert_int_equal(request(w, COMMAND_CA_REQUEST_AUTO, 3, "c@ours.example").status, STATUS_POLICY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_revoked_ca_is_on_its_issuers_list, world_make, world_end),
        cmocka_unit_test_setup_teardown(nothing_is_issued_below_it, world_make, world_end),
        cmocka_unit_test_setup_teardown(what_it_issued_counts_as_revoked, world_make, world_end),
        cmocka_unit_test_setup_teardown(no_anchor_is_left_among_them, world_make, world_end),
        cmocka_unit_test_setup_teardown(what_an_imported_ca_revoked_comes_along, world_make, world_end),
        cmocka_unit_test_setup_teardown(rows_that_no_list_may_have_are_refused, world_make, world_end),
        cmocka_unit_test_setup_teardown(one_request_waits_for_an_address, world_make, world_end),
        cmocka_unit_test_setup_teardown(a_worker_asks_only_where_it_is_wanted, world_make, world_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
