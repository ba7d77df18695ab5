/*
 * Two small tables, each entry at the place that its thumbprint says; a newcomer takes the place of who was
 * there.
 *
 * Only good news is remembered: what is refused is looked at again each time, so that a certificate that
 * becomes good is used at once. A key is found only by whoever has its sealed form from the store, so a key
 * that was removed there is not used any more. One thread.
 */
#include "mail/known.h"

#define GOOD_CERTIFICATES 2048
#define OPEN_KEYS         128
#define MINUTE_MS         60000

struct good_certificate {
    uint8_t thumbprint[THUMBPRINT_SIZE];
    uint64_t minute[2]; /* by purpose: when it was found good; 0: never */
};

struct open_key {
    uint8_t thumbprint[THUMBPRINT_SIZE];
    uint8_t sealed_hash[32]; /* of the form that was opened */
    EVP_PKEY *key;           /* NULL: free place */
};

struct known {
    struct good_certificate certificates[GOOD_CERTIFICATES];
    struct open_key keys[OPEN_KEYS];
};

enum status known_new(struct known **out)
{
    *out = calloc(1, sizeof **out);
    return *out != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

void known_forget(struct known *k)
{
    for (size_t i = 0; i < OPEN_KEYS; i++) {
        EVP_PKEY_free(k->keys[i].key);
    }
    memset(k, 0, sizeof *k);
}

void known_free(struct known *k)
{
    if (k != NULL) {
        known_forget(k);
        free(k);
    }
}

/* Thumbprints are hashes: any of their bytes spread evenly. */
static size_t place_of(const uint8_t thumbprint[THUMBPRINT_SIZE], size_t places)
{
    return ((size_t)thumbprint[0] << 8 | thumbprint[1]) % places;
}

enum status known_trust_check(struct known *k, struct trust *trust, const uint8_t thumbprint[THUMBPRINT_SIZE],
                              struct slice der, enum trust_purpose purpose, uint64_t now_ms,
                              struct failure *f)
{
    if (k == NULL) {
        return trust_check(trust, der, NULL, purpose, now_ms, f);
    }
    struct good_certificate *place = &k->certificates[place_of(thumbprint, GOOD_CERTIFICATES)];
    size_t which = purpose == TRUST_FOR_ENCRYPTION ? 0 : 1;
    uint64_t minute = now_ms / MINUTE_MS + 1;
    bool same = memcmp(place->thumbprint, thumbprint, THUMBPRINT_SIZE) == 0;
    if (same && place->minute[which] == minute) {
        return STATUS_OK;
    }
    enum status status = trust_check(trust, der, NULL, purpose, now_ms, f);
    if (status == STATUS_OK) {
        if (!same) {
            *place = (struct good_certificate){0};
            memcpy(place->thumbprint, thumbprint, THUMBPRINT_SIZE);
        }
        place->minute[which] = minute;
    }
    return status;
}

enum status known_key_open(struct known *k, const struct keyring *keys,
                           const uint8_t thumbprint[THUMBPRINT_SIZE], struct slice sealed, EVP_PKEY **key,
                           struct failure *f)
{
    uint8_t hash[32];
    *key = NULL;
    if (k == NULL) {
        return private_key_open(keys, thumbprint, sealed, key, f);
    }
    struct open_key *place = &k->keys[place_of(thumbprint, OPEN_KEYS)];
    sha256(sealed, hash);
    if (place->key == NULL || memcmp(place->thumbprint, thumbprint, THUMBPRINT_SIZE) != 0 ||
        memcmp(place->sealed_hash, hash, sizeof hash) != 0) {
        EVP_PKEY *opened = NULL;
        enum status status = private_key_open(keys, thumbprint, sealed, &opened, f);
        if (status != STATUS_OK) {
            return status;
        }
        EVP_PKEY_free(place->key);
        place->key = opened;
        memcpy(place->thumbprint, thumbprint, THUMBPRINT_SIZE);
        memcpy(place->sealed_hash, hash, sizeof hash);
    }
    if (EVP_PKEY_up_ref(place->key) != 1) {
        return failure_set(f, STATUS_INTERNAL, "a key could not be shared");
    }
    *key = place->key;
    return STATUS_OK;
}
