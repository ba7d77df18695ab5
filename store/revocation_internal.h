/* The keys of the tables about revocation, byte by byte as store/tables.h says. Internal to store/. */
#ifndef SEALPOST_STORE_REVOCATION_INTERNAL_H
#define SEALPOST_STORE_REVOCATION_INTERNAL_H

#include "store/records_trust.h"
#include "store/tables.h"

#define LIST_KEY_SIZE   (ISSUER_ID_SIZE + CRL_PART_SIZE)
#define IMPORT_KEY_SIZE (LIST_KEY_SIZE + KEY_U64_SIZE)
#define ROW_KEY_MAX     (IMPORT_KEY_SIZE + SERIAL_MAX)
#define OCSP_KEY_MAX    (ISSUER_ID_SIZE + SERIAL_MAX)

/* Each gives the key as it lies in `key`. A serial number has 1 to SERIAL_MAX bytes. */
static inline struct slice list_key(const uint8_t *issuer, const uint8_t *part, uint8_t key[LIST_KEY_SIZE])
{
    memcpy(key, issuer, ISSUER_ID_SIZE);
    memcpy(key + ISSUER_ID_SIZE, part, CRL_PART_SIZE);
    return slice_of(key, LIST_KEY_SIZE);
}

static inline struct slice import_key(const uint8_t *issuer, const uint8_t *part, uint64_t generation,
                                      uint8_t key[IMPORT_KEY_SIZE])
{
    (void)list_key(issuer, part, key);
    key_u64_write(generation, key + LIST_KEY_SIZE);
    return slice_of(key, IMPORT_KEY_SIZE);
}

static inline struct slice row_key(const uint8_t *issuer, const uint8_t *part, uint64_t generation,
                                   struct slice serial, uint8_t key[ROW_KEY_MAX])
{
    (void)import_key(issuer, part, generation, key);
    memcpy(key + IMPORT_KEY_SIZE, serial.data, serial.len);
    return slice_of(key, IMPORT_KEY_SIZE + serial.len);
}

static inline struct slice ocsp_key(const uint8_t *issuer, struct slice serial, uint8_t key[OCSP_KEY_MAX])
{
    memcpy(key, issuer, ISSUER_ID_SIZE);
    memcpy(key + ISSUER_ID_SIZE, serial.data, serial.len);
    return slice_of(key, ISSUER_ID_SIZE + serial.len);
}

/* A row of the table `crls`; CORRUPT. */
enum status crl_row_of_table(struct slice key, struct slice value, struct crl_record *out) MUST_CHECK;

#endif
