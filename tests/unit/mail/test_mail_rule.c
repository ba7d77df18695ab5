/*
 * Rules: what they ask of a message; what follows; and that neither an expression nor a message can hold a
 * worker up or let a message through when the answer is not known. What is written: test_mail_rule_text.c.
 */
#include "mail_test.h"

#include "mail/rule.h"
#include "tests/support/store_fixture.h"

#include <unistd.h>

#define HANGS_AFTER_S 60 /* some ten milliseconds are enough; without the limits, years are not */

static struct store *store;
static struct store_view *view;
static char dir[64];
static uint64_t applied;

static enum status apply(struct command *c)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct apply_result result;
    struct failure f = {.status = STATUS_OK};
    OK(command_check(c, &f));
    OK(command_encode(c, &encoded));
    size_t size = command_entry_size(encoded.len);
    uint8_t *entry = calloc(1, size);
    assert_non_null(entry);
    command_entry_write(buf_slice(&encoded), entry);
    store_view_end(view);
    OK(store_batch_begin(store, &f));
    OK(store_apply_entry(store, ++applied, slice_of(entry, size), &result, &f));
    OK(store_batch_commit(store, &f));
    OK(store_view_begin(store, &view, &f));
    free(entry);
    buf_release(&encoded);
    return result.status;
}

static void add_member(const char *group, const char *member)
{
    struct command c;
    command_init(&c, COMMAND_GROUP_ADD, 1, SLICE_LITERAL("test"));
    c.values[0].bytes = slice_of_text(group);
    c.values[1].bytes = slice_of_text(member);
    OK(apply(&c));
}

static void set_rule(const char *name, const char *when, const char *then, bool enabled)
{
    struct command c;
    command_init(&c, COMMAND_RULE_SET, 1, SLICE_LITERAL("test"));
    c.values[0].bytes = slice_of_text(name);
    c.values[1].number = enabled;
    c.values[2].bytes = slice_of_text(when);
    c.values[3].bytes = slice_of_text(then);
    OK(apply(&c));
}

static int world_begin(void **state)
{
    (void)state;
    struct failure f;
    temporary_folder(dir);
    store = open_writer(dir);
    OK(store_view_begin(store, &view, &f));
    add_member("finance", "alice@ours.example");
    add_member("finance", "money.example");
    add_member("finance", "*.bank.example");
    add_member("board", "carol@ours.example");
    return 0;
}

static int world_end(void **state)
{
    (void)state;
    store_view_end(view);
    view = NULL;
    store_close(store);
    remove_tree(dir);
    return 0;
}

struct given {
    struct arena arena;
    struct entity entity;
    struct message_facts facts;
    struct attachment attachments[2];
    struct rule_subject subject;
    struct ruleset *set;
};

static void given_make(struct given *g, const char *header)
{
    struct failure f;
    memset(g, 0, sizeof *g);
    arena_init(&g->arena, (size_t)8 << 20);
    OK(entity_read(slice_of_text(header), &g->arena, &g->entity, &f));
    g->attachments[0] =
        (struct attachment){SLICE_LITERAL("application/pdf"), SLICE_LITERAL("Bericht.PDF"), 100};
    g->attachments[1] = (struct attachment){SLICE_LITERAL("image/png"), SLICE_LITERAL("a.b.png"), 100};
    g->facts = (struct message_facts){.message = &g->entity,
                                      .size = 5000,
                                      .kinds = MESSAGE_CALENDAR | MESSAGE_SIGNED,
                                      .attachments = g->attachments,
                                      .attachment_count = 2};
    g->subject = (struct rule_subject){.envelope_sender = SLICE_LITERAL("bounce@lists.example"),
                                       .from = SLICE_LITERAL("alice@ours.example"),
                                       .subject = SLICE_LITERAL("Vertrag GEHEIM 7"),
                                       .message = &g->facts,
                                       .tls = true,
                                       .listener = SLICE_LITERAL("inbound"),
                                       .client_ip = SLICE_LITERAL("10.1.2.3")};
    OK(ruleset_new(&g->set));
}

static void given_end(struct given *g)
{
    ruleset_free(g->set);
    arena_release(&g->arena);
}

static void given_rule(struct given *g, const char *name, const char *when, const char *then)
{
    OK(ruleset_add(g->set, view, slice_of_text(name), slice_of_text(when), slice_of_text(then), NULL));
}

static struct slice given_ask(struct given *g, const char *recipient, unsigned flags,
                              struct rule_outcome *out)
{
    struct buf trace = BUF_INIT((size_t)1 << 20);
    struct json_writer w;
    struct rule_run *run;
    struct failure f;
    struct slice copy;
    json_writer_init(&w, &trace);
    json_open_object(&w, NULL);
    OK(rule_run_begin(g->set, &g->subject, view, flags, &g->arena, &run));
    OK(rule_run_recipient(run, slice_of_text(recipient), out, &w, &f));
    json_close_object(&w);
    OK(json_writer_status(&w));
    assert_true(arena_copy(&g->arena, buf_slice(&trace), &copy));
    buf_release(&trace);
    return copy;
}

static const char header[] = "From: alice@ours.example\r\n"
                             "X-Class: streng\r\n\tgeheim\r\n"
                             "x-class: two\r\n"
                             "X-Empty:\r\n"
                             "X-Word: =?utf-8?b?c3RyZW5nIGdlaGVpbQ==?=\r\n"
                             "X-Bad: gehe\xff\xfeim \x00zero\r\n\r\nbody";

static void conditions(void **state)
{
    (void)state;
    static const struct {
        const char *when;
        bool holds;
    } table[] = {
        {"always", true},
        {"sender alice@ours.example", true},
        {"sender bounce@lists.example", false},
        {"from alice@ours.example", true},
        {"envelope-sender bounce@lists.example", true},
        {"envelope-sender empty", false},
        {"sender in group finance", true},
        {"sender in group board", false},
        {"envelope-sender in group finance", false},
        {"recipient in group finance", true}, /* x@deep.sub.bank.example, by *.bank.example */
        {"recipient in group board", false},
        {"recipient x@deep.sub.bank.example", true},
        {"recipient domain deep.sub.bank.example", true},
        {"recipient domain bank.example", false},
        {"recipient domain *.bank.example", true},
        {"recipient domain *.ank.example", false},
        {"recipient domain *.deep.sub.bank.example", false},
        {"recipient matches /^x@/", true},
        {"recipient matches /^y@/", false},
        {"subject contains \"geheim\"", true},
        {"subject contains \"geheimnis\"", false},
        {"subject = \"vertrag geheim 7\"", true},
        {"subject = \"geheim\"", false},
        {"subject matches /geheim/", false},
        {"subject matches /geheim/i", true},
        {"subject matches /^Vertrag .* [0-9]$/", true},
        {"header \"X-CLASS\" exists", true},
        {"header \"X-Empty\" exists", true},
        {"header \"X-None\" exists", false},
        {"header \"X-Class\" = \"two\"", true},
        {"header \"X-Class\" contains \"geheim\"", true},
        {"header \"X-Class\" matches /^streng\\s+geheim$/", true},
        {"header \"X-Class\" matches /three/", false},
        {"header \"X-Bad\" matches /gehe/", true},
        {"header \"X-Bad\" matches /gehe.+im/", false}, /* what is no UTF-8 is matched by nothing */
        {"header \"X-Bad\" contains \"gehe\"", true},
        {"header \"X-Word\" contains \"streng geheim\"", true},
        {"header \"X-Word\" contains \"=?utf-8?\"", true},
        {"header \"X-Word\" matches /^streng geheim$/", true},
        {"size > 4K", true},
        {"size > 5000", false},
        {"size >= 5000 and size <= 5000 and size = 5000", true},
        {"size < 5000", false},
        {"attachments = 2", true},
        {"attachments > 2", false},
        {"attachment type application/pdf", true},
        {"attachment type image/*", true},
        {"attachment type video/*", false},
        {"attachment type image/p*g", true},
        {"attachment name *.pdf", true},
        {"attachment name *.docx", false},
        {"attachment name a.*.png", true},
        {"attachment name a.png", false},
        {"attachment name matches /^bericht/i", true},
        {"kind calendar", true},
        {"kind signed and not kind encrypted", true},
        {"kind report", false},
        {"tls", true},
        {"auth", false},
        {"listener inbound", true},
        {"listener outbound", false},
        {"client in 10.0.0.0/8", true},
        {"client in \"192.0.2.1, 10.1.2.3\"", true},
        {"client in ::1", false},
        {"not tls or auth", false},
        {"not (tls and auth)", true},
        {"tls and auth or always", true},
        {"tls and (auth or always)", true},
        {"auth and always or tls and not tls", false},
        {"sender in group finance and (recipient domain court.example or header \"X-Class\" matches "
         "/geheim/i) "
         "and size > 4K and not auth",
         true},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (unsigned flags = 0; flags <= RULE_TRACE_ALL; flags++) {
            struct given g;
            struct rule_outcome out;
            given_make(&g, header);
            given_rule(&g, "r", table[i].when, "quarantine");
            (void)given_ask(&g, "x@deep.sub.bank.example", flags, &out);
            if (out.quarantine != table[i].holds || out.broken.len > 0) {
                fail_msg("[%s] %s", table[i].when, out.broken.len > 0 ? "is broken" : "is wrong");
            }
            given_end(&g);
        }
    }
}

static void what_follows(void **state)
{
    (void)state;
    struct given g;
    struct rule_outcome out;
    given_make(&g, header);
    given_rule(&g, "a", "always", "forbid encryption, do not sign, methods pdf, tag \"X-A: 1\"");
    given_rule(&g, "b", "recipient domain court.example",
               "require encryption, sign, methods smime, route relay.example:25, tag \"X-B: 2\", stop");
    given_rule(&g, "c", "recipient domain lost.example", "refuse \"nothing to lost.example\"");
    given_rule(&g, "d", "always", "quarantine, tag \"X-D: 4\"");
    (void)given_ask(&g, "x@court.example", 0, &out);
    assert_int_equal(out.encrypt, RULE_REQUIRE); /* the stricter, although it comes later */
    assert_slice(out.encrypt_rule, "b");
    assert_int_equal(out.sign, RULE_REQUIRE);
    assert_slice(out.methods, "pdf"); /* the first */
    assert_slice(out.route, "relay.example:25");
    assert_int_equal(out.tag_count, 2);
    assert_slice(out.tags[1], "X-B: 2");
    assert_false(out.quarantine);
    assert_int_equal(out.matched, 2);
    (void)given_ask(&g, "x@lost.example", 0, &out);
    assert_slice(out.refuse, "nothing to lost.example");
    assert_slice(out.refuse_rule, "c");
    assert_false(out.quarantine);
    (void)given_ask(&g, "x@else.example", 0, &out);
    assert_int_equal(out.encrypt, RULE_FORBID);
    assert_slice(out.encrypt_rule, "a");
    assert_true(out.quarantine);
    assert_int_equal(out.tag_count, 2);
    given_end(&g);
}

static void a_trace_says_why(void **state)
{
    (void)state;
    struct given g;
    struct rule_outcome out;
    given_make(&g, header);
    given_rule(&g, "a", "tls and recipient domain court.example and auth", "stop");
    given_rule(&g, "b", "not tls", "stop");
    given_rule(&g, "c", "auth or header \"X-Class\" exists", "tag \"X-C: 1\"");
    assert_slice(
        given_ask(&g, "x@y.example", RULE_TRACE_ALL, &out),
        "{\"rules_asked\":["
        "{\"rule\":\"a\",\"matched\":false,\"because\":\"not true: recipient domain court.example\"},"
        "{\"rule\":\"b\",\"matched\":false,\"because\":\"true: tls\"},"
        "{\"rule\":\"c\",\"matched\":true}]}");
    assert_slice(given_ask(&g, "x@y.example", 0, &out),
                 "{\"rules_asked\":[{\"rule\":\"c\",\"matched\":true}]}");
    g.subject.message = NULL;
    assert_slice(given_ask(&g, "x@y.example", 0, &out),
                 "{\"rules_asked\":[{\"rule\":\"c\",\"matched\":false,\"unknown\":\"header \\\"X-Class\\\" "
                 "exists\"}]}");
    assert_int_equal(out.matched, 0);
    given_end(&g);
}

static void a_trace_is_bounded(void **state)
{
    (void)state;
    struct given g;
    struct rule_outcome out;
    char name[16];
    given_make(&g, header);
    for (int i = 0; i < RULES_MAX - 1; i++) {
        assert_true(snprintf(name, sizeof name, "rule%d", i) > 0);
        given_rule(&g, name, i % 2 == 0 ? "recipient domain court.example" : "always", "sign");
    }
    given_rule(&g, "last", "always", "stop");
    for (unsigned flags = 0; flags <= RULE_TRACE_ALL; flags++) {
        struct slice trace = given_ask(&g, "x@y.example", flags, &out);
        assert_in_range(trace.len, 12000, 18000);
        assert_true(slice_holds(trace, "{\"rule\":\"last\",\"matched\":true}],\"rules_omitted\":"));
        assert_int_equal(out.matched, RULES_MAX / 2);
    }
    given_end(&g);
}

static void what_is_not_known_is_neither(void **state)
{
    (void)state;
    static const struct {
        const char *when;
        bool holds;
    } table[] = {
        {"header \"X-Class\" exists", false},
        {"not header \"X-Class\" exists", false},
        {"size < 1M or tls", true},
        {"tls and not kind encrypted", false},
        {"attachments = 0", false},
        {"subject contains \"geheim\"", true}, /* the subject is part of the question */
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct given g;
        struct rule_outcome out;
        given_make(&g, header);
        g.subject.message = NULL;
        given_rule(&g, "r", table[i].when, "quarantine");
        (void)given_ask(&g, "x@y.example", 0, &out);
        assert_int_equal(out.quarantine, table[i].holds);
        assert_int_equal(out.broken.len, 0);
        given_end(&g);
    }
}

/* --- what cannot be evaluated refuses --- */

static void a_broken_rule_stops_whom_it_reaches(void **state)
{
    (void)state;
    static const struct {
        const char *when, *then, *says;
    } table[] = {
        {"sender in group nobody", "stop", "the rule bad cannot be evaluated: there is no group nobody"},
        {"a future condition", "stop",
         "the rule bad cannot be evaluated: its condition: position 1: expected a condition (sender, "
         "recipient, "
         "subject, header, size, ...), not \"a\""},
        {"always", "sing",
         "the rule bad cannot be evaluated: its actions: position 1: there is no action \"sing\"; "
         "did you mean sign?"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct given g;
        struct rule_outcome out;
        given_make(&g, header);
        given_rule(&g, "good", "recipient domain early.example", "forbid encryption, stop");
        given_rule(&g, "bad", table[i].when, table[i].then);
        given_rule(&g, "after", "always", "quarantine");
        (void)given_ask(&g, "x@early.example", 0, &out);
        assert_int_equal(out.broken.len, 0);
        (void)given_ask(&g, "x@late.example", 0, &out);
        assert_slice(out.broken, table[i].says);
        assert_false(out.quarantine);
        given_end(&g);
    }
}

static void catastrophic_expressions_end(void **state)
{
    (void)state;
    static const char *const patterns[] = {"^(a+)+$",
                                           "(a|aa)+$",
                                           "^(?:a?){60}a{60}$",
                                           "(.*)(.*)(.*)(.*)(.*)[^a]$",
                                           "(a*)*$",
                                           "^((a)|(?1)(?1))+$",
                                           "^(?:.*a){12}[^a!]?$",
                                           "(?:a+a+)+[^a]{2}",
                                           "((?:a|a)(?:a|a)(?:a|a))*!!"};
    static char subject[1000];
    memset(subject, 'a', 998);
    subject[997] = '!';
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct given g;
        struct rule_outcome out;
        char when[200];
        given_make(&g, header);
        g.subject.subject = slice_of(subject, 998);
        assert_true(snprintf(when, sizeof when, "subject matches /%s/", patterns[i]) > 0);
        given_rule(&g, "slow", when, "stop");
        (void)alarm(HANGS_AFTER_S);
        (void)given_ask(&g, "x@y.example", 0, &out);
        (void)alarm(0);
        if (out.broken.len > 0) {
            assert_true(
                slice_holds(out.broken, "the rule slow cannot be evaluated: the regular expression "));
        }
        given_end(&g);
    }
}

/* Many recipients must not multiply what one expression may cost. */
static void limits_are_for_the_whole_run(void **state)
{
    (void)state;
    struct given g;
    struct rule_run *run;
    struct rule_outcome out;
    struct failure f;
    char recipient[200];
    given_make(&g, header);
    given_rule(&g, "slow", "recipient matches /^(a+)+$/", "stop");
    OK(rule_run_begin(g.set, &g.subject, view, 0, &g.arena, &run));
    memset(recipient, 'a', 60);
    (void)alarm(HANGS_AFTER_S);
    for (int i = 0; i < 1000; i++) {
        assert_true(snprintf(recipient + 60, 100, "@d%d.example", i) > 0);
        OK(rule_run_recipient(run, slice_of_text(recipient), &out, NULL, &f));
        assert_true(out.broken.len > 0);
    }
    (void)alarm(0);
    assert_slice(out.broken,
                 "the rule slow cannot be evaluated: too many regular expressions took too long on this "
                 "message");
    given_end(&g);
}

/* Two conditions that cannot be evaluated for the whole message: each recipient is told of the one that he
 * comes to, also the second time. */
static void each_is_told_why(void **state)
{
    static const char *const ask[][2] = {{"x@l.example", "rule long "},
                                         {"x@m.example", "rule many "},
                                         {"y@l.example", "rule long "},
                                         {"y@m.example", "rule many "}};
    (void)state;
    struct buf text = BUF_INIT((size_t)1 << 20);
    struct given g;
    struct rule_run *run;
    struct rule_outcome out;
    struct failure f;
    OK(buf_append_text(&text, "X-Long: "));
    for (int i = 0; i < 60000; i++) {
        OK(buf_append_text(&text, i % 70 == 69 ? "\r\n " : "y"));
    }
    OK(buf_append_text(&text, "\r\n"));
    for (int i = 0; i < 101; i++) {
        OK(buf_append_text(&text, "X-Many: 1\r\n"));
    }
    OK(buf_append_text(&text, "\r\n"));
    given_make(&g, buf_text(&text));
    given_rule(&g, "long", "recipient domain l.example and header \"X-Long\" matches /END/", "stop");
    given_rule(&g, "many", "recipient domain m.example and header \"X-Many\" = \"2\"", "stop");
    OK(rule_run_begin(g.set, &g.subject, view, 0, &g.arena, &run));
    for (size_t i = 0; i < 4; i++) {
        OK(rule_run_recipient(run, slice_of_text(ask[i][0]), &out, NULL, &f));
        assert_true(slice_holds(out.broken, ask[i][1]));
        assert_true(slice_holds(out.broken, i % 2 == 0 ? "too long" : "too many header fields"));
    }
    given_end(&g);
    buf_release(&text);
}

static void long_and_many_fields(void **state)
{
    (void)state;
    struct buf text = BUF_INIT((size_t)1 << 20);
    struct given g;
    struct rule_outcome out;
    OK(buf_append_text(&text, "X-Long: "));
    for (int i = 0; i < 60000; i++) {
        OK(buf_append_text(&text, i % 70 == 69 ? "\r\n " : "y"));
    }
    OK(buf_append_text(&text, "END\r\n"));
    for (int i = 0; i < 101; i++) {
        OK(buf_append_text(&text, "X-Many: 1\r\n"));
    }
    OK(buf_append_text(&text, "\r\n"));
    given_make(&g, buf_text(&text));
    given_rule(&g, "contains", "header \"X-Long\" contains \"yEND\"", "tag \"X-A: 1\"");
    given_rule(&g, "found", "header \"X-Many\" = \"1\"", "tag \"X-A: 2\"");
    (void)given_ask(&g, "x@y.example", 0, &out);
    assert_int_equal(out.broken.len, 0);
    assert_int_equal(out.tag_count, 2);
    given_rule(&g, "long", "recipient domain l.example and header \"X-Long\" matches /END/", "stop");
    given_rule(&g, "many", "recipient domain m.example and header \"X-Many\" = \"2\"", "stop");
    (void)given_ask(&g, "x@l.example", 0, &out);
    assert_slice(out.broken,
                 "the rule long cannot be evaluated: the text is too long for a regular expression");
    (void)given_ask(&g, "x@m.example", 0, &out);
    assert_slice(out.broken,
                 "the rule many cannot be evaluated: the message has too many header fields of one name");
    (void)given_ask(&g, "x@y.example", 0, &out);
    assert_int_equal(out.broken.len, 0);
    given_end(&g);
    buf_release(&text);
}

/* What cannot be looked at is not the same as not there. */
static void attachments_that_cannot_be_looked_at(void **state)
{
    (void)state;
    static struct attachment many[FACTS_ATTACHMENTS_MAX];
    static uint8_t name[60000];
    struct given g;
    struct rule_outcome out;
    memset(name, 'y', sizeof name);
    given_make(&g, header);
    g.facts.attachments = many;
    g.facts.attachment_count = 2;
    many[0] = (struct attachment){SLICE_LITERAL("text/plain"), slice_of(name, sizeof name), 1};
    for (size_t i = 1; i < FACTS_ATTACHMENTS_MAX; i++) {
        many[i] = (struct attachment){SLICE_LITERAL("text/plain"), SLICE_LITERAL("b.txt"), 1};
    }
    given_rule(&g, "long", "attachment name matches /END/", "stop");
    (void)given_ask(&g, "x@y.example", 0, &out);
    assert_slice(out.broken,
                 "the rule long cannot be evaluated: the text is too long for a regular expression");
    given_end(&g);

    given_make(&g, header);
    g.facts.attachments = many;
    g.facts.attachment_count = FACTS_ATTACHMENTS_MAX - 1;
    given_rule(&g, "listed", "attachment name *.exe", "stop");
    (void)given_ask(&g, "x@y.example", 0, &out);
    assert_int_equal(out.broken.len, 0);
    given_end(&g);
    given_make(&g, header);
    g.facts.attachments = many;
    g.facts.attachment_count = FACTS_ATTACHMENTS_MAX; /* there may be more */
    given_rule(&g, "listed", "attachment name *.exe", "stop");
    (void)given_ask(&g, "x@y.example", 0, &out);
    assert_slice(out.broken,
                 "the rule listed cannot be evaluated: the message has more attachments than are looked at");
    given_end(&g);
}

/* Who requires is not overruled by who forbids, whichever rule comes first. */
static void what_is_required_stays_required(void **state)
{
    (void)state;
    static const char *const orders[2][2] = {{"require encryption, sign", "forbid encryption, do not sign"},
                                             {"forbid encryption, do not sign", "require encryption, sign"}};
    for (size_t i = 0; i < 2; i++) {
        struct given g;
        struct rule_outcome out;
        given_make(&g, header);
        given_rule(&g, "first", "always", orders[i][0]);
        given_rule(&g, "second", "always", orders[i][1]);
        (void)given_ask(&g, "x@y.example", 0, &out);
        assert_int_equal(out.encrypt, RULE_REQUIRE);
        assert_int_equal(out.sign, RULE_REQUIRE);
        assert_slice(out.encrypt_rule, i == 0 ? "first" : "second");
        given_end(&g);
    }
}

/* A field is read as one line, wherever it was folded. */
static void folded_fields_are_one_line(void **state)
{
    (void)state;
    struct given g;
    struct rule_outcome out;
    given_make(&g, "X-Class: top\r\n secret\r\n\r\n");
    given_rule(&g, "is", "header \"X-Class\" = \"top secret\"", "tag \"X-A: 1\"");
    given_rule(&g, "matches", "header \"X-Class\" matches /^top secret$/", "tag \"X-A: 2\"");
    (void)given_ask(&g, "x@y.example", 0, &out);
    assert_int_equal(out.broken.len, 0);
    assert_int_equal(out.tag_count, 2);
    given_end(&g);
}

static void too_many_tags_are_an_error(void **state)
{
    (void)state;
    struct given g;
    struct rule_outcome out;
    given_make(&g, header);
    for (int i = 0; i < RULE_TAGS_MAX + 1; i++) {
        char name[8];
        assert_true(snprintf(name, sizeof name, "r%d", i) > 0);
        given_rule(&g, name, "always", "tag \"X-A: 1\"");
    }
    (void)given_ask(&g, "x@y.example", 0, &out);
    assert_slice(out.broken, "the rule r16 cannot be evaluated: there are too many tags");
    given_end(&g);
}

/* --- the store's rules --- */

static void rules_come_from_the_store(void **state)
{
    (void)state;
    struct given g;
    struct rule_outcome out;
    struct failure f;
    struct command c;
    uint64_t before = store_policy_generation(view);
    set_rule("first", "recipient in group board", "tag \"X-Board: yes\"", true);
    set_rule("off", "always", "refuse \"never\"", false);
    set_rule("last", "sender in group finance", "require encryption", true);
    assert_int_equal(store_policy_generation(view), before + 3);
    given_make(&g, header);
    ruleset_free(g.set);
    OK(ruleset_load(view, &g.set, &f));
    assert_int_equal(ruleset_count(g.set), 2);
    (void)given_ask(&g, "carol@ours.example", 0, &out);
    assert_int_equal(out.tag_count, 1);
    assert_int_equal(out.encrypt, RULE_REQUIRE);
    assert_slice(out.refuse, "");
    given_end(&g);
    /* A group that goes takes the rule's meaning with it. */
    command_init(&c, COMMAND_GROUP_REMOVE, 1, SLICE_LITERAL("test"));
    c.values[0].bytes = SLICE_LITERAL("board");
    OK(apply(&c));
    assert_int_equal(store_policy_generation(view), before + 4);
    given_make(&g, header);
    ruleset_free(g.set);
    OK(ruleset_load(view, &g.set, &f));
    (void)given_ask(&g, "carol@ours.example", 0, &out);
    assert_slice(out.broken, "the rule first cannot be evaluated: there is no group board");
    given_end(&g);
}

static void a_set_is_bounded(void **state)
{
    (void)state;
    struct given g;
    struct failure why = {.status = STATUS_OK};
    given_make(&g, header);
    for (int i = 0; i < RULES_MAX; i++) {
        given_rule(&g, "r", "recipient domain court.example", "stop");
    }
    assert_int_equal(
        ruleset_add(g.set, view, SLICE_LITERAL("r"), SLICE_LITERAL("always"), SLICE_LITERAL("stop"), &why),
        STATUS_TOO_LARGE);
    given_end(&g);
    given_make(&g, header);
    /* Each compiles to some 50 KB: a few hundred are too much, and the rest is broken. */
    struct slice broken = {0};
    for (int i = 0; i < RULES_MAX && broken.len == 0; i++) {
        OK(ruleset_add(g.set, view, SLICE_LITERAL("r"), SLICE_LITERAL("subject matches /(abcdefghij){2000}/"),
                       SLICE_LITERAL("stop"), &why));
        broken = slice_of_text(why.text);
    }
    assert_slice(broken, "the regular expressions of all rules are too large");
    given_end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions),
        cmocka_unit_test(what_follows),
        cmocka_unit_test(a_trace_says_why),
        cmocka_unit_test(a_trace_is_bounded),
        cmocka_unit_test(what_is_not_known_is_neither),
        cmocka_unit_test(a_broken_rule_stops_whom_it_reaches),
        cmocka_unit_test(catastrophic_expressions_end),
        cmocka_unit_test(limits_are_for_the_whole_run),
        cmocka_unit_test(each_is_told_why),
        cmocka_unit_test(long_and_many_fields),
        cmocka_unit_test(attachments_that_cannot_be_looked_at),
        cmocka_unit_test(what_is_required_stays_required),
        cmocka_unit_test(folded_fields_are_one_line),
        cmocka_unit_test(too_many_tags_are_an_error),
        cmocka_unit_test(rules_come_from_the_store),
        cmocka_unit_test(a_set_is_bounded),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
