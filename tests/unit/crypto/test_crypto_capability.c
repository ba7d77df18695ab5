/* SMIMECapabilities: what is read, what is written, and the cipher that follows. */
#include "crypto_test.h"

#include "crypto/capability.h"

#include <openssl/x509.h>

static void our_own_list_names_everything_but_what_is_weak(void **state)
{
    struct buf list = BUF_INIT(4096);
    uint64_t flag, all = 0;

    (void)state;
    for (size_t i = 0; capability_name(i, &flag) != NULL; i++) {
        assert_int_equal(all & flag, 0);
        all |= flag;
    }
    OK(capabilities_write(&list));
    assert_int_equal(capabilities_read(buf_slice(&list)), all & ~(uint64_t)CERT_CAP_3DES);
    /* OpenSSL reads it too, and the first one is what we like best */
    const unsigned char *at = list.data;
    STACK_OF(X509_ALGOR) *parsed = d2i_X509_ALGORS(NULL, &at, (long)list.len);
    const ASN1_OBJECT *first;
    assert_non_null(parsed);
    X509_ALGOR_get0(&first, NULL, NULL, sk_X509_ALGOR_value(parsed, 0));
    assert_int_equal(OBJ_obj2nid(first), NID_aes_256_gcm);
    assert_int_equal(sk_X509_ALGOR_num(parsed), 21);
    sk_X509_ALGOR_pop_free(parsed, X509_ALGOR_free);
    buf_release(&list);
}

static void lists_are_read(void **state)
{
#define AES_OID "\x60\x86\x48\x01\x65\x03\x04\x01"
    static const struct {
        const char *bytes;
        size_t len;
        uint64_t flags;
    } cases[] = {
        {"", 0, 0},
        {"\x30\x00", 2, 0},
        {"\x30\x0d\x30\x0b\x06\x09" AES_OID "\x2e", 15, CERT_CAP_AES256_GCM},
        /* 3DES and AES-128-CBC, as Outlook writes them; RC2 with a size is nothing to us */
        {"\x30\x29\x30\x0b\x06\x09" AES_OID
         "\x02\x30\x0a\x06\x08\x2a\x86\x48\x86\xf7\x0d\x03\x07\x30\x0e\x06\x08"
         "\x2a\x86\x48\x86\xf7\x0d\x03\x02\x02\x02\x00\x80",
         43, CERT_CAP_AES128_CBC | CERT_CAP_3DES},
        /* OAEP without parameters is OAEP with SHA-1 */
        {"\x30\x0d\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07", 15, 0},
        /* broken: what came before counts */
        {"\x30\x0f\x30\x0b\x06\x09" AES_OID "\x2e\x30\x7f", 17, CERT_CAP_AES256_GCM},
        {"\x30\x80\x30\x0b\x06\x09" AES_OID "\x2e\x00\x00", 17, CERT_CAP_AES256_GCM},
        {"\x31\x0d\x30\x0b\x06\x09" AES_OID "\x2e", 15, 0},
        {"\x30\x0d\x30\x0b\x06\x09" AES_OID "\x2e", 14, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t got = capabilities_read(slice_of(cases[i].bytes, cases[i].len));
        if (got != cases[i].flags) {
            print_error("case %zu: %llx\n", i, (unsigned long long)got);
            fail();
        }
    }
}

static void the_best_common_cipher_is_chosen(void **state)
{
    static const struct {
        uint64_t one, other;
        enum smime_cipher cipher;
    } cases[] = {
        {0, 0, SMIME_AES256_CBC}, /* nobody said anything */
        {CERT_CAP_AES256_GCM, CERT_CAP_AES256_GCM, SMIME_AES256_GCM},
        {CERT_CAP_AES256_GCM, 0, SMIME_AES256_CBC},
        {CERT_CAP_AES256_GCM | CERT_CAP_AES128_GCM, CERT_CAP_AES128_GCM, SMIME_AES128_GCM},
        {CERT_CAP_AES192_GCM | CERT_CAP_AES128_CBC, CERT_CAP_AES192_GCM, SMIME_AES192_GCM},
        {CERT_CAP_AES128_CBC | CERT_CAP_3DES, CERT_CAP_AES128_CBC, SMIME_AES128_CBC},
        {CERT_CAP_AES192_CBC, CERT_CAP_AES192_CBC | CERT_CAP_AES256_CBC, SMIME_AES192_CBC},
        {CERT_CAP_AES128_CBC, CERT_CAP_AES256_GCM, SMIME_AES128_CBC},
        {CERT_CAP_3DES, 0, SMIME_AES128_CBC}, /* never an old cipher */
        {CERT_CAP_3DES, CERT_CAP_3DES, SMIME_AES128_CBC},
        {CERT_CAP_RSA_PSS, CERT_CAP_ZLIB, SMIME_AES256_CBC}, /* something was said, but not of ciphers */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(smime_cipher_name(capabilities_cipher(capabilities_assumed(cases[i].one) &
                                                                  capabilities_assumed(cases[i].other))),
                            smime_cipher_name(cases[i].cipher));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_list_names_everything_but_what_is_weak),
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(the_best_common_cipher_is_chosen),
    };

    return cmocka_run_group_tests_name("capability", tests, NULL, NULL);
}
