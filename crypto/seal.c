/*
 * Sealed blobs: the format is in crypto/seal.h. The nonce is random: a key seals far fewer than 2^32 blobs
 * (SP 800-38D section 8.3). Any thread.
 */
#include "crypto/seal.h"

#include "base/clock.h"
#include "crypto/aead.h"

#include <openssl/err.h>
#include <openssl/kdf.h>

#define SEAL_VERSION 1
#define SEAL_HEADER  (1 + AEAD_NONCE_SIZE)

enum status key_derive(struct slice master, const char *purpose, struct secret *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    size_t len = KEY_SIZE;
    enum status status = secret_alloc(out, KEY_SIZE);
    bool good;

    if (status != STATUS_OK)
        goto out;
    good = ctx != NULL && master.len == KEY_SIZE && EVP_PKEY_derive_init(ctx) == 1 &&
           EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) == 1 &&
           EVP_PKEY_CTX_set1_hkdf_key(ctx, master.data, (int)master.len) == 1 &&
           EVP_PKEY_CTX_add1_hkdf_info(ctx, (const unsigned char *)purpose, (int)strlen(purpose)) == 1 &&
           EVP_PKEY_derive(ctx, out->data, &len) == 1 && len == KEY_SIZE;
    if (!good) {
        secret_release(out);
        status = STATUS_CRYPTO;
    }
out:
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return status;
}

enum status seal(struct slice key, struct slice context, struct slice plain, struct buf *out)
{
    EVP_CIPHER_CTX *ctx;
    uint8_t *blob;
    enum status status = buf_reserve(out, plain.len + SEAL_OVERHEAD);

    if (status != STATUS_OK)
        return status;
    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL)
        return STATUS_NO_MEMORY;
    blob = out->data + out->len;
    blob[0] = SEAL_VERSION;
    random_bytes(blob + 1, AEAD_NONCE_SIZE);
    status = aead_seal(ctx, key, blob + 1, context, plain, blob + SEAL_HEADER);
    if (status == STATUS_OK)
        out->len += plain.len + SEAL_OVERHEAD;
    EVP_CIPHER_CTX_free(ctx);
    return status;
}

enum status unseal(struct slice key, struct slice context, struct slice sealed, struct secret *out,
                   struct failure *f)
{
    EVP_CIPHER_CTX *ctx;
    enum status status;

    *out = (struct secret){0};
    if (sealed.len < SEAL_OVERHEAD)
        return failure_set(f, STATUS_CRYPTO, "a sealed blob is cut short");
    if (sealed.data[0] != SEAL_VERSION)
        return failure_set(f, STATUS_VERSION, "a sealed blob has version %u; this release knows %d",
                           sealed.data[0], SEAL_VERSION);
    status = secret_alloc(out, sealed.len - SEAL_OVERHEAD);
    if (status != STATUS_OK)
        return failure_set(f, status, "cannot open a sealed blob: %s", status_text(status));
    ctx = EVP_CIPHER_CTX_new();
    status = ctx == NULL
                 ? STATUS_NO_MEMORY
                 : aead_open(ctx, key, sealed.data + 1, context,
                             slice_of(sealed.data + SEAL_HEADER, sealed.len - SEAL_HEADER), out->data);
    EVP_CIPHER_CTX_free(ctx);
    if (status == STATUS_OK)
        return STATUS_OK;
    secret_release(out);
    return failure_set(f, status,
                       "a sealed blob does not open: another key, another place, or damaged bytes");
}
