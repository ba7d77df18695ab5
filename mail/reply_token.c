/* See mail/reply_token.h. */
#include "mail/reply_token.h"

#include "base/hex.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>

#define SUFFIX     "@reply.sealpost.invalid>"
#define PURPOSE    "sealpost reply token"
#define MAC_SHOWN  16
#define DOMAIN_MAX 253

_Static_assert(sizeof SUFFIX - 1 == 24, "REPLY_TOKEN_LEN counts it");

enum status reply_token_make(const struct keyring *keys, const uint8_t nonce[REPLY_TOKEN_NONCE],
                             struct slice domain, char out[REPLY_TOKEN_LEN + 1])
{
    struct secret key = {0};
    uint8_t input[REPLY_TOKEN_NONCE + DOMAIN_MAX], mac[EVP_MAX_MD_SIZE];
    char nonce_text[2 * REPLY_TOKEN_NONCE + 1], mac_text[2 * MAC_SHOWN + 1];
    unsigned len = 0;
    if (keys == NULL || !keys->has_data_key || domain.len > DOMAIN_MAX) {
        return STATUS_CRYPTO;
    }
    enum status status = key_derive(secret_slice(&keys->data_key), PURPOSE, &key);
    if (status != STATUS_OK) {
        return status;
    }
    memcpy(input, nonce, REPLY_TOKEN_NONCE);
    memcpy(input + REPLY_TOKEN_NONCE, domain.data, domain.len);
    bool made =
        HMAC(EVP_sha256(), key.data, KEY_SIZE, input, REPLY_TOKEN_NONCE + domain.len, mac, &len) != NULL &&
        len >= MAC_SHOWN;
    secret_release(&key);
    ERR_clear_error();
    if (!made) {
        return STATUS_CRYPTO;
    }
    hex_format(slice_of(nonce, REPLY_TOKEN_NONCE), nonce_text);
    hex_format(slice_of(mac, MAC_SHOWN), mac_text);
    (void)!snprintf(out, REPLY_TOKEN_LEN + 1, "<%s.%s%s", nonce_text, mac_text, SUFFIX);
    return STATUS_OK;
}

static bool is_hex(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

size_t reply_token_find(struct slice text)
{
    for (size_t at = 0; at + REPLY_TOKEN_LEN <= text.len; at++) {
        const uint8_t *p = text.data + at;
        if (p[0] == '<' && p[1 + 2 * REPLY_TOKEN_NONCE] == '.' &&
            is_hex(p + 1, (size_t)2 * REPLY_TOKEN_NONCE) &&
            is_hex(p + 2 + 2 * REPLY_TOKEN_NONCE, (size_t)2 * MAC_SHOWN) &&
            memcmp(p + REPLY_TOKEN_LEN - (sizeof SUFFIX - 1), SUFFIX, sizeof SUFFIX - 1) == 0) {
            return at;
        }
    }
    return text.len;
}

enum status reply_token_check(const struct keyring *keys, struct slice token, struct slice domain,
                              bool *holds)
{
    uint8_t nonce[REPLY_TOKEN_NONCE];
    char ours[REPLY_TOKEN_LEN + 1];
    *holds = false;
    if (token.len != REPLY_TOKEN_LEN ||
        !hex_parse(slice_of(token.data + 1, (size_t)2 * REPLY_TOKEN_NONCE), nonce, sizeof nonce)) {
        return STATUS_OK;
    }
    enum status status = reply_token_make(keys, nonce, domain, ours);
    *holds = status == STATUS_OK && CRYPTO_memcmp(token.data, ours, REPLY_TOKEN_LEN) == 0;
    return status;
}
