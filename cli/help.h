/* Help and the manual page, out of the table of commands. */
#ifndef SEALPOST_CLI_HELP_H
#define SEALPOST_CLI_HELP_H

#include "base/buf.h"
#include "cli/command.h"

#define CLI_HELP_MAX ((size_t)256 << 10)

/* About everything (noun NULL), a noun, or a command. */
enum status cli_help_format(const char *noun, const struct cli_command *command, struct buf *out) MUST_CHECK;
/* docs/man/sealpostctl.1, in roff's man macros. */
enum status cli_man_format(struct buf *out) MUST_CHECK;
/* "settings set NAME VALUE [--domain D] [--user U]" */
enum status cli_synopsis_format(const struct cli_command *c, struct buf *out) MUST_CHECK;

#endif
