/* Shared by the apply functions about the built-in CA. */
#ifndef SEALPOST_STORE_APPLY_CA_INTERNAL_H
#define SEALPOST_STORE_APPLY_CA_INTERNAL_H

#include "store/apply_certificates_internal.h"
#include "store/ca_rows.h"

/* OK, or the command's refusal: NOT_FOUND, CORRUPT. The record's slices move with the first row that is
 * written. */
enum status apply_ca_of(struct store_apply *a, struct slice name, struct ca_record *out) MUST_CHECK;
/* `encoded`: what writing the row gave. `row` is released. */
void apply_ca_row_put(struct store_apply *a, enum table table, struct slice key, enum status encoded,
                      struct buf *row);
/* OK, or REVOKED: the CA, or one of ours above it, is revoked. */
enum status apply_ca_stands(struct store_apply *a, struct slice name) MUST_CHECK;
/* A certificate's row of ca_issued; false: no CA of ours has issued it. */
bool apply_issued_row(struct store_apply *a, struct slice thumbprint, struct ca_issued_record *out);
/* Is it, or a CA of ours above it, revoked? */
bool apply_issued_is_revoked(struct store_apply *a, const struct ca_issued_record *issued);
/* As COMMAND_CA_ADD, with what is on its first list (rows of struct crl_row, well formed). */
enum status apply_ca_put(struct store_apply *a, struct slice revoked) MUST_CHECK;
/* One more certificate or request on demand for the address's domain, in the hour of the command. */
void apply_allowance_count(struct store_apply *a, struct slice address);
/* The list's number is one more than that in force: OK, or CONFLICT. `field`: position of the number, which
 * the list and its times follow. */
enum status apply_crl_may_be_next(struct store_apply *a, const struct ca_record *ca, size_t field) MUST_CHECK;
/* The list of fields `field` and on takes the place of that in force; `rows`: what is new on it. */
void apply_crl_put(struct store_apply *a, struct ca_record *ca, size_t field, struct slice rows);

#endif
