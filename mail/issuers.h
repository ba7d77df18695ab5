/* Intermediate certificates that go along with a signature, so that the reader can build the path. */
#ifndef SEALPOST_MAIL_ISSUERS_H
#define SEALPOST_MAIL_ISSUERS_H

#include "store/records.h"

#define ISSUERS_MAX      1000 /* stored CA certificates that are kept */
#define ISSUER_CHAIN_MAX 8

/* Copies of the stored CA certificates that are no trust anchors. Load it anew when store_trust_generation()
 * changes. */
struct issuers;
enum status issuers_load(struct store_view *view, struct issuers **out, struct failure *f) MUST_CHECK;
void issuers_free(struct issuers *issuers); /* NULL is fine */
/* From the certificate's issuer upwards, without the anchor. Slices live as long as `issuers`.
 * Returns the count. */
size_t issuers_chain(const struct issuers *issuers, const struct certificate_record *of,
                     struct slice chain[ISSUER_CHAIN_MAX]);

#endif
