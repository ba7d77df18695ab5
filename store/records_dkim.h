/*
 * DKIM keys (docs/dkim.md): one row for each selector of a domain. The row holds what DNS publishes and the
 * sealed private key, until the key is retired.
 *
 *   prepared   made; its record is to be published, nothing is signed with it
 *   active     what leaves under the domain is signed with it; one of each algorithm
 *   resting    signs no more; its record stays published, since mail that it signed is under way
 *   retired    the private key is gone; the record may be withdrawn
 *
 * Any thread with a view of its own; slices point into the map and end with the view.
 */
#ifndef SEALPOST_STORE_RECORDS_DKIM_H
#define SEALPOST_STORE_RECORDS_DKIM_H

#include "store/records.h"

#define DKIM_SELECTOR_MAX   63 /* bytes; labels with dots between them (RFC 6376 section 3.1) */
#define DKIM_DOMAIN_KEYS    32 /* selectors of one domain */
#define DKIM_PUBLIC_KEY_MAX 1024
#define DKIM_KEY_ID_SIZE    32 /* SHA-256 of the public key: the private key is sealed for it */

enum dkim_algorithm { /* the numbers are in commands and rows */
                      DKIM_RSA_SHA256 = 1,
                      DKIM_ED25519_SHA256 = 2, /* RFC 8463 */
                      DKIM_ALGORITHM_END
};

enum dkim_state { /* the numbers are in commands and rows */
                  DKIM_PREPARED = 1,
                  DKIM_ACTIVE = 2,
                  DKIM_RESTING = 3,
                  DKIM_RETIRED = 4,
                  DKIM_STATE_END
};

struct dkim_key_record {
    struct slice domain, selector;
    enum dkim_algorithm algorithm;
    enum dkim_state state;
    uint64_t bits;           /* of the public key */
    struct slice id;         /* DKIM_KEY_ID_SIZE bytes */
    struct slice public_key; /* SubjectPublicKeyInfo, DER */
    struct slice sealed_key; /* "" once it is retired */
    uint64_t added_ms;
    uint64_t activated_ms; /* last; 0: never */
    uint64_t ended_ms;     /* when it stopped signing; 0: it has not */
};

/* NOT_FOUND. Both names in their normal form. */
enum status store_dkim_key_get(struct store_view *v, struct slice domain, struct slice selector,
                               struct dkim_key_record *out) MUST_CHECK;
typedef bool (*dkim_key_visit_cb)(void *context, const struct dkim_key_record *record);
/* Of a domain ("": of all), in the order of domain and selector. */
enum status store_dkim_keys(struct store_view *v, struct slice domain, dkim_key_visit_cb cb,
                            void *context) MUST_CHECK;
/* The keys that sign for a domain: at most one of each algorithm, RSA first. */
enum status store_dkim_active(struct store_view *v, struct slice domain,
                              struct dkim_key_record out[DKIM_ALGORITHM_END], size_t *count) MUST_CHECK;

const char *dkim_algorithm_name(enum dkim_algorithm algorithm); /* "rsa-sha256" */
const char *dkim_state_name(enum dkim_state state);             /* "prepared" */
/* A-Z become a-z; labels of letters, digits and hyphens with dots between them. INVALID with a text. */
enum status dkim_selector_normalise(struct slice text, char out[DKIM_SELECTOR_MAX + 1],
                                    struct failure *f) MUST_CHECK;

/* For the table: store/apply_dkim.c. */
#define DKIM_KEY_MAX (DOMAIN_MAX + 1 + DKIM_SELECTOR_MAX)
struct slice dkim_row_key(struct slice domain, struct slice selector, uint8_t key[DKIM_KEY_MAX]);
enum status dkim_key_encode(const struct dkim_key_record *record, struct buf *out) MUST_CHECK;
enum status dkim_key_decode(struct slice key, struct slice value, struct dkim_key_record *out) MUST_CHECK;

#endif
