/* The command line of sealpostctl, read by the table of commands. Pure. */
#ifndef SEALPOST_CLI_ARGUMENTS_H
#define SEALPOST_CLI_ARGUMENTS_H

#include "base/status.h"
#include "cli/command.h"
#include "cli/csv.h"

#define CLI_VALUES_MAX 512

struct cli_value {
    const struct cli_parameter *parameter;
    const char *text; /* borrowed from the command line; "" for a flag */
};

struct cli_input {
    const struct cli_command *command; /* NULL: only help is asked for */
    const char *noun;                  /* with help: about which noun; NULL: about all */
    bool help, man, version, json, consistent;
    const char *endpoint, *token_file, *cacert; /* NULL: not given */
    struct cli_value values[CLI_VALUES_MAX];
    size_t value_count;
    struct cli_rows rows; /* of a PLACE_ROWS file; its arena is cli_run()'s */
};

/* INVALID with a text that names the nearest noun, verb or option. */
enum status cli_arguments_read(int argc, char *const *argv, struct cli_input *out,
                               struct failure *f) MUST_CHECK;

/* The i-th value of the parameter; NULL at the end. */
const char *cli_value_of(const struct cli_input *input, const struct cli_parameter *parameter, size_t i);
/* Was the option or flag of that name given? */
bool cli_given(const struct cli_input *input, const char *name);

#endif
