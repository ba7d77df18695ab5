/* Certificates on demand: only for senders of ours who may, and so many an hour. */
#include "test_support.h"

#include "store/ca_allowance.h"
#include "store/records_ca.h"

#define HOUR_MS CA_ALLOWANCE_HOUR_MS
#define NOW_MS  (1000 * HOUR_MS)

struct world {
    char dir[64];
    struct store *store;
    uint64_t index;
    unsigned made;
};

static struct apply_result run(struct world *w, const struct command *c)
{
    struct apply_result result = apply_at(w->store, ++w->index, c);

    commit(w->store);
    return result;
}

static void set(struct world *w, uint64_t level, const char *scope, const char *name, const char *value)
{
    struct command c = setting_command(level, scope, name, value);

    assert_int_equal(run(w, &c).status, STATUS_OK);
}

static int world_make(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct buf record = BUF_INIT(COMMAND_MAX);
    uint8_t thumbprint[THUMBPRINT_SIZE], hash[ISSUER_ID_SIZE] = {1};
    struct command c;

    assert_non_null(w);
    temporary_folder(w->dir);
    w->store = open_writer(w->dir);
    make_ca_record("CA", &record, thumbprint);
    c = simple_command(COMMAND_CA_ADD, 1, SLICE_LITERAL("root"));
    c.values[1].bytes = buf_slice(&record);
    c.values[2].bytes = c.values[5].bytes = SLICE_LITERAL("sealed");
    c.values[7].number = c.values[8].number = 1;
    c.values[9].bytes = slice_of(hash, sizeof(hash));
    assert_int_equal(run(w, &c).status, STATUS_OK);
    buf_release(&record);
    set(w, SETTING_DOMAIN, "ours.example", "domain.locality", "internal");
    set(w, SETTING_DOMAIN, "two.example", "domain.locality", "internal");
    set(w, SETTING_GLOBAL, "", "ca.auto_request", "yes");
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

static struct apply_result ask(struct world *w, const char *address, uint64_t time_ms)
{
    struct buf record = BUF_INIT(COMMAND_MAX);
    uint8_t thumbprint[THUMBPRINT_SIZE];
    char der[32];
    struct command c;
    struct apply_result result;

    assert_true(snprintf(der, sizeof(der), "DER %u", w->made++) > 0);
    make_record(der, &address, 1, &record, thumbprint);
    command_init(&c, COMMAND_CA_AUTO_ISSUE, time_ms, SLICE_LITERAL("worker"));
    c.values[0].bytes = SLICE_LITERAL("root");
    c.values[1].bytes = slice_of_text(address);
    c.values[5].bytes = buf_slice(&record);
    c.values[6].bytes = SLICE_LITERAL("sealed");
    result = run(w, &c);
    buf_release(&record);
    return result;
}

static void who_is_not_to_have_one_gets_none(void **state)
{
    struct world *w = *state;

    assert_int_equal(ask(w, "a@else.example", NOW_MS).status, STATUS_NOT_FOUND);
    set(w, SETTING_USER, "shy@ours.example", "ca.auto_request", "no");
    assert_int_equal(ask(w, "shy@ours.example", NOW_MS).status, STATUS_NOT_FOUND);
    assert_int_equal(ask(w, "a@ours.example", NOW_MS).status, STATUS_OK);
}

static void a_domain_gets_so_many_an_hour(void **state)
{
    struct world *w = *state;
    struct apply_result refused;

    set(w, SETTING_DOMAIN, "ours.example", "ca.auto_request_limit", "2");
    assert_int_equal(ask(w, "a@ours.example", NOW_MS).status, STATUS_OK);
    assert_int_equal(ask(w, "b@ours.example", NOW_MS + HOUR_MS - 1).status, STATUS_OK);
    refused = ask(w, "c@ours.example", NOW_MS + HOUR_MS - 1);
    assert_int_equal(refused.status, STATUS_POLICY);
    assert_non_null(strstr(refused.failure.text, "ca.auto_request_limit"));
    assert_int_equal(ask(w, "c@two.example", NOW_MS).status, STATUS_OK); /* another domain's own */
    assert_int_equal(ask(w, "c@ours.example", NOW_MS + HOUR_MS).status, STATUS_OK);
    assert_int_equal(ask(w, "d@ours.example", NOW_MS + HOUR_MS).status, STATUS_OK);
    /* a clock that goes back gives no second hour */
    assert_int_equal(ask(w, "e@ours.example", NOW_MS).status, STATUS_POLICY);
}

static void all_domains_together_get_ten_times_as_many(void **state)
{
    struct world *w = *state;
    char address[64];

    set(w, SETTING_GLOBAL, "", "ca.auto_request_limit", "1");
    set(w, SETTING_DOMAIN, "ours.example", "ca.auto_request_limit", "1000");
    for (unsigned i = 0; i < CA_ALLOWANCE_DOMAINS; i++) {
        assert_true(snprintf(address, sizeof(address), "u%u@ours.example", i) > 0);
        assert_int_equal(ask(w, address, NOW_MS).status, STATUS_OK);
    }
    assert_int_equal(ask(w, "last@ours.example", NOW_MS).status, STATUS_POLICY);
    assert_int_equal(ask(w, "a@two.example", NOW_MS).status, STATUS_POLICY);
}

/* A domain that goes and comes back begins anew; that of others stays. */
static void the_counts_go_with_the_domain(void **state)
{
    static const char *const gone[] = {"ours.example", "*.wild.example"};
    struct world *w = *state;
    struct store_view *view;
    struct ca_allowance count;
    struct command c;

    for (size_t i = 0; i < 2; i++) { /* the others are there */
        static const char *const domains[] = {"*.wild.example", "own.wild.example"};

        c = simple_command(COMMAND_DOMAIN_ADD, NOW_MS, slice_of_text(domains[i]));
        c.values[1].bytes = SLICE_LITERAL("internal");
        assert_int_equal(run(w, &c).status, STATUS_OK);
    }
    assert_int_equal(ask(w, "a@ours.example", NOW_MS).status, STATUS_OK);
    assert_int_equal(ask(w, "a@any.wild.example", NOW_MS).status, STATUS_OK);
    assert_int_equal(ask(w, "a@own.wild.example", NOW_MS).status, STATUS_OK);
    assert_int_equal(ask(w, "a@two.example", NOW_MS).status, STATUS_OK);
    for (size_t i = 0; i < 2; i++) {
        c = simple_command(COMMAND_DOMAIN_REMOVE, NOW_MS, slice_of_text(gone[i]));
        assert_int_equal(run(w, &c).status, STATUS_OK);
    }
    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    for (size_t i = 0; i < 4; i++) {
        static const struct {
            const char *domain;
            uint64_t count;
        } left[] = {
            {"ours.example", 0}, {"any.wild.example", 0}, {"own.wild.example", 1}, {"two.example", 1}};

        assert_int_equal(store_ca_allowance_get(view, slice_of_text(left[i].domain), NOW_MS, &count),
                         STATUS_OK);
        assert_int_equal(count.count, left[i].count);
    }
    store_view_end(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_is_not_to_have_one_gets_none, world_make, world_end),
        cmocka_unit_test_setup_teardown(a_domain_gets_so_many_an_hour, world_make, world_end),
        cmocka_unit_test_setup_teardown(the_counts_go_with_the_domain, world_make, world_end),
        cmocka_unit_test_setup_teardown(all_domains_together_get_ten_times_as_many, world_make, world_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
