/* Certificates beside their bytes: the words that they are found by, searching with pages, states, bindings,
 * and what becomes of one that mail brought. */
#include "store_world.h"

#include "base/hex.h"
#include "store/certificate_search.h"
#include "store/certificate_words.h"

static const char *const bob = "bob@partner.example";

static void add(struct world *w, const char *der, const char *address, uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct buf record = BUF_INIT(COMMAND_MAX);
    struct command c;

    make_record(der, &address, 1, &record, thumbprint);
    c = simple_command(COMMAND_CERT_ADD, 1, buf_slice(&record));
    assert_int_equal(run(w, &c), STATUS_OK);
    buf_release(&record);
}

static enum certificate_state state_of(struct world *w, const uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct store_view *view;
    struct certificate_record record;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_certificate_get(view, thumbprint, &record), STATUS_OK);
    store_view_end(view);
    return record.state;
}

/* --- words --- */

static void words_are_of_values_without_escapes(void **state)
{
    static struct certificate_words words;
    struct certificate_record r = {.subject = SLICE_LITERAL("CN=M\\C3\\BCller\\, Anna+OU=Lab 7,O=Works"),
                                   .issuer = SLICE_LITERAL("CN=Issuing CA"),
                                   .serial = SLICE_LITERAL("0a1b"),
                                   .address_count = 1};
    struct slice text;

    (void)state;
    r.addresses[0] = SLICE_LITERAL("anna@partner.example");
    certificate_words_of(&r, &words);
    text = slice_of(words.text, words.text_len);
    assert_true(words_hold(text, SLICE_LITERAL("m\xc3\xbcll")));
    assert_true(words_hold(text, SLICE_LITERAL("anna@part")));
    assert_true(words_hold(text, SLICE_LITERAL("works")) && words_hold(text, SLICE_LITERAL("0a1b")));
    assert_false(words_hold(text, SLICE_LITERAL("orks")) || words_hold(text, SLICE_LITERAL("ou")));
    assert_false(words_hold(text, SLICE_LITERAL("cn")));
    for (size_t i = 0; i < words.count; i++)
        for (size_t k = 0; k < i; k++)
            assert_false(slice_equal(words.words[i], words.words[k]));
}

static void a_hostile_name_has_bounded_words(void **state)
{
    static struct certificate_words words;
    static char name[4096];
    struct certificate_record r = {.serial = SLICE_LITERAL("01")};

    (void)state;
    for (size_t i = 0; i < sizeof(name); i++) /* a thousand words, escapes cut short, no end */
        name[i] = "aq=\\,b+c9"[(i * 7 + i / 9) % 9];
    r.subject = r.issuer = slice_of(name, sizeof(name));
    certificate_words_of(&r, &words);
    assert_true(words.count <= CERT_WORDS_MAX && words.text_len <= CERT_TEXT_MAX);
}

static void domains_are_turned_round(void **state)
{
    char out[DOMAIN_REVERSED_MAX];

    (void)state;
    assert_int_equal(domain_reverse(SLICE_LITERAL("a.partner.example"), out), 17);
    assert_memory_equal(out, "example.partner.a", 17);
    assert_int_equal(domain_reverse(SLICE_LITERAL("one"), out), 3);
    assert_int_equal(domain_reverse(SLICE_LITERAL(""), out), 0);
}

/* --- searching --- */

static bool count_one(void *context, const struct certificate_record *record)
{
    (void)record;
    ++*(size_t *)context;
    return true;
}

/* All pages; each page looks at `work` entries at most and holds `limit`. */
static size_t found(struct world *w, struct certificate_query q, size_t limit, size_t work)
{
    char next[CERT_SEARCH_CURSOR_MAX] = "", after[CERT_SEARCH_CURSOR_MAX];
    size_t count = 0, pages = 0;
    struct store_view *view;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    do {
        size_t page = 0;

        memcpy(after, next, sizeof(after));
        q.after = slice_of_text(after);
        q.limit = limit;
        q.work_max = work;
        assert_int_equal(store_certificates_search(view, &q, count_one, &page, next, NULL), STATUS_OK);
        assert_true(page <= limit && ++pages < 1000);
        count += page;
    } while (next[0] != '\0');
    store_view_end(view);
    return count;
}

#define QUERY(...)                                                                                           \
    (struct certificate_query)                                                                               \
    {                                                                                                        \
        .state = CERT_STATE_ANY, __VA_ARGS__                                                                 \
    }

static void each_search_finds_each_once_on_pages_of_any_size(void **state)
{
    struct world *w = *state;
    char address[64], der[32], digits[2 * THUMBPRINT_SIZE + 1];
    uint8_t thumbprint[THUMBPRINT_SIZE];

    for (unsigned i = 0; i < 60; i++) { /* "example" and "exa" are two words of each that begin alike */
        assert_true(snprintf(address, sizeof(address), "exa%u@d%u.partner.example", i, i % 3) > 0);
        assert_true(snprintf(der, sizeof(der), "der %u", i) > 0);
        add(w, der, address, thumbprint);
    }
    for (size_t limit = 1; limit < 70; limit += 23)
        for (size_t work = 1; work < 100; work += 33) {
            assert_int_equal(found(w, QUERY(.limit = 1), limit, work), 60);
            assert_int_equal(found(w, QUERY(.text = SLICE_LITERAL("EXA")), limit, work), 60);
            assert_int_equal(found(w, QUERY(.text = SLICE_LITERAL("exa7")), limit, work), 1);
            assert_int_equal(found(w, QUERY(.text = SLICE_LITERAL("exa1")), limit, work), 11);
            assert_int_equal(found(w, QUERY(.text = SLICE_LITERAL("exa1@d1")), limit, work), 1);
            assert_int_equal(found(w, QUERY(.text = SLICE_LITERAL("artner")), limit, work), 0);
            assert_int_equal(found(w, QUERY(.domain = SLICE_LITERAL("partner.example")), limit, work), 60);
            assert_int_equal(found(w, QUERY(.domain = SLICE_LITERAL("d1.partner.example")), limit, work), 20);
            assert_int_equal(found(w, QUERY(.domain = SLICE_LITERAL("artner.example")), limit, work), 0);
            assert_int_equal(
                found(w, QUERY(.address = SLICE_LITERAL("exa3@d0.partner.example")), limit, work), 1);
            assert_int_equal(found(w, QUERY(.expires_before_ms = 1000001), limit, work), 60);
            assert_int_equal(found(w, QUERY(.expires_before_ms = 1000000), limit, work), 0);
            assert_int_equal(found(w, QUERY(.source = SLICE_LITERAL("import")), limit, work), 60);
            assert_int_equal(found(w, QUERY(.with_key = true), limit, work), 0);
        }
    hex_format(slice_of(thumbprint, sizeof(thumbprint)), digits);
    for (size_t n = 8; n <= 64; n++)
        assert_int_equal(found(w, QUERY(.text = slice_of(digits, n)), 5, 5), 1);
}

static void nonsense_is_refused(void **state)
{
    struct world *w = *state;
    struct store_view *view;
    char next[CERT_SEARCH_CURSOR_MAX];
    size_t count = 0;
    static const char *const cursors[] = {"zz", "x", "x00", "k12", "0", "xffffffffff", "y61"};
    struct certificate_query q = QUERY(.text = SLICE_LITERAL("."), .limit = 1);
    struct certificate_record record;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_certificates_search(view, &q, count_one, &count, next, NULL), STATUS_INVALID);
    q.text = SLICE_LITERAL("word");
    for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
        q.after = slice_of_text(cursors[i]);
        assert_int_equal(store_certificates_search(view, &q, count_one, &count, next, NULL), STATUS_INVALID);
    }
    assert_int_equal(store_certificate_by_digits(view, SLICE_LITERAL("123"), &record), STATUS_INVALID);
    assert_int_equal(store_certificate_by_digits(view, SLICE_LITERAL("1234567g"), &record), STATUS_INVALID);
    assert_int_equal(store_certificate_by_digits(view, SLICE_LITERAL("123456789"), &record),
                     STATUS_NOT_FOUND);
    store_view_end(view);
}

static void nothing_of_a_removed_one_is_left(void **state)
{
    struct world *w = *state;
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct command c;

    add(w, "gone", bob, thumbprint);
    c = simple_command(COMMAND_CERT_BIND, 1, slice_of(thumbprint, sizeof(thumbprint)));
    c.values[1].bytes = SLICE_LITERAL("partner.example");
    assert_int_equal(run(w, &c), STATUS_OK);
    c = simple_command(COMMAND_CERT_STATE, 1, slice_of(thumbprint, sizeof(thumbprint)));
    c.values[1].number = CERT_QUARANTINE;
    assert_int_equal(run(w, &c), STATUS_OK);
    c = simple_command(COMMAND_CERT_REMOVE, 1, slice_of(thumbprint, sizeof(thumbprint)));
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(found(w, QUERY(.text = SLICE_LITERAL("bob")), 5, 100), 0);
    assert_int_equal(found(w, QUERY(.domain = SLICE_LITERAL("partner.example")), 5, 100), 0);
    assert_int_equal(found(w, (struct certificate_query){.state = CERT_QUARANTINE}, 5, 100), 0);
    assert_int_equal(found(w, QUERY(.source = SLICE_LITERAL("import")), 5, 100), 0);
}

/* --- harvesting --- */

static struct command harvest(const char *der, uint64_t on_change, uint64_t flags, struct buf *record,
                              uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct command c;

    buf_release(record);
    make_record(der, &bob, 1, record, thumbprint);
    c = simple_command(COMMAND_CERT_HARVEST, 1, buf_slice(record));
    c.values[1].bytes = slice_of_text(bob);
    c.values[3].number = on_change;
    c.values[4].number = flags;
    return c;
}

static void a_change_of_key_is_treated_as_it_is_set(void **state)
{
    struct world *w = *state;
    struct buf record = BUF_INIT(COMMAND_MAX);
    uint8_t first[THUMBPRINT_SIZE], other[THUMBPRINT_SIZE], same[THUMBPRINT_SIZE], newer[THUMBPRINT_SIZE];
    struct command c = harvest("first", HARVEST_REVIEW, 0, &record, first);

    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(state_of(w, first), CERT_ACTIVE);
    c = harvest("other", HARVEST_KEEP, 0, &record, other);
    assert_int_equal(run(w, &c), STATUS_CONFLICT);
    c = harvest("other", HARVEST_REVIEW, 0, &record, other);
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(state_of(w, other), CERT_QUARANTINE);
    c = harvest("other", HARVEST_REPLACE, 0, &record, other);
    assert_int_equal(run(w, &c), STATUS_EXISTS); /* seen again: an administrator decides */
    c = harvest("same key", HARVEST_REVIEW, HARVEST_SAME_KEY, &record, same);
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(state_of(w, same), CERT_ACTIVE);
    c = harvest("newer", HARVEST_REPLACE, 0, &record, newer);
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(state_of(w, newer), CERT_ACTIVE);
    assert_int_equal(state_of(w, first), CERT_REPLACED);
    assert_int_equal(state_of(w, same), CERT_REPLACED);
    assert_int_equal(state_of(w, other), CERT_QUARANTINE);
    buf_release(&record);
}

static void what_a_harvest_says_must_fit(void **state)
{
    struct world *w = *state;
    struct buf record = BUF_INIT(COMMAND_MAX);
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct command c = harvest("bad", HARVEST_REVIEW, 0, &record, thumbprint);

    (void)w;
    assert_int_equal(command_check(&c, NULL), STATUS_OK);
    c.values[1].bytes = SLICE_LITERAL("mallory@partner.example"); /* the certificate does not name it */
    assert_int_equal(command_check(&c, NULL), STATUS_INVALID);
    c.values[1].bytes = SLICE_LITERAL(""); /* and is no CA's */
    assert_int_equal(command_check(&c, NULL), STATUS_INVALID);
    c.values[1].bytes = slice_of_text(bob);
    c.values[2].number = CERT_REPLACED;
    assert_int_equal(command_check(&c, NULL), STATUS_INVALID);
    buf_release(&record);
}

static void newer_mail_teaches_what_can_be_read(void **state)
{
    struct world *w = *state;
    struct buf record = BUF_INIT(COMMAND_MAX);
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct store_view *view;
    struct certificate_record found_one;
    struct command c = harvest("capable", HARVEST_REVIEW, HARVEST_CAPABILITIES, &record, thumbprint);

    c.values[5].number = CERT_CAP_AES128_CBC;
    c.values[6].number = 1000;
    assert_int_equal(run(w, &c), STATUS_OK);
    c = harvest("capable", HARVEST_REVIEW, HARVEST_CAPABILITIES, &record, thumbprint);
    c.values[5].number = CERT_CAP_AES256_GCM;
    c.values[6].number = 999; /* older */
    assert_int_equal(run(w, &c), STATUS_EXISTS);
    c = harvest("capable", HARVEST_REVIEW, HARVEST_CAPABILITIES, &record, thumbprint);
    c.values[5].number = CERT_CAP_AES256_GCM;
    c.values[6].number = 2000;
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_certificate_get(view, thumbprint, &found_one), STATUS_OK);
    assert_int_equal(found_one.capabilities, CERT_CAP_AES256_GCM);
    store_view_end(view);
    buf_release(&record);
}

/* --- bindings --- */

static bool count_binding(void *context, const struct certificate_record *record, uint64_t flags)
{
    (void)record;
    *(size_t *)context += flags == BINDING_PINNED ? 100 : 1;
    return true;
}

static size_t bound_to_domain(struct world *w, const char *domain)
{
    struct store_view *view;
    size_t count = 0;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_domain_bindings(view, slice_of_text(domain), count_binding, &count), STATUS_OK);
    store_view_end(view);
    return count;
}

static void the_nearest_domain_binding_counts(void **state)
{
    struct world *w = *state;
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct command c;

    add(w, "gateway", "gateway@partner.example", thumbprint);
    c = simple_command(COMMAND_CERT_BIND, 1, slice_of(thumbprint, sizeof(thumbprint)));
    c.values[1].bytes = SLICE_LITERAL("*.partner.example");
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(bound_to_domain(w, "a.partner.example"), 1);
    assert_int_equal(bound_to_domain(w, "b.a.partner.example"), 1);
    assert_int_equal(bound_to_domain(w, "partner.example"), 0);
    assert_int_equal(bound_to_domain(w, "xpartner.example"), 0);
    command_init(&c, COMMAND_CERT_BIND, 2, SLICE_LITERAL("test"));
    c.values[0].bytes = slice_of(thumbprint, sizeof(thumbprint));
    c.values[1].bytes = SLICE_LITERAL("a.partner.example");
    c.values[2].number = BINDING_PINNED;
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(bound_to_domain(w, "a.partner.example"), 100);
    command_init(&c, COMMAND_CERT_UNBIND, 3, SLICE_LITERAL("test"));
    c.values[0].bytes = slice_of(thumbprint, sizeof(thumbprint));
    c.values[1].bytes = SLICE_LITERAL("a.partner.example");
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(bound_to_domain(w, "a.partner.example"), 1);
    command_init(&c, COMMAND_CERT_UNBIND, 4, SLICE_LITERAL("test"));
    c.values[0].bytes = slice_of(thumbprint, sizeof(thumbprint));
    c.values[1].bytes = SLICE_LITERAL("a.partner.example");
    assert_int_equal(run(w, &c), STATUS_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_of_values_without_escapes),
        cmocka_unit_test(a_hostile_name_has_bounded_words),
        cmocka_unit_test(domains_are_turned_round),
        cmocka_unit_test_setup_teardown(each_search_finds_each_once_on_pages_of_any_size, world_make,
                                        world_end),
        cmocka_unit_test_setup_teardown(nonsense_is_refused, world_make, world_end),
        cmocka_unit_test_setup_teardown(nothing_of_a_removed_one_is_left, world_make, world_end),
        cmocka_unit_test_setup_teardown(a_change_of_key_is_treated_as_it_is_set, world_make, world_end),
        cmocka_unit_test_setup_teardown(what_a_harvest_says_must_fit, world_make, world_end),
        cmocka_unit_test_setup_teardown(newer_mail_teaches_what_can_be_read, world_make, world_end),
        cmocka_unit_test_setup_teardown(the_nearest_domain_binding_counts, world_make, world_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
