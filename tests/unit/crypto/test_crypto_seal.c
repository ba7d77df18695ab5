/* Keys at rest: sealed blobs, derived keys, the keyring, and where the master key comes from. */
#include "command.h"
#include "crypto_test.h"

#include "base/hex.h"
#include "crypto/seal.h"

#include <sys/stat.h>
#include <unistd.h>

#define TEXT(s) slice_of_text(s)

static const uint8_t key_bytes[KEY_SIZE] = "0123456789abcdefghijklmnopqrstu", other_bytes[KEY_SIZE] = "x";
static const struct slice key = {key_bytes, KEY_SIZE}, other = {other_bytes, KEY_SIZE};

static void a_sealed_blob_opens_again(void **state)
{
    static const char *const plain[] = {"", "a", "a secret of some length that is more than one block"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct buf out = BUF_INIT(1000);
        struct secret back;

        OK(seal(key, TEXT("here"), TEXT(plain[i]), &out));
        assert_int_equal(out.len, strlen(plain[i]) + SEAL_OVERHEAD);
        OK(unseal(key, TEXT("here"), buf_slice(&out), &back, NULL));
        assert_same(secret_slice(&back), TEXT(plain[i]));
        secret_release(&back);
        buf_release(&out);
    }
}

static void two_blobs_of_the_same_differ(void **state)
{
    struct buf a = BUF_INIT(100), b = BUF_INIT(100);

    (void)state;
    OK(seal(key, TEXT("c"), TEXT("same"), &a));
    OK(seal(key, TEXT("c"), TEXT("same"), &b));
    assert_false(slice_equal(buf_slice(&a), buf_slice(&b)));
    buf_release(&a);
    buf_release(&b);
}

static void anything_else_does_not_open(void **state)
{
    struct buf out = BUF_INIT(1000);
    struct failure f;
    struct secret back;

    (void)state;
    OK(seal(key, TEXT("key:1"), TEXT("secret"), &out));
    assert_int_equal(unseal(other, TEXT("key:1"), buf_slice(&out), &back, &f), STATUS_CRYPTO);
    HOLDS(f.text, "another key");
    assert_null(back.data);
    assert_int_equal(unseal(key, TEXT("key:2"), buf_slice(&out), &back, &f), STATUS_CRYPTO);
    assert_int_equal(unseal(key, TEXT(""), buf_slice(&out), &back, &f), STATUS_CRYPTO);
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(unseal(key, TEXT("key:1"), slice_of(out.data, len), &back, &f), STATUS_CRYPTO);
    for (size_t bit = 0; bit < out.len * 8; bit++) {
        out.data[bit / 8] = (uint8_t)(out.data[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(unseal(key, TEXT("key:1"), buf_slice(&out), &back, &f),
                         bit < 8 ? STATUS_VERSION : STATUS_CRYPTO);
        assert_null(back.data);
        out.data[bit / 8] = (uint8_t)(out.data[bit / 8] ^ 1 << bit % 8);
    }
    OK(unseal(key, TEXT("key:1"), buf_slice(&out), &back, &f));
    secret_release(&back);
    buf_release(&out);
}

static void sealing_into_no_room_writes_nothing(void **state)
{
    struct buf out = BUF_INIT(SEAL_OVERHEAD + 5);

    (void)state;
    assert_int_equal(seal(key, TEXT("c"), TEXT("123456"), &out), STATUS_TOO_LARGE);
    assert_int_equal(out.len, 0);
    assert_int_equal(seal(slice_of(key_bytes, 16), TEXT("c"), TEXT("1"), &out), STATUS_INVALID);
    assert_int_equal(out.len, 0);
    buf_release(&out);
}

/* HKDF-SHA256 with no salt, worked out by another implementation (RFC 5869). */
static void purposes_give_different_keys(void **state)
{
    char text[2 * KEY_SIZE + 1];
    struct secret kek, spool;

    (void)state;
    OK(key_derive(key, "sealpost kek", &kek));
    OK(key_derive(key, "sealpost spool", &spool));
    hex_format(secret_slice(&kek), text);
    assert_string_equal(text, "7d966db82ecebff752e41bac6b2beeb6c11b13997d400327489ab02a9758581b");
    assert_false(slice_equal(secret_slice(&kek), secret_slice(&spool)));
    secret_release(&kek);
    secret_release(&spool);
    assert_int_equal(key_derive(slice_of(key_bytes, 31), "sealpost kek", &kek), STATUS_CRYPTO);
    secret_release(&kek);
}

static void the_keyring_opens_what_it_sealed(void **state)
{
    struct made m = pki_make(&(struct recipe){.name = "key", .kind = "ec"}, NULL);
    struct keyring ring = {0}, foreign = {0};
    struct buf wrapped = BUF_INIT(200), sealed = BUF_INIT(4000);
    uint8_t id[16], thumbprint[32] = {1}, elsewhere[32] = {2};
    struct secret data_key;
    EVP_PKEY *back = NULL;
    struct failure f;

    (void)state;
    keyring_release(NULL);
    OK(key_derive(key, "sealpost kek", &ring.kek));
    OK(key_derive(other, "sealpost kek", &foreign.kek));
    assert_int_equal(private_key_seal(&ring, thumbprint, m.key, &sealed, &f), STATUS_UNAVAILABLE);
    OK(keyring_wrap_new_data_key(secret_slice(&ring.kek), id, &wrapped, &data_key));
    OK(keyring_load(&ring, slice_of(id, 16), buf_slice(&wrapped), &f));
    assert_true(slice_equal(secret_slice(&ring.data_key), secret_slice(&data_key)));
    OK(keyring_load(&ring, slice_of(id, 16), buf_slice(&wrapped), &f)); /* again */
    assert_int_equal(keyring_load(&foreign, slice_of(id, 16), buf_slice(&wrapped), &f), STATUS_CRYPTO);
    assert_false(foreign.has_data_key);
    assert_int_equal(keyring_load(&ring, slice_of(id, 3), buf_slice(&wrapped), &f), STATUS_CORRUPT);

    OK(private_key_seal(&ring, thumbprint, m.key, &sealed, &f));
    OK(private_key_open(&ring, thumbprint, buf_slice(&sealed), &back, &f));
    assert_int_equal(EVP_PKEY_eq(back, m.key), 1);
    EVP_PKEY_free(back);
    /* a key that was moved to another certificate */
    assert_int_equal(private_key_open(&ring, elsewhere, buf_slice(&sealed), &back, &f), STATUS_CRYPTO);
    assert_null(back);
    secret_release(&data_key);
    keyring_release(&ring);
    keyring_release(&foreign);
    buf_release(&wrapped);
    buf_release(&sealed);
    pki_release(&m);
}

static void the_master_key_is_read(void **state)
{
    static const char digits[] = "  000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\r\n";
    uint8_t raw[32];
    struct failure f;
    struct secret loaded;

    (void)state;
    folder_enter();
    for (size_t i = 0; i < 32; i++)
        raw[i] = (uint8_t)i;
    file_put("digits", TEXT(digits));
    file_put("raw", slice_of(raw, 32));
    assert_int_equal(chmod("digits", 0640), 0);
    assert_int_equal(chmod("raw", 0400), 0);
    OK(master_key_load(TEXT("file:digits"), &loaded, &f));
    assert_same(secret_slice(&loaded), slice_of(raw, 32));
    secret_release(&loaded);
    OK(master_key_load(TEXT("file:raw"), &loaded, &f));
    assert_same(secret_slice(&loaded), slice_of(raw, 32));
    secret_release(&loaded);

    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_int_equal(master_key_load(TEXT("credential:raw"), &loaded, &f), STATUS_NOT_FOUND);
    HOLDS(f.text, "LoadCredential");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", ".", 1), 0);
    OK(master_key_load(TEXT("credential:raw"), &loaded, &f));
    secret_release(&loaded);
    assert_int_equal(master_key_load(TEXT("credential:../raw"), &loaded, &f), STATUS_INVALID);
    folder_leave();
}

static void a_bad_master_key_is_refused(void **state)
{
    static const struct {
        const char *content, *source;
        unsigned mode;
        enum status status;
        const char *says;
    } cases[] = {
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "file:k", 0644, STATUS_DENIED,
         "chmod 600"},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e", "file:k", 0600, STATUS_MALFORMED,
         "64 hexadecimal digits"},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1exx", "file:k", 0600, STATUS_MALFORMED,
         "64 hexadecimal digits"},
        {"000102030405060708090a0b0c0d0e0f", "file:k", 0600, STATUS_MALFORMED, "64 hexadecimal digits"},
        {"", "file:k", 0600, STATUS_MALFORMED, "64 hexadecimal digits"},
        {"", "file:gone", 0600, STATUS_NOT_FOUND, "gone"},
        {"", "file:.", 0600, STATUS_INVALID, "not a file"},
        {"", "file:", 0600, STATUS_INVALID, "names no file"},
        {"", "k", 0600, STATUS_INVALID, "file:PATH or credential:NAME"},
        {"", "", 0600, STATUS_INVALID, "file:PATH or credential:NAME"},
    };
    struct failure f;
    struct secret loaded;

    (void)state;
    folder_enter();
    assert_int_equal(chmod(".", 0700), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        file_put("k", TEXT(cases[i].content));
        assert_int_equal(chmod("k", cases[i].mode), 0);
        assert_int_equal(master_key_load(TEXT(cases[i].source), &loaded, &f), cases[i].status);
        HOLDS(f.text, cases[i].says);
        assert_null(loaded.data);
        assert_null(strstr(f.text, "0001")); /* never what it holds */
    }
    folder_leave();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_blob_opens_again),    cmocka_unit_test(two_blobs_of_the_same_differ),
        cmocka_unit_test(anything_else_does_not_open),  cmocka_unit_test(sealing_into_no_room_writes_nothing),
        cmocka_unit_test(purposes_give_different_keys), cmocka_unit_test(the_keyring_opens_what_it_sealed),
        cmocka_unit_test(the_master_key_is_read),       cmocka_unit_test(a_bad_master_key_is_refused),
    };
    int failed = cmocka_run_group_tests_name("seal", tests, NULL, NULL);

    pki_forget_keys();
    return failed;
}
