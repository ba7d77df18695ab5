/*
 * The algorithms of S/MIME as settings and certificates choose them, seen in what leaves; and compressed
 * content inside and outside of what comes in. The openssl tool is the other side.
 */
#include "mail_world.h"

#include "crypto/smime.h"
#include "mail/entity.h"
#include "mail/transfer_encoding.h"

static struct world w;

#define OURS    "alice@ours.example"
#define PARTNER "bob@partner.example"
#define TEXT    "The plan is simple."

static const char plain[] =
    "From: Alice <alice@ours.example>\r\nTo: bob@partner.example, gus@partner.example\r\nSubject: plans\r\n"
    "Message-ID: <1@ours.example>\r\n\r\n" TEXT " " TEXT " " TEXT " " TEXT "\r\n";

static int set_up(void **state)
{
    static const struct identity people[] = {
        {.name = "alice", .address = OURS, .days = 300, .with_key = true},
        {.name = "ned",
         .address = "ned@ours.example",
         .days = 200,
         .with_key = true,
         .usage = "digitalSignature"},
        {.name = "ned2",
         .address = "ned@ours.example",
         .days = 100,
         .with_key = true,
         .usage = "keyEncipherment"},
        {.name = "eddy",
         .address = "eddy@ours.example",
         .days = 300,
         .with_key = true,
         .key_type = "ed25519"},
        {.name = "bob", .address = PARTNER, .days = 300},
        {.name = "gus", .address = "gus@partner.example", .days = 300, .knows_gcm = true},
    };
    (void)state;
    world_make_with(&w, people, sizeof people / sizeof people[0]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

/* What leaves for bob alone, also in the file "msg". */
static struct slice sent_by(const char *sender)
{
    struct buf message = BUF_INIT(65536);
    OK(buf_printf(&message, "From: %s\r\nTo: bob@partner.example\r\nSubject: s\r\n\r\n" TEXT "\r\n", sender));
    world_process(&w, sender, (const char *const[]){PARTNER, NULL}, buf_slice(&message));
    struct slice content = world_accepted(&w);
    world_file_write(&w, "msg", content);
    buf_release(&message);
    return content;
}

static void the_digest_and_the_padding_are_settings(void **state)
{
    static const struct {
        const char *digest, *pss, *micalg, *shown;
    } rows[] = {
        {"sha256", "no", "micalg=\"sha-256\"", "rsaEncryption"},
        {"sha384", "no", "micalg=\"sha-384\"", "sha384"},
        {"sha512", "no", "micalg=\"sha-512\"", "sha512"},
        {"sha512", "yes", "micalg=\"sha-512\"", "rsassaPss"},
        {"sha256", "yes", "micalg=\"sha-256\"", "rsassaPss"},
    };
    (void)state;
    world_set(&w, SETTING_GLOBAL, "", "encrypt.mode", "none");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "always");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world_set(&w, SETTING_DOMAIN, "ours.example", "smime.digest", rows[i].digest);
        world_set(&w, SETTING_USER, OURS, "smime.pss", rows[i].pss);
        assert_true(slice_holds(sent_by(OURS), rows[i].micalg));
        world_shell(&w,
                    "openssl cms -verify -in msg -CAfile ca.pem -out verified && "
                    "openssl cms -cmsout -print -noout -in msg | grep -q %s",
                    rows[i].shown);
    }
    /* An Ed25519 key: always SHA-512, and micalg says so. OpenSSL 3.0's tool cannot verify it, but read it.
     */
    assert_true(slice_holds(sent_by("eddy@ours.example"), "micalg=\"sha-512\""));
    world_shell(&w, "openssl cms -cmsout -print -noout -in msg | grep -q ED25519");
    world_set(&w, SETTING_DOMAIN, "ours.example", "smime.digest", "sha256");
    world_set(&w, SETTING_USER, OURS, "smime.pss", "no");
}

static void a_second_certificate_is_named_for_answers(void **state)
{
    (void)state;
    (void)sent_by("ned@ours.example");
    world_shell(&w, "openssl cms -verify -in msg -CAfile ca.pem -out verified && "
                    "openssl cms -cmsout -print -noout -in msg >shown && grep -q encrypKeyPref shown && "
                    "test $(grep -c 'subject: CN *= *ned' shown) -eq 2");
    (void)sent_by(OURS);
    world_shell(&w, "openssl cms -cmsout -print -noout -in msg >shown && ! grep -q encrypKeyPref shown");
    world_set(&w, SETTING_GLOBAL, "", "encrypt.mode", "opportunistic");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "with-encryption");
}

static void the_key_transport_is_a_setting(void **state)
{
    static const struct {
        const char *value, *shown;
    } rows[] = {{"auto", "rsaEncryption"}, {"oaep", "rsaesOaep"}, {"pkcs1", "rsaEncryption"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world_set(&w, SETTING_USER, PARTNER, "smime.key_transport", rows[i].value);
        (void)sent_by(OURS);
        world_shell(&w,
                    "openssl cms -decrypt -in msg -inkey bob.key -recip bob.pem -out opened && "
                    "openssl cms -cmsout -print -noout -in msg | grep -q %s",
                    rows[i].shown);
    }
    /* Another transport for one of two is another copy. */
    world_set(&w, SETTING_USER, PARTNER, "smime.key_transport", "oaep");
    world_process_text(&w, OURS, (const char *const[]){PARTNER, "gus@partner.example", NULL}, plain);
    (void)world_accepted(&w);
    assert_int_equal(w.out.result.variant_count, 2);
    world_set(&w, SETTING_USER, PARTNER, "smime.key_transport", "auto");
}

static void the_cipher_is_a_setting(void **state)
{
    static const struct {
        const char *value, *type, *shown;
    } rows[] = {
        {"aes192-gcm", "smime-type=authEnveloped-data", "aes-192-gcm"},
        {"aes128-gcm", "smime-type=authEnveloped-data", "aes-128-gcm"},
        {"aes192-cbc", "smime-type=enveloped-data", "aes-192-cbc"},
        {"aes128-cbc", "smime-type=enveloped-data", "aes-128-cbc"},
        {"auto", "smime-type=enveloped-data", "aes-256-cbc"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world_set(&w, SETTING_USER, PARTNER, "smime.cipher", rows[i].value);
        assert_true(slice_holds(sent_by(OURS), rows[i].type));
        world_shell(&w,
                    "openssl cms -decrypt -in msg -inkey bob.key -recip bob.pem -out opened && "
                    "openssl cms -cmsout -print -noout -in msg | grep -qi %s",
                    rows[i].shown);
    }
}

/* --- compression --- */

static void put_pkcs7(const char *type, struct slice cms, struct buf *out)
{
    OK(buf_printf(out,
                  "Content-Type: application/pkcs7-mime; smime-type=%s; name=smime.p7m\r\n"
                  "Content-Transfer-Encoding: base64\r\n\r\n",
                  type));
    OK(base64_lines_encode(cms, out));
}

static void compressed(struct slice entity, struct buf *out)
{
    struct buf cms = BUF_INIT(1 << 20);
    OK(smime_compress(entity, &cms, NULL));
    put_pkcs7("compressed-data", buf_slice(&cms), out);
    buf_release(&cms);
}

static void what_leaves_is_signed_compressed_encrypted(void **state)
{
    (void)state;
    struct buf opened = BUF_INIT(1 << 20), unpacked = BUF_INIT(1 << 20), cms = BUF_INIT(1 << 20);
    struct entity e;
    struct arena a;
    world_set(&w, SETTING_USER, PARTNER, "smime.compress", "yes");
    (void)sent_by(OURS);
    assert_true(slice_holds(w.out.result.trace, "\"compressed\":true"));
    world_shell(&w, "openssl cms -decrypt -in msg -inkey bob.key -recip bob.pem -out opened");
    world_message_read(&w, "opened", &opened);
    assert_true(slice_starts_with(
        buf_slice(&opened),
        SLICE_LITERAL("Content-Type: application/pkcs7-mime; smime-type=compressed-data;")));
    assert_true(slice_holds(buf_slice(&opened), "smime.p7z"));
    arena_init(&a, 1 << 20);
    OK(entity_read(buf_slice(&opened), &a, &e, NULL));
    OK(transfer_decode(TRANSFER_BASE64, e.body, &cms));
    OK(smime_decompress(buf_slice(&cms), &unpacked, NULL));
    world_file_write(&w, "unpacked", buf_slice(&unpacked));
    world_shell(&w, "openssl cms -verify -in unpacked -CAfile ca.pem -out verified && grep -q '" TEXT
                    "' verified");
    arena_release(&a);
    buf_release(&opened);
    buf_release(&unpacked);
    buf_release(&cms);
    world_set(&w, SETTING_USER, PARTNER, "smime.compress", "no");
}

enum layer { SIGN = 's', SIGN_OPAQUE = 'o', COMPRESS = 'c', ENCRYPT = 'e' };

/* Around `inner`, the innermost layer first. */
static void wrap_in(const char *layers, struct buf *entity)
{
    for (const char *layer = layers; *layer != '\0'; layer++) {
        struct buf next = BUF_INIT(1 << 20);
        world_file_write(&w, "layer", buf_slice(entity));
        if (*layer == COMPRESS) {
            compressed(buf_slice(entity), &next);
        } else {
            if (*layer == ENCRYPT) {
                world_shell(&w, "openssl cms -encrypt -binary -aes-256-gcm -in layer -out layered alice.pem");
            } else {
                world_shell(
                    &w, "openssl cms -sign -binary -in layer -out layered -signer bob.pem -inkey bob.key %s",
                    *layer == SIGN_OPAQUE ? "-nodetach" : "");
            }
            world_message_read(&w, "layered", &next);
        }
        buf_release(entity);
        *entity = next;
    }
}

static void compressed_content_is_read_in_any_nesting(void **state)
{
    static const struct {
        const char *layers, *signature, *encryption;
        bool text; /* the text can be read in what is delivered */
    } rows[] = {
        {"c", "none", "none", true},          {"cc", "none", "none", true},
        {"ccccc", "none", "none", false}, /* deeper than anybody means it: stays packed */
        {"ce", "none", "decrypted", true},    {"ec", "none", "decrypted", true},
        {"cec", "none", "decrypted", true},   {"sc", "valid", "none", true},
        {"oc", "valid", "none", false}, /* a signature stays, and what it holds */
        {"sce", "valid", "decrypted", true},  {"oce", "valid", "decrypted", false},
        {"scec", "valid", "decrypted", true}, {"cs", "valid", "none", false},
        {"cse", "valid", "decrypted", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf entity = BUF_INIT(1 << 20), message = BUF_INIT(1 << 20);
        char wanted[80];
        OK(buf_append_text(&entity, "Content-Type: text/plain\r\n\r\n" TEXT "\r\n"));
        wrap_in(rows[i].layers, &entity);
        OK(buf_printf(&message,
                      "From: bob@partner.example\r\nTo: alice@ours.example\r\nSubject: in layers\r\n"
                      "MIME-Version: 1.0\r\n"));
        struct slice rest = buf_slice(&entity);
        if (slice_starts_with(rest, SLICE_LITERAL("MIME-Version: 1.0\r\n"))) {
            rest = slice_of(rest.data + 19, rest.len - 19);
        }
        OK(buf_append_slice(&message, rest));
        world_process(&w, PARTNER, (const char *const[]){OURS, NULL}, buf_slice(&message));
        struct slice content = world_accepted(&w);
        assert_true(snprintf(wanted, sizeof wanted, "X-Sealpost-Signature: %s", rows[i].signature) > 0);
        bool good = slice_holds(content, wanted) && slice_holds(content, TEXT) == rows[i].text;
        assert_true(snprintf(wanted, sizeof wanted, "X-Sealpost-Encryption: %s", rows[i].encryption) > 0);
        good = good && slice_holds(content, wanted) && slice_holds(content, "Subject: in layers\r\n");
        if (!good) {
            print_error("layers %s:\n%.*s\n", rows[i].layers, SLICE_ARGS(content));
            fail();
        }
        buf_release(&entity);
        buf_release(&message);
    }
}

/* A message that is compressed and was encrypted to somebody else: as it came, and it says so. */
static void what_cannot_be_opened_stays_whole(void **state)
{
    (void)state;
    struct buf entity = BUF_INIT(1 << 20), message = BUF_INIT(1 << 20);
    world_file_write(&w, "layer", SLICE_LITERAL("Content-Type: text/plain\r\n\r\n" TEXT "\r\n"));
    world_shell(&w, "openssl cms -encrypt -binary -aes256 -in layer -out layered bob.pem");
    world_message_read(&w, "layered", &entity);
    OK(buf_append_text(&message,
                       "From: bob@partner.example\r\nTo: alice@ours.example\r\nMIME-Version: 1.0\r\n"));
    compressed(buf_slice(&entity), &message);
    world_process(&w, PARTNER, (const char *const[]){OURS, NULL}, buf_slice(&message));
    assert_true(slice_holds(world_accepted(&w), "X-Sealpost-Encryption: failed"));
    assert_true(slice_holds(world_accepted(&w), "smime-type=compressed-data"));
    /* A bomb: a thousand to one, and more than a message of this size may become. */
    struct buf bomb = {.max = (size_t)64 << 20};
    OK(buf_reserve(&bomb, (size_t)40 << 20));
    memset(bomb.data, 'a', (size_t)40 << 20);
    memcpy(bomb.data, "Content-Type: text/plain\r\n\r\n", 28);
    bomb.len = (size_t)40 << 20;
    buf_reset(&message);
    OK(buf_append_text(&message,
                       "From: bob@partner.example\r\nTo: alice@ours.example\r\nMIME-Version: 1.0\r\n"));
    compressed(buf_slice(&bomb), &message);
    world_process(&w, PARTNER, (const char *const[]){OURS, NULL}, buf_slice(&message));
    assert_true(slice_holds(world_accepted(&w), "smime-type=compressed-data"));
    assert_true(world_accepted(&w).len < message.len + 1000);
    buf_release(&bomb);
    buf_release(&entity);
    buf_release(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_digest_and_the_padding_are_settings),
        cmocka_unit_test(a_second_certificate_is_named_for_answers),
        cmocka_unit_test(the_key_transport_is_a_setting),
        cmocka_unit_test(the_cipher_is_a_setting),
        cmocka_unit_test(what_leaves_is_signed_compressed_encrypted),
        cmocka_unit_test(compressed_content_is_read_in_any_nesting),
        cmocka_unit_test(what_cannot_be_opened_stays_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
