/* Certificates as the API shows them, and finding the one that a path names. */
#ifndef SEALPOST_API_CERTIFICATE_JSON_H
#define SEALPOST_API_CERTIFICATE_JSON_H

#include "api/exchange.h"

/* `view` may be NULL: whether it is trusted and has a key is left out then. */
json_t *certificate_to_json(struct store_view *view, const struct certificate_record *record);

#define THUMBPRINT_DIGITS_MIN 8 /* the least that names one */
/* Member "bindings" of a certificate's object. */
void certificate_bindings_to_json(struct store_view *view, const struct certificate_record *record,
                                  json_t *object);

/* The certificate that x->parameters[0] names: 64 hexadecimal digits, or at least 8 that only one begins
 * with. false: the exchange was failed. */
bool certificate_of_path(struct exchange *x, struct store_view *view, struct certificate_record *out);

#endif
