/*
 * Rules that are found by address and domain (mail/rule_index.c) decide as rules that are asked one by one:
 * random sets, asked for several recipients, once as mail is and once as `policy explain` does, which looks
 * at each rule. The conditions are few, so that they hold often; some cannot be evaluated, and some are not
 * known.
 */
#include "mail_test.h"

#include "mail/rule.h"
#include "tests/support/store_fixture.h"

static struct store *store;
static struct store_view *view;
static char dir[64];
static uint64_t dice_state = 20261124;

static int world_begin(void **state)
{
    (void)state;
    struct failure f;
    temporary_folder(dir);
    store = open_writer(dir);
    OK(store_view_begin(store, &view, &f));
    return 0;
}

static int world_end(void **state)
{
    (void)state;
    store_view_end(view);
    store_close(store);
    remove_tree(dir);
    return 0;
}

static unsigned dice(unsigned sides) /* the same in each run: xorshift */
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (unsigned)(dice_state % sides);
}

static const char *pick(const char *const *of, size_t count)
{
    return of[dice((unsigned)count)];
}
#define PICK(array) pick(array, sizeof array / sizeof array[0])

static const char *const addresses[] = {"a@x.example",   "b@x.example",          "a@sub.x.example",
                                        "a@y.example",   "c@deep.sub.x.example", "a@example",
                                        "b@subx.example"};
static const char *const domains[] = {"x.example", "*.x.example", "sub.x.example",  "*.example",
                                      "y.example", "example",     "*.sub.x.example"};

static void write_condition(struct buf *out)
{
    static const char *const whose[] = {"sender",    "envelope-sender", "from",
                                        "recipient", "recipient",       "recipient"};
    static const char *const others[] = {"always",
                                         "tls",
                                         "not auth",
                                         "size > 1K",
                                         "size < 1K",
                                         "kind signed",
                                         "subject contains \"offer\"",
                                         "subject contains \"none\"",
                                         "header \"X-One\" exists",
                                         "header \"x-one\" = \"2\"",
                                         "header \"X-None\" exists",
                                         "header \"X-Many\" contains \"q\"" /* too many: an error */,
                                         "attachments = 0",
                                         "attachment name *.pdf",
                                         "client in 10.0.0.0/8",
                                         "listener inbound",
                                         "subject matches /of+er/",
                                         "from empty"};
    unsigned which = dice(10);
    if (which < 3) {
        OK(buf_printf(out, "%s %s", PICK(whose), PICK(addresses)));
    } else if (which < 7) {
        OK(buf_printf(out, "%s domain %s", PICK(whose), PICK(domains)));
    } else if (which == 7) {
        OK(buf_printf(out, "%s matches /^a@/", PICK(whose)));
    } else {
        OK(buf_append_text(out, PICK(others)));
    }
}

static void write_expression(struct buf *out, unsigned depth)
{
    unsigned which = depth == 0 ? 0 : dice(6), count = 2 + dice(2);
    if (which < 2) {
        write_condition(out);
        return;
    }
    OK(buf_append_text(out, which == 5 ? "not (" : "("));
    for (unsigned i = 0; i < count; i++) {
        OK(buf_append_text(out, i == 0 ? "" : which == 2 ? " or " : " and "));
        write_expression(out, depth - 1);
    }
    OK(buf_append_text(out, ")"));
}

static void fill(struct ruleset *set, struct buf *texts)
{
    static const char *const actions[] = {
        "require encryption", "forbid encryption",      "sign",         "do not sign",
        "methods smime",      "route relay.example:25", "quarantine",   "tag \"X-A: 1\"",
        "tag \"X-B: 2\"",     "tag \"X-C: 3\", stop",   "refuse \"no\""};
    struct buf when = BUF_INIT(8192);
    char name[16];
    unsigned count = 1 + dice(70); /* of one or two words of bits */
    for (unsigned i = 0; i < count; i++) {
        struct failure why = {.status = STATUS_OK};
        buf_reset(&when);
        write_expression(&when, dice(4));
        assert_true(snprintf(name, sizeof name, "r%u", i) > 0);
        const char *then = PICK(actions);
        OK(buf_printf(texts, "%s: %.*s -> %s\n", name, SLICE_ARGS(buf_slice(&when)), then));
        OK(ruleset_add(set, view, slice_of_text(name),
                       dice(60) == 0 ? SLICE_LITERAL("broken") : buf_slice(&when), slice_of_text(then),
                       &why));
    }
    buf_release(&when);
}

static bool is_same(const struct rule_outcome *a, const struct rule_outcome *b)
{
    bool same = slice_equal(a->broken, b->broken) && slice_equal(a->refuse, b->refuse) &&
                slice_equal(a->refuse_rule, b->refuse_rule) && a->encrypt == b->encrypt &&
                a->sign == b->sign && slice_equal(a->encrypt_rule, b->encrypt_rule) &&
                slice_equal(a->sign_rule, b->sign_rule) && slice_equal(a->methods, b->methods) &&
                slice_equal(a->route, b->route) && a->quarantine == b->quarantine &&
                a->tag_count == b->tag_count && a->matched == b->matched;
    for (size_t i = 0; same && i < a->tag_count; i++) {
        same = slice_equal(a->tags[i], b->tags[i]);
    }
    return same;
}

static void make_message(struct buf *out)
{
    OK(buf_append_text(out, "X-One: 1\r\nX-ONE: 2\r\n"));
    for (unsigned i = 0; i < 101; i++) {
        OK(buf_append_text(out, "X-Many: m\r\n"));
    }
    OK(buf_append_text(out, "\r\nbody\r\n"));
}

static void one_set(const struct message_facts *facts, struct arena *a, unsigned found[2])
{
    struct rule_run *asked, *found_by_key;
    struct ruleset *set;
    struct failure f;
    struct buf texts = BUF_INIT((size_t)1 << 20);
    struct rule_subject subject = {.envelope_sender = slice_of_text(dice(5) == 0 ? "" : PICK(addresses)),
                                   .from = slice_of_text(dice(5) == 0 ? "" : PICK(addresses)),
                                   .subject = SLICE_LITERAL("An Offer"),
                                   .message = dice(3) == 0 ? NULL : facts,
                                   .tls = dice(2) == 0,
                                   .listener = SLICE_LITERAL("inbound"),
                                   .client_ip = SLICE_LITERAL("10.1.2.3")};
    OK(ruleset_new(&set));
    fill(set, &texts);
    OK(rule_run_begin(set, &subject, view, RULE_TRACE_ALL, a, &asked));
    OK(rule_run_begin(set, &subject, view, 0, a, &found_by_key));
    for (unsigned i = 0; i < 6; i++) {
        const char *recipient = PICK(addresses);
        struct rule_outcome want, got;
        OK(rule_run_recipient(asked, slice_of_text(recipient), &want, NULL, &f));
        OK(rule_run_recipient(found_by_key, slice_of_text(recipient), &got, NULL, &f));
        if (!is_same(&want, &got)) {
            fail_msg("from %.*s, envelope %.*s to %s: %zu matched [%.*s], by key %zu [%.*s]\n%.*s",
                     SLICE_ARGS(subject.from), SLICE_ARGS(subject.envelope_sender), recipient, want.matched,
                     SLICE_ARGS(want.broken), got.matched, SLICE_ARGS(got.broken),
                     SLICE_ARGS(buf_slice(&texts)));
        }
        found[0] += want.matched > 0;
        found[1] += want.broken.len > 0;
    }
    ruleset_free(set);
    buf_release(&texts);
}

static void found_by_key_is_as_asked(void **state)
{
    (void)state;
    enum { SETS = 600 };
    unsigned found[2] = {0, 0};
    struct buf text = BUF_INIT(8192);
    make_message(&text);
    for (unsigned i = 0; i < SETS; i++) {
        struct arena a;
        struct entity entity;
        struct failure f;
        arena_init(&a, (size_t)8 << 20);
        OK(entity_read(buf_slice(&text), &a, &entity, &f));
        struct message_facts facts = {.message = &entity, .size = 5000, .kinds = MESSAGE_SIGNED};
        one_set(&facts, &a, found);
        arena_release(&a);
    }
    /* Many match, many are broken, and many are neither: else nothing was shown. */
    assert_in_range(found[0], SETS, 6 * SETS - 1);
    assert_in_range(found[1], SETS / 2, 5 * SETS);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_key_is_as_asked),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
