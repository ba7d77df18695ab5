/* Revocation lists from their bytes to a refused certificate, OCSP answers, and the certificate trust list.
 */
#include "revocation_fixture.h"

#include <openssl/err.h>

#define DAY ((int64_t)DAY_MS)
#define LIST(n, from, to)                                                                                    \
    .number = (n), .this_ms = NOW_MS + (uint64_t)(from), .next_ms = NOW_MS + (uint64_t)(to)
#define ENTRIES(list) .entries = (list), .count = sizeof(list) / sizeof((list)[0])

static uint64_t generation(void)
{
    struct store_view *view;
    uint64_t number;

    OK(store_view_begin(world.store, &view, NULL));
    number = store_trust_generation(view);
    store_view_end(view);
    return number;
}

static void what_is_listed_is_refused(void **state)
{
    const struct listed entries[] = {{.certificate = &world.leaf, .reason = 1}, {.serial = 99, .reason = -1}};
    const struct list_recipe list = {LIST(5, -DAY, DAY), ENTRIES(entries)};
    uint64_t before = generation();

    (void)state;
    OK(world_judge(&world, &world.leaf, &f));
    OK(list_import(&world, &list, &world.inter, &f));
    assert_true(generation() > before); /* workers forget what they have judged */
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
    assert_string_equal(f.text, "the certificate CN=leaf was revoked 2026-10-25 (keyCompromise)");
    OK(world_judge(&world, &world.other, &f));
}

/* An anchor is trusted by decision, not by its own word. */
static void a_revoked_issuer_takes_all_with_it(void **state)
{
    const struct listed root[] = {{.certificate = &world.root, .reason = 0}};
    const struct listed inter[] = {{.certificate = &world.inter, .reason = 2}};
    const struct list_recipe first = {LIST(5, -2 * DAY, DAY), ENTRIES(root)};
    const struct list_recipe second = {LIST(6, -DAY, DAY), ENTRIES(inter)};

    (void)state;
    OK(list_import(&world, &first, &world.root, &f));
    OK(world_judge(&world, &world.leaf, &f));
    OK(list_import(&world, &second, &world.root, &f));
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
    HOLDS(f.text, "CN=inter was revoked");
    HOLDS(f.text, "cACompromise");
}

/* Serial numbers mean something only with their issuer. */
static void another_issuers_list_says_nothing(void **state)
{
    const struct listed entries[] = {{.certificate = &world.leaf, .reason = 1}};
    const struct list_recipe list = {LIST(5, -DAY, DAY), ENTRIES(entries)};

    (void)state;
    OK(list_import(&world, &list, &world.root, &f));
    OK(world_judge(&world, &world.leaf, &f));
}

static void newer_lists_follow_older_ones_only(void **state)
{
    const struct listed leaf[] = {{.certificate = &world.leaf, .reason = 6}};
    const struct list_recipe fifth = {LIST(5, -2 * DAY, DAY), ENTRIES(leaf)};
    const struct list_recipe fourth = {LIST(4, -DAY, DAY)}; /* a smaller number */
    const struct list_recipe backdated = {LIST(6, -3 * DAY, DAY)};
    const struct list_recipe unnumbered = {LIST(0, -3 * DAY, DAY)};
    const struct list_recipe sixth = {LIST(300, -DAY, DAY)}; /* two bytes: compared by value */

    (void)state;
    OK(list_import(&world, &fifth, &world.inter, &f));
    assert_int_equal(list_import(&world, &fifth, &world.inter, &f), STATUS_EXISTS);
    assert_int_equal(list_import(&world, &fourth, &world.inter, &f), STATUS_CONFLICT);
    HOLDS(f.text, "newer");
    assert_int_equal(list_import(&world, &backdated, &world.inter, &f), STATUS_CONFLICT);
    assert_int_equal(list_import(&world, &unnumbered, &world.inter, &f), STATUS_CONFLICT);
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
    OK(list_import(&world, &sixth, &world.inter, &f)); /* it was on hold, and is not any more */
    OK(world_judge(&world, &world.leaf, &f));
}

static void a_delta_adds_and_takes_away(void **state)
{
    const struct listed leaf[] = {{.certificate = &world.leaf, .reason = 6}};
    const struct listed changes[] = {{.certificate = &world.leaf, .reason = 8},
                                     {.certificate = &world.other, .reason = 4}};
    const struct list_recipe delta = {LIST(7, -DAY, DAY), .base = 5, ENTRIES(changes)};
    const struct list_recipe ahead = {LIST(9, -DAY, DAY), .base = 8, ENTRIES(changes)};
    const struct list_recipe full = {LIST(5, -2 * DAY, DAY), ENTRIES(leaf)};
    const struct list_recipe stale = {LIST(6, -DAY, DAY), .base = 5, ENTRIES(leaf)};

    (void)state;
    assert_int_equal(list_import(&world, &delta, &world.inter, &f), STATUS_CONFLICT);
    HOLDS(f.text, "full list");
    OK(list_import(&world, &full, &world.inter, &f));
    assert_int_equal(list_import(&world, &ahead, &world.inter, &f), STATUS_CONFLICT);
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
    OK(list_import(&world, &delta, &world.inter, &f));
    OK(world_judge(&world, &world.leaf, &f));
    assert_int_equal(world_judge(&world, &world.other, &f), STATUS_REVOKED);
    HOLDS(f.text, "superseded");
    assert_int_equal(list_import(&world, &stale, &world.inter, &f), STATUS_CONFLICT);
}

/* Its server gives out the full list until the next one: that is no mistake, and changes nothing. */
static void the_list_under_a_delta_is_there_already(void **state)
{
    const struct listed leaf[] = {{.certificate = &world.leaf, .reason = 4}};
    const struct list_recipe full = {LIST(5, -2 * DAY, DAY)};
    const struct list_recipe delta = {LIST(7, -DAY, DAY), .base = 5, ENTRIES(leaf)};
    const struct list_recipe between = {LIST(6, -DAY, DAY)};
    const struct list_recipe before = {LIST(4, -3 * DAY, DAY)};
    const struct list_recipe forged = {
        LIST(6, -DAY / 2, DAY)}; /* newer than the delta, with a lower number */
    const struct list_recipe after = {LIST(8, -DAY / 2, DAY)};

    (void)state;
    OK(list_import(&world, &full, &world.inter, &f));
    OK(list_import(&world, &delta, &world.inter, &f));
    assert_int_equal(list_import(&world, &full, &world.inter, &f), STATUS_EXISTS);
    assert_int_equal(list_import(&world, &between, &world.inter, &f), STATUS_EXISTS);
    assert_int_equal(list_import(&world, &before, &world.inter, &f), STATUS_CONFLICT);
    assert_int_equal(list_import(&world, &forged, &world.inter, &f), STATUS_CONFLICT);
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
    OK(list_import(&world, &after, &world.inter, &f));
    OK(world_judge(&world, &world.leaf, &f));
    /* The delta has gone with its list: now number 7 is simply older. */
    assert_int_equal(list_import(&world, &between, &world.inter, &f), STATUS_CONFLICT);
}

static void a_list_names_its_deltas(void **state)
{
    const struct list_recipe recipes[] = {
        {LIST(5, -DAY, DAY), .freshest = "http://crl.example/delta.crl"},
        {LIST(5, -DAY, DAY), .freshest = "ldap://crl.example/x"},
        {LIST(5, -DAY, DAY), .base = 4, .freshest = "http://crl.example/delta.crl"},
        {LIST(5, -DAY, DAY)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++) {
        struct crl *crl;
        struct arena a;
        struct buf der;

        arena_init(&a, 65536);
        list_make(&recipes[i], &world.inter, &der);
        OK(crl_read(buf_slice(&der), &crl, &f));
        assert_same(crl_freshest(crl, &a), slice_of_text(i == 0 ? recipes[0].freshest : ""));
        crl_free(crl);
        buf_release(&der);
        arena_release(&a);
    }
}

static void hard_needs_a_list_in_force(void **state)
{
    const struct list_recipe empty = {LIST(5, -2 * DAY, DAY)};
    const struct list_recipe ended = {LIST(6, -DAY, -1000)};
    const struct list_recipe root_list = {LIST(1, -DAY, DAY)};
    uint64_t before = generation();

    (void)state;
    OK(world_judge(&world, &world.leaf, &f));
    world_setting(&world, "smime.revocation", "hard");
    assert_true(generation() > before);
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_UNTRUSTED);
    HOLDS(f.text, "there is no list of its issuer");
    OK(list_import(&world, &empty, &world.inter, &f));
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_UNTRUSTED);
    HOLDS(f.text, "CN=inter"); /* its own issuer's list is wanted too */
    OK(list_import(&world, &root_list, &world.root, &f));
    OK(world_judge(&world, &world.leaf, &f));
    OK(list_import(&world, &ended, &world.inter, &f));
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_UNTRUSTED);
    HOLDS(f.text, "ended 2026-11-24");
    world_setting(&world, "smime.revocation", "soft");
    OK(world_judge(&world, &world.leaf, &f));
}

static void what_is_known_counts_after_the_list_has_ended_and_whatever_the_setting(void **state)
{
    const struct listed leaf[] = {{.certificate = &world.leaf, .reason = -1}};
    const struct list_recipe list = {LIST(5, -2 * DAY, -DAY), ENTRIES(leaf)};

    (void)state;
    OK(list_import(&world, &list, &world.inter, &f));
    world_setting(&world, "smime.revocation", "off");
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
    HOLDS(f.text, "(unspecified)");
}

static void a_part_speaks_for_those_that_point_to_it(void **state)
{
    const struct listed other[] = {{.certificate = &world.other, .reason = 1}};
    const struct list_recipe part = {LIST(5, -DAY, DAY), ENTRIES(other), .point = "http://crl.example/1.crl"};
    const struct list_recipe users = {LIST(6, -DAY, DAY), .user_only = true};
    const struct list_recipe root_users = {LIST(2, -DAY, DAY), .user_only = true};
    const struct list_recipe root_list = {LIST(1, -DAY, DAY)};

    (void)state;
    world_setting(&world, "smime.revocation", "hard");
    OK(list_import(&world, &part, &world.inter, &f));
    OK(list_import(&world, &root_users, &world.root, &f)); /* it says nothing of a CA */
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_UNTRUSTED);
    HOLDS(f.text, "CN=inter");
    OK(list_import(&world, &root_list, &world.root, &f));
    OK(world_judge(&world, &world.leaf, &f));
    assert_int_equal(world_judge(&world, &world.other, &f), STATUS_REVOKED); /* on whatever list it stands */
    OK(list_import(&world, &users, &world.inter, &f));
    assert_int_equal(world_judge(&world, &world.other, &f), STATUS_REVOKED);
}

static void an_answer_counts_like_a_list(void **state)
{
    const struct list_recipe root_list = {LIST(1, -DAY, DAY)};
    const struct listed leaf[] = {{.certificate = &world.leaf, .reason = 1}};
    const struct list_recipe list = {LIST(5, -2 * DAY, DAY), ENTRIES(leaf)};

    (void)state;
    world_setting(&world, "smime.revocation", "hard");
    OK(list_import(&world, &root_list, &world.root, &f));
    world_ocsp(&world, &world.leaf, &world.inter, OCSP_GOOD, NOW_MS - 500);
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_UNTRUSTED); /* it has ended */
    world_ocsp(&world, &world.leaf, &world.inter, OCSP_GOOD, NOW_MS + DAY_MS);
    OK(world_judge(&world, &world.leaf, &f));
    world_ocsp(&world, &world.other, &world.inter, OCSP_REVOKED, NOW_MS + DAY_MS);
    assert_int_equal(world_judge(&world, &world.other, &f), STATUS_REVOKED);
    HOLDS(f.text, "superseded");
    OK(list_import(&world, &list, &world.inter, &f)); /* a good answer is no word against a list */
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
}

static void lists_that_prove_nothing_are_refused(void **state)
{
    const struct list_recipe good = {LIST(5, -DAY, DAY)};
    const struct list_recipe future = {LIST(5, DAY, 2 * DAY)};
    const struct list_recipe indirect = {LIST(5, -DAY, DAY), .indirect = true};
    const struct list_recipe critical = {LIST(5, -DAY, DAY), .unknown = "critical"};
    const struct list_recipe harmless = {LIST(5, -DAY, DAY), .unknown = "harmless"};
    const struct list_recipe forgeable = {LIST(5, -DAY, DAY), .digest = EVP_md5()};
    struct made stranger = pki_make(&(struct recipe){.name = "stranger", .ca = true, .key = 2}, NULL);
    struct made forger = world.inter;

    (void)state;
    assert_int_equal(list_import(&world, &good, &stranger, &f), STATUS_NO_KEY);
    HOLDS(f.text, "CN=stranger is not stored");
    forger.key = world.leaf.key; /* the right name and the wrong key */
    assert_int_equal(list_import(&world, &good, &forger, &f), STATUS_UNTRUSTED);
    assert_int_equal(list_import(&world, &future, &world.inter, &f), STATUS_INVALID);
    assert_int_equal(list_import(&world, &indirect, &world.inter, &f), STATUS_UNSUPPORTED);
    assert_int_equal(list_import(&world, &critical, &world.inter, &f), STATUS_UNSUPPORTED);
    HOLDS(f.text, "1.3.6.1.4.1.55555.2");
    assert_int_equal(list_import(&world, &forgeable, &world.inter, &f), STATUS_UNTRUSTED);
    OK(list_import(&world, &harmless, &world.inter, &f));
    pki_release(&stranger);
}

static void an_issuer_needs_the_right_to_sign_lists(void **state)
{
    const struct list_recipe list = {LIST(5, -DAY, DAY)};
    struct made strict =
        pki_make(&(struct recipe){.name = "strict", .ca = true, .usage = "keyCertSign", .key = 2}, NULL);
    struct certificate_record record;
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct arena a;
    struct command c;

    (void)state;
    arena_init(&a, (size_t)1 << 20);
    OK(certificate_describe(strict.der, SLICE_LITERAL("test"), NOW_MS, &a, &record, NULL));
    OK(certificate_record_encode(&record, &encoded));
    command_init(&c, COMMAND_CERT_ADD, NOW_MS, SLICE_LITERAL("test"));
    c.values[0].bytes = buf_slice(&encoded);
    OK(world_apply(&world, &c).status);
    assert_int_equal(list_import(&world, &list, &strict, &f), STATUS_INVALID);
    HOLDS(f.text, "cRLSign");
    buf_release(&encoded);
    arena_release(&a);
    pki_release(&strict);
}

static void bytes_that_are_no_list(void **state)
{
    const struct listed leaf[] = {{.certificate = &world.leaf, .reason = 1}};
    const struct list_recipe recipe = {LIST(5, -DAY, DAY), ENTRIES(leaf)};
    struct buf der;
    struct crl *crl;

    (void)state;
    list_make(&recipe, &world.inter, &der);
    assert_int_equal(crl_read(SLICE_LITERAL(""), &crl, &f), STATUS_MALFORMED);
    assert_int_equal(crl_read(world.leaf.der, &crl, &f), STATUS_MALFORMED);
    for (size_t len = 0; len < der.len; len++)
        assert_int_equal(crl_read(slice_of(der.data, len), &crl, &f), STATUS_MALFORMED);
    OK(buf_append(&der, "x", 1));
    assert_int_equal(crl_read(buf_slice(&der), &crl, &f), STATUS_MALFORMED);
    buf_release(&der);
}

/* The state never shows half a list, and one that nobody finishes does no harm. */
static void nothing_is_in_force_before_all_has_come(void **state)
{
    const struct listed leaf[] = {{.certificate = &world.leaf, .reason = 1}};
    const struct list_recipe recipe = {LIST(5, -DAY, DAY), ENTRIES(leaf)};
    struct buf der, storage = BUF_INIT(COMMAND_MAX);
    struct crl *crl;
    struct store_view *view;
    struct command c;

    (void)state;
    list_make(&recipe, &world.inter, &der);
    OK(crl_read(buf_slice(&der), &crl, &f));
    OK(store_view_begin(world.store, &view, &f));
    OK(crl_verify(crl, view, NOW_MS, &f));
    store_view_end(view);
    crl_prepare(crl, 1, "import", NOW_MS);
    assert_int_equal(crl_command_count(crl), 4); /* begin, rows, force, sweep */
    OK(crl_command(crl, 2, NOW_MS, SLICE_LITERAL("test"), &storage, &c, &f));
    assert_int_equal(world_apply(&world, &c).status, STATUS_CONFLICT); /* force, and nothing was begun */
    OK(crl_command(crl, 1, NOW_MS, SLICE_LITERAL("test"), &storage, &c, &f));
    assert_int_equal(world_apply(&world, &c).status, STATUS_CONFLICT);
    OK(crl_command(crl, 0, NOW_MS, SLICE_LITERAL("test"), &storage, &c, &f));
    OK(world_apply(&world, &c).status);
    OK(crl_command(crl, 2, NOW_MS, SLICE_LITERAL("test"), &storage, &c, &f));
    assert_int_equal(world_apply(&world, &c).status, STATUS_CONFLICT); /* the rows are missing */
    OK(crl_command(crl, 1, NOW_MS, SLICE_LITERAL("test"), &storage, &c, &f));
    OK(world_apply(&world, &c).status);
    OK(world_judge(&world, &world.leaf, &f));           /* not yet */
    OK(list_import(&world, &recipe, &world.inter, &f)); /* another node was faster */
    OK(crl_command(crl, 2, NOW_MS, SLICE_LITERAL("test"), &storage, &c, &f));
    OK(world_apply(&world, &c).status); /* the same list once more does no harm */
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
    crl_free(crl);
    buf_release(&der);
    buf_release(&storage);
}

static uint64_t rows_in_store(void)
{
    uint8_t issuer[ISSUER_ID_SIZE], part[CRL_PART_SIZE] = {0};
    struct store_view *view;
    uint64_t rows;

    OK(issuer_id_of(world.inter.x, issuer));
    OK(store_view_begin(world.store, &view, NULL));
    OK(store_crl_rows(view, issuer, part, UINT64_MAX, &rows));
    store_view_end(view);
    return rows;
}

/* A list of more rows than one command has, and another after it: the first one's rows go. */
static void a_long_list_comes_in_whole_and_goes_whole(void **state)
{
    static struct listed entries[CRL_SWEEP_MAX + 10];
    const struct list_recipe first = {LIST(1, -2 * DAY, DAY), ENTRIES(entries)};
    const struct list_recipe second = {LIST(2, -DAY, DAY), .entries = entries, .count = 3};
    size_t count = sizeof(entries) / sizeof(entries[0]);

    (void)state;
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct listed){.serial = 1000000 + i * 7919, .reason = 4};
    entries[count - 1] = (struct listed){.certificate = &world.leaf, .reason = 4};
    OK(list_import(&world, &first, &world.inter, &f));
    assert_int_equal(rows_in_store(), count);
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
    OK(list_import(&world, &second, &world.inter, &f));
    assert_int_equal(rows_in_store(), 3);
    OK(world_judge(&world, &world.leaf, &f));
}

/* --- the certificate trust list --- */

static void what_is_denied_is_never_used(void **state)
{
    uint64_t before = generation();

    (void)state;
    OK(world_judge(&world, &world.leaf, &f));
    world_ctl(&world, &world.leaf, CTL_DENY, 0, "stolen laptop");
    assert_true(generation() > before);
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_UNTRUSTED);
    assert_string_equal(f.text,
                        "the certificate CN=leaf is denied by the certificate trust list (stolen laptop)");
    OK(world_judge(&world, &world.other, &f));
    world_ctl(&world, &world.leaf, CTL_NONE, 0, "");
    OK(world_judge(&world, &world.leaf, &f));
    world_ctl(&world, &world.inter, CTL_DENY, NOW_MS + 1, "");
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_UNTRUSTED);
    HOLDS(f.text, "CN=inter is denied");
    world_ctl(&world, &world.inter, CTL_DENY, NOW_MS, ""); /* the entry ends now */
    OK(world_judge(&world, &world.leaf, &f));
    world_ctl(&world, &world.root, CTL_DENY, 0, "");
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_UNTRUSTED);
}

static void what_is_allowed_needs_no_path(void **state)
{
    struct made alone = pki_make(&(struct recipe){.name = "alone", .san = "email:c@y.org", .key = 2}, NULL);
    struct made old = pki_make(
        &(struct recipe){.name = "old", .san = "email:c@y.org", .key = 2, .to_ms = NOW_MS - DAY_MS}, NULL);
    struct made signer =
        pki_make(&(struct recipe){.name = "signer", .usage = "digitalSignature", .key = 2}, NULL);

    (void)state;
    assert_int_equal(world_judge(&world, &alone, &f), STATUS_UNTRUSTED);
    world_ctl(&world, &alone, CTL_ALLOW, NOW_MS + 1, "");
    OK(world_judge(&world, &alone, &f));
    world_setting(&world, "smime.revocation", "hard");
    OK(world_judge(&world, &alone, &f)); /* trusted by itself: nobody could revoke it */
    world_ctl(&world, &alone, CTL_ALLOW, NOW_MS, "");
    assert_int_equal(world_judge(&world, &alone, &f), STATUS_UNTRUSTED); /* the entry has ended */
    world_ctl(&world, &old, CTL_ALLOW, 0, "");
    assert_int_equal(world_judge(&world, &old, &f), STATUS_EXPIRED);
    world_ctl(&world, &signer, CTL_ALLOW, 0, "");
    assert_int_equal(world_judge(&world, &signer, &f), STATUS_INVALID);
    pki_release(&alone);
    pki_release(&old);
    pki_release(&signer);
}

static void what_is_allowed_and_revoked_is_refused(void **state)
{
    const struct listed leaf[] = {{.certificate = &world.leaf, .reason = 1}};
    const struct list_recipe list = {LIST(5, -2 * DAY, DAY), ENTRIES(leaf)};

    (void)state;
    world_ctl(&world, &world.leaf, CTL_ALLOW, 0, "");
    OK(world_judge(&world, &world.leaf, &f));
    OK(list_import(&world, &list, &world.inter, &f));
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
}

static enum status judge_pinned(const struct made *certificate)
{
    struct store_view *view;
    struct trust *trust;
    enum status status;

    OK(store_view_begin(world.store, &view, &f));
    OK(trust_load(view, &trust, &f));
    status = trust_check_pinned(trust, certificate->der, TRUST_FOR_ENCRYPTION, NOW_MS, &f);
    trust_free(trust);
    store_view_end(view);
    return status;
}

static void a_pinned_one_needs_no_path_and_no_more_is_forgiven(void **state)
{
    const struct listed leaf[] = {{.certificate = &world.leaf, .reason = 1}};
    const struct list_recipe list = {LIST(5, -2 * DAY, DAY), ENTRIES(leaf)};
    struct made alone = pki_make(&(struct recipe){.name = "alone", .san = "email:c@y.org", .key = 2}, NULL);
    struct made old = pki_make(&(struct recipe){.name = "old", .key = 2, .to_ms = NOW_MS - DAY_MS}, NULL);

    (void)state;
    OK(judge_pinned(&alone));
    OK(judge_pinned(&world.leaf));
    assert_int_equal(judge_pinned(&old), STATUS_EXPIRED);
    world_ctl(&world, &alone, CTL_DENY, 0, "");
    assert_int_equal(judge_pinned(&alone), STATUS_UNTRUSTED);
    OK(list_import(&world, &list, &world.inter, &f));
    assert_int_equal(judge_pinned(&world.leaf), STATUS_REVOKED);
    pki_release(&alone);
    pki_release(&old);
}

/* A trust that outlives its view trusts nothing, rather than looking nowhere. */
static void without_a_view_nothing_is_trusted(void **state)
{
    struct store_view *view;
    struct trust *trust;

    (void)state;
    OK(store_view_begin(world.store, &view, &f));
    OK(trust_load(view, &trust, &f));
    OK(trust_check(trust, world.leaf.der, NULL, TRUST_FOR_ENCRYPTION, NOW_MS, &f));
    trust_look_in(trust, NULL);
    assert_int_equal(trust_check(trust, world.leaf.der, NULL, TRUST_FOR_ENCRYPTION, NOW_MS, &f),
                     STATUS_UNAVAILABLE);
    trust_look_in(trust, view);
    OK(trust_check(trust, world.leaf.der, NULL, TRUST_FOR_ENCRYPTION, NOW_MS, &f));
    trust_free(trust);
    store_view_end(view);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_listed_is_refused),
        TEST(a_revoked_issuer_takes_all_with_it),
        TEST(another_issuers_list_says_nothing),
        TEST(newer_lists_follow_older_ones_only),
        TEST(a_delta_adds_and_takes_away),
        TEST(the_list_under_a_delta_is_there_already),
        TEST(a_list_names_its_deltas),
        TEST(hard_needs_a_list_in_force),
        TEST(what_is_known_counts_after_the_list_has_ended_and_whatever_the_setting),
        TEST(a_part_speaks_for_those_that_point_to_it),
        TEST(an_answer_counts_like_a_list),
        TEST(lists_that_prove_nothing_are_refused),
        TEST(an_issuer_needs_the_right_to_sign_lists),
        TEST(bytes_that_are_no_list),
        TEST(nothing_is_in_force_before_all_has_come),
        TEST(a_long_list_comes_in_whole_and_goes_whole),
        TEST(what_is_denied_is_never_used),
        TEST(what_is_allowed_needs_no_path),
        TEST(what_is_allowed_and_revoked_is_refused),
        TEST(a_pinned_one_needs_no_path_and_no_more_is_forgiven),
        TEST(without_a_view_nothing_is_trusted),
    };
    int failed = cmocka_run_group_tests_name("revocation", tests, NULL, NULL);

    pki_forget_keys();
    return failed;
}
