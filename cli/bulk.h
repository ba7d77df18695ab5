/* `cert import --bulk`: files and folders of certificates, in as many requests as they take. */
#ifndef SEALPOST_CLI_BULK_H
#define SEALPOST_CLI_BULK_H

#include "cli/arguments.h"
#include "cli/http.h"

/* Was it asked for? */
bool cli_bulk_wanted(const struct cli_input *input);
/* Sends all; shows what became of each; the exit status. */
int cli_bulk_run(struct cli_connection *c, const struct cli_input *input);

#endif
