/*
 * CMS out of hostile hands: cut short, with bits flipped, with lengths that lie, with thousands of parts.
 * Whatever comes in gets an answer in short time, and nothing that was not signed or sealed comes out.
 */
#include "command.h"
#include "crypto_test.h"

#include "crypto/cms_scan.h"
#include "crypto/der.h"

#include <openssl/err.h>

#define TEXT(s) slice_of_text(s)
#define MAX     ((size_t)64 << 20)
#define ENTITY  "Content-Type: text/plain\r\n\r\nHello\r\n"
#define FLIPS   600
#define SHAPES  6

static struct made root, alice;
static struct trust *trust;
static struct buf shapes[SHAPES]; /* one CMS object of each form */

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
    struct smime_signer signer;
    struct buf pem = BUF_INIT(100000);
    struct failure f;

    (void)state;
    OK(smime_start(&f));
    root = pki_make(&(struct recipe){.name = "Root", .kind = "ec", .ca = true}, NULL);
    alice = pki_make(&(struct recipe){.name = "Alice", .kind = "ec", .san = "email:alice@x.org", .key = 1},
                     &root);
    OK(trust_make(&root.der, 1, NULL, 0, &trust, &f));
    signer = (struct smime_signer){
        .key = alice.key, .certificate = alice.der, .chain = {root.der}, .chain_count = 1};
    for (int i = 0; i < SHAPES; i++)
        shapes[i] = BUF_INIT(MAX);
    OK(encrypt_to(&alice.der, 1, SMIME_AES256_GCM, TEXT(ENTITY), &shapes[0], &f));
    OK(encrypt_to(&alice.der, 1, SMIME_AES256_CBC, TEXT(ENTITY), &shapes[1], &f));
    OK(smime_sign(&signer, TEXT(ENTITY), NOW_MS, &shapes[2], &f));
    OK(smime_sign_opaque(&signer, TEXT(ENTITY), NOW_MS, &shapes[3], &f));
    folder_enter();
    pki_certificate_pem(&alice, &pem);
    file_put("crt", buf_slice(&pem));
    buf_reset(&pem);
    pki_key_pem(&alice, &pem);
    file_put("key", buf_slice(&pem));
    buf_release(&pem);
    file_put("entity", TEXT(ENTITY));
    command("openssl cms -encrypt -stream -indef -aes256 -binary -outform DER -in entity -out e crt && "
            "openssl cms -sign -stream -indef -nodetach -binary -outform DER -in entity -out s -signer crt "
            "-inkey key");
    file_get("e", &shapes[4]);
    file_get("s", &shapes[5]);
    folder_leave();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        buf_release(&shapes[i]);
    trust_free(trust);
    pki_release(&root);
    pki_release(&alice);
    return 0;
}

/* All that reads CMS, over these bytes. */
static void feed(struct slice cms)
{
    struct smime_key key = {.key = alice.key, .certificate = alice.der};
    struct smime_decrypted plain;
    struct smime_verified verified;
    struct cms_facts facts;
    struct arena a;
    bool fits[1];

    arena_init(&a, (size_t)1 << 20);
    (void)smime_kind(cms);
    if (cms_scan(cms, &facts) == STATUS_OK) {
        assert_true(facts.recipient_infos <= CMS_RECIPIENT_INFOS_MAX);
        assert_true(facts.signers <= CMS_SIGNERS_MAX);
    }
    if (smime_recipients(cms, &alice.der, 1, fits) != STATUS_OK)
        assert_false(fits[0]);
    enum status status = smime_decrypt(cms, &key, 1, &plain, NULL);
    if (status == STATUS_OK && strstr(plain.cipher, "gcm") != NULL)
        assert_same(buf_slice(&plain.entity), TEXT(ENTITY));
    if (status != STATUS_OK)
        assert_null(plain.entity.data);
    smime_decrypted_release(&plain);
    for (int detached = 0; detached < 2; detached++) {
        OK(smime_verify(cms, detached ? TEXT(ENTITY) : TEXT(""), detached, TEXT("alice@x.org"), trust, NOW_MS,
                        &a, &verified));
        assert_int_not_equal(verified.verdict, SMIME_NONE);
        if (verified.verdict == SMIME_VALID && !detached) /* a flip in what nobody signed may leave it so */
            assert_same(buf_slice(&verified.content), TEXT(ENTITY));
        smime_verified_release(&verified);
    }
    assert_int_equal(ERR_peek_error(), 0);
    arena_release(&a);
}

static void cut_short(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        for (size_t len = 0; len < shapes[i].len; len += 1 + len / 100) {
            uint8_t *exact = test_malloc(len + 1); /* so that a read behind its end is seen */

            memcpy(exact, shapes[i].data, len);
            feed(slice_of(exact, len));
            test_free(exact);
        }
}

static void with_bytes_changed(void **state)
{
    uint32_t random = 1;

    (void)state;
    for (int i = 0; i < SHAPES; i++)
        for (int flip = 0; flip < FLIPS; flip++) {
            struct buf *shape = &shapes[i];

            random = random * 1664525 + 1013904223;
            /* the head, where the structure is, more often than the rest */
            size_t at = (random >> 8) % (flip % 2 == 0 && shape->len > 120 ? 120 : shape->len);
            uint8_t before = shape->data[at];
            shape->data[at] = (uint8_t)(flip % 3 == 0 ? random >> 24 : before ^ (1U << (random >> 5) % 8));
            feed(buf_slice(shape));
            shape->data[at] = before;
        }
}

static void garbage(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"", 0},
        {"\x30", 1},
        {"\x30\x80", 2},
        {"\x30\x84\xff\xff\xff\xff", 6},
        {"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff", 10},
        {"\x30\xff\x06\x09", 4},
        {"\x3f\xff\xff\xff", 4},
        {"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30\x80", 17},
        {"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80\x30\x80\x00\x00", 19},
        {"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", 13},
        {"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", 13},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        feed(slice_of(cases[i].bytes, cases[i].len));
}

static void kinds_are_told(void **state)
{
    static const enum cms_kind kinds[SHAPES] = {CMS_KIND_AUTH_ENVELOPED, CMS_KIND_ENVELOPED, CMS_KIND_SIGNED,
                                                CMS_KIND_SIGNED,         CMS_KIND_ENVELOPED, CMS_KIND_SIGNED};

    (void)state;
    for (int i = 0; i < SHAPES; i++)
        assert_int_equal(smime_kind(buf_slice(&shapes[i])), kinds[i]);
    assert_int_equal(smime_kind(TEXT("")), CMS_KIND_OTHER);
    assert_int_equal(smime_kind(alice.der), CMS_KIND_OTHER);
}

static void the_scan_tells_what_is_there(void **state)
{
    struct cms_facts facts;

    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        OK(cms_scan(buf_slice(&shapes[i]), &facts));
        bool is_signed = facts.kind == CMS_KIND_SIGNED;
        assert_int_equal(facts.signers, is_signed ? 1 : 0);
        assert_int_equal(facts.recipient_infos, is_signed ? 0 : 1);
        assert_int_equal(facts.certificates, is_signed ? (i == 5 ? 1 : 2) : 0);
        assert_int_equal(facts.tag_len, i == 0 ? 16 : 0);
        assert_int_equal(facts.content_type.len, 9);
    }
}

static void put_head(struct buf *out, uint8_t tag, size_t len)
{
    uint8_t head[6] = {tag,         0x84, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                       (uint8_t)len};

    OK(buf_append(out, head, sizeof(head)));
}

/* SignedData or EnvelopedData whose SET at its head has so many members. */
static void of_many(const char *oid, const char *member, size_t member_len, size_t count, struct buf *out)
{
    size_t set = member_len * count;

    put_head(out, 0x30, 11 + 6 + 6 + 3 + 6 + set);
    OK(buf_append(out, oid, 11));
    put_head(out, 0xa0, 6 + 3 + 6 + set);
    put_head(out, 0x30, 3 + 6 + set);
    OK(buf_append(out, "\x02\x01\x01", 3));
    put_head(out, 0x31, set);
    for (size_t i = 0; i < count; i++)
        OK(buf_append(out, member, member_len));
}

/* A digest algorithm named a million times would have OpenSSL hash the content a million times. */
static void too_many_parts_are_refused(void **state)
{
    struct buf digests = BUF_INIT(MAX), infos = BUF_INIT(MAX);
    struct cms_facts facts;

    (void)state;
    of_many("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
            "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00", 15, 1000000, &digests);
    assert_int_equal(cms_scan(buf_slice(&digests), &facts), STATUS_TOO_LARGE);
    feed(buf_slice(&digests));
    of_many("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03", "\x30\x00", 2, 1000000, &infos);
    assert_int_equal(cms_scan(buf_slice(&infos), &facts), STATUS_TOO_LARGE);
    feed(buf_slice(&infos));
    buf_release(&digests);
    buf_release(&infos);
}

/* The recipients and the content of a shape, as another content type; with a tag or without. */
static void as_another(struct slice in, struct slice content_type, struct slice tag, struct buf *cms)
{
    struct buf data = BUF_INIT(MAX), inside = BUF_INIT(MAX);
    struct ber_element whole, oid, explicit, version, infos, content;

    assert_true(ber_next_is(&in, BER_SEQUENCE, &whole) && ber_next_is(&whole.content, BER_OID, &oid) &&
                ber_next_is(&whole.content, BER_CONTEXT_0, &explicit) &&
                ber_next_is(&explicit.content, BER_SEQUENCE, &whole) &&
                ber_next_is(&whole.content, BER_INTEGER, &version) &&
                ber_next_is(&whole.content, BER_SET, &infos) &&
                ber_next_is(&whole.content, BER_SEQUENCE, &content));
    OK(der_put(&data, BER_INTEGER, SLICE_LITERAL("\x02")));
    OK(buf_append_slice(&data, infos.whole));
    OK(buf_append_slice(&data, content.whole));
    if (tag.len > 0)
        OK(der_put(&data, BER_OCTETS, tag));
    OK(der_put(&inside, BER_SEQUENCE, buf_slice(&data)));
    buf_reset(&data);
    OK(der_put(&data, BER_OID, content_type));
    OK(der_put(&data, BER_CONTEXT_0, buf_slice(&inside)));
    OK(der_put(cms, BER_SEQUENCE, buf_slice(&data)));
    buf_release(&data);
    buf_release(&inside);
}

/* What is AES-GCM, put into an EnvelopedData, which has no place for its tag: nothing would show that it was
 * changed, and it must not be told as if something did. And CBC, put into an AuthEnvelopedData, with a tag
 * that nobody would look at (CVE-2026-34182). */
static void a_cipher_in_the_wrong_content_type_stays_closed(void **state)
{
    static const struct {
        int shape;
        struct slice content_type;
        struct slice tag;
        enum cms_kind kind;
    } cases[] = {
        {0, SLICE_LITERAL("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"), {0}, CMS_KIND_ENVELOPED},
        {1, SLICE_LITERAL("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17"), SLICE_LITERAL("0123456789abcdef"),
         CMS_KIND_AUTH_ENVELOPED},
    };
    struct smime_key key = {.key = alice.key, .certificate = alice.der};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf cms = BUF_INIT(MAX);
        struct smime_decrypted out;
        struct failure f = {0};

        as_another(buf_slice(&shapes[cases[i].shape]), cases[i].content_type, cases[i].tag, &cms);
        assert_int_equal(smime_kind(buf_slice(&cms)), cases[i].kind);
        assert_int_equal(smime_decrypt(buf_slice(&cms), &key, 1, &out, &f), STATUS_UNSUPPORTED);
        assert_string_equal(f.text, "the message's cipher and content type do not go together");
        assert_int_equal(out.entity.len, 0);
        smime_decrypted_release(&out);
        buf_release(&cms);
    }
}

/* The key wrapped with padding: OpenSSL before 3.0.22 would write eight zeros behind what it allocated
 * (CVE-2026-63072), for whoever knows our certificate. It is not asked to. */
static void a_key_wrapped_with_padding_stays_closed(void **state)
{
    static const struct {
        const char *wrap;
        enum status status;
    } cases[] = {
        {"\x2d", STATUS_OK},          /* id-aes256-wrap */
        {"\x30", STATUS_UNSUPPORTED}, /* id-aes256-wrap-pad */
        {"\x1c", STATUS_UNSUPPORTED}, /* id-aes192-wrap-pad */
        {"\x08", STATUS_UNSUPPORTED}, /* id-aes128-wrap-pad */
        {"\x2a", STATUS_UNSUPPORTED}, /* id-aes256-CBC, which wraps nothing */
        {"\x05", STATUS_CRYPTO},      /* id-aes128-wrap: another key comes out of the agreement */
    };
    static const struct slice wrap = SLICE_LITERAL("\x60\x86\x48\x01\x65\x03\x04\x01\x2d");
    struct smime_key key = {.key = alice.key, .certificate = alice.der};

    (void)state;
    for (int shape = 0; shape < 2; shape++) { /* GCM and CBC */
        uint8_t *at = memmem(shapes[shape].data, shapes[shape].len, wrap.data, wrap.len);
        assert_non_null(at);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct smime_decrypted out;
            struct failure f = {0};

            at[wrap.len - 1] = (uint8_t)cases[i].wrap[0];
            assert_int_equal(smime_decrypt(buf_slice(&shapes[shape]), &key, 1, &out, &f), cases[i].status);
            if (cases[i].status == STATUS_UNSUPPORTED)
                assert_string_equal(f.text, "the message's key is wrapped in a way that is not supported");
            smime_decrypted_release(&out);
        }
        at[wrap.len - 1] = wrap.data[wrap.len - 1];
    }
}

/* Indefinite lengths, one in the other: the scan has a bound, and needs no stack for it. */
static void deep_nesting_is_refused(void **state)
{
    struct buf deep = BUF_INIT(MAX);
    struct cms_facts facts;

    (void)state;
    OK(buf_append(&deep, "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", 13));
    for (int i = 0; i < 1000000; i++)
        OK(buf_append(&deep, "\xa0\x80", 2));
    assert_int_equal(cms_scan(buf_slice(&deep), &facts), STATUS_MALFORMED);
    feed(buf_slice(&deep));
    buf_release(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_told),
        cmocka_unit_test(the_scan_tells_what_is_there),
        cmocka_unit_test(garbage),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(with_bytes_changed),
        cmocka_unit_test(too_many_parts_are_refused),
        cmocka_unit_test(a_cipher_in_the_wrong_content_type_stays_closed),
        cmocka_unit_test(a_key_wrapped_with_padding_stays_closed),
        cmocka_unit_test(deep_nesting_is_refused),
    };
    int failed = cmocka_run_group_tests_name("smime_hostile", tests, set_up, tear_down);

    pki_forget_keys();
    return failed;
}
