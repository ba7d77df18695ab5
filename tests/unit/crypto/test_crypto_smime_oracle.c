/*
 * What a sender could learn from our answer to crafted mail: nothing. Recipient infos with every kind of
 * broken PKCS #1 v1.5 (the million message attack, RFC 3218), CBC blocks with every kind of broken padding,
 * and AuthEnvelopedData whose attributes are not those that were authenticated: one status, one text, no
 * bytes.
 */
#include "crypto_test.h"

#include "crypto/der.h"
#include "crypto/smime.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#define TEXT(s)  slice_of_text(s)
#define MAX      ((size_t)1 << 20)
#define ENTITY   "Content-Type: text/plain\r\n\r\nThe text that nobody else may learn.\r\n"
#define RSA_SIZE 256
#define ONE_TEXT "the message does not decrypt"

static struct made root, alice;

static int set_up(void **state)
{
    (void)state;
    OK(smime_start(NULL));
    root = pki_make(&(struct recipe){.name = "Root", .kind = "ec", .ca = true}, NULL);
    alice = pki_make(&(struct recipe){.name = "Alice", .san = "email:alice@x.org"}, &root);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pki_release(&root);
    pki_release(&alice);
    return 0;
}

static struct buf encrypted(enum smime_cipher cipher)
{
    struct smime_recipient to = {.certificate = alice.der, .transport = SMIME_TRANSPORT_PKCS1};
    struct buf cms = BUF_INIT(MAX);

    OK(smime_encrypt(&to, 1, cipher, TEXT(ENTITY), &cms, NULL));
    return cms;
}

/* true: it did not open, and said what it always says. false: a wrong key gave garbage with good padding, as
 * one in 256 does. */
static bool stays_closed(const struct buf *cms)
{
    struct smime_key key = {.key = alice.key, .certificate = alice.der};
    struct smime_decrypted out;
    struct failure f = {0};
    enum status status = smime_decrypt(buf_slice(cms), &key, 1, &out, &f);

    assert_int_equal(ERR_peek_error(), 0);
    if (status == STATUS_OK) {
        assert_false(slice_equal(buf_slice(&out.entity), TEXT(ENTITY)));
        smime_decrypted_release(&out);
        return false;
    }
    assert_int_equal(status, STATUS_CRYPTO);
    assert_int_equal(f.status, STATUS_CRYPTO);
    assert_string_equal(f.text, ONE_TEXT);
    assert_null(out.entity.data);
    assert_int_equal(out.entity.len, 0);
    assert_string_equal(out.cipher, "");
    assert_false(out.weak);
    smime_decrypted_release(&out);
    return true;
}

/* The encryptedKey of the one recipient info. */
static uint8_t *encrypted_key(struct buf *cms)
{
    for (size_t i = 0; i + 4 + RSA_SIZE < cms->len; i++)
        if (memcmp(cms->data + i, "\x04\x82\x01\x00", 4) == 0)
            return cms->data + i + 4;
    fail();
    return NULL;
}

/* A block of which we say every byte, under Alice's key. */
static void raw_rsa(const uint8_t block[RSA_SIZE], uint8_t out[RSA_SIZE])
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(alice.key, NULL);
    size_t len = RSA_SIZE;

    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING), 1);
    assert_int_equal(EVP_PKEY_encrypt(context, out, &len, block, RSA_SIZE), 1);
    EVP_PKEY_CTX_free(context);
}

enum block {
    GOOD_PADDING_WRONG_KEY,
    GOOD_PADDING_SHORT_KEY,
    GOOD_PADDING_LONG_KEY,
    GOOD_PADDING_NO_KEY,
    NOT_ZERO_FIRST,
    NOT_TWO_SECOND,
    SIGNATURE_PADDING,
    ZERO_IN_PADDING,
    NO_END_OF_PADDING,
    ALL_ZERO,
    NO_RSA_AT_ALL,
    BLOCKS
};

static void block_make(enum block what, uint8_t out[RSA_SIZE])
{
    uint8_t block[RSA_SIZE];
    size_t key = 32;

    memset(block, 0x5a, sizeof(block));
    block[0] = 0;
    block[1] = 2;
    if (what == GOOD_PADDING_SHORT_KEY)
        key = 16;
    if (what == GOOD_PADDING_LONG_KEY)
        key = 200;
    if (what == GOOD_PADDING_NO_KEY)
        key = 0;
    if (what != NO_END_OF_PADDING)
        block[RSA_SIZE - 1 - key] = 0;
    if (what == NOT_ZERO_FIRST)
        block[0] = 1;
    if (what == NOT_TWO_SECOND)
        block[1] = 3;
    if (what == SIGNATURE_PADDING) {
        memset(block + 1, 0xff, RSA_SIZE - 34);
        block[1] = 1;
    }
    if (what == ZERO_IN_PADDING)
        block[5] = 0;
    if (what == ALL_ZERO)
        memset(block, 0, sizeof(block));
    raw_rsa(block, out);
    if (what == NO_RSA_AT_ALL) /* above the modulus */
        memset(out, 0xff, RSA_SIZE);
}

static void key_transport_tells_nothing(void **state)
{
    (void)state;
    for (int c = 0; c < SMIME_CIPHERS; c++)
        for (int what = 0; what < BLOCKS; what++) {
            bool closed = false;

            for (int round = 0; round < 20 && !closed; round++) {
                struct buf cms = encrypted((enum smime_cipher)c);

                block_make((enum block)what, encrypted_key(&cms));
                closed = stays_closed(&cms);
                if (smime_cipher_is_gcm((enum smime_cipher)c))
                    assert_true(closed); /* never garbage */
                buf_release(&cms);
            }
            assert_true(closed);
        }
}

/* The last byte of the last block is the length of the padding: each value that is none. */
static void cbc_padding_tells_nothing(void **state)
{
    struct buf cms = encrypted(SMIME_AES256_CBC);
    uint8_t padding = (uint8_t)(16 - strlen(ENTITY) % 16);

    (void)state;
    for (int value = 0; value < 256; value++) {
        if (value >= 1 && value <= 16)
            continue;                            /* may be good */
        uint8_t *byte = &cms.data[cms.len - 17]; /* of the block before: it turns what the last one becomes */
        uint8_t before = *byte;

        *byte = (uint8_t)(before ^ padding ^ value);
        assert_true(stays_closed(&cms));
        *byte = before;
    }
    buf_release(&cms);
}

/* No whole number of blocks, and none at all. */
static void cut_ciphertext_tells_nothing(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < 16; cut++) {
        struct buf cms = encrypted(SMIME_AES256_CBC);
        size_t len = (strlen(ENTITY) / 16 + 1) * 16, at = cms.len - len;

        assert_int_equal(cms.data[at - 2], 0x80); /* [0] with one length octet */
        assert_int_equal(cms.data[at - 1], len);
        cms.data[at - 1] = (uint8_t)(len - cut); /* the rest is rubbish behind it */
        struct smime_key key = {.key = alice.key, .certificate = alice.der};
        struct smime_decrypted out;
        assert_int_not_equal(smime_decrypt(buf_slice(&cms), &key, 1, &out, NULL), STATUS_OK);
        assert_null(out.entity.data);
        smime_decrypted_release(&out);
        buf_release(&cms);
    }
}

static void put(struct buf *out, const char *bytes, size_t len)
{
    OK(buf_append(out, bytes, len));
}

#define TYPE_IS(what)                                                                                        \
    "\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03\x31\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01"       \
    "\x07" what
#define TIMED "\x30\x0e\x06\x03\x2a\x03\x04\x31\x07\x17\x05when?" /* an attribute that nobody knows */

/* AuthEnvelopedData (RFC 5083) for Alice by hand: with `held` as authAttrs in the object, and `bound` as what
 * the cipher authenticates; empty: none. */
static struct buf auth_enveloped(struct slice held, struct slice bound, bool unauthenticated)
{
    static const uint8_t cek[32] = {1, 2, 3}, nonce[12] = {4, 5, 6};
    struct buf out = BUF_INIT(MAX), ri = BUF_INIT(MAX), id = BUF_INIT(MAX), part = BUF_INIT(MAX),
               info = BUF_INIT(MAX), all = BUF_INIT(MAX), aad = BUF_INIT(MAX);
    uint8_t key[RSA_SIZE], text[200], tag[16];
    size_t len = sizeof(key);
    int text_len = 0, n = 0;
    unsigned char *der = NULL;

    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(alice.key, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_encrypt(context, key, &len, cek, sizeof(cek)), 1);
    EVP_PKEY_CTX_free(context);
    int der_len = i2d_X509_NAME(X509_get_issuer_name(alice.x), &der);
    put(&id, (const char *)der, (size_t)der_len);
    OPENSSL_free(der);
    der = NULL;
    der_len = i2d_ASN1_INTEGER(X509_get_serialNumber(alice.x), &der);
    put(&id, (const char *)der, (size_t)der_len);
    OPENSSL_free(der);
    put(&ri, "\x02\x01\x00", 3);
    OK(der_put(&ri, BER_SEQUENCE, buf_slice(&id)));
    put(&ri, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 15);
    OK(der_put(&ri, BER_OCTETS, slice_of(key, len)));
    OK(der_put(&part, BER_SEQUENCE, buf_slice(&ri)));

    OK(der_put(&aad, BER_SET, bound));
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, cek, nonce), 1);
    if (bound.len > 0)
        assert_int_equal(EVP_EncryptUpdate(gcm, NULL, &n, aad.data, (int)aad.len), 1);
    assert_int_equal(EVP_EncryptUpdate(gcm, text, &text_len, (const uint8_t *)ENTITY, (int)strlen(ENTITY)),
                     1);
    assert_int_equal(EVP_EncryptFinal_ex(gcm, text + text_len, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_GCM_GET_TAG, 16, tag), 1);
    EVP_CIPHER_CTX_free(gcm);

    put(&info, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", 11);
    put(&info, "\x30\x1e\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e\x30\x11\x04\x0c", 17);
    put(&info, (const char *)nonce, sizeof(nonce));
    put(&info, "\x02\x01\x10", 3);
    OK(der_put(&info, 0x80, slice_of(text, (size_t)text_len)));

    put(&all, "\x02\x01\x00", 3);
    OK(der_put(&all, BER_SET, buf_slice(&part)));
    OK(der_put(&all, BER_SEQUENCE, buf_slice(&info)));
    if (held.len > 0)
        OK(der_put(&all, BER_CONTEXT_1, held));
    OK(der_put(&all, BER_OCTETS, slice_of(tag, sizeof(tag))));
    if (unauthenticated)
        OK(der_put(&all, BER_CONTEXT_2, SLICE_LITERAL(TIMED)));
    struct buf inner = BUF_INIT(MAX), content = BUF_INIT(MAX);
    OK(der_put(&inner, BER_SEQUENCE, buf_slice(&all)));
    put(&content, "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17", 13);
    OK(der_put(&content, BER_CONTEXT_0, buf_slice(&inner)));
    OK(der_put(&out, BER_SEQUENCE, buf_slice(&content)));
    struct buf *parts[] = {&ri, &id, &part, &info, &all, &aad, &inner, &content};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        buf_release(parts[i]);
    return out;
}

/* What is authenticated beside the content must be just what the object holds, and name its type. */
static void authenticated_attributes(void **state)
{
    static const struct slice none = {0}, data = SLICE_LITERAL(TYPE_IS("\x01")),
                              timed = SLICE_LITERAL(TYPE_IS("\x01") TIMED), only_timed = SLICE_LITERAL(TIMED),
                              other = SLICE_LITERAL(TYPE_IS("\x02")),
                              twice = SLICE_LITERAL(TYPE_IS("\x01") TYPE_IS("\x01")),
                              broken = SLICE_LITERAL("\x30\x03\x06\x01\x2a");
    const struct {
        struct slice held, bound;
        bool unauthenticated;
        enum status status;
    } rows[] = {
        {none, none, false, STATUS_OK},
        {none, none, true, STATUS_OK},
        {data, data, false, STATUS_OK},
        {timed, timed, true, STATUS_OK},
        {only_timed, only_timed, false, STATUS_OK},
        {data, none, false, STATUS_CRYPTO}, /* put in on the way */
        {none, data, false, STATUS_CRYPTO}, /* taken out on the way */
        {data, timed, false, STATUS_CRYPTO},
        {timed, data, false, STATUS_CRYPTO},
        {other, other, false, STATUS_UNSUPPORTED}, /* says to hold signed-data */
        {twice, twice, false, STATUS_UNSUPPORTED},
        {broken, broken, false, STATUS_UNSUPPORTED},
    };
    struct smime_key key = {.key = alice.key, .certificate = alice.der};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf cms = auth_enveloped(rows[i].held, rows[i].bound, rows[i].unauthenticated);
        struct smime_decrypted out;
        struct failure f = {0};
        bool fits = false;
        enum status status = smime_decrypt(buf_slice(&cms), &key, 1, &out, &f);

        OK(smime_recipients(buf_slice(&cms), &alice.der, 1, &fits));
        assert_true(fits);
        if (status != rows[i].status)
            print_error("row %zu: %s\n", i, f.text);
        assert_int_equal(status, rows[i].status);
        if (status == STATUS_OK) {
            assert_same(buf_slice(&out.entity), TEXT(ENTITY));
            assert_string_equal(out.cipher, "aes256-gcm");
        } else {
            assert_null(out.entity.data);
            assert_string_equal(f.text, status == STATUS_CRYPTO ? ONE_TEXT
                                                                : "the message's authenticated attributes "
                                                                  "do not go with its content");
        }
        smime_decrypted_release(&out);
        assert_int_equal(ERR_peek_error(), 0);
        buf_release(&cms);
    }
    /* A second key is tried with an object of its own. */
    struct smime_key two[] = {{.key = root.key, .certificate = alice.der}, key};
    struct buf cms = auth_enveloped(timed, timed, true);
    struct smime_decrypted out;
    OK(smime_decrypt(buf_slice(&cms), two, 2, &out, NULL));
    assert_same(buf_slice(&out.entity), TEXT(ENTITY));
    smime_decrypted_release(&out);
    buf_release(&cms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_transport_tells_nothing),
        cmocka_unit_test(cbc_padding_tells_nothing),
        cmocka_unit_test(cut_ciphertext_tells_nothing),
        cmocka_unit_test(authenticated_attributes),
    };
    int failed = cmocka_run_group_tests_name("smime_oracle", tests, set_up, tear_down);

    pki_forget_keys();
    return failed;
}
