/* Files with a private key: made by the openssl program, new and old, right and wrong. */
#include "command.h"
#include "crypto_test.h"

#include <openssl/pkcs12.h>

#define TEXT(s) slice_of_text(s)

static struct made own, other;

static int set_up(void **state)
{
    struct buf pem = BUF_INIT(100000);

    (void)state;
    folder_enter();
    own = pki_make(&(struct recipe){.name = "own", .san = "email:a@x.org"}, NULL);
    other = pki_make(&(struct recipe){.name = "other", .kind = "ec"}, NULL);
    pki_key_pem(&own, &pem);
    file_put("own.key", buf_slice(&pem));
    buf_reset(&pem);
    pki_certificate_pem(&own, &pem);
    file_put("own.crt", buf_slice(&pem));
    buf_reset(&pem);
    pki_certificate_pem(&other, &pem);
    file_put("other.crt", buf_slice(&pem));
    buf_reset(&pem);
    pki_key_pem(&other, &pem);
    file_put("other.key", buf_slice(&pem));
    buf_release(&pem);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pki_release(&own);
    pki_release(&other);
    folder_leave();
    return 0;
}

struct attempt {
    const char *how; /* a command that makes "file" */
    const char *password;
    enum status status;
    const char *says;
    size_t certificates;
};

#define EXPLICIT                                                                                             \
    "openssl ecparam -name prime256v1 -param_enc explicit -genkey -noout -out e.key && openssl req -x509 "   \
    "-key e.key -subj /CN=e -days 9 -out e.crt && "

static const struct attempt attempts[] = {
    /* a curve of one's own choice */
    {EXPLICIT "cat e.key e.crt > file", "", STATUS_UNSUPPORTED, "explicit EC parameters", 0},
    {EXPLICIT "openssl pkcs12 -export -in e.crt -inkey e.key -passout pass:geheim -out file", "geheim",
     STATUS_UNSUPPORTED, "explicit EC parameters", 0},
    /* PKCS#12 */
    {"openssl pkcs12 -export -in own.crt -inkey own.key -passout pass:geheim -out file", "geheim", STATUS_OK,
     "", 1},
    {"openssl pkcs12 -export -in own.crt -inkey own.key -certfile other.crt -passout pass:geheim -out file",
     "geheim", STATUS_OK, "", 2},
    {"openssl pkcs12 -export -legacy -in own.crt -inkey own.key -passout pass:geheim -out file", "geheim",
     STATUS_OK, "", 1}, /* RC2-40 for the certificate, 3DES for the key */
    {"openssl pkcs12 -export -in own.crt -inkey own.key -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg "
     "sha1 -passout pass:geheim -out file",
     "geheim", STATUS_OK, "", 1},
    {"openssl pkcs12 -export -in own.crt -inkey own.key -keypbe AES-256-CBC -certpbe AES-256-CBC -macalg "
     "sha256 -passout pass:geheim -out file",
     "geheim", STATUS_OK, "", 1}, /* PBES2 with PBKDF2 */
    {"openssl pkcs12 -export -in own.crt -inkey own.key -keypbe AES-256-CBC -certpbe AES-256-CBC -macalg "
     "sha1 -passout pass:geheim -out file",
     "falsch", STATUS_WRONG_PASSWORD, "does not open", 0},
    {"openssl pkcs12 -export -in own.crt -inkey own.key -passout pass: -out file", "", STATUS_OK, "", 1},
    {"openssl pkcs12 -export -in own.crt -inkey own.key -nomac -passout pass:geheim -out file", "geheim",
     STATUS_UNSUPPORTED, "no MAC", 0},
    {"openssl pkcs12 -export -in own.crt -inkey own.key -passout pass:geheim -out file", "falsch",
     STATUS_WRONG_PASSWORD, "does not open", 0},
    {"openssl pkcs12 -export -legacy -in own.crt -inkey own.key -passout pass:geheim -out file", "falsch",
     STATUS_WRONG_PASSWORD, "does not open", 0},
    {"openssl pkcs12 -export -in own.crt -inkey own.key -passout pass:geheim -out file", "",
     STATUS_WRONG_PASSWORD, "needs a password", 0},
    {"openssl pkcs12 -export -nokeys -in own.crt -passout pass:geheim -out file", "geheim", STATUS_INVALID,
     "no private key", 0},
    {"openssl pkcs12 -export -nocerts -inkey own.key -passout pass:geheim -out file", "geheim",
     STATUS_INVALID, "not its certificate", 0},
    /* PEM */
    {"cat own.key own.crt > file", "", STATUS_OK, "", 1},
    {"cat other.crt own.crt own.key > file", "", STATUS_OK, "", 2},
    {"cat own.key own.crt > file", "not needed", STATUS_OK, "", 1},
    {"openssl pkcs8 -topk8 -in own.key -passout pass:geheim > file && cat own.crt >> file", "geheim",
     STATUS_OK, "", 1},
    {"openssl rsa -traditional -aes256 -in own.key -passout pass:geheim > file && cat own.crt >> file",
     "geheim", STATUS_OK, "", 1},
    {"openssl pkcs8 -topk8 -v1 PBE-SHA1-RC2-40 -in own.key -passout pass:geheim -provider legacy -provider "
     "default "
     "> file && cat own.crt >> file",
     "geheim", STATUS_OK, "", 1},
    {"openssl pkcs8 -topk8 -in own.key -passout pass:geheim > file && cat own.crt >> file", "falsch",
     STATUS_WRONG_PASSWORD, "does not open", 0},
    {"openssl rsa -traditional -aes256 -in own.key -passout pass:geheim > file && cat own.crt >> file",
     "falsch", STATUS_WRONG_PASSWORD, "does not open", 0},
    {"openssl pkcs8 -topk8 -in own.key -passout pass:geheim > file && cat own.crt >> file", "",
     STATUS_WRONG_PASSWORD, "needs a password", 0},
    {"cat own.key > file", "", STATUS_INVALID, "no certificate", 0},
    {"cat own.key other.crt > file", "", STATUS_INVALID, "belongs to none", 0},
    {"cat own.crt > file", "", STATUS_MALFORMED, "no private key", 0},
    {"echo hello > file", "", STATUS_MALFORMED, "no private key", 0},
    {": > file", "", STATUS_MALFORMED, "empty", 0},
    {"head -c 5000000 /dev/zero > file", "", STATUS_TOO_LARGE, "at most", 0},
};

static void files_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        const struct attempt *t = &attempts[i];
        struct buf file = BUF_INIT(6000000);
        struct key_file key_file;
        struct failure f = {0};
        struct arena a;

        arena_init(&a, (size_t)1 << 20);
        command("%s", t->how);
        file_get("file", &file);
        enum status status = key_file_read(buf_slice(&file), TEXT(t->password), &a, &key_file, &f);
        if (status != t->status || strstr(f.text, t->says) == NULL ||
            (key_file.key_count == 1) != (status == STATUS_OK)) {
            print_error("%s, %s: %s: %s\n", t->how, t->password, status_name(status), f.text);
            fail();
        }
        if (status == STATUS_OK) {
            if (EVP_PKEY_eq(key_file.keys[0], own.key) != 1)
                print_error("%s\n", t->how);
            assert_int_equal(EVP_PKEY_eq(key_file.keys[0], own.key), 1);
            if (key_file.certificates.count != t->certificates)
                print_error("%s: %zu certificates\n", t->how, key_file.certificates.count);
            assert_int_equal(key_file.certificates.count, t->certificates);
            assert_true(slice_equal(key_file.certificates.der[0], own.der));
        }
        if (t->password[0] != '\0')
            assert_null(strstr(f.text, t->password));
        key_file_release(&key_file);
        buf_release(&file);
        arena_release(&a);
    }
}

/* The count of iterations is raised to 2^31 - 1 in the file's own bytes: it is refused before one is done. */
static void a_costly_file_is_refused(void **state)
{
    static const char *const how[] = {
        "openssl pkcs12 -export -in own.crt -inkey own.key -iter 65537 -passout pass:geheim -out file",
        "openssl pkcs12 -export -in own.crt -inkey own.key -iter 65537 -nomac -passout pass:geheim -out file",
    };
    static const uint8_t few[] = {0x02, 0x03, 0x01, 0x00, 0x01}, many[] = {0x02, 0x03, 0x7f, 0xff, 0xff};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct buf file = BUF_INIT(100000);
        struct key_file key_file;
        struct failure f;
        struct arena a;

        arena_init(&a, (size_t)1 << 20);
        if (i < 2)
            command("%s", how[i]);
        else /* PEM, but its bytes are not in sight: by way of DER */
            command(
                "openssl pkcs8 -topk8 -iter 65537 -in own.key -passout pass:geheim -outform DER -out file");
        file_get("file", &file);
        for (size_t at = 0; at + sizeof(few) <= file.len; at++)
            if (memcmp(file.data + at, few, sizeof(few)) == 0)
                memcpy(file.data + at, many, sizeof(many));
        if (i == 2) {
            file_put("file", buf_slice(&file));
            command("{ echo '-----BEGIN ENCRYPTED PRIVATE KEY-----'; base64 -w 64 file; "
                    "echo '-----END ENCRYPTED PRIVATE KEY-----'; cat own.crt; } > pem");
            buf_reset(&file);
            file_get("pem", &file);
        }
        assert_int_equal(key_file_read(buf_slice(&file), TEXT("geheim"), &a, &key_file, &f),
                         STATUS_TOO_LARGE);
        HOLDS(f.text, "iterations");
        buf_release(&file);
        arena_release(&a);
    }
}

static void hostile_bytes_get_an_answer(void **state)
{
    struct buf file = BUF_INIT(100000);
    struct key_file key_file;
    struct failure f;
    struct arena a;

    (void)state;
    arena_init(&a, (size_t)16 << 20);
    command("openssl pkcs12 -export -in own.crt -inkey own.key -iter 1 -passout pass:geheim -out file");
    file_get("file", &file);
    for (size_t at = 0; at < file.len; at += 3) {
        arena_release(&a);
        assert_int_not_equal(key_file_read(slice_of(file.data, at), TEXT("geheim"), &a, &key_file, &f),
                             STATUS_OK);
        file.data[at] ^= 0x11;
        if (key_file_read(buf_slice(&file), TEXT("geheim"), &a, &key_file, &f) == STATUS_OK)
            key_file_release(&key_file);
        file.data[at] ^= 0x11;
    }
    assert_int_equal(key_file_read(buf_slice(&file), slice_of("gehe\0im", 7), &a, &key_file, &f),
                     STATUS_INVALID);
    buf_release(&file);
    arena_release(&a);
}

/* Two keys, each with its certificate, in one file, as key pairs for signing and for encryption come. */
static void two_keys_in_pkcs12(struct buf *out)
{
    STACK_OF(PKCS12_SAFEBAG) *certificates = NULL, *keys = NULL;
    STACK_OF(PKCS7) *safes = NULL;
    PKCS12 *p12;
    unsigned char *der = NULL;
    int len;

    assert_non_null(PKCS12_add_cert(&certificates, other.x));
    assert_non_null(PKCS12_add_cert(&certificates, own.x));
    assert_non_null(
        PKCS12_add_key(&keys, own.key, 0, 1000, NID_pbe_WithSHA1And3_Key_TripleDES_CBC, "geheim"));
    assert_non_null(PKCS12_add_key(&keys, other.key, 0, 1000, -1, NULL)); /* as it is, within the safe */
    assert_int_equal(PKCS12_add_safe(&safes, certificates, -1, 0, NULL), 1);
    assert_int_equal(PKCS12_add_safe(&safes, keys, NID_aes_256_cbc, 1000, "geheim"), 1);
    assert_non_null(p12 = PKCS12_add_safes(safes, 0));
    assert_int_equal(PKCS12_set_mac(p12, "geheim", -1, NULL, 0, 1000, EVP_sha256()), 1);
    assert_true((len = i2d_PKCS12(p12, &der)) > 0);
    OK(buf_append(out, der, (size_t)len));
    OPENSSL_free(der);
    PKCS12_free(p12);
    sk_PKCS7_pop_free(safes, PKCS7_free);
    sk_PKCS12_SAFEBAG_pop_free(certificates, PKCS12_SAFEBAG_free);
    sk_PKCS12_SAFEBAG_pop_free(keys, PKCS12_SAFEBAG_free);
}

static void check_both(struct slice content)
{
    struct key_file key_file;
    struct failure f = {0};
    struct arena a;

    arena_init(&a, (size_t)1 << 20);
    OK(key_file_read(content, TEXT("geheim"), &a, &key_file, &f));
    assert_int_equal(key_file.key_count, 2);
    assert_int_equal(key_file.certificates.count, 2);
    assert_int_equal(EVP_PKEY_eq(key_file.keys[0], own.key), 1);
    assert_true(slice_equal(key_file.certificates.der[0], own.der));
    assert_int_equal(EVP_PKEY_eq(key_file_key_of(&key_file, own.der), own.key), 1);
    assert_int_equal(EVP_PKEY_eq(key_file_key_of(&key_file, other.der), other.key), 1);
    key_file_release(&key_file);
    arena_release(&a);
}

static void all_keys_of_a_file_are_read(void **state)
{
    struct buf file = BUF_INIT(100000);
    struct key_file key_file;
    struct failure f = {0};
    struct arena a;

    (void)state;
    two_keys_in_pkcs12(&file);
    check_both(buf_slice(&file));
    buf_reset(&file);
    command("{ openssl pkcs8 -topk8 -in own.key -passout pass:geheim; cat other.crt other.key own.crt "
            "own.key; } > file");
    file_get("file", &file);
    check_both(buf_slice(&file)); /* own.key twice is one key */
    buf_reset(&file);
    command("cat own.key other.key own.crt > file");
    file_get("file", &file);
    arena_init(&a, (size_t)1 << 20);
    assert_int_equal(key_file_read(buf_slice(&file), TEXT(""), &a, &key_file, &f), STATUS_INVALID);
    HOLDS(f.text, "belongs to none");
    assert_int_equal(key_file.key_count, 0);
    arena_release(&a);
    buf_release(&file);
}

static void a_certificate_that_writes_out_its_curve_is_refused(void **state)
{
    struct buf der = BUF_INIT(10000);
    struct certificate_record record;
    struct failure f;
    struct arena a;

    (void)state;
    arena_init(&a, (size_t)1 << 20);
    command(EXPLICIT "openssl x509 -in e.crt -outform DER -out e.der");
    file_get("e.der", &der);
    assert_int_equal(certificate_describe(buf_slice(&der), TEXT("import"), NOW_MS, &a, &record, &f),
                     STATUS_UNSUPPORTED);
    HOLDS(f.text, "only named curves are taken");
    arena_release(&a);
    buf_release(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_or_refused),
        cmocka_unit_test(all_keys_of_a_file_are_read),
        cmocka_unit_test(a_certificate_that_writes_out_its_curve_is_refused),
        cmocka_unit_test(a_costly_file_is_refused),
        cmocka_unit_test(hostile_bytes_get_an_answer),
    };
    int failed = cmocka_run_group_tests_name("key_file", tests, set_up, tear_down);

    pki_forget_keys();
    return failed;
}
