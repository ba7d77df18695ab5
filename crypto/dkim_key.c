/* See crypto/dkim_key.h. */
#include "crypto/dkim_key.h"

#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define FILE_MAX    ((size_t)64 << 10)
#define ED25519_RAW 32

enum status dkim_key_generate(enum dkim_algorithm algorithm, uint64_t bits, EVP_PKEY **key, struct failure *f)
{
    *key = NULL;
    if (algorithm == DKIM_RSA_SHA256 &&
        (bits < DKIM_RSA_BITS_MIN || bits > DKIM_RSA_BITS_MAX || bits % 8 != 0))
        return failure_set(f, STATUS_INVALID, "an RSA key for DKIM has %d to %d bits, in steps of 8",
                           DKIM_RSA_BITS_MIN, DKIM_RSA_BITS_MAX);
    *key =
        algorithm == DKIM_RSA_SHA256 ? EVP_RSA_gen((size_t)bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ERR_clear_error();
    return *key != NULL ? STATUS_OK : failure_set(f, STATUS_CRYPTO, "the DKIM key could not be made");
}

/* Asked for a password: there is none. */
static int no_password_cb(char *buf, int size, int rwflag, void *asked)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    *(bool *)asked = true;
    return -1;
}

enum status dkim_key_read(struct slice pem, EVP_PKEY **key, struct failure *f)
{
    bool asked = false;
    BIO *bio;

    *key = NULL;
    if (pem.len == 0 || pem.len > FILE_MAX)
        return failure_set(f, pem.len == 0 ? STATUS_MALFORMED : STATUS_TOO_LARGE,
                           "a private key in PEM has 1 to %zu bytes", FILE_MAX);
    bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (bio == NULL)
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the key");
    *key = PEM_read_bio_PrivateKey(bio, NULL, no_password_cb, &asked);
    BIO_free(bio);
    ERR_clear_error();
    if (*key != NULL)
        return STATUS_OK;
    return asked ? failure_set(f, STATUS_UNSUPPORTED,
                               "the private key is under a password: take it off first (openssl pkey)")
                 : failure_set(f, STATUS_MALFORMED,
                               "there is no private key in PEM: -----BEGIN PRIVATE KEY----- or "
                               "-----BEGIN RSA PRIVATE KEY-----");
}

enum status dkim_key_describe(EVP_PKEY *key, enum dkim_algorithm *algorithm, uint64_t *bits,
                              struct buf *public_key, uint8_t id[DKIM_KEY_ID_SIZE], struct failure *f)
{
    int kind = EVP_PKEY_get_base_id(key), size = EVP_PKEY_get_bits(key);
    unsigned char *der = NULL;
    int len;
    enum status status;

    if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_ED25519)
        return failure_set(f, STATUS_UNSUPPORTED, "a DKIM key is an RSA or an Ed25519 key");
    if (kind == EVP_PKEY_RSA && (size < DKIM_RSA_BITS_MIN || size > DKIM_RSA_BITS_MAX))
        return failure_set(f, STATUS_UNSUPPORTED,
                           "the RSA key has %d bits; a DKIM key has %d to %d (RFC 8301 section 3.2)", size,
                           DKIM_RSA_BITS_MIN, DKIM_RSA_BITS_MAX);
    *algorithm = kind == EVP_PKEY_RSA ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256;
    *bits = (uint64_t)(kind == EVP_PKEY_RSA ? size : 256);
    len = i2d_PUBKEY(key, &der);
    status = len <= 0 ? STATUS_CRYPTO : buf_append(public_key, der, (size_t)len);
    if (status == STATUS_OK)
        sha256(slice_of(der, (size_t)len), id);
    OPENSSL_free(der);
    ERR_clear_error();
    return status == STATUS_OK ? status : failure_set(f, status, "the DKIM key cannot be read");
}

/* RFC 6376 section 3.6.1 (as SubjectPublicKeyInfo, as all do and errata 5252 says) and RFC 8463 section 4. */
enum status dkim_record_text(const struct dkim_key_record *record, struct buf *out)
{
    struct slice key = record->public_key;
    unsigned char text[2 * DKIM_PUBLIC_KEY_MAX];
    enum status status;

    if (record->algorithm == DKIM_ED25519_SHA256 && key.len > ED25519_RAW) /* the end of it is the raw key */
        key = slice_of(key.data + key.len - ED25519_RAW, ED25519_RAW);
    if (key.len > DKIM_PUBLIC_KEY_MAX)
        return STATUS_TOO_LARGE;
    status =
        buf_printf(out, "v=DKIM1; k=%s; p=", record->algorithm == DKIM_ED25519_SHA256 ? "ed25519" : "rsa");
    if (status != STATUS_OK)
        return status;
    return buf_append(out, text, (size_t)EVP_EncodeBlock(text, key.data, (int)key.len));
}
