/* Shared by the apply functions about certificates, keys and trust. */
#ifndef SEALPOST_STORE_APPLY_CERTIFICATES_INTERNAL_H
#define SEALPOST_STORE_APPLY_CERTIFICATES_INTERNAL_H

#include "store/apply_internal.h"
#include "store/certificate_tables.h"

/* OK, or the command's refusal: NOT_FOUND. */
enum status apply_need_certificate(struct store_apply *a, struct slice thumbprint);
/* The record with all its keys; it is not there yet. */
void apply_certificate_put(struct store_apply *a, const struct certificate_record *record,
                           struct slice encoded);
enum status apply_state_get(struct store_apply *a, const uint8_t thumbprint[THUMBPRINT_SIZE],
                            struct certificate_state_record *out) MUST_CHECK;
void apply_state_put(struct store_apply *a, const uint8_t thumbprint[THUMBPRINT_SIZE],
                     const struct certificate_state_record *s);

#endif
