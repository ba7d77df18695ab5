/* Rows of the tables cas, ca_issued, ca_revoked and ca_requests between bytes and structs; for records_ca.c
 * and apply_ca.c. Formats: store/tables.h. Internal to store/. */
#ifndef SEALPOST_STORE_CA_ROWS_H
#define SEALPOST_STORE_CA_ROWS_H

#include "base/buf.h"
#include "store/records_ca.h"

#define CA_ROW_MAX ((size_t)128 << 10)

enum status ca_row_read(struct slice key, struct slice value, struct ca_record *out) MUST_CHECK;
enum status ca_row_write(const struct ca_record *r, struct buf *out) MUST_CHECK;
enum status ca_issued_row_read(struct slice key, struct slice value, struct ca_issued_record *out) MUST_CHECK;
enum status ca_issued_row_write(const struct ca_issued_record *r, struct buf *out) MUST_CHECK;
/* `key`: CA name, NUL, serial. */
enum status ca_revoked_row_read(struct slice key, struct slice value,
                                struct ca_revoked_record *out) MUST_CHECK;
enum status ca_revoked_row_write(const struct ca_revoked_record *r, struct buf *out) MUST_CHECK;
enum status ca_request_row_read(struct slice key, struct slice value,
                                struct ca_request_record *out) MUST_CHECK;
enum status ca_request_row_write(const struct ca_request_record *r, struct buf *out) MUST_CHECK;

#define CA_REVOKED_KEY_MAX (CA_NAME_MAX + 1 + CA_SERIAL_MAX)
/* The length; 0 when a part is too long. An empty serial gives the prefix of all of a CA. */
size_t ca_revoked_key(struct slice ca, struct slice serial, uint8_t key[CA_REVOKED_KEY_MAX]);

#endif
