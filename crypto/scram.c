/* The arithmetic of SCRAM-SHA-256 (crypto/scram.h). */
#include "crypto/scram.h"

#include "base/secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define VERSION 1

enum status password_check(struct slice password, struct failure *f)
{
    if (password.len == 0) {
        return failure_set(f, STATUS_INVALID, "the password is empty");
    }
    if (password.len > PASSWORD_MAX) {
        return failure_set(f, STATUS_INVALID, "the password has more than %d bytes", PASSWORD_MAX);
    }
    for (size_t i = 0; i < password.len; i++) {
        if (password.data[i] < 0x20 || password.data[i] > 0x7e) {
            return failure_set(
                f, STATUS_INVALID,
                "the password has a character that is not printable ASCII: clients prepare such "
                "characters in different ways, so use letters, digits, spaces and punctuation");
        }
    }
    return STATUS_OK;
}

static enum status hmac(struct slice key, struct slice message, uint8_t out[SCRAM_KEY_SIZE])
{
    unsigned len = SCRAM_KEY_SIZE;
    bool good = key.len <= INT32_MAX &&
                HMAC(EVP_sha256(), key.data, (int)key.len, message.data, message.len, out, &len) != NULL;
    return good ? STATUS_OK : STATUS_CRYPTO;
}

static enum status hash(const uint8_t in[SCRAM_KEY_SIZE], uint8_t out[SCRAM_KEY_SIZE])
{
    unsigned len = SCRAM_KEY_SIZE;
    return EVP_Digest(in, SCRAM_KEY_SIZE, out, &len, EVP_sha256(), NULL) == 1 ? STATUS_OK : STATUS_CRYPTO;
}

static void mix(const uint8_t a[SCRAM_KEY_SIZE], const uint8_t b[SCRAM_KEY_SIZE], uint8_t out[SCRAM_KEY_SIZE])
{
    for (size_t i = 0; i < SCRAM_KEY_SIZE; i++) {
        out[i] = a[i] ^ b[i];
    }
}

enum status scram_salted_password(struct slice password, struct slice salt, uint32_t iterations,
                                  uint8_t out[SCRAM_KEY_SIZE])
{
    bool fits = password.len <= PASSWORD_MAX && salt.len <= INT32_MAX && iterations > 0 &&
                iterations <= SCRAM_ITERATIONS_MAX;
    if (!fits || PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.len, salt.data, (int)salt.len,
                                   (int)iterations, EVP_sha256(), SCRAM_KEY_SIZE, out) != 1) {
        return STATUS_CRYPTO;
    }
    return STATUS_OK;
}

/* ClientKey and StoredKey of a salted password. */
static enum status client_keys(const uint8_t salted[SCRAM_KEY_SIZE], uint8_t client[SCRAM_KEY_SIZE],
                               uint8_t stored[SCRAM_KEY_SIZE])
{
    enum status status = hmac(slice_of(salted, SCRAM_KEY_SIZE), SLICE_LITERAL("Client Key"), client);
    return status == STATUS_OK ? hash(client, stored) : status;
}

enum status scram_verifier_of(const uint8_t salted[SCRAM_KEY_SIZE], struct slice salt, uint32_t iterations,
                              struct scram_verifier *out)
{
    uint8_t client[SCRAM_KEY_SIZE];
    *out = (struct scram_verifier){.salt_len = salt.len, .iterations = iterations};
    if (salt.len == 0 || salt.len > SCRAM_SALT_MAX) {
        return STATUS_INVALID;
    }
    memcpy(out->salt, salt.data, salt.len);
    enum status status = client_keys(salted, client, out->stored_key);
    if (status == STATUS_OK) {
        status = hmac(slice_of(salted, SCRAM_KEY_SIZE), SLICE_LITERAL("Server Key"), out->server_key);
    }
    secret_wipe(client, sizeof client);
    return status;
}

enum status scram_verifier_make(struct slice password, const uint8_t salt[SCRAM_SALT_SIZE],
                                struct scram_verifier *out)
{
    uint8_t salted[SCRAM_KEY_SIZE];
    struct slice whole = slice_of(salt, SCRAM_SALT_SIZE);
    enum status status = scram_salted_password(password, whole, SCRAM_ITERATIONS, salted);
    if (status == STATUS_OK) {
        status = scram_verifier_of(salted, whole, SCRAM_ITERATIONS, out);
    }
    secret_wipe(salted, sizeof salted);
    return status;
}

enum status scram_verifier_check(const struct scram_verifier *v, struct slice password)
{
    uint8_t salted[SCRAM_KEY_SIZE], client[SCRAM_KEY_SIZE], stored[SCRAM_KEY_SIZE];
    enum status status =
        scram_salted_password(password, slice_of(v->salt, v->salt_len), v->iterations, salted);
    if (status == STATUS_OK) {
        status = client_keys(salted, client, stored);
    }
    if (status == STATUS_OK &&
        !secret_equal(slice_of(stored, sizeof stored), slice_of(v->stored_key, SCRAM_KEY_SIZE))) {
        status = STATUS_DENIED;
    }
    secret_wipe(salted, sizeof salted);
    secret_wipe(client, sizeof client);
    secret_wipe(stored, sizeof stored);
    return status;
}

enum status scram_verifier_fake(struct slice key, struct slice name, struct scram_verifier *out)
{
    uint8_t digest[SCRAM_KEY_SIZE];
    *out = (struct scram_verifier){.salt_len = SCRAM_SALT_SIZE, .iterations = SCRAM_ITERATIONS};
    enum status status = hmac(key, name, digest);
    if (status == STATUS_OK) {
        memcpy(out->salt, digest, SCRAM_SALT_SIZE);
        /* A StoredKey is a hash; nobody knows of what this one would be. */
        status = hmac(slice_of(digest, sizeof digest), key, out->stored_key);
    }
    if (status == STATUS_OK) {
        status = hmac(slice_of(out->stored_key, SCRAM_KEY_SIZE), key, out->server_key);
    }
    secret_wipe(digest, sizeof digest);
    return status;
}

size_t scram_verifier_encode(const struct scram_verifier *v, uint8_t out[SCRAM_ENCODED_MAX])
{
    size_t at = 0;
    out[at++] = VERSION;
    for (int shift = 24; shift >= 0; shift -= 8) {
        out[at++] = (uint8_t)(v->iterations >> shift);
    }
    out[at++] = (uint8_t)v->salt_len;
    memcpy(out + at, v->salt, v->salt_len);
    at += v->salt_len;
    memcpy(out + at, v->stored_key, SCRAM_KEY_SIZE);
    memcpy(out + at + SCRAM_KEY_SIZE, v->server_key, SCRAM_KEY_SIZE);
    return at + 2 * (size_t)SCRAM_KEY_SIZE;
}

enum status scram_verifier_decode(struct slice in, struct scram_verifier *out)
{
    *out = (struct scram_verifier){0};
    if (in.len < 6 || in.data[0] != VERSION || in.data[5] == 0 || in.data[5] > SCRAM_SALT_MAX ||
        in.len != 6 + (size_t)in.data[5] + 2 * SCRAM_KEY_SIZE) {
        return STATUS_CORRUPT;
    }
    for (size_t i = 1; i <= 4; i++) {
        out->iterations = out->iterations << 8 | in.data[i];
    }
    if (out->iterations < SCRAM_ITERATIONS_MIN || out->iterations > SCRAM_ITERATIONS_MAX) {
        return STATUS_CORRUPT;
    }
    out->salt_len = in.data[5];
    memcpy(out->salt, in.data + 6, out->salt_len);
    memcpy(out->stored_key, in.data + 6 + out->salt_len, SCRAM_KEY_SIZE);
    memcpy(out->server_key, in.data + 6 + out->salt_len + SCRAM_KEY_SIZE, SCRAM_KEY_SIZE);
    return STATUS_OK;
}

enum status scram_proof_check(const struct scram_verifier *v, struct slice auth_message,
                              const uint8_t proof[SCRAM_KEY_SIZE])
{
    uint8_t signature[SCRAM_KEY_SIZE], client[SCRAM_KEY_SIZE], stored[SCRAM_KEY_SIZE];
    enum status status = hmac(slice_of(v->stored_key, SCRAM_KEY_SIZE), auth_message, signature);
    if (status == STATUS_OK) {
        mix(proof, signature, client);
        status = hash(client, stored);
    }
    if (status == STATUS_OK &&
        !secret_equal(slice_of(stored, sizeof stored), slice_of(v->stored_key, SCRAM_KEY_SIZE))) {
        status = STATUS_DENIED;
    }
    secret_wipe(client, sizeof client);
    return status;
}

enum status scram_server_signature(const struct scram_verifier *v, struct slice auth_message,
                                   uint8_t out[SCRAM_KEY_SIZE])
{
    return hmac(slice_of(v->server_key, SCRAM_KEY_SIZE), auth_message, out);
}

enum status scram_client_proof(const uint8_t salted[SCRAM_KEY_SIZE], struct slice auth_message,
                               uint8_t proof[SCRAM_KEY_SIZE], uint8_t signature[SCRAM_KEY_SIZE])
{
    uint8_t client[SCRAM_KEY_SIZE], stored[SCRAM_KEY_SIZE], server[SCRAM_KEY_SIZE];
    enum status status = client_keys(salted, client, stored);
    if (status == STATUS_OK) {
        status = hmac(slice_of(stored, sizeof stored), auth_message, proof);
    }
    if (status == STATUS_OK) {
        mix(client, proof, proof);
        status = hmac(slice_of(salted, SCRAM_KEY_SIZE), SLICE_LITERAL("Server Key"), server);
    }
    if (status == STATUS_OK) {
        status = hmac(slice_of(server, sizeof server), auth_message, signature);
    }
    secret_wipe(client, sizeof client);
    secret_wipe(server, sizeof server);
    return status;
}
