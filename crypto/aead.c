/* AES-256-GCM (NIST SP 800-38D) by OpenSSL's EVP. Any thread with a context of its own. */
#include "crypto/aead.h"

#include "base/secret.h"

#include <limits.h>
#include <openssl/err.h>

static bool fits(struct slice key, struct slice context, size_t len)
{
    return key.len == 32 && context.len <= INT_MAX && len <= INT_MAX;
}

enum status aead_seal(EVP_CIPHER_CTX *ctx, struct slice key, const uint8_t nonce[AEAD_NONCE_SIZE],
                      struct slice context, struct slice plain, uint8_t *out)
{
    int len = 0, last = 0;
    bool good;

    if (!fits(key, context, plain.len))
        return STATUS_INVALID;
    good = EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key.data, nonce) == 1 &&
           (context.len == 0 || EVP_EncryptUpdate(ctx, NULL, &len, context.data, (int)context.len) == 1);
    len = 0;
    good = good && (plain.len == 0 || EVP_EncryptUpdate(ctx, out, &len, plain.data, (int)plain.len) == 1) &&
           EVP_EncryptFinal_ex(ctx, out + len, &last) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, AEAD_TAG_SIZE, out + plain.len) == 1;
    ERR_clear_error();
    return good ? STATUS_OK : STATUS_CRYPTO;
}

enum status aead_open(EVP_CIPHER_CTX *ctx, struct slice key, const uint8_t nonce[AEAD_NONCE_SIZE],
                      struct slice context, struct slice sealed, uint8_t *out)
{
    uint8_t tag[AEAD_TAG_SIZE];
    size_t cipher_len;
    int len = 0, last = 0;
    bool good;

    if (sealed.len < AEAD_TAG_SIZE || !fits(key, context, sealed.len))
        return STATUS_CRYPTO;
    cipher_len = sealed.len - AEAD_TAG_SIZE;
    memcpy(tag, sealed.data + cipher_len, sizeof(tag));
    good = EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key.data, nonce) == 1 &&
           (context.len == 0 || EVP_DecryptUpdate(ctx, NULL, &len, context.data, (int)context.len) == 1);
    len = 0;
    good = good &&
           (cipher_len == 0 || EVP_DecryptUpdate(ctx, out, &len, sealed.data, (int)cipher_len) == 1) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, AEAD_TAG_SIZE, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, out + len, &last) == 1;
    ERR_clear_error();
    if (good)
        return STATUS_OK;
    secret_wipe(out, cipher_len);
    return STATUS_CRYPTO;
}
