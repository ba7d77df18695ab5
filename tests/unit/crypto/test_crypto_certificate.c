/* What certificates say: a table of recipes and what is read out of them; files of all forms; hostile bytes.
 */
#include "command.h"
#include "crypto_test.h"

#define GCM_CAPABILITY "DER:300d300b060960864801650304012e" /* SEQUENCE { SEQUENCE { aes256-GCM } } */
#define CBC_CAPABILITY "DER:300d300b060960864801650304012a"

#define BOTH (CERT_USE_SIGN | CERT_USE_ENCRYPT)

struct expectation {
    struct recipe recipe;
    const char *addresses[3];
    uint64_t uses, capabilities;
};

static const struct expectation expectations[] = {
    /* addresses */
    {{.name = "plain", .san = "email:Alice@Example.ORG"}, {"alice@example.org"}, BOTH, 0},
    {{.name = "two", .san = "email:a@x.org,DNS:x.org,email:b@x.org"}, {"a@x.org", "b@x.org"}, BOTH, 0},
    {{.name = "twice", .san = "email:a@x.org,email:A@x.org"}, {"a@x.org"}, BOTH, 0},
    {{.name = "subject", .email_in_subject = "s@x.org"}, {"s@x.org"}, BOTH, 0},
    {{.name = "san wins", .email_in_subject = "s@x.org", .san = "email:a@x.org"}, {"a@x.org"}, BOTH, 0},
    {{.name = "no mail in san", .email_in_subject = "s@x.org", .san = "DNS:x.org"}, {"s@x.org"}, BOTH, 0},
    {{.name = "none"}, {NULL}, BOTH, 0},
    /* a@x.org NUL .evil.org: an rfc822Name all the same, so the subject does not count */
    {{.name = "nul",
      .email_in_subject = "s@x.org",
      .san = "DER:30138111614078 2e6f7267 002e6576 696c2e6f7267"},
     {NULL},
     BOTH,
     0},
    {{.name = "line break", .san = "DER:300a 8108 610a 40 782e6f7267"}, {NULL}, BOTH, 0},
    {{.name = "high byte", .san = "DER:3009 8107 fc 40 782e6f7267"}, {NULL}, BOTH, 0},
    {{.name = "utf8", .san = "DER:301d a01b 0608 2b06010505070809 a00f 0c0d 6dc3bc6c6c65724078 2e6f7267"},
     {"m\xc3\xbcller@x.org"},
     BOTH,
     0},
    {{.name = "no address", .san = "email:nobody"}, {NULL}, BOTH, 0},
    /* uses */
    {{.name = "sign", .usage = "digitalSignature"}, {NULL}, CERT_USE_SIGN, 0},
    {{.name = "nonrep", .usage = "nonRepudiation"}, {NULL}, CERT_USE_SIGN, 0},
    {{.name = "encipher", .usage = "keyEncipherment"}, {NULL}, CERT_USE_ENCRYPT, 0},
    {{.name = "agreement rsa", .usage = "keyAgreement"}, {NULL}, 0, 0},
    {{.name = "agreement ec", .kind = "ec", .usage = "keyAgreement"}, {NULL}, CERT_USE_ENCRYPT, 0},
    {{.name = "encipher ec", .kind = "ec", .usage = "keyEncipherment"}, {NULL}, 0, 0},
    {{.name = "ec", .kind = "ec"}, {NULL}, BOTH, 0},
    {{.name = "ed25519", .kind = "ed25519"}, {NULL}, CERT_USE_SIGN, 0},
    {{.name = "mail", .extended = "emailProtection"}, {NULL}, BOTH, 0},
    {{.name = "any", .extended = "anyExtendedKeyUsage"}, {NULL}, BOTH, 0},
    {{.name = "web", .extended = "serverAuth,clientAuth"}, {NULL}, 0, 0},
    {{.name = "web and mail", .extended = "serverAuth,emailProtection"}, {NULL}, BOTH, 0},
    {{.name = "ca", .ca = true, .usage = "keyCertSign,cRLSign"}, {NULL}, CERT_USE_CA, 0},
    {{.name = "ca without the bit", .ca = true, .usage = "digitalSignature"}, {NULL}, CERT_USE_SIGN, 0},
    /* capabilities */
    {{.name = "gcm", .capabilities = GCM_CAPABILITY}, {NULL}, BOTH, CERT_CAP_AES256_GCM},
    {{.name = "cbc", .capabilities = CBC_CAPABILITY}, {NULL}, BOTH, CERT_CAP_AES256_CBC},
    {{.name = "empty", .capabilities = "DER:3000"}, {NULL}, BOTH, 0},
    {{.name = "broken", .capabilities = "DER:30ff"}, {NULL}, BOTH, 0},
};

static void certificates_are_described(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, (size_t)1 << 20);
    for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
        const struct expectation *e = &expectations[i];
        struct recipe r = e->recipe;
        char san[200];
        size_t len = 0;

        for (const char *at = r.san; at != NULL && *at != '\0';
             at++) /* DER: without the spaces that make it readable */
            if (*at != ' ')
                san[len++] = *at;
        san[len] = '\0';
        r.san = r.san == NULL ? NULL : san;
        struct made m = pki_make(&r, NULL);
        struct certificate_record c;
        struct failure f = {0};
        size_t addresses = 0;

        OK(certificate_describe(m.der, slice_of_text("import"), NOW_MS, &a, &c, &f));
        while (addresses < 3 && e->addresses[addresses] != NULL)
            addresses++;
        if (c.uses != e->uses || c.capabilities != e->capabilities || c.address_count != addresses) {
            print_error("%s: uses %llu, capabilities %llu, %zu addresses\n", r.name,
                        (unsigned long long)c.uses, (unsigned long long)c.capabilities, c.address_count);
            fail();
        }
        for (size_t k = 0; k < addresses; k++)
            assert_same(c.addresses[k], slice_of_text(e->addresses[k]));
        assert_int_equal(c.not_before_ms, NOW_MS - YEAR_MS);
        assert_int_equal(c.not_after_ms, NOW_MS + YEAR_MS);
        assert_int_equal(c.added_ms, NOW_MS);
        assert_true(c.serial.len > 0);
        pki_release(&m);
    }
    arena_release(&a);
}

static void names_are_escaped(void **state)
{
    struct made m = pki_make(&(struct recipe){.name = "M\xc3\xbcller, \"x\"\n+\xe2\x80\xae"}, NULL);
    struct certificate_record c;
    struct arena a;

    (void)state;
    arena_init(&a, (size_t)1 << 20);
    OK(certificate_describe(m.der, slice_of_text(""), NOW_MS, &a, &c, NULL));
    assert_same(c.subject, slice_of_text("CN=M\\C3\\BCller\\, \\\"x\\\"\\0A\\+\\E2\\80\\AE"));
    assert_same(c.subject, c.issuer);
    arena_release(&a);
    pki_release(&m);
}

static void far_times_are_read(void **state)
{
    static const uint64_t end_ms = (uint64_t)253402300799 * 1000; /* 9999-12-31 23:59:59 */
    struct made m = pki_make(&(struct recipe){.name = "for ever", .from_ms = 1000, .to_ms = end_ms}, NULL);
    struct certificate_record c;
    struct arena a;

    (void)state;
    arena_init(&a, (size_t)1 << 20);
    OK(certificate_describe(m.der, slice_of_text(""), NOW_MS, &a, &c, NULL));
    assert_int_equal(c.not_before_ms, 1000);
    assert_int_equal(c.not_after_ms, end_ms);
    arena_release(&a);
    pki_release(&m);
}

static void what_is_no_certificate_is_refused(void **state)
{
    static uint8_t large[200000] = {0x30, 0x83, 0x03, 0x00, 0x00};
    struct made m = pki_make(&expectations[1].recipe, NULL);
    struct certificate_record c;
    struct failure f;
    struct arena a;
    struct buf bytes = BUF_INIT(10000);

    (void)state;
    arena_init(&a, (size_t)16 << 20);
    assert_int_equal(certificate_describe(slice_of_text(""), slice_of_text(""), 0, &a, &c, &f),
                     STATUS_MALFORMED);
    assert_int_equal(certificate_describe(slice_of_text("hello"), slice_of_text(""), 0, &a, &c, &f),
                     STATUS_MALFORMED);
    HOLDS(f.text, "no X.509 certificate");
    assert_int_equal(certificate_describe(slice_of(large, sizeof(large)), slice_of_text(""), 0, &a, &c, &f),
                     STATUS_TOO_LARGE);
    for (size_t len = 0; len < m.der.len; len++)
        assert_int_equal(certificate_describe(slice_of(m.der.data, len), slice_of_text(""), 0, &a, &c, &f),
                         STATUS_MALFORMED);
    OK(buf_append_slice(&bytes, m.der));
    OK(buf_append_byte(&bytes, 0));
    assert_int_equal(certificate_describe(buf_slice(&bytes), slice_of_text(""), 0, &a, &c, &f),
                     STATUS_MALFORMED);
    /* Any one bit: an answer, whichever, and no crash. */
    for (size_t bit = 0; bit < m.der.len * 8; bit += 3) {
        arena_release(&a);
        bytes.data[bit / 8] = (uint8_t)(bytes.data[bit / 8] ^ 1 << bit % 8);
        enum status status =
            certificate_describe(slice_of(bytes.data, m.der.len), slice_of_text(""), 0, &a, &c, &f);
        assert_true(status == STATUS_OK || status == STATUS_MALFORMED || status == STATUS_UNSUPPORTED);
        bytes.data[bit / 8] = (uint8_t)(bytes.data[bit / 8] ^ 1 << bit % 8);
    }
    buf_release(&bytes);
    arena_release(&a);
    pki_release(&m);
}

static void all_forms_of_file_are_read(void **state)
{
    struct made a = pki_make(&(struct recipe){.name = "a"}, NULL),
                b = pki_make(&(struct recipe){.name = "b", .kind = "ec"}, NULL);
    struct buf file = BUF_INIT(100000);
    struct certificate_file read;
    struct failure f;
    struct arena arena;

    (void)state;
    arena_init(&arena, (size_t)1 << 20);
    folder_enter();
    /* PEM with text and a key between */
    OK(buf_append_text(&file, "Subject: a\r\n"));
    pki_certificate_pem(&a, &file);
    pki_key_pem(&a, &file);
    OK(buf_append_text(&file, "some text\n\n"));
    pki_certificate_pem(&b, &file);
    OK(certificate_file_read(buf_slice(&file), &arena, &read, &f));
    assert_int_equal(read.count, 2);
    assert_true(slice_equal(read.der[0], a.der));
    assert_true(slice_equal(read.der[1], b.der));
    file_put("both.pem", buf_slice(&file));
    /* PKCS#7 in both forms */
    command("openssl crl2pkcs7 -nocrl -certfile both.pem -outform DER -out p7.der && "
            "openssl crl2pkcs7 -nocrl -certfile both.pem -out p7.pem");
    for (int form = 0; form < 2; form++) {
        buf_reset(&file);
        file_get(form == 0 ? "p7.der" : "p7.pem", &file);
        OK(certificate_file_read(buf_slice(&file), &arena, &read, &f));
        assert_int_equal(read.count, 2);
    }
    /* DER */
    OK(certificate_file_read(b.der, &arena, &read, &f));
    assert_int_equal(read.count, 1);
    assert_true(slice_equal(read.der[0], b.der));
    folder_leave();
    buf_release(&file);
    arena_release(&arena);
    pki_release(&a);
    pki_release(&b);
}

static void bad_files_are_refused_whole(void **state)
{
    struct made m = pki_make(&(struct recipe){.name = "a"}, NULL);
    struct buf file = BUF_INIT(1000000);
    struct certificate_file read;
    struct failure f;
    struct arena a;

    (void)state;
    arena_init(&a, (size_t)4 << 20);
    assert_int_equal(certificate_file_read(slice_of_text(""), &a, &read, &f), STATUS_MALFORMED);
    assert_int_equal(certificate_file_read(slice_of_text("hello\n"), &a, &read, &f), STATUS_MALFORMED);
    HOLDS(f.text, "PEM, DER or PKCS#7");
    pki_key_pem(&m, &file); /* a key alone */
    assert_int_equal(certificate_file_read(buf_slice(&file), &a, &read, &f), STATUS_MALFORMED);
    buf_reset(&file);
    pki_certificate_pem(&m, &file);
    OK(buf_append_text(&file, "-----BEGIN CERTIFICATE-----\nMIIB!!!!\n-----END CERTIFICATE-----\n"));
    assert_int_equal(certificate_file_read(buf_slice(&file), &a, &read, &f), STATUS_MALFORMED);
    HOLDS(f.text, "block 2");
    buf_reset(&file);
    pki_certificate_pem(&m, &file);
    OK(buf_append_text(&file, "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"));
    assert_int_equal(certificate_file_read(buf_slice(&file), &a, &read, &f), STATUS_MALFORMED);
    HOLDS(f.text, "certificate 2");
    buf_reset(&file);
    for (int i = 0; i <= CERTIFICATES_PER_FILE_MAX; i++)
        pki_certificate_pem(&m, &file);
    assert_int_equal(certificate_file_read(buf_slice(&file), &a, &read, &f), STATUS_TOO_LARGE);
    buf_release(&file);
    arena_release(&a);
    pki_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_described), cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(far_times_are_read),         cmocka_unit_test(what_is_no_certificate_is_refused),
        cmocka_unit_test(all_forms_of_file_are_read), cmocka_unit_test(bad_files_are_refused_whole),
    };
    int failed = cmocka_run_group_tests_name("certificate", tests, NULL, NULL);

    pki_forget_keys();
    return failed;
}
