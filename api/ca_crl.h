/* A CA's next revocation list as values of a command: for revoking, and for the round that renews lists. */
#ifndef SEALPOST_API_CA_CRL_H
#define SEALPOST_API_CA_CRL_H

#include "api/ca_json.h"

/* Signs the list that follows the one in force, with `more` in it if not NULL, and fills values[field] to
 * values[field + 3]: number, list (in the arena), thisUpdate, nextUpdate. */
enum status ca_next_crl(struct exchange *x, struct store_view *view, const struct ca_record *ca,
                        const struct ca_crl_entry *more, size_t field, struct command *c,
                        struct failure *f) MUST_CHECK;

#endif
