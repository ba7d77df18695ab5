/* What the files about certificates share; internal to store/. */
#ifndef SEALPOST_STORE_CERTIFICATE_TABLES_H
#define SEALPOST_STORE_CERTIFICATE_TABLES_H

#include "store/records.h"
#include "store/tables.h"

/* The first byte of a key in cert_index. */
enum certificate_index {
    INDEX_WORD = 'w',
    INDEX_DOMAIN = 'd',
    INDEX_EXPIRY = 'e',
    INDEX_SOURCE = 's',
    INDEX_CA = 'c'
};
#define INDEX_KEY_MAX (1 + ADDRESS_MAX + 1 + THUMBPRINT_SIZE)

/* kind, text, NUL, thumbprint; without the thumbprint when that is NULL: the beginning of all such keys. */
size_t index_text_key(enum certificate_index kind, struct slice text, const uint8_t *thumbprint,
                      uint8_t key[INDEX_KEY_MAX]);
size_t index_expiry_key(uint64_t not_after_ms, const uint8_t *thumbprint, uint8_t key[INDEX_KEY_MAX]);
size_t index_ca_key(const uint8_t *thumbprint, uint8_t key[INDEX_KEY_MAX]);
/* Every key of a certificate in cert_index. */
typedef void (*index_key_cb)(void *context, struct slice key);
void certificate_index_keys(const struct certificate_record *record, index_key_cb cb, void *context);

struct certificate_state_record {
    uint64_t state, capabilities, seen_ms, since_ms;
};
enum status certificate_state_decode(struct slice in, struct certificate_state_record *out) MUST_CHECK;
enum status certificate_state_encode(const struct certificate_state_record *s, struct buf *out) MUST_CHECK;
/* What is in the table, or that of one that is not there: OK either way. */
enum status certificate_state_get(struct store *store, MDB_txn *txn,
                                  const uint8_t thumbprint[THUMBPRINT_SIZE],
                                  struct certificate_state_record *out) MUST_CHECK;
/* A record with its state; CORRUPT. */
enum status certificate_load(struct store_view *v, struct slice encoded,
                             struct certificate_record *out) MUST_CHECK;

struct binding_record {
    uint64_t flags, added_ms;
};
enum status binding_decode(struct slice in, struct binding_record *out) MUST_CHECK;
enum status binding_encode(const struct binding_record *b, struct buf *out) MUST_CHECK;
#define BINDING_KEY_MAX (ADDRESS_MAX + 1 + THUMBPRINT_SIZE)

#endif
