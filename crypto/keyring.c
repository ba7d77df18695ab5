/*
 * The keys that open the store's secrets in this process, and the one function in which a private key is
 * opened: a keys role or a PKCS#11 token can take its place. One thread.
 */
#include "crypto/seal.h"

#include "base/clock.h"
#include "base/hex.h"
#include "crypto/x509.h"

#define DATA_KEY_CONTEXT SLICE_LITERAL("data-key")
#define CONTEXT_SIZE     (4 + 2 * THUMBPRINT_SIZE + 1)

void keyring_release(struct keyring *k)
{
    if (k == NULL)
        return;
    secret_release(&k->kek);
    secret_release(&k->data_key);
    k->has_data_key = false;
}

enum status keyring_load(struct keyring *k, struct slice data_key_id, struct slice wrapped, struct failure *f)
{
    struct secret key;
    enum status status;

    if (data_key_id.len != sizeof(k->data_key_id))
        return failure_set(f, STATUS_CORRUPT, "the data key's identifier has not 16 bytes");
    status = unseal(secret_slice(&k->kek), DATA_KEY_CONTEXT, wrapped, &key, f);
    if (status != STATUS_OK)
        return failure_wrap(f, status, "cannot open the data key with this node's master key");
    if (key.len != KEY_SIZE) {
        secret_release(&key);
        return failure_set(f, STATUS_CORRUPT, "the data key has not 32 bytes");
    }
    secret_release(&k->data_key);
    k->data_key = key;
    memcpy(k->data_key_id, data_key_id.data, sizeof(k->data_key_id));
    k->has_data_key = true;
    return STATUS_OK;
}

enum status keyring_wrap_new_data_key(struct slice kek, uint8_t id[16], struct buf *wrapped,
                                      struct secret *data_key)
{
    enum status status = secret_alloc(data_key, KEY_SIZE);

    if (status != STATUS_OK)
        return status;
    random_bytes(data_key->data, KEY_SIZE);
    random_bytes(id, 16);
    status = seal(kek, DATA_KEY_CONTEXT, secret_slice(data_key), wrapped);
    if (status != STATUS_OK)
        secret_release(data_key);
    return status;
}

static struct slice key_context(const uint8_t thumbprint[THUMBPRINT_SIZE], char context[CONTEXT_SIZE])
{
    static const char prefix[] = {'k', 'e', 'y', ':'};

    memcpy(context, prefix, sizeof(prefix));
    hex_format(slice_of(thumbprint, THUMBPRINT_SIZE), context + sizeof(prefix));
    return slice_of(context, CONTEXT_SIZE - 1);
}

enum status private_key_open(const struct keyring *k, const uint8_t thumbprint[32], struct slice sealed,
                             EVP_PKEY **key, struct failure *f)
{
    char context[CONTEXT_SIZE];
    struct secret pkcs8;
    enum status status;

    *key = NULL;
    if (!k->has_data_key)
        return failure_set(f, STATUS_UNAVAILABLE, "the data key is not there yet");
    status = unseal(secret_slice(&k->data_key), key_context(thumbprint, context), sealed, &pkcs8, f);
    if (status != STATUS_OK)
        return failure_wrap(f, status, "cannot open a private key");
    status = key_from_der(secret_slice(&pkcs8), key);
    secret_release(&pkcs8);
    return status == STATUS_OK ? status : failure_set(f, STATUS_CORRUPT, "a stored private key is damaged");
}

enum status private_key_seal(const struct keyring *k, const uint8_t thumbprint[32], EVP_PKEY *key,
                             struct buf *sealed, struct failure *f)
{
    char context[CONTEXT_SIZE];
    struct secret pkcs8;
    enum status status;

    if (!k->has_data_key)
        return failure_set(f, STATUS_UNAVAILABLE, "the data key is not there yet");
    status = key_to_der(key, &pkcs8);
    if (status != STATUS_OK)
        return failure_set(f, status, "cannot encode the private key");
    status = seal(secret_slice(&k->data_key), key_context(thumbprint, context), secret_slice(&pkcs8), sealed);
    secret_release(&pkcs8);
    return status == STATUS_OK ? status : failure_set(f, status, "cannot seal the private key");
}
