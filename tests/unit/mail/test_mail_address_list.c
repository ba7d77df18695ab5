/* Address lists: the one From address, or none; and no stack and no time for hostile ones. */
#include "mail_test.h"

#include "mail/address_list.h"

static struct arena arena;

static struct entity message(const char *header)
{
    struct entity e;
    struct failure f;
    OK(entity_read(slice_of_text(header), &arena, &e, &f));
    return e;
}

static void from_is_one_or_none(void **state)
{
    (void)state;
    static const struct {
        const char *header, *from;
    } table[] = {
        {"From: alice@example.org\r\n", "alice@example.org"},
        {"From: Alice <ALICE@Example.ORG>\r\n", "alice@example.org"},
        {"From: \"Doe, Alice\" <alice@example.org>\r\n", "alice@example.org"},
        {"From: \"ceo@victim.example\" <alice@example.org>\r\n", "alice@example.org"},
        {"From: (a comment, with <brackets@x>) Alice (more) <alice@example.org> (end)\r\n",
         "alice@example.org"},
        {"from:\r\n =?utf-8?q?J=C3=BCrgen?=\r\n <j@example.org>\r\n", "j@example.org"},
        {"From: j\xc3\xbcrgen m <j@example.org>\r\n", "j@example.org"},
        {"From: a @ (at) example.org\r\n", "a@example.org"},
        /* Unclear: several, or read differently by different programs. */
        {"From: a@example.org, b@example.org\r\n", ""},
        {"From: a@example.org\r\nFrom: a@example.org\r\n", ""},
        {"From: ceo@victim.example <alice@example.org>\r\n", ""},
        {"From: <ceo@victim.example> <alice@example.org>\r\n", ""},
        {"From: <alice@example.org> ceo@victim.example\r\n", ""},
        {"From: group: alice@example.org;\r\n", ""},
        {"From: <@relay.example:alice@example.org>\r\n", ""},
        {"From: Alice\r\n", ""},
        {"From: a . b @ example.org\r\n", ""},
        {"From: alice@example.org bob\r\n", ""},
        {"From: <alice@example.org\r\n", ""},
        {"From: \"open <alice@example.org>\r\n", ""},
        {"From: <>\r\n", ""},
        {"From:\r\n", ""},
        {"Subject: x\r\n", ""},
        {"From: alice@example.org\r\nno field\r\n", ""},
        {"From: al\x01ice@example.org\r\n", ""},
        {"From: alice@evil.example\\@example.org\r\n", ""},
    };
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char from[ADDRESS_MAX + 1];
        struct entity e = message(table[i].header);
        message_from(&e, from);
        if (strcmp(from, table[i].from) != 0) {
            print_error("[%s] gave [%s]\n", table[i].header, from);
            fail();
        }
    }
    arena_release(&arena);
}

static void named_ones_are_found(void **state)
{
    (void)state;
    struct named_addresses named;
    arena_init(&arena, 1 << 20);
    struct entity e =
        message("To: Friends: a@x.example, \"B, b\" <b@X.example>;, c@x.example\r\nCc: d@x.example\r\n"
                "Resent-To: e@x.example\r\nBcc: f@x.example\r\nSubject: g@x.example\r\n");
    OK(named_addresses_read(&e, &arena, &named));
    assert_int_equal(named.count, 5);
    assert_true(named_addresses_hold(&named, SLICE_LITERAL("a@x.example")));
    assert_true(named_addresses_hold(&named, SLICE_LITERAL("b@x.example")));
    assert_true(named_addresses_hold(&named, SLICE_LITERAL("e@x.example")));
    assert_false(named_addresses_hold(&named, SLICE_LITERAL("f@x.example")));
    assert_false(named_addresses_hold(&named, SLICE_LITERAL("g@x.example")));
    arena_release(&arena);
}

static bool count_address(void *context, struct slice address)
{
    (void)address;
    ++*(size_t *)context;
    return true;
}

/* GMime 3.2.13 overflows its stack on these. */
static void hostile_lists_cost_nothing(void **state)
{
    (void)state;
    static const char *const units[] = {"a:b,", "(", "<", "\"", "a:", "[", "\\", ";", ",", "@", "a@b,"};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        struct buf text = BUF_INIT((size_t)8 << 20);
        size_t count = 0;
        while (text.len < ((size_t)4 << 20)) {
            OK(buf_append_text(&text, units[i]));
        }
        struct address_list_facts facts = address_list_read(buf_slice(&text), count_address, &count);
        assert_true(count <= facts.mailboxes);
        buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_is_one_or_none),
        cmocka_unit_test(named_ones_are_found),
        cmocka_unit_test(hostile_lists_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
