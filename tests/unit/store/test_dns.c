/* What partner domains publish in DNS: what is kept of each answer, and when somebody has to look. */
#include "store_world.h"

#include "store/records_dns.h"

#define FAR SLICE_LITERAL("far.example")

static enum status seen(struct world *w, uint64_t now_ms, enum dns_answer answer, struct slice fingerprints)
{
    struct command c = simple_command(COMMAND_DOMAIN_DNS_SEEN, now_ms, FAR);

    c.values[1].number = answer;
    c.values[2].bytes = fingerprints;
    c.values[3].bytes = SLICE_LITERAL("a note");
    return run(w, &c);
}

/* The state that the row has now; the row itself into `record` if it is not NULL (numbers alone). */
static enum domain_dns_state look(struct world *w, struct domain_dns_record *record)
{
    struct store_view *view;
    struct domain_dns_record found;
    struct domain_dns_review review;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_domain_dns_get(view, FAR, &found), STATUS_OK);
    assert_int_equal(store_domain_dns_review(view, &found, &review), STATUS_OK);
    assert_true(slice_equal(found.domain, FAR));
    store_view_end(view);
    if (record != NULL) {
        *record = found;
        record->fingerprints.data = NULL;
    }
    return review.state;
}

static void one_is_watched_asked_seen_and_forgotten(void **state)
{
    struct world *w = *state;
    struct domain_dns_record record;
    struct command watch = simple_command(COMMAND_DOMAIN_DNS_WATCH, 5, FAR);
    struct command unwatch = simple_command(COMMAND_DOMAIN_DNS_UNWATCH, 9, FAR);
    uint8_t both[2 * THUMBPRINT_SIZE] = {1};

    both[THUMBPRINT_SIZE] = 2;
    assert_int_equal(seen(w, 1, DNS_SIGNED, slice_of(both, THUMBPRINT_SIZE)), STATUS_NOT_FOUND);
    assert_int_equal(run(w, &unwatch), STATUS_NOT_FOUND);
    assert_int_equal(run(w, &watch), STATUS_OK);
    assert_int_equal(look(w, &record), DOMAIN_DNS_WAITING);
    assert_int_equal(record.asked_ms, 5);
    assert_int_equal(seen(w, 6, DNS_SIGNED, slice_of(both, THUMBPRINT_SIZE)), STATUS_OK);
    assert_int_equal(look(w, &record), DOMAIN_DNS_UNCONFIRMED);
    assert_int_equal(record.checked_ms, 6);
    assert_int_equal(record.asked_ms, 0);
    assert_int_equal(record.signed_ms, 6);
    assert_int_equal(record.changed_ms, 6);
    assert_int_equal(seen(w, 7, DNS_UNSIGNED, slice_of(both, sizeof(both))), STATUS_OK);
    assert_int_equal(look(w, &record), DOMAIN_DNS_UNCONFIRMED);
    assert_int_equal(record.signed_ms, 6);
    assert_int_equal(record.changed_ms, 7);
    assert_int_equal(record.fingerprints.len, sizeof(both));
    /* Nothing is taken of what is forged, or did not come. */
    assert_int_equal(seen(w, 8, DNS_BOGUS, (struct slice){0}), STATUS_OK);
    assert_int_equal(look(w, &record), DOMAIN_DNS_BOGUS);
    assert_int_equal(seen(w, 9, DNS_FAILED, (struct slice){0}), STATUS_OK);
    assert_int_equal(look(w, &record), DOMAIN_DNS_FAILED);
    assert_int_equal(record.changed_ms, 7);
    assert_int_equal(record.fingerprints.len, sizeof(both));
    assert_int_equal(seen(w, 10, DNS_ABSENT, (struct slice){0}), STATUS_OK);
    assert_int_equal(look(w, &record), DOMAIN_DNS_ABSENT);
    assert_int_equal(record.fingerprints.len, 0);
    watch = simple_command(COMMAND_DOMAIN_DNS_WATCH, 11, FAR); /* once more: look now */
    assert_int_equal(run(w, &watch), STATUS_OK);
    (void)look(w, &record);
    assert_int_equal(record.asked_ms, 11);
    assert_int_equal(record.added_ms, 5);
    unwatch = simple_command(COMMAND_DOMAIN_DNS_UNWATCH, 12, FAR);
    assert_int_equal(run(w, &unwatch), STATUS_OK);
}

static void what_does_not_fit_is_no_command(void **state)
{
    static const uint8_t falling[2 * THUMBPRINT_SIZE] = {2};
    static const struct {
        const char *domain;
        uint64_t answer;
        size_t len;
    } table[] = {
        {"*.far.example", DNS_ABSENT, 0},
        {"Far.example", DNS_ABSENT, 0},
        {"far.example", DNS_NOT_ASKED, 0},
        {"far.example", DNS_ANSWER_END, 0},
        {"far.example", DNS_SIGNED, 0},
        {"far.example", DNS_SIGNED, THUMBPRINT_SIZE - 1},
        {"far.example", DNS_BOGUS, THUMBPRINT_SIZE},
        {"far.example", DNS_SIGNED, sizeof(falling)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct command c = simple_command(COMMAND_DOMAIN_DNS_SEEN, 1, slice_of_text(table[i].domain));

        c.values[1].number = table[i].answer;
        c.values[2].bytes = slice_of(falling, table[i].len);
        assert_int_not_equal(command_check(&c, NULL), STATUS_OK);
    }
}

/* Fingerprints are letters here: "ab" are those of certificates a and b. */
static void somebody_looks_when_the_two_differ(void **state)
{
    static const struct {
        enum dns_answer answer;
        uint64_t signed_ms;
        const char *published, *confirmed;
        enum domain_dns_state state;
        bool review;
    } table[] = {
        {DNS_NOT_ASKED, 0, "", "a", DOMAIN_DNS_WAITING, false},
        {DNS_SIGNED, 1, "a", "", DOMAIN_DNS_UNCONFIRMED, true},
        {DNS_SIGNED, 1, "a", "a", DOMAIN_DNS_CONFIRMED, false},
        {DNS_SIGNED, 1, "ab", "a", DOMAIN_DNS_CHANGED, true}, /* a roll-over is announced */
        {DNS_SIGNED, 1, "b", "a", DOMAIN_DNS_CHANGED, true},
        {DNS_SIGNED, 1, "b", "ab", DOMAIN_DNS_REMOVED, true},
        {DNS_SIGNED, 1, "ab", "ba", DOMAIN_DNS_CONFIRMED, false},
        {DNS_UNSIGNED, 0, "a", "a", DOMAIN_DNS_CONFIRMED, false},
        {DNS_UNSIGNED, 1, "a", "a", DOMAIN_DNS_STRIPPED, true},
        {DNS_UNSIGNED, 1, "b", "a", DOMAIN_DNS_CHANGED, true},
        {DNS_ABSENT, 1, "", "a", DOMAIN_DNS_REMOVED, true},
        {DNS_ABSENT, 0, "", "", DOMAIN_DNS_ABSENT, false},
        {DNS_BOGUS, 1, "a", "a", DOMAIN_DNS_BOGUS, true},
        {DNS_FAILED, 1, "a", "a", DOMAIN_DNS_FAILED, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint8_t published[4 * THUMBPRINT_SIZE] = {0};
        struct domain_dns_record record = {.answer = table[i].answer, .signed_ms = table[i].signed_ms};
        struct domain_dns_review review = {.confirmed_count = strlen(table[i].confirmed)};

        for (size_t n = 0; n < strlen(table[i].published); n++)
            memset(published + n * THUMBPRINT_SIZE, table[i].published[n], THUMBPRINT_SIZE);
        for (size_t n = 0; n < review.confirmed_count; n++)
            memset(review.confirmed[n], table[i].confirmed[n], THUMBPRINT_SIZE);
        record.fingerprints = slice_of(published, strlen(table[i].published) * THUMBPRINT_SIZE);
        domain_dns_judge(&record, &review);
        assert_int_equal(review.state, table[i].state);
        assert_int_equal(domain_dns_needs_review(review.state), table[i].review);
        assert_non_null(domain_dns_state_name(review.state));
    }
}

/* Only an active certificate with a pinned binding to this very domain is one that was confirmed. */
static void confirmed_is_what_was_pinned(void **state)
{
    struct world *w = *state;
    struct buf record = BUF_INIT(COMMAND_MAX);
    uint8_t thumbprint[THUMBPRINT_SIZE];
    const char *address = "gate@far.example";
    struct command c;

    make_record("der", &address, 1, &record, thumbprint);
    c = simple_command(COMMAND_CERT_ADD, 1, buf_slice(&record));
    assert_int_equal(run(w, &c), STATUS_OK);
    c = simple_command(COMMAND_DOMAIN_DNS_WATCH, 1, FAR);
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(seen(w, 2, DNS_SIGNED, slice_of(thumbprint, sizeof(thumbprint))), STATUS_OK);
    assert_int_equal(look(w, NULL), DOMAIN_DNS_UNCONFIRMED);
    c = simple_command(COMMAND_CERT_BIND, 3, slice_of(thumbprint, sizeof(thumbprint)));
    c.values[1].bytes = FAR;
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(look(w, NULL), DOMAIN_DNS_UNCONFIRMED);
    command_init(&c, COMMAND_CERT_BIND, 3, SLICE_LITERAL("test"));
    c.values[0].bytes = slice_of(thumbprint, sizeof(thumbprint));
    c.values[1].bytes = FAR;
    c.values[2].number = BINDING_PINNED;
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(look(w, NULL), DOMAIN_DNS_CONFIRMED);
    c = simple_command(COMMAND_CERT_STATE, 4, slice_of(thumbprint, sizeof(thumbprint)));
    c.values[1].number = CERT_QUARANTINE;
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(look(w, NULL), DOMAIN_DNS_UNCONFIRMED);
    buf_release(&record);
}

static void only_so_many_are_looked_up(void **state)
{
    struct world *w = *state;
    char name[32];

    for (unsigned i = 0; i <= DOMAIN_DNS_MAX; i++) {
        struct command c;

        assert_true(snprintf(name, sizeof(name), "d%u.example", i) > 0);
        c = simple_command(COMMAND_DOMAIN_DNS_WATCH, 1000, slice_of_text(name));
        assert_int_equal(apply_at(w->store, ++w->index, &c).status,
                         i < DOMAIN_DNS_MAX ? STATUS_OK : STATUS_TOO_LARGE);
        c = simple_command(COMMAND_DOMAIN_DNS_WATCH, 1000, SLICE_LITERAL("d0.example"));
        assert_int_equal(apply_at(w->store, ++w->index, &c).status, STATUS_OK); /* one that is there */
    }
    commit(w->store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_is_watched_asked_seen_and_forgotten, world_make, world_end),
        cmocka_unit_test(what_does_not_fit_is_no_command),
        cmocka_unit_test(somebody_looks_when_the_two_differ),
        cmocka_unit_test_setup_teardown(confirmed_is_what_was_pinned, world_make, world_end),
        cmocka_unit_test_setup_teardown(only_so_many_are_looked_up, world_make, world_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
