/*
 * S/MIME both ways against the openssl program, and all verdicts. Mail is signed and encrypted for RSA and EC
 * keys with CBC and GCM.
 */
#include "command.h"
#include "crypto_test.h"

#include "crypto/cms_scan.h"
#include "crypto/der.h"
#include "crypto/smime.h"

#include <openssl/cms.h>
#include <openssl/err.h>

#define TEXT(s) slice_of_text(s)
#define MAX     ((size_t)32 << 20)
#define ENTITY                                                                                               \
    "Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9f"                                      \
    "e\r\n.\r\n- dash\r\n"

enum { ALICE, BOB_EC, CAROL, PEOPLE };
static const char *const names[PEOPLE] = {"alice", "bob", "carol"};
static struct made root, people[PEOPLE];
static struct trust *trust;

/* With the default key transport. */
static enum status encrypt_to(const struct slice *certificates, size_t count, enum smime_cipher cipher,
                              struct slice entity, struct buf *out, struct failure *f)
{
    struct smime_recipient to[4] = {0};

    for (size_t i = 0; i < count; i++)
        to[i].certificate = certificates[i];
    return smime_encrypt(to, count, cipher, entity, out, f);
}

static int set_up(void **state)
{
    static const struct recipe recipes[PEOPLE] = {
        {.name = "Alice", .san = "email:alice@x.org", .key = 1},
        {.name = "Bob", .kind = "ec", .san = "email:bob@x.org,email:robert@x.org"},
        {.name = "Carol", .san = "email:carol@x.org", .key = 2},
    };
    struct buf pem = BUF_INIT(100000);
    struct failure f;
    char file[32];

    (void)state;
    folder_enter();
    OK(smime_start(&f));
    root = pki_make(&(struct recipe){.name = "Root", .ca = true, .usage = "keyCertSign"}, NULL);
    pki_certificate_pem(&root, &pem);
    file_put("ca", buf_slice(&pem));
    for (int i = 0; i < PEOPLE; i++) {
        people[i] = pki_make(&recipes[i], &root);
        buf_reset(&pem);
        pki_certificate_pem(&people[i], &pem);
        assert_true(snprintf(file, sizeof(file), "%s.crt", names[i]) > 0);
        file_put(file, buf_slice(&pem));
        buf_reset(&pem);
        pki_key_pem(&people[i], &pem);
        assert_true(snprintf(file, sizeof(file), "%s.key", names[i]) > 0);
        file_put(file, buf_slice(&pem));
    }
    buf_release(&pem);
    file_put("entity", TEXT(ENTITY));
    OK(trust_make(&root.der, 1, NULL, 0, &trust, &f));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trust_free(trust);
    pki_release(&root);
    for (int i = 0; i < PEOPLE; i++)
        pki_release(&people[i]);
    folder_leave();
    return 0;
}

static struct smime_key key_of(int who)
{
    return (struct smime_key){.key = people[who].key, .certificate = people[who].der};
}

static void assert_file_is(const char *name, struct slice want)
{
    struct buf file = BUF_INIT(MAX);

    file_get(name, &file);
    assert_same(buf_slice(&file), want);
    buf_release(&file);
}

static void assert_decrypts(struct slice cms, int who, struct slice want, const char *cipher, bool weak)
{
    struct smime_key key = key_of(who);
    struct smime_decrypted out;
    struct failure f = {0};
    enum status status = smime_decrypt(cms, &key, 1, &out, &f);

    if (status != STATUS_OK)
        print_error("%s: %s\n", cipher, f.text);
    OK(status);
    assert_true(slice_equal(buf_slice(&out.entity), want));
    assert_string_equal(out.cipher, cipher);
    assert_int_equal(out.weak, weak);
    smime_decrypted_release(&out);
}

/* --- encryption --- */

static void we_encrypt_and_openssl_decrypts(void **state)
{
    static const enum smime_cipher ciphers[] = {SMIME_AES256_CBC, SMIME_AES256_GCM, SMIME_AES128_CBC};

    (void)state;
    for (size_t c = 0; c < 3; c++) {
        struct slice to[2] = {people[ALICE].der, people[BOB_EC].der};
        struct buf out = BUF_INIT(MAX);
        struct failure f;

        OK(encrypt_to(to, 2, ciphers[c], TEXT(ENTITY), &out, &f));
        assert_int_equal(smime_kind(buf_slice(&out)),
                         ciphers[c] == SMIME_AES256_GCM ? CMS_KIND_AUTH_ENVELOPED : CMS_KIND_ENVELOPED);
        file_put("cms", buf_slice(&out));
        for (int who = ALICE; who <= BOB_EC; who++) {
            command("openssl cms -decrypt -binary -inform DER -in cms -inkey %s.key -recip %s.crt -out plain",
                    names[who], names[who]);
            assert_file_is("plain", TEXT(ENTITY));
            assert_decrypts(buf_slice(&out), who, TEXT(ENTITY), smime_cipher_name(ciphers[c]), false);
        }
        assert_false(command_works(
            "openssl cms -decrypt -binary -inform DER -in cms -inkey carol.key -recip carol.crt"));
        if (c == 1)
            command("openssl cms -cmsout -print -inform DER -in cms | grep -q sha256kdf");
        buf_release(&out);
    }
}

static void openssl_encrypts_and_we_decrypt(void **state)
{
    static const struct {
        const char *options, *cipher;
        bool weak;
    } cases[] = {
        {"-aes-256-cbc", "aes256-cbc", false},
        {"-aes-192-cbc", "aes192-cbc", false},
        {"-aes-128-cbc", "aes128-cbc", false},
        {"-aes-256-gcm", "aes256-gcm", false},
        {"-aes-128-gcm", "aes128-gcm", false},
        {"-stream -indef -aes-256-cbc", "aes256-cbc", false}, /* BER with indefinite lengths */
        {"-stream -indef -aes-256-gcm", "aes256-gcm", false},
        {"-keyid -aes-256-cbc", "aes256-cbc", false}, /* recipients by subject key identifier */
        {"-des3", "3des", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf cms = BUF_INIT(MAX);

        command(
            "openssl cms -encrypt -binary -outform DER %s -in entity -out cms carol.crt bob.crt alice.crt",
            cases[i].options);
        file_get("cms", &cms);
        assert_decrypts(buf_slice(&cms), ALICE, TEXT(ENTITY), cases[i].cipher, cases[i].weak);
        assert_decrypts(buf_slice(&cms), BOB_EC, TEXT(ENTITY), cases[i].cipher, cases[i].weak);
        buf_release(&cms);
    }
    /* what only the legacy provider knows, and OAEP */
    struct buf cms = BUF_INIT(MAX);
    command("openssl cms -encrypt -provider legacy -provider default -binary -outform DER -rc2-40 -in entity "
            "-out cms "
            "alice.crt");
    file_get("cms", &cms);
    assert_decrypts(buf_slice(&cms), ALICE, TEXT(ENTITY), "rc2", true);
    buf_reset(&cms);
    command("openssl cms -encrypt -binary -outform DER -aes256 -in entity -out cms -recip alice.crt -keyopt "
            "rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256");
    file_get("cms", &cms);
    assert_decrypts(buf_slice(&cms), ALICE, TEXT(ENTITY), "aes256-cbc", false);
    buf_reset(&cms);
    command("openssl cms -encrypt -binary -outform DER -camellia256 -in entity -out cms alice.crt");
    file_get("cms", &cms);
    struct smime_key key = key_of(ALICE);
    struct smime_decrypted out;
    struct failure f;
    assert_int_equal(smime_decrypt(buf_slice(&cms), &key, 1, &out, &f), STATUS_UNSUPPORTED);
    smime_decrypted_release(&out);
    buf_release(&cms);
}

static void all_sizes_go_round(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 4096, 1000003};
    uint8_t *bytes = test_calloc(1000003, 1);
    struct failure f;

    (void)state;
    for (size_t i = 0; i < 1000003; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int gcm = 0; gcm < 2; gcm++) {
            struct buf out = BUF_INIT(MAX);

            OK(encrypt_to(&people[ALICE].der, 1, gcm ? SMIME_AES256_GCM : SMIME_AES256_CBC,
                          slice_of(bytes, sizes[i]), &out, &f));
            assert_decrypts(buf_slice(&out), ALICE, slice_of(bytes, sizes[i]),
                            gcm ? "aes256-gcm" : "aes256-cbc", false);
            buf_release(&out);
        }
    test_free(bytes);
}

static void only_fitting_keys_are_tried(void **state)
{
    struct slice to[2] = {people[BOB_EC].der, people[CAROL].der};
    struct slice all[PEOPLE] = {people[ALICE].der, people[BOB_EC].der, people[CAROL].der};
    struct smime_key keys[2] = {key_of(ALICE), key_of(CAROL)};
    struct smime_key wrong = {.key = people[ALICE].key, .certificate = people[CAROL].der};
    bool fits[PEOPLE];
    struct buf cms = BUF_INIT(MAX);
    struct smime_decrypted out;
    struct failure no_key, crypto = {0};

    (void)state;
    OK(encrypt_to(to, 2, SMIME_AES256_GCM, TEXT(ENTITY), &cms, NULL));
    OK(smime_recipients(buf_slice(&cms), all, PEOPLE, fits));
    assert_false(fits[ALICE]);
    assert_true(fits[BOB_EC]);
    assert_true(fits[CAROL]);
    OK(smime_decrypt(buf_slice(&cms), keys, 2, &out, NULL));
    smime_decrypted_release(&out);
    assert_int_equal(smime_decrypt(buf_slice(&cms), keys, 1, &out, &no_key), STATUS_NO_KEY);
    assert_null(out.entity.data);
    /* Carol's certificate with Alice's key: nothing comes out; a good key behind it still opens. */
    assert_int_equal(smime_decrypt(buf_slice(&cms), &wrong, 1, &out, &crypto), STATUS_CRYPTO);
    assert_int_equal(out.entity.len, 0);
    smime_decrypted_release(&out);
    keys[0] = wrong;
    OK(smime_decrypt(buf_slice(&cms), keys, 2, &out, NULL));
    assert_same(buf_slice(&out.entity), TEXT(ENTITY));
    smime_decrypted_release(&out);
    assert_int_equal(smime_decrypt(buf_slice(&cms), NULL, 0, &out, NULL), STATUS_NO_KEY);
    smime_decrypted_release(&out);
    assert_int_equal(ERR_peek_error(), 0);
    buf_release(&cms);
}

/* A wrong key, a broken key transport, a broken body: one answer. */
static void failures_look_the_same(void **state)
{
    struct smime_key key = key_of(ALICE);
    struct buf cms = BUF_INIT(MAX);
    struct failure first = {0}, f;

    (void)state;
    OK(encrypt_to(&people[ALICE].der, 1, SMIME_AES256_GCM, TEXT(ENTITY), &cms, NULL));
    for (size_t back = 1; back < 160; back += 6) { /* tag, ciphertext; the key transport lies before them */
        struct smime_decrypted out;
        size_t at = cms.len - back;

        cms.data[at] ^= 1;
        enum status status = smime_decrypt(buf_slice(&cms), &key, 1, &out, &f);
        if (status == STATUS_OK) { /* the length of the tag that the parameters name, which it has twice */
            assert_same(buf_slice(&out.entity), TEXT(ENTITY));
        } else {
            assert_null(out.entity.data);
        }
        if (status == STATUS_CRYPTO) {
            if (first.text[0] == '\0')
                first = f;
            assert_string_equal(first.text, f.text);
        }
        smime_decrypted_release(&out);
        cms.data[at] ^= 1;
    }
    assert_string_equal(first.text, "the message does not decrypt");
    buf_release(&cms);
}

/* With GCM no bit of it all may be turned and still give another text. */
static void a_flipped_bit_never_changes_a_gcm_text(void **state)
{
    struct smime_key key = key_of(BOB_EC);
    struct buf cms = BUF_INIT(MAX);

    (void)state;
    OK(encrypt_to(&people[BOB_EC].der, 1, SMIME_AES256_GCM, TEXT(ENTITY), &cms, NULL));
    for (size_t bit = 0; bit < cms.len * 8; bit++) {
        struct smime_decrypted out;

        cms.data[bit / 8] = (uint8_t)(cms.data[bit / 8] ^ 1 << bit % 8);
        if (smime_decrypt(buf_slice(&cms), &key, 1, &out, NULL) == STATUS_OK)
            assert_same(buf_slice(&out.entity), TEXT(ENTITY));
        else
            assert_null(out.entity.data);
        smime_decrypted_release(&out);
        cms.data[bit / 8] = (uint8_t)(cms.data[bit / 8] ^ 1 << bit % 8);
    }
    buf_release(&cms);
}

/* OpenSSL compares as many bytes of the tag as the message has, down to four: those could be forged by
 * trying. */
static void a_short_tag_is_refused(void **state)
{
    struct smime_key key = key_of(ALICE);
    struct buf cms = BUF_INIT(MAX);
    struct smime_decrypted out;
    struct failure f;

    (void)state;
    OK(encrypt_to(&people[ALICE].der, 1, SMIME_AES256_GCM, TEXT(ENTITY), &cms, NULL));
    assert_int_equal(cms.data[cms.len - 18], 0x04); /* OCTET STRING, 16 bytes: the tag */
    assert_int_equal(cms.data[cms.len - 17], 16);
    assert_int_equal(cms.data[1], 0x82);
    for (int round = 0; round < 2; round++) {
        size_t keep = round == 0 ? 12 : 4;
        struct buf cut = BUF_INIT(MAX);
        static const size_t lengths[] = {2, 19,
                                         23}; /* of ContentInfo, [0] and AuthEnvelopedData, two bytes each */

        OK(buf_append(&cut, cms.data, cms.len - 16 + keep));
        cut.data[cms.len - 17] = (uint8_t)keep;
        for (size_t i = 0; i < 3; i++) {
            size_t value = (size_t)(cut.data[lengths[i]] << 8 | cut.data[lengths[i] + 1]) - (16 - keep);
            cut.data[lengths[i]] = (uint8_t)(value >> 8);
            cut.data[lengths[i] + 1] = (uint8_t)value;
        }
        enum status status = smime_decrypt(buf_slice(&cut), &key, 1, &out, &f);
        assert_int_equal(status, keep == 12 ? STATUS_OK : STATUS_CRYPTO);
        smime_decrypted_release(&out);
        buf_release(&cut);
    }
    buf_release(&cms);
}

static void bad_recipients_are_refused(void **state)
{
    struct made x25519 = pki_make(&(struct recipe){.name = "modern", .kind = "x25519"}, &root);
    struct slice garbage = TEXT("no certificate");
    struct buf out = BUF_INIT(MAX), small = BUF_INIT(100);
    struct failure f;

    (void)state;
    assert_int_equal(encrypt_to(NULL, 0, SMIME_AES256_GCM, TEXT(ENTITY), &out, &f), STATUS_INVALID);
    assert_int_equal(encrypt_to(&garbage, 1, SMIME_AES256_GCM, TEXT(ENTITY), &out, &f), STATUS_MALFORMED);
    enum status status = encrypt_to(&x25519.der, 1, SMIME_AES256_GCM, TEXT(ENTITY), &out, &f);
    assert_true(status == STATUS_UNSUPPORTED || status == STATUS_CRYPTO);
    assert_int_equal(out.len, 0);
    assert_int_equal(encrypt_to(&people[ALICE].der, 1, SMIME_AES256_GCM, TEXT(ENTITY), &small, &f),
                     STATUS_TOO_LARGE);
    assert_int_equal(small.len, 0);
    buf_release(&small);
    pki_release(&x25519);
}

/* --- signatures --- */

static struct buf sign_as(const struct made *who, bool detached)
{
    struct smime_signer signer = {.key = who->key, .certificate = who->der};
    struct buf out = BUF_INIT(MAX);
    struct failure f = {0};
    enum status status = detached ? smime_sign(&signer, TEXT(ENTITY), NOW_MS, &out, &f)
                                  : smime_sign_opaque(&signer, TEXT(ENTITY), NOW_MS, &out, &f);

    if (status != STATUS_OK)
        print_error("%s\n", f.text);
    OK(status);
    return out;
}

static void assert_verdict(struct slice cms, const char *entity, const char *from, enum smime_verdict verdict,
                           const char *signer, const char *reason)
{
    struct smime_verified out;
    struct arena a;

    arena_init(&a, (size_t)1 << 20);
    OK(smime_verify(cms, TEXT(entity), entity != NULL, TEXT(from), trust, NOW_MS, &a, &out));
    if (out.verdict != verdict || strcmp(out.signer, signer) != 0 || strstr(out.reason, reason) == NULL) {
        print_error("%s, %s: %s\n", smime_verdict_name(out.verdict), out.signer, out.reason);
        fail();
    }
    if (verdict == SMIME_VALID && entity == NULL)
        assert_same(buf_slice(&out.content), TEXT(ENTITY));
    if (verdict == SMIME_INVALID)
        assert_int_equal(out.content.len, 0);
    smime_verified_release(&out);
    arena_release(&a);
    assert_int_equal(ERR_peek_error(), 0);
}

static void we_sign_and_openssl_verifies(void **state)
{
    (void)state;
    for (int who = ALICE; who <= BOB_EC; who++) {
        struct buf cms = sign_as(&people[who], true);

        file_put("cms", buf_slice(&cms));
        command("openssl cms -verify -binary -inform DER -in cms -content entity -CAfile ca -attime "
                "1795521600 -out "
                "plain && openssl cms -cmsout -print -inform DER -in cms > dump && "
                "grep -q 'UTCTIME:Nov 24 12:00:00 2026' dump && grep -q 'aes-256-gcm' dump && grep -q sha256 "
                "dump");
        assert_file_is("plain", TEXT(ENTITY));
        file_put("other", TEXT("another text"));
        assert_false(
            command_works("openssl cms -verify -binary -inform DER -in cms -content other -CAfile ca -attime "
                          "1795521600"));
        buf_release(&cms);
        cms = sign_as(&people[who], false);
        file_put("cms", buf_slice(&cms));
        command("openssl cms -verify -binary -inform DER -in cms -CAfile ca -attime 1795521600 -out plain");
        assert_file_is("plain", TEXT(ENTITY));
        buf_release(&cms);
    }
}

static void openssl_signs_and_we_verify(void **state)
{
    static const struct {
        const char *options;
        bool detached;
        enum smime_verdict verdict;
        const char *signer, *reason;
    } cases[] = {
        {"-signer alice.crt -inkey alice.key", true, SMIME_VALID, "alice@x.org", ""},
        {"-signer alice.crt -inkey alice.key -nodetach", false, SMIME_VALID, "alice@x.org", ""},
        {"-signer alice.crt -inkey alice.key -nodetach -stream -indef", false, SMIME_VALID, "alice@x.org",
         ""},
        {"-signer alice.crt -inkey alice.key -keyid -md sha512", true, SMIME_VALID, "alice@x.org", ""},
        {"-signer alice.crt -inkey alice.key -keyopt rsa_padding_mode:pss", true, SMIME_VALID, "alice@x.org",
         ""},
        {"-signer alice.crt -inkey alice.key -noattr", true, SMIME_VALID, "alice@x.org", ""},
        {"-signer alice.crt -inkey alice.key -md sha1", true, SMIME_INVALID, "", "can be forged"},
        {"-signer alice.crt -inkey alice.key -md md5", true, SMIME_INVALID, "", "can be forged"},
        {"-signer alice.crt -inkey alice.key -nocerts", true, SMIME_UNKNOWN, "", "not in the message"},
        {"-signer alice.crt -inkey alice.key", false, SMIME_INVALID, "", "form"},
        {"-signer alice.crt -inkey alice.key -nodetach", true, SMIME_INVALID, "", "form"},
        {"-signer alice.crt -inkey alice.key -nodetach -econtent_type 1.2.3", false, SMIME_INVALID, "",
         "not a message"},
        {"-signer carol.crt -inkey carol.key", true, SMIME_MISMATCH, "carol@x.org", "From"},
        {"-signer carol.crt -inkey carol.key -signer alice.crt -inkey alice.key", true, SMIME_VALID,
         "alice@x.org", ""},
        {"-signer carol.crt -inkey carol.key -signer bob.crt -inkey bob.key", true, SMIME_MISMATCH, "",
         "From"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf cms = BUF_INIT(MAX);
        const char *signer = cases[i].signer;

        command("openssl cms -sign -binary -outform DER %s -in entity -out cms", cases[i].options);
        file_get("cms", &cms);
        if (cases[i].verdict == SMIME_MISMATCH && signer[0] == '\0') { /* either of the two comes first */
            struct smime_verified out;
            struct arena a;

            arena_init(&a, (size_t)1 << 20);
            OK(smime_verify(buf_slice(&cms), TEXT(ENTITY), true, TEXT("alice@x.org"), trust, NOW_MS, &a,
                            &out));
            assert_int_equal(out.verdict, SMIME_MISMATCH);
            assert_true(out.signer_certificate.len > 0);
            smime_verified_release(&out);
            arena_release(&a);
        } else {
            assert_verdict(buf_slice(&cms), cases[i].detached ? ENTITY : NULL, "alice@x.org",
                           cases[i].verdict, signer, cases[i].reason);
        }
        buf_release(&cms);
    }
}

static void signatures_are_judged(void **state)
{
    struct buf cms = sign_as(&people[ALICE], true), opaque = sign_as(&people[ALICE], false);
    struct buf bob = sign_as(&people[BOB_EC], true);

    (void)state;
    assert_verdict(buf_slice(&cms), ENTITY, "alice@x.org", SMIME_VALID, "alice@x.org", "");
    assert_verdict(buf_slice(&opaque), NULL, "alice@x.org", SMIME_VALID, "alice@x.org", "");
    assert_verdict(buf_slice(&bob), ENTITY, "robert@x.org", SMIME_VALID, "robert@x.org", "");
    assert_verdict(buf_slice(&cms), ENTITY, "eve@x.org", SMIME_MISMATCH, "alice@x.org", "From");
    assert_verdict(buf_slice(&cms), ENTITY, "", SMIME_MISMATCH, "alice@x.org", "From");
    assert_verdict(buf_slice(&cms), ENTITY "x", "alice@x.org", SMIME_INVALID, "", "changed");
    assert_verdict(buf_slice(&cms), "", "alice@x.org", SMIME_INVALID, "", "changed");
    assert_verdict(TEXT("garbage"), ENTITY, "alice@x.org", SMIME_INVALID, "", "no CMS");
    assert_verdict(TEXT(""), ENTITY, "alice@x.org", SMIME_INVALID, "", "no CMS");
    buf_release(&cms);
    buf_release(&opaque);
    buf_release(&bob);
}

/* The signed attributes of a signature, as the key signs them: a SET OF. */
static void signed_attributes_of(struct slice cms, struct buf *out)
{
    struct cms_facts facts;
    struct ber_element info, member, attributes;

    OK(cms_scan(cms, &facts));
    assert_true(ber_next_is(&facts.signer_infos, BER_SEQUENCE, &info));
    assert_true(ber_next_is(&info.content, BER_INTEGER, &member));  /* version */
    assert_true(ber_next_is(&info.content, BER_SEQUENCE, &member)); /* issuer and serial number */
    assert_true(ber_next_is(&info.content, BER_SEQUENCE, &member)); /* digest */
    assert_true(ber_next_is(&info.content, BER_CONTEXT_0, &attributes));
    OK(der_put(out, BER_SET, attributes.content));
}

/* What alice signed once with attributes is also a good signature without any, over the attributes: it must
 * not be shown as a message of hers. */
static void attributes_are_no_message(void **state)
{
    struct buf signature = sign_as(&people[ALICE], true), content = BUF_INIT(MAX), cms = BUF_INIT(MAX);

    (void)state;
    signed_attributes_of(buf_slice(&signature), &content);
    file_put("attributes", buf_slice(&content));
    for (int detached = 0; detached < 2; detached++) {
        struct smime_verified out;
        struct arena a;

        command("openssl cms -sign -binary -noattr -outform DER -signer alice.crt -inkey alice.key %s "
                "-in attributes -out cms",
                detached ? "" : "-nodetach");
        buf_reset(&cms);
        file_get("cms", &cms);
        arena_init(&a, (size_t)1 << 20);
        OK(smime_verify(buf_slice(&cms), buf_slice(&content), detached, TEXT("alice@x.org"), trust, NOW_MS,
                        &a, &out));
        assert_int_equal(out.verdict, SMIME_INVALID);
        assert_non_null(strstr(out.reason, "attributes"));
        assert_int_equal(out.content.len, 0);
        smime_verified_release(&out);
        arena_release(&a);
    }
    buf_release(&signature);
    buf_release(&content);
    buf_release(&cms);
}

static void certificates_decide_the_verdict(void **state)
{
    struct made foreign = pki_make(&(struct recipe){.name = "Foreign root", .ca = true, .key = 2}, NULL);
    struct {
        const char *what;
        struct recipe recipe;
        const struct made *issuer;
        enum smime_verdict verdict;
    } cases[] = {
        {"valid", {.name = "a", .san = "email:a@x.org", .key = 1}, &root, SMIME_VALID},
        {"untrusted", {.name = "a", .san = "email:a@x.org", .key = 1}, &foreign, SMIME_UNTRUSTED},
        {"self-signed", {.name = "a", .san = "email:a@x.org", .key = 1}, NULL, SMIME_UNTRUSTED},
        {"expired",
         {.name = "a", .san = "email:a@x.org", .to_ms = NOW_MS - DAY_MS, .key = 1},
         &root,
         SMIME_EXPIRED},
        {"early",
         {.name = "a", .san = "email:a@x.org", .from_ms = NOW_MS + DAY_MS, .key = 1},
         &root,
         SMIME_EXPIRED},
        {"not for signing",
         {.name = "a", .san = "email:a@x.org", .usage = "keyEncipherment", .key = 1},
         &root,
         SMIME_INVALID},
        {"for the web",
         {.name = "a", .san = "email:a@x.org", .extended = "serverAuth", .key = 1},
         &root,
         SMIME_INVALID},
        {"no address", {.name = "a", .key = 1}, &root, SMIME_MISMATCH},
        {"a key for PSS alone", {.name = "a", .san = "email:a@x.org", .kind = "rsa-pss"}, &root, SMIME_VALID},
        {"weak", {.name = "a", .san = "email:a@x.org", .kind = "rsa512"}, &root, SMIME_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct made m = pki_make(&cases[i].recipe, cases[i].issuer);
        struct smime_signer signer = {.key = m.key, .certificate = m.der};
        struct buf cms = BUF_INIT(MAX);
        struct smime_verified out;
        struct arena a;

        arena_init(&a, (size_t)1 << 20);
        OK(smime_sign(&signer, TEXT(ENTITY), NOW_MS, &cms, NULL));
        OK(smime_verify(buf_slice(&cms), TEXT(ENTITY), true, TEXT("a@x.org"), trust, NOW_MS, &a, &out));
        if (out.verdict != cases[i].verdict) {
            print_error("%s: %s: %s\n", cases[i].what, smime_verdict_name(out.verdict), out.reason);
            fail();
        }
        smime_verified_release(&out);
        /* no anchors at all */
        OK(smime_verify(buf_slice(&cms), TEXT(ENTITY), true, TEXT("a@x.org"), NULL, NOW_MS, &a, &out));
        assert_int_not_equal(out.verdict, SMIME_VALID);
        smime_verified_release(&out);
        buf_release(&cms);
        arena_release(&a);
        pki_release(&m);
    }
    pki_release(&foreign);
}

static void the_chain_comes_along(void **state)
{
    struct made inter =
        pki_make(&(struct recipe){.name = "Inter", .ca = true, .usage = "keyCertSign", .key = 2}, &root);
    struct made dave =
        pki_make(&(struct recipe){.name = "Dave", .san = "email:dave@x.org", .key = 1}, &inter);
    struct smime_signer signer = {.key = dave.key, .certificate = dave.der, .chain = {inter.der}};
    struct buf cms = BUF_INIT(MAX);

    (void)state;
    OK(smime_sign(&signer, TEXT(ENTITY), NOW_MS, &cms, NULL));
    assert_verdict(buf_slice(&cms), ENTITY, "dave@x.org", SMIME_UNTRUSTED, "dave@x.org", "no path");
    buf_reset(&cms);
    signer.chain_count = 1;
    OK(smime_sign(&signer, TEXT(ENTITY), NOW_MS, &cms, NULL));
    assert_verdict(buf_slice(&cms), ENTITY, "dave@x.org", SMIME_VALID, "dave@x.org", "");
    buf_reset(&cms);
    signer.chain[1] = inter.der; /* named twice, and the signer's own as well */
    signer.chain[2] = dave.der;
    signer.chain_count = 3;
    OK(smime_sign(&signer, TEXT(ENTITY), NOW_MS, &cms, NULL));
    assert_verdict(buf_slice(&cms), ENTITY, "dave@x.org", SMIME_VALID, "dave@x.org", "");
    buf_release(&cms);
    pki_release(&inter);
    pki_release(&dave);
}

static void bad_signers_are_refused(void **state)
{
    struct made ed = pki_make(&(struct recipe){.name = "Ed", .kind = "ed25519"}, NULL);
    struct made x25519 = pki_make(&(struct recipe){.name = "modern", .kind = "x25519"}, &root);
    struct smime_signer wrong = {.key = people[CAROL].key, .certificate = people[ALICE].der};
    struct smime_signer wrong_ed = {.key = ed.key, .certificate = people[ALICE].der};
    struct smime_signer modern = {.key = x25519.key, .certificate = x25519.der};
    struct smime_signer none = {.key = people[CAROL].key, .certificate = TEXT("no certificate")};
    struct buf out = BUF_INIT(MAX);
    struct failure f;

    (void)state;
    assert_int_equal(smime_sign(&wrong, TEXT(ENTITY), NOW_MS, &out, &f), STATUS_CRYPTO);
    HOLDS(f.text, "does not match");
    assert_int_equal(smime_sign(&wrong_ed, TEXT(ENTITY), NOW_MS, &out, &f), STATUS_CRYPTO);
    HOLDS(f.text, "does not match");
    assert_int_equal(smime_sign(&modern, TEXT(ENTITY), NOW_MS, &out, &f), STATUS_UNSUPPORTED);
    HOLDS(f.text, "Ed25519");
    assert_int_equal(smime_sign(&none, TEXT(ENTITY), NOW_MS, &out, &f), STATUS_CRYPTO);
    assert_int_equal(out.len, 0);
    pki_release(&ed);
    pki_release(&x25519);
}

/* Signed by one side, encrypted by it, and the other way round, as mail/ does. */
static void signed_and_encrypted_goes_round(void **state)
{
    struct buf signature = sign_as(&people[ALICE], false), cms = BUF_INIT(MAX);
    struct smime_key key = key_of(CAROL);
    struct smime_decrypted out;

    (void)state;
    OK(encrypt_to(&people[CAROL].der, 1, SMIME_AES256_GCM, buf_slice(&signature), &cms, NULL));
    OK(smime_decrypt(buf_slice(&cms), &key, 1, &out, NULL));
    assert_verdict(buf_slice(&out.entity), NULL, "alice@x.org", SMIME_VALID, "alice@x.org", "");
    smime_decrypted_release(&out);
    buf_release(&signature);
    buf_release(&cms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(we_encrypt_and_openssl_decrypts),
        cmocka_unit_test(openssl_encrypts_and_we_decrypt),
        cmocka_unit_test(all_sizes_go_round),
        cmocka_unit_test(only_fitting_keys_are_tried),
        cmocka_unit_test(failures_look_the_same),
        cmocka_unit_test(a_flipped_bit_never_changes_a_gcm_text),
        cmocka_unit_test(a_short_tag_is_refused),
        cmocka_unit_test(bad_recipients_are_refused),
        cmocka_unit_test(we_sign_and_openssl_verifies),
        cmocka_unit_test(openssl_signs_and_we_verify),
        cmocka_unit_test(signatures_are_judged),
        cmocka_unit_test(attributes_are_no_message),
        cmocka_unit_test(certificates_decide_the_verdict),
        cmocka_unit_test(the_chain_comes_along),
        cmocka_unit_test(bad_signers_are_refused),
        cmocka_unit_test(signed_and_encrypted_goes_round),
    };
    int failed = cmocka_run_group_tests_name("smime", tests, set_up, tear_down);

    pki_forget_keys();
    return failed;
}
