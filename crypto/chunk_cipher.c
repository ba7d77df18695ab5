/* See crypto/chunk_cipher.h. One thread at a time per cipher. */
#include "crypto/chunk_cipher.h"

#include "base/secret.h"
#include "crypto/aead.h"

#define ID_MAX 64

struct chunk_cipher {
    EVP_CIPHER_CTX *ctx;
    uint8_t key[32];
    uint8_t context[ID_MAX + 1];
    size_t id_len;
};

enum status chunk_cipher_new(struct slice key, struct slice id, struct chunk_cipher **out)
{
    struct chunk_cipher *c;

    if (key.len != sizeof(c->key) || id.len > ID_MAX)
        return STATUS_INVALID;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return STATUS_NO_MEMORY;
    c->ctx = EVP_CIPHER_CTX_new();
    if (c->ctx == NULL) {
        free(c);
        return STATUS_NO_MEMORY;
    }
    memcpy(c->key, key.data, key.len);
    if (id.len > 0)
        memcpy(c->context, id.data, id.len);
    c->id_len = id.len;
    *out = c;
    return STATUS_OK;
}

void chunk_cipher_free(struct chunk_cipher *c)
{
    if (c == NULL)
        return;
    EVP_CIPHER_CTX_free(c->ctx);
    secret_wipe(c, sizeof(*c));
    free(c);
}

static void place(struct chunk_cipher *c, uint32_t variant, uint32_t chunk, bool last,
                  uint8_t nonce[AEAD_NONCE_SIZE])
{
    memset(nonce, 0, AEAD_NONCE_SIZE);
    for (unsigned i = 0; i < 4; i++) {
        nonce[i] = (uint8_t)(variant >> (24 - 8 * i));
        nonce[4 + i] = (uint8_t)(chunk >> (24 - 8 * i));
    }
    c->context[c->id_len] = last ? 1 : 0;
}

enum status chunk_seal(struct chunk_cipher *c, uint32_t variant, uint32_t chunk, bool last,
                       struct slice plain, struct buf *out)
{
    uint8_t nonce[AEAD_NONCE_SIZE];
    enum status status;

    if (plain.len > CHUNK_PLAIN_SIZE)
        return STATUS_TOO_LARGE;
    status = buf_reserve(out, plain.len + CHUNK_OVERHEAD);
    if (status != STATUS_OK)
        return status;
    place(c, variant, chunk, last, nonce);
    status = aead_seal(c->ctx, slice_of(c->key, sizeof(c->key)), nonce, slice_of(c->context, c->id_len + 1),
                       plain, out->data + out->len);
    if (status == STATUS_OK)
        out->len += plain.len + CHUNK_OVERHEAD;
    return status;
}

enum status chunk_open(struct chunk_cipher *c, uint32_t variant, uint32_t chunk, bool last,
                       struct slice sealed, struct buf *out)
{
    uint8_t nonce[AEAD_NONCE_SIZE];
    enum status status;

    if (sealed.len < CHUNK_OVERHEAD || sealed.len > CHUNK_PLAIN_SIZE + CHUNK_OVERHEAD)
        return STATUS_CRYPTO;
    status = buf_reserve(out, sealed.len - CHUNK_OVERHEAD);
    if (status != STATUS_OK)
        return status;
    place(c, variant, chunk, last, nonce);
    status = aead_open(c->ctx, slice_of(c->key, sizeof(c->key)), nonce, slice_of(c->context, c->id_len + 1),
                       sealed, out->data + out->len);
    if (status == STATUS_OK)
        out->len += sealed.len - CHUNK_OVERHEAD;
    return status;
}
