/* Secrets of mail transport open in their own place alone. */
#include "crypto_test.h"

#include "crypto/transport_secret.h"

#define TEXT(s) slice_of_text(s)

static const uint8_t master_bytes[KEY_SIZE] = "0123456789abcdefghijklmnopqrstu";
static const struct slice master = {master_bytes, KEY_SIZE};

static void a_secret_opens_in_its_own_place_alone(void **state)
{
    static const struct {
        const char *kind, *name;
    } elsewhere[] = {
        {"tls-key", "b"}, {"tls-key", "aa"}, {"tls-ke", "a"}, {"account", "a"}, {"tls-key", "a "}};
    struct secret key, spool, back;
    struct buf sealed = BUF_INIT(TRANSPORT_SECRET_SEALED_MAX);
    struct failure f;

    (void)state;
    OK(key_derive(master, TRANSPORT_KEY_PURPOSE, &key));
    OK(key_derive(master, "sealpost spool", &spool));
    assert_false(slice_equal(secret_slice(&key), secret_slice(&spool)));
    OK(transport_secret_seal(secret_slice(&key), TRANSPORT_KIND_TLS_KEY, TEXT("a"), TEXT("hidden"), &sealed,
                             &f));
    assert_null(memmem(sealed.data, sealed.len, "hidden", 6));
    OK(transport_secret_open(secret_slice(&key), TRANSPORT_KIND_TLS_KEY, TEXT("a"), buf_slice(&sealed), &back,
                             &f));
    assert_same(secret_slice(&back), TEXT("hidden"));
    secret_release(&back);
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        assert_int_equal(transport_secret_open(secret_slice(&key), elsewhere[i].kind, TEXT(elsewhere[i].name),
                                               buf_slice(&sealed), &back, &f),
                         STATUS_CRYPTO);
        assert_null(back.data);
    }
    assert_int_equal(transport_secret_open(secret_slice(&spool), TRANSPORT_KIND_TLS_KEY, TEXT("a"),
                                           buf_slice(&sealed), &back, &f),
                     STATUS_CRYPTO);
    HOLDS(f.text, "cannot open a secret of mail transport");
    secret_release(&key);
    secret_release(&spool);
    buf_release(&sealed);
}

static void what_cannot_be_sealed_is_refused(void **state)
{
    static uint8_t big[TRANSPORT_SECRET_MAX + 1], key_bytes[KEY_SIZE] = {7};
    static char name[TRANSPORT_SECRET_NAME_MAX + 1];
    struct slice key = slice_of(key_bytes, KEY_SIZE);
    struct buf sealed = BUF_INIT(2 * TRANSPORT_SECRET_SEALED_MAX);
    struct secret back;
    struct failure f;

    (void)state;
    memset(name, 'n', sizeof(name));
    /* no key, as in a role that was given none */
    assert_int_equal(transport_secret_seal((struct slice){0}, "account", TEXT("a"), TEXT("s"), &sealed, &f),
                     STATUS_UNAVAILABLE);
    /* "account:x" of one kind would be "x" of another */
    assert_int_equal(transport_secret_seal(key, "account:x", TEXT("a"), TEXT("s"), &sealed, &f),
                     STATUS_INVALID);
    assert_int_equal(transport_secret_seal(key, "", TEXT("a"), TEXT("s"), &sealed, &f), STATUS_INVALID);
    assert_int_equal(transport_secret_seal(key, "account", TEXT(""), TEXT("s"), &sealed, &f), STATUS_INVALID);
    assert_int_equal(
        transport_secret_seal(key, "account", slice_of(name, sizeof(name)), TEXT("s"), &sealed, &f),
        STATUS_INVALID);
    assert_int_equal(
        transport_secret_seal(key, "account", TEXT("a"), slice_of(big, sizeof(big)), &sealed, &f),
        STATUS_TOO_LARGE);
    assert_int_equal(sealed.len, 0);
    OK(transport_secret_seal(key, "account", slice_of(name, sizeof(name) - 1), slice_of(big, sizeof(big) - 1),
                             &sealed, &f));
    OK(transport_secret_open(key, "account", slice_of(name, sizeof(name) - 1), buf_slice(&sealed), &back,
                             &f));
    assert_int_equal(back.len, sizeof(big) - 1);
    secret_release(&back);
    assert_int_equal(
        transport_secret_open((struct slice){0}, "account", TEXT("a"), buf_slice(&sealed), &back, &f),
        STATUS_UNAVAILABLE);
    buf_release(&sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_opens_in_its_own_place_alone),
        cmocka_unit_test(what_cannot_be_sealed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
