/* Which way a message goes: encrypt.internal, and whom relay.unknown_sender keeps out. */
#include "mail_world.h"

static struct world w;

#define TEXT "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nbetween us\r\n"

static int set_up(void **state)
{
    (void)state;
    world_make(&w);
    world_identity(&w, &(struct identity){.name = "alice",
                                          .address = "alice@ours.example",
                                          .days = 300,
                                          .key_type = "ec",
                                          .with_key = true});
    world_identity(
        &w,
        &(struct identity){
            .name = "carl", .address = "carl@ours.example", .days = 300, .key_type = "ec", .with_key = true});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

static struct slice process(const char *sender, const char *from, const char *recipient)
{
    const char *recipients[] = {recipient, NULL};
    char text[500];
    assert_true(snprintf(text, sizeof text, "From: %s\r\nTo: %s\r\n" TEXT, from, recipient) <
                (int)sizeof text);
    world_process_text(&w, sender, recipients, text);
    assert_int_equal(w.out.result.status, STATUS_OK);
    return w.out.result.variants[0].protection;
}

#define IS(slice, text) assert_true(slice_equal((slice), slice_of_text(text)))

static void among_us_as_the_setting_says(void **state)
{
    (void)state;
    static const struct {
        const char *sender, *from, *client, *value, *protection;
    } table[] = {
        {"alice@ours.example", "alice@ours.example", "10.1.2.3", "no", "none"},
        {"alice@ours.example", "alice@ours.example", "10.1.2.3", "yes", "smime-signed-encrypted"},
        /* Not from one of our servers: it may be forged, and nobody signs that. */
        {"alice@ours.example", "alice@ours.example", "192.0.2.1", "yes", "none"},
        {"alice@ours.example", "alice@ours.example", "", "yes", "none"},
        /* From outside, in either place. */
        {"eve@evil.example", "alice@ours.example", "10.1.2.3", "yes", "none"},
        {"alice@ours.example", "eve@evil.example", "10.1.2.3", "yes", "none"},
        {"eve@evil.example", "eve@evil.example", "10.1.2.3", "yes", "none"},
        /* A report of ours. */
        {"", "alice@ours.example", "10.1.2.3", "yes", "none"},
    };
    world_set(&w, SETTING_GLOBAL, "", "encrypt.internal_from", "10.0.0.0/8");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        w.client_ip = table[i].client;
        world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.internal", table[i].value);
        struct slice got = process(table[i].sender, table[i].from, "carl@ours.example");
        if (!slice_equal(got, slice_of_text(table[i].protection))) {
            print_error("row %zu: %.*s\n", i, SLICE_ARGS(got));
            fail();
        }
    }
    /* Nobody's server is ours before somebody says so. */
    world_set(&w, SETTING_GLOBAL, "", "encrypt.internal_from", NULL);
    w.client_ip = "10.1.2.3";
    IS(process("alice@ours.example", "alice@ours.example", "carl@ours.example"), "none");
    assert_true(slice_holds(w.out.result.trace, "not in encrypt.internal_from"));
}

static void what_we_encrypted_stays_so_at_the_next_gateway(void **state)
{
    (void)state;
    const char *recipients[] = {"carl@ours.example", NULL};
    struct buf first = BUF_INIT(1 << 20);
    world_set(&w, SETTING_GLOBAL, "", "encrypt.internal_from", "10.0.0.0/8");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.internal", "yes");
    w.client_ip = "10.1.2.3";
    IS(process("alice@ours.example", "alice@ours.example", "carl@ours.example"), "smime-signed-encrypted");
    OK(buf_append_slice(&first, world_content(&w, 0, (struct slice){0})));
    static const char *const clients[] = {"10.1.2.3", "192.0.2.1"};
    for (size_t i = 0; i < 2; i++) {
        w.client_ip = clients[i];
        world_process(&w, "alice@ours.example", recipients, buf_slice(&first));
        assert_int_equal(w.out.result.status, STATUS_OK);
        assert_true(w.out.result.variants[0].unchanged);
        IS(w.out.result.variants[0].protection, "none");
    }
    /* For who does not have the setting, it comes in and is opened. */
    world_set(&w, SETTING_USER, "carl@ours.example", "encrypt.internal", "no");
    world_process(&w, "alice@ours.example", recipients, buf_slice(&first));
    IS(w.out.result.variants[0].protection, "decrypted");
    world_set(&w, SETTING_USER, "carl@ours.example", "encrypt.internal", NULL);
    /* A partner's ciphertext is opened as ever. */
    world_process(&w, "eve@evil.example", recipients, buf_slice(&first));
    IS(w.out.result.variants[0].protection, "decrypted");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.internal", NULL);
    world_set(&w, SETTING_GLOBAL, "", "encrypt.internal_from", NULL);
    buf_release(&first);
}

static void mandatory_among_us_is_refused_without_a_key(void **state)
{
    (void)state;
    const char *recipients[] = {"keyless@ours.example", NULL};
    world_set(&w, SETTING_GLOBAL, "", "encrypt.internal_from", "10.0.0.0/8");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.internal", "yes");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "mandatory");
    w.client_ip = "10.1.2.3";
    world_process_text(&w, "alice@ours.example", recipients,
                       "From: alice@ours.example\r\nTo: keyless@ours.example\r\n" TEXT);
    assert_int_equal(w.out.result.status, STATUS_NO_KEY);
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.internal", NULL);
    world_set(&w, SETTING_GLOBAL, "", "encrypt.internal_from", NULL);
}

static void strangers_are_not_relayed(void **state)
{
    (void)state;
    static const struct {
        const char *sender, *header, *recipient;
        bool passes;
    } table[] = {
        {"alice@ours.example", "From: alice@ours.example\r\n", "bob@partner.example", true},
        {"x@else.example", "From: x@else.example\r\n", "bob@partner.example", false},
        {"x@else.example", "From: x@else.example\r\n", "alice@ours.example", true}, /* comes in */
        {"x@else.example", "From: alice@ours.example\r\n", "bob@partner.example", true},
        {"alice@ours.example", "From: x@else.example\r\n", "bob@partner.example", true}, /* passed on */
        {"x@else.example", "", "bob@partner.example", false},
        {"", "From: x@else.example\r\n", "bob@partner.example", false}, /* anybody can write MAIL FROM:<> */
        {"", "From: x@host.else.example\r\nAuto-Submitted: auto-replied\r\n", "bob@partner.example", true},
        {"x@else.example", "From: x@else.example\r\nAuto-Submitted: auto-replied\r\n", "bob@partner.example",
         false},
    };
    world_set(&w, SETTING_GLOBAL, "", "relay.unknown_sender", NULL);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *recipients[] = {table[i].recipient, NULL};
        char text[500];
        assert_true(snprintf(text, sizeof text, "%sTo: %s\r\n" TEXT, table[i].header, table[i].recipient) <
                    (int)sizeof text);
        world_process_text(&w, table[i].sender, recipients, text);
        if ((w.out.result.status == STATUS_OK) != table[i].passes) {
            print_error("row %zu: %s\n", i, status_text(w.out.result.status));
            fail();
        }
        if (!table[i].passes) {
            assert_int_equal(w.out.result.status, STATUS_POLICY);
            assert_true(slice_holds(w.out.result.refusals[0].reason, "relay.unknown_sender"));
        }
    }
    world_set(&w, SETTING_GLOBAL, "", "relay.unknown_sender", "pass");
    IS(process("x@else.example", "x@else.example", "bob@partner.example"), "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(among_us_as_the_setting_says),
        cmocka_unit_test(what_we_encrypted_stays_so_at_the_next_gateway),
        cmocka_unit_test(mandatory_among_us_is_refused_without_a_key),
        cmocka_unit_test(strangers_are_not_relayed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
