/* Answers of other CAs to our requests, wherever certificates are imported. */
#ifndef SEALPOST_API_CA_REQUESTS_H
#define SEALPOST_API_CA_REQUESTS_H

#include "api/certificate_import.h"

/* Reads the certificates of the body's field `data` (CERTIFICATE_DATA_FIELD), and adds a command for each
 * that is not stored yet and one for each whose key waits for it (`found` counts those). In the arena; NULL:
 * the exchange was failed. */
struct certificate_import *certificates_of_body(struct exchange *x, size_t *found);
/* Runs the commands; the answer lists what became of each certificate. */
void certificates_store(struct exchange *x, struct certificate_import *import);

#endif
