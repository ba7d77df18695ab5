/* Who is told what expires: what a plan holds, and that nothing is told twice whoever proposes it. */
#include "store_world.h"

#include "store/notice_plan.h"
#include "store/records_ca.h"

#define DAY   NOTICE_DAY_MS
#define NOW   (20000 * DAY)
#define ADMIN SLICE_LITERAL("admin@ours.example")

static void set(struct world *w, uint64_t level, const char *scope, const char *name, const char *value)
{
    struct command c = setting_command(level, scope, name, value);

    assert_int_equal(run(w, &c), STATUS_OK);
}

static int begin(void **state)
{
    struct world *w;

    (void)world_make(state);
    w = *state;
    set(w, SETTING_DOMAIN, "ours.example", "domain.locality", "internal");
    set(w, SETTING_GLOBAL, "", "notify.to", "Admin@Ours.Example, admin@ours.example");
    return 0;
}

struct kind {
    const char *der, *address, *source;
    uint64_t not_after_ms, uses;
    bool key;
};

static void add(struct world *w, const struct kind *k, uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct certificate_record record = {.der = slice_of_text(k->der),
                                        .subject = slice_of_text(k->der),
                                        .issuer = SLICE_LITERAL("CN=ca"),
                                        .serial = SLICE_LITERAL("01"),
                                        .address_count = k->address != NULL,
                                        .not_after_ms = k->not_after_ms,
                                        .uses = k->uses != 0 ? k->uses : CERT_USE_SIGN | CERT_USE_ENCRYPT,
                                        .source = slice_of_text(k->source)};
    struct buf value = BUF_INIT(COMMAND_MAX);
    struct command c;

    if (k->address != NULL)
        record.addresses[0] = slice_of_text(k->address);
    (void)SHA256(record.der.data, record.der.len, record.thumbprint);
    memcpy(thumbprint, record.thumbprint, THUMBPRINT_SIZE);
    assert_int_equal(certificate_record_encode(&record, &value), STATUS_OK);
    c = simple_command(COMMAND_CERT_ADD, 1, buf_slice(&value));
    assert_int_equal(run(w, &c), STATUS_OK);
    buf_release(&value);
    if (k->key) {
        c = simple_command(COMMAND_KEY_ADD, 1, slice_of(thumbprint, THUMBPRINT_SIZE));
        c.values[1].bytes = SLICE_LITERAL("sealed");
        assert_int_equal(run(w, &c), STATUS_OK);
    }
}

static void plan(struct world *w, struct notice_plan *p, uint64_t now_ms)
{
    struct store_view *view;

    notice_plan_begin(p, now_ms);
    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    while (notice_plan_page(p, view))
        ;
    store_view_end(view);
    assert_int_equal(p->status, STATUS_OK);
}

/* How many items the plan has for an address. */
static size_t planned(struct world *w, uint64_t now_ms, const char *to)
{
    struct notice_plan p;
    size_t count = 0;

    plan(w, &p, now_ms);
    for (size_t i = 0; i < p.count; i++)
        if (slice_equal(p.people[i].to, slice_of_text(to)))
            count = p.people[i].count;
    notice_plan_release(&p);
    return count;
}

static struct command claim_of(uint64_t now_ms, uint8_t mail, const struct notice_item *items, size_t count,
                               struct buf *out)
{
    static uint8_t id[ID_SIZE];
    struct command c = simple_command(COMMAND_NOTICE_CLAIM, now_ms, ADMIN);

    buf_release(out);
    *out = BUF_INIT(NOTICE_ITEMS_SIZE);
    assert_int_equal(notice_items_begin(count, out), STATUS_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(notice_item_encode(&items[i], out), STATUS_OK);
    id[0] = mail;
    c.values[1].bytes = slice_of(id, sizeof(id));
    c.values[2].number = mail; /* the node */
    c.values[4].bytes = buf_slice(out);
    return c;
}

static enum status claim(struct world *w, uint64_t now_ms, uint8_t mail, const struct notice_item *items,
                         size_t count)
{
    struct buf storage = {0};
    struct command c = claim_of(now_ms, mail, items, count, &storage);
    enum status status = run(w, &c);

    buf_release(&storage);
    return status;
}

static enum status end(struct world *w, uint64_t now_ms, uint8_t mail, enum notice_state outcome)
{
    uint8_t id[ID_SIZE] = {mail};
    struct command c = simple_command(COMMAND_NOTICE_END, now_ms, ADMIN);

    c.values[1].bytes = slice_of(id, sizeof(id));
    c.values[2].number = outcome;
    c.values[3].bytes = SLICE_LITERAL("why");
    return run(w, &c);
}

static struct notice_mail mail_now(struct world *w)
{
    struct store_view *view;
    struct notice_mail mail;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_notice_mail_get(view, ADMIN, &mail), STATUS_OK);
    store_view_end(view);
    return mail;
}

static bool count_one(void *context, const struct notice_item *item)
{
    (void)item;
    ++*(size_t *)context;
    return true;
}

static bool count_told(void *context, const struct notice_told *told)
{
    (void)told;
    ++*(size_t *)context;
    return true;
}

static bool count_mail(void *context, const struct notice_mail *mail)
{
    (void)mail;
    ++*(size_t *)context;
    return true;
}

static void rows(struct world *w, size_t *items, size_t *told, size_t *open)
{
    struct store_view *view;

    *items = *told = *open = 0;
    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_notice_items(view, ADMIN, count_one, items), STATUS_OK);
    assert_int_equal(store_notices_told(view, (struct slice){0}, (struct slice){0}, count_told, told),
                     STATUS_OK);
    assert_int_equal(store_notice_mails_open(view, count_mail, open), STATUS_OK);
    store_view_end(view);
}

#define TOPIC(name, kind, size)                                                                              \
    static uint8_t name[size] = {kind};                                                                      \
    name[1] = 7

static void a_mail_is_claimed_once_told_once_and_once_a_day(void **state)
{
    struct world *w = *state;
    size_t items, told, open;
    struct buf storage = {0};
    struct command again;

    TOPIC(one, NOTICE_CERTIFICATE, 1 + THUMBPRINT_SIZE);
    TOPIC(two, NOTICE_LIST, NOTICE_TOPIC_MAX);
    struct notice_item both[] = {{slice_of(one, sizeof(one)), NOW + 20 * DAY, 30 * DAY, SLICE_LITERAL("one")},
                                 {slice_of(two, sizeof(two)), NOW + DAY, DAY, SLICE_LITERAL("two")}};

    assert_int_equal(end(w, NOW, 1, NOTICE_ACCEPTED), STATUS_CONFLICT);
    assert_int_equal(claim(w, NOW, 1, both, 0), STATUS_CONFLICT);
    again = claim_of(NOW, 1, both, 2, &storage);
    assert_int_equal(run(w, &again), STATUS_OK);
    assert_int_equal(run(w, &again), STATUS_OK); /* the same command: its first answer */
    rows(w, &items, &told, &open);
    assert_int_equal(items * 100 + told * 10 + open, 201);
    /* Another leader finds it, until it is too old; then it takes it over as it is. */
    assert_int_equal(claim(w, NOW + 1, 2, both, 2), STATUS_CONFLICT);
    assert_int_equal(claim(w, NOW + NOTICE_LEASE_MS, 2, both, 0), STATUS_CONFLICT); /* another mail's id */
    assert_int_equal(claim(w, NOW + NOTICE_LEASE_MS - 1, 1, both, 0), STATUS_CONFLICT);
    assert_int_equal(claim(w, NOW + NOTICE_LEASE_MS, 1, both, 0), STATUS_OK);
    assert_int_equal(mail_now(w).claimed_ms, NOW + NOTICE_LEASE_MS);
    /* Its end, by whoever sent it, and only once. */
    assert_int_equal(end(w, NOW + 5, 9, NOTICE_ACCEPTED), STATUS_CONFLICT);
    assert_int_equal(end(w, NOW + 5, 1, NOTICE_ACCEPTED), STATUS_OK);
    assert_int_equal(end(w, NOW + 6, 1, NOTICE_ACCEPTED), STATUS_CONFLICT);
    rows(w, &items, &told, &open);
    assert_int_equal(items * 100 + told * 10 + open, 20);
    /* What was told is not told again, and nothing more this day; nearer to the end it is. */
    both[0].before_ms = both[1].before_ms = 0;
    assert_int_equal(claim(w, NOW + 2, 3, both, 2), STATUS_CONFLICT);
    assert_int_equal(claim(w, NOW + DAY, 3, both, 2), STATUS_OK);
    assert_int_equal(end(w, NOW + DAY, 3, NOTICE_ACCEPTED), STATUS_OK);
    assert_int_equal(claim(w, NOW + 2 * DAY, 4, both, 1), STATUS_CONFLICT);
    both[0].until_ms++; /* not the same any more */
    assert_int_equal(claim(w, NOW + 2 * DAY, 4, both, 1), STATUS_OK);
    buf_release(&storage);
}

static void what_was_refused_was_not_told(void **state)
{
    struct world *w = *state;
    size_t items, told, open;

    TOPIC(one, NOTICE_RENEWAL, 1 + THUMBPRINT_SIZE);
    struct notice_item item = {slice_of(one, sizeof(one)), NOW + DAY, 0, SLICE_LITERAL("one")};

    assert_int_equal(claim(w, NOW, 1, &item, 1), STATUS_OK);
    assert_int_equal(end(w, NOW, 1, NOTICE_REFUSED), STATUS_OK);
    rows(w, &items, &told, &open);
    assert_int_equal(items + told + open, 0);
    assert_int_equal(mail_now(w).state, NOTICE_REFUSED);
    assert_int_equal(claim(w, NOW, 2, &item, 1), STATUS_CONFLICT); /* not again on this day */
    assert_int_equal(claim(w, NOW + DAY, 2, &item, 1), STATUS_OK);
    assert_int_equal(end(w, NOW + DAY, 2, NOTICE_ACCEPTED), STATUS_OK);
    /* Long after its end it is forgotten, and not before. */
    for (uint64_t day = 2; day <= 32; day += 30) {
        struct buf storage = {0};
        struct command forget = claim_of(NOW + day * DAY, 2, &item, 1, &storage);

        forget = simple_command(COMMAND_NOTICE_FORGET, NOW + day * DAY, ADMIN);
        forget.values[1].bytes = buf_slice(&storage);
        assert_int_equal(run(w, &forget), STATUS_OK);
        rows(w, &items, &told, &open);
        assert_int_equal(told, day == 2 ? 1 : 0);
        buf_release(&storage);
    }
}

static void what_is_not_well_formed_is_no_command(void **state)
{
    static uint8_t topic[1 + THUMBPRINT_SIZE] = {'x'};
    struct notice_item item = {slice_of(topic, sizeof(topic)), 1, 1, SLICE_LITERAL("one")};
    struct buf storage = {0};
    struct failure f = {0};
    struct command c = claim_of(NOW, 1, &item, 1, &storage);

    (void)state;
    assert_int_equal(command_check(&c, &f), STATUS_INVALID); /* a kind that is not known */
    topic[0] = NOTICE_LIST;
    c = claim_of(NOW, 1, &item, 1, &storage);
    assert_int_equal(command_check(&c, &f), STATUS_INVALID); /* of another length */
    topic[0] = NOTICE_CERTIFICATE;
    c = claim_of(NOW, 1, &item, 1, &storage);
    assert_int_equal(command_check(&c, &f), STATUS_OK);
    c.values[4].bytes.len--;
    assert_int_equal(command_check(&c, &f), STATUS_INVALID);
    c.values[4].bytes.len++;
    c.values[0].bytes = SLICE_LITERAL("ADMIN@ours.example");
    assert_int_equal(command_check(&c, &f), STATUS_INVALID);
    buf_release(&storage);
}

/* Those for whom an administrator answers, when their time has come. */
static void a_plan_holds_what_is_due_and_matters(void **state)
{
    static const struct {
        struct kind kind;
        bool bound, trusted, quarantine, told;
    } rows[] = {
        {.kind = {"own", "a@ours.example", "import", NOW + 29 * DAY, 0, true}, .told = true},
        {.kind = {"own, later", "b@ours.example", "import", NOW + 31 * DAY, 0, true}},
        {.kind = {"own, over", "c@ours.example", "import", NOW - 1, 0, true}},
        {.kind = {"partner's", "p@far.example", "import", NOW + 1, 0, false}, .told = true},
        {.kind = {"learned", "q@far.example", "harvest", NOW + DAY, 0, false}},
        {.kind = {"learned and bound", "gate@far.example", "harvest", NOW + DAY, 0, false},
         .bound = true,
         .told = true},
        {.kind = {"in quarantine", "r@far.example", "import", NOW + DAY, 0, false}, .quarantine = true},
        {.kind = {"anchor", NULL, "harvest", NOW + DAY, CERT_USE_CA, false}, .trusted = true, .told = true},
        {.kind = {"some CA", NULL, "harvest", NOW + DAY, CERT_USE_CA, false}},
    };
    struct world *w = *state;
    struct notice_plan p;
    size_t expected = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t thumbprint[THUMBPRINT_SIZE];
        struct command c;

        add(w, &rows[i].kind, thumbprint);
        expected += rows[i].told;
        if (rows[i].bound) {
            c = simple_command(COMMAND_CERT_BIND, 1, slice_of(thumbprint, sizeof(thumbprint)));
            c.values[1].bytes = SLICE_LITERAL("far.example");
            assert_int_equal(run(w, &c), STATUS_OK);
        }
        if (rows[i].trusted) {
            c = simple_command(COMMAND_TRUST_ADD, 1, slice_of(thumbprint, sizeof(thumbprint)));
            assert_int_equal(run(w, &c), STATUS_OK);
        }
        if (rows[i].quarantine) {
            c = simple_command(COMMAND_CERT_STATE, 1, slice_of(thumbprint, sizeof(thumbprint)));
            c.values[1].number = CERT_QUARANTINE;
            assert_int_equal(run(w, &c), STATUS_OK);
        }
    }
    plan(w, &p, NOW);
    assert_int_equal(p.count, 1);
    assert_true(slice_equal(p.people[0].to, ADMIN));
    assert_int_equal(p.people[0].count, expected);
    for (size_t i = 0; i < p.people[0].count; i++) /* the soonest first */
        assert_true(i == 0 || p.people[0].items[i - 1].until_ms <= p.people[0].items[i].until_ms);
    assert_true(slice_equal(p.people[0].items[0].text, SLICE_LITERAL("p@far.example (a partner's)")));
    assert_int_equal(p.people[0].items[0].before_ms, 7 * DAY);
    assert_int_equal(p.people[0].items[expected - 1].before_ms, 30 * DAY);
    /* Told: not again, and nothing this day; seven days before the end once more. */
    assert_int_equal(claim(w, NOW, 1, p.people[0].items, p.people[0].count), STATUS_OK);
    notice_plan_release(&p);
    assert_int_equal(planned(w, NOW + DAY, "admin@ours.example"), 0); /* under way */
    assert_int_equal(end(w, NOW, 1, NOTICE_ACCEPTED), STATUS_OK);
    assert_int_equal(planned(w, NOW + 1, "admin@ours.example"), 0);
    assert_int_equal(planned(w, NOW + DAY + 1, "admin@ours.example"), 1); /* "own, later" */
    assert_int_equal(planned(w, NOW + 22 * DAY, "admin@ours.example"), 1 + 1);
}

static void each_domain_tells_its_own_and_users_if_wanted(void **state)
{
    static const struct kind kinds[] = {{"1", "a@ours.example", "import", NOW + DAY, 0, true},
                                        {"2", "b@two.example", "import", NOW + DAY, 0, true},
                                        {"3", "c@far.example", "import", NOW + DAY, 0, false}};
    struct world *w = *state;
    uint8_t thumbprint[THUMBPRINT_SIZE];

    for (size_t i = 0; i < 3; i++)
        add(w, &kinds[i], thumbprint);
    set(w, SETTING_DOMAIN, "two.example", "notify.to", "boss@two.example");
    set(w, SETTING_GLOBAL, "", "notify.users", "yes");
    assert_int_equal(planned(w, NOW, "admin@ours.example"), 2);
    assert_int_equal(planned(w, NOW, "boss@two.example"), 1);
    assert_int_equal(planned(w, NOW, "a@ours.example"), 1);
    assert_int_equal(planned(w, NOW, "b@two.example"), 0); /* no domain of ours */
    assert_int_equal(planned(w, NOW, "c@far.example"), 0);
    set(w, SETTING_GLOBAL, "", "notify.to", "");
    assert_int_equal(planned(w, NOW, "admin@ours.example"), 0);
}

static void what_does_not_fit_is_counted(void **state)
{
    struct world *w = *state;
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct notice_plan p;

    set(w, SETTING_DOMAIN, "ours.example", "notify.users", "yes");
    for (unsigned i = 0; i < NOTICE_ITEMS_MAX + 3; i++) {
        char der[16], address[32];
        struct kind k = {der, address, "import", NOW + DAY + i, 0, i < NOTICE_PLAN_PEOPLE + 5};

        assert_true(snprintf(der, sizeof(der), "%u", i) > 0);
        assert_true(snprintf(address, sizeof(address), "u%u@ours.example", i) > 0);
        add(w, &k, thumbprint);
    }
    plan(w, &p, NOW);
    assert_int_equal(p.count, NOTICE_PLAN_PEOPLE);
    assert_true(p.more);
    assert_int_equal(p.people[0].count, NOTICE_ITEMS_MAX);
    assert_int_equal(p.people[0].waiting, 3);
    /* All of it is one command. */
    assert_int_equal(claim(w, NOW, 1, p.people[0].items, p.people[0].count), STATUS_OK);
    assert_int_equal(end(w, NOW, 1, NOTICE_ACCEPTED), STATUS_OK);
    notice_plan_release(&p);
    set(w, SETTING_DOMAIN, "ours.example", "notify.users", "no"); /* they would take all places */
    assert_int_equal(planned(w, NOW + DAY, "admin@ours.example"), 3);
}

static void list_put(struct world *w, uint64_t this_ms, uint64_t next_ms, const char *source)
{
    uint8_t issuer[ISSUER_ID_SIZE] = {3}, part[CRL_PART_SIZE] = {0};
    static uint64_t generation;
    struct crl_record list = {.name = SLICE_LITERAL("CN=far"),
                              .this_ms = this_ms,
                              .next_ms = next_ms,
                              .source = slice_of_text(source)};
    struct buf value = BUF_INIT(COMMAND_MAX);
    struct command c = simple_command(COMMAND_CRL_BEGIN, this_ms, slice_of(issuer, sizeof(issuer)));

    c.values[1].bytes = slice_of(part, sizeof(part));
    c.values[2].number = ++generation;
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(crl_record_encode(&list, &value), STATUS_OK);
    c = simple_command(COMMAND_CRL_FORCE, this_ms, slice_of(issuer, sizeof(issuer)));
    c.values[1].bytes = slice_of(part, sizeof(part));
    c.values[2].number = generation;
    c.values[4].bytes = buf_slice(&value);
    assert_int_equal(run(w, &c), STATUS_OK);
    buf_release(&value);
}

static void a_list_that_is_not_replaced_is_told_twice(void **state)
{
    struct world *w = *state;
    struct notice_plan p;

    list_put(w, NOW - 10 * DAY, NOW, "fetch");
    assert_int_equal(planned(w, NOW - DAY, "admin@ours.example"), 0);
    plan(w, &p, NOW - DAY / 2 + 1);
    assert_int_equal(p.people[0].count, 1);
    assert_true(slice_equal(p.people[0].items[0].text, SLICE_LITERAL("CN=far")));
    assert_int_equal(claim(w, NOW - DAY / 2 + 1, 1, p.people[0].items, 1), STATUS_OK);
    assert_int_equal(end(w, NOW - DAY / 2 + 1, 1, NOTICE_ACCEPTED), STATUS_OK);
    notice_plan_release(&p);
    assert_int_equal(planned(w, NOW - 1, "admin@ours.example"), 0);
    plan(w, &p, NOW + DAY); /* too old */
    assert_int_equal(p.people[0].count, 1);
    assert_int_equal(claim(w, NOW + DAY, 2, p.people[0].items, 1), STATUS_OK);
    assert_int_equal(end(w, NOW + DAY, 2, NOTICE_ACCEPTED), STATUS_OK);
    notice_plan_release(&p);
    assert_int_equal(planned(w, NOW + 5 * DAY, "admin@ours.example"), 0);
    list_put(w, NOW + 6 * DAY, NOW + 7 * DAY, "fetch");
    assert_int_equal(planned(w, NOW + 6 * DAY, "admin@ours.example"), 0);
    assert_int_equal(planned(w, NOW + 7 * DAY, "admin@ours.example"), 1);
    assert_int_equal(planned(w, NOW + 28 * DAY, "admin@ours.example"),
                     0); /* nobody looks after it any more */
}

/* A CA of the cluster renews it: nothing is told of it, unless that has not happened. */
static void a_renewal_that_failed_is_told(void **state)
{
    struct world *w = *state;
    struct buf ca = BUF_INIT(COMMAND_MAX), value = BUF_INIT(COMMAND_MAX);
    uint8_t thumbprint[THUMBPRINT_SIZE], hash[ISSUER_ID_SIZE] = {1};
    struct certificate_record record = {.der = SLICE_LITERAL("issued"),
                                        .subject = SLICE_LITERAL("CN=a"),
                                        .issuer = SLICE_LITERAL("CN=ca"),
                                        .serial = SLICE_LITERAL("02"),
                                        .addresses = {SLICE_LITERAL("a@ours.example")},
                                        .address_count = 1,
                                        .not_after_ms = NOW + 100 * DAY,
                                        .uses = CERT_USE_SIGN | CERT_USE_ENCRYPT,
                                        .source = SLICE_LITERAL("ca")};
    struct command c = simple_command(COMMAND_CA_ADD, 1, SLICE_LITERAL("root"));
    struct notice_plan p;

    make_ca_record("CA", &ca, thumbprint);
    c.values[1].bytes = buf_slice(&ca);
    c.values[2].bytes = c.values[5].bytes = SLICE_LITERAL("sealed");
    c.values[7].number = c.values[8].number = 1;
    c.values[9].bytes = slice_of(hash, sizeof(hash));
    assert_int_equal(run(w, &c), STATUS_OK);
    (void)SHA256(record.der.data, record.der.len, record.thumbprint);
    assert_int_equal(certificate_record_encode(&record, &value), STATUS_OK);
    c = simple_command(COMMAND_CA_ISSUE, 2, SLICE_LITERAL("root"));
    c.values[1].bytes = SLICE_LITERAL("a@ours.example");
    c.values[2].number = CA_ISSUE_IF_NONE;
    c.values[4].number = CA_ISSUED_RENEWS;
    c.values[5].bytes = buf_slice(&value);
    c.values[6].bytes = SLICE_LITERAL("sealed");
    assert_int_equal(run(w, &c), STATUS_OK);
    assert_int_equal(planned(w, NOW + 70 * DAY, "admin@ours.example"), 0); /* ca.renew_before: 30 days */
    plan(w, &p, NOW + 71 * DAY);
    assert_int_equal(p.count, 1);
    assert_int_equal(p.people[0].items[0].topic.data[0], NOTICE_RENEWAL);
    assert_memory_equal(p.people[0].items[0].topic.data + 1, record.thumbprint, THUMBPRINT_SIZE);
    notice_plan_release(&p);
    buf_release(&ca);
    buf_release(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_mail_is_claimed_once_told_once_and_once_a_day, world_make,
                                        world_end),
        cmocka_unit_test_setup_teardown(what_was_refused_was_not_told, begin, world_end),
        cmocka_unit_test(what_is_not_well_formed_is_no_command),
        cmocka_unit_test_setup_teardown(a_plan_holds_what_is_due_and_matters, begin, world_end),
        cmocka_unit_test_setup_teardown(each_domain_tells_its_own_and_users_if_wanted, begin, world_end),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_counted, begin, world_end),
        cmocka_unit_test_setup_teardown(a_list_that_is_not_replaced_is_told_twice, begin, world_end),
        cmocka_unit_test_setup_teardown(a_renewal_that_failed_is_told, begin, world_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
