/*
 * A CA's next revocation list, for revoking and for the round that renews lists. Collecting what is on it and
 * signing it takes up to a second (30,000 rows, RSA), so it is made on the job thread, on a view of its own:
 * if another list comes in between, its number is not the next one, and the command is refused (CONFLICT).
 */
#ifndef SEALPOST_API_CA_LIST_H
#define SEALPOST_API_CA_LIST_H

#include "api/ca_json.h"

struct ca_list_job; /* x->done in the step that ca_list_run() named */

/* Opens the CA's key and lets a job make the list that follows the one in force, with `more` on it if not
 * NULL. Not OK: no job was started, and the caller says so. */
enum status ca_list_run(struct exchange *x, struct store_view *view, struct slice ca,
                        const struct ca_crl_entry *more, exchange_step next, struct failure *f) MUST_CHECK;
/* Fills values[field] to values[field + 3] with number, list, thisUpdate, nextUpdate, and gives the command
 * the list's time. Bytes are the job's: add the command within the step. Not OK: what the job says. */
enum status ca_list_fill(const struct ca_list_job *j, size_t field, struct command *c,
                         struct failure *f) MUST_CHECK;

#endif
