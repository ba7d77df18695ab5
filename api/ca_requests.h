/* Answers of other CAs to our requests, wherever certificates are imported. */
#ifndef SEALPOST_API_CA_REQUESTS_H
#define SEALPOST_API_CA_REQUESTS_H

#include "api/certificate_import.h"

/* For each certificate whose key waits for it, adds the command that stores both; behind those of the import.
 * false: the exchange was failed. */
bool ca_request_answers_add(struct exchange *x, const struct certificate_import *import, size_t *found);
/* Were they stored? false: the exchange was failed. */
bool ca_request_answers_stored(struct exchange *x, const struct certificate_import *import);

#endif
